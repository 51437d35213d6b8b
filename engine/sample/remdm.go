package sample

import (
	"math"

	"unmask/engine"
)

// The strategies of [ReMDM], in the order of its parameter.
const (
	remaskCapped = iota
	remaskRescaled
	remaskByConfidence
)

// ReMDM masks some committed tokens again in every step but the last, so that early mistakes can be taken back, and
// unmasks as many more of the most probable candidates, so that the schedule's count holds: remasking diffusion,
// arXiv:2503.00307. With the shares a_t committed before the step and a_s after it, the chance of a token to be masked
// again is at most m = min(1, (1-a_s)/a_t) and is
//
//	capped:        min(eta, m)
//	rescaled:      eta * m
//	by confidence: eta * m * n * w, w the softmax of -psi over the n committed tokens
//
// where psi is the probability that the model gives the standing token now. Only the best candidate's probability p is
// known; a token that the model would replace has psi = 1-p, which is an upper bound.
type ReMDM struct {
	Eta      float64 // in [0, 1]
	Strategy int
	ranking  ranking
}

// ReviewsCommitted implements [engine.Reviewer].
func (s *ReMDM) ReviewsCommitted() bool { return true }

// Select implements [engine.Sampler].
func (s *ReMDM) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	s.ranking.rank(v, p, d, func(i int) float64 { return byProb(p, i) })
	if v.Step < v.Steps-1 {
		s.remask(v, p, d)
	}
	keep(d, v.Quota+len(d.Remask))
}

// remask fills d.Remask with at most as many positions as can be unmasked in their place.
func (s *ReMDM) remask(v engine.View, p *engine.Prediction, d *engine.Decision) {
	room := len(d.Unmask) - v.Quota
	committed, weights := 0, 0.0
	for i, c := range v.Committed {
		if c && p.Prob[i] == p.Prob[i] {
			committed++
			weights += math.Exp(-support(v, p, i))
		}
	}
	if committed == 0 || room <= 0 {
		return
	}
	all := float64(committed + v.Masked)
	most := min(1, (float64(v.Masked-v.Quota)/all)/(float64(committed)/all))
	for i, c := range v.Committed {
		if !c || p.Prob[i] != p.Prob[i] || len(d.Remask) == room {
			continue
		}
		chance := s.Eta * most
		switch s.Strategy {
		case remaskCapped:
			chance = min(s.Eta, most)
		case remaskByConfidence:
			chance *= float64(committed) * math.Exp(-support(v, p, i)) / weights
		}
		if v.Noise.Uniform(p.Pos[i]) < chance {
			d.Remask = append(d.Remask, i)
		}
	}
}

// support is the probability that the model gives the token standing at index i, or an upper bound of it.
func support(v engine.View, p *engine.Prediction, i int) float64 {
	if p.Token[i] == v.Current[i] {
		return float64(p.Prob[i])
	}
	return 1 - float64(p.Prob[i])
}
