package denoise

import (
	"slices"
	"testing"

	"unmask/engine"
)

// TestRunGoesOn stops a run after every one of its steps and runs on from there: it ends as the run that was not stopped.
func TestRunGoesOn(t *testing.T) {
	for _, c := range []struct {
		name string
		seq  *engine.Sequence
		o    engine.Options
	}{
		{"text", answer(4, 24), engine.Options{Steps: 24, Block: 8, Sampler: "low_confidence", Schedule: "uniform"}},
		{"text with noise", answer(4, 24), engine.Options{Steps: 12, Block: 8, Sampler: "margin", Schedule: "uniform", Temperature: 1, Seed: 7}},
		{"one block by a share", answer(4, 30), engine.Options{Steps: 9, Sampler: "low_confidence", Schedule: "cosine"}},
		{"picture", picture(3, 36), engine.Options{Steps: 8, Sampler: "maskgit", Schedule: "cosine", Temperature: 1, Seed: 5}},
		{"picture, whole count", picture(3, 36), engine.Options{Steps: 8, Sampler: "maskgit", Schedule: "linear", Params: engine.Params{"choice_temperature": 2, "anneal": 1, "rule": 1}}},
	} {
		model := func() *fake {
			f := &fake{}
			if len(c.seq.Spans) > 1 {
				f.image = &engine.ImageSpec{Offset: 12, Codebook: 8}
			}
			return f
		}
		whole := c.seq.Clone()
		steps := collect(t, &Masked{Model: model(), Sampler: sampler(t, c.o.Sampler, c.o.Params)}, whole, c.o)
		for n := 1; n < len(steps); n++ {
			seq := c.seq.Clone()
			for _, s := range steps[:n] {
				seq.Apply(s.Changes)
			}
			o := c.o
			o.Steps = len(steps) - n
			m := &Masked{Model: model(), Sampler: sampler(t, c.o.Sampler, c.o.Params), Begun: n, GoesOn: true}
			if len(c.seq.Spans) == 1 {
				m.Answer = engine.Span{Lo: 4, Hi: len(seq.Tokens)} // blocks stay where they were
			}
			more := collect(t, m, seq, o)
			if !slices.Equal(seq.Tokens, whole.Tokens) {
				t.Errorf("%s: run on after step %d of %d ends differently", c.name, n, len(steps))
				break
			}
			if len(more) != len(steps)-n {
				t.Errorf("%s: run on after step %d takes %d steps, %d were left", c.name, n, len(more), len(steps)-n)
				break
			}
		}
	}
}

// TestLooksAreWhatStepsLeft checks that a watched run keeps a look at every position that a step predicted and left.
func TestLooksAreWhatStepsLeft(t *testing.T) {
	seq := answer(4, 16)
	o := engine.Options{Steps: 4, Schedule: "uniform", Watch: true, Alternatives: 2}
	for _, s := range collect(t, &Masked{Model: &fake{}, Sampler: sampler(t, "low_confidence", nil)}, seq, o) {
		if len(s.Looks) != s.Masked {
			t.Fatalf("step %d: %d looks, %d positions are masked", s.Index, len(s.Looks), s.Masked)
		}
		if !slices.IsSortedFunc(s.Looks, func(a, b engine.Look) int { return a.Pos - b.Pos }) {
			t.Errorf("step %d: looks out of order", s.Index)
		}
	}
	seq = answer(4, 16)
	o.Watch = false
	for _, s := range collect(t, &Masked{Model: &fake{}, Sampler: sampler(t, "low_confidence", nil)}, seq, o) {
		if s.Looks != nil {
			t.Fatal("a run that is not watched keeps looks")
		}
	}
}

// TestAvoidedSequencesAreNotWritten lets every position take its favourite first and then forbids what came of it.
func TestAvoidedSequencesAreNotWritten(t *testing.T) {
	free := answer(4, 12)
	o := engine.Options{Steps: 12, Schedule: "uniform"}
	collect(t, &Masked{Model: &fake{}, Sampler: sampler(t, "low_confidence", nil)}, free, o)
	bad := [][]engine.Token{slices.Clone(free.Tokens[5:7]), slices.Clone(free.Tokens[9:12]), {free.Tokens[14]}}
	for _, steps := range []int{1, 4, 12} {
		seq := answer(4, 12)
		o.Steps = steps
		collect(t, &Masked{Model: &fake{}, Sampler: sampler(t, "low_confidence", nil), Avoid: bad}, seq, o)
		for _, w := range bad {
			for i := 4; i+len(w) <= len(seq.Tokens); i++ {
				if slices.Equal(seq.Tokens[i:i+len(w)], w) {
					t.Errorf("%d steps: %v stands at position %d of %v", steps, w, i, seq.Tokens)
				}
			}
		}
	}
}
