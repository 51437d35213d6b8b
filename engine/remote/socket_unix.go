//go:build unix

package remote

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// SocketFD is the file descriptor on which a worker finds the socket of [Config].Socket.
const SocketFD = 3

// HaveSocket says whether this system can hand a socket to a worker; where it can not, the standard streams serve.
const HaveSocket = true

// socket hands one end of a new socket to cmd, as file SocketFD.
func socket(cmd *exec.Cmd) (ours stream, theirs []*os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return stream{}, nil, fmt.Errorf("socket: %w", err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil { // so that Close ends a Read
		syscall.Close(fds[0])
		syscall.Close(fds[1])
		return stream{}, nil, fmt.Errorf("socket: %w", err)
	}
	mine, its := os.NewFile(uintptr(fds[0]), "worker socket"), os.NewFile(uintptr(fds[1]), "worker socket")
	cmd.ExtraFiles = []*os.File{its} // file 3
	return stream{mine, mine}, []*os.File{its}, nil
}
