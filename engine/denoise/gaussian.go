package denoise

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Gaussian is a noise schedule of continuous diffusion with the steps that a run takes. All slices have one entry a step.
type Gaussian struct {
	Total  int       // steps of training
	Map    []int     // the training step of each
	Beta   []float64 // variance that a step adds
	Bar    []float64 // share of the signal's variance that is left after it
	Before []float64 // the same before it
	Var    []float64 // variance of the posterior
	LogVar []float64 // its logarithm; the first entry, which would be -Inf, is the second
	Clean  []float64 // weight of the clean value in the posterior's mean
	Noised []float64 // weight of the noised value
}

// NewGaussian makes the schedule called name ("sqrt", "cosine", "linear", "trunc_cos", "trunc_lin", "pw_lin") of total
// training steps. spacing picks those that a run takes: "" all, "n" or "n,m" that many from each equal section, "ddimN"
// every k-th so that there are N.
func NewGaussian(name string, total int, spacing string) (*Gaussian, error) {
	if total < 2 || total > 1<<20 {
		return nil, fmt.Errorf("%d diffusion steps", total)
	}
	beta, err := betas(name, total)
	if err != nil {
		return nil, err
	}
	at, err := spaced(total, spacing)
	if err != nil {
		return nil, err
	}
	g := &Gaussian{Total: total, Map: at}
	bar, last := 1.0, 1.0
	next := 0
	for i, b := range beta {
		bar *= 1 - b
		if next < len(at) && at[next] == i {
			g.Beta = append(g.Beta, 1-bar/last)
			last = bar
			next++
		}
	}
	if spacing == "" {
		g.Beta = beta
	}
	g.derive()
	return g, nil
}

// derive fills everything that follows from Beta.
func (g *Gaussian) derive() {
	bar := 1.0
	for _, b := range g.Beta {
		before := bar
		bar *= 1 - b
		g.Before, g.Bar = append(g.Before, before), append(g.Bar, bar)
		g.Var = append(g.Var, b*(1-before)/(1-bar))
		g.Clean = append(g.Clean, b*math.Sqrt(before)/(1-bar))
		g.Noised = append(g.Noised, (1-before)*math.Sqrt(1-b)/(1-bar))
	}
	for i := range g.Var {
		g.LogVar = append(g.LogVar, math.Log(g.Var[min(max(i, 1), len(g.Var)-1)]))
	}
}

// betas are the variances that each of n steps adds.
func betas(name string, n int) ([]float64, error) {
	var out []float64
	scale := 1000 / float64(n)
	line := func(from, to float64, n int) {
		for i := range n {
			out = append(out, from+float64(i)*((to-from)/float64(n-1)))
		}
	}
	by := func(bar func(t float64) float64, n int) {
		for i := range n {
			out = append(out, min(1-bar(float64(i+1)/float64(n))/bar(float64(i)/float64(n)), 0.999))
		}
	}
	switch name {
	case "sqrt":
		by(func(t float64) float64 { return 1 - math.Sqrt(t+0.0001) }, n)
	case "cosine":
		by(func(t float64) float64 { return math.Pow(math.Cos((t+0.008)/1.008*math.Pi/2), 2) }, n)
	case "trunc_cos":
		bar := func(t float64) float64 { return math.Pow(math.Cos((t+0.1)/1.1*math.Pi/2), 2) }
		by(bar, n)
		out = append([]float64{min(1-bar(0), 0.999)}, out[:n-1]...)
	case "linear":
		line(scale*0.0001, scale*0.02, n)
	case "trunc_lin":
		line(scale*0.0001+0.01, scale*0.02+0.01, n)
	case "pw_lin":
		if n < 12 {
			return nil, fmt.Errorf("schedule pw_lin of %d steps, want 12 or more", n)
		}
		line(scale*0.0001+0.01, scale*0.0001, 10)
		line(scale*0.0001, scale*0.02, n-10)
	default:
		return nil, fmt.Errorf("noise schedule %q is unknown; have sqrt, cosine, linear, trunc_cos, trunc_lin, pw_lin", name)
	}
	return out, nil
}

// spaced are the training steps that a run takes, ascending.
func spaced(total int, spacing string) ([]int, error) {
	bad := func() ([]int, error) { return nil, fmt.Errorf("spacing %q of %d steps", spacing, total) }
	if n, ok := strings.CutPrefix(spacing, "ddim"); ok {
		want, err := strconv.Atoi(n)
		for by := 1; err == nil && by < total; by++ {
			if (total+by-1)/by == want {
				var out []int
				for i := 0; i < total; i += by {
					out = append(out, i)
				}
				return out, nil
			}
		}
		return bad()
	}
	if spacing == "" {
		spacing = strconv.Itoa(total)
	}
	parts := strings.Split(spacing, ",")
	var out []int
	start := 0
	for i, part := range parts {
		size := total / len(parts)
		if i < total%len(parts) {
			size++
		}
		count, err := strconv.Atoi(part)
		if err != nil || count < 1 || count > size {
			return bad()
		}
		stride := 1.0
		if count > 1 {
			stride = float64(size-1) / float64(count-1)
		}
		for j := range count {
			out = append(out, start+int(math.RoundToEven(float64(j)*stride)))
		}
		start += size
	}
	slices.Sort(out)
	return out, nil
}
