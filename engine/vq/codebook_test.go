package vq

import (
	"image"
	"math"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

// TestCutEqualsPillow compares with checksums of what Pillow 11.0.0 makes of the pattern: halved by BOX while it is twice
// as large, resized by BICUBIC, cut in the middle.
func TestCutEqualsPillow(t *testing.T) {
	for _, c := range []struct {
		w, h, tw, th int
		want         uint32
	}{
		{64, 64, 32, 32, 0x90a2ab20},
		{65, 67, 32, 32, 0xd84c3db3},
		{130, 300, 32, 64, 0xd22941c2},
		{33, 32, 32, 64, 0x21be5ed0},
		{500, 130, 64, 32, 0xd7c0baee},
		{1, 1, 32, 32, 0x67e6c984},
		{97, 53, 96, 32, 0xdbdb6827},
		{640, 480, 64, 64, 0xe4eef9fd},
		{31, 255, 32, 96, 0xdb81c52a},
	} {
		img, err := Cut(pattern(c.w, c.h), image.Pt(c.tw, c.th))
		if err != nil {
			t.Fatal(err)
		}
		if got := checksum(img); got != c.want || img.Rect != image.Rect(0, 0, c.tw, c.th) {
			t.Errorf("%dx%d to %dx%d: %v, checksum %#08x, want %#08x", c.w, c.h, c.tw, c.th, img.Rect, got, c.want)
		}
	}
	for _, img := range []image.Image{nil, image.NewNRGBA(image.Rect(0, 0, 0, 3))} {
		if _, err := Cut(img, image.Pt(32, 32)); err == nil {
			t.Errorf("%v: no error", img)
		}
	}
	if _, err := Cut(image.NewNRGBA(image.Rect(0, 0, 1, maxPixels/8)), image.Pt(32, 32)); err == nil {
		t.Error("a picture that would grow beyond all bounds: no error")
	}
}

func TestSizes(t *testing.T) {
	list := Sizes(256, 32)
	if len(list) != 49 || list[0] != image.Pt(1024, 256) || list[48] != image.Pt(256, 1024) || !slices.Contains(list, image.Pt(512, 512)) {
		t.Errorf("%d sizes: %v", len(list), list)
	}
	for _, s := range list {
		if s.X%32 != 0 || s.Y%32 != 0 || s.X*s.Y > 512*512 || s.X > 4*s.Y || s.Y > 4*s.X {
			t.Errorf("size %v", s)
		}
	}
	// 3:2 and 2:3 lose the same; the wider wins among equal ones.
	if got := Nearest([]image.Point{{32, 64}, {64, 32}}, 48, 48); got != image.Pt(64, 32) {
		t.Errorf("square picture: %v", got)
	}
}

// TestNearest looks codes up in a book whose distances are known, with a tie and a NaN.
func TestNearest(t *testing.T) {
	const d = 20 // more than one stretch
	book := make([]float32, 3*d)
	for c := range d {
		book[d+c], book[2*d+c] = 1, -1
	}
	z := make([]float32, 4*d) // [d, 4 cells]
	for c := range d {
		z[4*c], z[4*c+1], z[4*c+2], z[4*c+3] = 0.6, -0.6, 0.5, float32(math.NaN())
	}
	got := make([]engine.Token, 4)
	nearest(got, z, book, d)
	if want := []engine.Token{1, 2, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v: the lower of equal ones, and 0 for what is no number", got, want)
	}
	v := &Tokenizer{book: book, arch: diffusers{Widths: []int{4}, Latent: d}.archs()}
	out := make([]float32, 4*d)
	v.vectors(out, []engine.Token{1, -1, 2, 99})
	if out[0] != 1 || out[1] != 0 || out[2] != -1 || out[3] != -1 {
		t.Errorf("vectors %v: want the code's, the mean, the code's, the last", out[:4])
	}
}

func TestUnitByteRounds(t *testing.T) {
	for _, c := range []struct {
		y    float32
		want byte
	}{{-1, 0}, {0, 0}, {0.0019, 0}, {0.002, 1}, {0.5, 128}, {1, 255}, {7, 255}, {float32(math.NaN()), 0}, {float32(math.Inf(1)), 255}} {
		if got := unitByte(c.y); got != c.want {
			t.Errorf("%g: %d, want %d", c.y, got, c.want)
		}
	}
}

// plainConfig is a VQModel's config.json.
const plainConfig = `{"_class_name":"VQModel","act_fn":"silu","block_out_channels":[8,16],"down_block_types":["DownEncoderBlock2D","DownEncoderBlock2D"],
"up_block_types":["UpDecoderBlock2D","UpDecoderBlock2D"],"latent_channels":4,"layers_per_block":1,"lookup_from_codebook":true,"mid_block_add_attention":false,
"norm_num_groups":4,"norm_type":"group","num_vq_embeddings":64,"vq_embed_dim":null,"in_channels":3,"out_channels":3,"sample_size":512}`

func TestParseDiffusers(t *testing.T) {
	c, err := parseDiffusers([]byte(plainConfig), "vqvae")
	if err != nil || c.Latent != 4 || c.archs().Encoder.Factor() != 2 || c.Sample != 512 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, k := range []struct{ from, to, want string }{
		{`"silu"`, `"gelu"`, "not supported"},
		{`"mid_block_add_attention":false`, `"mid_block_add_attention":true`, "not supported"},
		{`"mid_block_add_attention":false,`, ``, "not supported"}, // the library's default is attention
		{`"lookup_from_codebook":true`, `"lookup_from_codebook":false`, "not supported"},
		{`"DownEncoderBlock2D","DownEncoderBlock2D"`, `"DownEncoderBlock2D","AttnDownEncoderBlock2D"`, "not supported"},
		{`[8,16]`, `[8,18]`, "18 channels"},
		{`[8,16]`, `[8]`, "1 levels"},
		{`[8,16]`, `[]`, "0 levels"},
		{`"latent_channels":4`, `"latent_channels":0`, "latent_channels"},
		{`"vq_embed_dim":null`, `"vq_embed_dim":5`, "vq_embed_dim"},
		{`"num_vq_embeddings":64`, `"num_vq_embeddings":99999999`, "num_vq_embeddings"},
		{`"layers_per_block":1`, `"layers_per_block":900`, "layers_per_block"},
		{`"norm_num_groups":4`, `"norm_num_groups":0`, "norm_num_groups"},
		{`"norm_type":"group"`, `"norm_type":"spatial"`, "not supported"},
		{`{`, `[`, "config.json"},
	} {
		text := strings.Replace(plainConfig, k.from, k.to, 1)
		if _, err := parseDiffusers([]byte(text), "vqvae"); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: error %v, want %q in it", k.to, err, k.want)
		}
	}
	if c, err := parseDiffusers([]byte(`{"_class_name":"Other"}`), "x"); err != nil || c.Class != "Other" {
		t.Errorf("another class: %v", err)
	}
}

func FuzzDiffusers(f *testing.F) {
	f.Add([]byte(plainConfig))
	f.Add([]byte(`{"_class_name":"VQModel","block_out_channels":[9223372036854775807],"norm_num_groups":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseDiffusers(data, "config.json")
		if err != nil || c.Class != "VQModel" {
			return
		}
		for _, w := range c.Widths {
			if w < 1 || w > maxChannels || w%c.Groups != 0 || c.Codes > maxCodes || c.archs().Encoder.Factor() > 1<<maxLevels {
				t.Errorf("accepted %+v", c)
			}
		}
	})
}
