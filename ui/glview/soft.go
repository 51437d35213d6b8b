package glview

import (
	"fmt"
	"image"
	"image/draw"

	"unmask/ui/paint"
)

// Soft draws frames on the CPU, exactly: the reference of the GL renderer and its stand-in where there is no GL.
type Soft struct{}

// NewSoft makes a software renderer. It cannot fail.
func NewSoft() *Soft { return &Soft{} }

// Info implements [Renderer].
func (*Soft) Info() string { return "software" }

// Close implements [Renderer].
func (*Soft) Close() error { return nil }

// Draw implements [Renderer].
func (*Soft) Draw(f *Frame, dst *image.RGBA) error {
	if dst.Rect.Dx() != f.W || dst.Rect.Dy() != f.H || dst.Rect.Min != (image.Point{}) {
		return fmt.Errorf("software renderer: frame of %d by %d pixels into a picture of %v", f.W, f.H, dst.Rect)
	}
	paint.Fill(dst, f.Back)
	for i := range f.Below {
		paint.Draw(dst, f.Below[i])
	}
	for _, p := range f.Pictures {
		draw.Draw(dst, p.Image.Rect.Add(image.Pt(p.X, p.Y)), p.Image, p.Image.Rect.Min, draw.Src)
	}
	for i := range f.Boxes {
		paint.Draw(dst, f.Boxes[i])
	}
	for i := range f.Layers {
		l := &f.Layers[i]
		for k := range l.Words {
			word(dst, l.Atlas.Mask, &l.Words[k])
		}
	}
	for i := range f.Over {
		paint.Draw(dst, f.Over[i])
	}
	return nil
}

// word blends the colour of w over dst by the coverage in the atlas.
func word(dst *image.RGBA, atlas *image.Alpha, w *Word) {
	r := image.Rect(w.X, w.Y, w.X+w.Place.Dx(), w.Y+w.Place.Dy()).Intersect(dst.Rect)
	a := float32(w.Color.A) / 255
	c := [3]float32{float32(w.Color.R), float32(w.Color.G), float32(w.Color.B)}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		src := atlas.Pix[atlas.PixOffset(w.Place.Min.X+r.Min.X-w.X, w.Place.Min.Y+y-w.Y):]
		row := dst.Pix[dst.PixOffset(r.Min.X, y):]
		for x := range r.Dx() {
			cov := float32(src[x]) / 255 * a
			if cov == 0 {
				continue
			}
			p := row[4*x : 4*x+4 : 4*x+4]
			for i := range 3 {
				p[i] = uint8(c[i]*cov + float32(p[i])*(1-cov) + .5)
			}
			p[3] = uint8(255*cov + float32(p[3])*(1-cov) + .5)
		}
	}
}
