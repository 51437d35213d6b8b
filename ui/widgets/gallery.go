package widgets

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/palette"
	"unmask/ui/theme"
)

// Thumb is a picture of a [Gallery].
type Thumb struct {
	ID    string
	Image image.Image // nil: not known yet
	Name  string      // for the status bar
	Mark  bool        // accepted
}

// Gallery is a row of thumbnails of which one is selected; it lies in a horizontal scroll.
type Gallery struct {
	widget.BaseWidget
	OnTapped func(id string)
	OnMenu   func(id string, at fyne.Position) // secondary button; at is on the canvas
	OnHint   func(string)
	Side     float32

	thumbs   []Thumb
	selected string
	over     int
	r        *galleryRenderer
}

var (
	_ fyne.Tappable          = (*Gallery)(nil)
	_ fyne.SecondaryTappable = (*Gallery)(nil)
	_ desktop.Hoverable      = (*Gallery)(nil)
)

// galleryGap is the room between thumbnails.
const galleryGap = 10

// NewGallery makes an empty row of thumbnails of a side.
func NewGallery(side float32) *Gallery {
	g := &Gallery{Side: side, over: -1}
	g.ExtendBaseWidget(g)
	return g
}

// Set shows thumbs with the one of that id selected. Equal content costs nothing.
func (g *Gallery) Set(thumbs []Thumb, selected string) {
	same := g.selected == selected && len(g.thumbs) == len(thumbs)
	for i := 0; same && i < len(thumbs); i++ {
		same = g.thumbs[i] == thumbs[i]
	}
	if same {
		return
	}
	g.thumbs, g.selected = append([]Thumb(nil), thumbs...), selected
	g.Refresh()
}

// Thumbs is what is shown.
func (g *Gallery) Thumbs() []Thumb { return g.thumbs }

func (g *Gallery) at(p fyne.Position) int {
	i := int(p.X / (g.Side + galleryGap))
	if p.X < 0 || i >= len(g.thumbs) || p.X-float32(i)*(g.Side+galleryGap) > g.Side {
		return -1
	}
	return i
}

// Tapped implements [fyne.Tappable].
func (g *Gallery) Tapped(e *fyne.PointEvent) {
	if i := g.at(e.Position); i >= 0 && g.OnTapped != nil {
		g.OnTapped(g.thumbs[i].ID)
	}
}

// TappedSecondary implements [fyne.SecondaryTappable].
func (g *Gallery) TappedSecondary(e *fyne.PointEvent) {
	if i := g.at(e.Position); i >= 0 && g.OnMenu != nil {
		g.OnMenu(g.thumbs[i].ID, e.AbsolutePosition)
	}
}

// MouseIn implements [desktop.Hoverable].
func (g *Gallery) MouseIn(e *desktop.MouseEvent) { g.MouseMoved(e) }

// MouseMoved implements [desktop.Hoverable].
func (g *Gallery) MouseMoved(e *desktop.MouseEvent) {
	i := g.at(e.Position)
	if i == g.over || g.OnHint == nil {
		return
	}
	g.over = i
	if i < 0 {
		g.OnHint("")
	} else {
		g.OnHint(g.thumbs[i].Name)
	}
}

// MouseOut implements [desktop.Hoverable].
func (g *Gallery) MouseOut() {
	g.over = -1
	if g.OnHint != nil {
		g.OnHint("")
	}
}

// MinSize implements [fyne.Widget].
func (g *Gallery) MinSize() fyne.Size {
	n := float32(len(g.thumbs))
	return fyne.NewSize(max(n*(g.Side+galleryGap)-galleryGap, g.Side), g.Side)
}

// CreateRenderer implements [fyne.Widget].
func (g *Gallery) CreateRenderer() fyne.WidgetRenderer {
	g.ExtendBaseWidget(g)
	g.r = &galleryRenderer{g: g}
	g.r.Refresh()
	return g.r
}

type galleryRenderer struct {
	g       *Gallery
	cells   []galleryCell
	objects []fyne.CanvasObject
}

type galleryCell struct {
	back, frame *canvas.Rectangle
	img         *canvas.Image
}

func (r *galleryRenderer) Destroy()                     {}
func (r *galleryRenderer) MinSize() fyne.Size           { return r.g.MinSize() }
func (r *galleryRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *galleryRenderer) Layout(fyne.Size) {
	s := r.g.Side
	for i, c := range r.cells {
		x := float32(i) * (s + galleryGap)
		place(c.back, x, 0, s, s)
		place(c.img, x, 0, s, s)
		place(c.frame, x, 0, s, s)
	}
}

func (r *galleryRenderer) Refresh() {
	g, p := r.g, theme.Current()
	for len(r.cells) < len(g.thumbs) {
		c := galleryCell{canvas.NewRectangle(color.Transparent), canvas.NewRectangle(color.Transparent), &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScaleFastest}}
		c.img.CornerRadius = theme.RadiusToken
		r.cells = append(r.cells, c)
	}
	r.cells = r.cells[:len(g.thumbs)]
	r.objects = r.objects[:0]
	for i, t := range g.thumbs {
		c := r.cells[i]
		c.back.FillColor, c.back.CornerRadius = palette.Dark.Mask, theme.RadiusToken
		c.frame.CornerRadius, c.frame.StrokeWidth, c.frame.StrokeColor = theme.RadiusToken, 0, color.Transparent
		switch {
		case t.ID == g.selected:
			c.frame.StrokeWidth, c.frame.StrokeColor = 2, p.LimeInk
		case t.Mark:
			c.frame.StrokeWidth, c.frame.StrokeColor = 2, p.Done
		}
		if c.img.Image != t.Image {
			c.img.Image = t.Image
			c.img.Refresh()
		}
		c.img.Hidden = t.Image == nil
		r.objects = append(r.objects, c.back, c.img, c.frame)
	}
	r.Layout(g.Size())
	canvas.Refresh(g)
}
