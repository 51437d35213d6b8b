package models

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/theme"
)

// tap makes an object do something when it is tapped, or when Enter or Space is typed while it has the focus.
type tap struct {
	widget.BaseWidget
	object fyne.CanvasObject
	ring   *canvas.Rectangle
	do     func()
	note   func(string)
	hint   string
}

var (
	_ fyne.Tappable     = (*tap)(nil)
	_ fyne.Focusable    = (*tap)(nil)
	_ desktop.Hoverable = (*tap)(nil)
)

func newTap(o fyne.CanvasObject, do func(), note func(string), hint string) *tap {
	t := &tap{object: o, ring: canvas.NewRectangle(color.Transparent), do: do, note: note, hint: hint}
	t.ring.CornerRadius, t.ring.StrokeWidth = theme.RadiusInput, 2
	t.ExtendBaseWidget(t)
	return t
}

// CreateRenderer implements [fyne.Widget].
func (t *tap) CreateRenderer() fyne.WidgetRenderer { return &tapRenderer{t} }

type tapRenderer struct{ t *tap }

func (r *tapRenderer) Destroy()           {}
func (r *tapRenderer) MinSize() fyne.Size { return r.t.object.MinSize() }
func (r *tapRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.t.object, r.t.ring}
}

func (r *tapRenderer) Layout(s fyne.Size) {
	r.t.object.Resize(s)
	r.t.ring.Resize(s)
}

func (r *tapRenderer) Refresh() { r.t.object.Refresh(); r.t.ring.Refresh() }

// Tapped implements [fyne.Tappable].
func (t *tap) Tapped(*fyne.PointEvent) { t.do() }

// FocusGained implements [fyne.Focusable].
func (t *tap) FocusGained() { t.frame(theme.Current().LimeInk); t.note(t.hint) }

// FocusLost implements [fyne.Focusable].
func (t *tap) FocusLost() { t.frame(color.Transparent); t.note("") }

func (t *tap) frame(c color.Color) {
	t.ring.StrokeColor = c
	t.ring.Refresh()
}

// TypedRune implements [fyne.Focusable].
func (t *tap) TypedRune(rune) {}

// TypedKey implements [fyne.Focusable].
func (t *tap) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeySpace || e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter {
		t.do()
	}
}

// MouseIn implements [desktop.Hoverable].
func (t *tap) MouseIn(*desktop.MouseEvent) { t.note(t.hint) }

// MouseMoved implements [desktop.Hoverable].
func (t *tap) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements [desktop.Hoverable].
func (t *tap) MouseOut() { t.note("") }
