package denoise

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"unmask/engine"
)

// Canvas is a network that reads a text from left to right and then denoises a canvas of tokens that stands behind it.
type Canvas interface {
	// Restart forgets everything that was read.
	Restart()
	// Read appends tokens to those that were read. hide, when not nil, has an entry a token; a true one is a pad.
	Read(ctx context.Context, tokens []engine.Token, hide []bool) error
	// Refine predicts every position of the canvas. Unless first, the network is told of its prediction of the pass
	// before. The prediction is that of the logits divided by temperature; it is valid until the next Refine.
	Refine(ctx context.Context, canvas []engine.Token, temperature float64, first bool) (engine.Logits, error)
	// Hold makes the network be told, in the next pass and all later ones of this canvas, of the prediction that it made
	// last.
	Hold()
}

// Renoise is uniform-state block diffusion, the process of DiffusionGemma: there is no mask, noise is any token. Free
// positions are divided into canvases that begin as noise. In every pass the network predicts the whole canvas, the sampler
// accepts some of the tokens drawn, for this step only, and all others become fresh noise. The temperature falls from TMax
// towards TMin. A canvas is done early when its most probable tokens have not changed for Stability steps and the mean
// entropy is below Confidence; its result are the most probable tokens of the last pass, which the network then reads
// before the next canvas.
//
// Noise is masked and accepted tokens are not: changes are of the kinds Unmask, Edit and Remask (to fresh noise, also from
// older noise). It implements [engine.Process]; one run at a time.
type Renoise struct {
	Model   Canvas
	Sampler engine.Sampler
	Vocab   int
	End     []engine.Token
	Pad     engine.Token // what stands behind an end token
	// TMax and TMin are temperatures, of which the first pass has TMax and the last is still a step above TMin.
	TMax, TMin float64
	Stability  int
	Confidence float64 // nats
	// Answer is the range that canvases divide. A fixed position in it keeps its token in every canvas that the network
	// sees, and counts neither for the bound nor for the end of a canvas.
	Answer engine.Span
	// Kept is how many positions of the sequence the network has read already; 0: it is restarted.
	Kept int
	// Hide marks pads among the positions before Answer; nil: none.
	Hide []bool

	// Fresh, when not nil, gives the noise of pass step of a canvas; nil derives it from Options.Seed.
	Fresh func(canvas, step int) ([]engine.Token, error)
	// Batch, when not nil, makes the run that of one row of a batch: when the row is done it makes the passes for which
	// Batch returns true, which change nothing, and it denoises canvases behind an end token, which become pads.
	Batch func(canvas, step int) bool
	// Look, when not nil, is shown every pass.
	Look func(p *RenoisePass)
}

// RenoisePass is what one pass of [Renoise] computed. Its slices are valid until the next pass.
type RenoisePass struct {
	Canvas, Step int
	Temperature  float64
	Logits       engine.Logits
	Prediction   *engine.Prediction // Token is what was drawn
	Best         []engine.Token     // most probable tokens
	Accepted     []bool
	Current      []engine.Token // the canvas after the step, before a last one's result replaces it
	Stopped      bool           // the canvas is done
}

// DefaultSteps are the passes of a canvas where no number is asked for, those of the released DiffusionGemma.
const DefaultSteps = 48

var _ engine.Process = (*Renoise)(nil)

// UniformNoise writes noise to the free positions of seq, which is how a run of [Renoise] begins: each is any of vocab
// tokens, a function of seed and position.
func UniformNoise(seq *engine.Sequence, vocab int, seed uint64) {
	n := noise{seed: mix(seed, math.MaxUint64)}
	for i, fixed := range seq.Fixed {
		if !fixed {
			seq.Tokens[i] = engine.Token(n.Uniform(i) * float64(vocab))
		}
	}
}

// Passes is the number of passes that a run over seq makes at most. The error is that of settings that it refuses.
func (p *Renoise) Passes(seq *engine.Sequence, o engine.Options) (int, error) {
	canvases, steps, err := p.plan(seq, o)
	return len(canvases) * steps, err
}

