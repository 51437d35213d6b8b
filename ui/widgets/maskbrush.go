package widgets

// size: one widget: gestures, tools and overlay share the stroke.

import (
	"image"
	"image/color"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/mask"
	"unmask/ui/palette"
	"unmask/ui/theme"
)

// Tool is what the pointer does on a [MaskBrush].
type Tool uint8

// The tools.
const (
	BrushTool Tool = iota
	EraserTool
	RectTool
	LassoTool
)

// MaskBrush paints an image mask over a picture. The mask lives in the picture's pixels; the cells of the token grid that
// will be re-imagined are shown while painting. The secondary button erases with every tool.
type MaskBrush struct {
	widget.BaseWidget
	Tool    Tool
	Radius  float64 // of brush and eraser, picture pixels
	Feather float64 // picture pixels
	// OnStroke is called at the end of an edit, and after undo and redo.
	OnStroke func()
	// OnCells is called while painting when the number of cells changes.
	OnCells func(n int)
	// OnKey gets letters and Delete ('\x7f') typed while the widget has the focus, OnShortcut its shortcuts, OnKeyName the
	// other keys.
	OnKey      func(r rune) bool
	OnKeyName  func(*fyne.KeyEvent)
	OnShortcut func(fyne.Shortcut)

	picture image.Image
	mask    *mask.Mask
	grid    engine.Grid
	cells   []bool
	count   int
	plain   bool // cells are not shown
	scale   float64

	drawing bool
	erase   bool
	last    fyne.Position
	from    mask.Point
	line    []mask.Point
	dirty   image.Rectangle // of the mask, since the overlay was painted
	focused bool
	r       *maskRenderer
}

var (
	_ desktop.Mouseable  = (*MaskBrush)(nil)
	_ desktop.Hoverable  = (*MaskBrush)(nil)
	_ desktop.Cursorable = (*MaskBrush)(nil)
	_ fyne.Draggable     = (*MaskBrush)(nil)
	_ fyne.Focusable     = (*MaskBrush)(nil)
	_ fyne.Shortcutable  = (*MaskBrush)(nil)
)

// NewMaskBrush makes a brush over no picture.
func NewMaskBrush() *MaskBrush {
	b := &MaskBrush{Radius: 24, mask: mask.New(1, 1), scale: 1}
	b.ExtendBaseWidget(b)
	return b
}

// SetPicture shows a picture with its mask; nil shows none. The grid says which cells follow from the mask.
func (b *MaskBrush) SetPicture(img image.Image, m *image.Alpha, g engine.Grid) {
	b.picture, b.grid, b.drawing, b.line = img, g, false, nil
	w, h := 1, 1
	if img != nil {
		w, h = img.Bounds().Dx(), img.Bounds().Dy()
	}
	b.mask = mask.From(m, w, h)
	b.recount(true)
	if b.r != nil {
		b.r.picture.Image = img
		b.r.picture.Hidden = img == nil
		b.r.picture.Refresh()
	}
	b.repaint(image.Rect(0, 0, w, h))
}

// Picture is the picture that is shown.
func (b *MaskBrush) Picture() image.Image { return b.picture }

// Mask is the mask, to be read; edits go through the widget.
func (b *MaskBrush) Mask() *mask.Mask { return b.mask }

// Cells is how many cells will be re-imagined.
func (b *MaskBrush) Cells() int { return b.count }

// SetScale sets the device pixels a unit, for dots and lines.
func (b *MaskBrush) SetScale(s float32) { b.scale = float64(s) }

// SetPlain hides the cells, or shows them.
func (b *MaskBrush) SetPlain(on bool) {
	if b.plain != on {
		b.plain = on
		b.all()
	}
}

// Invert, Clear, Undo and Redo change the whole mask.
func (b *MaskBrush) Invert() { b.edit(b.mask.Invert) }

// Clear keeps the whole picture.
func (b *MaskBrush) Clear() { b.edit(b.mask.Clear) }

