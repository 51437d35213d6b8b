//go:build unix

package history

import (
	"errors"
	"syscall"
)

// alive reports whether a process with that id exists.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
