package cpu

import "golang.org/x/sys/unix"

// freeMemory is the memory of the machine, bytes: the system gives what it must by writing out the rest. 0 where it does
// not tell.
func freeMemory() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
