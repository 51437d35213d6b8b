package vq

import (
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"math"

	"unmask/engine"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Tokenizer is an open image tokenizer on one backend; it implements [engine.ImageTokenizer]. One goroutine at a time.
// Scratch memory comes from the backend and is given back, so that only the returned picture is new.
type Tokenizer struct {
	be       tensor.Backend
	arch     Archs
	released bool
	cols     int
	rows     int
	params   int64
	bytes    int64

	encIn, encOut, quant conv
	down                 []level
	encMid               middle
	encNorm              groupNorm

	post, decIn, decOut conv
	up                  []level
	decMid              middle
	decNorm             groupNorm

	book []float32 // [N, D] of a tokenizer with a codebook; nil: codes are signs

	watch func(name string, x tensor.Tensor)
	host  []float32
	raw   []byte
}

// Open binds the tokenizer in set to be; products run in as. Its sizes come from architecture.json, or are [Release]; a
// config.json of the diffusers library's VQModel makes it one with a codebook. The grid is square, 512 pixels of a released
// tokenizer, until [Tokenizer.SetGrid]. set stays the caller's and must outlive the tokenizer.
func Open(ctx context.Context, set *weights.Set, be tensor.Backend, as tensor.DType) (*Tokenizer, error) {
	c, plain, err := readDiffusers(set)
	if err != nil {
		return nil, fmt.Errorf("image tokenizer: %w", err)
	}
	var a Archs
	released := false
	if plain {
		a = c.archs()
	} else if a, released, err = readArch(set); err != nil {
		return nil, fmt.Errorf("image tokenizer: %w", err)
	}
	t := &Tokenizer{be: be, arch: a, released: released, cols: 32, rows: 32}
	if n := c.Sample / a.Encoder.Factor(); plain && n > 0 {
		t.cols, t.rows = n, n
	}
	b := weights.NewBinder(set, be, as, nil)
	if !plain {
		b.Ignore("quantize.")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if plain {
		t.loadDiffusers(b, c)
	} else {
		t.loadEncoder(b)
		t.loadDecoder(b)
	}
	if err := b.Err(); err != nil {
		return nil, fmt.Errorf("image tokenizer: %w", err)
	}
	t.params, t.bytes = b.Params(), b.Bytes()
	return t, nil
}

func (t *Tokenizer) loadEncoder(b *weights.Binder) {
	a := t.arch.Encoder
	t.encIn = loadConv(b, "encoder.conv_in", 3, a.Ch, 3)
	in := a.Ch
	for i := range a.Mult {
		name := fmt.Sprintf("encoder.down.%d", i)
		l := loadLevel(b, name, in, a.width(i), a.Blocks[i], t.arch)
		in = a.width(i)
		if i < len(a.Mult)-1 {
			c := loadDown(b, name+".downsample.conv", in)
			l.leave = &c
		}
		t.down = append(t.down, l)
	}
	t.encMid = loadMiddle(b, "encoder.mid", in, t.arch)
	t.encNorm = loadNorm(b, "encoder.norm_out", in, t.arch)
	t.encOut = loadConv(b, "encoder.conv_out", in, a.ZChannels, 3)
	t.quant = loadConv(b, "encoder.quant_conv", a.ZChannels, a.ZChannels, 1)
}

func (t *Tokenizer) loadDecoder(b *weights.Binder) {
	a := t.arch.Decoder
	in := a.width(len(a.Mult) - 1)
	t.post = loadConv(b, "decoder.post_quant_conv", a.ZChannels, a.ZChannels, 1)
	t.decIn = loadConv(b, "decoder.conv_in", a.ZChannels, in, 3)
	t.decMid = loadMiddle(b, "decoder.mid", in, t.arch)
	t.up = make([]level, len(a.Mult))
	for i := len(a.Mult) - 1; i >= 0; i-- {
		name := fmt.Sprintf("decoder.up.%d", i)
		l := loadLevel(b, name, in, a.width(i), a.Blocks[i], t.arch)
		in = a.width(i)
		if i > 0 {
			c := loadConv(b, name+".upsample.conv", in, in, 3)
			l.leave = &c
		}
		t.up[i] = l
	}
	t.decNorm = loadNorm(b, "decoder.norm_out", in, t.arch)
	t.decOut = loadConv(b, "decoder.conv_out", in, 3, 3)
}

// Grid implements [engine.ImageTokenizer].
func (t *Tokenizer) Grid() (cols, rows int) { return t.cols, t.rows }

// SetGrid sets the layout of the codes of one picture.
func (t *Tokenizer) SetGrid(cols, rows int) { t.cols, t.rows = cols, rows }

// Codebook implements [engine.ImageTokenizer].
func (t *Tokenizer) Codebook() int {
	if t.book != nil {
		return len(t.book) / t.arch.Decoder.ZChannels
	}
	return 1 << t.arch.Decoder.ZChannels
}

// Bits is the number of channels of a latent: the bits of a code, where codes are signs.
func (t *Tokenizer) Bits() int { return t.arch.Decoder.ZChannels }

// Released reports whether the tokenizer has the sizes of the released one because its checkpoint names none.
func (t *Tokenizer) Released() bool { return t.released }

// Params is the number of parameters.
func (t *Tokenizer) Params() int64 { return t.params }

// Bytes is the memory that the weights occupy.
func (t *Tokenizer) Bytes() int64 { return t.bytes }

// Size is the size in pixels of the picture decoded from a grid.
func (t *Tokenizer) Size(cols, rows int) (width, height int) {
	f := t.arch.Decoder.Factor()
	return cols * f, rows * f
}

// InputSize is the size in pixels of the picture that is encoded to a grid.
func (t *Tokenizer) InputSize(cols, rows int) (width, height int) {
	f := t.arch.Encoder.Factor()
	return cols * f, rows * f
}

// Watch calls fn with every activation of later passes while its memory is valid: "enc.conv_in", "enc.down0.last_block",
// "dec.mid.attn_1", ... nil ends it. For tests.
func (t *Tokenizer) Watch(fn func(name string, x tensor.Tensor)) { t.watch = fn }

func (t *Tokenizer) see(name string, x tensor.Tensor) {
	if t.watch != nil {
		t.watch(name, x)
	}
}

// EncodeImage implements [engine.ImageTokenizer].
func (t *Tokenizer) EncodeImage(ctx context.Context, img image.Image) ([]engine.Token, error) {
	w, h := t.InputSize(t.cols, t.rows)
	px, err := Crop(img, w, h)
	if err != nil {
		return nil, err
	}
	return t.EncodePixels(ctx, px)
}

// EncodePixels is EncodeImage of a picture that has the input size of some grid already; its codes come row-major.
func (t *Tokenizer) EncodePixels(ctx context.Context, img *image.NRGBA) ([]engine.Token, error) {
	b := img.Bounds()
	f := t.arch.Encoder.Factor()
	if b.Dx()%f != 0 || b.Dy()%f != 0 || b.Empty() {
		return nil, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%d x %d pixels, want multiples of %d", b.Dx(), b.Dy(), f)}
	}
	pixels := Planes
	if t.book != nil {
		pixels = Unit
	}
	z, err := t.Latents(ctx, pixels(img), b.Dx(), b.Dy())
	if err != nil {
		return nil, err
	}
	return t.Quantize(z), nil
}

// Latents runs the encoder over pixels [3, h, w] in [-1, 1], or in [0, 1] with a codebook, and returns z [bits, h', w'],
// valid until the next call.
func (t *Tokenizer) Latents(ctx context.Context, pixels []float32, w, h int) ([]float32, error) {
	be := t.be
	mark := be.Mark()
	defer be.Release(mark)
	x := be.Alloc(tensor.F32, 3, h, w)
	be.Upload(x, t.bytesOf(pixels), tensor.F32)
	x = t.encIn.apply(be, x)
	t.see("enc.conv_in", x)
	for i := range t.down {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x = t.down[i].apply(be, x)
		t.seeLevel("enc.down", i, ".last_block", x)
		if c := t.down[i].leave; c != nil {
			x = c.apply(be, x)
			t.seeLevel("enc.down", i, ".downsample", x)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t.encMid.apply(be, x, t.prefixed("enc."))
	t.encNorm.apply(be, x, x, t.watch == nil)
	if t.watch != nil {
		t.see("enc.norm_out", x)
		be.SiLU(x, x)
	}
	x = t.encOut.apply(be, x)
	t.see("enc.conv_out", x)
	x = t.quant.apply(be, x)
	s := x.Shape()
	t.host = sized(t.host, s[0]*s[1]*s[2])
	be.Download(t.host, x)
	return t.host, be.Err()
}

// Quantize reduces latents z [bits, cells] to codes: by their signs, or to the nearest vectors of the codebook.
func (t *Tokenizer) Quantize(z []float32) []engine.Token {
	out := make([]engine.Token, len(z)/t.Bits())
	if t.book != nil {
		nearest(out, z, t.book, t.Bits())
	} else {
		codes(out, z, t.Bits())
	}
	return out
}

// Vectors are the latents [bits, cells] that codes stand for. A negative code is a masked cell.
func (t *Tokenizer) Vectors(list []engine.Token) []float32 {
	out := make([]float32, t.Bits()*len(list))
	t.vectors(out, list)
	return out
}

// DecodeImage implements [engine.ImageTokenizer].
func (t *Tokenizer) DecodeImage(ctx context.Context, list []engine.Token, cols, rows int) (*image.NRGBA, error) {
	if cols < 1 || rows < 1 || cols*rows != len(list) {
		return nil, &engine.InputError{Item: "codes", Reason: fmt.Sprintf("%d codes for a grid of %d x %d", len(list), cols, rows)}
	}
	w, h := t.Size(cols, rows)
	y, err := t.DecodePlanes(ctx, list, cols, rows)
	if err != nil {
		return nil, err
	}
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	toByte := ToByte
	if t.book != nil {
		toByte = unitByte
	}
	n := w * h
	for i := range n {
		p := img.Pix[4*i : 4*i+4 : 4*i+4]
		p[0], p[1], p[2], p[3] = toByte(y[i]), toByte(y[n+i]), toByte(y[2*n+i]), 255
	}
	return img, nil
}

// DecodePlanes runs the decoder over codes and returns its raw output [3, h, w], valid until the next call.
func (t *Tokenizer) DecodePlanes(ctx context.Context, list []engine.Token, cols, rows int) ([]float32, error) {
	be, bits := t.be, t.Bits()
	mark := be.Mark()
	defer be.Release(mark)
	t.host = sized(t.host, bits*len(list))
	t.vectors(t.host, list)
	x := be.Alloc(tensor.F32, bits, rows, cols)
	be.Upload(x, t.bytesOf(t.host), tensor.F32)
	x = t.post.apply(be, x)
	t.see("dec.post_quant_conv", x)
	x = t.decIn.apply(be, x)
	t.see("dec.conv_in", x)
	t.decMid.apply(be, x, t.prefixed("dec."))
	for i := len(t.up) - 1; i >= 0; i-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x = t.up[i].apply(be, x)
		t.seeLevel("dec.up", i, ".last_block", x)
		if c := t.up[i].leave; c != nil {
			s := x.Shape()
			big := be.Alloc(tensor.F32, s[0], 2*s[1], 2*s[2])
			be.Upsample2(big, x)
			x = c.apply(be, big)
			t.seeLevel("dec.up", i, ".upsample", x)
		}
	}
	t.decNorm.apply(be, x, x, t.watch == nil)
	if t.watch != nil {
		t.see("dec.norm_out", x)
		be.SiLU(x, x)
	}
	x = t.decOut.apply(be, x)
	s := x.Shape()
	t.host = sized(t.host, s[0]*s[1]*s[2])
	be.Download(t.host, x)
	return t.host, be.Err()
}

func (t *Tokenizer) seeLevel(half string, i int, what string, x tensor.Tensor) {
	if t.watch != nil {
		t.watch(fmt.Sprintf("%s%d%s", half, i, what), x)
	}
}

func (t *Tokenizer) prefixed(prefix string) func(string, tensor.Tensor) {
	return func(name string, x tensor.Tensor) {
		if t.watch != nil {
			t.watch(prefix+name, x)
		}
	}
}

// bytesOf is x as little-endian bytes in memory that the next call reuses.
func (t *Tokenizer) bytesOf(x []float32) []byte {
	t.raw = t.raw[:0]
	for _, f := range x {
		t.raw = binary.LittleEndian.AppendUint32(t.raw, math.Float32bits(f))
	}
	return t.raw
}

func sized(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}
