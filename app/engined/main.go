// Command unmask-engined is the worker of unmask: it holds a model and serves one client, on a socket that the client hands it
// or on its standard streams ("unmask --device 'ssh host unmask-engined'"). It logs JSON lines to its standard error and ends
// with its client.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"time"

	"unmask/assets"
	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/local"
	"unmask/engine/remote"
	"unmask/engine/tensor"
)

// program is the name for hello; the version that counts there is that of the protocol.
const program = "unmask-engined"

// exitLimit is how long a run may take to stop once the client is gone.
const exitLimit = 2 * time.Second

func main() {
	signal.Ignore(os.Interrupt) // Ctrl+C goes to the whole group: the client says what happens then
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	fs := flag.NewFlagSet(program, flag.ContinueOnError)
	fd := fs.Int("fd", 0, "serve on the socket with this file `number` (0: the standard streams)")
	kernels := fs.String("kernels", "", "kernel `set` of the processor")
	var level slog.Level
	fs.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("takes no argument, got %q", fs.Arg(0))
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	backend := func(threads int) (tensor.Backend, error) {
		return cpu.New(cpu.Options{Kernels: *kernels, Threads: threads})
	}
	rw := stream{os.Stdin, os.Stdout}
	if *fd > 0 {
		f := os.NewFile(uintptr(*fd), "socket")
		if f == nil {
			return fmt.Errorf("--fd %d is no file", *fd)
		}
		rw = stream{f, f}
	}
	return remote.Server{
		New: func() engine.Session {
			return local.New(local.Config{Embedded: assets.Model(), Backend: backend, Log: log})
		},
		Probe:   func(context.Context) (remote.Info, error) { return probe(backend) },
		Program: program,
		Log:     log,
	}.Serve(context.Background(), rw)
}

// stream is what the client speaks on. When it ends, the process follows, whether or not a run stops.
type stream struct {
	in  io.Reader
	out io.Writer
}

func (s stream) Read(b []byte) (int, error) {
	n, err := s.in.Read(b)
	if err != nil {
		time.AfterFunc(exitLimit, func() { os.Exit(1) })
	}
	return n, err
}

func (s stream) Write(b []byte) (int, error) { return s.out.Write(b) }

// probe describes this machine.
func probe(backend func(threads int) (tensor.Backend, error)) (remote.Info, error) {
	b, err := backend(0)
	if err != nil {
		return remote.Info{}, err
	}
	d := b.Device()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return remote.Info{
		Program: program, Host: host, System: runtime.GOOS + "/" + runtime.GOARCH, Process: os.Getpid(),
		Device: d.Kind, Name: d.Name, Kernels: d.Kernels, Threads: d.Threads, Memory: d.Memory,
	}, b.Close()
}
