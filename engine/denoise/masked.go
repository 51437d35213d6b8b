// Package denoise is the reverse process of masked diffusion, written once: forward, pick, select, apply, yield.
package denoise

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"unmask/engine"
	"unmask/engine/schedule"
)

// Masked unmasks a sequence block by block. It implements [engine.Process]; one run at a time.
type Masked struct {
	Model   engine.Denoiser
	Sampler engine.Sampler
	// Schedule, when not nil, stands in place of the row that Options.Schedule names.
	Schedule *schedule.Schedule
	// BlockSteps, when positive, is the planned passes of every block; else Options.Steps are shared out by masks.
	BlockSteps int
	// Guide makes the unconditional row of a guided pass; nil is [MaskFixed].
	Guide Guide
	// GuideImage makes the row without the given picture, where Options.GuidanceImage is not 0.
	GuideImage Guide
	// Answer is the range that blocks divide, from its Lo on. The zero Span is the range from the first free masked
	// position to the last.
	Answer engine.Span
	// Noise gives the selection noise of step Index; nil derives it from Options.Seed.
	Noise  func(step int) engine.Noise
	Quirks Quirks
	// Begun is how many passes an earlier run made before this one goes on: noise is drawn as in the passes after them.
	Begun int
	// GoesOn lets a schedule by share of a sequence of one block go on after Begun passes, over all free positions of the
	// block; else it begins anew over the masked ones.
	GoesOn bool
	// Avoid are sequences of tokens that the run may not write out.
	Avoid [][]engine.Token
}

// Quirks are habits of published samplers that change what a run does. All are off in the product; a replay of recorded
// runs turns them on.
type Quirks struct {
	// EveryStep makes exactly the planned passes of a block, also those that have nothing to unmask, and leaves masked
	// what the sampler leaves (LLaDA's generate.py).
	EveryStep bool
	// EarlierMasks lets masked positions before the block compete for its quota, though they are not counted in it
	// (LLaDA's generate.py with masks in the prompt).
	EarlierMasks bool
	// MaskIsToken lets the mask token be a candidate. A position that takes it uses up its turn and stays masked.
	MaskIsToken bool
	// AllIDs lets text take image codes as candidates (MMaDA's text mode).
	AllIDs bool
	// SecondPass makes a second pass in a cached block that the first one completed (Fast-dLLM, June 2025).
	SecondPass bool
}

var _ engine.Process = (*Masked)(nil)

// Steps implements [engine.Process]. It changes seq in place and yields after every forward pass, on the caller's
// goroutine. When the caller breaks, or ctx ends, seq is what the yielded steps made of it. ctx is checked before each
// pass. A guided pass counts as two, one that is guided by a picture too as three. A step after one that changed nothing needs no pass and counts none.
//
// Options used: Steps, Block, Schedule, Temperature, TopP, TopK, Guidance, GuidanceImage, Seed, Cache, StopAtEnd, EndPenalty, BanEnd,
// Ban, Alternatives. Zero Steps unmask one position a pass; zero Block is the model's block length, or one block. With
// StopAtEnd the run ends once an end token is committed with no mask before it in the answer; what is masked after it
// takes the end token.
func (m *Masked) Steps(ctx context.Context, seq *engine.Sequence, o engine.Options) iter.Seq2[engine.Step, error] {
	return func(yield func(engine.Step, error) bool) {
		o := m.blocks(o)
		blocks, err := m.plan(seq, o)
		if err != nil {
			yield(engine.Step{}, fmt.Errorf("denoise: %w", err))
			return
		}
		r := newRun(m, seq, o)
		for i := range blocks {
			for step := range r.passes(ctx, &blocks[i]) {
				if !yield(step, nil) {
					return
				}
			}
			if r.err != nil {
				yield(engine.Step{}, fmt.Errorf("denoise: %w", r.err))
				return
			}
			if r.ended {
				return
			}
		}
	}
}

// blocks gives a block-diffusion model the block length that it was trained with, where o has none.
func (m *Masked) blocks(o engine.Options) engine.Options {
	if o.Block == 0 {
		o.Block = m.Model.Spec().Block
	}
	return o
}

// run is the state of one run.
type run struct {
	*Masked
	seq     *engine.Sequence
	o       engine.Options
	spec    engine.Spec
	end     []engine.Token
	reviews bool // the sampler sees committed positions
	counts  bool // the sampler counts by its own rule
	extra   int  // passes that the sampler may make after a block's last mask

	index, nfe, masked int // steps and passes so far, masks left in the sequence
	ended              bool
	err                error
	changed            bool // the last pass changed something
	polished           int  // passes of this block that began without a mask

	// Memory that is reused from step to step.
	logits     engine.Logits // of the last pass
	input      engine.Input
	lens       [3]int
	want       []int
	committed  []bool
	current    []engine.Token
	prediction engine.Prediction
	decision   engine.Decision
	saved      []scores
	noise      noise
	pick       engine.PickOptions
	avoid      [][]engine.Token // sequences of two tokens and more
}

