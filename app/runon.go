package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"unmask/engine"
	"unmask/engine/trace"
	"unmask/ui/state"
)

// runOnFlags say from which step a recorded run goes on, and what is changed there.
type runOnFlags struct {
	on    bool
	at    int
	deeds []state.Deed
}

// flags registers the flags. Positions count from the answer's first.
func (f *runOnFlags) flags(fs *flag.FlagSet) {
	f.at = -1
	fs.BoolVar(&f.on, "run-on", false, "run on from the step --at, with --pin, --keep, --remask and the settings given here, instead of comparing")
	fs.Func("at", "`STEP` of the recorded run to go on from; 0 is its start (default: its last)", func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a step", clip(v))
		}
		f.at = n
		return nil
	})
	fs.Func("pin", "`POS=TEXT`: put a text at a position of the answer, where no step writes over it; may be given again", func(v string) error {
		number, text, ok := strings.Cut(v, "=")
		pos, err := strconv.Atoi(number)
		if !ok || err != nil || pos < 0 || text == "" {
			return fmt.Errorf("%q is not POSITION=TEXT", clip(v))
		}
		f.deeds = append(f.deeds, state.Deed{Pos: pos, Kind: engine.ActType, Text: text})
		return nil
	})
	f.span(fs, "keep", "`FROM-TO`: keep what stands at these positions of the answer; may be given again", engine.ActPin)
	f.span(fs, "remask", "`FROM-TO`: mask these positions of the answer again; may be given again", engine.ActRemask)
}

// maxSpan bounds the positions that one flag names.
const maxSpan = 1 << 16

func (f *runOnFlags) span(fs *flag.FlagSet, name, doc string, kind engine.ActKind) {
	fs.Func(name, doc, func(v string) error {
		a, b, ok := strings.Cut(v, "-")
		if !ok {
			b = a
		}
		lo, err := strconv.Atoi(a)
		hi, err2 := strconv.Atoi(b)
		if err != nil || err2 != nil || lo < 0 || hi < lo || hi-lo >= maxSpan {
			return fmt.Errorf("%q is not FIRST-LAST", clip(v))
		}
		for p := lo; p <= hi; p++ {
			f.deeds = append(f.deeds, state.Deed{Pos: p, Kind: kind})
		}
		return nil
	})
}

// runOn goes on from a step of rec, on the model that made it, and prints or writes the result as the task's command does.
func (c *call) runOn(ctx context.Context, rec *trace.Run, f *runOnFlags) error {
	shown, err := outcomeOf(rec)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	at := f.at
	if at < 0 {
		at = len(rec.Steps)
	}
	if at > len(rec.Steps) {
		return usagef("--at %d: %s has %d steps", at, c.args[0], len(rec.Steps))
	}
	st, s := rec.Started, shown.run.At(at)
	b := state.Branch{Run: filepath.Base(c.args[0]), Step: at}
	for _, d := range f.deeds {
		d.Pos += st.Answer.Lo
		if d.Pos >= st.Answer.Hi || s.Cells[d.Pos].Fixed {
			return usagef("position %d is fixed or outside the answer, which has %d", d.Pos-st.Answer.Lo, st.Answer.Len())
		}
		cell := &s.Cells[d.Pos]
		if d.Kind == engine.ActPin {
			if cell.Masked {
				return usagef("--keep %d: it is masked at step %d", d.Pos-st.Answer.Lo, at)
			}
			d.Token, d.Text = cell.Token, cell.Text
		}
		d.Was = cell.Text
		b.Done = append(b.Done, []state.Deed{d})
	}
	job := b.Job(&s, st)
	if job.Options, err = c.job.options(job.Options); err != nil {
		return err
	}
	if makesPicture(job.Task) && c.output == "" {
		return usagef("replay --run-on of a picture needs -o FILE.png")
	}
	o, err := c.rerunJob(ctx, rec, job)
	if err != nil {
		return err
	}
	if !makesPicture(job.Task) {
		return c.finishText(o)
	}
	if o.finished() == nil || o.finished().Image == nil {
		return errors.New("the run ended without a picture")
	}
	o.path = c.output
	if err := writeFile(c.output, func(w io.Writer) error { return trace.EncodePNG(w, o.finished().Image, &o.rec) }); err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.out, c.report(o))
	}
	fmt.Fprintln(c.out, c.output)
	return c.figures(o)
}
