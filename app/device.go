package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"unmask/engine"
	"unmask/engine/remote"
)

// Devices that are no commands.
const (
	deviceCPU    = "cpu"
	deviceWorker = "worker"
)

// openWorker makes a session in a worker: of this machine, beside this program, or behind a command. fallback, which may be
// nil, takes over when there is none.
func openWorker(cfg Config, log *slog.Logger, fallback engine.Session) (*remote.Session, error) {
	c := remote.Config{
		Command: strings.Fields(cfg.Device), Program: "unmask " + version, Fallback: fallback, Log: log,
		Notice: func(text string) { log.Warn(text) },
	}
	if cfg.Device == deviceWorker {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("device worker: %w", err)
		}
		name := "unmask-engined"
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		c.Command = []string{filepath.Join(filepath.Dir(self), name), "--kernels", cfg.Kernels}
		if c.Socket = remote.HaveSocket; c.Socket {
			c.Command = append(c.Command, "--fd", strconv.Itoa(remote.SocketFD))
		}
	}
	return remote.New(c), nil
}

// lookDevice says where models run.
func lookDevice(ctx context.Context, c *call) finding {
	if c.cfg.Device == deviceCPU {
		return finding{"device", stateOK, "cpu, in this process", ""}
	}
	s, err := openWorker(c.cfg, c.log, nil)
	if err != nil {
		return finding{"device", stateNote, err.Error(), ""}
	}
	defer s.Close()
	i, err := s.Probe(ctx)
	if err != nil {
		return finding{"device", stateNote, fmt.Sprintf("%s: %v", clip(c.cfg.Device), err), "Runs are made in this process instead. Build the worker with make build, or take back the setting device."}
	}
	return finding{"device", stateOK, fmt.Sprintf("worker on %s, %s: %s %s, %d threads, kernels %s, %s free", i.Host, i.System, i.Device, i.Name, i.Threads, i.Kernels, size(i.Memory)), ""}
}
