package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
)

// term is one term of the bound: at step t+stride, x0 is noised and the posteriors at step t, the true one and the
// network's, are compared.
type term struct {
	kl, entropy, clean float64 // sums over the words that count; clean is the entropy of the prediction itself
	noisy              []int
}

// term computes the term at step t of the sentences x0. draw gives the exponential numbers of row i.
func (s *spindleFixture) term(ctx context.Context, p *denoise.Spindle, t int, x0 [][]int, counted []float64, draw func(row, pos int) ([]float64, error)) (term, error) {
	const tiny = 1e-20
	var out term
	for row, words := range x0 {
		l := len(words)
		w := s.surprise(words, counted[row*l:(row+1)*l])
		noisy := make([]int, l)
		for i, x := range words {
			one := make([]float64, s.vocab)
			one[x] = 1
			e, err := draw(row, i)
			if err != nil || len(e) != s.vocab {
				return out, fmt.Errorf("noise of %d words, want %d: %w", len(e), s.vocab, err)
			}
			best := math.Inf(-1)
			for j, q := range p.Noised(one, t+p.Stride, w[i]) {
				if q = (q + tiny) / e[j]; q > best {
					best, noisy[i] = q, j
				}
			}
		}
		out.noisy = append(out.noisy, noisy...)
		s.tell(t + p.Stride - 1)
		logits, err := s.inner(ctx, noisy, counted[row*l:(row+1)*l])
		if err != nil {
			return out, err
		}
		for i, x := range words {
			one, probs := make([]float64, s.vocab), softmax(logits[i*s.vocab:(i+1)*s.vocab])
			one[x] = 1
			back := p.Back(engine.Token(noisy[i]), t+p.Stride, s.vocab)
			want, got := s.posterior(p.Noised(one, t, w[i]), back), s.posterior(p.Noised(probs, t, w[i]), back)
			kl := 0.0
			for j, q := range want {
				kl += q * (math.Log(q+tiny) - math.Log(got[j]+tiny))
			}
			c := counted[row*l+i]
			out.kl += c * max(kl, 0)
			out.entropy -= c * math.Log(got[x]+tiny)
			out.clean -= c * math.Log(probs[x]+tiny)
		}
	}
	return out, nil
}

// posterior is the product of p and back, divided by its sum.
func (s *spindleFixture) posterior(p, back []float64) []float64 {
	sum := 0.0
	for i := range p {
		p[i] *= back[i]
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// sentences reads x0 and which words count.
func (s *spindleFixture) sentences(run string) ([][]int, []float64, error) {
	x0, err := s.f.rows(run + ".x0")
	if err != nil {
		return nil, nil, err
	}
	counted, _, err := s.f.float64s(run + ".target_mask")
	if err == nil && len(counted) != len(x0)*len(x0[0]) {
		err = fmt.Errorf("%s.target_mask: %d values for %d rows of %d", run, len(counted), len(x0), len(x0[0]))
	}
	for _, row := range x0 {
		for _, x := range row {
			if x < 0 || x >= s.vocab {
				return nil, nil, fmt.Errorf("%s.x0: word %d of %d", run, x, s.vocab)
			}
		}
	}
	return x0, counted, err
}

// bound checks an evidence bound with a coarse stride.
func (s *spindleFixture) bound(ctx context.Context, name string, raw json.RawMessage) error {
	var r struct {
		Stride int                `json:"eval_step_size"`
		Steps  []int              `json:"timesteps"`
		Prior  float64            `json:"prior"`
		Wide   map[string]float64 `json:"float64"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if r.Stride < 1 || s.total%r.Stride != 0 {
		return fmt.Errorf("stride %d of %d steps", r.Stride, s.total)
	}
	x0, counted, err := s.sentences(name)
	if err != nil {
		return err
	}
	noise, err := s.f.recorded(name+".exp_noise", 4)
	if err != nil {
		return err
	}
	var surprise []float64
	for row, words := range x0 {
		surprise = append(surprise, s.surprise(words, counted[row*len(words):(row+1)*len(words)])...)
	}
	s.f.nearWithin(name+".word_freq_logits", name+".word_freq_logits", float32s(surprise), 1e-6)
	p := s.process(r.Stride)
	var noisy, steps []int
	sum, words := 0.0, 0.0
	for i, t := 0, s.total-r.Stride; t >= 0; i, t = i+1, t-r.Stride {
		x, err := s.term(ctx, p, t, x0, counted, func(row, pos int) ([]float64, error) { return noise.at(i, row, pos) })
		if err != nil {
			return err
		}
		noisy, steps = append(noisy, x.noisy...), append(steps, t+r.Stride)
		if sum += x.kl; t == 0 {
			sum += x.entropy - x.kl
		}
	}
	prior := 0.0
	for i, c := range counted {
		words += c
		// q(x_T) has all but a rounding error on the mask, which is all that the prior has.
		if keep := p.Keep(s.total, surprise[i]); keep > 0 {
			prior += c * (keep*(math.Log(keep+1e-20)-math.Log(1e-20)) + (1-keep)*math.Log(1-keep+1e-20))
		}
	}
	s.f.equal(name+".noisy", noisy)
	s.f.same(name+".timesteps", steps, r.Steps, []int{len(r.Steps)})
	s.f.scalar(name+".likelihood", sum, r.Wide["likelihood"])
	s.f.scalar(name+".elbo", sum+prior, r.Wide["elbo"])
	s.f.scalar(name+".elbo_in_bits_per_dim", (sum+prior)/math.Ln2/words, r.Wide["elbo_in_bits_per_dim"])
	d := math.Abs(prior - r.Wide["prior"])
	s.f.add(Check{Name: name + ".prior", Err: d, Tol: 2e-6, Pass: d <= 2e-6, Note: fmt.Sprintf("float32 gives %g", r.Prior)})
	return nil
}

// loss checks one term of the training loss.
func (s *spindleFixture) loss(ctx context.Context, name string, raw json.RawMessage) error {
	var r struct {
		T      int                `json:"t"`
		Lambda float64            `json:"hybrid_lambda"`
		Wide   map[string]float64 `json:"float64"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	elbo := ""
	for _, n := range s.f.names("elbo_") {
		if run, ok := strings.CutSuffix(n, ".x0"); ok && elbo == "" {
			elbo = run // the losses are of the sentences of the bounds
		}
	}
	x0, counted, err := s.sentences(elbo)
	if err != nil {
		return err
	}
	noise, err := s.f.recorded(name+".exp_noise", 3)
	if err != nil {
		return err
	}
	x, err := s.term(ctx, s.process(1), r.T, x0, counted, func(row, pos int) ([]float64, error) { return noise.at(row, pos) })
	if err != nil {
		return err
	}
	s.f.equal(name+".noisy", x.noisy)
	base, first := x.kl, 0.0
	if r.T == 0 {
		base, first = x.entropy, x.entropy
	}
	for key, got := range map[string]float64{"loss": base + r.Lambda*x.clean, "hybrid_loss": r.Lambda * x.clean, "base_loss": base,
		"cross_entropy_loss": x.entropy, "t0_loss": first, "kl_loss": x.kl} {
		want := r.Wide[key]
		tol := max(1e-5*math.Abs(want), 1e-9)
		d := math.Abs(got - want)
		s.f.add(Check{Name: name + "." + key, Err: d, Tol: tol, Pass: d <= tol, Note: fmt.Sprintf("%g, want %g", got, want)})
	}
	return nil
}
