//go:build !linux

package cpu

import "time"

// threadTime is the processor time of the calling thread; false where the system does not tell.
func threadTime() (time.Duration, bool) { return 0, false }
