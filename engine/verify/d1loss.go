package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"unmask/engine"
)

// verifyGRPO checks the loss of d1's policy optimisation: the clipped surrogate and a penalty by the KL divergence from
// the reference policy.
//
// size: the reading of its arrays, one formula, and its derivative.
func verifyGRPO(ctx context.Context, f *folder, n *network, name string, raw json.RawMessage) error {
	// size: the arrays of the fixture and their formulas, in its order.
	var p probabilities
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	ids, u, b, l, err := f.sequences(name + ".")
	if err != nil {
		return err
	}
	noisy, logps, err := p.estimate(ctx, n, ids, u, b, l)
	if err != nil {
		return err
	}
	old, oldShape, err := f.float64s(name + ".old_per_token_logps")
	if err != nil {
		return err
	}
	ref, _, err := f.float64s(name + ".ref_per_token_logps")
	if err != nil {
		return err
	}
	advantages, _, err := f.float64s(name + ".advantages")
	if err != nil {
		return err
	}
	counted, _, err := f.ints(name + ".completion_mask")
	if err != nil {
		return err
	}
	size := b * p.Keep
	at := p.Index * size
	if len(oldShape) != 3 || p.Index < 0 || len(old) < at+size || len(ref) < at+size || len(advantages) != b || len(counted) != size || len(logps) != size {
		return fmt.Errorf("iteration %d of %v, %d advantages, %d tokens", p.Index, oldShape, len(advantages), len(counted))
	}
	loss, kl, clipped, tokens := 0.0, 0.0, 0.0, 0.0
	for i, c := range counted {
		if c == 0 {
			continue
		}
		a, lp := advantages[i/p.Keep], float64(logps[i])
		ratio := math.Exp(lp - old[at+i])
		plain, cut := ratio*a, min(max(ratio, 1-p.Epsilon), 1+p.Epsilon)*a
		d := ref[at+i] - lp
		div := math.Exp(d) - d - 1
		loss += -min(plain, cut) + p.Beta*div
		kl += div
		if plain < cut {
			clipped++
		}
		tokens++
	}
	if tokens == 0 {
		return fmt.Errorf("the completion mask is empty")
	}
	f.scalar(name+".loss", loss/tokens, p.Loss64)
	f.scalar(name+".loss_float32", loss/tokens, p.Loss)
	f.scalar(name+".kl", kl/tokens, p.KL)
	f.scalar(name+".clip_ratio", clipped/tokens, p.Clipped)
	if p.Guidance != 0 {
		return nil // a gradient through two rows is in no fixture; the arrays would then be uncovered
	}
	var rows []gradRow
	for lo := 0; lo < len(ids); lo += l {
		r := gradRow{tokens: noisy[lo : lo+l], ids: ids[lo+l-p.Keep : lo+l]}
		for i := range p.Keep {
			r.at = append(r.at, l-p.Keep+i)
		}
		rows = append(rows, r)
	}
	return f.adapterGradients(name, "adapter_rl", rows, func(logps []float64) []float64 {
		d := make([]float64, len(logps))
		for i, lp := range logps {
			if counted[i] == 0 {
				continue
			}
			a, ratio := advantages[i/p.Keep], math.Exp(lp-old[at+i])
			if cut := min(max(ratio, 1-p.Epsilon), 1+p.Epsilon); ratio*a <= cut*a {
				d[i] = -ratio * a
			}
			d[i] = (d[i] + p.Beta*(1-math.Exp(ref[at+i]-lp))) / tokens
		}
		return d
	})
}

// scalar compares a number of golden.json's runs: relative 1e-5, as the fixtures' description says.
func (f *folder) scalar(name string, got, want float64) {
	tol := 1e-5 * math.Abs(want)
	d := math.Abs(got - want)
	f.add(Check{Name: name, Err: d, Tol: tol, Pass: d <= tol, Note: fmt.Sprintf("%g, want %g", got, want)})
}

// verifyD1SFT checks the loss of d1's fine-tuning: cross entropy of masked answer tokens over the row's share masked.
//
// size: the reading of its arrays and one formula.
func verifyD1SFT(ctx context.Context, f *folder, n *network, name string, raw json.RawMessage) error {
	// size: the arrays of the fixture and their formulas, in its order.
	var run struct {
		Prompt  int     `json:"prompt_length"`
		Prompts int     `json:"num_prompt_tokens"`
		Loss    float64 `json:"loss"`
		Loss64  float64 `json:"loss_float64"`
	}
	if err := json.Unmarshal(raw, &run); err != nil {
		return err
	}
	ids, shape, err := f.ints(name + ".sequences")
	if err != nil {
		return err
	}
	share, _, err := f.floats(name + ".t_uniform")
	if err != nil {
		return err
	}
	u, _, err := f.floats(name + ".mask_uniform")
	if err != nil {
		return err
	}
	if len(shape) != 2 || len(share) != shape[0] || len(u) != len(ids) || run.Prompts >= len(ids) {
		return fmt.Errorf("sequences %v, %d times, %d draws, %d prompt tokens", shape, len(share), len(u), run.Prompts)
	}
	const ignored = -100 // the label of what the loss leaves out
	l, v := shape[1], n.Spec().Vocab
	var input, labels []int
	var times []float32
	var rows []gradRow
	var slope []float64 // of the loss by each log-probability
	sum := 0.0
	for row := range shape[0] {
		t := float32(1-1e-3)*share[row] + float32(1e-3)
		in := engine.Input{Tokens: toTokens(ids[row*l : (row+1)*l]), Want: []int{}}
		for i := range l {
			label := ignored
			if i >= run.Prompt && u[row*l+i] < t {
				label = ids[row*l+i]
				in.Tokens[i] = n.Spec().Mask
				in.Want = append(in.Want, i)
			}
			labels, times = append(labels, label), append(times, t)
		}
		input = append(input, toInts(in.Tokens)...)
		logits, err := n.forward(ctx, in)
		if err != nil {
			return err
		}
		r := gradRow{tokens: toInts(in.Tokens), at: in.Want}
		for i, pos := range in.Want {
			sum -= logProb(logits[i*v:(i+1)*v], ids[row*l+pos]) / float64(t)
			r.ids = append(r.ids, ids[row*l+pos])
			slope = append(slope, -1/float64(t)/float64(len(ids)-run.Prompts))
		}
		rows = append(rows, r)
	}
	f.equal(name+".input_ids", input)
	f.equal(name+".labels", labels)
	f.nearWithin(name+".t", name+".t", times, 1e-7)
	loss := sum / float64(len(ids)-run.Prompts)
	f.scalar(name+".loss", loss, run.Loss64)
	f.scalar(name+".loss_float32", loss, run.Loss)
	return f.adapterGradients(name, "adapter_sft", rows, func([]float64) []float64 { return slope })
}
