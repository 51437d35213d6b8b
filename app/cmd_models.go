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
		name: "models", args: "[DIR... | list | add PATH... | remove MODEL | default TASK [MODEL] | get]",
		short: "describe models, and keep the list that the window shows",
		long: `With folders, or none for the embedded model, loads each model and prints what it is, what it can do,
its defaults and its presets.

list shows the models that are known: family, size, type on disk, memory as f32, bf16, 8 and 4 bits against
what is free, licence, and what may be wrong. Nothing is loaded.
add puts folders, or files of them, on the list; --copy or --move first brings the files into the data
folder, and --adapter lays PEFT adapters over the model. Without --copy and --move no file is touched.
remove takes a model off the list, by path or name, and leaves its files.
default TASK MODEL has commands and panes of a task take a model; "built-in" is the embedded one, and
without a model the task takes what is loaded again.
get lists the names under which each family is published.

  unmask models
  unmask models ~/models/LLaDA-8B-Instruct --json
  unmask models add ~/models/LLaDA-8B-Instruct
  unmask models list
  unmask models default chat LLaDA-8B-Instruct`,
		takes: takesModel | takesJSON,
		setup: func(c *call) {
			f := &modelsFlags{}
			c.own = f
			c.fs.BoolVar(&f.copy, "copy", false, "add: copy the files into the data folder")
			c.fs.BoolVar(&f.move, "move", false, "add: move the files into the data folder")
			c.fs.Func("adapter", "`DIR`: add: a PEFT adapter over the model; may be given several times", func(v string) error {
				f.adapters = append(f.adapters, v)
				return nil
			})
		},
		run: runModels,
	}
}

func runModels(ctx context.Context, c *call) error {
	if len(c.args) > 0 {
		for _, v := range modelVerbs {
			if c.args[0] == v.name {
				return v.run(ctx, c, c.args[1:])
			}
		}
	}
	if f := c.own.(*modelsFlags); f.copy || f.move || len(f.adapters) > 0 {
		return usagef("--copy, --move and --adapter go with models add")
	}
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