// Undo takes back the last edit.
func (b *MaskBrush) Undo() {
	if b.mask.Undo() {
		b.changed()
	}
}

// Redo makes the last undone edit again.
func (b *MaskBrush) Redo() {
	if b.mask.Redo() {
		b.changed()
	}
}

func (b *MaskBrush) edit(f func()) {
	b.mask.Begin()
	f()
	if b.mask.End() {
		b.changed()
	}
}

func (b *MaskBrush) changed() {
	b.recount(true)
	b.all()
	if b.OnStroke != nil {
		b.OnStroke()
	}
}

func (b *MaskBrush) all() {
	w, h := b.mask.Size()
	b.repaint(image.Rect(0, 0, w, h))
}

// recount updates the cells under the dirty part, or all.
func (b *MaskBrush) recount(all bool) {
	if all || b.cells == nil {
		b.cells, _ = b.mask.Cells(b.grid)
	} else {
		b.mask.Covered(b.cells, b.grid, b.dirty)
	}
	if n := mask.Count(b.cells); n != b.count {
		b.count = n
		if b.OnCells != nil {
			b.OnCells(n)
		}
	}
}

// place is where a position on the widget lies in the picture.
func (b *MaskBrush) place(p fyne.Position) mask.Point {
	w, h := b.mask.Size()
	s := b.Size()
	return mask.Point{X: float64(p.X) / float64(max(s.Width, 1)) * float64(w), Y: float64(p.Y) / float64(max(s.Height, 1)) * float64(h)}
}

func (b *MaskBrush) brush() mask.Brush {
	return mask.Brush{Radius: b.Radius, Feather: b.Feather, Erase: b.erase || b.Tool == EraserTool}
}

// MouseDown implements [desktop.Mouseable].
func (b *MaskBrush) MouseDown(e *desktop.MouseEvent) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(b); c != nil {
		c.Focus(b)
	}
	if b.picture == nil {
		return
	}
	b.drawing, b.erase = true, e.Button == desktop.MouseButtonSecondary
	b.last, b.from = e.Position, b.place(e.Position)
	b.line = append(b.line[:0], b.from)
	b.mask.Begin()
}

// MouseUp implements [desktop.Mouseable].
func (b *MaskBrush) MouseUp(e *desktop.MouseEvent) {
	if b.drawing {
		b.moveTo(e.Position)
	}
	b.finish()
}

// Dragged implements [fyne.Draggable]: moves outside of the widget come this way.
func (b *MaskBrush) Dragged(e *fyne.DragEvent) { b.moveTo(e.Position) }

// DragEnd implements [fyne.Draggable].
func (b *MaskBrush) DragEnd() { b.finish() }

// MouseIn implements [desktop.Hoverable].
func (b *MaskBrush) MouseIn(e *desktop.MouseEvent) { b.ring(e.Position, true) }

// MouseMoved implements [desktop.Hoverable].
func (b *MaskBrush) MouseMoved(e *desktop.MouseEvent) {
	b.ring(e.Position, true)
	b.moveTo(e.Position)
}

// MouseOut implements [desktop.Hoverable].
func (b *MaskBrush) MouseOut() { b.ring(fyne.Position{}, false) }

// Cursor implements [desktop.Cursorable].
func (b *MaskBrush) Cursor() desktop.Cursor {
	if b.Tool == BrushTool || b.Tool == EraserTool {
		return desktop.HiddenCursor
	}
	return desktop.CrosshairCursor
}

func (b *MaskBrush) moveTo(p fyne.Position) {
	if !b.drawing {
		return
	}
	to := b.place(p)
	switch b.Tool {
	case RectTool:
		b.shape(p)
	case LassoTool:
		b.line = append(b.line, to)
		b.shape(p)
	default:
		b.dirty = b.dirty.Union(b.mask.Stroke(b.place(b.last), to, b.brush()))
		b.recount(false)
		b.repaint(b.dirty)
	}
	b.last = p
	b.ring(p, true)
}

