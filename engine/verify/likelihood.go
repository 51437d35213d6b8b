package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
)

// likelihood is a Monte-Carlo estimate of the answer's log-likelihood, LLaDA's get_log_likelihood.py.
type likelihood struct {
	Guidance float64      `json:"cfg_scale"`
	Draws    int          `json:"mc_num"`
	Batch    int          `json:"batch_size"`
	Mask     engine.Token `json:"mask_id"`
	Value    float64      `json:"value"`
	Exact    float64      `json:"value_float64"`
}

func verifyLikelihood(ctx context.Context, f *folder, n *network, name string, raw json.RawMessage) error {
	var run likelihood
	if err := json.Unmarshal(raw, &run); err != nil {
		return err
	}
	prompt, _, err := f.ints(name + ".prompt")
	if err != nil {
		return err
	}
	answer, _, err := f.ints(name + ".answer")
	if err != nil {
		return err
	}
	counts, _, err := f.ints(name + ".k_draws")
	if err != nil {
		return err
	}
	perm, shape, err := f.ints(name + ".permutations")
	if err != nil {
		return err
	}
	m, b, a := len(counts), run.Batch, len(answer)
	if !slices.Equal(shape, []int{m, b, a}) || b < 1 || m*b != run.Draws {
		return fmt.Errorf("permutations %v, want [%d %d %d] for %d draws", shape, m, b, a, run.Draws)
	}
	noisy, share, masked := likelihoodRows(prompt, answer, counts, perm, b, run.Mask)
	f.equal(name+".noisy", noisy)
	f.nearWithin(name+".p_mask", name+".p_mask", share, 0)

	sum, err := run.loss(ctx, n, prompt, answer, noisy, share, masked)
	if err != nil {
		return err
	}
	value := -sum / float64(b) / float64(m)
	tol := 1e-5 * math.Abs(run.Exact)
	f.add(Check{Name: name + ".value", Err: math.Abs(value - run.Exact), Tol: tol, Pass: math.Abs(value-run.Exact) <= tol})
	f.add(Check{Name: name + ".value_float32", Err: math.Abs(value - run.Value), Tol: tol, Pass: math.Abs(value-run.Value) <= tol})
	return nil
}

// loss is the sum over all noisy rows of the cross entropy of the masked answer tokens, each by the share masked in its row.
func (run likelihood) loss(ctx context.Context, n *network, prompt, answer, noisy []int, share []float32, masked [][]int) (float64, error) {
	l, sum := len(prompt)+len(answer), 0.0
	seq := &engine.Sequence{Tokens: make([]engine.Token, l), Fixed: make([]bool, l)}
	for i := range prompt {
		seq.Fixed[i] = true
	}
	for row, want := range masked {
		if len(want) == 0 {
			continue
		}
		copy(seq.Tokens, toTokens(noisy[row*l:(row+1)*l]))
		ce, err := denoise.MaskedLoss(ctx, n, seq, want, toTokens(answer), len(prompt), run.Guidance)
		if err != nil {
			return 0, err
		}
		sum += ce / float64(share[row*l+want[0]]) // one share for the whole row
	}
	return sum, nil
}

// likelihoodRows builds the noisy rows [M*b, P+A] from the recorded draws, the share of masked answer positions at every
// position of them, and the masked positions of each row. Row r of a batch masks (round(k + r*A/b) - 1) mod A + 1 positions.
func likelihoodRows(prompt, answer, counts, perm []int, b int, mask engine.Token) (noisy []int, share []float32, masked [][]int) {
	a := len(answer)
	for batch, k := range counts {
		for r := range b {
			x := int(math.RoundToEven(float64(k) + float64(r)*float64(a)/float64(b)))
			n := (x-1)%a + 1
			noisy = append(noisy, prompt...)
			var at []int
			for j, t := range answer {
				if perm[(batch*b+r)*a+j] < n {
					at = append(at, len(prompt)+j)
					t = int(mask)
				}
				noisy = append(noisy, t)
			}
			for range len(prompt) + a {
				share = append(share, float32(n)/float32(a))
			}
			masked = append(masked, at)
		}
	}
	return noisy, share, masked
}
