package local

import (
	"unmask/engine"
	"unmask/engine/tensor"
)

// nothing is a [tensor.Backend] that holds shapes and no numbers: families bind a checkpoint to it as to any other, which
// says all there is to know of it, and nothing is read but the headers. It has the operations that loading may ask for;
// those of a pass are the nil Backend's, and a pass is a bug.
type nothing struct{ tensor.Backend }

// hollow is its tensor.
type hollow struct {
	dt    tensor.DType
	shape []int
}

func (t *hollow) DType() tensor.DType { return t.dt }
func (t *hollow) Shape() []int        { return t.shape }

func (t *hollow) Rows(lo, hi int) tensor.Tensor {
	return &hollow{t.dt, append([]int{hi - lo}, t.shape[1:]...)}
}

func (t *hollow) Reshape(shape ...int) tensor.Tensor { return &hollow{t.dt, shape} }

// packed is its matrix.
type packed struct {
	n, k int
	dt   tensor.DType
}

func (m packed) N() int              { return m.n }
func (m packed) K() int              { return m.k }
func (m packed) DType() tensor.DType { return m.dt }

// Bytes is what backends with their own layout take, without the padding of small matrices: bytes with a scale and a sum a
// row, four bits with a byte of scale a group of 32.
func (m packed) Bytes() int64 {
	elements := int64(m.n) * int64(m.k)
	switch m.dt {
	case tensor.I8:
		return elements + 8*int64(m.n)
	case tensor.I4:
		return elements/2 + elements/32
	default:
		return elements * int64(m.dt.Size())
	}
}

func (nothing) Device() tensor.Device { return tensor.Device{Kind: tensor.Nothing, Name: "none"} }

func (nothing) Alloc(dt tensor.DType, shape ...int) tensor.Tensor { return &hollow{dt, shape} }

func (nothing) Pack(_ []byte, _ tensor.DType, n, k int, as tensor.DType) tensor.Matrix {
	return packed{n, k, as}
}

func (nothing) Mark() int                                                           { return 0 }
func (nothing) Release(int)                                                         {}
func (nothing) Upload(tensor.Tensor, []byte, tensor.DType)                          {}
func (nothing) Download([]float32, tensor.Tensor)                                   {}
func (nothing) Embed(_, _ tensor.Tensor, _ []engine.Token)                          {}
func (nothing) MatMul(_, _ tensor.Tensor, _ tensor.Matrix, _ tensor.Tensor)         {}
func (nothing) RMSNorm(_, _, _ tensor.Tensor, _ float32)                            {}
func (nothing) LayerNorm(_, _, _, _ tensor.Tensor, _ float32)                       {}
func (nothing) RoPE(tensor.Tensor, []int32, float64, int)                           {}
func (nothing) Attention(_, _, _, _ tensor.Tensor, _ tensor.AttentionOptions)       {}
func (nothing) SwiGLU(_, _, _ tensor.Tensor)                                        {}
func (nothing) SiLU(_, _ tensor.Tensor)                                             {}
func (nothing) GELU(_, _ tensor.Tensor, _ bool)                                     {}
func (nothing) Add(_, _ tensor.Tensor)                                              {}
func (nothing) Scale(tensor.Tensor, float32)                                        {}
func (nothing) Copy(_, _ tensor.Tensor)                                             {}
func (nothing) Gather(_, _ tensor.Tensor, _ []int)                                  {}
func (nothing) Scatter(_, _ tensor.Tensor, _ []int)                                 {}
func (nothing) Upsample2(_, _ tensor.Tensor)                                        {}
func (nothing) Transpose(_, _ tensor.Tensor)                                        {}
func (nothing) Sync()                                                               {}
func (nothing) Err() error                                                          { return nil }
func (nothing) Close() error                                                        { return nil }
func (nothing) Pick(_, _ tensor.Tensor, _ engine.PickOptions, _ *engine.Prediction) {}

func (nothing) Conv2D(_, _ tensor.Tensor, _ tensor.Matrix, _ tensor.Tensor, _ tensor.ConvOptions) {}

func (nothing) GroupNorm(_, _, _, _ tensor.Tensor, _ int, _ float32, _ bool) {}
