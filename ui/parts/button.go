package parts

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

// Kind is how a button looks.
type Kind uint8

// The kinds of button.
const (
	Normal  Kind = iota // raised
	Outline             // a border
	Flat                // nothing until the pointer is on it
	Run                 // lime fill: the one main action of a screen
	Lime                // lime border: the second step of a main action
	Row                 // raised, text from the left, icon at the right
)

// Button is a button with a label, an icon or both, that can have the focus.
type Button struct {
	widget.BaseWidget
	OnTapped func()
	OnHint   func(string) // of Hint while the pointer or the focus is on it, "" after
	Hint     string

	kind                      Kind
	label                     string
	icon                      fyne.Resource
	height, pad               float32
	on, over, focused, barred bool
}

var (
	_ fyne.Tappable     = (*Button)(nil)
	_ fyne.Focusable    = (*Button)(nil)
	_ fyne.Disableable  = (*Button)(nil)
	_ desktop.Hoverable = (*Button)(nil)
)

// NewButton makes a button 32 high, or 40 for [Run] and [Lime]. icon may be nil.
func NewButton(kind Kind, label string, icon fyne.Resource, tapped func()) *Button {
	b := &Button{kind: kind, label: label, icon: icon, OnTapped: tapped, height: theme.Control, pad: buttonPad}
	if kind == Run {
		b.height = theme.MainAction
	}
	b.ExtendBaseWidget(b)
	return b
}

// High makes b 40 high, Low 32.
func (b *Button) High() *Button { b.height = theme.MainAction; return b }

// Low makes b 32 high.
func (b *Button) Low() *Button { b.height = theme.Control; return b }

// Tight makes b narrower, for rows of many.
func (b *Button) Tight() *Button { b.pad = 10; return b }

// Set changes label and icon; the same ones cost nothing.
func (b *Button) Set(label string, icon fyne.Resource) {
	if b.label != label || b.icon != icon {
		b.label, b.icon = label, icon
		b.Refresh()
	}
}

// SetKind changes how b looks.
func (b *Button) SetKind(k Kind) {
	if b.kind != k {
		b.kind = k
		b.Refresh()
	}
}

// SetOn shows b as switched on or off.
func (b *Button) SetOn(on bool) {
	if b.on != on {
		b.on = on
		b.Refresh()
	}
}

// Label is the label.
func (b *Button) Label() string { return b.label }

// Enable implements [fyne.Disableable].
func (b *Button) Enable() { b.SetEnabled(true) }

// Disable implements [fyne.Disableable].
func (b *Button) Disable() { b.SetEnabled(false) }

// Disabled implements [fyne.Disableable].
func (b *Button) Disabled() bool { return b.barred }

// SetEnabled lets b be tapped, or not.
func (b *Button) SetEnabled(on bool) {
	if b.barred == on {
		b.barred = !on
		b.Refresh()
	}
}

// Tapped implements [fyne.Tappable].
func (b *Button) Tapped(*fyne.PointEvent) {
	if b.OnTapped != nil && !b.barred {
		b.OnTapped()
	}
}

// FocusGained implements [fyne.Focusable].
func (b *Button) FocusGained() { b.focused = true; b.hint(true); b.Refresh() }

// FocusLost implements [fyne.Focusable].
func (b *Button) FocusLost() { b.focused = false; b.hint(false); b.Refresh() }

// TypedRune implements [fyne.Focusable].
func (b *Button) TypedRune(rune) {}

// TypedKey implements [fyne.Focusable].
func (b *Button) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeySpace || e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter {
		b.Tapped(nil)
	}
}

// MouseIn implements [desktop.Hoverable].
func (b *Button) MouseIn(*desktop.MouseEvent) { b.over = true; b.hint(true); b.Refresh() }

// MouseMoved implements [desktop.Hoverable].
func (b *Button) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements [desktop.Hoverable].
func (b *Button) MouseOut() { b.over = false; b.hint(false); b.Refresh() }

func (b *Button) hint(on bool) {
	if b.OnHint == nil || b.Hint == "" {
		return
	}
	if on {
		b.OnHint(b.Hint)
	} else {
		b.OnHint("")
	}
}

func (b *Button) style() fyne.TextStyle { return fyne.TextStyle{Bold: b.kind == Run} }

// The measures of a button.
const (
	buttonPad  = 14
	buttonIcon = 18
	buttonGap  = 8
)

// MinSize implements [fyne.Widget].
func (b *Button) MinSize() fyne.Size {
	w := 2 * b.pad
	if b.label != "" {
		w += fyne.MeasureText(b.label, theme.TextDense, b.style()).Width
	}
	if b.icon != nil {
		w += buttonIcon
		if b.label != "" {
			w += buttonGap
		} else {
			w = b.height
		}
	}
	return fyne.NewSize(w, b.height)
}

