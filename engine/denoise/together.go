package denoise

import (
	"context"
	"iter"

	"unmask/engine"
)

// Part is one of several processes over the same tokens.
type Part struct {
	Process interface {
		engine.Process
		Passes(seq *engine.Sequence, o engine.Options) (int, error)
	}
	// Sequence shares its tokens with those of the other parts. What another part writes is fixed in it.
	Sequence *engine.Sequence
	Options  engine.Options
	Mask     engine.Token // of a hidden position
}

// Together runs parts that take turns: the next pass is that of the part that has made the smallest share of its planned
// ones, the first of them where several have, so that all end at about the same time and each pass sees what the others
// have written. Steps count over all parts: index, passes and what is still masked.
func Together(ctx context.Context, parts ...Part) iter.Seq2[engine.Step, error] {
	return func(yield func(engine.Step, error) bool) {
		turns := make([]turn, 0, len(parts))
		defer func() {
			for i := range turns {
				turns[i].stop()
			}
		}()
		for _, p := range parts {
			o := p.Options
			o.Guidance = 0 // a guided step is one step
			n, err := p.Process.Passes(p.Sequence, o)
			if err != nil {
				yield(engine.Step{}, err)
				return
			}
			t := turn{planned: n, masked: p.masked()}
			t.next, t.stop = iter.Pull2(p.Process.Steps(ctx, p.Sequence, p.Options))
			turns = append(turns, t)
		}
		for index := 0; ; {
			at := -1
			for i := range turns {
				if !turns[i].over && (at < 0 || turns[i].share() < turns[at].share()) {
					at = i
				}
			}
			if at < 0 {
				return
			}
			t := &turns[at]
			step, err, ok := t.next()
			if !ok {
				t.over = true
				continue
			}
			if err != nil {
				yield(step, err)
				return
			}
			t.made++
			t.nfe, t.masked = step.NFE, step.Masked
			step.Index, step.NFE, step.Masked = index, 0, 0
			for i := range turns {
				step.NFE += turns[i].nfe
				step.Masked += turns[i].masked
			}
			index++
			if !yield(step, nil) {
				return
			}
		}
	}
}

// masked counts the free masked positions of a part.
func (p *Part) masked() int {
	n := 0
	for i, t := range p.Sequence.Tokens {
		if t == p.Mask && !p.Sequence.Fixed[i] {
			n++
		}
	}
	return n
}

// turn is a part under way.
type turn struct {
	next          func() (engine.Step, error, bool)
	stop          func()
	planned, made int
	nfe, masked   int
	over          bool
}

func (t *turn) share() float64 { return float64(t.made) / float64(max(t.planned, 1)) }
