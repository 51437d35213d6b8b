package denoise

import (
	"fmt"
	"math"

	"unmask/engine"
)

// Classifier judges noisy embeddings: it says how far a sample is from what is wanted, and in which direction that lies.
type Classifier interface {
	// Loss returns -log p(wanted | x) of a sample x [L*D] that holds share, in (0, 1], of the clean signal's variance, and
	// writes its gradient by x to grad [L*D].
	Loss(grad, x []float64, share float64) (float64, error)
}

// Steer pulls every step of [Embedding] towards what a classifier wants, section 4.2 of arXiv:2205.14217: Adagrad takes
// Updates steps of length Rate down the classifier's loss + Pull*|x - mean|^2/sigma, from the step's sample. The last
// twentieth of the steps are left alone, as the official code leaves 10 of 200.
type Steer struct {
	Classifier Classifier
	Pull       float64 // lambda, at least 0: how fluent the text stays; 0.01 for attributes
	Updates    int     // 3
	Rate       float64 // 0.1
}

// apply moves x [L*D], a sample around mean with spread sigma, after step t of n.
func (s *Steer) apply(x, mean []float64, sigma, share float64, t, n int) error {
	if t < n/20 {
		return nil
	}
	if sigma == 0 { // the official code's choice for steps without noise
		sigma = 1
	}
	grad, sum := make([]float64, len(x)), make([]float64, len(x))
	for range s.Updates {
		loss, err := s.Classifier.Loss(grad, x, share)
		if err != nil {
			return err
		}
		if math.IsNaN(loss) {
			return fmt.Errorf("the classifier's loss is not a number")
		}
		for i, g := range grad {
			g += 2 * s.Pull * (x[i] - mean[i]) / sigma
			sum[i] += g * g
			x[i] -= s.Rate * g / (math.Sqrt(sum[i]) + 1e-10)
		}
	}
	return nil
}

// Wanted is the classifier of texts that hold all of Words somewhere, by the model's own head: each position's word is
// drawn from softmax(head(x/sqrt(share))), and a word is in the text with probability 1 - prod_i (1 - p_i(word)). The head
// is tied to the embeddings, as Diffusion-LM's is.
type Wanted struct {
	Model interface {
		Embedder
		Worder
	}
	Words []engine.Token
	Free  []bool // [L] positions that may become a wanted word
}

// Loss implements [Classifier].
func (w *Wanted) Loss(grad, x []float64, share float64) (float64, error) {
	d, v := w.Model.Width(), w.Model.Vocab()
	l := len(w.Free)
	if len(x) != l*d || len(grad) != l*d || share <= 0 {
		return 0, fmt.Errorf("%d values and %d of the gradient for %d words of %d, share %g", len(x), len(grad), l, d, share)
	}
	for _, t := range w.Words {
		if t < 0 || int(t) >= v {
			return 0, fmt.Errorf("word %d of %d", t, v)
		}
	}
	scale := 1 / math.Sqrt(share)
	in, logits := make([]float32, l*d), make([]float32, l*v)
	for i, a := range x {
		in[i] = float32(a * scale)
	}
	if err := w.Model.Words(logits, in); err != nil {
		return 0, err
	}
	clear(grad)
	means := make([]float64, l*d) // of the embeddings, by each position's distribution
	norms := make([]float64, l)   // log-sum-exp of each position's logits
	for i := range l {
		if !w.Free[i] {
			continue
		}
		row := logits[i*v : (i+1)*v]
		most := math.Inf(-1)
		for _, a := range row {
			most = max(most, float64(a))
		}
		sum, mean := 0.0, means[i*d:(i+1)*d]
		for id, a := range row {
			e := math.Exp(float64(a) - most)
			sum += e
			for j, c := range w.Model.Word(engine.Token(id)) {
				mean[j] += e * float64(c)
			}
		}
		for j := range mean {
			mean[j] /= sum
		}
		norms[i] = most + math.Log(sum)
	}
	loss := 0.0
	for _, t := range w.Words {
		loss += w.add(grad, logits, norms, means, t, scale)
	}
	return loss, nil
}

// add adds the gradient of one word's loss, which it returns.
func (w *Wanted) add(grad []float64, logits []float32, norms, means []float64, t engine.Token, scale float64) float64 {
	d, v := w.Model.Width(), w.Model.Vocab()
	logs := make([]float64, len(w.Free)) // log p_i
	none, most := 0.0, math.Inf(-1)      // log prod (1 - p_i)
	for i, free := range w.Free {
		logs[i] = math.Inf(-1)
		if !free {
			continue
		}
		logs[i] = min(float64(logits[i*v+int(t)])-norms[i], -1e-12)
		none += math.Log(-math.Expm1(logs[i]))
		most = max(most, logs[i])
	}
	if math.IsInf(most, -1) {
		return 0 // no position is free
	}
	some := math.Log(-math.Expm1(none)) // log of the probability that t is in the text
	if math.IsInf(some, -1) {           // below what float64 holds: the sum of the p_i, in logarithms
		sum := 0.0
		for _, a := range logs {
			sum += math.Exp(a - most)
		}
		some = most + math.Log(sum)
	}
	word := w.Model.Word(t)
	for i, a := range logs {
		if math.IsInf(a, -1) {
			continue
		}
		// d(-log(1-prod))/d log p_i = -prod/(1-p_i) * p_i/(1-prod)
		share := math.Exp(none - math.Log(-math.Expm1(a)) + a - some)
		for j := range d {
			grad[i*d+j] -= share * (float64(word[j]) - means[i*d+j]) * scale
		}
	}
	return -some
}
