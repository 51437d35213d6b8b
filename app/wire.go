package main

import (
	"context"
	"log/slog"
	"strings"

	"unmask/assets"
	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/local"
	"unmask/engine/models"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// version is the release; FyneApp.toml has the same, which a test compares.
const version = "0.1.0"

// openSession makes the session of the program: in this process, or in a worker. Tests put a scripted one here.
var openSession = func(cfg Config, log *slog.Logger) (engine.Session, error) {
	here := local.New(local.Config{
		Embedded: assets.Model(),
		Backend: func(threads int) (tensor.Backend, error) {
			return cpu.New(cpu.Options{Kernels: cfg.Kernels, Threads: threads})
		},
		Log: log,
	})
	if cfg.Device == deviceCPU {
		return here, nil
	}
	return openWorker(cfg, log, here, func(text string) { log.Warn(text) })
}

// ref names the model of the configuration.
func (c *Config) ref() engine.ModelRef {
	return engine.ModelRef{Path: c.Model, Adapters: c.Adapters, DType: c.DType, Threads: c.Threads}
}

// backend makes the arithmetic that the configuration asks for.
func (c *call) backend() (tensor.Backend, error) {
	return cpu.New(cpu.Options{Kernels: c.cfg.Kernels, Threads: c.cfg.Threads})
}

// openModel opens the network of the configuration on be, without a session around it.
func openModel(ctx context.Context, cfg Config, be tensor.Backend) (*models.Model, error) {
	var set *weights.Set
	var err error
	if cfg.Model == "" {
		set, err = weights.OpenFS(assets.Model())
	} else {
		set, err = weights.OpenDir(cfg.Model)
	}
	if err != nil {
		return nil, err
	}
	return models.Open(ctx, set, be, models.OpenOptions{DType: cfg.DType})
}

// kernelSets are the kernel sets that this processor runs, slowest first.
func kernelSets() []string { return cpu.Kernels() }

// findPreset is the options of a task's preset.
func findPreset(spec engine.Spec, task engine.Task, name string) (engine.Options, error) {
	var names []string
	for _, p := range engine.Presets(spec, task) {
		if p.Name == name {
			return p.Options, nil
		}
		names = append(names, p.Name)
	}
	return engine.Options{}, usagef("--preset: %q is not one of %s", clip(name), strings.Join(names, ", "))
}
