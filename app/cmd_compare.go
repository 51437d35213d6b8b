package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/trace"
	"unmask/ui/run"
)

// maxColumns bounds how many samplers one comparison runs.
const maxColumns = 16

type compareFlags struct {
	samplers string
	paint    bool
}

func cmdCompare() *command {
	return &command{
		name: "compare", args: "PROMPT", short: "run several samplers on one prompt and seed",
		long: `Prints one line a sampler: steps, forward passes, time, tokens a second, and the share of the
answer's positions that are equal to the first one's.

  unmask compare "Who are you?" --samplers low_confidence,margin,threshold
  unmask compare --paint "a cat on a blue background" --samplers maskgit,random -o cats.png`,
		task: engine.Chat, takes: takesModel | takesJob | takesOutput | takesJSON,
		setup: func(c *call) {
			f := &compareFlags{}
			c.own = f
			c.fs.StringVar(&f.samplers, "samplers", "", "`NAMES` with commas between (default: all)")
			c.fs.BoolVar(&f.paint, "paint", false, "draw the prompt instead of answering it")
		},
		run: runCompare,
	}
}

// column is one sampler's part of a comparison.
type column struct {
	report
	Sampler   string  `json:"sampler"`
	Agreement float64 `json:"agreement"` // with the first column, in [0, 1]
}

func runCompare(ctx context.Context, c *call) error {
	f := c.own.(*compareFlags)
	text, err := c.onePrompt()
	if err != nil {
		return err
	}
	names, err := compared(f.samplers)
	if err != nil {
		return err
	}
	if c.job.has["sampler"] {
		return usagef("compare takes --samplers, not --sampler")
	}
	task := engine.Chat
	if f.paint {
		task = engine.TextToImage
		if err := c.checkPictureName(); err != nil {
			return err
		}
	}
	m, err := c.load(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	var columns []column
	var first *outcome
	for _, name := range names {
		o, err := c.column(ctx, m, task, text, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if first == nil {
			first = o
		}
		if f.paint && c.output != "" {
			ext := filepath.Ext(c.output)
			o.path = strings.TrimSuffix(c.output, ext) + "-" + name + ext
			if err := writeFile(o.path, func(w io.Writer) error {
				return trace.EncodePNG(w, o.finished().Image, &o.rec)
			}); err != nil {
				return err
			}
		}
		columns = append(columns, column{c.report(o), name, agreement(first.run, o.run)})
	}
	if f.paint {
		return c.printColumns(c.out, columns)
	}
	return c.toOutput(func(w io.Writer) error { return c.printColumns(w, columns) })
}

// compared are the samplers of a comma-separated list, all of them where it is empty.
func compared(list string) ([]string, error) {
	if list == "" {
		return samplerNames(), nil
	}
	names := strings.Split(list, ",")
	if len(names) > maxColumns {
		return nil, usagef("--samplers: %d samplers, at most %d are compared", len(names), maxColumns)
	}
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
		if _, err := sample.Find(names[i]); err != nil {
			return nil, usagef("--samplers: %q is not one of %s", clip(names[i]), strings.Join(samplerNames(), ", "))
		}
	}
	return names, nil
}

func (c *call) column(ctx context.Context, m *model, task engine.Task, text, sampler string) (*outcome, error) {
	base, err := c.base(m.spec, task)
	if err != nil {
		return nil, err
	}
	o := c.job.optionsFor(base, sampler)
	o.Previews = false
	return c.denoise(ctx, m, engine.Job{Task: task, Messages: []engine.Message{{Role: "user", Text: text}}, Options: o, Words: c.job.words})
}

// agreement is the share of the answer's positions that hold the same token in both finished runs.
func agreement(a, b *run.Run) float64 {
	x, y := a.At(a.Len()), b.At(b.Len())
	n, same := 0, 0
	for p := x.Answer.Lo; p < x.Answer.Hi && p < len(y.Cells); p++ {
		if x.Cells[p].Fixed {
			continue
		}
		n++
		if x.Cells[p].Token == y.Cells[p].Token {
			same++
		}
	}
	if n == 0 {
		return 1
	}
	return float64(same) / float64(n)
}

func (c *call) printColumns(w io.Writer, columns []column) error {
	if c.json {
		return writeJSON(w, columns)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "sampler\tsteps\tpasses\ttime\ttokens/s\tagree\tresult")
	for _, x := range columns {
		result := oneLine(x.Text)
		if x.Picture != "" {
			result = x.Picture
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%.0f\t%.0f %%\t%s\n", x.Sampler, x.Steps, x.NFE,
			time.Duration(x.Seconds*1e9).Round(time.Millisecond), x.TokensPerSecond, 100*x.Agreement, result)
	}
	return t.Flush()
}
