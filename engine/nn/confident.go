package nn

import (
	"context"
	"fmt"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/tensor"
)

// Confident runs a stack with ML-Cache of Lumina-DiMOO (arXiv:2510.06308): keys, values and last hidden states of every
// position are kept from pass to pass. The passes up to number Warmup, and every Every-th after it, compute everything
// anew; those in between compute the positions of each row whose largest logit is among the lowest share Ratio. It serves
// one run, over rows of one length, and passes without hidden keys, blocks or a range of their own; its cache is an
// approximation.
type Confident struct {
	Stack  *Stack
	Codes  engine.IDRange // ids whose largest logit counts
	Warmup int            // passes
	Every  int            // passes; at least 1
	Ratio  float64        // in (0, 1]

	pass  int
	lens  []int
	top   []float32 // [T] largest logit of each position of all rows
	host  []float32
	fresh [][]int // rows to compute in the next pass, of each sequence
}

// refreshes reports whether pass i computes everything.
func (c *Confident) refreshes(i int) bool { return i <= c.Warmup || (i-c.Warmup)%c.Every == 0 }

// Forward evaluates the network once, as [Stack.Forward] does.
func (c *Confident) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	s := c.Stack
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Hide != nil || in.Block > 0 || in.Keep || in.Active != (engine.Span{}) || c.Every < 1 {
		return nil, &engine.UnsupportedError{What: "a confident pass with hidden keys, blocks or another cache"}
	}
	in.Keep = true
	if err := s.plan(in); err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	p := &s.pass
	if c.pass > 0 && !slices.Equal(p.lens, c.lens) {
		return nil, fmt.Errorf("forward: rows of %v positions after rows of %v", p.lens, c.lens)
	}
	c.lens = append(c.lens[:0], p.lens...)
	fresh := c.fresh
	if c.refreshes(c.pass) {
		fresh = everything(p.row)
	}
	held := s.hold(len(p.ids))
	s.out.prepare(p)
	mark := s.be.Mark()
	defer s.be.Release(mark)
	if err := c.compute(ctx, held, fresh); err != nil {
		c.pass = 0
		return nil, err
	}
	s.out.take(held, p)
	c.pass++
	if err := s.be.Err(); err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	return &s.out, nil
}

// everything lists all fed rows of each sequence.
func everything(row []part) [][]int {
	out := make([][]int, len(row))
	for r, x := range row {
		for i := range x.hi {
			out[r] = append(out[r], x.first+i)
		}
	}
	return out
}

// hold is memory for the last hidden states of n rows. It stays with the stack, because a backend frees tensors at Close
// only.
func (s *Stack) hold(n int) tensor.Tensor {
	s.held = grow(s.be, s.held, n, s.Config.Width)
	return s.held.Rows(0, n)
}

// compute runs the fresh rows through all blocks, writes their last hidden states to held [T, D] and, where the next pass
// computes only a part, chooses its rows. It uses scratch memory.
func (c *Confident) compute(ctx context.Context, held tensor.Tensor, fresh [][]int) error {
	s := c.Stack
	be, p := s.be, &s.pass
	rows := slices.Concat(fresh...)
	ids, pos := make([]engine.Token, len(rows)), make([]int32, len(rows))
	for i, at := range rows {
		ids[i], pos[i] = p.ids[at], p.shared.Pos[at]
	}
	total := len(p.ids)
	p.ids, p.shared.Pos = append(p.ids[:0], ids...), append(p.shared.Pos[:0], pos...)
	sh := Shared{Pos: p.shared.Pos, Slots: rows, FromCache: true}
	lo := 0
	for r, x := range p.row {
		if n := len(fresh[r]); n > 0 {
			sh.Opts.Seqs = append(sh.Opts.Seqs, tensor.Seq{QLo: lo, QHi: lo + n, KLo: x.first, KHi: x.first + x.hi})
			lo += n
		}
	}
	t := len(rows)
	x, h := be.Alloc(tensor.F32, t, s.Config.Width), be.Alloc(tensor.F32, t, s.Config.Width)
	sh.Alloc(be, &s.Blocks[0].Attn, t)
	s.embed(x)
	s.place(x, h)
	for i := range s.Blocks {
		if err := ctx.Err(); err != nil {
			s.cache.drop()
			return err
		}
		s.Blocks[i].Apply(be, x, h, &sh, s.cache.layer(i))
	}
	be.Scatter(held, x, rows)
	if c.refreshes(c.pass + 1) {
		return nil
	}
	s.Norm.Apply(be, h, x)
	c.measure(h, rows, total)
	c.fresh = c.fresh[:0]
	for _, x := range p.row {
		c.fresh = append(c.fresh, c.lowest(x))
	}
	return nil
}

// measure notes the largest logit of rows, whose normalised hidden states are h, of total.
func (c *Confident) measure(h tensor.Tensor, rows []int, total int) {
	s := c.Stack
	v := s.Config.Vocab
	lo, hi := int(c.Codes.Lo), int(c.Codes.Hi)
	if c.Codes.All() {
		hi = v
	}
	if len(c.top) != total {
		c.top = make([]float32, total)
	}
	step := min(s.out.chunk(), len(rows))
	for at := 0; at < len(rows); at += step {
		n := min(step, len(rows)-at)
		mark := s.be.Mark()
		logits := s.be.Alloc(tensor.F32, n, v)
		s.Head.Apply(s.be, logits, h.Rows(at, at+n))
		if len(c.host) < n*v {
			c.host = make([]float32, n*v)
		}
		s.be.Download(c.host[:n*v], logits)
		for i, row := range rows[at : at+n] {
			c.top[row] = slices.Max(c.host[i*v+lo : i*v+hi])
		}
		s.be.Release(mark)
	}
}

// lowest are the rows of sequence x whose largest logit is at most the Ratio quantile of the sequence's.
func (c *Confident) lowest(x part) []int {
	top := c.top[x.first : x.first+x.hi]
	bar := quantile(top, float32(c.Ratio))
	var rows []int
	for i, v := range top {
		if !(v > bar) {
			rows = append(rows, x.first+i)
		}
	}
	return rows
}

// quantile is the q quantile of x with linear interpolation, in the float32 arithmetic of PyTorch.
func quantile(x []float32, q float32) float32 {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	rank := q * float32(len(x)-1)
	below := math.Floor(float64(rank))
	w := rank - float32(below)
	a, b := sorted[int(below)], sorted[int(math.Ceil(float64(rank)))]
	d := b - a
	if w < 0.5 {
		step := w * d
		return a + step
	}
	step := d * (1 - w)
	return b - step
}
