package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"unmask/engine"
	"unmask/engine/trace"
	"unmask/ui/run"
)

// outcome is a run with everything that it yielded.
type outcome struct {
	spec engine.Spec
	run  *run.Run  // to show it
	rec  trace.Run // to keep it
	path string    // file of the result, "" when none was written
}

func newOutcome(spec engine.Spec) *outcome {
	return &outcome{spec: spec, run: &run.Run{}, rec: trace.Run{Header: header()}}
}

// header is the header of a run that is made now.
func header() trace.Header {
	return trace.Header{Version: trace.Version, Program: "unmask " + version, Created: time.Now().UTC().Truncate(time.Second)}
}

// add takes the next event.
func (o *outcome) add(ev engine.Event) error {
	if err := o.run.Add(ev); err != nil {
		return err
	}
	switch e := ev.(type) {
	case *engine.Started:
		o.rec.Started = e
	case engine.Step:
		o.rec.Steps = append(o.rec.Steps, e)
	case *engine.Preview:
		o.rec.Previews = append(o.rec.Previews, e)
	case *engine.Finished:
		o.rec.Finished = e
	}
	return nil
}

// finished is the last event; an outcome that [call.denoise] returns without error has one.
func (o *outcome) finished() *engine.Finished { return o.run.Finished() }

// model is an open session with its loaded model.
type model struct {
	engine.Session
	spec engine.Spec
}

// load opens the session that the configuration asks for and loads its model.
func (c *call) load(ctx context.Context) (*model, error) {
	c.given(c.cmd.task)
	s, err := openSession(c.cfg, c.log)
	if err != nil {
		return nil, err
	}
	spec, err := s.Load(ctx, c.cfg.ref(), nil)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &model{s, spec}, nil
}

// base are the options of a task without those given on the command line: the model's defaults, or the preset named.
func (c *call) base(spec engine.Spec, task engine.Task) (engine.Options, error) {
	if !spec.Can(task) {
		return engine.Options{}, &engine.UnsupportedError{What: fmt.Sprintf("%s with the model %s", task, spec.Name), Have: taskNames(spec.Tasks)}
	}
	if c.job.preset != "" {
		return findPreset(spec, task, c.job.preset)
	}
	return spec.Defaults[task], nil
}

// options are the options of a task with those given on the command line.
func (c *call) options(spec engine.Spec, task engine.Task) (engine.Options, error) {
	base, err := c.base(spec, task)
	if err != nil {
		return base, err
	}
	return c.job.options(base)
}

func taskNames(ts []engine.Task) string {
	var n []string
	for _, t := range ts {
		n = append(n, string(t))
	}
	return strings.Join(n, ", ")
}

// denoise runs one job and keeps its events, in the file of --trace too, as they come. A run that is stopped or fails
// keeps what it made: the outcome is returned beside the error.
func (c *call) denoise(ctx context.Context, m *model, job engine.Job) (*outcome, error) {
	o := newOutcome(m.spec)
	var rec *trace.Writer
	if c.trace != "" {
		var err error
		if rec, err = trace.Create(c.trace, o.rec.Program); err != nil {
			return o, err
		}
	}
	err := c.follow(m.Run(ctx, job), o, rec)
	if err != nil {
		o.run.Fail(err)
	}
	if rec != nil {
		if err != nil {
			err = errors.Join(err, rec.End(err))
		}
		err = errors.Join(err, rec.Close())
	}
	if err == nil && o.finished() == nil {
		err = errors.New("the run ended without a result")
	}
	return o, err
}

// follow passes the events of a run on to the outcome, the trace and the screen.
func (c *call) follow(events iter.Seq2[engine.Event, error], o *outcome, rec *trace.Writer) error {
	for ev, err := range events {
		if err != nil {
			return err
		}
		if err := o.add(ev); err != nil {
			return err
		}
		if rec != nil {
			if err := rec.Write(ev); err != nil {
				return err
			}
		}
		if c.watch {
			if err := c.show(o, ev); err != nil {
				return err
			}
		}
	}
	return nil
}

// show prints one event: a JSON line, or what the answer looks like after a step.
func (c *call) show(o *outcome, ev engine.Event) error {
	if c.json {
		return c.showJSON(ev)
	}
	s, ok := ev.(engine.Step)
	if !ok {
		return nil
	}
	st := o.run.At(o.run.Len())
	_, err := fmt.Fprintf(c.err, "%3d/%-3d %4d masked  %s\n", o.run.Len(), o.run.Planned(), s.Masked, picture(&st))
	return err
}

