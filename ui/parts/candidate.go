package parts

import (
	"image/color"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/figures"
	"unmask/ui/palette"
	"unmask/ui/theme"
)

// candidateRow is one candidate: its text or patch, a bar, its probability.
type candidateRow struct {
	widget.BaseWidget
	tapped, twice func()
	back          *canvas.Rectangle
	track, bar    *canvas.Rectangle
	text          *Text
	prob          *Text
	patch         *canvas.Image
	share         float32 // of the best candidate's
	chosen, over  bool
	index         int // colour of the bar
}

var (
	_ fyne.Tappable       = (*candidateRow)(nil)
	_ fyne.DoubleTappable = (*candidateRow)(nil)
	_ desktop.Hoverable   = (*candidateRow)(nil)
)

func newCandidateRow(tapped func()) *candidateRow {
	r := &candidateRow{tapped: tapped, text: Dense(""), prob: Number("")}
	r.back, r.track, r.bar = canvas.NewRectangle(color.Transparent), canvas.NewRectangle(color.Transparent), canvas.NewRectangle(color.Transparent)
	r.back.CornerRadius, r.track.CornerRadius, r.bar.CornerRadius = theme.RadiusToken, 2, 2
	r.patch = &canvas.Image{FillMode: canvas.ImageFillStretch, ScaleMode: canvas.ImageScalePixels}
	r.ExtendBaseWidget(r)
	return r
}

func (r *candidateRow) set(c Candidate, best float32) {
	r.text.Set(visible(c.Text))
	r.prob.Set(figures.Prob(c.Prob))
	r.share, r.index = 0, palette.Index(c.Prob)
	if best > 0 {
		r.share = c.Prob / best
	}
	show(r.patch, c.Patch != nil)
	if r.patch.Image != c.Patch {
		r.patch.Image = c.Patch
		r.patch.Refresh()
	}
	r.Refresh()
}

// visible is a token's text with what cannot be seen written out.
func visible(t string) string {
	switch s := strings.TrimSpace(t); {
	case t == "":
		return "–"
	case s == "":
		return strings.NewReplacer(" ", "␣", "\n", "↵", "\t", "⇥").Replace(t)
	default:
		return strings.ReplaceAll(s, "\n", "↵")
	}
}

func (r *candidateRow) choose(on bool) {
	if r.chosen != on {
		r.chosen = on
		r.Refresh()
	}
}

func (r *candidateRow) Tapped(*fyne.PointEvent)       { r.tapped() }
func (r *candidateRow) DoubleTapped(*fyne.PointEvent) { r.twice() }
func (r *candidateRow) MouseIn(*desktop.MouseEvent)   { r.over = true; r.Refresh() }
func (r *candidateRow) MouseMoved(*desktop.MouseEvent) {
}
func (r *candidateRow) MouseOut()          { r.over = false; r.Refresh() }
func (r *candidateRow) MinSize() fyne.Size { return fyne.NewSize(200, candidateHigh) }
func (r *candidateRow) CreateRenderer() fyne.WidgetRenderer {
	v := &candidateView{r: r, objects: []fyne.CanvasObject{r.back, r.track, r.bar, r.patch, r.text, r.prob}}
	v.Refresh()
	return v
}

type candidateView struct {
	r       *candidateRow
	objects []fyne.CanvasObject
}

func (v *candidateView) Destroy()                     {}
func (v *candidateView) MinSize() fyne.Size           { return v.r.MinSize() }
func (v *candidateView) Objects() []fyne.CanvasObject { return v.objects }

func (v *candidateView) Layout(s fyne.Size) {
	r := v.r
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(max(w, 0), h))
	}
	left, right := s.Width*.28, s.Width-48
	h := r.text.MinSize().Height
	put(r.back, 0, 1, s.Width, s.Height-2)
	x := float32(8)
	if r.patch.Visible() {
		put(r.patch, 8, 3, s.Height-6, s.Height-6)
		x += s.Height
	}
	put(r.text, x, (s.Height-h)/2, left-x-6, h)
	put(r.track, left, (s.Height-10)/2, right-left, 10)
	put(r.bar, left, (s.Height-10)/2, max(2, (right-left)*r.share), 10)
	w := r.prob.MinSize().Width
	put(r.prob, s.Width-8-w, (s.Height-r.prob.MinSize().Height)/2, w, r.prob.MinSize().Height)
}

func (v *candidateView) Refresh() {
	r, p := v.r, theme.Current()
	r.back.FillColor = color.Transparent
	if r.chosen || r.over {
		r.back.FillColor = p.Selected
	}
	r.track.FillColor, r.bar.FillColor = p.Panel, p.Fill[r.index]
	v.Layout(r.Size())
	canvas.Refresh(r)
}
