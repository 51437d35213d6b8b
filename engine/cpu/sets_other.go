//go:build !amd64 && !arm64

package cpu

// sets returns the kernel sets of this processor, slowest first.
func sets() []*kernels { return []*kernels{&portable} }

var peaks map[string][]peak
