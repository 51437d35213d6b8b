package main

import (
	"image"
	"image/color"
	"testing"
)

// TestQuantiseKeepsFewColoursExactly uses colours that differ in their upper five bits.
func TestQuantiseKeepsFewColoursExactly(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 64, 3))
	for x := range 64 {
		for y := range 3 {
			img.SetRGBA(x, y, color.RGBA{uint8(x / 8 * 32), uint8(x % 8 * 32), uint8(y * 80), 255})
		}
	}
	p := quantise([]*image.RGBA{img})
	if len(p) > gifColours {
		t.Fatalf("%d colours", len(p))
	}
	n := newNearest(p)
	out := n.paletted(img, img.Rect)
	for y := range 3 {
		for x := range 64 {
			if got := out.At(x, y).(color.RGBA); got != img.RGBAAt(x, y) {
				t.Fatalf("pixel %d, %d is %v, want %v", x, y, got, img.RGBAAt(x, y))
			}
		}
	}
}

func TestChangedIsTheSmallestRectangle(t *testing.T) {
	a, b := image.NewRGBA(image.Rect(0, 0, 20, 10)), image.NewRGBA(image.Rect(0, 0, 20, 10))
	if r := changed(a, b); !r.Empty() {
		t.Errorf("equal pictures differ in %v", r)
	}
	b.SetRGBA(3, 4, color.RGBA{A: 1})
	b.SetRGBA(17, 6, color.RGBA{B: 1})
	if r := changed(a, b); r != image.Rect(3, 4, 18, 7) {
		t.Errorf("changed in %v", r)
	}
}
