package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"unmask/engine"
	"unmask/engine/trace"
)

type replayFlags struct {
	recorded bool
	film     film
	branch   runOnFlags
}

func cmdReplay() *command {
	return &command{
		name: "replay", args: "FILE", short: "make a recorded run again and say whether it is bit-equal",
		long: `FILE is a trace (--trace) or a picture that the program wrote. The same job runs again on the same
model, and tokens, steps and picture are compared: exit code 0 when all are equal, 1 when something differs. With
-o FILE.gif or FILE.png it exports the animation of the run, or a sheet of its steps.

  unmask replay cat.png
  unmask replay cat.png -o cat.gif
  unmask replay --recorded answer.unmask -o answer.gif

With --run-on it goes on from a step instead, with what is changed there and with other settings where they are given;
positions count from the answer's first:

  unmask replay answer.unmask --run-on --at 20 --pin "4= small" --remask 9-12 --sampler margin --trace branch.unmask`,
		takes: takesModel | takesJob | takesOutput | takesJSON | takesTrace,
		setup: func(c *call) {
			f := &replayFlags{}
			c.own = f
			c.fs.BoolVar(&f.recorded, "recorded", false, "do not run anything: export or show what the file holds")
			f.film.flags(c.fs)
			f.branch.flags(c.fs)
		},
		run: runReplay,
	}
}

// replayed is what --json prints.
type replayed struct {
	File       string      `json:"file"`
	Task       engine.Task `json:"task"`
	Prompt     string      `json:"prompt"`
	Model      string      `json:"model"`
	Hash       string      `json:"hash"`
	Steps      int         `json:"steps"`
	NFE        int         `json:"nfe"`
	Equal      *bool       `json:"equal,omitempty"` // absent when nothing was run
	Difference string      `json:"difference,omitempty"`
	Output     string      `json:"output,omitempty"`
}

func runReplay(ctx context.Context, c *call) error {
	f := c.own.(*replayFlags)
	if len(c.args) != 1 {
		return usagef("replay takes one file, got %d arguments", len(c.args))
	}
	if !f.branch.on && (f.branch.at >= 0 || len(f.branch.deeds) > 0 || len(c.job.has) > 0 || len(c.job.params) > 0) {
		return usagef("replay: a step, changes and settings go with --run-on")
	}
	if f.recorded && f.branch.on {
		return usagef("replay: --recorded runs nothing that could run on")
	}
	if err := c.checkPictureName(); err != nil {
		return err
	}
	if f.recorded && c.trace != "" {
		return usagef("replay: --recorded runs nothing that --trace could record")
	}
	rec, damage := trace.ReadFile(c.args[0])
	if rec == nil || rec.Started == nil {
		return damage
	}
	if damage != nil { // the part up to there is sound
		fmt.Fprintf(c.err, "unmask: %v; going on with the %d steps before that\n", damage, len(rec.Steps))
	}
	if f.branch.on {
		return c.runOn(ctx, rec, &f.branch)
	}
	r := replayed{File: c.args[0], Task: rec.Started.Job.Task, Prompt: lastPrompt(rec.Started.Job), Model: rec.Started.Spec.Name,
		Hash: rec.Started.Spec.Hash, Steps: len(rec.Steps)}
	if n := len(rec.Steps); n > 0 {
		r.NFE = rec.Steps[n-1].NFE
	}
	shown, err := outcomeOf(rec)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	if !f.recorded {
		again, err := c.rerun(ctx, rec)
		if err != nil {
			return err
		}
		if r.Difference = difference(rec, &again.rec); r.Difference == "" && damage != nil {
			r.Difference = fmt.Sprintf("the first %d steps are equal, then the file is damaged", len(rec.Steps))
		}
		equal := r.Difference == ""
		r.Equal = &equal
		shown = again
	}
	if c.output != "" {
		if err := c.export(shown, f.film); err != nil {
			return err
		}
		r.Output = c.output
	}
	return c.printReplayed(&r)
}

