package parts

import (
	"image"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/theme"
)

// Picture shows a picture, or nothing.
type Picture struct {
	widget.BaseWidget
	img *canvas.Image
}

// NewPicture makes an empty picture.
func NewPicture() *Picture {
	p := &Picture{img: &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScaleFastest}}
	p.img.CornerRadius = theme.RadiusToken
	p.img.Hidden = true
	p.ExtendBaseWidget(p)
	return p
}

// Set shows img; nil shows nothing. The same picture costs nothing.
func (p *Picture) Set(img image.Image) {
	if p.img.Image == img {
		return
	}
	p.img.Image, p.img.Hidden = img, img == nil
	p.img.Refresh()
}

// CreateRenderer implements [fyne.Widget].
func (p *Picture) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(p.img) }

// MinSize implements [fyne.Widget].
func (p *Picture) MinSize() fyne.Size { return fyne.NewSquareSize(16) }
