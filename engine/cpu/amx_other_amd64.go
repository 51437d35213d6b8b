//go:build !linux

package cpu

// hasAMX reports that the matrix unit is not used: how the system gives it to a process is known for Linux only.
func hasAMX() bool { return false }
