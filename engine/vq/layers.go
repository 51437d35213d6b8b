package vq

import (
	"fmt"

	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// conv is a convolution with bias, zero padded.
type conv struct {
	w   tensor.Matrix // [O, C*k*k]
	b   tensor.Tensor // [O]
	out int
	opt tensor.ConvOptions
}

// loadConv reads a k x k convolution that keeps the size of its input.
func loadConv(b *weights.Binder, name string, in, out, k int) conv {
	p := k / 2
	return conv{
		w: b.Matrix(name+".weight", out, in*k*k), b: b.Tensor(name+".bias", out), out: out,
		opt: tensor.ConvOptions{KH: k, KW: k, Stride: 1, Top: p, Left: p, Bottom: p, Right: p},
	}
}

// loadDown reads the 3 x 3 convolution that halves its input: one zero row below and one zero column right, stride 2.
func loadDown(b *weights.Binder, name string, ch int) conv {
	c := loadConv(b, name, ch, ch, 3)
	c.opt = tensor.ConvOptions{KH: 3, KW: 3, Stride: 2, Bottom: 1, Right: 1}
	return c
}

// apply returns the convolution of x [C, H, W] in new scratch memory.
func (c conv) apply(be tensor.Backend, x tensor.Tensor) tensor.Tensor {
	s, o := x.Shape(), c.opt
	dst := be.Alloc(tensor.F32, c.out, (s[1]+o.Top+o.Bottom-o.KH)/o.Stride+1, (s[2]+o.Left+o.Right-o.KW)/o.Stride+1)
	be.Conv2D(dst, x, c.w, c.b, o)
	return dst
}

// into is apply to given memory.
func (c conv) into(be tensor.Backend, dst, x tensor.Tensor) { be.Conv2D(dst, x, c.w, c.b, c.opt) }

// groupNorm normalises groups of channels.
type groupNorm struct {
	w, b   tensor.Tensor // [C]
	groups int
	eps    float32
}

func loadNorm(b *weights.Binder, name string, ch int, a Archs) groupNorm {
	return groupNorm{w: b.Tensor(name+".weight", ch), b: b.Tensor(name+".bias", ch), groups: a.Groups, eps: float32(a.Eps)}
}

func (n groupNorm) apply(be tensor.Backend, dst, x tensor.Tensor, silu bool) {
	be.GroupNorm(dst, x, n.w, n.b, n.groups, n.eps, silu)
}

// resBlock is x + conv2(silu(norm2(conv1(silu(norm1 x))))), with x through a 1 x 1 convolution where widths differ.
type resBlock struct {
	norm1, norm2 groupNorm
	conv1, conv2 conv
	shortcut     *conv
}

func loadRes(b *weights.Binder, name string, in, out int, a Archs) resBlock {
	r := resBlock{
		norm1: loadNorm(b, name+".norm1", in, a), conv1: loadConv(b, name+".conv1", in, out, 3),
		norm2: loadNorm(b, name+".norm2", out, a), conv2: loadConv(b, name+".conv2", out, out, 3),
	}
	if in != out {
		short := name + ".nin_shortcut"
		if other := name + ".conv_shortcut"; b.Has(other + ".weight") { // the name in diffusers
			short = other
		}
		c := loadConv(b, short, in, out, 1)
		r.shortcut = &c
	}
	return r
}

// apply writes the block's output over dst [O, H, W]; dst is x where widths agree.
func (r *resBlock) apply(be tensor.Backend, dst, x tensor.Tensor) {
	mark := be.Mark()
	s := x.Shape()
	h := be.Alloc(tensor.F32, s...)
	r.norm1.apply(be, h, x, true)
	g := r.conv1.apply(be, h)
	r.norm2.apply(be, g, g, true)
	if r.shortcut != nil {
		r.shortcut.into(be, dst, x)
	}
	if r.shortcut == nil {
		r.conv2.into(be, h, g)
		be.Add(dst, h)
	} else {
		be.Add(dst, r.conv2.apply(be, g))
	}
	be.Release(mark)
}

// attention is single-head attention over all cells.
type attention struct {
	norm       groupNorm
	q, k, v, o linear
}

// linear is a 1 x 1 convolution seen as a product over cells.
type linear struct {
	w tensor.Matrix // [C, C]
	b tensor.Tensor // [C]
}

func loadAttention(b *weights.Binder, name string, ch int, a Archs) attention {
	lin := func(part string) linear {
		return linear{w: b.Matrix(name+"."+part+".weight", ch, ch), b: b.Tensor(name+"."+part+".bias", ch)}
	}
	return attention{norm: loadNorm(b, name+".norm", ch, a), q: lin("q"), k: lin("k"), v: lin("v"), o: lin("proj_out")}
}

// apply adds the attention's output to x [C, H, W].
func (t *attention) apply(be tensor.Backend, x tensor.Tensor, scale float32) {
	mark := be.Mark()
	s := x.Shape()
	c, n := s[0], s[1]*s[2]
	h := be.Alloc(tensor.F32, c, n)
	t.norm.apply(be, h.Reshape(s...), x, false)
	cells := be.Alloc(tensor.F32, n, c)
	be.Transpose(cells, h)
	var qkv [3]tensor.Tensor
	for i, l := range []linear{t.q, t.k, t.v} {
		qkv[i] = be.Alloc(tensor.F32, n, c)
		be.MatMul(qkv[i], cells, l.w, l.b)
	}
	out := be.Alloc(tensor.F32, n, 1, c)
	be.Attention(out, qkv[0].Reshape(n, 1, c), qkv[1].Reshape(n, 1, c), qkv[2].Reshape(n, 1, c),
		tensor.AttentionOptions{Scale: scale, Seqs: []tensor.Seq{{QHi: n, KHi: n}}})
	be.MatMul(cells, out.Reshape(n, c), t.o.w, t.o.b)
	be.Transpose(h, cells)
	be.Add(x, h.Reshape(s...))
	be.Release(mark)
}

// middle is the coarsest part of both halves: block, attention, block.
type middle struct {
	one, two resBlock
	attn     *attention // nil: none
	ch       int
}

func loadMiddle(b *weights.Binder, name string, ch int, a Archs) middle {
	attn := loadAttention(b, name+".attn_1", ch, a)
	return middle{
		one: loadRes(b, name+".block_1", ch, ch, a), attn: &attn,
		two: loadRes(b, name+".block_2", ch, ch, a), ch: ch,
	}
}

func (m *middle) apply(be tensor.Backend, x tensor.Tensor, see func(string, tensor.Tensor)) {
	m.one.apply(be, x, x)
	see("mid.block_1", x)
	if m.attn != nil {
		m.attn.apply(be, x, invSqrt(m.ch))
		see("mid.attn_1", x)
	}
	m.two.apply(be, x, x)
	see("mid.block_2", x)
}

// level is the residual blocks of one resolution and the convolution that leaves it, if any.
type level struct {
	blocks []resBlock
	widths []int // of each block's output
	leave  *conv
}

func loadLevel(b *weights.Binder, name string, in, out, blocks int, a Archs) level {
	var l level
	for i := range blocks {
		l.blocks = append(l.blocks, loadRes(b, fmt.Sprintf("%s.block.%d", name, i), in, out, a))
		l.widths = append(l.widths, out)
		in = out
	}
	return l
}

// apply runs the blocks over x and returns their output: x itself, or new scratch where the width changes.
func (l *level) apply(be tensor.Backend, x tensor.Tensor) tensor.Tensor {
	for i := range l.blocks {
		s := x.Shape()
		dst := x
		if s[0] != l.widths[i] {
			dst = be.Alloc(tensor.F32, l.widths[i], s[1], s[2])
		}
		l.blocks[i].apply(be, dst, x)
		x = dst
	}
	return x
}
