package nn

import (
	"context"
	"fmt"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/tensor"
)

// Lazy runs a stack with dLLM-Cache (arXiv:2506.06295): what attention and feed-forward add to a position is kept from
// pass to pass and computed anew only every few passes, for the answer more often than for the prompt. In between, the
// share Ratio of the answer's positions is computed whose values have changed most. It serves one run, over rows of one
// length, and passes without hidden keys, blocks or a range of their own; its cache is an approximation.
type Lazy struct {
	Stack       *Stack
	Answer      int // position where the answer begins
	PromptEvery int // passes; at least 1
	AnswerEvery int // passes; at least 1
	Ratio       float64
	// Choose, when not nil, gives the answer positions of a layer to compute, counted from Answer, in place of those that
	// changed most.
	Choose func(layer, row, n int) []int

	pass int
	lens []int
}

// kept is what a layer adds to each fed row, and its keys and values.
type kept struct {
	KV
	attn, mlp tensor.Tensor // [rows, D]
}

// fit makes the stack hold what Lazy keeps for rows rows. A backend frees tensors at Close only, so the memory stays with
// the stack.
func (s *Stack) fit(rows int) []kept {
	if rows > s.keptRoom {
		s.keptRoom = max(rows, 2*s.keptRoom)
		s.kept = make([]kept, len(s.Blocks))
		for i := range s.kept {
			a, d := &s.Blocks[i].Attn, s.Config.Width
			s.kept[i] = kept{
				KV: KV{
					K: s.be.Alloc(tensor.F32, s.keptRoom, a.KVHeads, a.HeadWidth),
					V: s.be.Alloc(tensor.F32, s.keptRoom, a.KVHeads, a.HeadWidth),
				},
				attn: s.be.Alloc(tensor.F32, s.keptRoom, d), mlp: s.be.Alloc(tensor.F32, s.keptRoom, d),
			}
		}
	}
	out := make([]kept, len(s.kept))
	for i, k := range s.kept {
		out[i] = kept{KV{k.K.Rows(0, rows), k.V.Rows(0, rows)}, k.attn.Rows(0, rows), k.mlp.Rows(0, rows)}
	}
	return out
}

// Forward evaluates the network once, as [Stack.Forward] does.
func (l *Lazy) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	s := l.Stack
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Rows() > 2 || in.Hide != nil || in.Block > 0 || in.Keep || in.Active != (engine.Span{}) || l.PromptEvery < 1 || l.AnswerEvery < 1 {
		return nil, &engine.UnsupportedError{What: "a lazy pass of three rows, with hidden keys, blocks or another cache"}
	}
	if err := s.plan(in); err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	be, p := s.be, &s.pass
	if l.pass > 0 && !slices.Equal(p.lens, l.lens) {
		return nil, fmt.Errorf("forward: rows of %v positions after rows of %v", p.lens, l.lens)
	}
	l.lens = append(l.lens[:0], p.lens...)
	prompt, answer := l.pass%l.PromptEvery == 0, l.pass%l.AnswerEvery == 0
	l.pass++
	held := s.fit(len(p.ids))
	s.out.prepare(p)
	mark := be.Mark()
	defer be.Release(mark)
	x := be.Alloc(tensor.F32, len(p.ids), s.Config.Width)
	h := be.Alloc(tensor.F32, len(p.ids), s.Config.Width)
	s.embed(x)
	for i := range s.Blocks {
		if err := ctx.Err(); err != nil {
			l.pass = 0
			return nil, err
		}
		b, scratch := &s.Blocks[i], be.Mark()
		b.AttnNorm.Apply(be, h, x)
		fresh := l.fresh(in.WantOther, prompt, answer)
		if !answer && l.Ratio > 0 {
			fresh = l.changed(in.WantOther, i, h, held[i], fresh)
		}
		l.attend(b, h, held[i], fresh)
		be.Add(x, held[i].attn)
		l.feed(b, x, held[i], fresh)
		be.Add(x, held[i].mlp)
		be.Release(scratch)
	}
	s.out.take(x, p)
	if err := be.Err(); err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	return &s.out, nil
}

