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
	for _, c := range []struct {
		model, run, want int
		start            bool
	}{{4, 0, 4, false}, {4, 2, 2, false}, {0, 4, 0, false}, {4, 0, 4, true}} {
		f := &fake{block: c.model, start: c.start, keep: true}
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
			short := c.start && (step.Block.Lo == 3 || step.Block.Hi == 11) // what the prompt and the end leave of a block
			if c.model > 0 && !short && step.Block.Len() != c.want || c.start && step.Block.Lo != 3 && step.Block.Lo%4 != 0 {
				t.Errorf("%+v: block %+v", c, step.Block)
			}
			n++
		}
		for _, in := range f.inputs {
			origin := 3
			if c.start {
				origin = 0
			}
			if in.Block != c.want || c.want > 0 && in.Origin != origin {
				t.Errorf("%+v: a pass with block %d from %d on", c, in.Block, in.Origin)
			}
		}
		if n != 8 {
			t.Errorf("%+v: %d steps", c, n)
		}
	}
}
