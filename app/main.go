// Command unmask is a playground for masked-diffusion language models: a window to chat, paint, inpaint and compare, and
// the same engine on the command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	_ "unmask/app/locale" // before Fyne's
)

// Exit codes of every command.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitNoDisplay = 3
)

// errNoDisplay ends `unmask gui` where no window can be opened.
var errNoDisplay = errors.New("no window can be opened here")

// errReported ends a command that has said what failed already.
var errReported = errors.New("reported")

// usageError is a mistake in the command line or the configuration.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef makes a usageError.
func usagef(format string, a ...any) error { return &usageError{fmt.Errorf(format, a...)} }

// streams are the standard streams, or a test's.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, s streams) int {
	if len(args) > 0 && args[0] == probeFlag {
		return runProbe(args[1:], s)
	}
	cmd, rest, err := lookup(args)
	if err == nil && cmd == nil {
		printHelp(s.out)
		return exitDone
	}
	if err == nil {
		err = cmd.main(ctx, rest, s)
	}
	return exitCode(err, s.err)
}

// exitCode prints err, where that is still to be done, and translates it.
func exitCode(err error, w io.Writer) int {
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, errHelp):
		return exitDone
	case errors.Is(err, errReported):
		return exitFailed
	case errors.Is(err, errNoDisplay):
		return exitNoDisplay
	case errors.As(err, &usage):
		fmt.Fprintf(w, "unmask: %v\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(w, "unmask: stopped")
		return exitFailed
	}
	fmt.Fprintf(w, "unmask: %v\n", err)
	return exitFailed
}

// newLogger logs to w at the configured level.
func newLogger(w io.Writer, c Config) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: c.level()}))
}
