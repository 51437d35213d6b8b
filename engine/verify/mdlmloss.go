package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
)

// loss checks a training loss: of MDLM in continuous time, in T steps, and with its two changes of variables; of SEDD and
// of D3PM.
func (m *mdlm) loss(ctx context.Context, name string, raw json.RawMessage) error {
	r, err := decodeMDLM(raw)
	if err != nil {
		return err
	}
	rows, err := m.f.rows("loss.x0")
	if err != nil {
		return err
	}
	counted, _, err := m.f.float64s("loss.attention_mask")
	if err != nil {
		return err
	}
	times, _, err := m.f.float64s(name + ".t_uniform")
	if err != nil {
		return err
	}
	u, _, err := m.f.float64s(name + ".mask_uniform")
	if err != nil {
		return err
	}
	l := len(rows[0])
	if len(times) != len(rows) || len(u) != len(rows)*l || len(counted) != len(u) {
		return fmt.Errorf("%d rows of %d, %d times, %d draws", len(rows), l, len(times), len(u))
	}
	var nlls []float32
	sum, tokens := 0.0, 0.0
	for i, x0 := range rows {
		t := lossTime(r, times[i], i, len(rows))
		part, err := m.rowLoss(ctx, r, x0, u[i*l:(i+1)*l], t)
		if err != nil {
			return err
		}
		for j, x := range part {
			x *= counted[i*l+j]
			nlls = append(nlls, float32(x))
			sum += x
			tokens += counted[i*l+j]
		}
	}
	m.f.near(name+".nlls", nlls)
	m.f.scalar(name+".loss", sum/tokens, r.Loss64)
	m.f.scalar(name+".loss_float32", sum/tokens, r.Loss)
	return nil
}

// lossTime is the time of row i of n: stratified across rows, then changed by importance sampling, then put on T steps.
func lossTime(r mdlmRun, u float64, i, n int) float64 {
	const eps = 1e-3 // training.sampling_eps
	_, t := math.Modf(u/float64(n) + float64(i)/float64(n))
	t = (1-eps)*t + eps
	if r.Importance {
		end, start := shares()
		level := -math.Log1p(-math.Exp(t*end + (1-t)*start))
		t = -math.Expm1(-level) / (1 - 1e-3)
	}
	if r.T > 0 {
		t = float64(int(t*float64(r.T)))/float64(r.T) + 1/float64(r.T)
	}
	return t
}

// shares are the logarithms of the share masked at the end and at the start of the log-linear schedule.
func shares() (end, start float64) {
	top, _ := noiseLevel("loglinear", 1)
	low, _ := noiseLevel("loglinear", 0)
	return math.Log1p(-math.Exp(-top)), math.Log1p(-math.Exp(-(1e-3 + low)))
}

// rowLoss is the loss at every position of x0, noised at time t with draws u.
func (m *mdlm) rowLoss(ctx context.Context, r mdlmRun, x0 []int, u []float64, t float64) ([]float64, error) {
	sigma, rate := noiseLevel(r.Noise, t)
	share := -math.Expm1(-sigma)
	end, start := shares()
	if r.Change {
		sigma, share = t, math.Exp(start+t*(end-start))
	}
	noisy := make([]int, len(x0))
	for i, x := range x0 {
		if noisy[i] = x; u[i] < share {
			noisy[i] = m.mask
		}
	}
	told := 0.0
	if r.Timed {
		told = sigma
	}
	logits, _, err := m.row(ctx, noisy, told)
	if err != nil {
		return nil, err
	}
	logp, err := m.logProbs(r.Kind, logits, noisy, sigma)
	if err != nil {
		return nil, err
	}
	var first []float64 // the reconstruction at time 0, which D3PM adds
	if r.Kind == "d3pm" {
		if logits, _, err = m.row(ctx, x0, 0); err != nil {
			return nil, err
		}
		if first, err = m.logProbs(r.Kind, logits, x0, 0); err != nil {
			return nil, err
		}
	}
	out := make([]float64, len(x0))
	for i, x := range x0 {
		row := logp[i*m.vocab : (i+1)*m.vocab]
		switch {
		case r.Kind == "sedd":
			if noisy[i] == m.mask {
				out[i] = rate * m.entropy(row, x, sigma)
			}
		case r.T > 0:
			if noisy[i] == m.mask {
				out[i] = discreteLoss(row[x], row[m.mask], t, r.T)
			}
			if first != nil {
				out[i] -= first[i*m.vocab+x]
			}
		case r.Change || r.Importance:
			out[i] = row[x] * math.Log1p(-math.Exp(-1e-3))
		default:
			out[i] = -row[x] * rate / math.Expm1(sigma)
		}
	}
	return out, nil
}

// entropy is SEDD's score entropy of a masked position whose clean token is x.
func (m *mdlm) entropy(logScore []float64, x int, sigma float64) float64 {
	ratio, sum := 1/math.Expm1(sigma), 0.0
	for i, s := range logScore {
		if i != m.mask {
			sum += math.Exp(s)
		}
	}
	return sum - ratio*logScore[x] + ratio*(math.Log(ratio)-1)
}

// discreteLoss is D3PM's bound of a masked position in T steps, from the log-probabilities of the clean token and of the
// mask.
func discreteLoss(token, mask, t float64, steps int) float64 {
	n := float64(steps)
	dt := 1 / n
	t = min(max(t, 0), 1-1e-4)
	p := math.Exp(mask)
	stay := math.Log((1-t)*p/t + 1)
	return n * (dt/t*(stay-token) + (1-dt/t)*(stay-math.Log((1-(t-dt))*p/(t-dt)+1)))
}
