package widgets

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"unmask/ui/paint"
)

// drawing is a canvas.Raster drawn with paint. Its draw function gets a cleared picture and the pixels a unit.
type drawing struct {
	*canvas.Raster
	img *image.RGBA
}

func newDrawing(draw func(dst *image.RGBA, scale float32)) *drawing {
	d := &drawing{}
	d.Raster = canvas.NewRaster(func(w, h int) image.Image {
		if d.img == nil || d.img.Rect.Dx() != w || d.img.Rect.Dy() != h {
			d.img = image.NewRGBA(image.Rect(0, 0, max(w, 1), max(h, 1)))
		}
		clear(d.img.Pix)
		scale := float32(1)
		if s := d.Raster.Size(); s.Width > 0 {
			scale = float32(w) / s.Width
		}
		draw(d.img, scale)
		return d.img
	})
	d.Raster.ScaleMode = canvas.ImageScalePixels
	return d
}

// rect is a box in units, snapped to whole pixels at scale.
func rect(x0, y0, x1, y1, scale float32, fill color.NRGBA) paint.Box {
	px := func(v float32) float32 { return float32(int(v*scale + .5)) }
	b := paint.Box{X: px(x0), Y: px(y0), Fill: fill}
	b.W, b.H = max(px(x1)-b.X, 1), max(px(y1)-b.Y, 1)
	return b
}

// textStyle bundles what a canvas.Text needs.
type textStyle struct {
	size       float32
	mono, bold bool
}

func newText(s textStyle) *canvas.Text {
	t := canvas.NewText("", color.Transparent)
	t.TextSize = s.size
	t.TextStyle = fyne.TextStyle{Monospace: s.mono, Bold: s.bold}
	return t
}

// setText changes what t shows and reports whether anything changed; nothing is repainted.
func setText(t *canvas.Text, text string, c color.Color) bool {
	if t.Text == text && t.Color == c {
		return false
	}
	t.Text, t.Color = text, c
	return true
}

// place moves and sizes o, and reports whether it moved.
func place(o fyne.CanvasObject, x, y, w, h float32) bool {
	p, s := fyne.NewPos(x, y), fyne.NewSize(w, h)
	if o.Position() == p && o.Size() == s {
		return false
	}
	o.Move(p)
	o.Resize(s)
	return true
}
