package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"unmask/app/evalset"
	"unmask/assets"
	"unmask/engine"
)

type evalFlags struct {
	tasks    string
	n        int
	seed     uint64
	dump     string
	samples  string
	mistakes bool
}

// maxEvalItems bounds the items a task.
const maxEvalItems = 100_000

func cmdEval() *command {
	return &command{
		name: "eval", short: "score a model in the world that its world.json describes",
		long: `Makes held-out items from the checkpoint's world.json, runs them through the engine with the
model's own settings and judges what comes back: text to the letter, pictures by the nearest scene in
pixels over all stickers, layouts and backgrounds. Prints the scores with 95 % intervals (Wilson) beside
their bars, forward passes and tokens a second. docs/evaluation.md says what each task asks.

  unmask eval
  unmask eval --tasks draw,describe --n 50 --mistakes
  unmask eval --json -o scores.json --dump build/eval
  unmask eval --samples build/samples

Tasks: ` + wrap(evalset.Names(), 95),
		takes: takesModel | takesOutput | takesJSON,
		setup: func(c *call) {
			f := &evalFlags{}
			c.own = f
			c.fs.StringVar(&f.tasks, "tasks", "", "`LIST` of tasks, separated by commas; all without it")
			c.fs.IntVar(&f.n, "n", 200, "items a task")
			c.fs.Uint64Var(&f.seed, "seed", 1, "of the items and of the sampler")
			c.fs.StringVar(&c.output, "out", "", "the same as -o")
			c.fs.StringVar(&f.dump, "dump", "", "write items, answers and pictures to the folder `DIR`, for another judge")
			c.fs.StringVar(&f.samples, "samples", "", "instead of scores write 64 pictures and 20 chats to the folder `DIR`")
			c.fs.BoolVar(&f.mistakes, "mistakes", false, "list what was not right, by task")
		},
		run: runEval,
	}
}

// wrap joins names with commas in lines of a width.
func wrap(names []string, width int) string {
	var b strings.Builder
	at := len("Tasks: ")
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
			at += 2
		}
		if at+len(n)+1 > width {
			b.WriteString("\n  ")
			at = 2
		}
		b.WriteString(n)
		at += len(n)
	}
	return b.String()
}

func runEval(ctx context.Context, c *call) error {
	f := c.own.(*evalFlags)
	if err := c.noArgs(); err != nil {
		return err
	}
	if f.n < 1 || f.n > maxEvalItems {
		return usagef("--n: %d is not in 1 to %d", f.n, maxEvalItems)
	}
	tasks, err := evalset.Find(strings.FieldsFunc(f.tasks, func(r rune) bool { return r == ',' || r == ' ' }))
	if err != nil {
		return usagef("--tasks: %v", err)
	}
	b, err := c.evalBench(f)
	if err != nil {
		return err
	}
	m, err := c.load(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	b.Session, b.Spec = m, m.spec
	if f.samples != "" {
		if err := evalset.CanSample(m.spec); err != nil {
			return err
		}
		if err := b.Samples(ctx, f.samples); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.out, f.samples)
		return err
	}
	return c.score(ctx, b, f, tasks)
}

// evalBench reads the world and the stickers of the model that the configuration names.
func (c *call) evalBench(f *evalFlags) (*evalset.Bench, error) {
	var folder fs.FS = assets.Model()
	name := "embedded model"
	if c.cfg.Model != "" {
		folder, name = os.DirFS(c.cfg.Model), c.cfg.Model
	}
	w, a, err := evalset.Open(folder, assets.Model(), name)
	if err != nil {
		return nil, err
	}
	return &evalset.Bench{World: w, Atlas: a, Judge: evalset.NewJudge(a), Seed: f.seed}, nil
}

// score runs the tasks and prints the report.
func (c *call) score(ctx context.Context, b *evalset.Bench, f *evalFlags, tasks []evalset.Task) (err error) {
	for _, t := range tasks {
		if t.Name == "rebuild" {
			var done func() error
			if b.Codec, done, err = c.codec(ctx); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, done()) }()
		}
	}
	n, last := 0, ""
	each := func(evalset.Outcome) error { return nil }
	if f.dump != "" {
		d, err := evalset.NewDump(f.dump)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		each = d.Add
	}
	b.Each = func(o evalset.Outcome) error {
		if o.Item.Task != last {
			n, last = 0, o.Item.Task
		}
		if n++; n%50 == 0 {
			fmt.Fprintf(c.err, "%s: %d\n", last, n)
		}
		return each(o)
	}
	r, err := b.Run(ctx, tasks, f.n)
	if err != nil {
		return err
	}
	return c.toOutput(func(w io.Writer) error {
		if c.json {
			return writeJSON(w, r)
		}
		if err := r.WriteText(w); err != nil || !f.mistakes {
			return err
		}
		return r.WriteMistakes(w)
	})
}

// codec opens the checkpoint's picture tokenizer, and what closes it. It is nil for a model without pictures, and where
// the model runs in another process.
func (c *call) codec(ctx context.Context) (engine.ImageTokenizer, func() error, error) {
	nothing := func() error { return nil }
	if c.cfg.Device != deviceCPU {
		return nil, nothing, nil
	}
	be, err := c.backend()
	if err != nil {
		return nil, nothing, err
	}
	net, err := openModel(ctx, c.cfg, be)
	if err != nil {
		return nil, nothing, errors.Join(err, be.Close())
	}
	done := func() error { return errors.Join(net.Close(), be.Close()) }
	if net.Image == nil {
		return nil, done, nil
	}
	return net.Image, done, nil
}