// finish ends the edit under way. Both MouseUp and DragEnd call it.
func (b *MaskBrush) finish() {
	if !b.drawing {
		return
	}
	b.drawing = false
	to := b.place(b.last)
	erase := b.erase
	switch b.Tool {
	case RectTool:
		r := image.Rect(int(math.Round(b.from.X)), int(math.Round(b.from.Y)), int(math.Round(to.X)), int(math.Round(to.Y)))
		b.dirty = b.mask.Rect(r, erase)
	case LassoTool:
		b.dirty = b.mask.Lasso(b.line, erase)
	default:
		if len(b.line) == 1 {
			b.dirty = b.dirty.Union(b.mask.Stroke(b.from, to, b.brush()))
		}
	}
	b.line = b.line[:0]
	if b.r != nil {
		b.r.shape.Hide()
	}
	if b.mask.End() {
		b.recount(true)
		b.all()
		if b.OnStroke != nil {
			b.OnStroke()
		}
	}
}

// FocusGained implements [fyne.Focusable].
func (b *MaskBrush) FocusGained() { b.focused = true; b.frame() }

// FocusLost implements [fyne.Focusable].
func (b *MaskBrush) FocusLost() { b.focused = false; b.frame() }

// TypedRune implements [fyne.Focusable].
func (b *MaskBrush) TypedRune(r rune) {
	if b.OnKey != nil {
		b.OnKey(r)
	}
}

// TypedKey implements [fyne.Focusable].
func (b *MaskBrush) TypedKey(e *fyne.KeyEvent) {
	switch {
	case e.Name == fyne.KeyDelete && b.OnKey != nil:
		b.OnKey('\x7f')
	case b.OnKeyName != nil:
		b.OnKeyName(e)
	}
}

// TypedShortcut implements [fyne.Shortcutable].
func (b *MaskBrush) TypedShortcut(s fyne.Shortcut) {
	if b.OnShortcut != nil {
		b.OnShortcut(s)
	}
}

// MinSize implements [fyne.Widget].
func (b *MaskBrush) MinSize() fyne.Size { return fyne.NewSquareSize(160) }

// CreateRenderer implements [fyne.Widget].
func (b *MaskBrush) CreateRenderer() fyne.WidgetRenderer {
	b.ExtendBaseWidget(b)
	r := &maskRenderer{b: b, picture: &canvas.Image{FillMode: canvas.ImageFillStretch, ScaleMode: canvas.ImageScaleFastest, Image: b.picture}}
	r.picture.Hidden = b.picture == nil
	r.overlay = canvas.NewRaster(r.draw)
	r.overlay.ScaleMode = canvas.ImageScalePixels
	circle := func(c color.Color) *canvas.Circle {
		o := canvas.NewCircle(color.Transparent)
		o.StrokeColor, o.StrokeWidth, o.Hidden = c, 1.5, true
		return o
	}
	r.dark, r.white = circle(color.NRGBA{A: 200}), circle(color.White)
	r.shape = canvas.NewRectangle(color.Transparent)
	r.shape.Hidden = true
	r.frame = canvas.NewRectangle(color.Transparent)
	b.r = r
	return r
}

type maskRenderer struct {
	b           *MaskBrush
	picture     *canvas.Image
	overlay     *canvas.Raster
	dark, white *canvas.Circle // the cursor
	shape       *canvas.Rectangle
	frame       *canvas.Rectangle // focus
	img         *image.RGBA
	clip        image.Rectangle // of the mask, to be painted
}

func (r *maskRenderer) Destroy()           {}
func (r *maskRenderer) MinSize() fyne.Size { return r.b.MinSize() }
func (r *maskRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.picture, r.overlay, r.shape, r.dark, r.white, r.frame}
}

