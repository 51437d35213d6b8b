package nn

import "math"

// SoftmaxGate is LLaDA-MoE's: the top experts by softmax probability, which is also their weight and is not renormalised.
// bias, when not nil, is added to the probabilities, for the choice and in the weight. Equal ones: the lower expert wins.
func SoftmaxGate(top int, bias []float32) Gate {
	var taken []bool
	return func(p []float32) {
		softmax(p)
		for e, b := range bias {
			p[e] += b
		}
		taken = choose(taken, p, top)
		for e := range p {
			if !taken[e] {
				p[e] = 0
			}
		}
	}
}

// ScaledGate is Gemma's: the top experts by softmax probability, weights divided by their sum and then multiplied by the
// expert's own scale, so that they need not add up to 1.
func ScaledGate(top int, scale []float32) Gate {
	var taken []bool
	return func(p []float32) {
		softmax(p)
		taken = choose(taken, p, top)
		sum := float32(0)
		for e, x := range p {
			if taken[e] {
				sum += x
			}
		}
		for e, x := range p {
			p[e] = 0
			if taken[e] {
				p[e] = x / sum * scale[e]
			}
		}
	}
}

// SigmoidGate is LLaDA2's: scores are sigmoids, the choice goes by score plus bias. Of groups groups of experts the best
// topGroups remain, by the sum of their two best; of their experts the best top. Weights are the scores without bias,
// divided by their sum, times scale.
func SigmoidGate(top, groups, topGroups int, scale float32, bias []float32) Gate {
	var ranked, best []float32
	var taken, groupTaken []bool
	return func(p []float32) {
		n := len(p)
		size := n / groups
		ranked, best = ranked[:0], best[:0]
		for e, x := range p {
			p[e] = float32(1 / (1 + math.Exp(-float64(x))))
			r := p[e]
			if bias != nil {
				r += bias[e]
			}
			ranked = append(ranked, r)
		}
		for g := range groups {
			best = append(best, topTwo(ranked[g*size:(g+1)*size]))
		}
		groupTaken = choose(groupTaken, best, topGroups)
		for e := range ranked {
			if !groupTaken[e/size] {
				ranked[e] = float32(math.Inf(-1))
			}
		}
		taken = choose(taken, ranked, top)
		sum := float32(0)
		for e, x := range p {
			if taken[e] {
				sum += x
			}
		}
		for e := range p {
			switch {
			case !taken[e]:
				p[e] = 0
			case top > 1:
				p[e] = p[e] / (sum + 1e-20) * scale
			default:
				p[e] *= scale
			}
		}
	}
}

// choose marks the top largest of score in taken, whose memory it reuses. Equal ones: the lower index wins.
func choose(taken []bool, score []float32, top int) []bool {
	taken = taken[:0]
	for range score {
		taken = append(taken, false)
	}
	for range min(top, len(score)) {
		best := -1
		for e, v := range score {
			if !taken[e] && (best < 0 || v > score[best]) {
				best = e
			}
		}
		taken[best] = true
	}
	return taken
}

// topTwo is the sum of the two largest, or the one there is.
func topTwo(x []float32) float32 {
	first, second := float32(math.Inf(-1)), float32(math.Inf(-1))
	for _, v := range x {
		if v > first {
			first, second = v, first
		} else if v > second {
			second = v
		}
	}
	if len(x) < 2 {
		return first
	}
	return first + second
}

// softmax turns p into probabilities in place.
func softmax(p []float32) {
	top := math.Inf(-1)
	for _, v := range p {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range p {
		sum += math.Exp(float64(v) - top)
	}
	for i, v := range p {
		p[i] = float32(math.Exp(float64(v)-top) / sum)
	}
}
