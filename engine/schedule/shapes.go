package schedule

import "math"

// Float is the arithmetic of a shape: float32 as published code computes it, float64 for drawing curves.
type Float interface{ float32 | float64 }

// floor of the shapes that are clamped, as in Show-o's sampling code.
const clampMin = 1e-6

// Cosine is MaskGIT's schedule, cos(pi/2 * t). In float32 its end is slightly below 0.
func Cosine[F Float](t F) F {
	x := t * F(math.Pi)
	x *= 0.5
	return F(math.Cos(float64(x)))
}

// Linear is 1 - t, clamped to [1e-6, 1].
func Linear[F Float](t F) F { return clamp(1 - t) }

// Power returns the schedule 1 - t^exponent, clamped to [1e-6, 1]. exponent > 0.
func Power[F Float](exponent float64) func(t F) F {
	return func(t F) F { return clamp(1 - F(math.Pow(float64(t), float64(F(exponent))))) }
}

// Sigmoid returns (s(end/tau) - s((t*(end-start)+start)/tau)) / (s(end/tau) - s(start/tau)) with the logistic function s,
// clamped to [1e-6, 1]. start < end, tau > 0.
func Sigmoid[F Float](start, end, tau float64) func(t F) F {
	from, to := logistic(F(start/tau)), logistic(F(end/tau))
	return func(t F) F {
		x := t * F(end-start)
		x += F(start)
		return clamp((to - logistic(x/F(tau))) / (to - from))
	}
}

func logistic[F Float](x F) F { return F(1 / (1 + math.Exp(-float64(x)))) }

func clamp[F Float](x F) F { return min(max(x, clampMin), 1) }

// Timestep is Dream's schedule: times fall linearly from 1 to eps > 0, and a step from t to s unmasks the share 1 - s/t of
// what is masked, all in float32; the last step unmasks the rest. It is [Linear] up to eps and rounding, so it is no row
// of [All]; it serves runs that must count exactly as the released code.
func Timestep(eps float64) Schedule {
	return Schedule{
		Name: "timestep", Title: "Timestep", Paper: "arXiv:2508.15487", Doc: "Times fall linearly to a small rest.",
		Masked:   func(t float64) float64 { return 1 - t },
		Masked32: Linear[float32],
		Rate: func(i, steps int) float32 {
			return 1 - timeAt(i+1, steps, float32(eps))/timeAt(i, steps, float32(eps))
		},
	}
}

// timeAt is entry i of torch.linspace(1, eps, steps+1), which counts from the nearer end.
func timeAt(i, steps int, eps float32) float32 {
	step := (eps - 1) / float32(steps)
	if i < (steps+1)/2 {
		return 1 + step*float32(i)
	}
	return eps - step*float32(steps-i)
}
