package denoise

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"unmask/engine"
)

// Likelihood estimates how probable a model finds an answer to a prompt, by the Monte-Carlo estimate of LLaDA
// (arXiv:2502.09992): the mean over random masks of the answer of the cross entropy of what is masked, over the share
// masked. It is a bound of the logarithm of the probability from below, in nats.
type Likelihood struct {
	Model    engine.Denoiser
	Samples  int     // masks drawn; rounded up to whole batches
	Batch    int     // masks whose counts are spread evenly over the answer's length
	Guidance float64 // 0: off; else every mask takes two passes
	Seed     uint64
}

// Estimate is an estimated likelihood.
type Estimate struct {
	LogProb float64 `json:"log_prob"` // of the whole answer, nats
	StdErr  float64 `json:"std_err"`  // of LogProb, from batch to batch; 0 of one batch
	Tokens  int     `json:"tokens"`   // of the answer
	Passes  int     `json:"passes"`
}

// maxSamples bounds the masks of an estimate.
const maxSamples = 1 << 20

// Of estimates the likelihood of answer after prompt. It blocks and checks ctx before every pass.
func (l *Likelihood) Of(ctx context.Context, prompt, answer []engine.Token) (Estimate, error) {
	e := Estimate{Tokens: len(answer)}
	if len(answer) == 0 || l.Samples < 1 || l.Batch < 1 || l.Samples > maxSamples || l.Batch > maxSamples {
		return e, fmt.Errorf("likelihood: %d answer tokens, %d samples in batches of %d; want at least 1 of each and at most %d", len(answer), l.Samples, l.Batch, maxSamples)
	}
	r := rand.New(rand.NewPCG(l.Seed, 0x11ada))
	mask := l.Model.Spec().Mask
	seq := &engine.Sequence{Tokens: slices.Concat(prompt, answer), Fixed: make([]bool, len(prompt)+len(answer))}
	for i := range prompt {
		seq.Fixed[i] = true
	}
	var values []float64
	for len(values)*l.Batch < l.Samples {
		first, sum := 1+r.IntN(len(answer)), 0.0
		for row := range l.Batch {
			n := maskedOf(first, row, l.Batch, len(answer))
			copy(seq.Tokens[len(prompt):], answer)
			var want []int
			for _, j := range r.Perm(len(answer))[:n] {
				seq.Tokens[len(prompt)+j] = mask
				want = append(want, len(prompt)+j)
			}
			slices.Sort(want)
			ce, err := MaskedLoss(ctx, l.Model, seq, want, answer, len(prompt), l.Guidance)
			if err != nil {
				return e, fmt.Errorf("likelihood: %w", err)
			}
			sum -= ce * float64(len(answer)) / float64(n)
			if e.Passes++; l.Guidance != 0 {
				e.Passes++
			}
		}
		values = append(values, sum/float64(l.Batch))
	}
	e.LogProb, e.StdErr = meanOf(values)
	return e, nil
}

// maskedOf is how many of n answer tokens row of a batch masks: the counts begin at first and are spread evenly.
func maskedOf(first, row, batch, n int) int {
	x := int(math.RoundToEven(float64(first) + float64(row)*float64(n)/float64(batch)))
	return (x-1)%n + 1
}

// meanOf is the mean of values and its standard error.
func meanOf(values []float64) (mean, stderr float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	if len(values) < 2 {
		return mean, 0
	}
	for _, v := range values {
		stderr += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(stderr / float64(len(values)-1) / float64(len(values)))
}

// MaskedLoss is the summed cross entropy, in nats, of the true tokens at positions want of seq, which are masked there.
// Position from+i is token i of truth. With guidance the unconditional row has the fixed positions masked.
func MaskedLoss(ctx context.Context, model engine.Denoiser, seq *engine.Sequence, want []int, truth []engine.Token, from int, guidance float64) (float64, error) {
	v := model.Spec().Vocab
	in := engine.Input{Tokens: seq.Tokens, Want: want}
	if guidance != 0 {
		in.Tokens = MaskFixed(model.Spec().Mask)(slices.Clone(seq.Tokens), seq)
		in.Lens = []int{len(seq.Tokens), len(seq.Tokens)}
	}
	logits, err := model.Forward(ctx, in)
	if err != nil {
		return 0, err
	}
	var rows [2][]float32
	for r := range in.Rows() {
		rows[r] = make([]float32, len(want)*v)
		if err := logits.Floats(rows[r], r); err != nil {
			return 0, err
		}
	}
	sum := 0.0
	for i, pos := range want {
		id := int(truth[pos-from])
		if id < 0 || id >= v {
			return 0, fmt.Errorf("token %d at %d, the vocabulary has %d", id, pos, v)
		}
		row := rows[0][i*v : (i+1)*v]
		if guidance != 0 {
			for j, u := range rows[1][i*v : (i+1)*v] {
				d := row[j] - u
				d *= float32(1 + guidance)
				row[j] = u + d
			}
		}
		sum += crossEntropy(row, id)
	}
	return sum, nil
}

// crossEntropy is -ln softmax(row)[id].
func crossEntropy(row []float32, id int) float64 {
	top, sum := float64(slices.Max(row)), 0.0
	for _, x := range row {
		sum += math.Exp(float64(x) - top)
	}
	return math.Log(sum) + top - float64(row[id])
}
