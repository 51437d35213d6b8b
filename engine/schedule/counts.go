package schedule

import "math"

// Left is how many of n positions are still masked after step i of steps: floor(n * share((i+1)/steps)), all in float32.
// It is not clamped: cosine ends at -1, because the float32 cosine of pi/2 is negative. Rows without a share count
// linearly. This is the count of MaskGIT and MMaDA; MaskGIT passes the positions masked at the start, MMaDA all
// positions.
func (s Schedule) Left(n, i, steps int) int {
	share := s.Masked32
	if share == nil {
		share = Linear[float32]
	}
	t := float32(float64(i+1) / float64(steps))
	return int(math.Floor(float64(float32(n) * share(t))))
}

// AppendQuotas appends how many positions each of the steps unmasks. The quotas are not negative and add up to masked;
// there are steps of them, or as many as Counts gives.
//
// "uniform" is LLaDA's rule: masked/steps rounded down, and one more in the first masked mod steps steps. The other rows
// leave Left(masked) positions, bounded so that every step, the last included, has at least one to unmask while masked
// >= steps; MaskGIT's own bound, [1, unknown-1], is wider only where it would waste a pass.
func (s Schedule) AppendQuotas(dst []int, masked, steps int) []int {
	if steps <= 0 {
		return dst
	}
	if s.Counts != nil {
		return append(dst, s.Counts(masked, steps)...)
	}
	if s.Masked == nil {
		for i := range steps {
			q := masked / steps
			if i < masked%steps {
				q++
			}
			dst = append(dst, q)
		}
		return dst
	}
	unknown := masked
	for i := range steps {
		left := 0
		if i < steps-1 {
			left = min(max(s.Left(masked, i, steps), steps-1-i), unknown-1)
			left = max(left, 0)
		}
		dst = append(dst, unknown-left)
		unknown = left
	}
	return dst
}

// Chance is the probability that a masked position is unmasked in step i of steps when each position is decided by
// itself: 1 - s/t with the shares t before and s after the step, in float32; 1 in the last step.
func (s Schedule) Chance(i, steps int) float32 {
	switch {
	case i >= steps-1:
		return 1
	case s.Rate != nil:
		return s.Rate(i, steps)
	}
	share := s.Masked32
	if share == nil {
		share = Linear[float32]
	}
	before, after := share(float32(i)/float32(steps)), share(float32(i+1)/float32(steps))
	return min(max(1-after/before, 0), 1)
}
