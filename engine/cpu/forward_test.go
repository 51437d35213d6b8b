package cpu

import (
	"fmt"
	"testing"
	"time"

	"unmask/engine/tensor"
)

// stack is a model's worth of LLaDA blocks with random weights: what a forward pass costs without the rest of a program.
type stack struct {
	b                              *Backend
	t, d, heads, ff, layers, vocab int
	norm                           tensor.Tensor
	q, k, v, o, gate, up, down     tensor.Matrix
	head                           tensor.Matrix
	x                              tensor.Tensor
	pos                            []int32
	logits                         tensor.Tensor
}

func newStack(b *Backend, dt tensor.DType, t, d, heads, ff, layers, vocab int) *stack {
	s := &stack{b: b, t: t, d: d, heads: heads, ff: ff, layers: layers, vocab: vocab}
	w := func(n, k int) tensor.Matrix {
		v := randomFloats(n * k)
		for i := range v {
			v[i] *= 0.02
		}
		return b.Pack(encode(v), tensor.F32, n, k, dt)
	}
	s.q, s.k, s.v, s.o = w(d, d), w(d, d), w(d, d), w(d, d)
	s.gate, s.up, s.down = w(ff, d), w(ff, d), w(d, ff)
	s.head = w(vocab, d)
	s.norm, s.x = b.put(randomFloats(d), d), b.put(randomFloats(t*d), t, d)
	for i := range t {
		s.pos = append(s.pos, int32(i))
	}
	s.logits = b.Alloc(tensor.F32, t, vocab)
	return s
}

// forward is one pass with the logits of every position.
func (s *stack) forward() {
	b, t, d := s.b, s.t, s.d
	m := b.Mark()
	defer b.Release(m)
	x := b.Alloc(tensor.F32, t, d)
	b.Copy(x, s.x)
	q, k, v, a := b.Alloc(tensor.F32, t, d), b.Alloc(tensor.F32, t, d), b.Alloc(tensor.F32, t, d), b.Alloc(tensor.F32, t, d)
	split := func(x tensor.Tensor) tensor.Tensor { return x.Reshape(t, s.heads, d/s.heads) }
	seqs := []tensor.Seq{{QHi: t, KHi: t}}
	norm := tensor.ProductOptions{Normalise: true, Gain: s.norm, Eps: 1e-5}
	both := norm
	both.Add = true
	for range s.layers {
		b.MatMuls([]tensor.Tensor{q, k, v}, x, []tensor.Matrix{s.q, s.k, s.v}, nil, norm)
		b.RoPE(split(q), s.pos, 10000, d/s.heads)
		b.RoPE(split(k), s.pos, 10000, d/s.heads)
		b.Attention(split(a), split(q), split(k), split(v), tensor.AttentionOptions{Scale: 0.125, Seqs: seqs, BF16: s.q.DType() != tensor.F32})
		b.MatMuls([]tensor.Tensor{x}, a, []tensor.Matrix{s.o}, nil, tensor.ProductOptions{Add: true})
		b.GatedProduct(x, x, s.gate, s.up, s.down, both)
	}
	b.MatMuls([]tensor.Tensor{s.logits}, x, []tensor.Matrix{s.head}, nil, norm)
}

// flops counts multiplications and additions of products and attention.
func (s *stack) flops() float64 {
	weights := s.layers*(4*s.d*s.d+3*s.d*s.ff) + s.d*s.vocab
	return 2*float64(weights)*float64(s.t) + 4*float64(s.t)*float64(s.t)*float64(s.d)*float64(s.layers)
}

// BenchmarkForward times the shape "tiny" of docs: width 512, 6 layers, 8 heads, feed-forward 1536, vocabulary 8192, on
// one core, beside the register peak of the same run.
func BenchmarkForward(b *testing.B) {
	for _, k := range Kernels()[1:] {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.I8, tensor.I4} {
			peak := 0.0
			for _, p := range Peak(k, 20*time.Millisecond) {
				if p.DType == dt {
					peak = p.PerSecond
				}
			}
			for _, t := range []int{32, 256} {
				b.Run(fmt.Sprintf("%s/%v/%d", k, dt, t), func(b *testing.B) {
					s := newStack(open(b, k, 1), dt, t, 512, 8, 1536, 6, 8192)
					timed(b, s.flops(), peak, s.forward)
				})
			}
		}
	}
}
