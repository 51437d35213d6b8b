package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"unmask/engine"
)

// time is the time of a step, from 1 to Eps.
func (s *stepped) time(step int) float64 { return 1 - float64(step)*s.dt }

// draw is one categorical draw at position pos, whose token is now; a step beyond the run's takes the best.
func (s *stepped) draw(pos, now int, logits []float32) (int, error) {
	t, end := s.time(s.step), s.step >= s.r.Steps
	sigma, _ := noiseLevel(s.r.Noise, t)
	row := &mdlm{mask: s.mask, vocab: s.vocab}
	logp, err := row.logProbs(s.r.Kind, logits, []int{now}, sigma)
	if err != nil {
		return 0, err
	}
	if s.r.Predictor != "analytic" && end {
		at := 0
		for i, x := range logp {
			if x > logp[at] {
				at = i
			}
		}
		return at, nil
	}
	u, err := s.noise.at(s.first+s.step, s.row, pos)
	if err != nil || len(u) != s.vocab {
		return 0, fmt.Errorf("noise of %d ids, want %d: %w", len(u), s.vocab, err)
	}
	var q []float64
	switch s.r.Predictor {
	case "analytic":
		q = s.analytic(logp, now, t, sigma, end)
	case "ddpm", "ddpm_cache":
		before, after := t, t-s.dt
		if s.r.Predictor == "ddpm" {
			next, _ := noiseLevel(s.r.Noise, after)
			before, after = -math.Expm1(-sigma), -math.Expm1(-next)
		}
		for _, x := range logp {
			q = append(q, math.Exp(x)*(before-after))
		}
		q[s.mask] = after
	default:
		return 0, fmt.Errorf("unknown predictor %q", s.r.Predictor)
	}
	return drawRatio(q, u), nil
}

// drawRatio is MDLM's categorical draw: argmax of p / (1e-10 - ln(u + 1e-10)), the first of equals.
func drawRatio(p, u []float64) int {
	at, top := 0, math.Inf(-1)
	for i, x := range p {
		if x /= 1e-10 - math.Log(u[i]+1e-10); x > top {
			at, top = i, x
		}
	}
	return at
}

// analytic is SEDD's Tweedie step of a masked position from time t to t-dt, or to 0 at the end: probabilities up to a
// factor. logp are log-probabilities of the clean token, or, for SEDD, log-scores.
func (s *stepped) analytic(logp []float64, now int, t, sigma float64, end bool) []float64 {
	d := sigma
	if !end {
		next, _ := noiseLevel(s.r.Noise, t-s.dt)
		d = sigma - next
	}
	score := make([]float64, len(logp))
	sum := 0.0
	for i, x := range logp {
		if s.r.Kind == "subs" {
			x -= math.Log(math.Expm1(sigma))
		}
		if score[i] = math.Exp(x); i == now {
			score[i] = 1
		}
		sum += score[i]
	}
	for i := range score {
		score[i] *= math.Exp(d)
		if i == s.mask {
			score[i] += (1 - math.Exp(d)) * sum
		}
		edge := -math.Expm1(-d)
		if i == now {
			edge += math.Exp(-d)
		}
		score[i] *= edge
	}
	if end {
		score[s.mask] = 0
	}
	return score
}

// noiseLevel is the noise total sigma(t) of a named schedule and its rate of change.
func noiseLevel(name string, t float64) (total, rate float64) {
	const eps = 1e-3
	const low, high = 1e-4, 20.0 // of "linear" and "geometric"
	sin, cos := math.Sincos(t * math.Pi / 2)
	switch name {
	case "loglinear":
		return -math.Log1p(-(1 - eps) * t), (1 - eps) / (1 - (1-eps)*t)
	case "cosine":
		return -math.Log(eps + (1-eps)*cos), math.Pi / 2 * (1 - eps) * sin / ((1-eps)*cos + eps)
	case "cosinesqr":
		return -math.Log(eps + (1-eps)*cos*cos), math.Pi / 2 * (1 - eps) * math.Sin(t*math.Pi) / ((1-eps)*cos*cos + eps)
	case "linear":
		return low + t*(high-low), high - low
	case "geometric":
		total = math.Pow(low, 1-t) * math.Pow(high, t)
		return total, total * math.Log(high/low)
	}
	return math.NaN(), math.NaN()
}

