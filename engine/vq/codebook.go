package vq

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/weights"
)

// A tokenizer with a codebook is the VQModel of the diffusers library, which Lumina-DiMOO has from aMUSEd
// (arXiv:2401.01808): MAGVITv2's layers without attention, under other names, with codes that name the nearest of N
// learnt vectors. Pixels are in [0, 1] on both sides.

// The largest codebook and the largest pictures of training, in pixels along a side, that are believed.
const (
	maxCodes  = 1 << 20
	maxSample = 1 << 13
)

// diffusers is config.json of a VQModel as far as it is read.
type diffusers struct {
	Class     string   `json:"_class_name"`
	Act       string   `json:"act_fn"`
	Widths    []int    `json:"block_out_channels"`
	Down      []string `json:"down_block_types"`
	Up        []string `json:"up_block_types"`
	Latent    int      `json:"latent_channels"`
	Layers    int      `json:"layers_per_block"`
	Lookup    bool     `json:"lookup_from_codebook"`
	Attention bool     `json:"mid_block_add_attention"`
	Groups    int      `json:"norm_num_groups"`
	NormType  string   `json:"norm_type"`
	Codes     int      `json:"num_vq_embeddings"`
	Dim       *int     `json:"vq_embed_dim"`
	In        int      `json:"in_channels"`
	Out       int      `json:"out_channels"`
	Sample    int      `json:"sample_size"` // pixels along a side in training; 0: not said
}

// readDiffusers reads config.json of set where it is a VQModel's; ok is false where it is not.
func readDiffusers(set *weights.Set) (c diffusers, ok bool, err error) {
	data, err := set.File("config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	c, err = parseDiffusers(data, set.Path())
	return c, c.Class == "VQModel", err
}

func parseDiffusers(data []byte, path string) (diffusers, error) {
	c := diffusers{Act: "silu", Groups: 32, NormType: "group", In: 3, Out: 3, Attention: true}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, &engine.FormatError{Format: "config.json", Path: path, Err: err}
	}
	if c.Class != "VQModel" {
		return c, nil
	}
	other := func(types []string, want string) bool {
		return slices.ContainsFunc(types, func(t string) bool { return t != want })
	}
	switch {
	case c.Act != "silu" || c.NormType != "group" || c.Attention || !c.Lookup || c.In != 3 || c.Out != 3,
		other(c.Down, "DownEncoderBlock2D"), other(c.Up, "UpDecoderBlock2D"):
		return c, &engine.UnsupportedError{What: path + ": this VQModel", Have: "silu, group norm, no attention, codes looked up, three channels"}
	case len(c.Widths) < 1 || len(c.Widths) > maxLevels || len(c.Down) != len(c.Widths) || len(c.Up) != len(c.Widths):
		return c, &engine.FormatError{Format: "config.json", Path: path, Item: "block_out_channels",
			Reason: fmt.Sprintf("%d levels with %d and %d blocks, want 1 to %d", len(c.Widths), len(c.Down), len(c.Up), maxLevels)}
	case c.Latent < 1 || c.Latent > maxChannels || c.Dim != nil && *c.Dim != c.Latent:
		return c, &engine.FormatError{Format: "config.json", Path: path, Item: "latent_channels", Reason: fmt.Sprintf("%d, want 1 to %d, equal to vq_embed_dim", c.Latent, maxChannels)}
	case c.Codes < 1 || c.Codes > maxCodes:
		return c, &engine.FormatError{Format: "config.json", Path: path, Item: "num_vq_embeddings", Reason: fmt.Sprintf("%d, want 1 to %d", c.Codes, maxCodes)}
	case c.Layers < 1 || c.Layers >= maxBlocks:
		return c, &engine.FormatError{Format: "config.json", Path: path, Item: "layers_per_block", Reason: fmt.Sprintf("%d, want 1 to %d", c.Layers, maxBlocks-1)}
	case c.Sample < 0 || c.Sample > maxSample:
		return c, &engine.FormatError{Format: "config.json", Path: path, Item: "sample_size", Reason: fmt.Sprintf("%d, want 0 to %d", c.Sample, maxSample)}
	case c.Groups < 1:
		return c, &engine.FormatError{Format: "config.json", Path: path, Item: "norm_num_groups", Reason: fmt.Sprintf("%d, want at least 1", c.Groups)}
	}
	for _, w := range c.Widths {
		if w < 1 || w > maxChannels || w%c.Groups != 0 {
			return c, &engine.FormatError{Format: "config.json", Path: path, Item: "block_out_channels",
				Reason: fmt.Sprintf("%d channels, want a multiple of %d up to %d", w, c.Groups, maxChannels)}
		}
	}
	return c, nil
}

// archs are the sizes in this package's terms. Only counts of levels and channels are read of them.
func (c diffusers) archs() Archs {
	mult := append([]int(nil), c.Widths...)
	a := Arch{Ch: 1, Mult: mult, ZChannels: c.Latent}
	return Archs{Encoder: a, Decoder: a, Groups: c.Groups, Eps: 1e-6}
}

