package sample

import "unmask/engine"

// Threshold unmasks the best candidate and every other one with a probability of at least Bar: Fast-dLLM's confidence
// threshold. With Quota it unmasks at least the schedule's quota, the rule of LLaDA 2.0.
type Threshold struct {
	Bar   float32 // in [0, 1]
	Quota bool
	// Planned unmasks no more than an even plan allows up to now: what earlier steps held back may be caught up.
	Planned bool
	ranking ranking
}

// CountsItself implements [engine.Counter].
func (s *Threshold) CountsItself() bool { return true }

// Select implements [engine.Sampler].
func (s *Threshold) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	s.ranking.rank(v, p, d, func(i int) float64 { return byProb(p, i) })
	n := 0
	for n < len(d.Unmask) && p.Prob[d.Unmask[n]] >= s.Bar {
		n++
	}
	n = max(n, fewest(v, s.Quota))
	if s.Planned && v.Steps > 0 {
		allowed := min(v.Step+1, v.Steps)*(v.Initial/v.Steps) - (v.Initial - v.Masked)
		n = min(n, max(allowed, 1))
	}
	keep(d, n)
}

// fewest is how many positions an adaptive step unmasks whatever their confidence.
func fewest(v engine.View, quota bool) int {
	if quota {
		return max(v.Quota, 1)
	}
	return 1
}
