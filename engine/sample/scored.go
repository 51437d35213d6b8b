package sample

import "unmask/engine"

// Scored unmasks the Quota masked positions with the best score and leaves the rest masked. With the probability of the
// candidate as the score it is the "low_confidence" remasking of LLaDA (generate.py); with margin and entropy it is
// topk_margin and entropy of Dream.
type Scored struct {
	by          func(p *engine.Prediction, i int) float64
	temperature float64
	ranking     ranking
}

func newScored(by func(*engine.Prediction, int) float64) func(engine.Params) (engine.Sampler, error) {
	return func(p engine.Params) (engine.Sampler, error) {
		return &Scored{by: by, temperature: p[orderTemperature.Name]}, nil
	}
}

func byProb(p *engine.Prediction, i int) float64    { return float64(p.Prob[i]) }
func byMargin(p *engine.Prediction, i int) float64  { return float64(p.Margin[i]) }
func byEntropy(p *engine.Prediction, i int) float64 { return -float64(p.Entropy[i]) }

// Select implements [engine.Sampler].
func (s *Scored) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	s.ranking.rank(v, p, d, func(i int) float64 {
		x := s.by(p, i)
		if s.temperature > 0 {
			x = x/s.temperature + gumbel(v.Noise.Uniform(p.Pos[i]))
		}
		return x
	})
	keep(d, v.Quota)
}
