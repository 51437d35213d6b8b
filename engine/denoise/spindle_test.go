package denoise

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"unmask/engine"
)

func spindleSequence() *engine.Sequence {
	s := &engine.Sequence{Tokens: []engine.Token{1, testMask, testMask, 3, testMask, 2}, Spans: []engine.Span{{Hi: 6}}}
	s.Fixed = []bool{true, false, false, false, false, true}
	return s
}

func TestSpindleLaws(t *testing.T) {
	counts := make([]int, testVocab)
	for i := range counts {
		counts[i] = i * i
	}
	run := func(seed uint64) *engine.Sequence {
		p := &Spindle{Model: &fake{}, Total: 12, Stride: 3, Freq: Frequencies(counts), Lambda: 0.3}
		seq := spindleSequence()
		state := seq.Clone()
		passes := 0
		for step, err := range p.Steps(context.Background(), seq, engine.Options{Temperature: 1, TopK: 20, Seed: seed}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range step.Changes {
				if state.Fixed[c.Pos] || state.Tokens[c.Pos] != c.From || c.From == c.To {
					t.Fatalf("step %d: change %+v of %d", step.Index, c, state.Tokens[c.Pos])
				}
			}
			state.Apply(step.Changes)
			masked := 0
			for i, x := range state.Tokens {
				if x == testMask && !state.Fixed[i] {
					masked++
				}
			}
			if masked != step.Masked || step.NFE != step.Index+1 {
				t.Fatalf("step %d: %d masked, says %d; NFE %d", step.Index, masked, step.Masked, step.NFE)
			}
			passes++
		}
		if passes != 4 || !slices.Equal(state.Tokens, seq.Tokens) {
			t.Fatalf("%d passes lead to %v, want %v", passes, state.Tokens, seq.Tokens)
		}
		return seq
	}
	first := run(1)
	if !slices.Equal(first.Tokens, run(1).Tokens) {
		t.Error("the same seed gives another answer")
	}
	if slices.Equal(first.Tokens, run(2).Tokens) && slices.Equal(first.Tokens, run(3).Tokens) {
		t.Error("three seeds give one answer")
	}
}

func TestSpindleRefuses(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	good := Spindle{Model: &fake{}, Total: 12, Stride: 3, Freq: make([]float64, testVocab)}
	for _, c := range []struct {
		name string
		ctx  context.Context
		o    engine.Options
		edit func(*Spindle)
		want error
	}{
		{"a cancelled context", ctx, engine.Options{}, func(*Spindle) {}, context.Canceled},
		{"top-p", context.Background(), engine.Options{TopP: 0.5}, func(*Spindle) {}, nil},
		{"a stride that does not divide", context.Background(), engine.Options{}, func(s *Spindle) { s.Stride = 5 }, nil},
		{"one pass", context.Background(), engine.Options{}, func(s *Spindle) { s.Stride = 12 }, nil},
		{"too few frequencies", context.Background(), engine.Options{}, func(s *Spindle) { s.Freq = s.Freq[1:] }, nil},
	} {
		p := good
		c.edit(&p)
		seq := spindleSequence()
		var err error
		n := 0
		for _, err = range p.Steps(c.ctx, seq, c.o) {
			n++
		}
		if err == nil || n != 1 || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %d pairs, error %v", c.name, n, err)
		}
		if !slices.Equal(seq.Tokens, spindleSequence().Tokens) {
			t.Errorf("%s: the sequence changed", c.name)
		}
	}
}

// TestSpindleNoise: the distribution at any step sums to one, and frequent words survive longer.
func TestSpindleNoise(t *testing.T) {
	p := &Spindle{Model: &fake{}, Total: 12, Stride: 1, Lambda: 0.3}
	for step := range p.Total + 1 {
		q := make([]float64, testVocab)
		q[4] = 1
		sum := 0.0
		for _, x := range p.Noised(q, step, 0.2) {
			sum += x
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("step %d: probabilities sum to %g", step, sum)
		}
		if step > 0 && step < p.Total && p.Keep(step, 0.3) <= p.Keep(step, -0.3) {
			t.Errorf("step %d: a frequent word is kept with %g, a rare one with %g", step, p.Keep(step, 0.3), p.Keep(step, -0.3))
		}
	}
}
