package evalset

import "math"

// z95 is the two-sided 95 % quantile of the normal distribution.
const z95 = 1.959963984540054

// Wilson is the 95 % score interval of a share: hits of n (E. B. Wilson, 1927). n = 0 gives [0, 1].
func Wilson(hits, n int) (low, high float64) {
	if n <= 0 {
		return 0, 1
	}
	p, m := float64(hits)/float64(n), float64(n)
	z2 := z95 * z95
	mid := (p + z2/(2*m)) / (1 + z2/m)
	half := z95 / (1 + z2/m) * math.Sqrt(p*(1-p)/m+z2/(4*m*m))
	return max(mid-half, 0), min(mid+half, 1)
}

// mean is the mean of values and its 95 % interval by the normal approximation.
func mean(values []float64) (m, low, high float64) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	n := float64(len(values))
	for _, v := range values {
		m += v / n
	}
	ss := 0.0
	for _, v := range values {
		ss += (v - m) * (v - m)
	}
	half := 0.0
	if len(values) > 1 {
		half = z95 * math.Sqrt(ss/(n-1)/n)
	}
	return m, m - half, m + half
}
