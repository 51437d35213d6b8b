package sample

import "unmask/engine"

// Random unmasks Quota masked positions in random order: the "random" remasking of LLaDA, where the largest uniform
// numbers go first.
type Random struct{ ranking ranking }

// Select implements [engine.Sampler].
func (s *Random) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	s.ranking.rank(v, p, d, func(i int) float64 { return v.Noise.Uniform(p.Pos[i]) })
	keep(d, v.Quota)
}
