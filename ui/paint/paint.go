// Package paint draws the few shapes that everything of ours is made of into pixels: boxes with round corners and a line,
// and two triangles. Shaders draw the same shapes by the same formulas; the code here is their exact reference.
package paint

import (
	"image"
	"image/color"
	"math"
)

// Shape is the outline of a [Box].
type Shape uint8

// The shapes. Their numbers are used by the shader box.frag.
const (
	Rounded Shape = iota // rectangle with corners of Radius
	Corner               // right triangle in the upper right half of a square
	Down                 // triangle standing on its tip
)

// Box is a filled shape with an optional line inside its edge. Lengths are pixels; edges between pixels are blended.
type Box struct {
	X, Y, W, H float32
	Radius     float32 // of Rounded; at most half the shorter side counts
	Fill       color.NRGBA
	Line       color.NRGBA
	Width      float32 // of the line; 0: none
	Shape      Shape
}

// distance is how far the point (x, y) is outside b's outline, negative inside.
func (b *Box) distance(x, y float32) float32 {
	px, py := x-(b.X+b.W/2), y-(b.Y+b.H/2)
	r := float32(0)
	if b.Shape == Rounded {
		r = min(b.Radius, b.W/2, b.H/2)
	}
	qx, qy := abs(px)-b.W/2+r, abs(py)-b.H/2+r
	d := min(max(qx, qy), 0) - r
	if mx, my := max(qx, 0), max(qy, 0); mx > 0 || my > 0 {
		d += float32(math.Sqrt(float64(mx*mx + my*my)))
	}
	switch b.Shape {
	case Corner:
		d = max(d, (py-px)*math.Sqrt2/2)
	case Down:
		// Edge from the upper corner (W/2, -H/2) to the tip (0, H/2).
		n := float32(math.Sqrt(float64(b.H*b.H + b.W*b.W/4)))
		d = max(d, ((abs(px)-b.W/2)*b.H+(py+b.H/2)*b.W/2)/n)
	}
	return d
}

// Draw draws b over dst, which holds premultiplied pixels. What lies outside dst is left out.
func Draw(dst *image.RGBA, b Box) {
	if b.W <= 0 || b.H <= 0 || b.Fill.A == 0 && (b.Line.A == 0 || b.Width <= 0) {
		return
	}
	r := dst.Rect
	x0, y0 := max(floor(b.X-1), r.Min.X), max(floor(b.Y-1), r.Min.Y)
	x1, y1 := min(floor(b.X+b.W+1)+1, r.Max.X), min(floor(b.Y+b.H+1)+1, r.Max.Y)
	fill, line := premultiply(b.Fill), premultiply(b.Line)
	lined := b.Width > 0 && b.Line.A > 0
	var solid [4]uint8 // of a pixel that the fill covers wholly, where it is opaque
	for i := range solid {
		solid[i] = uint8(fill[i]*255 + .5)
	}
	for y := y0; y < y1; y++ {
		in0, in1 := b.inside(float32(y) + .5)
		at := dst.PixOffset(x0, y)
		for x := x0; x < x1; x, at = x+1, at+4 {
			pix := dst.Pix[at : at+4 : at+4]
			if x >= in0 && x < in1 {
				if b.Fill.A == 255 {
					copy(pix, solid[:])
					continue
				}
				if b.Fill.A == 0 {
					continue
				}
				keep := 1 - fill[3]
				for i := range 4 {
					pix[i] = uint8(fill[i]*255 + float32(pix[i])*keep + .5)
				}
				continue
			}
			d := b.distance(float32(x)+.5, float32(y)+.5)
			outer := clamp(.5 - d)
			if outer == 0 {
				continue
			}
			inner, edge := outer, float32(0)
			if lined {
				inner = clamp(.5 - d - b.Width)
				edge = outer - inner
			}
			keep := 1 - (fill[3]*inner + line[3]*edge)
			for i := range 4 {
				pix[i] = uint8((fill[i]*inner+line[i]*edge)*255 + float32(pix[i])*keep + .5)
			}
		}
	}
}

// inside are pixel columns [x0, x1) whose middles, in the row with its middle at y, are inside the line of a rounded box by
// half a pixel at least, so that the fill covers them wholly. It may name fewer than there are, and none for triangles.
func (b *Box) inside(y float32) (x0, x1 int) {
	m := b.Width + .5
	if b.Shape != Rounded || y < b.Y+m || y > b.Y+b.H-m {
		return 0, 0
	}
	if r := min(b.Radius, b.W/2, b.H/2); y < b.Y+r || y > b.Y+b.H-r {
		m = max(m, r)
	}
	return int(math.Ceil(float64(b.X + m - .5))), floor(b.X+b.W-m-.5) + 1
}

// Fill makes every pixel of dst c.
func Fill(dst *image.RGBA, c color.NRGBA) {
	p := premultiply(c)
	var px [4]uint8
	for i := range px {
		px[i] = uint8(p[i]*255 + .5)
	}
	for y := dst.Rect.Min.Y; y < dst.Rect.Max.Y; y++ {
		row := dst.Pix[dst.PixOffset(dst.Rect.Min.X, y):][: dst.Rect.Dx()*4 : dst.Rect.Dx()*4]
		for i := 0; i < len(row); i += 4 {
			copy(row[i:i+4], px[:])
		}
	}
}

// Marks are the four corner marks of a remasked box: eight boxes of thickness t and arm a, in colour c.
func Marks(x, y, w, h, a, t float32, c color.NRGBA) [8]Box {
	at := func(x, y, w, h float32) Box { return Box{X: x, Y: y, W: w, H: h, Fill: c} }
	return [8]Box{
		at(x, y, a, t), at(x+w-a, y, a, t), at(x, y+h-t, a, t), at(x+w-a, y+h-t, a, t),
		at(x, y+t, t, a-t), at(x+w-t, y+t, t, a-t), at(x, y+h-a, t, a-t), at(x+w-t, y+h-a, t, a-t),
	}
}

func premultiply(c color.NRGBA) [4]float32 {
	a := float32(c.A) / 255
	return [4]float32{float32(c.R) / 255 * a, float32(c.G) / 255 * a, float32(c.B) / 255 * a, a}
}

func clamp(v float32) float32 { return min(max(v, 0), 1) }

func abs(v float32) float32 { return max(v, -v) }

func floor(v float32) int { return int(math.Floor(float64(v))) }
