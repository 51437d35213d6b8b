package widgets

import (
	"image"
	"image/color"
	"math"
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/run"
	"unmask/ui/theme"
)

// Heatmap shows when each position was unmasked, and how surely: steps to the right, positions down.
type Heatmap struct {
	widget.BaseWidget
	OnSeek  func(step int)           // dragged or tapped
	OnHover func(step, position int) // step 0: the pointer left
	Axis    bool                     // numbers of positions on the left; set before the first use
	// Left and Right are kept free beside the map, so that its steps can stand above those of a time line. Left holds the
	// axis when there is one.
	Left, Right float32

	run     *run.Run
	step    int
	version int
	heat    heat
	view    *heatmapRenderer
	focused bool
	cursor  int // position under the keyboard
}

var (
	_ fyne.Focusable    = (*Heatmap)(nil)
	_ fyne.Tappable     = (*Heatmap)(nil)
	_ fyne.Draggable    = (*Heatmap)(nil)
	_ desktop.Hoverable = (*Heatmap)(nil)
)

// axisWidth is the room for numbers of positions.
const axisWidth = 34

// NewHeatmap makes an empty map.
func NewHeatmap(axis bool) *Heatmap {
	h := &Heatmap{Axis: axis}
	if axis {
		h.Left = axisWidth
	}
	h.ExtendBaseWidget(h)
	return h
}

// SetRun shows another run; nil shows none.
func (h *Heatmap) SetRun(r *run.Run) {
	h.run, h.heat, h.version = r, heat{}, -1
	h.step, h.cursor = 0, 0
	if r != nil {
		h.step = r.Len()
		if r.Started() != nil {
			h.cursor = r.Started().Answer.Lo
		}
	}
	h.Refresh()
}

// SetStep moves the play head; nothing else is painted again.
func (h *Heatmap) SetStep(n int) {
	if h.step == n {
		return
	}
	h.step = n
	if h.view != nil {
		h.view.moveHead()
	}
}

// Update paints what was added to the run.
func (h *Heatmap) Update() {
	if h.run != nil && h.run.Version() != h.version {
		h.Refresh()
	}
}

// paint returns the picture of w by h pixels, with new columns added.
func (h *Heatmap) paint(w, ht int, scale float32) image.Image {
	if h.run == nil || h.run.Started() == nil || w < 1 || ht < 1 {
		return image.NewRGBA(image.Rect(0, 0, 1, 1))
	}
	p := theme.Current()
	m := &h.heat
	if m.img == nil || m.run != h.run || m.pal != p || m.img.Rect.Dx() != w || m.img.Rect.Dy() != ht || m.steps != h.run.Planned() {
		m.begin(h.run, p, w, ht, int(8*scale))
	}
	m.update()
	h.version = h.run.Version()
	return m.img
}

func (h *Heatmap) at(pos fyne.Position) (step, position int) {
	if h.run == nil || h.view == nil || h.heat.img == nil {
		return 0, -1
	}
	o, s := h.view.raster.Position(), h.view.raster.Size()
	x, y := pos.X-o.X, pos.Y-o.Y
	if x < 0 || x >= s.Width || y < 0 || y >= s.Height {
		return 0, -1
	}
	step = int(x/s.Width*float32(h.run.Planned())) + 1
	if step > h.run.Len() {
		step = 0
	}
	return step, h.heat.position(int(y / s.Height * float32(h.heat.img.Rect.Dy())))
}

func (h *Heatmap) seek(pos fyne.Position) {
	if h.OnSeek == nil || h.run == nil || h.view == nil {
		return
	}
	o, s := h.view.raster.Position(), h.view.raster.Size()
	n := int(math.Round(float64((pos.X - o.X) / max(s.Width, 1) * float32(h.run.Planned()))))
	h.OnSeek(min(max(n, 0), h.run.Len()))
}

// Tapped implements [fyne.Tappable].
func (h *Heatmap) Tapped(e *fyne.PointEvent) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(h); c != nil {
		c.Focus(h)
	}
	if _, p := h.at(e.Position); p >= 0 {
		h.cursor = p
	}
	h.seek(e.Position)
}

// FocusGained implements [fyne.Focusable].
func (h *Heatmap) FocusGained() { h.focused = true; h.Refresh() }

// FocusLost implements [fyne.Focusable].
func (h *Heatmap) FocusLost() { h.focused = false; h.Refresh() }

// TypedRune implements [fyne.Focusable].
func (h *Heatmap) TypedRune(rune) {}

// TypedKey implements [fyne.Focusable]: left and right go through the steps, up and down through the positions; OnHover
// tells of both.
func (h *Heatmap) TypedKey(e *fyne.KeyEvent) {
	if h.run == nil || h.run.Started() == nil {
		return
	}
	by := 1
	if shifted() {
		by = 10
	}
	step, answer := h.step, h.run.Started().Answer
	switch e.Name {
	case fyne.KeyLeft:
		step -= by
	case fyne.KeyRight:
		step += by
	case fyne.KeyHome:
		step = 0
	case fyne.KeyEnd:
		step = h.run.Len()
	case fyne.KeyUp:
		h.cursor -= by
	case fyne.KeyDown:
		h.cursor += by
	default:
		return
	}
	h.cursor = min(max(h.cursor, answer.Lo), max(answer.Hi-1, answer.Lo))
	if step = min(max(step, 0), h.run.Len()); step != h.step && h.OnSeek != nil {
		h.OnSeek(step)
	}
	if h.OnHover != nil {
		h.OnHover(step, h.cursor)
	}
	h.Refresh()
}

