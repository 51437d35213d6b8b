package glview

import (
	"image"
	"image/color"

	"unmask/ui/paint"
)

// Frame is one picture to draw, in order: Back, Below, Pictures, Boxes, Layers, Over. Lengths are pixels from the upper left.
type Frame struct {
	W, H     int
	Back     color.NRGBA
	Below    []paint.Box
	Pictures []Picture
	Boxes    []paint.Box
	Layers   []Layer
	Over     []paint.Box
}

// Layer is words of one atlas.
type Layer struct {
	Atlas *Atlas
	Words []Word
}

// Picture is an opaque picture drawn pixel by pixel at (X, Y). The same Image means the same pixels.
type Picture struct {
	X, Y  int
	Image *image.RGBA
}

// Word is a text of the atlas in one colour, its upper left pixel at (X, Y).
type Word struct {
	X, Y  int
	Place image.Rectangle // in the atlas
	Color color.NRGBA
}

// reset empties f and keeps its memory.
func (f *Frame) reset(w, h int, back color.NRGBA) {
	f.W, f.H, f.Back = w, h, back
	f.Below, f.Pictures, f.Boxes, f.Over = f.Below[:0], f.Pictures[:0], f.Boxes[:0], f.Over[:0]
	for i := range f.Layers {
		f.Layers[i].Words = f.Layers[i].Words[:0]
	}
}

// words is the layer of atlas a, made when there is none.
func (f *Frame) words(a *Atlas) *Layer {
	for i := range f.Layers {
		if f.Layers[i].Atlas == a {
			return &f.Layers[i]
		}
	}
	f.Layers = append(f.Layers, Layer{Atlas: a})
	return &f.Layers[len(f.Layers)-1]
}

// Renderer draws frames. It is for one goroutine at a time; all methods block.
type Renderer interface {
	// Draw draws f into dst, whose size is f's.
	Draw(f *Frame, dst *image.RGBA) error
	// Info says what draws, for the status bar: "GL 4.5 llvmpipe", "software".
	Info() string
	Close() error
}
