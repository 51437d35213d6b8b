package denoise

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

	"unmask/engine"
)

// Embedder is a network that denoises the embeddings of words.
type Embedder interface {
	Vocab() int
	// Width is D, the width of an embedding.
	Width() int
	// Word is the embedding of a word; it is not to be changed.
	Word(id engine.Token) []float32
	// Predict writes the clean embeddings [L*D] predicted from x [L*D] at time t, in thousandths of training, to dst.
	Predict(ctx context.Context, dst, x []float32, t float64) error
}

// Worder is an [Embedder] that tells how likely words are: a change then carries the probability of its word, the margin to
// the next and the entropy. Without it the probability is 1.
type Worder interface {
	// Words writes the logits [L*V] of words given embeddings x [L*D] to dst.
	Words(dst, x []float32) error
}

// Embedding is the reverse process of Diffusion-LM, arXiv:2205.14217: noise in the place of embeddings becomes words.
// Every step reports the words nearest to the prediction as changes, so that a run is watched like any other: the first
// step unmasks all free positions, later ones edit. It implements [engine.Process]; one run at a time.
type Embedding struct {
	Model    Embedder
	Schedule *Gaussian
	// Clamp replaces every prediction by the embedding of the nearest word.
	Clamp bool
	// Clip keeps predictions in [-1, 1].
	Clip bool
	// Large takes the variance of the noising step, not of the posterior.
	Large bool
	// DDIM takes DDIM's step with Eta, from 0, without noise, to 1.
	DDIM bool
	Eta  float64
	// Greedy leaves the noise of every step out.
	Greedy bool
	// Limit, when positive, bounds the noise: what is larger is drawn again.
	Limit float64
	// Steer, when not nil, pulls every sample towards what a classifier wants.
	Steer *Steer
	// Normal fills dst with standard normal numbers; nil derives them from Options.Seed.
	Normal func(dst []float64) error
	// Look, when not nil, is given every step's sample and prediction [L*D] of it.
	Look func(step int, sample, predicted []float64)
}

var _ engine.Process = (*Embedding)(nil)

// Steps implements [engine.Process]: fixed positions keep their words, and their embeddings are put back after every step.
// It changes seq in place and yields after every pass, on the caller's goroutine. ctx is checked before each pass.
// Options used: Seed.
func (p *Embedding) Steps(ctx context.Context, seq *engine.Sequence, o engine.Options) iter.Seq2[engine.Step, error] {
	return func(yield func(engine.Step, error) bool) {
		r := &embeddingRun{Embedding: p, seq: seq, d: p.Model.Width(), seed: o.Seed}
		if err := r.begin(); err != nil {
			yield(engine.Step{}, fmt.Errorf("denoise: %w", err))
			return
		}
		for t := len(p.Schedule.Beta) - 1; t >= 0; t-- {
			step, err := r.step(ctx, t)
			if err != nil {
				yield(step, fmt.Errorf("denoise: step %d: %w", step.Index, err))
				return
			}
			if !yield(step, nil) {
				return
			}
		}
	}
}

// embeddingRun is the state of one run.
type embeddingRun struct {
	*Embedding
	seq   *engine.Sequence
	d     int
	seed  uint64
	drawn uint64
	index int
	x     []float64 // [L*D]
	known []float64 // [L*D], 0 where free
	fixed bool
}

func (r *embeddingRun) normal(dst []float64) error {
	if r.Normal != nil {
		return r.Normal(dst)
	}
	n := noise{seed: mix(r.seed, r.drawn)}
	r.drawn++
	for i := range dst {
		radius := math.Sqrt(-2 * math.Log(n.Uniform(2*i)))
		dst[i] = radius * math.Cos(2*math.Pi*n.Uniform(2*i+1))
	}
	return nil
}

