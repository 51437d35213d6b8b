package siglip

import (
	"encoding/json"
	"image"
	"image/color"
	"math"
	"slices"
	"testing"
)

// TestChoose compares with LLaVA-NeXT's choice of resolutions.
func TestChoose(t *testing.T) {
	list := []size{{768, 384}, {384, 768}, {768, 768}, {1152, 384}, {384, 1152}}
	for _, c := range []struct{ s, want size }{
		{size{384, 384}, size{768, 384}},
		{size{1000, 1000}, size{768, 768}},
		{size{1600, 400}, size{1152, 384}},
		{size{100, 900}, size{384, 1152}},
		{size{640, 480}, size{768, 768}},
	} {
		if got := choose(list, c.s); got != c.want {
			t.Errorf("%v: %v, want %v", c.s, got, c.want)
		}
	}
}

// TestCount compares how many positions a square picture takes with the published figures.
func TestCount(t *testing.T) {
	view := func(n, d int) grid { return grid{w: n, h: n, d: d, x: make([]float32, n*n*d)} }
	count := func(g grid) int { return g.h * (g.w + 1) }
	square := size{1000, 1000}
	four := slices.Repeat([]grid{view(27, 1)}, 4)
	if n := 729 + count(join(four, 2).unpad(square).bound(4, 27)); n != 3699 {
		t.Errorf("LLaDA-V, 2 x 2 tiles: %d positions, want 3699", n)
	}
	nine := slices.Repeat([]grid{view(27, 1)}, 9)
	if n := 729 + count(join(nine, 3).unpad(square).bound(4, 27)); n != 3699 {
		t.Errorf("LLaDA-V, 3 x 3 tiles: %d positions, want 3699", n)
	}
	if n := 729 + count(join(four[:1], 1).unpad(square).bound(4, 27)); n != 1485 {
		t.Errorf("LLaDA-V, one tile: %d positions, want 1485", n)
	}
	pooled := slices.Repeat([]grid{view(27, 1).resize(14, 14)}, 4)
	if n := 196 + count(join(pooled, 2).unpad(square).bound(0, 14)); n != 1008 {
		t.Errorf("LaViDa, 2 x 2 tiles: %d positions, want 1008", n)
	}
}

func TestResize(t *testing.T) {
	g := grid{w: 4, h: 1, d: 1, x: []float32{0, 1, 2, 3}}
	for _, c := range []struct {
		w    int
		want []float32
	}{{2, []float32{0.5, 2.5}}, {4, []float32{0, 1, 2, 3}}, {8, []float32{0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3}}} {
		got := g.resize(c.w, 1).x
		for i := range got {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-6 {
				t.Errorf("to %d: %v, want %v", c.w, got, c.want)
				break
			}
		}
	}
}

// TestTiles checks that the padded picture lies in the middle and its tiles in reading order.
func TestTiles(t *testing.T) {
	img := image.NewNRGBA(image.Rect(5, 7, 25, 17)) // 20 x 10, red left of blue
	for y := 7; y < 17; y++ {
		for x := 5; x < 25; x++ {
			c := color.NRGBA{R: 255, A: 255}
			if x >= 15 {
				c = color.NRGBA{B: 255, A: 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	list, err := tiles(img, size{16, 16}, 8)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 5 {
		t.Fatalf("%d views, want 5", len(list))
	}
	for i, at := range map[int]image.Point{1: {0, 0}, 2: {0, 0}, 3: {0, 7}, 4: {0, 7}} { // 16 x 8 of 16 x 16 leaves 4 rows above and below
		if c := list[i].NRGBAAt(at.X, at.Y); c != (color.NRGBA{A: 255}) {
			t.Errorf("tile %d: %v at %v, want black", i, c, at)
		}
	}
	if c := list[1].NRGBAAt(0, 7); c.R < 250 {
		t.Errorf("upper left tile: %v, want red", c)
	}
	if c := list[4].NRGBAAt(7, 0); c.B < 250 {
		t.Errorf("lower right tile: %v, want blue", c)
	}
}

func TestResolutions(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
	}{{`"(1x1),...,(6x6)"`, 36}, {`[[384,768],[768,384]]`, 2}, {`[[100,384]]`, -1}, {`"(1x1),...,(9999x9999)"`, -1}, {`"none"`, -1}, {`[]`, -1}, {`[[-384,384]]`, -1}} {
		list, err := settings{Pinpoints: json.RawMessage(c.text)}.resolutions(384, "x")
		if (err != nil) != (c.n < 0) || err == nil && len(list) != c.n {
			t.Errorf("%s: %d resolutions, error %v", c.text, len(list), err)
		}
	}
}

// FuzzSizes feeds configurations; what is accepted must be safe to allocate for.
func FuzzSizes(f *testing.F) {
	f.Add([]byte(`{"hidden_size":48,"num_hidden_layers":3,"image_size":28,"patch_size":7}`), []byte(`"(1x1),...,(6x6)"`))
	f.Add([]byte(`{"image_size":-1}`), []byte(`[[384,384]]`))
	f.Fuzz(func(t *testing.T, data, points []byte) {
		s, err := parseSizes(data, "x")
		if err != nil {
			return
		}
		if s.Side() < 1 || s.Width%s.Heads != 0 || s.Image > maxTile {
			t.Fatalf("accepted %+v", s)
		}
		list, err := settings{Pinpoints: points}.resolutions(s.Image, "x")
		for _, r := range list {
			if err == nil && (r.w/s.Image)*(r.h/s.Image) >= maxViews {
				t.Fatalf("accepted %v", r)
			}
		}
	})
}
