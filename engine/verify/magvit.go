package verify

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"

	"unmask/engine"
	"unmask/engine/tensor"
	"unmask/engine/vq"
	"unmask/engine/weights"
)

// autoencoder is an open image tokenizer with the feature maps of its last pass.
type autoencoder struct {
	*vq.Tokenizer
	be   tensor.Backend
	seen map[string]featureMap
}

// featureMap is [C, H, W].
type featureMap struct {
	shape []int
	data  []float32
}

// verifyMAGVIT checks everything in the magvitv2 folder.
func verifyMAGVIT(ctx context.Context, f *folder) error {
	be, err := f.opt.Backend()
	if err != nil {
		return err
	}
	f.onClose = append(f.onClose, be.Close)
	set, err := weights.OpenDir(f.dir)
	if err != nil {
		return err
	}
	f.onClose = append(f.onClose, set.Close)
	t, err := vq.Open(ctx, set, be, tensor.F32)
	if err != nil {
		return err
	}
	a := &autoencoder{Tokenizer: t, be: be, seen: map[string]featureMap{}}
	t.Watch(func(name string, x tensor.Tensor) {
		a.seen[name] = featureMap{shape: append([]int(nil), x.Shape()...), data: download(be, x)}
	})
	if err := verifyArchitecture(f, t.Codebook()); err != nil {
		return err
	}
	if err := verifyPreprocess(f); err != nil {
		return err
	}
	for _, batch := range []string{"sq", "odd"} {
		if err := verifyBatch(ctx, f, a, batch); err != nil {
			return fmt.Errorf("%s: %w", batch, err)
		}
	}
	return verifyQuantizer(f)
}

// verifyPreprocess checks the resize of the source picture, to the byte.
func verifyPreprocess(f *folder) error {
	raw, shape, err := f.ints("source_u8")
	if err != nil {
		return err
	}
	if len(shape) != 3 || shape[2] != 3 {
		return fmt.Errorf("source_u8: shape %v, want [h, w, 3]", shape)
	}
	h, w := shape[0], shape[1]
	src := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		src.SetNRGBA(i%w, i/w, color.NRGBA{R: byte(raw[3*i]), G: byte(raw[3*i+1]), B: byte(raw[3*i+2]), A: 255})
	}
	if err := verifySource(f, src, raw, shape); err != nil {
		return err
	}
	for _, way := range []struct {
		array string
		fit   func(image.Image, int, int) (*image.NRGBA, error)
	}{{"preprocess.crop", vq.Crop}, {"preprocess.squash", vq.Squash}} {
		want, shape, err := f.floats(way.array)
		if err != nil {
			return err
		}
		if len(shape) != 3 || shape[0] != 3 {
			return fmt.Errorf("%s: shape %v, want [3, h, w]", way.array, shape)
		}
		img, err := way.fit(src, shape[2], shape[1])
		if err != nil {
			return err
		}
		f.add(compare(way.array, wide(vq.Planes(img)), wide(want), shape, 0))
	}
	return nil
}

// verifySource checks that source.png holds the pixels of source_u8.
func verifySource(f *folder, src *image.NRGBA, raw, shape []int) error {
	file, err := os.Open(filepath.Join(f.dir, "source.png"))
	if err != nil {
		return err
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		return fmt.Errorf("source.png: %w", err)
	}
	if img.Bounds() != src.Bounds() {
		return fmt.Errorf("source.png: %v, want %v", img.Bounds(), src.Bounds())
	}
	var got []int
	for y := range shape[0] {
		for x := range shape[1] {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			got = append(got, int(c.R), int(c.G), int(c.B))
		}
	}
	f.same("source.png", got, raw, shape)
	return nil
}

// batch is one recorded batch of pictures on its way through the autoencoder.
type batch struct {
	f       *folder
	a       *autoencoder
	name    string // "sq", "odd"
	n       int    // pictures
	maps    map[string][]featureMap
	z       [][]float32 // latents of each picture
	codes   [][]engine.Token
	cols    int
	rows    int
	u8      []int // decoded bytes, [n, h, w, 3]
	decoded []float32
}