// scores are the numbers of a prediction that a penalty changes while positions are ordered.
type scores struct {
	i                     int
	prob, margin, entropy float32
}

func newRun(m *Masked, seq *engine.Sequence, o engine.Options) *run {
	r := &run{Masked: m, seq: seq, o: o, spec: m.Model.Spec()}
	r.end = r.spec.End
	if s, ok := m.Sampler.(engine.Reviewer); ok {
		r.reviews = s.ReviewsCommitted()
	}
	if s, ok := m.Sampler.(engine.Counter); ok {
		r.counts = s.CountsItself()
	}
	if s, ok := m.Sampler.(engine.Polisher); ok {
		r.extra = s.ExtraPasses()
	}
	for i, t := range seq.Tokens {
		if r.isMasked(i, t) {
			r.masked++
		}
	}
	if r.Guide == nil {
		r.Guide = MaskFixed(r.spec.Mask)
	}
	r.pick = engine.PickOptions{
		Temperature: o.Temperature, Guidance: o.Guidance, GuidanceImage: o.GuidanceImage, TopP: o.TopP, TopK: o.TopK, Top: o.Alternatives,
		Ban: slices.Concat(o.Ban, r.spec.Ban),
	}
	r.avoids(m.Avoid)
	if !m.Quirks.MaskIsToken {
		r.pick.Ban = append(r.pick.Ban, r.spec.Mask)
	}
	if o.BanEnd {
		r.pick.Ban = append(r.pick.Ban, r.end...)
	}
	return r
}

func (r *run) isMasked(pos int, t engine.Token) bool { return t == r.spec.Mask && !r.seq.Fixed[pos] }

// passes makes the passes of block b. An error ends it and is left in r.err.
func (r *run) passes(ctx context.Context, b *block) iter.Seq[engine.Step] {
	return func(yield func(engine.Step) bool) {
		r.changed, r.polished = false, 0
		for i := 0; r.more(b, i); i++ {
			step, err := r.pass(ctx, b, i)
			if err != nil {
				r.err = err
				return
			}
			if !yield(step) || r.ended {
				return
			}
		}
	}
}

// more reports whether block b gets a pass number i; it sets r.err when the block needs one and may not have it.
func (r *run) more(b *block, i int) bool {
	if r.err != nil {
		return false
	}
	if r.Quirks.EveryStep {
		return i < b.steps
	}
	left := 0
	for p := b.span.Lo; p < b.span.Hi; p++ {
		if r.isMasked(p, r.seq.Tokens[p]) {
			left++
		}
	}
	second := r.Quirks.SecondPass && i == 1 && cached(r.o.Cache)
	if left == 0 && !second {
		r.polished++
		return r.changed && r.polished <= r.extra
	}
	if i >= b.steps && !r.counts {
		r.err = fmt.Errorf("block [%d, %d): the plan has no quota for pass %d of %d; %d positions are masked",
			b.span.Lo, b.span.Hi, i+1, b.steps, left)
		return false
	}
	return true
}

// pass makes pass number i of block b and applies its decision.
func (r *run) pass(ctx context.Context, b *block, i int) (engine.Step, error) {
	if err := ctx.Err(); err != nil {
		return engine.Step{}, err
	}
	step := engine.Step{Index: r.index, Block: b.span}
	began := time.Now()
	p, err := r.predict(ctx, b, i)
	if err != nil {
		return step, fmt.Errorf("step %d: %w", r.index, err)
	}
	step.Forward = time.Since(began)
	began = time.Now()
	r.dodge(p)
	r.penalise(b, p)
	d := &r.decision
	d.Reset()
	v := r.view(b, i)
	r.Sampler.Select(v, p, d)
	r.restore(p)
	step.Changes = r.apply(p, d)
	if r.o.Watch {
		step.Looks = r.looks(p, d)
	}
	r.changed = len(step.Changes) > 0
	if len(step.Changes) == 0 && i >= b.steps && v.Masked > 0 {
		return step, fmt.Errorf("step %d: the sampler changes nothing and %d positions of the block are masked", r.index, v.Masked)
	}
	if r.o.StopAtEnd && b.span.Modality == engine.Text {
		step.Changes = r.stop(b, step.Changes)
	}
	step.Select = time.Since(began)
	step.Masked, step.NFE = r.masked, r.nfe
	r.index++
	return step, nil
}

