package vq

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

var _ engine.ImageTokenizer = (*Tokenizer)(nil)

// pattern is a picture of edges, ramps and noise that the Python script of the table below draws too.
func pattern(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			edge := 255 * ((x/5 + y/3) % 2)
			img.SetNRGBA(x, y, color.NRGBA{R: byte(x*7 + y*13), G: byte(x*x + 3*y), B: byte((x^y)*31 + edge), A: 255})
		}
	}
	return img
}

// TestResizeEqualsPillow compares with checksums of the RGB bytes that Pillow 11.0.0 gives for Image.resize(BICUBIC) of
// the pattern, after torchvision's centre crop and squashed.
func TestResizeEqualsPillow(t *testing.T) {
	for _, c := range []struct {
		w, h, tw, th int
		crop, squash uint32
	}{
		{1, 1, 16, 16, 0xf5a0f415, 0xf5a0f415},
		{3, 2, 64, 64, 0x024b6d78, 0x3be2361e},
		{64, 64, 64, 64, 0x4645e247, 0x4645e247},
		{64, 100, 64, 64, 0x17b19b39, 0xef36524d},
		{101, 64, 64, 64, 0x685672ec, 0x019a1c41},
		{200, 31, 48, 48, 0x2db7d38b, 0x57437a72},
		{31, 200, 48, 48, 0xfaeb685c, 0xdc7407e3},
		{640, 480, 512, 512, 0xeb4849ed, 0x1f02ee1b},
		{97, 53, 96, 48, 0xbf08c225, 0xd790a0ab},
		{500, 3, 32, 32, 0xade297e1, 0xaf5bf6dd},
		{65, 66, 64, 64, 0x8c61202c, 0x8c61202c},
		{33, 32, 96, 96, 0x49aa687c, 0xcfc226bd},
	} {
		src := pattern(c.w, c.h)
		for _, way := range []struct {
			name string
			fit  func(image.Image, int, int) (*image.NRGBA, error)
			want uint32
		}{{"crop", Crop, c.crop}, {"squash", Squash, c.squash}} {
			img, err := way.fit(src, c.tw, c.th)
			if err != nil {
				t.Fatal(err)
			}
			if got := checksum(img); got != way.want {
				t.Errorf("%s of %dx%d to %dx%d: checksum %#08x, want %#08x", way.name, c.w, c.h, c.tw, c.th, got, way.want)
			}
		}
	}
}

func checksum(img *image.NRGBA) uint32 {
	var rgb []byte
	for i := 0; i < len(img.Pix); i += 4 {
		rgb = append(rgb, img.Pix[i:i+3]...)
	}
	return crc32.ChecksumIEEE(rgb)
}

func TestCropOfOtherPictures(t *testing.T) {
	// A picture that does not start at (0, 0), and a clear one, which lies over white.
	sub := pattern(80, 90).SubImage(image.Rect(10, 20, 74, 84)).(*image.NRGBA)
	got, err := Crop(sub, 64, 64)
	if err != nil {
		t.Fatal(err)
	}
	if got.NRGBAAt(5, 7) != sub.NRGBAAt(15, 27) {
		t.Errorf("pixel %v, want %v", got.NRGBAAt(5, 7), sub.NRGBAAt(15, 27))
	}
	clear := image.NewNRGBA(image.Rect(0, 0, 20, 20))
	if got, err = Crop(clear, 16, 16); err != nil || got.NRGBAAt(8, 8) != (color.NRGBA{255, 255, 255, 255}) {
		t.Errorf("clear pixel becomes %v, %v; want white", got.NRGBAAt(8, 8), err)
	}
	gray := image.NewGray(image.Rect(0, 0, 9, 9))
	gray.SetGray(4, 4, color.Gray{Y: 77})
	if got, err = Crop(gray, 9, 9); err != nil || got.NRGBAAt(4, 4) != (color.NRGBA{77, 77, 77, 255}) {
		t.Errorf("gray pixel becomes %v, %v", got.NRGBAAt(4, 4), err)
	}
	var input *engine.InputError
	for _, img := range []image.Image{nil, image.NewNRGBA(image.Rect(0, 0, 0, 5)), image.NewUniform(color.White)} {
		if _, err := Crop(img, 16, 16); !errors.As(err, &input) {
			t.Errorf("%T: error %v, want an InputError", img, err)
		}
	}
	if r := CropRect(image.NewGray(image.Rect(10, 0, 110, 50)), 64, 64); r != image.Rect(35, 0, 85, 50) {
		t.Errorf("kept part %v", r)
	}
}

func TestToByteTruncates(t *testing.T) {
	for _, c := range []struct {
		y    float32
		want byte
	}{{-1, 0}, {1, 255}, {0, 127}, {-2, 0}, {3, 255}, {float32(math.NaN()), 0}, {float32(math.Inf(1)), 255}, {0.999, 254}} {
		if got := ToByte(c.y); got != c.want {
			t.Errorf("%g: %d, want %d", c.y, got, c.want)
		}
	}
}

