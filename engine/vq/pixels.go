package vq

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"unmask/engine"
)

// maxPixels is the largest picture that is prepared for the encoder.
const maxPixels = 1 << 28

// Crop fits img to w x h pixels as the published pre-processing does: bicubic resize of the shorter side to size, then a
// centre crop. Equal to Pillow's resize and torchvision's crop to the byte, for opaque pictures; transparent pixels are
// laid over white.
func Crop(img image.Image, w, h int) (*image.NRGBA, error) {
	src, err := opaque(img)
	if err != nil {
		return nil, err
	}
	iw, ih := src.Rect.Dx(), src.Rect.Dy()
	nw, nh := w, h
	if w*ih >= h*iw {
		nh = max(h, int(int64(w)*int64(ih)/int64(iw)))
	} else {
		nw = max(w, int(int64(h)*int64(iw)/int64(ih)))
	}
	left, top := halfEven(nw-w), halfEven(nh-h)
	return resize(src, nw, nh, image.Rect(left, top, left+w, top+h)), nil
}

// CropRect is the part of img, in its own coordinates, that [Crop] keeps for a target of w x h pixels.
func CropRect(img image.Image, w, h int) image.Rectangle {
	b := img.Bounds()
	iw, ih := b.Dx(), b.Dy()
	if iw < 1 || ih < 1 || w < 1 || h < 1 {
		return image.Rectangle{}
	}
	cw, ch := iw, ih
	if w*ih >= h*iw {
		ch = max(1, int(int64(h)*int64(iw)/int64(w)))
	} else {
		cw = max(1, int(int64(w)*int64(ih)/int64(h)))
	}
	at := b.Min.Add(image.Pt((iw-cw)/2, (ih-ch)/2))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(cw, ch))}
}

// Squash resizes img to w x h pixels without keeping its proportions: the published pre-processing of charts and
// documents.
func Squash(img image.Image, w, h int) (*image.NRGBA, error) {
	src, err := opaque(img)
	if err != nil {
		return nil, err
	}
	return resize(src, w, h, image.Rect(0, 0, w, h)), nil
}

// opaque copies img over white.
func opaque(img image.Image) (*image.NRGBA, error) {
	if img == nil {
		return nil, &engine.InputError{Item: "picture", Reason: "there is none"}
	}
	b := img.Bounds()
	if b.Empty() || int64(b.Dx())*int64(b.Dy()) > maxPixels {
		return nil, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%d x %d pixels, want 1 to %d in all", b.Dx(), b.Dy(), maxPixels)}
	}
	dst := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	if src, ok := img.(*image.NRGBA); ok && src.Opaque() {
		for y := range b.Dy() {
			copy(dst.Pix[y*dst.Stride:], src.Pix[src.PixOffset(b.Min.X, b.Min.Y+y):][:4*b.Dx()])
		}
		return dst, nil
	}
	rgba := image.NewRGBA(dst.Rect)
	draw.Draw(rgba, rgba.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(rgba, rgba.Rect, img, b.Min, draw.Over)
	copy(dst.Pix, rgba.Pix)
	return dst, nil
}

// halfEven is n/2 rounded to the nearest even integer at one half, as torchvision's centre crop rounds.
func halfEven(n int) int {
	q := n / 2
	if n%2 != 0 && q%2 != 0 {
		q++
	}
	return q
}

// Planes turns a picture into [3, h, w] in [-1, 1]: x/255, then (x-0.5)/0.5, in f32.
func Planes(img *image.NRGBA) []float32 {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := make([]float32, 3*w*h)
	for y := range h {
		row := img.Pix[y*img.Stride:]
		for x := range w {
			for c := range 3 {
				v := float32(row[4*x+c]) / 255
				out[(c*h+y)*w+x] = (v - 0.5) / 0.5
			}
		}
	}
	return out
}

// ToByte turns a decoder output into a byte: (y+1)/2 clamped to [0, 1], times 255, truncated. NaN gives 0.
func ToByte(y float32) byte {
	v := (y + 1) / 2
	if !(v > 0) {
		return 0
	}
	return byte(min(v, 1) * 255)
}
