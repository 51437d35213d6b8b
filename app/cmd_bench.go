package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"unmask/engine"
)

// maxRepeats bounds --repeats.
const maxRepeats = 1000

type benchFlags struct {
	repeats int
	shape   string
	noTasks bool
	lengths []int
	against string
	python  string
}

func cmdBench() *command {
	return &command{
		name: "bench", short: "measure this machine",
		long: `Measures forward passes, steps, picks, picture decoding, whole tasks, start-up and memory, each several
times, and prints the median with the smallest and the largest value. With --shape it measures a LLaDA of that shape with
random weights instead, which is written to a temporary folder first.

  unmask bench
  unmask bench --json --repeats 9 -o bench.json
  unmask bench --shape 1024,16,12,2816,32000 --dtype bf16

With --against it runs another engine over the same random weights in turns with this one, and prints the ratios of medians.
The other engine is installed from the Python package index into an environment under your cache folder at the first use;
--peer-python names an interpreter that has it already. One thread is measured in processor time, several (--threads) on
the clock.

  unmask bench --against torch --dtype bf16
  unmask bench --against onnx --dtype i8 --threads 2 --json`,
		takes: takesModel | takesOutput | takesJSON,
		setup: func(c *call) {
			f := &benchFlags{repeats: 5, lengths: benchLengths}
			c.own = f
			c.fs.Func("repeats", "`N`: how often each thing is measured (default 5)", func(v string) error {
				if err := setInt(&f.repeats, v); err != nil {
					return err
				}
				if f.repeats < 1 || f.repeats > maxRepeats {
					return fmt.Errorf("%d is outside [1, %d]", f.repeats, maxRepeats)
				}
				return nil
			})
			c.fs.StringVar(&f.shape, "shape", "", "`D,H,LAYERS,F,V`: width, heads, layers, feed-forward width, vocabulary of a random LLaDA")
			c.fs.Func("lengths", "`N,...`: positions of the passes (default 64,256,512,1024)", func(v string) error {
				f.lengths = nil
				for s := range strings.SplitSeq(v, ",") {
					n := 0
					if err := setInt(&n, s); err != nil {
						return err
					}
					if n < 1 || n > maxShape {
						return fmt.Errorf("%d is outside [1, %d]", n, maxShape)
					}
					f.lengths = append(f.lengths, n)
				}
				return nil
			})
			c.fs.StringVar(&f.against, "against", "", "`ENGINE`: torch, llamacpp or onnx")
			c.fs.StringVar(&f.python, "peer-python", "", "`FILE`: the Python interpreter that has the engine of --against")
			c.fs.BoolVar(&f.noTasks, "no-tasks", false, "leave out whole tasks and start-up")
		},
		run: runBench,
	}
}

// measurement is one line of the result. Values are in Unit.
type measurement struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
	Note   string  `json:"note,omitempty"`
}

// benchResult is everything that bench prints.
type benchResult struct {
	Program  string        `json:"program"`
	Device   string        `json:"device"`
	Kernels  string        `json:"kernels"`
	Threads  int           `json:"threads"`
	Model    string        `json:"model"`
	Params   int64         `json:"params"`
	DType    string        `json:"dtype"`
	Bytes    int64         `json:"bytes"` // memory of the weights
	Measured []measurement `json:"measured"`
}

// bench accumulates measurements.
type bench struct {
	repeats int
	lengths []int
	out     []measurement
	note    func(format string, a ...any) // progress, for people
}

// times runs f once to warm up and then repeats times, and keeps the milliseconds of each.
func (b *bench) times(ctx context.Context, name string, f func() error) (time.Duration, error) {
	b.note("%s", name)
	var ms []float64
	for i := range b.repeats + 1 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		at := time.Now()
		if err := f(); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if i > 0 {
			ms = append(ms, float64(time.Since(at).Microseconds())/1e3)
		}
	}
	m := b.keep(name, "ms", ms)
	return time.Duration(m.Median * float64(time.Millisecond)), nil
}

// keep adds a line for values.
func (b *bench) keep(name, unit string, values []float64) *measurement {
	v := slices.Sorted(slices.Values(values))
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	b.out = append(b.out, measurement{Name: name, Unit: unit, Median: mid, Min: v[0], Max: v[len(v)-1], N: len(v)})
	return &b.out[len(b.out)-1]
}

