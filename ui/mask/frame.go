package mask

import (
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// Side is where an outpaint adds room.
type Side uint8

// The sides.
const (
	Around Side = iota
	Left
	Right
	Above
	Below
)

// Sides names the sides for people.
var Sides = []string{"All around", "To the left", "To the right", "Above", "Below"}

// Frame is a frame half as large again as the picture b, of the same aspect, with the room on a side.
func Frame(b image.Rectangle, s Side) image.Rectangle {
	w, h := b.Dx()/2, b.Dy()/2
	x, y := w/2, h/2 // room at the left and above
	switch s {
	case Left:
		x = w
	case Right:
		x = 0
	case Above:
		y = h
	case Below:
		y = 0
	}
	return image.Rect(b.Min.X-x, b.Min.Y-y, b.Max.X+w-x, b.Max.Y+h-y)
}

// Framed is a picture in its frame, the rest in one colour, and the image mask of the rest.
func Framed(img image.Image, frame image.Rectangle, rest color.Color) (*image.NRGBA, *image.Alpha) {
	size := image.Rect(0, 0, frame.Dx(), frame.Dy())
	out, m := image.NewNRGBA(size), image.NewAlpha(size)
	draw.Draw(out, size, image.NewUniform(rest), image.Point{}, draw.Src)
	draw.Draw(m, size, image.Opaque, image.Point{}, draw.Src)
	in := img.Bounds().Sub(frame.Min)
	draw.Draw(out, in, img, img.Bounds().Min, draw.Src)
	draw.Draw(m, in, image.Transparent, image.Point{}, draw.Src)
	return out, m
}