func (r *maskRenderer) Layout(s fyne.Size) {
	place(r.picture, 0, 0, s.Width, s.Height)
	place(r.overlay, 0, 0, s.Width, s.Height)
	place(r.frame, -2, -2, s.Width+4, s.Height+4)
	w, h := r.b.mask.Size()
	r.clip = image.Rect(0, 0, w, h)
}

func (r *maskRenderer) Refresh() {
	r.picture.Refresh()
	r.b.all()
	r.b.frame()
}

// draw gives the overlay at w by h device pixels; only what changed is painted again.
func (r *maskRenderer) draw(w, h int) image.Image {
	b := r.b
	w, h = min(max(w, 1), 2048), min(max(h, 1), 2048)
	mw, mh := b.mask.Size()
	if r.img == nil || r.img.Rect.Dx() != w || r.img.Rect.Dy() != h {
		r.img = image.NewRGBA(image.Rect(0, 0, w, h))
		r.clip = image.Rect(0, 0, mw, mh)
	}
	if b.picture == nil {
		clear(r.img.Pix)
		return r.img
	}
	look := mask.DefaultLook(max(b.scale, float64(w)/float64(max(b.Size().Width, 1))))
	look.Cells = !b.plain
	c := r.clip
	// Cells and their outline may change beyond the stroke.
	cell := max(mw/max(b.grid.Cols, 1), mh/max(b.grid.Rows, 1)) + 2
	c = image.Rect((c.Min.X-cell)*w/mw-4, (c.Min.Y-cell)*h/mh-4, (c.Max.X+cell)*w/mw+4, (c.Max.Y+cell)*h/mh+4)
	mask.Paint(r.img, b.mask, b.cells, b.grid, look, c)
	r.clip = image.Rectangle{}
	return r.img
}

// repaint paints a part of the mask again.
func (b *MaskBrush) repaint(part image.Rectangle) {
	b.dirty = image.Rectangle{}
	if b.r == nil {
		return
	}
	b.r.clip = b.r.clip.Union(part)
	b.r.overlay.Refresh()
}

// ring moves the cursor, whose size is that of the brush.
func (b *MaskBrush) ring(p fyne.Position, on bool) {
	if b.r == nil {
		return
	}
	on = on && b.picture != nil && (b.Tool == BrushTool || b.Tool == EraserTool)
	w, _ := b.mask.Size()
	d := float32(2*b.Radius) * b.Size().Width / float32(w)
	for i, c := range []*canvas.Circle{b.r.dark, b.r.white} {
		c.Hidden = !on
		k := d + 3 - float32(3*i)
		place(c, p.X-k/2, p.Y-k/2, k, k)
		c.Refresh()
	}
}

// shape shows the rectangle or the extent of the lasso being drawn.
func (b *MaskBrush) shape(p fyne.Position) {
	if b.r == nil {
		return
	}
	s := b.Size()
	w, h := b.mask.Size()
	at := func(q mask.Point) fyne.Position {
		return fyne.NewPos(float32(q.X)/float32(w)*s.Width, float32(q.Y)/float32(h)*s.Height)
	}
	x0, y0, x1, y1 := p.X, p.Y, p.X, p.Y
	for _, q := range append(b.line, b.from) {
		a := at(q)
		x0, y0, x1, y1 = min(x0, a.X), min(y0, a.Y), max(x1, a.X), max(y1, a.Y)
	}
	r := b.r.shape
	r.StrokeColor, r.StrokeWidth = theme.Current().LimeFill, 1.5
	r.FillColor = palette.Alpha(theme.Current().LimeFill, .12)
	r.Hidden = false
	place(r, x0, y0, x1-x0, y1-y0)
	r.Refresh()
}

func (b *MaskBrush) frame() {
	if b.r == nil {
		return
	}
	b.r.frame.StrokeWidth, b.r.frame.StrokeColor = 2, color.Transparent
	if b.focused {
		b.r.frame.StrokeColor = palette.Alpha(theme.Current().LimeInk, .6)
	}
	b.r.frame.Refresh()
}
