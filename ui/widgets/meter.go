package widgets

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/figures"
	"unmask/ui/paint"
	"unmask/ui/theme"
)

// Meter is progress: a thin lime bar with two short texts below it.
type Meter struct {
	widget.BaseWidget
	done        float32
	left, right string
}

// NewMeter makes an empty meter.
func NewMeter() *Meter {
	m := &Meter{}
	m.ExtendBaseWidget(m)
	return m
}

// Set shows the share done in [0, 1] and the texts below the bar. Equal values cost nothing.
func (m *Meter) Set(done float32, left, right string) {
	done = min(max(done, 0), 1)
	if m.done == done && m.left == left && m.right == right {
		return
	}
	m.done, m.left, m.right = done, left, right
	m.Refresh()
}

// MinSize implements [fyne.Widget].
func (m *Meter) MinSize() fyne.Size { return fyne.NewSize(120, 24) }

// CreateRenderer implements [fyne.Widget].
func (m *Meter) CreateRenderer() fyne.WidgetRenderer {
	m.ExtendBaseWidget(m)
	s := textStyle{size: theme.TextCaption, mono: true}
	r := &meterRenderer{m: m, back: canvas.NewRectangle(color.Transparent), bar: canvas.NewRectangle(color.Transparent), left: newText(s), right: newText(s)}
	r.Refresh()
	return r
}

type meterRenderer struct {
	m           *Meter
	back, bar   *canvas.Rectangle
	left, right *canvas.Text
}

func (r *meterRenderer) Destroy() {}

func (r *meterRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.bar, r.left, r.right}
}

func (r *meterRenderer) MinSize() fyne.Size { return r.m.MinSize() }

func (r *meterRenderer) Layout(s fyne.Size) {
	place(r.back, 0, 0, s.Width, 4)
	place(r.bar, 0, 0, s.Width*r.m.done, 4)
	place(r.left, 0, 8, s.Width/2, 14)
	w := fyne.MeasureText(r.right.Text, r.right.TextSize, r.right.TextStyle).Width
	place(r.right, s.Width-w, 8, w, 14)
}

func (r *meterRenderer) Refresh() {
	p := theme.Current()
	r.back.FillColor, r.back.CornerRadius = p.Mask, 2
	r.bar.FillColor, r.bar.CornerRadius = p.LimeInk, 2
	setText(r.left, r.m.left, p.Text2)
	setText(r.right, r.m.right, p.Text2)
	r.Layout(r.m.Size())
	canvas.Refresh(r.m)
}

// Legend is the confidence ramp with its numbers.
type Legend struct {
	widget.BaseWidget
}

// NewLegend makes the legend of the confidence ramp.
func NewLegend() *Legend {
	l := &Legend{}
	l.ExtendBaseWidget(l)
	return l
}

// MinSize implements [fyne.Widget].
func (l *Legend) MinSize() fyne.Size { return fyne.NewSize(160, 24) }

// CreateRenderer implements [fyne.Widget].
func (l *Legend) CreateRenderer() fyne.WidgetRenderer {
	l.ExtendBaseWidget(l)
	r := &legendRenderer{l: l}
	r.ramp = newDrawing(func(dst *image.RGBA, scale float32) {
		w := float32(dst.Rect.Dx()) / scale
		for i, c := range theme.Current().Fill {
			paint.Draw(dst, rect(w*float32(i)/16, 0, w*float32(i+1)/16, 8, scale, c))
		}
	})
	for _, at := range []struct {
		step int
		p    float32
	}{{0, 0}, {8, .5}, {12, .88}, {16, 1}} {
		t := newText(textStyle{size: theme.TextCaption, mono: true})
		t.Text = figures.Prob(at.p)
		if at.step == 0 {
			t.Text = "0"
		}
		r.texts, r.steps = append(r.texts, t), append(r.steps, at.step)
	}
	r.Refresh()
	return r
}

type legendRenderer struct {
	l     *Legend
	ramp  *drawing
	texts []*canvas.Text
	steps []int
}

func (r *legendRenderer) Destroy() {}

func (r *legendRenderer) Objects() []fyne.CanvasObject {
	o := []fyne.CanvasObject{r.ramp.Raster}
	for _, t := range r.texts {
		o = append(o, t)
	}
	return o
}

func (r *legendRenderer) MinSize() fyne.Size { return r.l.MinSize() }

func (r *legendRenderer) Layout(s fyne.Size) {
	place(r.ramp.Raster, 0, 0, s.Width, 8)
	for i, t := range r.texts {
		m := fyne.MeasureText(t.Text, t.TextSize, t.TextStyle)
		x := s.Width*float32(r.steps[i])/16 - m.Width/2
		place(t, min(max(x, 0), s.Width-m.Width), 10, m.Width, m.Height)
	}
}

func (r *legendRenderer) Refresh() {
	for _, t := range r.texts {
		t.Color = theme.Current().Text2
	}
	r.ramp.Refresh()
	canvas.Refresh(r.l)
}