// begin draws the start: noise, and at fixed positions their noised embeddings.
func (r *embeddingRun) begin() error {
	l := len(r.seq.Tokens)
	if l == 0 || len(r.seq.Fixed) != l || r.Eta < 0 || r.Eta > 1 {
		return fmt.Errorf("%d positions, %d of them fixed or free, eta %g", l, len(r.seq.Fixed), r.Eta)
	}
	r.x, r.known = make([]float64, l*r.d), make([]float64, l*r.d)
	for i, t := range r.seq.Tokens {
		if !r.seq.Fixed[i] {
			continue
		}
		if t < 0 || int(t) >= r.Model.Vocab() {
			return fmt.Errorf("word %d of %d", t, r.Model.Vocab())
		}
		r.fixed = true
		for j, v := range r.Model.Word(t) {
			r.known[i*r.d+j] = float64(v)
		}
	}
	noised := make([]float64, len(r.x))
	if r.fixed {
		if err := r.normal(noised); err != nil {
			return err
		}
		bar := r.Schedule.Bar[len(r.Schedule.Bar)-1]
		for i := range noised {
			noised[i] = math.Sqrt(bar)*r.known[i] + math.Sqrt(1-bar)*noised[i]
		}
	}
	if err := r.normal(r.x); err != nil {
		return err
	}
	r.keep(noised)
	return nil
}

// keep overwrites fixed positions of x.
func (r *embeddingRun) keep(from []float64) {
	for i, fixed := range r.seq.Fixed {
		if fixed {
			copy(r.x[i*r.d:(i+1)*r.d], from[i*r.d:])
		}
	}
}

// step goes from step t to t-1.
func (r *embeddingRun) step(ctx context.Context, t int) (engine.Step, error) {
	step := engine.Step{Index: r.index, Block: engine.Span{Hi: len(r.seq.Tokens)}, NFE: r.index + 1}
	if err := ctx.Err(); err != nil {
		return step, err
	}
	began := time.Now()
	in, out := make([]float32, len(r.x)), make([]float32, len(r.x))
	for i, v := range r.x {
		in[i] = float32(v)
	}
	g := r.Schedule
	if err := r.Model.Predict(ctx, out, in, float64(g.Map[t])*1000/float64(g.Total)); err != nil {
		return step, err
	}
	step.Forward = time.Since(began)
	began = time.Now()
	words, predicted := r.words(out)
	z, err := r.truncated(t)
	if err != nil {
		return step, err
	}
	spread := r.move(t, predicted, z)
	if r.Steer != nil {
		mean := make([]float64, len(r.x))
		for i, x := range r.x {
			mean[i] = x - spread*z[i]
		}
		if err := r.Steer.apply(r.x, mean, spread, r.Schedule.Before[t], t, len(r.Schedule.Beta)); err != nil {
			return step, err
		}
	}
	r.keep(r.known)
	if r.fixed && t > 0 && r.Normal != nil {
		// The official code noises the known embeddings here and then does not use them.
		if err := r.Normal(make([]float64, len(r.x))); err != nil {
			return step, err
		}
	}
	if r.Look != nil {
		r.Look(r.index, r.x, predicted)
	}
	for i, to := range words {
		from := r.seq.Tokens[i]
		if r.seq.Fixed[i] || from == to && r.index > 0 {
			continue
		}
		c := engine.Change{Pos: i, From: from, To: to, Kind: engine.Edit, Prob: 1}
		if r.index == 0 {
			c.Kind = engine.Unmask
		}
		step.Changes = append(step.Changes, c)
		r.seq.Tokens[i] = to
	}
	if err := r.score(out, step.Changes); err != nil {
		return step, err
	}
	step.Select = time.Since(began)
	r.index++
	return step, nil
}

