package sample

import (
	"math"
	"slices"

	"unmask/engine"
)

// MaskGIT draws a candidate everywhere, then masks the least confident again until the schedule's count is left; what it
// does not mask again is committed. Confidence is ln(max(p, 1e-20)) + tau*Gumbel in float32, with a temperature tau that
// fades. The last step commits everything: MMaDA returns its last full draw.
type MaskGIT struct {
	ChoiceTemperature float64 // tau before the first step
	// Compounding multiplies tau by 1-(i+1)/steps in every step i, as MMaDA and Show-o do by overwriting it; else step i
	// has tau*(1-(i+1)/steps), MaskGIT's rule.
	Compounding bool
	// Constant keeps tau as it is in every step but the last, as Lumina-DiMOO does.
	Constant bool
	// WholePicture leaves View.Left masked, MMaDA's count of all positions, also of those that were never masked; else
	// the quota, MaskGIT's count of the initially masked ones.
	WholePicture bool

	confidence, sorted []float32
}

// Select implements [engine.Sampler].
func (s *MaskGIT) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	if v.Step >= v.Steps-1 {
		for i := range p.Pos {
			if !(i < len(v.Committed) && v.Committed[i]) && p.Prob[i] == p.Prob[i] {
				d.Unmask = append(d.Unmask, i)
			}
		}
		return
	}
	s.Commit(v, p, d)
}

// Commit is Select for a step that is not the last: it lists the masked positions whose confidence is not strictly below
// that of rank Masks(v), counted from the least confident. Ties at the cut are committed.
func (s *MaskGIT) Commit(v engine.View, p *engine.Prediction, d *engine.Decision) {
	tau := float32(s.Temperature(v.Step, v.Steps))
	s.confidence, s.sorted = s.confidence[:0], s.sorted[:0]
	for i, prob := range p.Prob {
		c := float32(math.Log(float64(max(prob, 1e-20))))
		if tau != 0 {
			c += tau * Gumbel32(float32(v.Noise.Uniform(p.Pos[i])))
		}
		s.confidence = append(s.confidence, c)
		if !(i < len(v.Committed) && v.Committed[i]) && c == c {
			s.sorted = append(s.sorted, c)
		}
	}
	slices.Sort(s.sorted)
	m := s.Masks(v)
	if m >= len(s.sorted) {
		return
	}
	for i, c := range s.confidence {
		if !(i < len(v.Committed) && v.Committed[i]) && c >= s.sorted[m] {
			d.Unmask = append(d.Unmask, i)
		}
	}
}

// Masks is how many positions a step that is not the last leaves masked: what the quota leaves, at most masked-1, or
// MMaDA's count within [1, masked-1], which waits with the last position for the last step.
func (s *MaskGIT) Masks(v engine.View) int {
	if s.WholePicture {
		return max(1, min(v.Masked-1, v.Left))
	}
	return max(0, min(v.Masked-1, v.Masked-v.Quota))
}

// Temperature is tau of step i of steps, i from 0.
func (s *MaskGIT) Temperature(i, steps int) float64 {
	if s.Constant {
		return s.ChoiceTemperature
	}
	if !s.Compounding {
		return s.ChoiceTemperature * (1 - float64(i+1)/float64(steps))
	}
	tau := s.ChoiceTemperature
	for j := range i + 1 {
		tau *= 1 - float64(j+1)/float64(steps)
	}
	return tau
}

// Gumbel32 is -ln(max(-ln(max(u, 1e-20)), 1e-20)), the clamped float32 form of Show-o and MMaDA, for u in [0, 1].
func Gumbel32(u float32) float32 {
	inner := -float32(math.Log(float64(max(u, 1e-20))))
	return -float32(math.Log(float64(max(inner, 1e-20))))
}
