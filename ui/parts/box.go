package parts

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/theme"
)

// Box is a surface with something on it: a fill, a border, a radius.
type Box struct {
	widget.BaseWidget
	Fill   fyne.ThemeColorName // "": none
	Stroke fyne.ThemeColorName // "": none
	Width  float32             // of the stroke
	Radius float32
	// Dark keeps the fill of the dark theme: pictures are always on the dark canvas.
	Dark    bool
	content fyne.CanvasObject
	back    *canvas.Rectangle
}

// NewBox puts content on a surface. content may be nil.
func NewBox(fill fyne.ThemeColorName, radius float32, content fyne.CanvasObject) *Box {
	b := &Box{Fill: fill, Radius: radius, content: content, back: canvas.NewRectangle(color.Transparent)}
	b.ExtendBaseWidget(b)
	return b
}

// Outlined adds a border of one unit.
func (b *Box) Outlined(c fyne.ThemeColorName) *Box { b.Stroke, b.Width = c, 1; return b }

// SetStroke changes the border.
func (b *Box) SetStroke(c fyne.ThemeColorName, width float32) {
	if b.Stroke != c || b.Width != width {
		b.Stroke, b.Width = c, width
		b.paint()
	}
}

// SetFill changes the fill.
func (b *Box) SetFill(c fyne.ThemeColorName) {
	if b.Fill != c {
		b.Fill = c
		b.paint()
	}
}

// HeightFor implements [Flexible].
func (b *Box) HeightFor(width float32) float32 {
	if b.content == nil {
		return 0
	}
	return HeightFor(b.content, width)
}

// CreateRenderer implements [fyne.Widget].
func (b *Box) CreateRenderer() fyne.WidgetRenderer {
	b.ExtendBaseWidget(b)
	r := &boxRenderer{b: b, objects: []fyne.CanvasObject{b.back}}
	if b.content != nil {
		r.objects = append(r.objects, b.content)
	}
	b.paint()
	return r
}

func (b *Box) paint() {
	r := b.back
	r.FillColor, r.StrokeColor, r.StrokeWidth, r.CornerRadius = color.Transparent, color.Transparent, b.Width, b.Radius
	if b.Fill != "" {
		r.FillColor = fynetheme.ColorForWidget(b.Fill, b)
		if b.Dark {
			r.FillColor = theme.Theme{Mode: theme.Dark}.Color(b.Fill, fynetheme.VariantDark)
		}
	}
	if b.Stroke != "" {
		r.StrokeColor = fynetheme.ColorForWidget(b.Stroke, b)
	}
	r.Refresh()
}

type boxRenderer struct {
	b       *Box
	objects []fyne.CanvasObject
}

func (r *boxRenderer) Destroy()                     {}
func (r *boxRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *boxRenderer) MinSize() fyne.Size {
	if r.b.content == nil {
		return fyne.Size{}
	}
	return r.b.content.MinSize()
}

func (r *boxRenderer) Layout(s fyne.Size) {
	for _, o := range r.objects {
		o.Move(fyne.NewPos(0, 0))
		o.Resize(s)
	}
}

func (r *boxRenderer) Refresh() {
	r.b.paint()
	if r.b.content != nil {
		r.b.content.Refresh() // the theme may have changed
	}
}

// HLine is a horizontal line of one unit.
func HLine() fyne.CanvasObject { return Fixed(0, 1, NewBox(fynetheme.ColorNameSeparator, 0, nil)) }

// VLine is a vertical line of one unit.
func VLine() fyne.CanvasObject { return Fixed(1, 0, NewBox(fynetheme.ColorNameSeparator, 0, nil)) }
