package nn

import "unmask/engine/tensor"

// The last block serves the wanted positions only: keys and values of all rows, and everything else for those whose logits
// are asked for. A row's numbers do not depend on the rows beside it, so that the logits keep their bits.

// narrow reports whether the last block may leave out rows: nobody watches, rows of a sequence see the same keys, and few
// enough are wanted to pay for their gathering.
func (s *Stack) narrow() bool {
	p, b := &s.pass, &s.Blocks[len(s.Blocks)-1]
	_, can := normOptions(b.AttnNorm)
	return can && !b.Post && s.watch == nil && p.shared.Opts.Allow == nil && len(p.seqs) == len(p.row) &&
		len(p.pos) > 0 && 4*len(p.want) <= 3*len(p.ids)
}

// applyLast is Block.Apply for the wanted rows of x [T, D], which it returns, [len(want), D]. It uses scratch memory.
func (s *Stack) applyLast(x tensor.Tensor, cache KV) tensor.Tensor {
	be, p := s.be, &s.pass
	b, sh := &s.Blocks[len(s.Blocks)-1], &p.shared
	a, n := &b.Attn, len(p.want)
	o, _ := normOptions(b.AttnNorm)
	sh.outs[0], sh.outs[1] = sh.k2, sh.v2
	sh.weights[0], sh.weights[1] = a.K.W, a.V.W
	sh.biases[0], sh.biases[1] = a.K.B, a.V.B
	be.MatMuls(sh.outs[:2], x, sh.weights[:2], sh.biases[:2], o)
	out := be.Alloc(tensor.F32, n, s.Config.Width)
	be.Gather(out, x, p.want)
	q2 := sh.q2.Rows(0, n)
	sh.outs[0], sh.weights[0], sh.biases[0] = q2, a.Q.W, a.Q.B
	be.MatMuls(sh.outs[:1], out, sh.weights[:1], sh.biases[:1], o)
	q := sh.q.Rows(0, n)
	if a.QNorm != nil {
		heads := sh.qh.Rows(0, n*a.Heads)
		a.QNorm.Apply(be, heads, heads)
		a.KNorm.Apply(be, sh.kh, sh.kh)
	}
	if a.Rot > 0 {
		p.wantPos = p.wantPos[:0]
		for _, r := range p.want {
			p.wantPos = append(p.wantPos, sh.Pos[r])
		}
		be.RoPE(q, p.wantPos, a.Theta, a.Rot)
		be.RoPE(sh.k, sh.Pos, a.Theta, a.Rot)
	}
	k, v := sh.k, sh.v
	if sh.Slots != nil {
		be.Scatter(cache.K, sh.k, sh.Slots)
		be.Scatter(cache.V, sh.v, sh.Slots)
	}
	if sh.FromCache {
		k, v = cache.K, cache.V
	}
	sh.Opts.BF16 = a.Q.W.DType() != tensor.F32
	for i := range p.seqs {
		p.seqs[i].QLo, p.seqs[i].QHi = i*len(p.pos), (i+1)*len(p.pos)
	}
	be.Attention(sh.o.Rows(0, n), q, k, v, sh.Opts)
	sh.outs[0], sh.weights[0], sh.biases[0] = out, a.O.W, a.O.B
	be.MatMuls(sh.outs[:1], sh.o2.Rows(0, n), sh.weights[:1], sh.biases[:1], tensor.ProductOptions{Add: true})
	b.feedForward(be, out, be.Alloc(tensor.F32, n, s.Config.Width))
	return out
}