// CreateRenderer implements [fyne.Widget].
func (b *Button) CreateRenderer() fyne.WidgetRenderer {
	b.ExtendBaseWidget(b)
	r := &buttonRenderer{b: b, ring: canvas.NewRectangle(color.Transparent), back: canvas.NewRectangle(color.Transparent), text: canvas.NewText("", color.Transparent), icon: &canvas.Image{FillMode: canvas.ImageFillContain}}
	r.Refresh()
	return r
}

type buttonRenderer struct {
	b          *Button
	ring, back *canvas.Rectangle
	text       *canvas.Text
	icon       *canvas.Image
}

func (r *buttonRenderer) Destroy()           {}
func (r *buttonRenderer) MinSize() fyne.Size { return r.b.MinSize() }
func (r *buttonRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.ring, r.back, r.icon, r.text}
}

func (r *buttonRenderer) Layout(s fyne.Size) {
	b := r.b
	r.back.Resize(s)
	r.ring.Move(fyne.NewPos(-2, -2))
	r.ring.Resize(s.AddWidthHeight(4, 4))
	label := shorten(b.label, s.Width-2*8, func(t string) float32 { return fyne.MeasureText(t, theme.TextDense, b.style()).Width })
	if b.icon != nil {
		label = shorten(b.label, s.Width-2*8-buttonIcon-buttonGap, func(t string) float32 { return fyne.MeasureText(t, theme.TextDense, b.style()).Width })
	}
	r.text.Text = label
	m := fyne.MeasureText(label, theme.TextDense, b.style())
	w := m.Width
	if b.icon != nil {
		w += buttonIcon
		if label != "" {
			w += buttonGap
		}
	}
	x := (s.Width - w) / 2
	iconX, textX := x, x
	if b.icon != nil {
		textX += buttonIcon + buttonGap
	}
	if b.kind == Row {
		textX, iconX = 8, s.Width-8-buttonIcon
	}
	r.icon.Move(fyne.NewPos(iconX, (s.Height-buttonIcon)/2))
	r.icon.Resize(fyne.NewSquareSize(buttonIcon))
	r.text.Move(fyne.NewPos(textX, (s.Height-m.Height)/2))
	r.text.Resize(m)
}

// size: one branch a kind of button.
func (r *buttonRenderer) Refresh() {
	b, p := r.b, theme.Current()
	r.text.TextSize, r.text.TextStyle, r.text.Color = theme.TextDense, b.style(), p.Text
	r.back.CornerRadius, r.back.StrokeWidth, r.back.StrokeColor, r.back.FillColor = theme.RadiusInput, 0, color.Transparent, color.Transparent
	name := fynetheme.ColorNameForeground
	switch b.kind {
	case Run:
		r.back.FillColor, r.text.Color, name = p.LimeFill, p.OnLime, theme.ColorOnLime
		if b.over {
			r.back.FillColor = palette.Mix(p.LimeFill, p.Text, .15)
		}
	case Normal, Row:
		r.back.FillColor = p.Raised
		if b.kind == Row {
			r.back.FillColor = p.Panel
		}
	case Outline:
		r.back.StrokeWidth, r.back.StrokeColor = 1, p.Border
	case Lime:
		r.back.StrokeWidth, r.back.StrokeColor = 1, p.LimeInk
		r.text.Color, name = p.LimeInk, fynetheme.ColorNamePrimary
	}
	if b.on || b.over && b.kind != Run {
		r.back.FillColor = p.Selected
		if !b.on {
			r.back.FillColor = palette.Mix(p.Panel, p.Selected, .8)
		}
	}
	if b.barred {
		r.text.Color, name = p.Disabled, fynetheme.ColorNameDisabled
		if b.kind == Run || b.kind == Lime {
			r.back.FillColor, r.back.StrokeColor = p.Raised, color.Transparent
		}
	}
	r.ring.FillColor, r.ring.StrokeColor, r.ring.StrokeWidth, r.ring.CornerRadius = color.Transparent, color.Transparent, 2, theme.RadiusInput+2
	if b.focused {
		r.ring.StrokeColor = p.LimeInk
	}
	r.icon.Resource = tinted(b.icon, name)
	r.icon.Hidden = b.icon == nil
	r.Layout(b.Size())
	r.icon.Refresh()
	canvas.Refresh(b)
}

// tinted is a themed icon in another theme colour.
func tinted(res fyne.Resource, name fyne.ThemeColorName) fyne.Resource {
	if t, ok := res.(*fynetheme.ThemedResource); ok {
		c := *t
		c.ColorName = name
		return &c
	}
	return res
}

// Tinted is a themed icon in a theme colour.
func Tinted(res fyne.Resource, name fyne.ThemeColorName) fyne.Resource { return tinted(res, name) }
