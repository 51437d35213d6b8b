package sample

import "unmask/engine"

// Factor unmasks the n most probable candidates, n the largest for which all before hold p(n) >= 1 - Factor/(n+1), and at
// least one: Fast-dLLM's factor-based decoding.
type Factor struct {
	Factor float64
	Quota  bool // at least the schedule's quota
	// Edge takes all candidates when only the last one fails its test. The released code does so by an off-by-one.
	Edge    bool
	ranking ranking
}

// CountsItself implements [engine.Counter].
func (s *Factor) CountsItself() bool { return true }

// Select implements [engine.Sampler].
func (s *Factor) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	s.ranking.rank(v, p, d, func(i int) float64 { return byProb(p, i) })
	n := 1
	for n < len(d.Unmask) && float64(p.Prob[d.Unmask[n]]) >= 1-s.Factor/float64(n+2) {
		n++
	}
	if s.Edge && n == len(d.Unmask)-1 {
		n++
	}
	keep(d, max(n, fewest(v, s.Quota)))
}
