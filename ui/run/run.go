// Package run accumulates the events of one denoising run and gives the state after any step of it, forward and back, while
// the run goes and after it. It is plain data: no engine calls, no clock, no goroutine. Panes, the denoising canvas, the
// time line, the heat map and the export of animations all read a run through it, so that they agree.
//
// Steps are counted as people count them: step 0 is the start, before the first forward pass; step n is the state after n
// forward passes. The engine's Step.Index i is step i+1 here.
package run

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"sort"
	"time"

	"unmask/engine"
)

// checkpointEvery is the distance in steps between two stored states; At applies at most this many steps.
const checkpointEvery = 16

// previewBudget bounds the pixels kept for scrubbing, in bytes. Above it every second older preview is dropped.
const previewBudget = 96 << 20

// MaxPositions bounds the sequence that a run accepts. Larger ones come from broken traces.
const MaxPositions = 1 << 20

// Run is one run as far as it is known. The zero value is empty and ready for Add. It is owned by one goroutine.
type Run struct {
	started  *engine.Started
	finished *engine.Finished
	err      error

	steps       []engine.Step
	info        []StepInfo
	last        State // after all steps
	checkpoints []State
	previews    []preview
	bytes       int
	version     int
}

type preview struct {
	step int
	img  *image.NRGBA
}

// StepInfo sums up one step for the time line.
type StepInfo struct {
	Step      int // 1 is the first
	Block     engine.Span
	Changed   int     // positions changed
	Unmasked  int     // of them, mask to token
	Remasked  int     // of them, token to mask
	Edited    int     // of them, token to token
	Mean      float32 // mean probability of the tokens written, 0 when none was
	Masked    int     // left after the step
	NFE       int
	Took      time.Duration // forward and select
	Until     time.Duration // sum of Took up to and with this step
	BlockEdge bool          // the first step of a block
}

// Add takes the next event. An event that contradicts what came before (a position outside the sequence, a step before
// Started, a second Started) is refused with an error and changes nothing, so events of an untrusted trace are safe.
func (r *Run) Add(ev engine.Event) error {
	switch e := ev.(type) {
	case *engine.Started:
		return r.start(e)
	case engine.Step:
		return r.step(e)
	case *engine.Preview:
		return r.preview(e)
	case *engine.Finished:
		if r.started == nil {
			return errors.New("run: finished before it started")
		}
		r.finished = e
		r.version++
		return nil
	default:
		return fmt.Errorf("run: event %T is unknown", ev)
	}
}

// Fail records that the run ended with an error; cancelled runs end so too. What was unmasked stays.
func (r *Run) Fail(err error) { r.err = err; r.version++ }

// Err is the error of Fail, or nil.
func (r *Run) Err() error { return r.err }

// Done reports whether no further event will come: the run finished, failed or was stopped.
func (r *Run) Done() bool { return r.finished != nil || r.err != nil }

// Version grows with every change, so that a view can tell in O(1) whether it is up to date.
func (r *Run) Version() int { return r.version }

// Started is the first event, nil before it came.
func (r *Run) Started() *engine.Started { return r.started }

// Finished is the last event, nil unless the run came to its end.
func (r *Run) Finished() *engine.Finished { return r.finished }

// Len is the number of steps made so far.
func (r *Run) Len() int { return len(r.steps) }

// Planned is the number of steps that the run expects to make; at least Len. Once it is done it is Len.
func (r *Run) Planned() int {
	if r.started == nil || r.Done() {
		return len(r.steps)
	}
	return max(r.started.Steps, len(r.steps))
}

// Positions is the length L of the sequence, 0 before the run started.
func (r *Run) Positions() int { return len(r.last.Cells) }

// Step is the n-th step, n in [1, Len].
func (r *Run) Step(n int) engine.Step { return r.steps[n-1] }

// Infos lists all steps made so far, shared with r: read only, valid until the next Add.
func (r *Run) Infos() []StepInfo { return r.info }

// Elapsed is the time that the first n steps took together; n is clamped to [0, Len].
func (r *Run) Elapsed(n int) time.Duration {
	n = min(n, len(r.info))
	if n <= 0 {
		return 0
	}
	return r.info[n-1].Until
}

// Preview is the picture after step n: the newest one decoded at or before it, nil if there is none. The exact step of
// the picture is returned too. Before the first preview the source picture of a run over a picture is not substituted;
// see Source.
func (r *Run) Preview(n int) (*image.NRGBA, int) {
	i := sort.Search(len(r.previews), func(i int) bool { return r.previews[i].step > n })
	if i == 0 {
		return nil, 0
	}
	return r.previews[i-1].img, r.previews[i-1].step
}

// Source is the picture that the run started from, as the engine saw it, or nil.
func (r *Run) Source() image.Image {
	if r.started == nil {
		return nil
	}
	return r.started.Source
}

// Mark is one change of a position in the past of a run.
type Mark struct {
	Step int // 1 is the first
	engine.Change
}

