package widgets

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
	"golang.org/x/image/draw"

	"unmask/ui/palette"
)

// Wipe shows two pictures of one place with a border that is dragged: the first left of it, the second right.
type Wipe struct {
	widget.BaseWidget
	before, after *image.NRGBA
	at            float32 // share of the width
	img           *image.NRGBA
	r             *wipeRenderer
}

var (
	_ fyne.Draggable     = (*Wipe)(nil)
	_ desktop.Cursorable = (*Wipe)(nil)
	_ fyne.Tappable      = (*Wipe)(nil)
)

// NewWipe makes a wipe of nothing, its border in the middle.
func NewWipe() *Wipe {
	w := &Wipe{at: .5}
	w.ExtendBaseWidget(w)
	return w
}

// Set shows two pictures; after is scaled to the size of before.
func (w *Wipe) Set(before, after image.Image) {
	w.before, w.after, w.img = nil, nil, nil
	if before != nil && after != nil {
		size := image.Rect(0, 0, before.Bounds().Dx(), before.Bounds().Dy())
		w.before, w.after, w.img = image.NewNRGBA(size), image.NewNRGBA(size), image.NewNRGBA(size)
		draw.Draw(w.before, size, before, before.Bounds().Min, draw.Src)
		draw.CatmullRom.Scale(w.after, size, after, after.Bounds(), draw.Src, nil)
	}
	w.SetAt(w.at)
}

// SetAt puts the border at a share of the width, in [0, 1].
func (w *Wipe) SetAt(at float32) {
	w.at = min(max(at, 0), 1)
	if w.img != nil {
		// A new picture each time: the old one may be on its way to the screen.
		size := w.before.Rect
		w.img = image.NewNRGBA(size)
		x := int(w.at * float32(size.Dx()))
		draw.Draw(w.img, image.Rect(0, 0, x, size.Dy()), w.before, image.Point{}, draw.Src)
		draw.Draw(w.img, image.Rect(x, 0, size.Dx(), size.Dy()), w.after, image.Pt(x, 0), draw.Src)
	}
	if w.r != nil {
		w.r.Refresh()
	}
}

// At is where the border is, as a share of the width.
func (w *Wipe) At() float32 { return w.at }

// Dragged implements [fyne.Draggable].
func (w *Wipe) Dragged(e *fyne.DragEvent) { w.SetAt(e.Position.X / max(w.Size().Width, 1)) }

// DragEnd implements [fyne.Draggable].
func (w *Wipe) DragEnd() {}

// Tapped implements [fyne.Tappable].
func (w *Wipe) Tapped(e *fyne.PointEvent) { w.SetAt(e.Position.X / max(w.Size().Width, 1)) }

// Cursor implements [desktop.Cursorable].
func (w *Wipe) Cursor() desktop.Cursor { return desktop.HResizeCursor }

// MinSize implements [fyne.Widget].
func (w *Wipe) MinSize() fyne.Size { return fyne.NewSquareSize(120) }

// CreateRenderer implements [fyne.Widget].
func (w *Wipe) CreateRenderer() fyne.WidgetRenderer {
	w.ExtendBaseWidget(w)
	r := &wipeRenderer{w: w, img: &canvas.Image{FillMode: canvas.ImageFillStretch, ScaleMode: canvas.ImageScaleFastest}}
	for i, c := range []color.Color{palette.Dark.Canvas, palette.Dark.LimeFill, palette.Dark.Canvas} {
		r.line[i] = canvas.NewRectangle(c)
	}
	r.knob = canvas.NewCircle(palette.Dark.LimeFill)
	r.knob.StrokeColor, r.knob.StrokeWidth = palette.Dark.Canvas, 1.5
	w.r = r
	r.Refresh()
	return r
}

type wipeRenderer struct {
	w    *Wipe
	img  *canvas.Image
	line [3]*canvas.Rectangle // dark, lime, dark: seen on any picture
	knob *canvas.Circle
}

func (r *wipeRenderer) Destroy()           {}
func (r *wipeRenderer) MinSize() fyne.Size { return r.w.MinSize() }
func (r *wipeRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.img, r.line[0], r.line[1], r.line[2], r.knob}
}

func (r *wipeRenderer) Layout(s fyne.Size) {
	place(r.img, 0, 0, s.Width, s.Height)
	x := r.w.at * s.Width
	place(r.line[0], x-2, 0, 1, s.Height)
	place(r.line[1], x-1, 0, 2, s.Height)
	place(r.line[2], x+1, 0, 1, s.Height)
	place(r.knob, x-8, s.Height/2-8, 16, 16)
}

func (r *wipeRenderer) Refresh() {
	if r.w.img == nil {
		r.img.Hidden = true
	} else {
		r.img.Hidden, r.img.Image = false, r.w.img
	}
	r.Layout(r.w.Size())
	r.img.Refresh()
	canvas.Refresh(r.w)
}