// fresh lists the fed rows of each sequence that are computed whole in this pass.
func (l *Lazy) fresh(shift int, prompt, answer bool) [][]int {
	out := make([][]int, len(l.Stack.pass.row))
	for r, x := range l.Stack.pass.row {
		for i := range x.hi {
			if inAnswer := i >= l.Answer+r*shift; inAnswer && answer || !inAnswer && prompt {
				out[r] = append(out[r], x.first+i)
			}
		}
	}
	return out
}

// changed computes the values of every answer row from h [T, D] and adds the rows to fresh whose values turned furthest
// from the kept ones.
func (l *Lazy) changed(shift, layer int, h tensor.Tensor, held kept, fresh [][]int) [][]int {
	s := l.Stack
	be, a := s.be, &s.Blocks[layer].Attn
	width := a.KVHeads * a.HeadWidth
	for r, x := range s.pass.row {
		lo := l.Answer + r*shift
		n := x.hi - lo
		if n <= 0 {
			continue
		}
		v := be.Alloc(tensor.F32, n, width)
		a.V.Apply(be, v, h.Rows(x.first+lo, x.first+x.hi))
		old := held.V.Rows(x.first+lo, x.first+x.hi).Reshape(n, width)
		var chosen []int
		if l.Choose != nil {
			chosen = l.Choose(layer, r, n)
		} else {
			now, before := make([]float32, n*width), make([]float32, n*width)
			be.Download(now, v)
			be.Download(before, old)
			chosen = turned(now, before, width, int(float64(n)*l.Ratio))
		}
		be.Copy(old, v)
		for _, i := range chosen {
			if i >= 0 && i < n {
				fresh[r] = append(fresh[r], x.first+lo+i)
			}
		}
		slices.Sort(fresh[r])
	}
	return fresh
}

// turned are the n rows of width numbers whose cosine with the row before is smallest. Equal ones: the lower row.
func turned(now, before []float32, width, n int) []int {
	rows := len(now) / width
	cos, order := make([]float64, rows), make([]int, rows)
	for i := range order {
		order[i] = i
		var dot, a, b float64
		for j := range width {
			x, y := float64(now[i*width+j]), float64(before[i*width+j])
			dot, a, b = dot+x*y, a+x*x, b+y*y
		}
		if a > 0 && b > 0 {
			cos[i] = dot / math.Sqrt(a*b)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case cos[i] < cos[j]:
			return -1
		case cos[i] > cos[j]:
			return 1
		}
		return 0
	})
	return order[:min(n, rows)]
}

// attend computes keys, values and attention of the fresh rows from h [T, D] and keeps them.
func (l *Lazy) attend(b *Block, h tensor.Tensor, held kept, fresh [][]int) {
	s := l.Stack
	be, a := s.be, &b.Attn
	rows := slices.Concat(fresh...)
	if len(rows) == 0 {
		return
	}
	t := len(rows)
	var sh Shared
	for _, i := range rows {
		sh.Pos = append(sh.Pos, s.pass.shared.Pos[i])
	}
	sh.Slots, sh.FromCache = rows, true
	lo := 0
	for r, x := range s.pass.row {
		if n := len(fresh[r]); n > 0 {
			sh.Opts.Seqs = append(sh.Opts.Seqs, tensor.Seq{QLo: lo, QHi: lo + n, KLo: x.first, KHi: x.first + x.hi})
			lo += n
		}
	}
	sh.Alloc(be, a, t)
	in := be.Alloc(tensor.F32, t, s.Config.Width)
	be.Gather(in, h, rows)
	a.Apply(be, in, &sh, held.KV)
	be.Scatter(held.attn, in, rows)
}

// feed computes the feed-forward of the fresh rows of x [T, D] and keeps it.
func (l *Lazy) feed(b *Block, x tensor.Tensor, held kept, fresh [][]int) {
	be := l.Stack.be
	rows := slices.Concat(fresh...)
	if len(rows) == 0 {
		return
	}
	in := be.Alloc(tensor.F32, len(rows), l.Stack.Config.Width)
	be.Gather(in, x, rows)
	b.MLPNorm.Apply(be, in, in)
	b.MLP.Apply(be, in)
	be.Scatter(held.mlp, in, rows)
}
