package verify

import "math"

// The draws of the published code, with the random numbers given. They replace the backend's own draw in a replay.

// drawGumbel is argmax(logit + temperature*Gumbel(u)), the first of equals, in float64. Temperature 0 draws nothing.
func drawGumbel(logits []float32, u []float64, temperature float64) int {
	at, top := 0, math.Inf(-1)
	for i, l := range logits {
		x := float64(l)
		if temperature != 0 {
			x += temperature * -math.Log(-math.Log(max(u[i], 1e-20)))
		}
		if x > top {
			at, top = i, x
		}
	}
	return at
}

// gumbelAdd is Lumina-DiMOO's form of the noise, -ln(-ln(u + 1e-20) + 1e-20) in float32. It differs from the clamped form
// of the sampler where u or -ln u is near 1e-20.
func gumbelAdd(u float32) float32 {
	inner := -float32(math.Log(float64(u + 1e-20)))
	return -float32(math.Log(float64(inner + 1e-20)))
}

// drawPower is LLaDA's add_gumbel_noise: argmax of exp(logit) / (-ln u)^temperature in float64, the first of equals.
func drawPower(logits []float32, u []float64, temperature float64) int {
	at, top := 0, math.Inf(-1)
	for i, l := range logits {
		x := math.Exp(float64(l))
		if temperature != 0 {
			x /= math.Pow(-math.Log(u[i]), temperature)
		}
		if x > top {
			at, top = i, x
		}
	}
	return at
}

// drawMultinomial is torch.multinomial on a CPU: argmax of p/e with e standard exponential, the first of equals. p is the
// float32 softmax of logits.
func drawMultinomial(logits []float32, e []float64) int {
	p := softmax(logits)
	at, top := 0, math.Inf(-1)
	for i := range p {
		if x := float64(float32(p[i]) / float32(e[i])); x > top {
			at, top = i, x
		}
	}
	return at
}

// best is the argmax of logits, the first of equals, and its probability.
func best(logits []float32) (int, float32) {
	at := 0
	for i, l := range logits {
		if l > logits[at] {
			at = i
		}
	}
	return at, float32(softmax(logits)[at])
}

// softmax is computed in float64.
func softmax(logits []float32) []float64 {
	top := math.Inf(-1)
	for _, l := range logits {
		top = max(top, float64(l))
	}
	p, sum := make([]float64, len(logits)), 0.0
	for i, l := range logits {
		p[i] = math.Exp(float64(l) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