// last is the line added last.
func (b *bench) last() *measurement { return &b.out[len(b.out)-1] }

func runBench(ctx context.Context, c *call) error {
	if err := c.noArgs(); err != nil {
		return err
	}
	f := c.own.(*benchFlags)
	b := &bench{repeats: f.repeats, lengths: f.lengths, note: func(format string, a ...any) { fmt.Fprintf(c.err, "measuring "+format+"\n", a...) }}
	if f.shape != "" || f.against != "" {
		if c.cfg.Model != "" {
			return usagef("bench: --shape and --against make their own model; it cannot be used with a model folder (%s)", c.cfg.Model)
		}
		if f.against != "" {
			return c.against(ctx, b, f)
		}
		s, err := parseShape(f.shape)
		if err != nil {
			return usagef("bench: --shape: %w", err)
		}
		dir, err := os.MkdirTemp("", "unmask-bench-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		b.note("a random model of %s parameters: writing it", count(s.params()))
		if err := s.write(ctx, dir, c.cfg.DType); err != nil {
			return err
		}
		c.cfg.Model = dir
		f.noTasks = true
	}
	r, err := c.benchNetwork(ctx, b)
	if err != nil {
		return err
	}
	if f.shape != "" {
		r.Model = "random LLaDA of shape " + f.shape
	}
	if !f.noTasks {
		if err := c.benchTasks(ctx, b); err != nil {
			return err
		}
		if err := c.benchStart(ctx, b); err != nil {
			return err
		}
	}
	if peak, ok := peakMemory(); ok {
		b.keep("peak memory of this command", "MB", []float64{float64(peak) / 1e6})
	}
	r.Measured = b.out
	return c.toOutput(r.writer(c.json))
}

// benchTasks measures whole runs through a session, with the model's defaults and first examples.
func (c *call) benchTasks(ctx context.Context, b *bench) error {
	m, err := c.load(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	for _, task := range []engine.Task{engine.Chat, engine.TextToImage} {
		if !m.spec.Can(task) || len(m.spec.Examples[task]) == 0 {
			continue
		}
		prompt := m.spec.Examples[task][0]
		b.note("%s %q", task, prompt)
		var seconds, rate []float64
		var s engine.Stats
		for i := range b.repeats + 1 {
			o := m.spec.Defaults[task]
			o.Previews = false
			out, err := c.denoise(ctx, m, engine.Job{Task: task, Messages: []engine.Message{{Role: "user", Text: prompt}}, Options: o})
			if err != nil {
				return err
			}
			if s = out.finished().Stats; i > 0 {
				seconds, rate = append(seconds, s.Wall.Seconds()), append(rate, s.TokensPerSecond())
			}
		}
		note := fmt.Sprintf("%d steps, %d forward passes, %d tokens", s.Steps, s.NFE, s.Tokens)
		b.keep(string(task)+", whole", "s", seconds).Note = note
		b.keep(string(task)+", rate", "tokens/s", rate)
	}
	return nil
}

// benchStart measures the program from start to a loaded model, in a child process.
func (c *call) benchStart(ctx context.Context, b *bench) error {
	var ms, mb []float64
	for i := range min(b.repeats, 5) + 1 {
		b.note("start-up, %d", i)
		took, peak, err := c.startChild(ctx)
		if err != nil {
			return fmt.Errorf("start-up: %w", err)
		}
		if i == 0 {
			continue
		}
		ms = append(ms, float64(took.Microseconds())/1e3)
		if peak > 0 {
			mb = append(mb, float64(peak)/1e6)
		}
	}
	b.keep("start-up to a loaded model", "ms", ms).Note = "unmask models --json"
	if len(mb) > 0 {
		b.keep("memory after loading, peak", "MB", mb)
	}
	return nil
}

func (r *benchResult) print(t *tabwriter.Writer) error {
	fmt.Fprintf(t, "%s: %s parameters, %s, %s of memory\n%s, kernels %s, %d threads\n\n", r.Model, count(r.Params), r.DType, size(r.Bytes), r.Device, r.Kernels, r.Threads)
	fmt.Fprintln(t, "what\tmedian\tmin\tmax\tunit\tn\t")
	for _, m := range r.Measured {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", m.Name, figure(m.Median), figure(m.Min), figure(m.Max), m.Unit, m.N, m.Note)
	}
	return t.Flush()
}

// figure writes a number with three significant digits.
func figure(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}