// Dragged implements [fyne.Draggable].
func (h *Heatmap) Dragged(e *fyne.DragEvent) { h.seek(e.Position) }

// DragEnd implements [fyne.Draggable].
func (h *Heatmap) DragEnd() {}

// MouseIn implements [desktop.Hoverable].
func (h *Heatmap) MouseIn(e *desktop.MouseEvent) { h.MouseMoved(e) }

// MouseMoved implements [desktop.Hoverable].
func (h *Heatmap) MouseMoved(e *desktop.MouseEvent) {
	if h.OnHover != nil {
		h.OnHover(h.at(e.Position))
	}
}

// MouseOut implements [desktop.Hoverable].
func (h *Heatmap) MouseOut() {
	if h.OnHover != nil {
		h.OnHover(0, -1)
	}
}

// MinSize implements [fyne.Widget].
func (h *Heatmap) MinSize() fyne.Size { return fyne.NewSize(120, 64) }

// CreateRenderer implements [fyne.Widget].
func (h *Heatmap) CreateRenderer() fyne.WidgetRenderer {
	h.ExtendBaseWidget(h)
	r := &heatmapRenderer{h: h, head: canvas.NewRectangle(color.Transparent), row: canvas.NewRectangle(color.Transparent)}
	r.raster = canvas.NewRaster(func(w, ht int) image.Image {
		scale := float32(1)
		if s := r.raster.Size(); s.Width > 0 {
			scale = float32(w) / s.Width
		}
		return h.paint(w, ht, scale)
	})
	r.raster.ScaleMode = canvas.ImageScalePixels
	h.view = r
	r.Refresh()
	return r
}

type heatmapRenderer struct {
	h       *Heatmap
	raster  *canvas.Raster
	head    *canvas.Rectangle
	row     *canvas.Rectangle // of the keyboard
	lines   []*canvas.Rectangle
	labels  []*canvas.Text
	objects []fyne.CanvasObject
}

func (r *heatmapRenderer) Destroy() {}

func (r *heatmapRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *heatmapRenderer) MinSize() fyne.Size { return r.h.MinSize() }

func (r *heatmapRenderer) Layout(s fyne.Size) {
	h := r.h
	place(r.raster, h.Left, 0, max(s.Width-h.Left-h.Right, 1), s.Height)
	r.layoutEdges(s)
	r.placeHead()
	r.row.Hide()
	if y := h.heat.row(h.cursor); h.focused && h.heat.img != nil && y >= 0 {
		r.row.FillColor = theme.Current().LimeInk
		r.row.Show()
		place(r.row, h.Left, float32(y)/float32(max(h.heat.img.Rect.Dy(), 1))*s.Height, max(s.Width-h.Left-h.Right, 1), 1)
	}
}

// layoutEdges draws a line and a number at each block's first position.
func (r *heatmapRenderer) layoutEdges(s fyne.Size) {
	h := r.h
	for i := range r.lines {
		r.lines[i].Hide()
		r.labels[i].Hide()
	}
	if h.run == nil || h.run.Started() == nil {
		return
	}
	st := h.run.At(0)
	// Lines stand by the same shares as the painted bands, in units.
	m := heat{bands: bands(&st, int(s.Height), 8)}
	block := h.run.Started().Job.Options.Block
	k := 0
	for at := st.Answer.Lo; at < st.Answer.Hi && k < 32; at += max(block, 1) {
		y := m.row(at)
		if y < 0 {
			break
		}
		if k >= len(r.lines) {
			r.lines = append(r.lines, canvas.NewRectangle(color.Transparent))
			r.labels = append(r.labels, newText(textStyle{size: theme.TextCaption, mono: true}))
			r.objects = append(r.objects, r.lines[k], r.labels[k])
		}
		l, t := r.lines[k], r.labels[k]
		l.FillColor = theme.Current().Line
		if at > st.Answer.Lo {
			l.Show()
			place(l, h.Left, float32(y), s.Width-h.Left-h.Right, 1)
		}
		if h.Axis {
			setText(t, strconv.Itoa(at-st.Answer.Lo), theme.Current().Text2)
			w := fyne.MeasureText(t.Text, t.TextSize, t.TextStyle)
			t.Show()
			place(t, h.Left-w.Width-6, min(max(float32(y)-w.Height/2, 0), s.Height-w.Height), w.Width, w.Height)
		}
		k++
		if block <= 0 {
			break
		}
	}
}

func (r *heatmapRenderer) placeHead() bool {
	h := r.h
	if h.run == nil || h.run.Started() == nil {
		r.head.Hide()
		return true
	}
	r.head.Show()
	o, s := r.raster.Position(), r.raster.Size()
	x := o.X + track{s.Width, h.run.Planned()}.x(h.step)
	return place(r.head, min(max(x-1, o.X), o.X+s.Width-2), 0, 2, s.Height)
}

func (r *heatmapRenderer) moveHead() {
	if r.placeHead() {
		canvas.Refresh(r.head)
	}
}

func (r *heatmapRenderer) Refresh() {
	p := theme.Current()
	r.head.FillColor = p.LimeInk
	r.objects = append(r.objects[:0], r.raster)
	for i := range r.lines {
		r.objects = append(r.objects, r.lines[i], r.labels[i])
	}
	r.Layout(r.h.Size())
	r.objects = append(r.objects, r.head, r.row)
	r.raster.Refresh()
	canvas.Refresh(r.h)
}