// plan divides the answer into canvases of Options.Block positions, each of the same number of passes.
func (p *Renoise) plan(seq *engine.Sequence, o engine.Options) ([]engine.Span, int, error) {
	a := p.Answer
	if a.Lo < 0 || a.Lo >= a.Hi || a.Hi > len(seq.Tokens) || len(seq.Fixed) != len(seq.Tokens) {
		return nil, 0, fmt.Errorf("denoise: answer [%d, %d) of %d positions", a.Lo, a.Hi, len(seq.Tokens))
	}
	if p.Kept < 0 || p.Kept > a.Lo || p.Hide != nil && len(p.Hide) != a.Lo {
		return nil, 0, fmt.Errorf("denoise: %d positions read, %d pads or not, of %d before the answer", p.Kept, len(p.Hide), a.Lo)
	}
	if o.Temperature != 0 || o.Guidance != 0 {
		return nil, 0, &engine.UnsupportedError{What: fmt.Sprintf("temperature %g, guidance %g for a canvas", o.Temperature, o.Guidance),
			Have: "the temperatures t_max and t_min of sampler renoise, no guidance"}
	}
	if !(p.TMin >= 0) || !(p.TMax > p.TMin) {
		return nil, 0, &engine.ParamError{Name: "t_max", Value: p.TMax, Reason: fmt.Sprintf("want above t_min = %g, which is at least 0", p.TMin)}
	}
	length := a.Len()
	if o.Block > 0 {
		length = o.Block
	}
	var canvases []engine.Span
	for lo := a.Lo; lo < a.Hi; lo += length {
		canvases = append(canvases, engine.Span{Lo: lo, Hi: min(lo+length, a.Hi)})
	}
	steps := DefaultSteps
	if o.Steps > 0 {
		steps = (o.Steps + len(canvases) - 1) / len(canvases)
	}
	return canvases, steps, nil
}

// Steps implements [engine.Process]: free positions of seq hold the noise that the run begins with. It changes seq in place
// and yields after every pass, on the caller's goroutine. ctx is checked before each pass.
//
// Options used: Steps (over all canvases), Block (the length of a canvas), TopP, TopK, Seed, StopAtEnd, BanEnd, Ban,
// Alternatives. With StopAtEnd the run ends with the first canvas that holds an end token; everything behind it is padded.
func (p *Renoise) Steps(ctx context.Context, seq *engine.Sequence, o engine.Options) iter.Seq2[engine.Step, error] {
	return func(yield func(engine.Step, error) bool) {
		canvases, steps, err := p.plan(seq, o)
		if err != nil {
			yield(engine.Step{}, err)
			return
		}
		r := &renoiseRun{Renoise: p, seq: seq, o: o, steps: steps, canvases: canvases}
		for _, fixed := range seq.Fixed[p.Answer.Lo:p.Answer.Hi] {
			if !fixed {
				r.masked++
			}
		}
		r.pick = engine.PickOptions{Temperature: 1, TopP: o.TopP, TopK: o.TopK, Top: max(1, o.Alternatives), Ban: slices.Clone(o.Ban)}
		if o.BanEnd {
			r.pick.Ban = append(r.pick.Ban, p.End...)
		}
		if p.Kept == 0 {
			p.Model.Restart()
		}
		read := p.Kept
		for c, span := range canvases {
			if err := r.read(ctx, read, span.Lo); err != nil {
				yield(engine.Step{}, fmt.Errorf("denoise: %w", err))
				return
			}
			read = span.Lo
			if !r.canvas(ctx, c, yield) || r.ended && (p.Batch == nil || !p.Batch(c+1, 0)) {
				return
			}
		}
	}
}

// renoiseRun is the state of one run.
type renoiseRun struct {
	*Renoise
	seq      *engine.Sequence
	o        engine.Options
	canvases []engine.Span
	steps    int // of each canvas
	index    int
	masked   int
	ended    bool
	pick     engine.PickOptions

	span     engine.Span
	current  []engine.Token // the canvas as the network sees it
	shown    []bool         // accepted and so not masked
	history  [][]engine.Token
	stopped  bool
	now      RenoisePass
	fixed    []bool // of the canvas
	noise    noise
	decision engine.Decision
	p        engine.Prediction
}

// read gives the network the positions [lo, hi).
func (r *renoiseRun) read(ctx context.Context, lo, hi int) error {
	if lo == hi {
		return nil
	}
	var hide []bool
	if r.Hide != nil {
		hide = make([]bool, hi-lo)
		copy(hide, r.Hide[min(lo, len(r.Hide)):])
	}
	return r.Model.Read(ctx, r.seq.Tokens[lo:hi], hide)
}

// canvas denoises canvas c. It reports whether the run goes on.
func (r *renoiseRun) canvas(ctx context.Context, c int, yield func(engine.Step, error) bool) bool {
	r.span, r.stopped = r.canvases[c], false
	n := r.span.Len()
	r.current = append(r.current[:0], r.seq.Tokens[r.span.Lo:r.span.Hi]...)
	r.shown, r.fixed = make([]bool, n), r.seq.Fixed[r.span.Lo:r.span.Hi]
	r.now = RenoisePass{Best: make([]engine.Token, n), Accepted: make([]bool, n)}
	r.history = r.history[:0]
	for range r.Stability {
		r.history = append(r.history, slices.Repeat([]engine.Token{-1}, n))
	}
	for i := 0; i < r.steps; i++ {
		frozen := r.stopped
		if frozen && (r.Batch == nil || !r.Batch(c, i)) {
			break
		}
		step, err := r.pass(ctx, c, i, frozen)
		if err != nil {
			yield(step, fmt.Errorf("denoise: step %d: %w", r.index, err))
			return false
		}
		r.index++
		if !yield(step, nil) {
			return false
		}
	}
	return true
}

