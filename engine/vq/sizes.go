package vq

import (
	"fmt"
	"image"
	"math"

	"unmask/engine"
)

// maxRatio is the most that one side of a size of [Sizes] is longer than the other.
const maxRatio = 4.0

// Sizes lists the picture sizes that Lumina-DiMOO was trained on: sides are multiples of patch pixels, the area is at most
// n patches and no patch more would fit, widest first.
func Sizes(n, patch int) []image.Point {
	var list []image.Point
	for w, h := n, 1; w > 0; {
		if float64(max(w, h))/float64(min(w, h)) <= maxRatio {
			list = append(list, image.Pt(w*patch, h*patch))
		}
		if (h+1)*w <= n {
			h++
		} else {
			w--
		}
	}
	return list
}

// Nearest is the size of list whose proportions are nearest to w x h: the one that loses least. Equal ones: the wider, then
// the higher.
func Nearest(list []image.Point, w, h int) image.Point {
	best, at := -1.0, image.Point{}
	for _, s := range list {
		x, y := float64(s.X)/float64(w), float64(s.Y)/float64(h)
		r := min(x, y) / max(x, y)
		if r > best || r == best && (s.X > at.X || s.X == at.X && s.Y > at.Y) {
			best, at = r, s
		}
	}
	return at
}

// Cut fits img to size as Lumina-DiMOO does: halved by averages while it is at least twice as large, resized so that it
// covers size, cut to it. The published code cuts at random; this is the centre. Transparent pixels are laid over white.
func Cut(img image.Image, size image.Point) (*image.NRGBA, error) {
	src, err := opaque(img)
	if err != nil {
		return nil, err
	}
	if size.X < 1 || size.Y < 1 || int64(size.X)*int64(size.Y) > maxPixels {
		return nil, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%v pixels wanted, want 1 to %d in all", size, maxPixels)}
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	for w >= 2*size.X && h >= 2*size.Y {
		w, h = w/2, h/2
		src = resizeBy(boxFilter, src, w, h, image.Rect(0, 0, w, h))
	}
	scale := max(float64(size.X)/float64(w), float64(size.Y)/float64(h))
	nw, nh := int(math.RoundToEven(float64(w)*scale)), int(math.RoundToEven(float64(h)*scale))
	if int64(nw)*int64(nh) > maxPixels {
		return nil, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%d x %d pixels cover %v only at %d x %d, want at most %d in all", w, h, size, nw, nh, maxPixels)}
	}
	left, top := (nw-size.X)/2, (nh-size.Y)/2
	return resize(src, nw, nh, image.Rect(left, top, left+size.X, top+size.Y)), nil
}
