package verify

import (
	"context"
	"fmt"
	"slices"
)

// reasoned checks r2i.*: rows that reason in words and then draw, beside the batch of the last stage.
func (l *mmadaLosses) reasoned(ctx context.Context, s stage, losses []float64) error {
	// size: the arrays of the fixture and their formulas, in its order.
	const name = "r2i"
	f := l.f
	codes, err := l.rows("stage4.codes")
	if err != nil {
		return err
	}
	ids, shape, err := f.ints(name + ".input_ids")
	if err != nil {
		return err
	}
	if len(shape) != 2 || shape[0] > len(codes) || shape[0] > len(s.Words) {
		return fmt.Errorf("r2i.input_ids %v for %d pictures and %d texts", shape, len(codes), len(s.Words))
	}
	b, length := shape[0], shape[1]
	t, err := l.draws(name, 0, b, 1)
	if err != nil {
		return err
	}
	u, err := l.draws(name, 1, b, length)
	if err != nil {
		return err
	}
	var rows []lossRow
	var got, labels []int
	var prompt []float32
	for i := range b {
		for j := range codes[i] {
			codes[i][j] += l.tok.Size()
		}
		chat := l.p.Begin(l.tok.AppendTokens(nil, s.Words[i]))
		row := l.p.PadRight(l.p.Reason(chat, l.maxText+1), l.maxText+1)
		whole := toInts(l.p.TextToImage(row, toTokens(codes[i])))
		r := lossRow{tokens: whole, labels: slices.Clone(whole), clean: slices.Clone(whole), share: noiseShare(t[i]), kept: make([]bool, len(whole))}
		if r.known = l.headerEnd(row); r.known == 0 {
			r.known = len(row)
		}
		r.kept[len(row)], r.kept[len(whole)-1] = true, true
		r.answer = len(whole) - r.known - 2
		if len(whole) != length {
			return fmt.Errorf("r2i: a row of %d positions, want %d", len(whole), length)
		}
		r.hide(u[i*length:(i+1)*length], l.mask)
		for j := range whole {
			on := float32(0)
			if j < r.known || r.kept[j] {
				on = 1
			}
			prompt = append(prompt, on)
		}
		rows = append(rows, r)
		got, labels = append(got, r.tokens...), append(labels, r.labels...)
	}
	f.same(name+".input_ids", got, ids, shape)
	f.equal(name+".labels", labels)
	f.near(name+".prompt_mask", prompt)
	f.near(name+".p_mask", sharesOf(rows))
	f.equal(name+".answer_lengths", answersOf(rows))
	loss, err := (&lossBatch{l: l}).words(ctx, rows, 0, true)
	if err != nil {
		return err
	}
	f.near(name+".loss_r2i", []float32{float32(loss)})
	for i, what := range []string{"t2i", "lm", "mmu"} {
		f.near(name+".loss_"+what, []float32{float32(losses[i])})
	}
	return nil
}
