package tensor

import "unmask/engine"

// Backend runs operations on one device, destination first. It is not safe for concurrent use. Operations report no
// error; the first failure is kept, later calls do nothing, and Err returns it. Wrong shapes panic: they are our bugs.
//
// Activations are F32. T is the number of rows of all sequences of a pass together, H heads, G key/value heads, K head
// width (but the inner width in products), D model width, F feed-forward width, V vocabulary.
type Backend interface {
	Device() Device

	// Alloc returns a zeroed tensor that lives until Close or, when made between Mark and Release, until Release.
	Alloc(dt DType, shape ...int) Tensor
	// Mark and Release bracket scratch memory as a stack: Release(Mark()) gives back everything allocated between them
	// for reuse without freeing it, so that a steady loop allocates nothing.
	Mark() int
	Release(mark int)
	// Upload copies little-endian row-major elements of type from into dst, widening to dst's type.
	Upload(dst Tensor, src []byte, from DType)
	// Download copies dst's elements, little-endian row-major, converted to F32.
	Download(dst []float32, src Tensor)
	// Pack makes a product operand from row-major little-endian [n, k] elements of type from. src may be a read-only
	// memory map and is not kept, unless the layout needs no copy. as is F32, BF16, I8 or I4; a backend may do
	// without the last two, and says so by an engine.UnsupportedError.
	Pack(src []byte, from DType, n, k int, as DType) Matrix

	// Embed writes rows ids of table [V, D] to dst [T, D].
	Embed(dst, table Tensor, ids []engine.Token)
	// MatMul writes x [T, K] times w [N, K] transposed, plus bias [N] (may be nil), to dst [T, N].
	MatMul(dst, x Tensor, w Matrix, bias Tensor)
	// MatMuls does the products of x with each of w [N, K] to the dst of the same index [T, N], and adds the bias of the
	// same index; bias, or one of it, may be nil. o says what else happens. It is as the operations one by one, and faster.
	MatMuls(dst []Tensor, x Tensor, w []Matrix, bias []Tensor, o ProductOptions)
	// GatedProduct writes (silu(x gate^T) * (x up^T)) down^T to dst; gate and up are [F, K], down is [N, F].
	GatedProduct(dst, x Tensor, gate, up, down Matrix, o ProductOptions)
	// RMSNorm writes x / sqrt(mean(x^2) + eps) * w to dst; rows are the last dimension, w may be nil. dst may be x.
	RMSNorm(dst, x, w Tensor, eps float32)
	// LayerNorm normalises rows; w and b may be nil. dst may be x.
	LayerNorm(dst, x, w, b Tensor, eps float32)
	// RoPE rotates x [T, H, K] in place: half-split pairing of i with i+K/2, angle pos * theta^(-2i/K), for the first
	// rot entries of each head (rot = K: all), computed in f32 from exact angles.
	RoPE(x Tensor, pos []int32, theta float64, rot int)
	// RoPEPart rotates x [T, H, K] in place: pairs of i and i+K/2 for i < rot/2, angle pos * theta^(-2i/K). The other
	// entries stay: Gemma's proportional rotary. rot = K is RoPE.
	RoPEPart(x Tensor, pos []int32, theta float64, rot int)
	// Attention writes softmax(q k^T * scale + mask) v to dst [Tq, H, K]; q [Tq, H, K], k and v [Tk, G, K], H a multiple
	// of G. Each of o.Seqs attends within itself.
	Attention(dst, q, k, v Tensor, o AttentionOptions)
	// SwiGLU writes silu(gate) * up to dst. dst may be gate.
	SwiGLU(dst, gate, up Tensor)
	// GeGLU writes gelu(gate) * up, in the tanh form, to dst. dst may be gate.
	GeGLU(dst, gate, up Tensor)
	// SoftCap replaces x by cap * tanh(x / cap); cap is above 0.
	SoftCap(x Tensor, cap float32)
	// Softmax writes the softmax of the rows of x to dst, in f32 with f64 sums. dst may be x.
	Softmax(dst, x Tensor)
	// SiLU and GELU act element by element; exact selects the erf form of GELU, else the tanh form.
	SiLU(dst, x Tensor)
	GELU(dst, x Tensor, exact bool)
	// Add adds x to dst; x may have one row, which is added to every row of dst.
	Add(dst, x Tensor)
	// Scale multiplies dst by s.
	Scale(dst Tensor, s float32)
	// Copy copies rows of the same shape.
	Copy(dst, src Tensor)
	// Gather writes rows idx of src to dst [len(idx), ...].
	Gather(dst, src Tensor, idx []int)
	// Scatter writes row i of src to row idx[i] of dst.
	Scatter(dst, src Tensor, idx []int)

	// Conv2D convolves x [C, H, W] with w [O, C*kh*kw] (Pack of the checkpoint's [O, C, kh, kw]) to dst [O, H', W'].
	Conv2D(dst, x Tensor, w Matrix, bias Tensor, o ConvOptions)
	// GroupNorm normalises x [C, H, W] over groups of channels, then applies w and b [C]; silu applies x*sigmoid(x)
	// after it. dst may be x.
	GroupNorm(dst, x, w, b Tensor, groups int, eps float32, silu bool)
	// Upsample2 writes x [C, H, W] to dst [C, 2H, 2W] by nearest neighbour.
	Upsample2(dst, x Tensor)
	// Transpose writes x [M, N] to dst [N, M].
	Transpose(dst, x Tensor)

	// Pick reduces logits to a Prediction. cond is [n, V]; uncond is nil or [n, V] and is mixed in with o.Guidance. p.Pos
	// is filled by the caller and names the noise of each row. Statistics are of the guided, restricted logits (Allow,
	// Ban) without temperature and noise: a softmax in f32 with f64 sums. Equal logits: the lower id wins.
	Pick(cond, uncond Tensor, o engine.PickOptions, p *engine.Prediction)

	Sync()
	Err() error
	Close() error
}

// ProductOptions say what products do beside multiplying.
type ProductOptions struct {
	// Normalise replaces x by what RMSNorm makes of it with Gain, which may be nil, and Eps.
	Normalise bool
	Gain      Tensor
	Eps       float32
	// Add adds the results to what dst holds.
	Add bool
}

// AttentionOptions shape an attention.
type AttentionOptions struct {
	Scale float32
	Seqs  []Seq
	// Hide, when not nil, has one entry a key row: a true key is not attended to. A query that sees no key attends
	// evenly to every key of its sequence, as PyTorch's finite minimum does.
	Hide []bool
	// BF16 allows the products to round their operands, probabilities too, to bf16; sums stay f32. Else they are exact f32.
	BF16 bool
	// Allow, when not nil, is a [sum of query rows, max key rows of a sequence] table of U8: 0 forbids the pair.
	Allow Tensor
}

// Seq pairs a range of query rows with the range of key rows that it attends to.
type Seq struct{ QLo, QHi, KLo, KHi int }

// ConvOptions shape a convolution.
type ConvOptions struct {
	KH, KW, Stride           int
	Top, Left, Bottom, Right int // zero padding
}

// Nothing is the [Device].Kind of a backend that computes nothing and holds nothing but shapes. Weights are not read for it.
const Nothing = "nothing"

// Device describes where a backend runs.
type Device struct {
	Kind    string // "cpu", "cuda", [Nothing]
	Name    string // for people
	Kernels string // "portable", "avx2", "avx512", "avx512bf16", "amx", "neon"
	Threads int
	Memory  int64 // bytes free for models; 0: unknown
}
