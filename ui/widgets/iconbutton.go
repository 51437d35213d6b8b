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

// IconButton is a square button without a label. It has a name and a key, which it gives to OnHint while the pointer or
// the focus is on it, so that the status bar can show both.
type IconButton struct {
	widget.BaseWidget
	Name, Key string
	Side      float32 // 32 unless set before the first use
	Round     bool    // always filled, as a circle: the play button
	OnTapped  func()
	OnHint    func(hint string) // "" when the pointer leaves

	icon             fyne.Resource
	on, hovered      bool
	focused, disable bool
}

var (
	_ fyne.Tappable      = (*IconButton)(nil)
	_ fyne.Focusable     = (*IconButton)(nil)
	_ fyne.Disableable   = (*IconButton)(nil)
	_ desktop.Hoverable  = (*IconButton)(nil)
	_ desktop.Cursorable = (*IconButton)(nil)
)

// NewIconButton makes a button that shows icon.
func NewIconButton(name, key string, icon fyne.Resource, tapped func()) *IconButton {
	b := &IconButton{Name: name, Key: key, Side: theme.Control, OnTapped: tapped, icon: icon}
	b.ExtendBaseWidget(b)
	return b
}

// SetIcon changes the picture.
func (b *IconButton) SetIcon(icon fyne.Resource) {
	if b.icon != icon {
		b.icon = icon
		b.Refresh()
	}
}

// SetOn shows the button as switched on or off.
func (b *IconButton) SetOn(on bool) {
	if b.on != on {
		b.on = on
		b.Refresh()
	}
}

// On reports whether the button is switched on.
func (b *IconButton) On() bool { return b.on }

// SetEnabled lets b be tapped, or not.
func (b *IconButton) SetEnabled(on bool) {
	if on == b.disable {
		b.disable = !on
		b.Refresh()
	}
}

// Enable implements [fyne.Disableable].
func (b *IconButton) Enable() {
	if b.disable {
		b.disable = false
		b.Refresh()
	}
}

// Disable implements [fyne.Disableable].
func (b *IconButton) Disable() {
	if !b.disable {
		b.disable = true
		b.Refresh()
	}
}

// Disabled implements [fyne.Disableable].
func (b *IconButton) Disabled() bool { return b.disable }

// Tapped implements [fyne.Tappable].
func (b *IconButton) Tapped(*fyne.PointEvent) {
	if b.OnTapped != nil && !b.disable {
		b.OnTapped()
	}
}

// FocusGained implements [fyne.Focusable].
func (b *IconButton) FocusGained() { b.focused = true; b.hint(true); b.Refresh() }

// FocusLost implements [fyne.Focusable].
func (b *IconButton) FocusLost() { b.focused = false; b.hint(false); b.Refresh() }

// TypedRune implements [fyne.Focusable].
func (b *IconButton) TypedRune(rune) {}

// TypedKey implements [fyne.Focusable].
func (b *IconButton) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeySpace || e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter {
		b.Tapped(nil)
	}
}

// MouseIn implements [desktop.Hoverable].
func (b *IconButton) MouseIn(*desktop.MouseEvent) { b.hovered = true; b.hint(true); b.Refresh() }

// MouseMoved implements [desktop.Hoverable].
func (b *IconButton) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements [desktop.Hoverable].
func (b *IconButton) MouseOut() { b.hovered = false; b.hint(false); b.Refresh() }

// Cursor implements [desktop.Cursorable].
func (b *IconButton) Cursor() desktop.Cursor { return desktop.DefaultCursor }

func (b *IconButton) hint(on bool) {
	if b.OnHint == nil {
		return
	}
	switch {
	case !on:
		b.OnHint("")
	case b.Key == "":
		b.OnHint(b.Name)
	default:
		b.OnHint(b.Name + "  " + b.Key)
	}
}

// MinSize implements [fyne.Widget].
func (b *IconButton) MinSize() fyne.Size { return fyne.NewSquareSize(b.Side) }

// CreateRenderer implements [fyne.Widget].
func (b *IconButton) CreateRenderer() fyne.WidgetRenderer {
	b.ExtendBaseWidget(b)
	r := &iconButtonRenderer{b: b, back: canvas.NewRectangle(color.Transparent), image: canvas.NewImageFromResource(b.icon)}
	r.image.FillMode = canvas.ImageFillContain
	r.Refresh()
	return r
}

type iconButtonRenderer struct {
	b     *IconButton
	back  *canvas.Rectangle
	image *canvas.Image
}

func (r *iconButtonRenderer) Destroy() {}

func (r *iconButtonRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.image}
}

func (r *iconButtonRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(r.b.Side) }

func (r *iconButtonRenderer) Layout(s fyne.Size) {
	side := min(s.Width, s.Height, r.b.Side)
	x, y := (s.Width-side)/2, (s.Height-side)/2
	place(r.back, x, y, side, side)
	icon := float32(20)
	if side < 28 {
		icon = side - 8
	}
	place(r.image, x+(side-icon)/2, y+(side-icon)/2, icon, icon)
}

func (r *iconButtonRenderer) Refresh() {
	b, p := r.b, theme.Current()
	r.back.CornerRadius = theme.RadiusInput
	if b.Round {
		r.back.CornerRadius = b.Side / 2
	}
	r.back.FillColor, r.back.StrokeWidth = color.Transparent, 0
	switch {
	case b.on || b.Round:
		r.back.FillColor = p.Selected
	case b.hovered && !b.disable:
		r.back.FillColor = palette.Alpha(p.Selected, .6)
	}
	if b.focused {
		r.back.StrokeColor, r.back.StrokeWidth = p.LimeInk, 2
	}
	res := b.icon
	if b.disable {
		if t, ok := res.(fyne.ThemedResource); ok {
			res = disabled(t)
		}
	}
	r.image.Resource = res
	r.Layout(b.Size())
	r.back.Refresh()
	r.image.Refresh()
}

// disabled is res in the disabled colour.
func disabled(res fyne.ThemedResource) fyne.Resource {
	if t, ok := res.(*fynetheme.ThemedResource); ok {
		return fynetheme.NewDisabledResource(t)
	}
	return res
}
