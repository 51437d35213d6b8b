package verify

import (
	"context"
	"slices"

	"unmask/engine"
)

// lavidaLoss checks loss.*: everything behind the prompt is trained, padding with end tokens too, in two rows, one with a
// random mask and one with its complement; the loss is the mean cross entropy.
func (e *eyed) lavidaLoss(ctx context.Context) error {
	// size: the arrays of the fixture and their formulas, in its order.
	f := e.f
	var text string
	var said float64
	if err := f.decode("loss_text", &text); err != nil {
		return err
	}
	if err := f.decode("loss", &said); err != nil {
		return err
	}
	ids, _, err := f.ints("loss.input_ids")
	if err != nil {
		return err
	}
	labels, _, err := f.ints("loss.labels_in")
	if err != nil {
		return err
	}
	whole := e.ids(text)
	pad := ids[len(ids)-1]
	for len(whole) < len(ids) {
		whole = append(whole, pad)
	}
	f.same("loss.input_ids", whole, ids, []int{len(ids)})
	expanded, shape, err := f.ints("loss.new_input_ids")
	if err != nil {
		return err
	}
	l := len(expanded)
	t, err := e.expand(ctx, ids, labels, l)
	if err != nil {
		return err
	}
	v := e.n.Spec().Vocab
	official := toInts(t.tokens)
	for i := range official {
		if official[i] >= v {
			official[i] = pictureID
		}
	}
	f.same("loss.new_input_ids", official, expanded, shape)
	last := l - 1
	for last > 0 && t.labels[last] == ignored {
		last--
	}
	for i := last + 1; i < l; i++ { // padding is learnt
		t.labels[i] = pad
	}
	progress, _, err := f.floats("loss.noise.rand.00")
	if err != nil {
		return err
	}
	u, _, err := f.floats("loss.noise.rand.01")
	if err != nil {
		return err
	}
	const eps = 1e-3
	p := (1-eps)*progress[0] + eps
	f.near("loss.p_mask", []float32{p})
	return e.complementary(ctx, t, u, p, said)
}

// complementary runs the two rows of a LaViDa training batch and compares masks, labels, logits and loss.
func (e *eyed) complementary(ctx context.Context, t lesson, u []float32, p float32, said float64) error {
	f, v, l := e.f, e.n.Spec().Vocab, len(t.tokens)
	var labels, masked []int
	var shown []float32
	sum, count := 0.0, 0
	rows, slopes := make([][]engine.Token, 2), make([][]slope, 2)
	for row := range 2 {
		noisy := slices.Clone(t.tokens)
		for i, want := range t.labels {
			hide, label := 0, ignored
			if want != ignored && (u[i] < p) == (row == 0) {
				hide, label = 1, want
				noisy[i] = e.n.Spec().Mask
			}
			labels, masked = append(labels, label), append(masked, hide)
		}
		logits, err := e.n.forward(ctx, engine.Input{Tokens: noisy})
		if err != nil {
			return err
		}
		for i, label := range labels[row*l:] {
			if label != ignored {
				sum += crossEntropy(logits[i*v:(i+1)*v], label)
				slopes[row] = append(slopes[row], slope{at: i, id: label})
				count++
			}
		}
		rows[row] = noisy
		shown = append(shown, logits...)
	}
	for _, list := range slopes {
		for i := range list {
			list[i].by = 1 / float64(count)
		}
	}
	if err := e.gradients(ctx, t, rows, slopes, nil); err != nil {
		f.fail("loss.grad", err)
	}
	f.equal("loss.labels_out", labels)
	f.equal("loss.masked", masked)
	f.nearStrided("loss.logits", shown, l, v, 21)
	loss := float32(sum / float64(count))
	f.near("loss.loss", []float32{loss})
	f.add(compare("loss.loss (golden.json)", []float64{float64(loss)}, []float64{said}, []int{1}, f.tolerance("loss.loss")))
	return nil
}
