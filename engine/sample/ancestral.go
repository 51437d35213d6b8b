package sample

import "unmask/engine"

// Ancestral unmasks every masked position by a coin of its own that falls with probability View.Rate: the exact reverse
// process of masked diffusion, "origin" of Dream and the ddpm sampler of MDLM. A step may unmask nothing; the last one
// unmasks the rest.
type Ancestral struct{}

// CountsItself implements [engine.Counter].
func (Ancestral) CountsItself() bool { return true }

// Select implements [engine.Sampler].
func (Ancestral) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	last := v.Step >= v.Steps-1
	for i := range p.Pos {
		if i < len(v.Committed) && v.Committed[i] || p.Prob[i] != p.Prob[i] {
			continue
		}
		if last || v.Noise.Uniform(p.Pos[i]) < v.Rate {
			d.Unmask = append(d.Unmask, i)
		}
	}
}
