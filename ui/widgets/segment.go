package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/palette"
	"unmask/ui/theme"
)

// Segment switches between a few views: one row of labels of which one is selected.
type Segment struct {
	widget.BaseWidget
	OnChanged func(i int)

	labels   []string
	selected int
	hovered  int
	focused  bool
}

var (
	_ fyne.Tappable     = (*Segment)(nil)
	_ fyne.Focusable    = (*Segment)(nil)
	_ desktop.Hoverable = (*Segment)(nil)
)

// NewSegment makes a switch with labels, the first selected.
func NewSegment(labels []string, changed func(i int)) *Segment {
	s := &Segment{labels: labels, OnChanged: changed, hovered: -1}
	s.ExtendBaseWidget(s)
	return s
}

// Selected is the index of the selected label.
func (s *Segment) Selected() int { return s.selected }

// SetSelected selects label i, clamped, and calls OnChanged when that is new.
func (s *Segment) SetSelected(i int) {
	i = min(max(i, 0), len(s.labels)-1)
	if i == s.selected || i < 0 {
		return
	}
	s.selected = i
	s.Refresh()
	if s.OnChanged != nil {
		s.OnChanged(i)
	}
}

// SetLabels replaces the labels and keeps the selection where it can.
func (s *Segment) SetLabels(labels []string) {
	s.labels = labels
	s.selected = min(s.selected, max(len(labels)-1, 0))
	s.Refresh()
}

// Tapped implements [fyne.Tappable].
func (s *Segment) Tapped(e *fyne.PointEvent) {
	if i := s.at(e.Position.X); i >= 0 {
		s.SetSelected(i)
	}
}

// MouseIn implements [desktop.Hoverable].
func (s *Segment) MouseIn(e *desktop.MouseEvent) { s.MouseMoved(e) }

// MouseMoved implements [desktop.Hoverable].
func (s *Segment) MouseMoved(e *desktop.MouseEvent) {
	if i := s.at(e.Position.X); i != s.hovered {
		s.hovered = i
		s.Refresh()
	}
}

// MouseOut implements [desktop.Hoverable].
func (s *Segment) MouseOut() { s.hovered = -1; s.Refresh() }

// FocusGained implements [fyne.Focusable].
func (s *Segment) FocusGained() { s.focused = true; s.Refresh() }

// FocusLost implements [fyne.Focusable].
func (s *Segment) FocusLost() { s.focused = false; s.Refresh() }

// TypedRune implements [fyne.Focusable].
func (s *Segment) TypedRune(rune) {}

// TypedKey implements [fyne.Focusable].
func (s *Segment) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyLeft, fyne.KeyUp:
		s.SetSelected(s.selected - 1)
	case fyne.KeyRight, fyne.KeyDown:
		s.SetSelected(s.selected + 1)
	}
}

const segmentPad = theme.GapM

func (s *Segment) widths() []float32 {
	w := make([]float32, len(s.labels))
	for i, l := range s.labels {
		w[i] = fyne.MeasureText(l, theme.TextDense, fyne.TextStyle{}).Width + 2*segmentPad
	}
	return w
}

func (s *Segment) at(x float32) int {
	x -= 2
	for i, w := range s.widths() {
		if x >= 0 && x < w {
			return i
		}
		x -= w
	}
	return -1
}

// MinSize implements [fyne.Widget].
func (s *Segment) MinSize() fyne.Size {
	t := float32(4)
	for _, w := range s.widths() {
		t += w
	}
	return fyne.NewSize(t, theme.Control)
}

// CreateRenderer implements [fyne.Widget].
func (s *Segment) CreateRenderer() fyne.WidgetRenderer {
	s.ExtendBaseWidget(s)
	r := &segmentRenderer{s: s, back: canvas.NewRectangle(color.Transparent), on: canvas.NewRectangle(color.Transparent), hover: canvas.NewRectangle(color.Transparent)}
	r.Refresh()
	return r
}

type segmentRenderer struct {
	s               *Segment
	back, on, hover *canvas.Rectangle
	texts           []*canvas.Text
	objects         []fyne.CanvasObject
}

func (r *segmentRenderer) Destroy() {}

func (r *segmentRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *segmentRenderer) MinSize() fyne.Size { return r.s.MinSize() }

func (r *segmentRenderer) Layout(size fyne.Size) {
	h := float32(theme.Control)
	y := (size.Height - h) / 2
	place(r.back, 0, y, r.s.MinSize().Width, h)
	x := float32(2)
	for i, w := range r.s.widths() {
		t := r.texts[i]
		th := fyne.MeasureText(t.Text, t.TextSize, t.TextStyle).Height
		place(t, x+segmentPad, y+(h-th)/2, w-2*segmentPad, th)
		if i == r.s.selected {
			place(r.on, x, y+2, w, h-4)
		}
		if i == r.s.hovered {
			place(r.hover, x, y+2, w, h-4)
		}
		x += w
	}
}

func (r *segmentRenderer) Refresh() {
	s, p := r.s, theme.Current()
	r.back.FillColor, r.back.CornerRadius, r.back.StrokeWidth = p.Raised, theme.RadiusInput, 0
	if s.focused {
		r.back.StrokeColor, r.back.StrokeWidth = p.LimeInk, 2
	}
	r.on.FillColor, r.on.CornerRadius = p.Selected, theme.RadiusToken
	r.hover.FillColor, r.hover.CornerRadius = color.Transparent, theme.RadiusToken
	if s.hovered >= 0 && s.hovered != s.selected {
		r.hover.FillColor = palette.Alpha(p.Selected, .6)
	}
	for len(r.texts) < len(s.labels) {
		r.texts = append(r.texts, newText(textStyle{size: theme.TextDense}))
	}
	r.objects = append(r.objects[:0], r.back, r.hover, r.on)
	for i, t := range r.texts[:len(s.labels)] {
		c := p.Text2
		if i == s.selected {
			c = p.Text
		}
		setText(t, s.labels[i], c)
		r.objects = append(r.objects, t)
	}
	r.Layout(s.Size())
	canvas.Refresh(s)
}
