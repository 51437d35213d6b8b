package verify

import (
	"context"
	"fmt"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
)

// replay is a network under the product's loop, with the random numbers of a recorded run in place of the backend's. It
// implements [engine.Denoiser]. Without draw and mute the candidates are the backend's own.
type replay struct {
	engine.Denoiser
	spec engine.Spec
	// draw chooses the candidate at position pos in pass call from the guided logits of all ids, where those that are
	// banned or not allowed are -Inf.
	draw func(call, pos int, logits []float32) (int, error)
	// filter, when not nil, changes the logits that candidates are drawn from and that all statistics are taken of.
	filter func(row []float32)
	// mute lists ids that are left out of the softmax that gives the confidence. They may still be chosen, with
	// confidence 0.
	mute []engine.Token
	// look is given the guided logits of the positions watch, by position, in every pass before the candidates are
	// picked; raw holds the rows [conditional, unconditional] without guidance.
	look  func(call int, guided []float32, raw [2][]float32) error
	watch []int
	// fed is the range of positions fed in each pass; partial says that the others came from the cache.
	fed     [][2]int
	partial []bool
	tokens  []engine.Token // of the last pass

	out replayLogits
}

// Spec implements [engine.Denoiser].
func (r *replay) Spec() engine.Spec { return r.spec }

// Close implements [engine.Denoiser]; the network stays open.
func (r *replay) Close() error { return nil }

// Forward implements [engine.Denoiser].
func (r *replay) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	want := in.Want
	r.tokens = in.Tokens
	union := slices.Concat(want, r.watch)
	slices.Sort(union)
	union = slices.Compact(union)
	if union == nil {
		union = []int{} // nil would mean every position
	}
	in.Want = union
	inner, err := r.Denoiser.Forward(ctx, in)
	if err != nil {
		return nil, err
	}
	r.out = replayLogits{r: r, inner: inner, want: want, union: union, rows: in.Rows(), call: len(r.fed)}
	span := [2]int{0, len(in.Tokens)}
	if len(in.Lens) > 0 {
		span[1] = in.Lens[0]
	}
	partial := in.Active != engine.Span{}
	if partial {
		span = [2]int{in.Active.Lo, in.Active.Hi}
	}
	r.fed, r.partial = append(r.fed, span), append(r.partial, partial)
	return &r.out, nil
}

// replayLogits are the logits of the wanted and the watched positions together.
type replayLogits struct {
	r           *replay
	inner       engine.Logits
	want, union []int
	rows, call  int
}

// Floats implements [engine.Logits].
func (l *replayLogits) Floats(dst []float32, row int) error {
	v := l.r.spec.Vocab
	all, err := l.floats(row)
	if err != nil {
		return err
	}
	for i, pos := range l.want {
		copy(dst[i*v:(i+1)*v], all[l.at(pos)*v:])
	}
	return nil
}

func (l *replayLogits) floats(row int) ([]float32, error) {
	all := make([]float32, len(l.union)*l.r.spec.Vocab)
	return all, l.inner.Floats(all, row)
}

// at is the index of position pos in union.
func (l *replayLogits) at(pos int) int {
	i, _ := slices.BinarySearch(l.union, pos)
	return i
}

// Pick implements [engine.Logits].
func (l *replayLogits) Pick(o engine.PickOptions, p *engine.Prediction) error {
	r := l.r
	if r.look != nil {
		if err := l.show(o); err != nil {
			return err
		}
	}
	if r.draw == nil && r.mute == nil && r.filter == nil {
		var all engine.Prediction
		if err := l.inner.Pick(o, &all); err != nil {
			return err
		}
		p.Resize(len(l.want))
		for i, pos := range l.want {
			j := l.at(pos)
			p.Pos[i], p.Token[i], p.Prob[i], p.Margin[i], p.Entropy[i] = pos, all.Token[j], all.Prob[j], all.Margin[j], all.Entropy[j]
		}
		return nil
	}
	return l.choose(o, p)
}

// guided returns the logits of union after guidance, in float32 as the published code, and the first two rows without it.
func (l *replayLogits) guided(o engine.PickOptions) ([]float32, [2][]float32, error) {
	var raw [2][]float32
	for row := range min(l.rows, 2) {
		x, err := l.floats(row)
		if err != nil {
			return nil, raw, err
		}
		raw[row] = x
	}
	guidance := o.Guidance
	switch {
	case o.GuidanceImage != 0:
		mixed, err := l.guidedTwice(raw, o)
		return mixed, raw, err
	case guidance == 0:
		return slices.Clone(raw[0]), raw, nil
	case l.rows != 2:
		return nil, raw, fmt.Errorf("guidance %g with %d rows", guidance, l.rows)
	}
	mixed := make([]float32, len(raw[0]))
	for i, u := range raw[1] {
		d := raw[0][i] - u
		d *= float32(1 + guidance)
		mixed[i] = u + d
	}
	return mixed, raw, nil
}