// verifyBatch checks one batch through encoder, quantiser and decoder, then a decode of random codes.
func verifyBatch(ctx context.Context, f *folder, a *autoencoder, name string) error {
	px, shape, err := f.floats(name + ".pixels")
	if err != nil {
		return err
	}
	if len(shape) != 4 || shape[1] != 3 {
		return fmt.Errorf("pixels %v, want [B, 3, h, w]", shape)
	}
	h, w := shape[2], shape[3]
	cw, ch := a.InputSize(1, 1)
	if w%cw != 0 || h%ch != 0 {
		return fmt.Errorf("pixels %v, want multiples of %d", shape, cw)
	}
	b := &batch{f: f, a: a, name: name, n: shape[0], maps: map[string][]featureMap{}, cols: w / cw, rows: h / ch}
	clear(a.seen)
	for i := range b.n {
		z, err := a.Latents(ctx, px[i*3*h*w:(i+1)*3*h*w], w, h)
		if err != nil {
			return err
		}
		b.z = append(b.z, append([]float32(nil), z...))
		b.codes = append(b.codes, vq.Codes(z, a.Bits(), false))
		b.keep()
	}
	for i := range b.n {
		if err := b.decode(ctx, b.codes[i]); err != nil {
			return err
		}
		b.keep()
	}
	b.checkMaps()
	b.checkLatents()
	f.near(name+".decoded", b.decoded)
	b.checkBytes()
	return b.checkRandom(ctx)
}

// keep moves the feature maps of the last pass into the batch.
func (b *batch) keep() {
	for name, m := range b.a.seen {
		b.maps[name] = append(b.maps[name], m)
	}
	clear(b.a.seen)
}

// decode appends the decoder's raw output of list, and its bytes.
func (b *batch) decode(ctx context.Context, list []engine.Token) error {
	y, err := b.a.DecodePlanes(ctx, list, b.cols, b.rows)
	if err != nil {
		return err
	}
	b.decoded = append(b.decoded, y...)
	img, err := b.a.DecodeImage(ctx, list, b.cols, b.rows)
	if err != nil {
		return err
	}
	for i := 0; i < len(img.Pix); i += 4 {
		b.u8 = append(b.u8, int(img.Pix[i]), int(img.Pix[i+1]), int(img.Pix[i+2]))
	}
	return nil
}

// checkMaps compares the recorded part of every feature map, and the mean magnitude of the whole.
func (b *batch) checkMaps() {
	for _, array := range b.f.names(b.name + ".act.") {
		if maps := b.maps[strings.TrimPrefix(array, b.name+".act.")]; len(maps) == b.n {
			b.f.near(array, strided(maps))
		}
	}
	for _, array := range b.f.names(b.name + ".absmean.") {
		maps := b.maps[strings.TrimPrefix(array, b.name+".absmean.")]
		if len(maps) != b.n {
			continue // reported as an array that no check reads
		}
		sum, n := 0.0, 0
		for _, m := range maps {
			for _, x := range m.data {
				sum += math.Abs(float64(x))
			}
			n += len(m.data)
		}
		b.f.near(array, []float32{float32(sum / float64(n))})
	}
}

// strided is the part of a batch of feature maps that was recorded: every 6th channel and 5th row and column of large
// maps, every second channel of the others beyond 4,096 numbers.
func strided(maps []featureMap) []float32 {
	c, h, w := maps[0].shape[0], maps[0].shape[1], maps[0].shape[2]
	sc, sp := 1, 1
	switch {
	case h >= 16 && w >= 16:
		sc, sp = 6, 5
	case len(maps)*c*h*w > 4096:
		sc = 2
	}
	var out []float32
	for _, m := range maps {
		for i := 0; i < c; i += sc {
			for y := 0; y < h; y += sp {
				for x := 0; x < w; x += sp {
					out = append(out, m.data[(i*h+y)*w+x])
				}
			}
		}
	}
	return out
}