func TestCodesAndLatentsAreInverse(t *testing.T) {
	list := []engine.Token{0, 1, 2, 4096, 8191, 5000, -1, 9000}
	z := make([]float32, 13*len(list))
	Latents(z, list, 13)
	if z[0] != -1 || z[3] != 1 || z[6] != 0 || z[7] != 1 {
		t.Errorf("most significant bits %v", z[:8])
	}
	got := Codes(z, 13, false)
	if want := []engine.Token{0, 1, 2, 4096, 8191, 5000, 0, 8191}; !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v", got, want)
	}
}

// twoHalves is an autoencoder of random weights whose encoder has fewer levels than its decoder.
var twoHalves = Archs{
	Encoder: Arch{Ch: 8, Mult: []int{1, 2, 1}, Blocks: []int{1, 2, 1}, ZChannels: 5},
	Decoder: Arch{Ch: 8, Mult: []int{1, 1, 2, 1}, Blocks: []int{2, 1, 1, 1}, ZChannels: 5},
	Groups:  4, Eps: 1e-6,
}

// shapes lists the tensors of the released layout for a.
func shapes(a Archs) map[string][]int {
	m := map[string][]int{}
	conv := func(name string, in, out, k int) {
		m[name+".weight"], m[name+".bias"] = []int{out, in, k, k}, []int{out}
	}
	norm := func(name string, ch int) { m[name+".weight"], m[name+".bias"] = []int{ch}, []int{ch} }
	res := func(name string, in, out int) {
		norm(name+".norm1", in)
		conv(name+".conv1", in, out, 3)
		norm(name+".norm2", out)
		conv(name+".conv2", out, out, 3)
		if in != out {
			conv(name+".nin_shortcut", in, out, 1)
		}
	}
	mid := func(name string, ch int) {
		res(name+".block_1", ch, ch)
		res(name+".block_2", ch, ch)
		norm(name+".attn_1.norm", ch)
		for _, p := range []string{"q", "k", "v", "proj_out"} {
			conv(name+".attn_1."+p, ch, ch, 1)
		}
	}
	e, d := a.Encoder, a.Decoder
	conv("encoder.conv_in", 3, e.Ch, 3)
	in := e.Ch
	for i, n := range e.Blocks {
		for j := range n {
			res(fmt.Sprintf("encoder.down.%d.block.%d", i, j), in, e.width(i))
			in = e.width(i)
		}
		if i < len(e.Mult)-1 {
			conv(fmt.Sprintf("encoder.down.%d.downsample.conv", i), in, in, 3)
		}
	}
	mid("encoder.mid", in)
	norm("encoder.norm_out", in)
	conv("encoder.conv_out", in, e.ZChannels, 3)
	conv("encoder.quant_conv", e.ZChannels, e.ZChannels, 1)
	in = d.width(len(d.Mult) - 1)
	conv("decoder.post_quant_conv", d.ZChannels, d.ZChannels, 1)
	conv("decoder.conv_in", d.ZChannels, in, 3)
	mid("decoder.mid", in)
	for i := len(d.Mult) - 1; i >= 0; i-- {
		for j := range d.Blocks[i] {
			res(fmt.Sprintf("decoder.up.%d.block.%d", i, j), in, d.width(i))
			in = d.width(i)
		}
		if i > 0 {
			conv(fmt.Sprintf("decoder.up.%d.upsample.conv", i), in, in, 3)
		}
	}
	norm("decoder.norm_out", in)
	conv("decoder.conv_out", in, 3, 3)
	return m
}

