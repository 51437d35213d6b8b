package schedule

import "math"

// Shifted is LaViDa's schedule: sigma(t) = s*t / (1 + (s-1)*t) of the positions lie before progress t, counted from the
// end, so that s > 1 unmasks few first and s < 1 many. s > 0.
func Shifted(s float64) Schedule {
	return cumulative("shift", func(t float64) float64 { return s * t / (1 + (s-1)*t) },
		func(t float32) float32 {
			up := float32(s) * t
			return up / (1 + float32(s-1)*t)
		})
}

// LogitNormal is LaViDa's schedule whose progress is the distribution of a logit-normal number: slow, fast, slow.
func LogitNormal() Schedule {
	return cumulative("logit_normal", logitNormal, func(t float32) float32 {
		switch {
		case t <= 0:
			return 0
		case t >= 1:
			return 1
		}
		x := float32(math.Log(float64(t / (1 - t))))
		return 0.5 * (1 + float32(math.Erf(float64(x/float32(math.Sqrt2)))))
	})
}

func logitNormal(t float64) float64 {
	switch {
	case t <= 0:
		return 0
	case t >= 1:
		return 1
	}
	return 0.5 * (1 + math.Erf(math.Log(t/(1-t))/math.Sqrt2))
}

// HalfCosine is LaViDa's cosine, (1 - cos(pi*t)) / 2. It is no row of [All], where "cosine" is MaskGIT's.
func HalfCosine() Schedule {
	return cumulative("half_cosine", func(t float64) float64 { return 0.5 * (1 - math.Cos(math.Pi*t)) },
		func(t float32) float32 { return 0.5 * (1 - float32(math.Cos(float64(float32(math.Pi)*t)))) })
}

// Even is LaViDa's linear schedule, which differs from [Linear] by rounding.
func Even() Schedule {
	same := func(t float64) float64 { return t }
	return cumulative("even", same, func(t float32) float32 { return t })
}

// cumulative is the schedule of LaViDa's code with the given distribution function: counts are differences of
// floor(sigma * n) in float32, each at least 1; what that adds too much is taken off in turn from the counts above 1; then
// the order is turned round. There are no more steps than positions.
func cumulative(name string, sigma func(float64) float64, sigma32 func(float32) float32) Schedule {
	return Schedule{
		Name: name, Paper: "arXiv:2505.16839",
		Masked:   func(t float64) float64 { return sigma(1 - t) },
		Masked32: func(t float32) float32 { return sigma32(1 - t) },
		Counts: func(masked, steps int) []int {
			steps = min(steps, masked)
			if steps < 1 {
				return nil
			}
			counts, before, over := make([]int, steps), 0, -masked
			for i := range steps {
				upTo := int(sigma32(between(i+1, steps)) * float32(masked))
				counts[i] = max(upTo-before, 1)
				over += counts[i]
				before = upTo
			}
			for j := 0; over > 0; j++ {
				if at := j % steps; counts[at] > 1 {
					counts[at]--
					over--
				}
			}
			for i, j := 0, steps-1; i < j; i, j = i+1, j-1 {
				counts[i], counts[j] = counts[j], counts[i]
			}
			return counts
		},
	}
}

// between is entry i of torch.linspace(0, 1, steps+1), which counts from the nearer end.
func between(i, steps int) float32 {
	step := 1 / float32(steps)
	if i < (steps+1)/2 {
		return step * float32(i)
	}
	return 1 - step*float32(steps-i)
}

// named gives a schedule its place in the table.
func (s Schedule) named(name, title, doc string) Schedule {
	s.Name, s.Title, s.Doc = name, title, doc
	return s
}
