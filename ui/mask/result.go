package mask

import (
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// Merge is the picture after a result was accepted: before outside of the mask, after inside, mixed where the mask is
// neither. It has the size of before; after is scaled to it.
func Merge(before, after image.Image, m *image.Alpha) *image.NRGBA {
	b := before.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(out, out.Bounds(), before, b.Min, draw.Src)
	big := image.NewNRGBA(out.Bounds())
	draw.CatmullRom.Scale(big, big.Bounds(), after, after.Bounds(), draw.Src, nil)
	for y := range b.Dy() {
		for x := range b.Dx() {
			a := int(m.AlphaAt(m.Rect.Min.X+x, m.Rect.Min.Y+y).A)
			if a == 0 {
				continue
			}
			i := out.PixOffset(x, y)
			for k := range 4 {
				out.Pix[i+k] = uint8((int(out.Pix[i+k])*(255-a) + int(big.Pix[i+k])*a + 127) / 255)
			}
		}
	}
	return out
}

// Crop cuts the middle of a picture to the aspect of w by h, so that the engine, which sees pictures of that aspect,
// changes nothing but their size.
func Crop(img image.Image, w, h int) image.Image {
	b := img.Bounds()
	if w < 1 || h < 1 || b.Dx()*h == b.Dy()*w {
		return img
	}
	cw, ch := b.Dx(), b.Dx()*h/w
	if ch > b.Dy() {
		cw, ch = b.Dy()*w/h, b.Dy()
	}
	cw, ch = max(cw, 1), max(ch, 1)
	x, y := b.Min.X+(b.Dx()-cw)/2, b.Min.Y+(b.Dy()-ch)/2
	out := image.NewNRGBA(image.Rect(0, 0, cw, ch))
	draw.Draw(out, out.Bounds(), img, image.Pt(x, y), draw.Src)
	return out
}

// Outline says on which sides a set cell borders on one that is not: bits 1 left, 2 top, 4 right, 8 bottom.
func Outline(cells []bool, cols, i int) (sides int) {
	if !cells[i] {
		return 0
	}
	rows := len(cells) / cols
	x, y := i%cols, i/cols
	if x == 0 || !cells[i-1] {
		sides |= 1
	}
	if y == 0 || !cells[i-cols] {
		sides |= 2
	}
	if x == cols-1 || !cells[i+1] {
		sides |= 4
	}
	if y == rows-1 || !cells[i+cols] {
		sides |= 8
	}
	return sides
}

// Look is how an [Overlay] is drawn. Colours are premultiplied.
type Look struct {
	Dim, Dot, Wash, Line, Edge, Grid color.RGBA
	Scale                            float64 // device pixels a unit
	Cells                            bool    // dim and outline the cells that will be re-imagined
}