// guidedTwice is guidance by the words and by a picture: c + g*(c - u) + gi*(c - w) with the third row w.
func (l *replayLogits) guidedTwice(raw [2][]float32, o engine.PickOptions) ([]float32, error) {
	if l.rows != 3 {
		return nil, fmt.Errorf("guidance %g by a picture with %d rows", o.GuidanceImage, l.rows)
	}
	third, err := l.floats(2)
	if err != nil {
		return nil, err
	}
	mixed := make([]float32, len(third))
	for i, w := range third {
		c := raw[0][i]
		words := float32(o.Guidance) * (c - raw[1][i])
		picture := float32(o.GuidanceImage) * (c - w)
		mixed[i] = c + words
		mixed[i] += picture
	}
	return mixed, nil
}

// show calls look with the watched positions.
func (l *replayLogits) show(o engine.PickOptions) error {
	all, raw, err := l.guided(o)
	if err != nil {
		return err
	}
	v := l.r.spec.Vocab
	part := func(x []float32) []float32 {
		if x == nil {
			return nil
		}
		out := make([]float32, 0, len(l.r.watch)*v)
		for _, pos := range l.r.watch {
			i := l.at(pos)
			out = append(out, x[i*v:(i+1)*v]...)
		}
		return out
	}
	return l.r.look(l.call, part(all), [2][]float32{part(raw[0]), part(raw[1])})
}

// choose picks with the recorded draw and computes the statistics that the samplers of the replayed runs use.
func (l *replayLogits) choose(o engine.PickOptions, p *engine.Prediction) error {
	all, _, err := l.guided(o)
	if err != nil {
		return err
	}
	v := l.r.spec.Vocab
	p.Resize(len(l.want))
	for i, pos := range l.want {
		row := all[l.at(pos)*v:][:v]
		for id := range row {
			if t := engine.Token(id); !o.Allow.Contains(t) || slices.Contains(o.Ban, t) {
				row[id] = float32(math.Inf(-1))
			}
		}
		if l.r.filter != nil {
			l.r.filter(row)
		}
		at, _ := best(row)
		if l.r.draw != nil {
			if at, err = l.r.draw(l.call, pos, row); err != nil {
				return err
			}
		}
		for _, t := range l.r.mute {
			row[t] = float32(math.Inf(-1))
		}
		p.Pos[i], p.Token[i] = pos, engine.Token(at)
		p.Prob[i], p.Margin[i], p.Entropy[i] = statistics(row, at)
	}
	return nil
}

// statistics are the probability of id at, the first probability minus the second, and the entropy in nats.
func statistics(row []float32, at int) (prob, margin, entropy float32) {
	first, second, h := 0.0, 0.0, 0.0
	p := softmax(row)
	for _, x := range p {
		if x > 0 {
			h -= x * math.Log(x)
		}
		if x > first {
			first, second = x, first
		} else {
			second = max(second, x)
		}
	}
	return float32(p[at]), float32(first - second), float32(h)
}

// spy shows what a sampler was asked and decided.
type spy struct {
	engine.Sampler
	seen func(v engine.View, p *engine.Prediction)
}

// Select implements [engine.Sampler].
func (s *spy) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	if s.seen != nil {
		s.seen(v, p)
	}
	s.Sampler.Select(v, p, d)
}

// CountsItself implements [engine.Counter].
func (s *spy) CountsItself() bool {
	c, ok := s.Sampler.(engine.Counter)
	return ok && c.CountsItself()
}

// ReviewsCommitted implements [engine.Reviewer].
func (s *spy) ReviewsCommitted() bool {
	c, ok := s.Sampler.(engine.Reviewer)
	return ok && c.ReviewsCommitted()
}

// path is what a run did: the sequence before the first step and after each, and the block of each step.
type path struct {
	states [][]engine.Token
	blocks []engine.Span
	nfe    int
}

// follow runs m over a copy of seq.
func follow(ctx context.Context, m *denoise.Masked, seq *engine.Sequence, o engine.Options) (path, error) {
	final, state := seq.Clone(), seq.Clone()
	p := path{states: [][]engine.Token{slices.Clone(seq.Tokens)}}
	for step, err := range m.Steps(ctx, final, o) {
		if err != nil {
			return p, err
		}
		state.Apply(step.Changes)
		p.states = append(p.states, slices.Clone(state.Tokens))
		p.blocks = append(p.blocks, step.Block)
		p.nfe = step.NFE
	}
	if !slices.Equal(state.Tokens, final.Tokens) {
		return p, fmt.Errorf("the steps do not lead to the final sequence")
	}
	return p, nil
}
