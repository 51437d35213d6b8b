package main

import (
	"bytes"
	"fmt"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/webp"

	"unmask/engine"
)

// Limits of a picture file that a person gives.
const (
	maxPictureBytes  = 64 << 20
	maxPicturePixels = 64 << 20
)

// readPicture reads a PNG, JPEG, GIF, WebP or BMP file. Its size is checked before a pixel is decoded.
func readPicture(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	defer f.Close()
	return decodePicture(path, f)
}

func decodePicture(name string, r io.Reader) (image.Image, error) {
	bad := func(format string, a ...any) error {
		return &engine.FormatError{Format: "picture", Path: name, Reason: fmt.Sprintf(format, a...)}
	}
	b, err := io.ReadAll(io.LimitReader(r, maxPictureBytes+1))
	if err != nil {
		return nil, fmt.Errorf("picture: %s: %w", name, err)
	}
	if len(b) > maxPictureBytes {
		return nil, bad("the file is larger than %d bytes", maxPictureBytes)
	}
	c, kind, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, bad("%d bytes are no PNG, JPEG, GIF, WebP or BMP: %v", len(b), err)
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxPicturePixels/c.Height {
		return nil, bad("%d x %d pixels, at most %d are read", c.Width, c.Height, maxPicturePixels)
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, bad("the %s of %d x %d pixels in %d bytes is broken: %v", kind, c.Width, c.Height, len(b), err)
	}
	return img, nil
}

// readMask reads an image mask for a picture of the given size: repaint where it is white, or, in a file with
// transparency, where it is opaque.
func readMask(path, picture string, size image.Point) (*image.Alpha, error) {
	img, err := readPicture(path)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	b := img.Bounds()
	if b.Size() != size {
		return nil, &engine.InputError{Item: "mask", Reason: fmt.Sprintf("%s has %d x %d pixels, the picture %s has %d x %d",
			path, b.Dx(), b.Dy(), picture, size.X, size.Y)}
	}
	byAlpha := false
	if o, ok := img.(interface{ Opaque() bool }); ok {
		byAlpha = !o.Opaque()
	}
	m := image.NewAlpha(image.Rectangle{Max: size})
	any := false
	for y := range size.Y {
		for x := range size.X {
			r, g, bl, a := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
			v := (299*r + 587*g + 114*bl) / 1000
			if byAlpha {
				v = a
			}
			m.Pix[y*m.Stride+x] = uint8(v >> 8)
			any = any || v>>8 >= 128
		}
	}
	if !any {
		return nil, &engine.InputError{Item: "mask", Reason: fmt.Sprintf("%s has no white pixel among %d: nothing would be repainted", path, size.X*size.Y)}
	}
	return m, nil
}