// pass makes pass i of canvas c. A frozen one changes nothing.
func (r *renoiseRun) pass(ctx context.Context, c, i int, frozen bool) (engine.Step, error) {
	step := engine.Step{Index: r.index, Block: r.span, NFE: r.index + 1}
	if err := ctx.Err(); err != nil {
		return step, err
	}
	began := time.Now()
	r.now.Canvas, r.now.Step = c, i
	if err := r.predict(ctx, i); err != nil {
		return step, err
	}
	step.Forward = time.Since(began)
	began = time.Now()
	r.accept(i)
	fresh, err := r.fresh(c, i)
	if err != nil {
		return step, err
	}
	if !frozen {
		r.advance(fresh)
		var to []engine.Token
		if last := r.stopped || i == r.steps-1; last {
			to = r.result()
		}
		step.Changes = r.changes(to)
		if r.ended && r.Batch == nil {
			step.Changes = r.padRest(step.Changes)
		}
		if r.stopped && r.Batch != nil {
			r.Model.Hold()
		}
	}
	if r.now.Current, r.now.Stopped = r.current, r.stopped; r.Look != nil {
		r.Look(&r.now)
	}
	step.Masked = r.masked
	step.Select = time.Since(began)
	return step, nil
}

// temperature is that of pass i, in float32 as the released code computes it.
func (r *renoiseRun) temperature(i int) float64 {
	left := float32(r.steps-i) / float32(r.steps)
	return float64(float32(r.TMin) + float32(r.TMax-r.TMin)*left)
}

// predict runs the network and draws a token for every position.
func (r *renoiseRun) predict(ctx context.Context, i int) error {
	r.now.Temperature = r.temperature(i)
	logits, err := r.Model.Refine(ctx, r.current, r.now.Temperature, i == 0)
	if err != nil {
		return err
	}
	r.pick.Seed = mix(r.o.Seed, 2*uint64(r.index))
	p := &r.p
	if err := logits.Pick(r.pick, p); err != nil {
		return err
	}
	if len(p.Pos) != len(r.current) || len(p.Top) != len(r.current) {
		return fmt.Errorf("the model predicted %d positions of %d", len(p.Pos), len(r.current))
	}
	for j, x := range p.Entropy {
		if x != x || len(p.Top[j]) == 0 {
			return fmt.Errorf("position %d: the model gives no probabilities", p.Pos[j])
		}
	}
	r.now.Logits, r.now.Prediction = logits, p
	return nil
}

// accept asks the sampler which of the tokens drawn stay for this step. Its quota rises evenly to the whole canvas.
func (r *renoiseRun) accept(i int) {
	n := 0
	for _, fixed := range r.fixed {
		if !fixed {
			n++
		}
	}
	quota := ((i+1)*n + r.steps - 1) / r.steps
	r.noise.seed = mix(r.o.Seed, 2*uint64(r.index)+1)
	v := engine.View{
		Step: i, Steps: r.steps, Block: r.span, Quota: quota, Masked: n, Initial: n, Rate: 1 / float64(r.steps-i), Left: n - quota,
		Committed: r.fixed, Current: r.current, Noise: &r.noise,
	}
	r.decision.Reset()
	r.Sampler.Select(v, &r.p, &r.decision)
	clear(r.now.Accepted)
	for _, j := range r.decision.Unmask {
		r.now.Accepted[j] = true
	}
}

// fresh is the noise of a step.
func (r *renoiseRun) fresh(c, i int) ([]engine.Token, error) {
	n := len(r.current)
	if r.Fresh != nil {
		out, err := r.Fresh(c, i)
		if err == nil && len(out) != n {
			err = fmt.Errorf("%d tokens of noise for %d positions", len(out), n)
		}
		return out, err
	}
	source := noise{seed: mix(r.o.Seed, ^(2*uint64(r.index) + 1))}
	out := make([]engine.Token, n)
	for j := range out {
		out[j] = engine.Token(source.Uniform(r.span.Lo+j) * float64(r.Vocab))
	}
	return out, nil
}

// advance makes the next canvas, and decides whether this one is done.
func (r *renoiseRun) advance(fresh []engine.Token) {
	sum, free := 0.0, 0
	for j := range r.current {
		if r.now.Best[j] = r.p.Top[j][0].Token; r.fixed[j] {
			r.now.Best[j] = r.current[j]
			continue
		}
		sum, free = sum+float64(r.p.Entropy[j]), free+1
		if r.current[j] = fresh[j]; r.now.Accepted[j] {
			r.current[j] = r.p.Token[j]
		}
	}
	stable := true
	for _, before := range r.history {
		stable = stable && slices.Equal(before, r.now.Best)
	}
	if len(r.history) > 0 {
		oldest := r.history[0]
		copy(r.history, r.history[1:])
		copy(oldest, r.now.Best)
		r.history[len(r.history)-1] = oldest
	}
	r.stopped = stable && sum < r.Confidence*float64(free) || free == 0
}