// makesPicture reports whether a task's result is a picture.
func makesPicture(t engine.Task) bool {
	return t == engine.TextToImage || t == engine.Inpaint || t == engine.Outpaint || t == engine.EditImage
}

// outcomeOf is a recorded run as if it had just been made.
func outcomeOf(rec *trace.Run) (*outcome, error) {
	o := newOutcome(rec.Started.Spec)
	p := &trace.Player{Recorded: rec}
	for ev, err := range p.Run(context.Background(), rec.Job()) {
		if err != nil {
			o.run.Fail(err)
			break
		}
		if err := o.add(ev); err != nil {
			return nil, err
		}
	}
	o.rec.Header = rec.Header
	if n := len(rec.Steps); n > 0 && len(rec.Previews) == 0 && o.finished() != nil && o.finished().Image != nil {
		// without recorded previews an animation shows the picture at its end
		if err := o.run.Add(&engine.Preview{Step: rec.Steps[n-1].Index, Image: o.finished().Image}); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// rerun makes the recorded job again, with the arithmetic that was recorded unless another is asked for.
func (c *call) rerun(ctx context.Context, rec *trace.Run) (*outcome, error) {
	return c.rerunJob(ctx, rec, rec.Job())
}

// rerunJob makes a job on the model that made rec.
func (c *call) rerunJob(ctx context.Context, rec *trace.Run, job engine.Job) (*outcome, error) {
	if c.cfg.DType == "" {
		c.cfg.DType = rec.Started.Spec.DType
	}
	m, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if want, have := rec.Started.Spec.Hash, m.spec.Hash; want != have {
		return nil, fmt.Errorf("%s was made by the model %s (sha256 %.12s); the loaded one is %s (sha256 %.12s); name the right one with --model",
			c.args[0], rec.Started.Spec.Name, want, m.spec.Name, have)
	}
	if makesPicture(job.Task) && (c.output != "" || c.trace != "") {
		job.Options.Previews = true // changes no token
	}
	o, err := c.denoise(ctx, m, job)
	if err != nil && (o == nil || rec.Finished != nil || o.run.Len() == 0 || errors.Is(err, context.Canceled)) {
		return nil, err
	}
	return o, nil
}

// difference compares the runs. A recorded run that was stopped is compared as far as it goes.
func difference(rec, again *trace.Run) string {
	if rec.Finished == nil && len(again.Steps) >= len(rec.Steps) {
		short := *again
		short.Steps, short.Finished, short.Reason = again.Steps[:len(rec.Steps)], nil, rec.Reason
		again = &short
	}
	return trace.Diff(rec, again)
}

// export writes the animation or the sheet of a run.
func (c *call) export(o *outcome, look film) error {
	if o.run.Started() == nil {
		return errors.New("there is nothing to export")
	}
	if c.output == "-" {
		return usagef("-o: an animation is written to a file, .gif or .png")
	}
	return writeFile(c.output, func(w io.Writer) error {
		if strings.EqualFold(filepath.Ext(c.output), ".png") {
			return writeSheet(w, o.run, c.cfg, look)
		}
		return writeAnimation(w, o.run, c.cfg, look)
	})
}

func (c *call) printReplayed(r *replayed) error {
	if c.json {
		if err := writeJSON(c.out, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.out, "%s: %s, %q, %d steps, %d forward passes, model %s (sha256 %.12s)\n", r.File, r.Task, r.Prompt, r.Steps, r.NFE, r.Model, r.Hash)
		switch {
		case r.Equal == nil:
		case *r.Equal:
			fmt.Fprintln(c.out, "run again: bit-equal, every token of every step and the result")
		default:
			fmt.Fprintf(c.out, "run again: it differs: %s\n", r.Difference)
		}
		if r.Output != "" {
			fmt.Fprintln(c.out, r.Output)
		}
	}
	if r.Equal != nil && !*r.Equal {
		return errReported
	}
	return nil
}
