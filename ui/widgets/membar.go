package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/theme"
)

// MemBar is a bar of memory: parts that are taken, of a whole. A whole of 0 is unknown and shows no bar.
type MemBar struct {
	widget.BaseWidget
	parts [2]int64 // weights, work beside them
	whole int64
	yours bool // lime: it is what is chosen
	high  float32
}

// NewMemBar makes an empty bar of a height.
func NewMemBar(high float32) *MemBar {
	m := &MemBar{high: high}
	m.ExtendBaseWidget(m)
	return m
}

// Set shows bytes of weights and of work beside them, out of whole. More than the whole is shown as an error. Equal values
// cost nothing.
func (m *MemBar) Set(weights, work, whole int64, yours bool) {
	if m.parts == [2]int64{weights, work} && m.whole == whole && m.yours == yours {
		return
	}
	m.parts, m.whole, m.yours = [2]int64{weights, work}, whole, yours
	m.Refresh()
}

// MinSize implements [fyne.Widget].
func (m *MemBar) MinSize() fyne.Size { return fyne.NewSize(60, m.high) }

// CreateRenderer implements [fyne.Widget].
func (m *MemBar) CreateRenderer() fyne.WidgetRenderer {
	m.ExtendBaseWidget(m)
	r := &memBarRenderer{m: m, back: canvas.NewRectangle(color.Transparent), weights: canvas.NewRectangle(color.Transparent), work: canvas.NewRectangle(color.Transparent)}
	r.Refresh()
	return r
}

type memBarRenderer struct {
	m                   *MemBar
	back, weights, work *canvas.Rectangle
}

func (r *memBarRenderer) Destroy()           {}
func (r *memBarRenderer) MinSize() fyne.Size { return r.m.MinSize() }
func (r *memBarRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.work, r.weights}
}

func (r *memBarRenderer) Layout(s fyne.Size) {
	m := r.m
	y := (s.Height - m.high) / 2
	place(r.back, 0, y, s.Width, m.high)
	share := func(n int64) float32 {
		if m.whole <= 0 || n <= 0 {
			return 0
		}
		return min(max(float32(float64(n)/float64(m.whole))*s.Width, 2), s.Width)
	}
	place(r.weights, 0, y, share(m.parts[0]), m.high)
	place(r.work, 0, y, share(m.parts[0]+m.parts[1]), m.high)
}

func (r *memBarRenderer) Refresh() {
	m, p := r.m, theme.Current()
	radius := min(m.high/2, 3)
	for _, b := range []*canvas.Rectangle{r.back, r.weights, r.work} {
		b.CornerRadius = radius
	}
	r.back.FillColor, r.weights.FillColor, r.work.FillColor = p.Mask, p.Text2, p.Border
	if m.yours {
		r.weights.FillColor, r.work.FillColor = p.LimeInk, fynetheme.ColorForWidget(fynetheme.ColorNamePrimary, m)
		c := p.LimeInk
		c.A = 120
		r.work.FillColor = c
	}
	if m.parts[0]+m.parts[1] > m.whole {
		e := fynetheme.ColorForWidget(fynetheme.ColorNameError, m)
		r.weights.FillColor, r.work.FillColor = e, e
	}
	r.back.Hidden = m.whole <= 0
	r.weights.Hidden, r.work.Hidden = r.back.Hidden, r.back.Hidden
	r.Layout(m.Size())
	canvas.Refresh(m)
}