// score gives changes the probabilities of their words by the predicted embeddings out.
func (r *embeddingRun) score(out []float32, changes []engine.Change) error {
	w, ok := r.Model.(Worder)
	if !ok || len(changes) == 0 {
		return nil
	}
	n, v := len(changes), r.Model.Vocab()
	x, logits := make([]float32, 0, n*r.d), make([]float32, n*v)
	for _, c := range changes {
		x = append(x, out[c.Pos*r.d:(c.Pos+1)*r.d]...)
	}
	if err := w.Words(logits, x); err != nil {
		return err
	}
	for i := range changes {
		row := logits[i*v : (i+1)*v]
		first, second := math.Inf(-1), math.Inf(-1)
		for _, l := range row {
			if a := float64(l); a > first {
				first, second = a, first
			} else if a > second {
				second = a
			}
		}
		sum, mean := 0.0, 0.0
		for _, l := range row {
			e := math.Exp(float64(l) - first)
			sum += e
			mean += e * (float64(l) - first)
		}
		c := &changes[i]
		c.Prob = float32(math.Exp(float64(row[c.To])-first) / sum)
		c.Margin = float32((1 - math.Exp(second-first)) / sum)
		c.Entropy = float32(math.Log(sum) - mean/sum)
	}
	return nil
}

// words are those nearest to the prediction, and the prediction as the step uses it.
func (r *embeddingRun) words(out []float32) ([]engine.Token, []float64) {
	words := make([]engine.Token, len(r.seq.Tokens))
	predicted := make([]float64, len(out))
	for i := range words {
		at := i * r.d
		words[i] = Nearest(r.Model, out[at:at+r.d])
		from := out[at : at+r.d]
		if r.Clamp {
			from = r.Model.Word(words[i])
		}
		for j, v := range from {
			x := float64(v)
			if r.Clip {
				x = min(max(x, -1), 1)
			}
			predicted[at+j] = x
		}
	}
	return words, predicted
}

// Nearest is the word whose embedding is nearest to x [D]; of equally near ones the lowest.
func Nearest(m Embedder, x []float32) engine.Token {
	at, least := engine.Token(0), math.Inf(1)
	for id := range m.Vocab() {
		sum := 0.0
		for j, v := range m.Word(engine.Token(id)) {
			d := float64(v) - float64(x[j])
			sum += d * d
		}
		if sum < least {
			at, least = engine.Token(id), sum
		}
	}
	return at
}

// truncated draws the noise of a step; with a limit, what is larger is drawn again.
func (r *embeddingRun) truncated(int) ([]float64, error) {
	z := make([]float64, len(r.x))
	if err := r.normal(z); err != nil {
		return nil, err
	}
	for tries := 0; r.Limit > 0; tries++ {
		var large []int
		for i, v := range z {
			if math.Abs(v) > r.Limit {
				large = append(large, i)
			}
		}
		if len(large) == 0 {
			break
		}
		if tries == 10000 {
			return nil, fmt.Errorf("noise within %g is not found in %d draws", r.Limit, tries)
		}
		again := make([]float64, len(large))
		if err := r.normal(again); err != nil {
			return nil, err
		}
		for j, i := range large {
			z[i] = again[j]
		}
	}
	return z, nil
}

// move takes x one step back towards the prediction, with spread times the noise z.
func (r *embeddingRun) move(t int, predicted, z []float64) (spread float64) {
	g := r.Schedule
	if r.DDIM {
		bar, before := g.Bar[t], g.Before[t]
		sigma := r.Eta * math.Sqrt((1-before)/(1-bar)) * math.Sqrt(1-bar/before)
		for i, x := range r.x {
			eps := (math.Sqrt(1/bar)*x - predicted[i]) / math.Sqrt(1/bar-1)
			r.x[i] = predicted[i]*math.Sqrt(before) + math.Sqrt(max(1-before-sigma*sigma, 0))*eps
			if t > 0 {
				r.x[i] += sigma * z[i]
			}
		}
		if t == 0 {
			return 0
		}
		return sigma
	}
	spread = math.Exp(0.5 * g.LogVar[t])
	if r.Large && t > 0 {
		spread = math.Sqrt(g.Beta[t])
	}
	if t == 0 || r.Greedy {
		spread = 0
	}
	for i, x := range r.x {
		r.x[i] = g.Clean[t]*predicted[i] + g.Noised[t]*x + spread*z[i]
	}
	return spread
}
