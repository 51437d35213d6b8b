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

// Spindle is the reverse process of DiffusionBERT, arXiv:2211.15029. How long a token survives noising depends on how
// frequent its word is: rare, informative words are masked first, so that frequent ones are written first. Every step
// draws every free position from the posterior of its step, also tokens that stand there already, which may be masked
// again. It implements [engine.Process]; one run at a time.
type Spindle struct {
	Model engine.Denoiser
	// Total is T, the number of noising steps that the model knows; Stride how many of them a pass goes back.
	Total, Stride int
	// Freq is the frequency of each word, from 0 to 1: ln(count+1) over its largest value. Lambda weighs it.
	Freq   []float64
	Lambda float64
	// Best takes the most probable clean token as the prediction, in place of the distribution.
	Best bool
	// Tell, when not nil, is called before each pass with the step that it starts from, T first.
	Tell func(t int)
	// Draw, when not nil, chooses among logits; step counts passes. It stands in place of the process's own draw.
	Draw func(step, pos int, logits []float64) (int, error)
	// Look, when not nil, is given the logits of the posterior at all free positions before temperature and top-k.
	Look func(step int, logits []float64)
}

var _ engine.Process = (*Spindle)(nil)

// Share is the share of words kept at step t by the schedule "mutual", and how far the frequency of a word changes it.
// Both are rounded to float32 as published code holds them.
func (s *Spindle) Share(t int) (kept, weight float64) {
	kept = float64(float32(1 - float64(t)/float64(s.Total)))
	return kept, float64(float32(s.Lambda * math.Sin(float64(t)/float64(s.Total)*math.Pi)))
}

// Keep is the probability that a word of frequency w, minus the mean of its sentence, is not masked at step t.
func (s *Spindle) Keep(t int, w float64) float64 {
	kept, weight := s.Share(t)
	return min(max(kept+w*weight, 0), 0.999)
}

// Noised is the distribution at step t of a word whose clean distribution is p0; p0 itself at step 0.
func (s *Spindle) Noised(p0 []float64, t int, w float64) []float64 {
	p := slices.Clone(p0)
	if t == 0 {
		return p
	}
	mask, keep, sum := s.Model.Spec().Mask, s.Keep(t, w), 0.0
	for i := range p {
		p[i] *= keep
		sum += p[i]
	}
	p[mask] += 1 - sum
	return p
}

// Back is the probability of now at step t given each word at step t-Stride.
func (s *Spindle) Back(now engine.Token, t, vocab int) []float64 {
	keep := 1.0
	for i := t - s.Stride; i < t; i++ {
		keep *= 1 - 1/float64(s.Total-i)
	}
	p, mask := make([]float64, vocab), s.Model.Spec().Mask
	if now != mask {
		p[now] = keep
		return p
	}
	for i := range p {
		p[i] = 1 - keep
	}
	p[mask] = 1
	return p
}

// Steps implements [engine.Process]: it changes seq in place and yields after every pass, on the caller's goroutine. ctx is
// checked before each pass. Options used: Temperature (0 takes the best), TopK, Seed.
func (s *Spindle) Steps(ctx context.Context, seq *engine.Sequence, o engine.Options) iter.Seq2[engine.Step, error] {
	return func(yield func(engine.Step, error) bool) {
		if err := s.run(ctx, seq, o, func(step engine.Step) bool { return yield(step, nil) }); err != nil {
			yield(engine.Step{}, fmt.Errorf("denoise: %w", err))
		}
	}
}

