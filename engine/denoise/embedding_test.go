package denoise

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"unmask/engine"
)

// words is an embedder of four words on the corners of a square, which predicts that every position is the word of its
// number.
type words struct{ calls []float64 }

var corners = [][]float32{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}}

func (*words) Vocab() int                     { return len(corners) }
func (*words) Width() int                     { return 2 }
func (*words) Word(id engine.Token) []float32 { return corners[id] }
func (w *words) Predict(ctx context.Context, dst, x []float32, t float64) error {
	w.calls = append(w.calls, t)
	for i := range len(x) / 2 {
		copy(dst[2*i:], corners[i%len(corners)])
	}
	return ctx.Err()
}

func embeddingSequence() *engine.Sequence {
	return &engine.Sequence{Tokens: []engine.Token{3, 0, 0, 0, 2}, Fixed: []bool{true, false, false, false, false}, Spans: []engine.Span{{Hi: 5}}}
}

func TestEmbeddingLaws(t *testing.T) {
	g, err := NewGaussian("sqrt", 20, "5")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Embedding{{}, {Clamp: true, Limit: 1.5}, {DDIM: true, Eta: 1}, {Large: true, Clip: true}, {Greedy: true}} {
		net := &words{}
		p.Model, p.Schedule = net, g
		var last []float64
		p.Look = func(_ int, sample, _ []float64) { last = slices.Clone(sample) }
		seq := embeddingSequence()
		state := seq.Clone()
		steps := 0
		for step, err := range p.Steps(context.Background(), seq, engine.Options{Seed: 7}) {
			if err != nil {
				t.Fatal(err)
			}
			state.Apply(step.Changes)
			if steps == 0 && len(step.Changes) != 4 || steps > 0 && len(step.Changes) != 0 {
				t.Errorf("step %d: %d changes", steps, len(step.Changes))
			}
			steps++
		}
		if want := []engine.Token{3, 1, 2, 3, 0}; steps != 5 || !slices.Equal(seq.Tokens, want) || !slices.Equal(state.Tokens, want) {
			t.Errorf("%d steps to %v, replayed %v, want %v", steps, seq.Tokens, state.Tokens, want)
		}
		for i, id := range seq.Tokens { // without noise left, the sample is the words
			for j, v := range corners[id] {
				if math.Abs(last[2*i+j]-float64(v)) > 1e-9 {
					t.Errorf("position %d: %v, want %v", i, last[2*i:2*i+2], corners[id])
				}
			}
		}
		if want := []float64{950, 700, 500, 250, 0}; len(net.calls) != 5 || net.calls[0] != want[0] || net.calls[4] != 0 {
			t.Errorf("told %v", net.calls)
		}
	}
}

func TestEmbeddingRefuses(t *testing.T) {
	g, err := NewGaussian("sqrt", 20, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		eta  float64
		word engine.Token
	}{{"a cancelled context", ctx, 0, 3}, {"eta", context.Background(), 2, 3}, {"a word", context.Background(), 0, 9}} {
		p := &Embedding{Model: &words{}, Schedule: g, Eta: c.eta}
		seq := embeddingSequence()
		seq.Tokens[0] = c.word
		n := 0
		var err error
		for _, err = range p.Steps(c.ctx, seq, engine.Options{}) {
			n++
		}
		if err == nil || n != 1 || c.ctx.Err() != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %d pairs, %v", c.name, n, err)
		}
	}
	for _, bad := range []struct {
		name    string
		total   int
		spacing string
	}{{"sqrt", 1, ""}, {"sqrt", 12, "13"}, {"sqrt", 12, "x"}, {"sqrt", 12, "ddim11"}, {"sqrt", 12, "0"}, {"none", 12, ""}, {"pw_lin", 11, ""}} {
		if _, err := NewGaussian(bad.name, bad.total, bad.spacing); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
