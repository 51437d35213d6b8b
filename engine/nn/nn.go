// Package nn holds the layers that masked-diffusion transformers are made of, written over [tensor.Backend].
//
// A layer owns its weights and nothing else: activations are scratch memory of the caller, so a steady loop of forward
// passes allocates nothing. Letters: T fed rows of all sequences together, D model width, H heads, G key/value heads, K
// head width, F feed-forward width, V vocabulary.
package nn

import "unmask/engine/tensor"

// Loader hands out the weights of a checkpoint. It reports no error: it notes every missing name and wrong shape, and the
// caller asks it for all of them together before it uses any layer.
type Loader interface {
	// Matrix is tensor name [n, k] packed for products.
	Matrix(name string, n, k int) tensor.Matrix
	// Tensor is tensor name of exactly this shape.
	Tensor(name string, shape ...int) tensor.Tensor
	// Has reports whether the checkpoint holds name.
	Has(name string) bool
}

// Linear is x W^T + b.
type Linear struct {
	W tensor.Matrix // [N, K]
	B tensor.Tensor // [N] or nil
}

// LoadLinear reads name+".weight" [n, k] and, with bias, name+".bias" [n].
func LoadLinear(l Loader, name string, n, k int, bias bool) Linear {
	x := Linear{W: l.Matrix(name+".weight", n, k)}
	if bias {
		x.B = l.Tensor(name+".bias", n)
	}
	return x
}

// Apply writes x [T, K] through the layer to dst [T, N].
func (l Linear) Apply(be tensor.Backend, dst, x tensor.Tensor) { be.MatMul(dst, x, l.W, l.B) }

// RMSNorm is x / sqrt(mean(x^2) + Eps) * W over rows.
type RMSNorm struct {
	W   tensor.Tensor
	Eps float32
}

// LoadRMSNorm reads name+".weight" [n].
func LoadRMSNorm(l Loader, name string, n int, eps float32) RMSNorm {
	return RMSNorm{W: l.Tensor(name+".weight", n), Eps: eps}
}

// Apply writes the normalised rows of x to dst; dst may be x.
func (n RMSNorm) Apply(be tensor.Backend, dst, x tensor.Tensor) { be.RMSNorm(dst, x, n.W, n.Eps) }

// Norm normalises the rows of x into dst; dst may be x.
type Norm interface {
	Apply(be tensor.Backend, dst, x tensor.Tensor)
}

// LayerNorm is (x - mean) / sqrt(variance + Eps) * W + B over rows.
type LayerNorm struct {
	W, B tensor.Tensor // [D]; B may be nil
	Eps  float32
}

// LoadLayerNorm reads name+".weight" [n] and, with bias, name+".bias" [n].
func LoadLayerNorm(l Loader, name string, n int, eps float32, bias bool) LayerNorm {
	x := LayerNorm{W: l.Tensor(name+".weight", n), Eps: eps}
	if bias {
		x.B = l.Tensor(name+".bias", n)
	}
	return x
}

// Apply writes the normalised rows of x to dst; dst may be x.
func (n LayerNorm) Apply(be tensor.Backend, dst, x tensor.Tensor) {
	be.LayerNorm(dst, x, n.W, n.B, n.Eps)
}

// FeedForward is the second half of a transformer block. Apply overwrites h [T, D] with its output.
type FeedForward interface {
	Apply(be tensor.Backend, h tensor.Tensor)
}

// SwiGLU is Down(silu(Gate h) * Up h), the feed-forward of LLaMA and everything built on it.
type SwiGLU struct {
	Gate, Up Linear // [F, D]
	Down     Linear // [D, F]
	Width    int    // F
	// Tanh takes gelu in its tanh form in place of silu: GeGLU, the feed-forward of Gemma.
	Tanh bool

	shape [2]int // [T, F]; kept here because the slice passed to a backend escapes
}

// plain reports whether a backend's gated product does all of m: silu, and no biases.
func (m *SwiGLU) plain() bool { return !m.Tanh && m.Gate.B == nil && m.Up.B == nil && m.Down.B == nil }

// Apply implements [FeedForward].
func (m *SwiGLU) Apply(be tensor.Backend, h tensor.Tensor) {
	if m.plain() {
		be.GatedProduct(h, h, m.Gate.W, m.Up.W, m.Down.W, tensor.ProductOptions{})
		return
	}
	mark := be.Mark()
	m.shape = [2]int{h.Shape()[0], m.Width}
	gate := be.Alloc(tensor.F32, m.shape[:]...)
	up := be.Alloc(tensor.F32, m.shape[:]...)
	m.Gate.Apply(be, gate, h)
	m.Up.Apply(be, up, h)
	if m.Tanh {
		be.GeGLU(gate, gate, up)
	} else {
		be.SwiGLU(gate, gate, up)
	}
	m.Down.Apply(be, h, gate)
	be.Release(mark)
}

// GELU is Down(gelu(Up h)), the feed-forward of BERT and of diffusion transformers.
type GELU struct {
	Up    Linear // [F, D]
	Down  Linear // [D, F]
	Width int    // F
	Exact bool   // the erf form, as in BERT; else the tanh form

	shape [2]int // [T, F]
}

// Apply implements [FeedForward].
func (m *GELU) Apply(be tensor.Backend, h tensor.Tensor) {
	mark := be.Mark()
	m.shape = [2]int{h.Shape()[0], m.Width}
	up := be.Alloc(tensor.F32, m.shape[:]...)
	m.Up.Apply(be, up, h)
	be.GELU(up, up, m.Exact)
	m.Down.Apply(be, h, up)
	be.Release(mark)
}
