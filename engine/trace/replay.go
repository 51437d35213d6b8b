package trace

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"unmask/engine"
)

// Player is an [engine.Session] that yields a recorded run again, whatever the job. It needs no model. One goroutine at a
// time.
type Player struct {
	Recorded *Run
	// Speed is the pace in parts of the recorded one: 1 takes as long as the run did, 2 half as long. 0 does not wait.
	Speed float64
}

var _ engine.Session = (*Player)(nil)

// Load returns the recorded model's description.
func (p *Player) Load(context.Context, engine.ModelRef, func(done, total int64)) (engine.Spec, error) {
	return p.Recorded.Started.Spec, nil
}

// Run yields the recorded events. A run that did not finish ends with an error: the recorded reason, or
// io.ErrUnexpectedEOF when the record was cut off.
func (p *Player) Run(ctx context.Context, _ engine.Job) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		r := p.Recorded
		if !yield(r.Started, nil) {
			return
		}
		next := 0
		for _, s := range r.Steps {
			if err := p.wait(ctx, s.Forward+s.Select); err != nil {
				yield(nil, err)
				return
			}
			if !yield(s, nil) {
				return
			}
			for ; next < len(r.Previews) && r.Previews[next].Step <= s.Index; next++ {
				if !yield(r.Previews[next], nil) {
					return
				}
			}
		}
		switch {
		case r.Finished != nil:
			yield(r.Finished, nil)
		case r.Reason != "":
			yield(nil, errors.New(r.Reason))
		default:
			yield(nil, io.ErrUnexpectedEOF)
		}
	}
}

// wait blocks for the recorded time d at the pace, or until ctx ends.
func (p *Player) wait(ctx context.Context, d time.Duration) error {
	if p.Speed <= 0 || d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(time.Duration(float64(d) / p.Speed))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Close does nothing.
func (p *Player) Close() error { return nil }
