package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"unmask/engine"
)

func cmdModels() *command {
	return &command{
		name: "models", args: "[DIR...]", short: "describe the embedded model, or checkpoints in folders",
		long: `Loads each model and prints what it is, what it can do, its defaults and its presets.

  unmask models
  unmask models ~/models/LLaDA-8B-Instruct --json`,
		takes: takesModel | takesJSON,
		run:   runModels,
	}
}

func runModels(ctx context.Context, c *call) error {
	dirs := c.args
	if len(dirs) == 0 {
		dirs = []string{c.cfg.Model}
	}
	var specs []engine.Spec
	failed := false
	for _, dir := range dirs {
		c.cfg.Model = dir
		m, err := c.load(ctx)
		if err != nil {
			if len(dirs) == 1 {
				return err
			}
			fmt.Fprintf(c.err, "unmask: %v\n", err)
			failed = true
			continue
		}
		specs = append(specs, m.spec)
		if !c.json {
			c.printSpec(m.spec)
		}
		if err := m.Close(); err != nil {
			return err
		}
	}
	if c.json {
		if err := writeJSON(c.out, specs); err != nil {
			return err
		}
	}
	if failed {
		return errReported
	}
	return nil
}

func (c *call) printSpec(s engine.Spec) {
	w := c.out
	fmt.Fprintf(w, "%s\n  family      %s\n  parameters  %s\n  in memory   %s, %s on %s\n  shape       %d layers, width %d, %d heads, %d tokens, up to %d positions\n  sha256      %s\n",
		s.Name, s.Family, count(s.Params), size(s.Bytes), s.DType, s.Device, s.Layers, s.Width, s.Heads, s.Vocab, s.MaxLen, s.Hash)
	if im := s.Image; im != nil {
		fmt.Fprintf(w, "  pictures    %d x %d pixels of %d x %d codes out of %d\n", im.Width, im.Height, im.Grid.Cols, im.Grid.Rows, im.Codebook)
	}
	for _, t := range s.Tasks {
		fmt.Fprintf(w, "  %s\n", t)
		fmt.Fprintf(w, "    defaults  %s\n", optionLine(s.Defaults[t]))
		for _, p := range engine.Presets(s, t) {
			fmt.Fprintf(w, "    --preset %-8s %s\n", p.Name, optionLine(p.Options))
		}
		for _, x := range s.Examples[t] {
			fmt.Fprintf(w, "    example   %s\n", oneLine(x))
		}
	}
}

// optionLine is the settings that differ from zero.
func optionLine(o engine.Options) string {
	var p []string
	add := func(on bool, format string, a ...any) {
		if on {
			p = append(p, fmt.Sprintf(format, a...))
		}
	}
	add(o.Length > 0, "length %d", o.Length)
	add(o.Steps > 0, "steps %d", o.Steps)
	add(o.Block > 0, "block %d", o.Block)
	add(o.Sampler != "", "sampler %s", o.Sampler)
	var names []string
	for n := range o.Params {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		add(true, "%s %g", n, o.Params[n])
	}
	add(o.Schedule != "", "schedule %s", o.Schedule)
	add(o.Temperature != 0, "temperature %g", o.Temperature)
	add(o.Guidance != 0, "guidance %g", o.Guidance)
	add(o.Cache != "" && o.Cache != engine.CacheNone, "cache %s", o.Cache)
	add(o.StopAtEnd, "stop-at-end")
	if len(p) == 0 {
		return "none"
	}
	return strings.Join(p, ", ")
}

// count writes a number of things for people: 11.8 million.
func count(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f billion", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f million", float64(n)/1e6)
	}
	return fmt.Sprint(n)
}

// size writes a number of bytes for people: 23.4 MB.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