// run makes the passes until yield returns false.
//
// size: one pass is a straight line.
func (s *Spindle) run(ctx context.Context, seq *engine.Sequence, o engine.Options, yield func(engine.Step) bool) error {
	spec := s.Model.Spec()
	if s.Stride < 1 || s.Total <= s.Stride || s.Total%s.Stride != 0 || len(s.Freq) != spec.Vocab {
		return fmt.Errorf("%d steps by %d, %d frequencies of %d words", s.Total, s.Stride, len(s.Freq), spec.Vocab)
	}
	if o.TopP != 0 && o.TopP != 1 {
		return &engine.UnsupportedError{What: fmt.Sprintf("top-p %g", o.TopP), Have: "top-k"}
	}
	free := []int{}
	masked := 0
	for i, fixed := range seq.Fixed {
		if !fixed {
			free = append(free, i)
			if seq.Tokens[i] == spec.Mask {
				masked++
			}
		}
	}
	floats := make([]float32, len(free)*spec.Vocab)
	for index, t := 0, s.Total; t > 0; index, t = index+1, t-s.Stride {
		if err := ctx.Err(); err != nil {
			return err
		}
		step := engine.Step{Index: index, Block: engine.Span{Hi: len(seq.Tokens)}, NFE: index + 1}
		began := time.Now()
		if s.Tell != nil {
			s.Tell(t)
		}
		l, err := s.Model.Forward(ctx, engine.Input{Tokens: seq.Tokens, Want: free})
		if err == nil {
			err = l.Floats(floats, 0)
		}
		if err != nil {
			return err
		}
		step.Forward = time.Since(began)
		began = time.Now()
		logits, probs := s.posterior(seq, free, floats, t, spec.Vocab)
		if s.Look != nil {
			s.Look(index, logits)
		}
		for i, pos := range free {
			row := logits[i*spec.Vocab : (i+1)*spec.Vocab]
			to, err := s.choose(row, o, index, pos)
			if err != nil {
				return err
			}
			if from := seq.Tokens[pos]; from != to {
				c := engine.Change{Pos: pos, From: from, To: to, Kind: engine.Edit, Prob: float32(probs[i*spec.Vocab+int(to)])}
				switch {
				case from == spec.Mask:
					c.Kind = engine.Unmask
					masked--
				case to == spec.Mask:
					c.Kind, c.Prob = engine.Remask, 0
					masked++
				}
				seq.Tokens[pos] = to
				step.Changes = append(step.Changes, c)
			}
		}
		step.Select, step.Masked = time.Since(began), masked
		if !yield(step) {
			return nil
		}
	}
	return nil
}

// Frequencies are the frequencies of words that occur counts times: ln(count+1) over its largest value.
func Frequencies(counts []int) []float64 {
	out, top := make([]float64, len(counts)), 0.0
	for i, c := range counts {
		out[i] = math.Log1p(float64(c))
		top = max(top, out[i])
	}
	for i := range out {
		if top > 0 {
			out[i] /= top
		}
	}
	return out
}

// posterior is, for each free position, the logits of its token at step t-Stride, and the probabilities of the clean one.
func (s *Spindle) posterior(seq *engine.Sequence, free []int, floats []float32, t, vocab int) (logits, probs []float64) {
	const tiny = 1e-20
	probs = make([]float64, len(floats))
	words, mean := make([]float64, len(free)), 0.0
	for i := range free {
		row := probs[i*vocab : (i+1)*vocab]
		best := 0
		top, sum := math.Inf(-1), 0.0
		for j, x := range floats[i*vocab : (i+1)*vocab] {
			if float64(x) > top {
				best, top = j, float64(x)
			}
		}
		for j, x := range floats[i*vocab : (i+1)*vocab] {
			row[j] = math.Exp(float64(x) - top)
			sum += row[j]
		}
		for j := range row {
			row[j] /= sum
		}
		if s.Best {
			clear(row)
			row[best] = 1
		}
		words[i] = s.Freq[best]
		mean += words[i] / float64(len(free))
	}
	for i, pos := range free {
		at := s.Noised(probs[i*vocab:(i+1)*vocab], t-s.Stride, words[i]-mean)
		back := s.Back(seq.Tokens[pos], t, vocab)
		for j := range at {
			logits = append(logits, math.Log(at[j]+tiny)+math.Log(back[j]+tiny))
		}
	}
	return logits, probs
}

// choose draws a word from logits at a temperature, among the TopK best.
func (s *Spindle) choose(logits []float64, o engine.Options, step, pos int) (engine.Token, error) {
	row := slices.Clone(logits)
	if o.TopK > 0 && o.TopK < len(row) {
		order := slices.Clone(row)
		slices.Sort(order)
		least := order[len(order)-o.TopK]
		for i, x := range row {
			if x < least {
				row[i] = math.Inf(-1)
			}
		}
	}
	if o.Temperature != 0 {
		for i := range row {
			row[i] /= o.Temperature
		}
	}
	if s.Draw != nil {
		at, err := s.Draw(step, pos, row)
		if err == nil && (at < 0 || at >= len(row)) {
			err = fmt.Errorf("word %d of %d", at, len(row))
		}
		return engine.Token(at), err
	}
	best, top := 0, math.Inf(-1)
	n := noise{seed: mix(o.Seed, uint64(step)*uint64(len(row)+1))}
	for i, x := range row {
		if o.Temperature != 0 {
			x -= math.Log(-math.Log(n.Uniform(pos*len(row) + i)))
		}
		if x > top {
			best, top = i, x
		}
	}
	return engine.Token(best), nil
}