// picture is the answer after a step on one line: the words, and a block for every mask. Of a picture it is a bar.
func picture(st *run.State) string {
	if st.Grid.Cols > 0 {
		const width = 40
		n := st.Image.Len()
		done := 0
		if n > 0 {
			done = width * (n - st.Masked) / n
		}
		return strings.Repeat("█", max(done, 0)) + strings.Repeat("▒", width-max(done, 0))
	}
	var b strings.Builder
	for p := st.Answer.Lo; p < st.Answer.Hi; p++ {
		switch cell := &st.Cells[p]; {
		case st.IsEnd(p):
			return oneLine(b.String())
		case cell.Masked:
			b.WriteString("▒")
		default:
			b.WriteString(cell.Text)
		}
	}
	return oneLine(b.String())
}

// printable drops control characters but line feed and tab: an answer must not steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// oneLine puts a text on one line and drops what would steer a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return '⏎'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func (c *call) showJSON(ev engine.Event) error {
	line := map[string]any{}
	switch e := ev.(type) {
	case *engine.Started:
		line["started"] = e
	case engine.Step:
		line["step"] = e
	case *engine.Preview:
		line["preview"] = e.Step
	case *engine.Finished:
		return nil // the result follows
	}
	return json.NewEncoder(c.out).Encode(line)
}

// report is what --json prints of a finished run, and what is kept beside a picture.
type report struct {
	Task            engine.Task    `json:"task"`
	Model           string         `json:"model"`
	Hash            string         `json:"hash"`
	Device          string         `json:"device"`
	Prompt          string         `json:"prompt"`
	Options         engine.Options `json:"options"`
	Text            string         `json:"text,omitempty"`
	Think           string         `json:"think,omitempty"`
	Picture         string         `json:"picture,omitempty"` // file
	Trace           string         `json:"trace,omitempty"`   // file
	Steps           int            `json:"steps"`
	NFE             int            `json:"nfe"`
	Tokens          int            `json:"tokens"`
	Seconds         float64        `json:"seconds"`
	TokensPerSecond float64        `json:"tokens_per_second"`
}

// report sums up a finished outcome.
func (c *call) report(o *outcome) report {
	f, st := o.finished(), o.run.Started()
	return report{
		Task: st.Job.Task, Model: o.spec.Name, Hash: o.spec.Hash, Device: o.spec.Device,
		Prompt: lastPrompt(st.Job), Options: st.Job.Options,
		Text: f.Text, Think: f.Think, Picture: o.path, Trace: c.trace,
		Steps: f.Stats.Steps, NFE: f.Stats.NFE, Tokens: f.Stats.Tokens,
		Seconds: f.Stats.Wall.Seconds(), TokensPerSecond: f.Stats.TokensPerSecond(),
	}
}

func lastPrompt(j engine.Job) string {
	for i := len(j.Messages) - 1; i >= 0; i-- {
		if r := j.Messages[i].Role; r == "user" || r == "" {
			return j.Messages[i].Text
		}
	}
	return ""
}

// finishText prints a text result, or writes it to the file of -o.
func (c *call) finishText(o *outcome) error {
	r := c.report(o)
	return c.toOutput(func(w io.Writer) error {
		if c.json {
			return writeJSON(w, r)
		}
		if r.Think != "" {
			if _, err := fmt.Fprintf(c.err, "thinking: %s\n", printable(strings.TrimSpace(r.Think))); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(w, printable(r.Text)); err != nil {
			return err
		}
		return c.figures(o)
	})
}

// figures prints the run's figures on the error stream, for people.
func (c *call) figures(o *outcome) error {
	s := o.finished().Stats
	_, err := fmt.Fprintf(c.err, "%d steps, %d forward passes, %d tokens in %s, %.0f tokens/s, seed %d\n",
		s.Steps, s.NFE, s.Tokens, s.Wall.Round(time.Millisecond), s.TokensPerSecond(), o.run.Started().Job.Options.Seed)
	return err
}

// toOutput gives f the file of -o, or standard output.
func (c *call) toOutput(f func(w io.Writer) error) error {
	if c.output == "" || c.output == "-" {
		return f(c.out)
	}
	return writeFile(c.output, f)
}

// writeFile writes a file whole or not at all: f's bytes go to a new file beside it, which takes its name at the end.
func writeFile(path string, f func(w io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = f(tmp)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// writeJSON prints v indented.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// freeName is name, or name with a number where that file exists, so that no result is overwritten unasked.
func freeName(name string) string {
	ext := filepath.Ext(name)
	base := strings.TrimSuffix(name, ext)
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d%s", base, i, ext)
	}
}
