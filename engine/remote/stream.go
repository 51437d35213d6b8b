package remote

import (
	"errors"
	"os"
	"os/exec"
)

// stream is our end of the bytes between client and worker.
type stream struct{ in, out *os.File } // the same file for a socket

func (s stream) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s stream) Write(b []byte) (int, error) { return s.out.Write(b) }

func (s stream) Close() error {
	if s.in == s.out {
		return s.in.Close()
	}
	return errors.Join(s.in.Close(), s.out.Close())
}

// pipes makes cmd speak on its standard streams. The files in theirs are to be closed once cmd has started.
func pipes(cmd *exec.Cmd) (ours stream, theirs []*os.File, err error) {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return stream{}, nil, err
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		return stream{}, nil, errors.Join(err, theirIn.Close(), ourOut.Close())
	}
	cmd.Stdin, cmd.Stdout = theirIn, theirOut
	return stream{ourIn, ourOut}, []*os.File{theirIn, theirOut}, nil
}
