package sample

import "unmask/engine"

// EntropyBound unmasks the most certain positions together as long as what they could know of each other is bounded: in
// rising order of entropy, all before and with position k while the sum of the entropies without the largest, H(k), is
// at most Bound nats; the first always. It is the entropy-bounded sampler of arXiv:2505.24857, with the ordering of
// DiffusionGemma.
type EntropyBound struct {
	Bound   float64 // nats, at least 0
	Quota   bool    // at least the schedule's quota
	ranking ranking
}

// CountsItself implements [engine.Counter].
func (s *EntropyBound) CountsItself() bool { return true }

// Select implements [engine.Sampler].
func (s *EntropyBound) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	s.ranking.rank(v, p, d, func(i int) float64 { return byEntropy(p, i) })
	n, sum := 0, 0.0
	for n < len(d.Unmask) && (n == 0 || sum <= s.Bound) {
		sum += float64(p.Entropy[d.Unmask[n]])
		n++
	}
	keep(d, max(n, fewest(v, s.Quota)))
}
