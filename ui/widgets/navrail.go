package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/palette"
	"unmask/ui/theme"
)

// RailItem is one place of the rail at the left of the window: an icon with a label below it.
type RailItem struct {
	widget.BaseWidget
	Label, Key string
	OnTapped   func()
	OnHint     func(string)

	icon                        fyne.Resource
	selected, over, focused, lo bool
}

var (
	_ fyne.Tappable     = (*RailItem)(nil)
	_ fyne.Focusable    = (*RailItem)(nil)
	_ desktop.Hoverable = (*RailItem)(nil)
)

// NewRailItem makes an item; key is its shortcut, for the status bar.
func NewRailItem(label, key string, icon fyne.Resource, tapped func()) *RailItem {
	r := &RailItem{Label: label, Key: key, OnTapped: tapped, icon: icon}
	r.ExtendBaseWidget(r)
	return r
}

// SetSelected shows whether the item is the current place.
func (i *RailItem) SetSelected(on bool) {
	if i.selected != on {
		i.selected = on
		i.Refresh()
	}
}

// Selected reports whether the item is the current place.
func (i *RailItem) Selected() bool { return i.selected }

// SetNarrow hides the label.
func (i *RailItem) SetNarrow(on bool) {
	if i.lo != on {
		i.lo = on
		i.Refresh()
	}
}

// Tapped implements [fyne.Tappable].
func (i *RailItem) Tapped(*fyne.PointEvent) {
	if i.OnTapped != nil {
		i.OnTapped()
	}
}

// FocusGained implements [fyne.Focusable].
func (i *RailItem) FocusGained() { i.focused = true; i.hint(true); i.Refresh() }

// FocusLost implements [fyne.Focusable].
func (i *RailItem) FocusLost() { i.focused = false; i.hint(false); i.Refresh() }

// TypedRune implements [fyne.Focusable].
func (i *RailItem) TypedRune(rune) {}

// TypedKey implements [fyne.Focusable].
func (i *RailItem) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeySpace || e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter {
		i.Tapped(nil)
	}
}

// MouseIn implements [desktop.Hoverable].
func (i *RailItem) MouseIn(*desktop.MouseEvent) { i.over = true; i.hint(true); i.Refresh() }

// MouseMoved implements [desktop.Hoverable].
func (i *RailItem) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements [desktop.Hoverable].
func (i *RailItem) MouseOut() { i.over = false; i.hint(false); i.Refresh() }

func (i *RailItem) hint(on bool) {
	switch {
	case i.OnHint == nil:
	case on && i.Key != "":
		i.OnHint(i.Label + "  " + i.Key)
	case on:
		i.OnHint(i.Label)
	default:
		i.OnHint("")
	}
}

// MinSize implements [fyne.Widget].
func (i *RailItem) MinSize() fyne.Size {
	if i.lo {
		return fyne.NewSize(52, 46)
	}
	return fyne.NewSize(72, 56)
}

// CreateRenderer implements [fyne.Widget].
func (i *RailItem) CreateRenderer() fyne.WidgetRenderer {
	i.ExtendBaseWidget(i)
	r := &railRenderer{
		i: i, bar: canvas.NewRectangle(color.Transparent), back: canvas.NewRectangle(color.Transparent),
		icon: canvas.NewImageFromResource(i.icon), label: canvas.NewText(i.Label, color.Transparent),
	}
	r.icon.FillMode = canvas.ImageFillContain
	r.Refresh()
	return r
}

type railRenderer struct {
	i         *RailItem
	bar, back *canvas.Rectangle
	icon      *canvas.Image
	label     *canvas.Text
}

func (r *railRenderer) Destroy()           {}
func (r *railRenderer) MinSize() fyne.Size { return r.i.MinSize() }
func (r *railRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.bar, r.back, r.icon, r.label}
}

func (r *railRenderer) Layout(s fyne.Size) {
	place(r.bar, 0, s.Height/2-12, 3, 24)
	place(r.back, 6, 1, s.Width-13, s.Height-2)
	const side = 24
	if r.i.lo {
		place(r.icon, (s.Width-side)/2, (s.Height-side)/2, side, side)
		return
	}
	place(r.icon, (s.Width-side)/2-0.5, 8, side, side)
	m := fyne.MeasureText(r.label.Text, theme.TextCaption, fyne.TextStyle{})
	place(r.label, (s.Width-m.Width)/2-0.5, 34, m.Width, m.Height)
}

func (r *railRenderer) Refresh() {
	i, p := r.i, theme.Current()
	name := theme.ColorText2
	r.bar.CornerRadius, r.back.CornerRadius = 1.5, theme.RadiusCard
	r.bar.FillColor, r.back.FillColor, r.back.StrokeWidth = color.Transparent, color.Transparent, 0
	r.label.Color, r.label.TextSize, r.label.Hidden = p.Text2, theme.TextCaption, i.lo
	switch {
	case i.selected:
		name = fynetheme.ColorNameForeground
		r.bar.FillColor, r.back.FillColor, r.label.Color = p.LimeInk, p.Raised, p.Text
	case i.over:
		r.back.FillColor = palette.Alpha(p.Selected, .6)
	}
	if i.focused {
		r.back.StrokeColor, r.back.StrokeWidth = p.LimeInk, 2
	}
	if t, ok := i.icon.(*fynetheme.ThemedResource); ok {
		c := *t
		c.ColorName = name
		r.icon.Resource = &c
	}
	r.Layout(i.Size())
	canvas.Refresh(i)
}
