package sample

import "unmask/engine"

// Edit unmasks as [Threshold] does and, in the same step, replaces committed tokens where the model now prefers another
// one with a probability above EditBar: the decoding of LLaDA 2.1. When no mask is left it goes on editing for up to
// Extra passes, until one changes nothing.
type Edit struct {
	Threshold
	EditBar float32 // in [0, 1]
	Extra   int
}

// ReviewsCommitted implements [engine.Reviewer].
func (s *Edit) ReviewsCommitted() bool { return true }

// ExtraPasses implements [engine.Polisher].
func (s *Edit) ExtraPasses() int { return s.Extra }

// Select implements [engine.Sampler].
func (s *Edit) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	s.Threshold.Select(v, p, d)
	for i := range p.Pos {
		if v.Committed[i] && p.Token[i] != v.Current[i] && p.Prob[i] > s.EditBar {
			d.Edit = append(d.Edit, i)
		}
	}
}
