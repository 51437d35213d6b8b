//go:build !unix

package remote

import (
	"os"
	"os/exec"
)

// SocketFD is the file descriptor on which a worker finds the socket of [Config].Socket.
const SocketFD = 3

// HaveSocket says whether this system can hand a socket to a worker; where it can not, the standard streams serve.
const HaveSocket = false

// socket uses the standard streams.
func socket(cmd *exec.Cmd) (ours stream, theirs []*os.File, err error) { return pipes(cmd) }