// checkLatents compares latents, bits, codes and the training losses of the quantiser.
func (b *batch) checkLatents() {
	var z, straight []float32
	var bits, codes []int
	for i, one := range b.z {
		z = append(z, one...)
		for _, x := range one {
			straight = append(straight, vq.StraightThrough(x))
			bit := 0
			if x > 0 {
				bit = 1
			}
			bits = append(bits, bit)
		}
		for _, c := range b.codes[i] {
			codes = append(codes, int(c))
		}
	}
	b.f.near(b.name+".z", z)
	b.f.near(b.name+".z_quantized", straight)
	b.f.equal(b.name+".bits", bits)
	b.f.equal(b.name+".indices", codes)
	commit, entropy := quantizerLosses(z, b.n, b.a.Bits())
	b.f.near(b.name+".quantizer_loss", []float32{float32(commit)})
	b.f.near(b.name+".entropy_loss", []float32{float32(entropy)})
}

// checkBytes compares the decoded bytes. Where the float64 replay of the official code already gave another byte, one
// step is rounding.
func (b *batch) checkBytes() {
	name := b.name + ".decoded_u8"
	var disagree []string
	if err := b.f.decode("float64_integer_disagreements", &disagree); err != nil {
		b.f.fail(name, err)
		return
	}
	for _, d := range disagree {
		if d == name {
			got := make([]float32, len(b.u8))
			for i, v := range b.u8 {
				got[i] = float32(v)
			}
			b.f.nearWithin(name, name, got, 1)
			return
		}
	}
	b.f.equal(name, b.u8)
}

// checkRandom decodes random codes.
func (b *batch) checkRandom(ctx context.Context) error {
	ids, shape, err := b.f.ints(b.name + ".random_indices")
	if err != nil {
		return err
	}
	if len(shape) != 2 || shape[1] != b.cols*b.rows {
		return fmt.Errorf("random_indices %v, want [n, %d]", shape, b.cols*b.rows)
	}
	b.decoded, b.u8 = nil, nil
	var latents []float32
	for i := range shape[0] {
		list := make([]engine.Token, shape[1])
		for j := range list {
			list[j] = engine.Token(ids[i*shape[1]+j])
		}
		z := make([]float32, b.a.Bits()*len(list))
		vq.Latents(z, list, b.a.Bits())
		latents = append(latents, z...)
		if err := b.decode(ctx, list); err != nil {
			return err
		}
	}
	b.f.near(b.name+".random_codes_z", latents)
	b.f.near(b.name+".random_decoded", b.decoded)
	return nil
}

// quantizerLosses are the two training terms of the published quantiser over latents z [n, bits, cells], times 0.1: the
// commitment term (z_q - z)^2 with weight 1 + 0.25, and the mean entropy of each bit less the entropy of its mean.
func quantizerLosses(z []float32, n, bits int) (commit, entropy float64) {
	cells := len(z) / n / bits
	mean := make([]float64, bits)
	for i, x := range z {
		d := float64(vq.StraightThrough(x)) - float64(x)
		commit += d * d
		// softmax of -(z-1)^2 and -(z+1)^2 is the logistic function of 4z
		p := 1 / (1 + math.Exp(-4*float64(x)))
		entropy += binaryEntropy(p)
		mean[i/cells%bits] += p
	}
	commit *= 1.25 / float64(len(z))
	entropy /= float64(len(z))
	for _, m := range mean {
		entropy -= binaryEntropy(m/float64(n*cells)) / float64(bits)
	}
	return 0.1 * commit, 0.1 * entropy
}

func binaryEntropy(p float64) float64 {
	h := 0.0
	for _, q := range []float64{p, 1 - p} {
		if q > 0 {
			h -= q * math.Log(q)
		}
	}
	return h
}
