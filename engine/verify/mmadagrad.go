package verify

import (
	"context"
	"math"
	"strings"

	"unmask/engine"
)

// lossBatch takes the losses of rows and passes their derivatives back to the weights.
type lossBatch struct {
	l     *mmadaLosses
	first *node // logits of the first row
	err   error
}

// drawings is the mean cross entropy of the labels behind the captions. In training the mask of pads is no mask: it is
// added to the scores as numbers, 1 for a pair that both may see.
func (b *lossBatch) drawings(rows []lossRow, weight float64) float64 {
	from := b.l.maxText + 1
	count, sum := 0, 0.0
	for _, r := range rows {
		for i := from; i < len(r.labels); i++ {
			if r.labels[i] != ignored {
				count++
			}
		}
	}
	for _, r := range rows {
		t := &tape{add: func(q, k int) float64 {
			if r.pads[q] || r.pads[k] {
				return 0
			}
			return 1
		}}
		y, err := b.l.m.forward(t, r.tokens)
		if err != nil {
			b.err = err
			return 0
		}
		if b.first == nil {
			b.first = y
		}
		var slopes []slope
		for i := from; i < len(r.labels); i++ {
			if id := r.labels[i]; id != ignored {
				sum += crossEntropy(narrow(y.v[i*y.cols:(i+1)*y.cols]), id)
				slopes = append(slopes, slope{at: i, id: id, by: weight / float64(count)})
			}
		}
		y.descend(slopes)
		t.backward()
	}
	return sum / float64(max(count, 1))
}

// words is the loss of masked words: the sum of cross entropies over the share masked, divided by the length of the
// answer, or of the row where there is no answer, and by the rows.
func (b *lossBatch) words(ctx context.Context, rows []lossRow, weight float64, answers bool) (float64, error) {
	l, sum := b.l, 0.0
	v := l.n.Spec().Vocab
	for _, r := range rows {
		length := len(r.tokens)
		if answers {
			length = r.answer
		}
		logits, err := l.n.forward(ctx, engine.Input{Tokens: toTokens(r.tokens)})
		if err != nil {
			return 0, err
		}
		var slopes []slope
		for i, id := range r.tokens {
			if id != int(l.mask) {
				continue
			}
			by := 1 / float64(r.share) / float64(length) / float64(len(rows))
			sum += by * crossEntropy(logits[i*v:(i+1)*v], r.clean[i])
			slopes = append(slopes, slope{at: i, id: r.clean[i], by: weight * by})
		}
		if weight == 0 {
			continue
		}
		t := &tape{}
		y, err := l.m.forward(t, r.tokens)
		if err != nil {
			return 0, err
		}
		y.descend(slopes)
		t.backward()
	}
	return sum, nil
}

// gradients compares the derivatives by the weights, and clears them.
func (l *mmadaLosses) gradients(name string) {
	f := l.f
	part := map[string][]float64{}
	if g := l.m.fixed[root+"blocks.0.q_proj.weight"]; g != nil {
		part["block0_q_proj"] = g.g[:min(8, g.rows)*g.cols]
	}
	if g := l.m.fixed[root+"blocks.0.attn_norm.weight"]; g != nil {
		part["block0_attn_norm"] = g.g
	}
	if g := l.m.fixed[root+"ln_f.weight"]; g != nil {
		part["ln_f"] = g.g
	}
	if g := l.m.fixed[root+"wte.weight"]; g != nil {
		part["wte_mask_row"] = g.g[int(l.mask)*g.cols:][:g.cols]
	}
	if g := l.m.fixed[root+"ff_out.weight"]; g != nil {
		var rows []float64
		for i := 0; i < g.rows; i += 16 {
			rows = append(rows, g.g[i*g.cols:(i+1)*g.cols]...)
		}
		part["ff_out_head"] = rows
	}
	for _, array := range f.names(name + ".grad.") {
		if g, ok := part[strings.TrimPrefix(array, name+".grad.")]; ok {
			f.near(array, narrow(g))
		}
	}
	var norms []float32
	for _, p := range l.order {
		if g := l.m.fixed[p]; g != nil {
			norms = append(norms, float32(math.Sqrt(dot(g.g, g.g))))
		}
	}
	f.near(name+".grad_norms", norms)
	for _, w := range l.m.fixed {
		clear(w.g)
	}
}