// noises checks noise.*. Near t = 1 float32 cannot hold the schedules, so there the bound is relative.
func (m *mdlm) noises() error {
	times, shape, err := m.f.float64s("noise.t")
	if err != nil {
		return err
	}
	for _, name := range []string{"loglinear", "cosine", "cosinesqr", "linear", "geometric"} {
		var total, rate []float64
		for _, t := range times {
			a, b := noiseLevel(name, t)
			total, rate = append(total, a), append(rate, b)
		}
		m.f.relative("noise."+name+".total", total, shape)
		m.f.relative("noise."+name+".rate", rate, shape)
	}
	return nil
}

// relative compares got with array name: each value within 1e-4 of it, or within the array's own bound.
func (f *folder) relative(name string, got []float64, shape []int) {
	bound, err := f.bound(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	want, _, err := f.float64s(name)
	if err != nil || len(want) != len(got) {
		f.fail(name, fmt.Errorf("%d values, want %d: %w", len(got), len(want), err))
		return
	}
	bound = max(bound, 0)
	for i, w := range want {
		if math.Abs(got[i]-w) <= 1e-4*math.Abs(w) {
			want[i] = got[i]
		}
	}
	f.add(compare(name, got, want, shape, bound))
}

// strides follows the semi-autoregressive run: windows of the model's length, each of which keeps the end of the one
// before it.
func (m *mdlm) strides(ctx context.Context, name string, raw json.RawMessage) error {
	var run struct {
		Stride  int     `json:"stride_length"`
		Strides int     `json:"num_strides"`
		Dt      float64 `json:"dt"`
		Calls   int     `json:"network_calls"`
		Changed int     `json:"sampling_steps"`
		Same    bool    `json:"same_in_float64"`
	}
	if err := json.Unmarshal(raw, &run); err != nil {
		return err
	}
	noise, err := m.f.recorded(name+".uniform", 4)
	if err != nil {
		return err
	}
	_, shape, err := m.f.ints(name + ".states")
	if err != nil {
		return err
	}
	if len(shape) != 3 || shape[1] != 1 || run.Stride < 1 || run.Stride >= shape[2] || !(run.Dt > 0) || run.Strides < 0 || run.Strides > maxRun {
		return fmt.Errorf("states %v, %d strides of %d, dt %g", shape, run.Strides, run.Stride, run.Dt)
	}
	steps := int(1/run.Dt) + 1
	var states, final []int
	var kept []engine.Token
	calls, changed := 0, 0
	for i := range run.Strides + 1 {
		s := &stepped{mdlm: m, r: mdlmRun{Steps: steps, Predictor: "ddpm_cache", Kind: "subs", Noise: "loglinear"}, noise: noise,
			first: i * steps, dt: run.Dt}
		p, err := s.follow(ctx, m.masks(kept, shape[2]), steps+1)
		if err != nil {
			return err
		}
		for j := range steps {
			states = append(states, toInts(p.states[j])...)
			if j == 0 || !slices.Equal(p.states[j-1], p.states[j]) {
				calls++
			}
			if !slices.Equal(p.states[j], p.states[j+1]) {
				changed++
			}
		}
		calls++
		last := p.states[steps+1]
		final = append(final, toInts(last[:run.Stride])...)
		kept = last[run.Stride:]
	}
	m.f.equal(name+".states", states)
	m.f.equal(name+".final", append(final, toInts(kept)...))
	m.f.same(name+".network_calls", []int{calls}, []int{run.Calls}, []int{1})
	m.f.same(name+".sampling_steps", []int{changed}, []int{run.Changed}, []int{1})
	return nil
}
