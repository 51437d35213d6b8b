package denoise

import (
	"math"
	"testing"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/models/toy"
)

// TestLikelihood compares the estimate with what it must be: of one token it is exact, whatever is drawn; of more it is the
// mean over masks of one size where only one size is drawn.
func TestLikelihood(t *testing.T) {
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	m := toy.New(be, toy.Config{Vocab: testVocab, Mask: testMask, End: []engine.Token{testEnd}, Seed: 2})
	mask := m.Spec().Mask
	prompt := []engine.Token{1, 2, 3}
	exact := func(answer []engine.Token, at ...int) float64 {
		seq := &engine.Sequence{Tokens: append(append([]engine.Token{}, prompt...), answer...), Fixed: make([]bool, 3+len(answer))}
		want := make([]int, len(at))
		for i, j := range at {
			seq.Tokens[3+j], want[i] = mask, 3+j
		}
		ce, err := MaskedLoss(t.Context(), m, seq, want, answer, 3, 0)
		if err != nil {
			t.Fatal(err)
		}
		return -ce
	}
	one := []engine.Token{5}
	l := &Likelihood{Model: m, Samples: 6, Batch: 2, Seed: 3}
	e, err := l.Of(t.Context(), prompt, one)
	if err != nil {
		t.Fatal(err)
	}
	if want := exact(one, 0); math.Abs(e.LogProb-want) > 1e-5 || e.StdErr > 1e-5 || e.Passes != 6 || e.Tokens != 1 {
		t.Errorf("one token: %+v, want %g", e, want)
	}
	// A batch of two over two tokens masks one of them in one row and both in the other.
	two := []engine.Token{5, 9}
	l = &Likelihood{Model: m, Samples: 400, Batch: 2, Seed: 4}
	if e, err = l.Of(t.Context(), prompt, two); err != nil {
		t.Fatal(err)
	}
	want := (exact(two, 0, 1) + (2*exact(two, 0)+2*exact(two, 1))/2) / 2
	if math.Abs(e.LogProb-want) > 4*e.StdErr+1e-6 {
		t.Errorf("two tokens: %+v, want %g", e, want)
	}
	again, err := l.Of(t.Context(), prompt, two)
	if err != nil || again != e {
		t.Errorf("a second estimate with one seed is %+v, %v; the first %+v", again, err, e)
	}
	for _, bad := range []Likelihood{{Model: m, Samples: 1}, {Model: m, Batch: 1}, {Model: m, Samples: 1 << 30, Batch: 1}} {
		if _, err := bad.Of(t.Context(), prompt, one); err == nil {
			t.Errorf("%d samples in batches of %d: no error", bad.Samples, bad.Batch)
		}
	}
	if _, err := l.Of(t.Context(), prompt, nil); err == nil {
		t.Error("an empty answer: no error")
	}
	if _, err := l.Of(t.Context(), prompt, []engine.Token{1 << 20}); err == nil {
		t.Error("a token beyond the vocabulary: no error")
	}
}

func TestMaskedOf(t *testing.T) {
	var got []int
	for row := range 4 {
		got = append(got, maskedOf(3, row, 4, 8))
	}
	for i, want := range []int{3, 5, 7, 1} {
		if got[i] != want {
			t.Errorf("counts %v, want 3 5 7 1", got)
		}
	}
}
