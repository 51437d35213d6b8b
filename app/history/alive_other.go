//go:build !unix

package history

import "os"

// alive reports whether a process with that id exists; FindProcess opens it and fails where there is none.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return p.Release() == nil
}
