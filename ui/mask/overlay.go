package mask

import (
	"image"
	"image/color"

	"unmask/engine"
)

// DefaultLook is the design's: darkened cells, lime dots 6 units apart, a lime line between dark ones.
func DefaultLook(scale float64) Look {
	return Look{
		Dim:   color.RGBA{0x0C, 0x0F, 0x13, 143}, // #151A21 at 56 %
		Dot:   color.RGBA{0xCB, 0xEA, 0x57, 255},
		Wash:  color.RGBA{0x18, 0x1C, 0x0A, 31}, // lime at 12 %
		Line:  color.RGBA{0xCB, 0xEA, 0x57, 255},
		Edge:  color.RGBA{0x0A, 0x0C, 0x10, 255},
		Grid:  color.RGBA{0, 0, 0, 52},
		Scale: scale,
		Cells: true,
	}
}

// Paint draws the mask m and its cells over a picture that fills dst, in dst's pixels, inside clip.
func Paint(dst *image.RGBA, m *Mask, cells []bool, g engine.Grid, l Look, clip image.Rectangle) {
	b := dst.Bounds()
	clip = clip.Intersect(b)
	if clip.Empty() || g.Cols < 1 || g.Rows < 1 {
		return
	}
	w, h := b.Dx(), b.Dy()
	step := max(int(6*l.Scale+.5), 2)
	dot := max(int(2*l.Scale+.5), 1)
	thin := max(int(l.Scale+.5), 1)
	for y := clip.Min.Y; y < clip.Max.Y; y++ {
		my := min(y*m.h/h, m.h-1)
		row := y * g.Rows / h
		edgeY := y < thin+(row*h+g.Rows-1)/g.Rows && row > 0
		for x := clip.Min.X; x < clip.Max.X; x++ {
			col := x * g.Cols / w
			var c color.RGBA
			if l.Cells && (edgeY || col > 0 && x < thin+(col*w+g.Cols-1)/g.Cols) {
				c = l.Grid
			}
			if l.Cells && cells != nil && cells[row*g.Cols+col] {
				c = over(l.Dim, c)
			}
			if m.pix[my*m.w+min(x*m.w/w, m.w-1)] >= 128 {
				if x%step < dot && y%step < dot {
					c = l.Dot
				} else {
					c = over(l.Wash, c)
				}
			}
			i := dst.PixOffset(x, y)
			dst.Pix[i], dst.Pix[i+1], dst.Pix[i+2], dst.Pix[i+3] = c.R, c.G, c.B, c.A
		}
	}
	if l.Cells && cells != nil {
		outline(dst, cells, g, l, clip)
	}
}

// over puts a over b, both premultiplied.
func over(a, b color.RGBA) color.RGBA {
	k := 255 - int(a.A)
	mix := func(x, y uint8) uint8 { return uint8(int(x) + (int(y)*k+127)/255) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), mix(a.A, b.A)}
}

// outline draws the border of the set cells: a lime line with a dark one on each side.
func outline(dst *image.RGBA, cells []bool, g engine.Grid, l Look, clip image.Rectangle) {
	w, h := dst.Bounds().Dx(), dst.Bounds().Dy()
	t := max(int(2*l.Scale+.5), 1)
	d := max(int(l.Scale+.5), 1)
	for _, pass := range []struct {
		c    color.RGBA
		grow int
	}{{l.Edge, d}, {l.Line, 0}} {
		for i := range cells {
			sides := Outline(cells, g.Cols, i)
			if sides == 0 {
				continue
			}
			x0, x1 := i%g.Cols*w/g.Cols, (i%g.Cols+1)*w/g.Cols
			y0, y1 := i/g.Cols*h/g.Rows, (i/g.Cols+1)*h/g.Rows
			k := t/2 + pass.grow
			for bit, r := range map[int]image.Rectangle{
				1: image.Rect(x0-k, y0-k, x0+k, y1+k), 2: image.Rect(x0-k, y0-k, x1+k, y0+k),
				4: image.Rect(x1-k, y0-k, x1+k, y1+k), 8: image.Rect(x0-k, y1-k, x1+k, y1+k),
			} {
				if sides&bit != 0 {
					fill(dst, r.Intersect(clip), pass.c)
				}
			}
		}
	}
}

func fill(dst *image.RGBA, r image.Rectangle, c color.RGBA) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			i := dst.PixOffset(x, y)
			dst.Pix[i], dst.Pix[i+1], dst.Pix[i+2], dst.Pix[i+3] = c.R, c.G, c.B, c.A
		}
	}
}
