package paint

import (
	"image"
	"image/color"
	"testing"
)

var (
	black = color.NRGBA{0, 0, 0, 255}
	white = color.NRGBA{255, 255, 255, 255}
	red   = color.NRGBA{255, 0, 0, 255}
)

func canvas(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	Fill(m, black)
	return m
}

func at(m *image.RGBA, x, y int) [3]uint8 {
	c := m.RGBAAt(x, y)
	return [3]uint8{c.R, c.G, c.B}
}

func TestSnappedBoxIsSharp(t *testing.T) {
	m := canvas(10, 10)
	Draw(m, Box{X: 2, Y: 3, W: 5, H: 4, Fill: white})
	for y := range 10 {
		for x := range 10 {
			want := uint8(0)
			if x >= 2 && x < 7 && y >= 3 && y < 7 {
				want = 255
			}
			if got := m.RGBAAt(x, y).R; got != want {
				t.Fatalf("(%d,%d) = %d, want %d", x, y, got, want)
			}
		}
	}
}

func TestEdgesBlendByCoverage(t *testing.T) {
	m := canvas(10, 10)
	Draw(m, Box{X: 2.5, Y: 0, W: 5, H: 10, Fill: white})
	if got := at(m, 2, 5)[0]; got < 126 || got > 129 {
		t.Fatalf("half covered pixel is %d", got)
	}
	Draw(m, Box{X: 0, Y: 0, W: 10, H: 10, Fill: color.NRGBA{255, 0, 0, 128}})
	if got := at(m, 5, 5); got != [3]uint8{255, 127, 127} {
		t.Fatalf("half red over white is %v", got)
	}
}

func TestLineIsInside(t *testing.T) {
	m := canvas(12, 12)
	Draw(m, Box{X: 1, Y: 1, W: 10, H: 10, Fill: white, Line: red, Width: 2})
	for x, want := range map[int][3]uint8{0: {}, 1: {255, 0, 0}, 2: {255, 0, 0}, 3: {255, 255, 255}, 10: {255, 0, 0}, 11: {}} {
		if got := at(m, x, 6); got != want {
			t.Errorf("x=%d: %v, want %v", x, got, want)
		}
	}
}

func TestRoundCornersAndTriangles(t *testing.T) {
	m := canvas(20, 20)
	Draw(m, Box{W: 20, H: 20, Radius: 10, Fill: white})
	if at(m, 0, 0)[0] != 0 || at(m, 19, 19)[0] != 0 || at(m, 10, 10)[0] != 255 {
		t.Error("a circle has no corners")
	}
	m = canvas(20, 20)
	Draw(m, Box{W: 20, H: 20, Fill: white, Shape: Corner})
	if at(m, 18, 1)[0] != 255 || at(m, 1, 18)[0] != 0 {
		t.Error("corner: upper right only")
	}
	m = canvas(20, 20)
	Draw(m, Box{W: 20, H: 20, Fill: white, Shape: Down})
	if at(m, 2, 1)[0] != 255 || at(m, 2, 17)[0] != 0 || at(m, 10, 17)[0] != 255 {
		t.Error("down: tip at the bottom")
	}
}

// TestOutside draws boxes that lie partly or wholly outside, or have no area: nothing panics, nothing bleeds.
func TestOutside(t *testing.T) {
	m := canvas(8, 8)
	for _, b := range []Box{{X: -100, W: 50, H: 8}, {X: 100, W: 50, H: 8}, {Y: -1e9, W: 8, H: 1}, {W: 0, H: 5}, {W: -3, H: 5}} {
		b.Fill = white
		Draw(m, b)
	}
	for i, v := range m.Pix {
		if v != 0 && i%4 != 3 {
			t.Fatal("something was drawn")
		}
	}
	Draw(m, Box{X: -4, Y: -4, W: 100, H: 100, Fill: white})
	if at(m, 0, 0)[0] != 255 || at(m, 7, 7)[0] != 255 {
		t.Fatal("a box larger than the picture covers it")
	}
}

// TestFastPath: the columns that are filled without asking for their distance are those that it would fill.
func TestFastPath(t *testing.T) {
	for i := range 400 {
		f := func(k, n int) float32 { return float32((i*k)%n) * .37 }
		b := Box{X: f(7, 11), Y: f(5, 13), W: 4 + f(3, 60), H: 4 + f(11, 40), Radius: f(13, 20), Width: f(2, 7)}
		for y := range 40 {
			x0, x1 := b.inside(float32(y) + .5)
			for x := x0; x < x1; x++ {
				if d := b.distance(float32(x)+.5, float32(y)+.5); d > -.5-b.Width+1e-4 {
					t.Fatalf("%+v: (%d, %d) is at distance %g", b, x, y, d)
				}
			}
		}
	}
}
