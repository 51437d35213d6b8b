package denoise

import (
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
)

// TestBlockDiffusion: a model that was trained on blocks gets its block length where the run has none, and every pass says
// where blocks begin: at the answer.
func TestBlockDiffusion(t *testing.T) {
	s, err := sample.New("low_confidence", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ model, run, want int }{{4, 0, 4}, {4, 2, 2}, {0, 4, 0}} {
		f := &fake{block: c.model, keep: true}
		seq := &engine.Sequence{Spans: []engine.Span{{Hi: 11}}}
		for i := range 11 {
			tok := engine.Token(1)
			if i >= 3 {
				tok = testMask
			}
			seq.Tokens, seq.Fixed = append(seq.Tokens, tok), append(seq.Fixed, i < 3)
		}
		m := &Masked{Model: f, Sampler: s}
		n := 0
		for step, err := range m.Steps(t.Context(), seq, engine.Options{Block: c.run}) {
			if err != nil {
				t.Fatal(err)
			}
			if c.model > 0 && step.Block.Len() != c.want {
				t.Errorf("%+v: a block of %d", c, step.Block.Len())
			}
			n++
		}
		for _, in := range f.inputs {
			if in.Block != c.want || c.want > 0 && in.Origin != 3 {
				t.Errorf("%+v: a pass with block %d from %d on", c, in.Block, in.Origin)
			}
		}
		if n != 8 {
			t.Errorf("%+v: %d steps", c, n)
		}
	}
}
