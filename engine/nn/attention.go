package nn

import (
	"math"

	"unmask/engine/tensor"
)

// Attention is bidirectional multi-head attention with rotary positions. G < H shares each key and value head among H/G
// query heads. Weights may carry biases, and queries and keys may be normalised per head before rotation.
type Attention struct {
	Q, K, V, O   Linear
	QNorm, KNorm *RMSNorm // [K] per head, or nil
	Heads        int      // H
	KVHeads      int      // G
	HeadWidth    int      // K
	Theta        float64  // rotary base
	Rot          int      // rotated entries of a head, at most K; 0 where positions are embedded
}

// Shared is what all blocks of one forward pass have in common: positions, sequences and scratch.
type Shared struct {
	Pos  []int32 // [T] absolute position of each fed row
	Opts tensor.AttentionOptions
	// Slots, when not nil, has the cache row of each fed row: keys and values are written there.
	Slots []int
	// FromCache makes queries attend to the cache, where Opts.Seqs then point, instead of the fed rows alone.
	FromCache bool

	see            func(name string, x tensor.Tensor) // shows activations when not nil
	q, k, v, o     tensor.Tensor                      // [T, H, K], [T, G, K], [T, G, K], [T, H, K]
	q2, k2, v2, o2 tensor.Tensor                      // the same memory as rows [T, H*K] and [T, G*K]
	qh, kh         tensor.Tensor                      // the same memory as heads [T*H, K] and [T*G, K]

	outs    [3]tensor.Tensor // operands of products; kept here because slices passed to a backend escape
	weights [3]tensor.Matrix
	biases  [3]tensor.Tensor
}

// Alloc makes the scratch of a pass over t rows, shared by all blocks. Blocks must agree on heads and head width.
func (s *Shared) Alloc(be tensor.Backend, a *Attention, t int) {
	h, g, k := a.Heads, a.KVHeads, a.HeadWidth
	s.q = be.Alloc(tensor.F32, t, h, k)
	s.k = be.Alloc(tensor.F32, t, g, k)
	s.v = be.Alloc(tensor.F32, t, g, k)
	s.o = be.Alloc(tensor.F32, t, h, k)
	s.q2, s.k2 = s.q.Reshape(t, h*k), s.k.Reshape(t, g*k)
	s.v2, s.o2 = s.v.Reshape(t, g*k), s.o.Reshape(t, h*k)
	s.qh, s.kh = s.q.Reshape(t*h, k), s.k.Reshape(t*g, k)
	s.Opts.Scale = float32(1 / math.Sqrt(float64(k)))
}

// KV is one block's cache of keys (rotated) and values, [rows, G, K] each.
type KV struct{ K, V tensor.Tensor }

// Apply overwrites h [T, D] with the attention's output.
func (a *Attention) Apply(be tensor.Backend, h tensor.Tensor, s *Shared, cache KV) {
	a.run(be, h, h, tensor.ProductOptions{}, false, s, cache)
}

// run writes, or adds, the attention's output for x to dst [T, D]; x is normalised first as o says.
func (a *Attention) run(be tensor.Backend, dst, x tensor.Tensor, o tensor.ProductOptions, add bool, s *Shared, cache KV) {
	s.outs, s.weights = [3]tensor.Tensor{s.q2, s.k2, s.v2}, [3]tensor.Matrix{a.Q.W, a.K.W, a.V.W}
	s.biases = [3]tensor.Tensor{a.Q.B, a.K.B, a.V.B}
	be.MatMuls(s.outs[:], x, s.weights[:], s.biases[:], o)
	if a.QNorm != nil {
		a.QNorm.Apply(be, s.qh, s.qh)
		a.KNorm.Apply(be, s.kh, s.kh)
	}
	if s.see != nil {
		s.see("key", s.k2)
		s.see("value", s.v2)
	}
	if a.Rot > 0 {
		be.RoPE(s.q, s.Pos, a.Theta, a.Rot)
		be.RoPE(s.k, s.Pos, a.Theta, a.Rot)
	}
	k, v := s.k, s.v
	if s.Slots != nil {
		be.Scatter(cache.K, s.k, s.Slots)
		be.Scatter(cache.V, s.v, s.Slots)
	}
	if s.FromCache {
		k, v = cache.K, cache.V
	}
	s.Opts.BF16 = a.Q.W.DType() != tensor.F32
	be.Attention(s.o, s.q, k, v, s.Opts)
	s.outs[0], s.weights[0], s.biases[0] = dst, a.O.W, a.O.B
	be.MatMuls(s.outs[:1], s.o2, s.weights[:1], s.biases[:1], tensor.ProductOptions{Add: add})
}

// Block is one transformer block: x += Attn(AttnNorm x); x += MLP(MLPNorm x). With Post the norms come after, as in BERT:
// x = AttnNorm(x + Attn x) + Shift; x = MLPNorm(x + MLP x).
type Block struct {
	Post     bool
	Shift    tensor.Tensor // [1, D], or nil
	AttnNorm Norm
	Attn     Attention
	MLPNorm  Norm
	MLP      FeedForward
}

// Apply updates x [T, D] in place; h [T, D] is scratch.
func (b *Block) Apply(be tensor.Backend, x, h tensor.Tensor, s *Shared, cache KV) {
	if b.Post {
		b.applyPost(be, x, h, s, cache)
		return
	}
	if o, ok := normOptions(b.AttnNorm); ok && s.see == nil {
		b.Attn.run(be, x, x, o, true, s, cache)
	} else {
		b.AttnNorm.Apply(be, h, x)
		b.Attn.Apply(be, h, s, cache)
		if s.see != nil {
			s.see("attention", h)
		}
		be.Add(x, h)
	}
	b.feedForward(be, x, h)
}

// feedForward is x += MLP(MLPNorm x); h is scratch.
func (b *Block) feedForward(be tensor.Backend, x, h tensor.Tensor) {
	m, gated := b.MLP.(*SwiGLU)
	if o, ok := normOptions(b.MLPNorm); ok && gated && m.plain() {
		o.Add = true
		be.GatedProduct(x, x, m.Gate.W, m.Up.W, m.Down.W, o)
		return
	}
	b.MLPNorm.Apply(be, h, x)
	b.MLP.Apply(be, h)
	be.Add(x, h)
}

// normOptions are the options of products that normalise as n does, where a product can.
func normOptions(n Norm) (tensor.ProductOptions, bool) {
	r, ok := n.(RMSNorm)
	if !ok || r.W == nil {
		return tensor.ProductOptions{}, false
	}
	return tensor.ProductOptions{Normalise: true, Gain: r.W, Eps: r.Eps}, true
}

// applyPost is Apply with the norms after attention and feed-forward.
func (b *Block) applyPost(be tensor.Backend, x, h tensor.Tensor, s *Shared, cache KV) {
	be.Copy(h, x)
	b.Attn.Apply(be, h, s, cache)
	be.Add(x, h)
	b.AttnNorm.Apply(be, x, x)
	if b.Shift != nil {
		be.Add(x, b.Shift)
	}
	be.Copy(h, x)
	b.MLP.Apply(be, h)
	be.Add(x, h)
	b.MLPNorm.Apply(be, x, x)
}