// History lists every change of position pos up to step n, oldest first.
func (r *Run) History(pos, n int) []Mark {
	var out []Mark
	for i, s := range r.steps[:min(max(n, 0), len(r.steps))] {
		j, ok := slices.BinarySearchFunc(s.Changes, pos, func(c engine.Change, p int) int { return c.Pos - p })
		if ok {
			out = append(out, Mark{Step: i + 1, Change: s.Changes[j]})
		}
	}
	return out
}

func (r *Run) start(e *engine.Started) error {
	if r.started != nil {
		return errors.New("run: started twice")
	}
	if e.Sequence == nil || len(e.Sequence.Tokens) == 0 {
		return errors.New("run: started without a sequence")
	}
	l := len(e.Sequence.Tokens)
	switch {
	case l > MaxPositions:
		return fmt.Errorf("run: sequence has %d positions, at most %d are allowed", l, MaxPositions)
	case len(e.Sequence.Fixed) != l:
		return fmt.Errorf("run: sequence has %d tokens and %d fixed flags", l, len(e.Sequence.Fixed))
	case len(e.Texts) != 0 && len(e.Texts) != l:
		return fmt.Errorf("run: sequence has %d tokens and %d texts", l, len(e.Texts))
	case e.Answer.Lo < 0 || e.Answer.Hi > l || e.Answer.Lo > e.Answer.Hi:
		return fmt.Errorf("run: answer [%d, %d) is outside the sequence of %d positions", e.Answer.Lo, e.Answer.Hi, l)
	}
	for _, s := range e.Sequence.Spans {
		if s.Lo < 0 || s.Hi > l || s.Lo > s.Hi {
			return fmt.Errorf("run: span [%d, %d) is outside the sequence of %d positions", s.Lo, s.Hi, l)
		}
	}
	if g := e.Grid; g.Cols < 0 || g.Rows < 0 || g.Cols > l || g.Rows > l || g.Cols*g.Rows > l {
		return fmt.Errorf("run: grid of %d by %d cells in a sequence of %d positions", e.Grid.Cols, e.Grid.Rows, l)
	}
	r.started = e
	r.last = initial(e)
	r.checkpoints = []State{r.last.Clone()}
	r.version++
	return nil
}

func (r *Run) step(s engine.Step) error {
	if r.started == nil {
		return errors.New("run: step before the run started")
	}
	l := len(r.last.Cells)
	for i, c := range s.Changes {
		if c.Pos < 0 || c.Pos >= l {
			return fmt.Errorf("run: step %d changes position %d of %d", s.Index, c.Pos, l)
		}
		if c.Kind > engine.Edit {
			return fmt.Errorf("run: step %d has a change of kind %d", s.Index, c.Kind)
		}
		if i > 0 && c.Pos <= s.Changes[i-1].Pos {
			return fmt.Errorf("run: step %d lists position %d after %d", s.Index, c.Pos, s.Changes[i-1].Pos)
		}
	}
	n := len(r.steps) + 1
	r.steps = append(r.steps, s)
	r.last.apply(n, &s)
	r.info = append(r.info, r.sum(n, &s))
	if n%checkpointEvery == 0 {
		r.checkpoints = append(r.checkpoints, r.last.Clone())
	}
	r.version++
	return nil
}

func (r *Run) sum(n int, s *engine.Step) StepInfo {
	in := StepInfo{Step: n, Block: s.Block, Changed: len(s.Changes), Masked: s.Masked, NFE: s.NFE, Took: s.Forward + s.Select}
	var p float64
	for _, c := range s.Changes {
		switch c.Kind {
		case engine.Unmask:
			in.Unmasked++
		case engine.Remask:
			in.Remasked++
		case engine.Edit:
			in.Edited++
		}
		if c.Kind != engine.Remask {
			p += float64(c.Prob)
		}
	}
	if w := in.Unmasked + in.Edited; w > 0 {
		in.Mean = float32(p / float64(w))
	}
	in.Until = in.Took
	in.BlockEdge = true
	if n > 1 {
		prev := r.info[n-2]
		in.Until += prev.Until
		in.BlockEdge = prev.Block != s.Block
	}
	return in
}

func (r *Run) preview(e *engine.Preview) error {
	if r.started == nil {
		return errors.New("run: preview before the run started")
	}
	if e.Image == nil {
		return fmt.Errorf("run: preview of step %d without a picture", e.Step)
	}
	n := e.Step + 1
	if k := len(r.previews); k > 0 && r.previews[k-1].step >= n {
		return fmt.Errorf("run: preview of step %d after that of step %d", e.Step, r.previews[k-1].step-1)
	}
	r.previews = append(r.previews, preview{n, e.Image})
	r.bytes += len(e.Image.Pix)
	for r.bytes > previewBudget && len(r.previews) > 4 {
		r.thin()
	}
	r.version++
	return nil
}

// thin drops every second preview, never the first or the last.
func (r *Run) thin() {
	kept := r.previews[:0]
	last := len(r.previews) - 1
	r.bytes = 0
	for i, p := range r.previews {
		if i == last || i%2 == 0 {
			kept = append(kept, p)
			r.bytes += len(p.img.Pix)
		}
	}
	clear(r.previews[len(kept):])
	r.previews = kept
}