// checkpoint is a folder of random F32 weights of these shapes.
func checkpoint(t testing.TB, a Archs, list map[string][]int) *weights.Set {
	t.Helper()
	header, body := map[string]any{}, []byte{}
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range slices.Sorted(maps.Keys(list)) {
		count, fan := 1, 1
		for i, d := range list[n] {
			count *= d
			if i > 0 {
				fan *= d
			}
		}
		lo := len(body)
		for range count {
			x := float32(r.NormFloat64() / math.Sqrt(float64(fan)))
			body = binary.LittleEndian.AppendUint32(body, math.Float32bits(x))
		}
		header[n] = map[string]any{"dtype": "F32", "shape": list[n], "data_offsets": []int{lo, len(body)}}
	}
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	arch, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	file := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...), body...)
	set, err := weights.OpenFS(fstest.MapFS{"model.safetensors": {Data: file}, "architecture.json": {Data: arch}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func backend(t testing.TB) tensor.Backend {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	return be
}

func TestHalvesOfDifferentDepth(t *testing.T) {
	v, err := Open(t.Context(), checkpoint(t, twoHalves, shapes(twoHalves)), backend(t), tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	v.SetGrid(6, 4)
	if w, h := v.InputSize(6, 4); w != 24 || h != 16 {
		t.Errorf("input %d x %d, want 24 x 16", w, h)
	}
	codes, err := v.EncodeImage(t.Context(), pattern(50, 33))
	if err != nil || len(codes) != 24 {
		t.Fatalf("%d codes, %v", len(codes), err)
	}
	for _, c := range codes {
		if c < 0 || int(c) >= v.Codebook() {
			t.Fatalf("code %d of %d", c, v.Codebook())
		}
	}
	img, err := v.DecodeImage(t.Context(), codes, 6, 4)
	if err != nil || img.Bounds() != image.Rect(0, 0, 48, 32) {
		t.Fatalf("decoded %v, %v", img.Bounds(), err)
	}
	again, err := v.DecodeImage(t.Context(), codes, 6, 4)
	if err != nil || !slices.Equal(img.Pix, again.Pix) {
		t.Errorf("a second decode differs (%v)", err)
	}
	// A masked cell changes its own place.
	codes[0] = -1
	masked, err := v.DecodeImage(t.Context(), codes, 6, 4)
	if err != nil || masked.NRGBAAt(3, 3) == img.NRGBAAt(3, 3) {
		t.Errorf("masked cell shows %v as before (%v)", img.NRGBAAt(3, 3), err)
	}
	if _, err := v.DecodeImage(t.Context(), codes, 5, 5); err == nil {
		t.Error("24 codes on a grid of 5 x 5: no error")
	}
	if _, err := v.EncodePixels(t.Context(), pattern(50, 33)); err == nil {
		t.Error("50 x 33 pixels: no error")
	}
}

func TestDecodeAllocatesThePictureAlone(t *testing.T) {
	v, err := Open(t.Context(), checkpoint(t, twoHalves, shapes(twoHalves)), backend(t), tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	codes := make([]engine.Token, 144)
	ctx := t.Context()
	decode := func() {
		if _, err := v.DecodeImage(ctx, codes, 12, 12); err != nil {
			t.Fatal(err)
		}
	}
	decode()
	result := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			decode()
		}
	})
	// 96 x 96 pixels of 4 bytes, views, and what a backend hands to its workers; one feature map alone is 295 kB.
	if n := result.AllocedBytesPerOp(); n > 96*96*4+64<<10 {
		t.Errorf("%d bytes a decode, want the picture of %d and little more", n, 96*96*4)
	}
}

func TestOpenErrors(t *testing.T) {
	list := shapes(twoHalves)
	delete(list, "decoder.mid.attn_1.q.weight")
	list["encoder.conv_in.weight"] = []int{8, 4, 3, 3}
	list["decoder.extra"] = []int{1}
	_, err := Open(t.Context(), checkpoint(t, twoHalves, list), backend(t), tensor.F32)
	for _, want := range []string{"decoder.mid.attn_1.q.weight", "[8 4 3 3]", "decoder.extra"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	for _, c := range []struct {
		bend func(a *Archs)
		want string
	}{
		{func(a *Archs) { a.Encoder.Mult = nil }, "0 levels"},
		{func(a *Archs) { a.Encoder.Mult = make([]int, 30) }, "30 levels"},
		{func(a *Archs) { a.Decoder.Blocks = []int{1} }, "num_res_blocks has 1"},
		{func(a *Archs) { a.Decoder.Ch = 1 << 40 }, "channels"},
		{func(a *Archs) { a.Encoder.Ch = 9 }, "multiple of 4"},
		{func(a *Archs) { a.Encoder.Blocks = []int{1, 1 << 30, 1} }, "residual blocks"},
		{func(a *Archs) { a.Encoder.ZChannels = 40 }, "z_channels 40"},
		{func(a *Archs) { a.Encoder.ZChannels = 6 }, "6 in the encoder, 5 in the decoder"},
		{func(a *Archs) { a.Groups = -1 }, "-1 groups"},
		{func(a *Archs) { a.Eps = 0 }, "eps 0"},
	} {
		a := twoHalves
		c.bend(&a)
		if _, err := Open(t.Context(), checkpoint(t, a, list), backend(t), tensor.F32); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q in it", err, c.want)
		}
	}
}

func FuzzArch(f *testing.F) {
	if data, err := os.ReadFile(filepath.Join("..", "testdata", "golden", "magvitv2", "architecture.json")); err == nil {
		f.Add(data)
	}
	f.Add([]byte(`{"encoder":{"ch":9223372036854775807,"ch_mult":[2],"num_res_blocks":[1],"z_channels":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseArch(data, "architecture.json")
		if err != nil {
			return
		}
		for _, h := range []Arch{a.Encoder, a.Decoder} {
			for i := range h.Mult {
				if w := h.width(i); w < 1 || w > maxChannels || h.Factor() > 1<<maxLevels {
					t.Errorf("accepted %+v", a)
				}
			}
		}
	})
}