// predict evaluates the network and picks a candidate at each position that the step may change. A network that does not
// see the time predicts the same where nothing has changed: then the last pass serves again, with new noise.
func (r *run) predict(ctx context.Context, b *block, i int) (*engine.Prediction, error) {
	logits := r.logits
	if i == 0 || r.changed || logits == nil || r.Quirks.EveryStep {
		r.candidates(b)
		r.rows()
		switch {
		case r.spec.Block > 0:
			r.input.Block, r.input.Origin = r.o.Block, r.origin(b.answer)
		case r.spec.PromptFirst: // two blocks: the prompt and the answer
			r.input.Block, r.input.Origin = len(r.seq.Tokens), b.answer.Lo
		}
		r.reuse(b, i)
		r.logits = nil
		var err error
		if logits, err = r.Model.Forward(ctx, r.input); err != nil {
			return nil, err
		}
		r.logits = logits
		r.nfe += r.input.Rows()
	}
	r.pick.Seed = mix(r.o.Seed, 2*uint64(r.index+r.Begun))
	r.pick.Allow = r.allowed(b.span.Modality)
	p := &r.prediction
	if err := logits.Pick(r.pick, p); err != nil {
		return nil, err
	}
	if len(p.Pos) != len(r.want) {
		return nil, fmt.Errorf("the model predicted %d positions, want %d", len(p.Pos), len(r.want))
	}
	for j, x := range p.Prob {
		if x != x {
			return nil, fmt.Errorf("position %d: the model's probability of token %d is NaN", p.Pos[j], p.Token[j])
		}
	}
	return p, nil
}

// candidates lists the positions that a step of block b may change.
func (r *run) candidates(b *block) {
	r.want, r.committed, r.current = r.want[:0], r.committed[:0], r.current[:0]
	lo := b.span.Lo
	if r.Quirks.EarlierMasks {
		lo = 0
	}
	for p := lo; p < b.span.Hi; p++ {
		t := r.seq.Tokens[p]
		masked := r.isMasked(p, t)
		if masked || r.reviews && !r.seq.Fixed[p] {
			r.want = append(r.want, p)
			r.committed = append(r.committed, !masked)
			r.current = append(r.current, t)
		}
	}
	if r.want == nil {
		r.want = []int{} // nil would mean every position
	}
}

// allowed is the range of ids that a span of modality m takes.
func (r *run) allowed(m engine.Modality) engine.IDRange {
	image := r.spec.Image
	switch {
	case image == nil || m == engine.Text && r.Quirks.AllIDs:
		return engine.IDRange{}
	case m == engine.Image:
		return engine.IDRange{Lo: image.Offset, Hi: image.Offset + engine.Token(image.Codebook)}
	}
	return engine.IDRange{Hi: image.Offset}
}

// view tells the sampler about pass i of block b.
func (r *run) view(b *block, i int) engine.View {
	v := engine.View{
		Step: b.begun + i, Steps: b.begun + b.steps, Block: b.span, Initial: b.masked,
		Committed: r.committed, Current: r.current, Noise: &r.noise,
	}
	for _, c := range r.committed {
		if !c {
			v.Masked++
		}
	}
	v.Quota = b.quota(i, v.Masked, r.Quirks.EveryStep)
	v.Left, v.Rate = b.left(i), float64(b.sched.Chance(b.begun+i, b.begun+b.steps))
	if r.Masked.Noise != nil {
		v.Noise = r.Masked.Noise(r.index)
	} else {
		r.noise.seed = mix(r.o.Seed, 2*uint64(r.index+r.Begun)+1)
	}
	return v
}

// penalise lowers the confidence of end tokens while positions are ordered.
func (r *run) penalise(b *block, p *engine.Prediction) {
	r.saved = r.saved[:0]
	if r.o.EndPenalty == 0 || b.span.Modality != engine.Text {
		return
	}
	factor := float32(math.Exp(-r.o.EndPenalty))
	for i, t := range p.Token {
		if slices.Contains(r.end, t) {
			r.saved = append(r.saved, scores{i, p.Prob[i], p.Margin[i], p.Entropy[i]})
			p.Prob[i] *= factor
			p.Margin[i] *= factor
			p.Entropy[i] += float32(r.o.EndPenalty)
		}
	}
}

// restore undoes penalise.
func (r *run) restore(p *engine.Prediction) {
	for _, s := range r.saved {
		p.Prob[s.i], p.Margin[s.i], p.Entropy[s.i] = s.prob, s.margin, s.entropy
	}
}
