package schedule

import "math"

// Rounded is the count rule of dLLM: of n masks left, a step from time t to s unmasks round(n * (1 - (1-a(s))/(1-a(t)))),
// half to even, and steps of none are dropped. a(x) is 1-x, or 1-cos(pi/2*(1-x)) when cosine is set. The quotient is
// float32, the rest float64, as in the released code, which decides many exact halves. It is [Linear] or [Cosine] up to
// that rounding, so it is no row of [All].
func Rounded(cosine bool) Schedule {
	name, shape := "rounded", Linear[float64]
	alpha := func(x float32) float32 { return 1 - x }
	if cosine {
		name, shape = "rounded_cosine", Cosine[float64]
		alpha = func(x float32) float32 { return 1 - float32(math.Cos(float64(float32(math.Pi/2)*(1-x)))) }
	}
	return Schedule{
		Name: name, Title: "Rounded", Paper: "arXiv:2406.07524", Doc: "Counts rounded to nearest, without empty steps.",
		Masked: shape,
		Counts: func(masked, steps int) []int {
			var out []int
			for i := 0; i < steps && masked > 0; i++ {
				t, s := float32(float64(steps-i)/float64(steps)), float32(float64(steps-i-1)/float64(steps))
				stay := (1 - alpha(s)) / (1 - alpha(t))
				n := min(int(math.RoundToEven(float64(masked)*(1-float64(stay)))), masked)
				if n > 0 {
					out = append(out, n)
				}
				masked -= n
			}
			return out
		},
	}
}
