package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/models/bert"
	"unmask/engine/weights"
)

// process is a reverse process that knows how many passes it plans; *denoise.Masked is one.
type process interface {
	engine.Process
	Passes(seq *engine.Sequence, o engine.Options) (int, error)
}

// ownProcess is the model's own process over an answer, with the settings o. None of them keeps words out.
func (m *model) ownProcess(o engine.Options, answer engine.Span) (process, error) {
	if len(o.BanWords) > 0 {
		return nil, &engine.UnsupportedError{What: "banned words with the process " + m.spec.Process, Have: "none"}
	}
	switch m.spec.Process {
	case "spindle":
		return &spindle{model: m, lambda: o.Params["lambda"], best: o.Params["predict"] == 1}, nil
	case "embedding":
		return &embedding{model: m}, nil
	case "renoise":
		return m.renoise(o, answer)
	}
	return nil, &engine.UnsupportedError{What: fmt.Sprintf("process %q", m.spec.Process)}
}

// spindle runs DiffusionBERT's process with as many passes as the settings ask for.
type spindle struct {
	model  *model
	lambda float64
	best   bool
}

// stride is how many noising steps a pass goes back: the largest divisor of all steps that makes at least steps passes.
func stride(total, steps int) int {
	s := max(1, min(total/max(steps, 1), total/2))
	for total%s != 0 {
		s--
	}
	return s
}

// Passes implements [process].
func (p *spindle) Passes(_ *engine.Sequence, o engine.Options) (int, error) {
	return bert.Steps / stride(bert.Steps, o.Steps), nil
}

// Steps implements [engine.Process]. The last pass may not leave a mask.
func (p *spindle) Steps(ctx context.Context, seq *engine.Sequence, o engine.Options) iter.Seq2[engine.Step, error] {
	s := &denoise.Spindle{Model: p.model.denoiser, Total: bert.Steps, Stride: stride(bert.Steps, o.Steps), Freq: p.model.freq, Lambda: p.lambda, Best: p.best}
	if c, ok := p.model.denoiser.(conditioned); ok && c.Conditioned() {
		s.Tell = func(t int) { c.Tell(float64(t - 1)) }
	}
	last := s.Total/s.Stride - 1
	s.Look = func(step int, logits []float64) {
		if step != last {
			return
		}
		for i := int(p.model.spec.Mask); i < len(logits); i += p.model.spec.Vocab {
			logits[i] = math.Inf(-1)
		}
	}
	return s.Steps(ctx, seq, o)
}

// conditioned is a network that may be told the time.
type conditioned interface {
	Conditioned() bool
	Tell(sigma float64)
}

// frequencies reads how often words occur from the folder "word_freq" beside a DiffusionBERT, as its trainer leaves them
// there. Without it all words are alike, which is a doubt.
func frequencies(set *weights.Set, vocab int) ([]float64, *engine.Doubt, error) {
	sub, err := set.Sub("word_freq")
	if errors.Is(err, fs.ErrNotExist) {
		return make([]float64, vocab), &engine.Doubt{Item: "word frequencies",
			Reason: "there is no folder word_freq beside the weights, so that the spindle treats all words alike"}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer sub.Close()
	if len(sub.Names()) != 1 {
		return nil, nil, &engine.FormatError{Format: "word frequencies", Path: sub.Path(), Reason: fmt.Sprintf("%d tensors, want 1", len(sub.Names()))}
	}
	t, err := sub.Tensor(sub.Names()[0])
	if err != nil {
		return nil, nil, err
	}
	counts, err := t.Ints()
	if err != nil {
		return nil, nil, err
	}
	if len(counts) != vocab {
		return nil, nil, &engine.FormatError{Format: "word frequencies", Path: sub.Path(), Reason: fmt.Sprintf("%d words, want %d", len(counts), vocab)}
	}
	whole := make([]int, len(counts))
	for i, c := range counts {
		if c < 0 || c > math.MaxInt32 {
			return nil, nil, &engine.FormatError{Format: "word frequencies", Path: sub.Path(), Reason: fmt.Sprintf("word %d occurs %d times", i, c)}
		}
		whole[i] = int(c)
	}
	return denoise.Frequencies(whole), nil, nil
}