// loadDiffusers binds a VQModel.
func (t *Tokenizer) loadDiffusers(b *weights.Binder, c diffusers) {
	a, n := t.arch, len(c.Widths)
	t.encIn = loadConv(b, "encoder.conv_in", 3, c.Widths[0], 3)
	in := c.Widths[0]
	for i, w := range c.Widths {
		name := fmt.Sprintf("encoder.down_blocks.%d", i)
		l := loadResnets(b, name, in, w, c.Layers, a)
		in = w
		if i < n-1 {
			d := loadDown(b, name+".downsamplers.0.conv", in)
			l.leave = &d
		}
		t.down = append(t.down, l)
	}
	t.encMid = loadPlainMiddle(b, "encoder.mid_block", in, a)
	t.encNorm = loadNorm(b, "encoder.conv_norm_out", in, a)
	t.encOut = loadConv(b, "encoder.conv_out", in, c.Latent, 3)
	t.quant = loadConv(b, "quant_conv", c.Latent, c.Latent, 1)

	t.post = loadConv(b, "post_quant_conv", c.Latent, c.Latent, 1)
	t.decIn = loadConv(b, "decoder.conv_in", c.Latent, in, 3)
	t.decMid = loadPlainMiddle(b, "decoder.mid_block", in, a)
	t.up = make([]level, n)
	for i := range n {
		name := fmt.Sprintf("decoder.up_blocks.%d", i)
		w := c.Widths[n-1-i]
		l := loadResnets(b, name, in, w, c.Layers+1, a)
		in = w
		if i < n-1 {
			u := loadConv(b, name+".upsamplers.0.conv", in, in, 3)
			l.leave = &u
		}
		t.up[n-1-i] = l
	}
	t.decNorm = loadNorm(b, "decoder.conv_norm_out", in, a)
	t.decOut = loadConv(b, "decoder.conv_out", in, 3, 3)
	t.book = b.Host("quantize.embedding.weight", c.Codes, c.Latent)
}

func loadResnets(b *weights.Binder, name string, in, out, blocks int, a Archs) level {
	var l level
	for i := range blocks {
		l.blocks = append(l.blocks, loadRes(b, fmt.Sprintf("%s.resnets.%d", name, i), in, out, a))
		l.widths = append(l.widths, out)
		in = out
	}
	return l
}

func loadPlainMiddle(b *weights.Binder, name string, ch int, a Archs) middle {
	return middle{one: loadRes(b, name+".resnets.0", ch, ch, a), two: loadRes(b, name+".resnets.1", ch, ch, a), ch: ch}
}

// stretch is how many channels a distance takes in before it is compared with the best so far.
const stretch = 16

// nearest reduces latents z [D, cells] to the codes of the nearest vectors of book [N, D]. Equal distances: the lower code.
func nearest(dst []engine.Token, z, book []float32, d int) {
	n := len(dst)
	cell := make([]float32, d)
	for i := range dst {
		for c := range cell {
			cell[c] = z[c*n+i]
		}
		best := math.Inf(1)
		for code := 0; code*d < len(book); code++ {
			if sum := distance(cell, book[code*d:(code+1)*d], best); sum < best {
				best, dst[i] = sum, engine.Token(code)
			}
		}
	}
}

// distance is the squared distance of a and b, or something at least limit where it reaches that.
func distance(a, b []float32, limit float64) float64 {
	sum := 0.0
	for len(a) > 0 && sum < limit {
		n := min(stretch, len(a))
		for c, x := range a[:n] {
			e := float64(x - b[c])
			sum += e * e
		}
		a, b = a[n:], b[n:]
	}
	return sum
}

// vectors writes the latents of codes to dst [D, cells]: corners of the cube, or vectors of the codebook. A negative code
// is a masked cell and gets the centre of the cube, or the mean of the codebook; codes beyond it are taken as the last.
func (t *Tokenizer) vectors(dst []float32, list []engine.Token) {
	d, n := t.Bits(), len(list)
	if t.book == nil {
		Latents(dst, list, d)
		return
	}
	var mean []float32
	for i, code := range list {
		v := t.book[min(max(int(code), 0), len(t.book)/d-1)*d:][:d]
		if code < 0 {
			if mean == nil {
				mean = t.middle()
			}
			v = mean
		}
		for c, x := range v {
			dst[c*n+i] = x
		}
	}
}

// middle is the mean vector of the codebook.
func (t *Tokenizer) middle() []float32 {
	d := t.Bits()
	sum := make([]float64, d)
	for i, x := range t.book {
		sum[i%d] += float64(x)
	}
	out := make([]float32, d)
	for i := range out {
		out[i] = float32(sum[i] * float64(d) / float64(len(t.book)))
	}
	return out
}

// Unit turns a picture into [3, h, w] in [0, 1], in f32.
func Unit(img *image.NRGBA) []float32 {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := make([]float32, 3*w*h)
	for y := range h {
		row := img.Pix[y*img.Stride:]
		for x := range w {
			for c := range 3 {
				out[(c*h+y)*w+x] = float32(row[4*x+c]) / 255
			}
		}
	}
	return out
}

// unitByte turns a decoder output in [0, 1] into a byte, rounded to even at one half. NaN gives 0.
func unitByte(y float32) byte {
	if !(y > 0) {
		return 0
	}
	return byte(math.RoundToEven(float64(min(y, 1) * 255)))
}
