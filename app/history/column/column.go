// Package column packs what the history keeps in columns of its database, documents, pictures and masks, and reads it back
// within limits, since the file may be damaged or made by somebody else.
package column

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
)

// Limits of what is read back: the file may be damaged or made by somebody else.
const (
	maxDocument = 256 << 20 // bytes of an unpacked JSON document
	maxPixels   = 64 << 20  // of a picture
)

// Pack returns v as compressed JSON.
func Pack(v any) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Unpack reverses [Pack].
func Unpack(b []byte, v any) error {
	r := &io.LimitedReader{R: flate.NewReader(bytes.NewReader(b)), N: maxDocument}
	if err := json.NewDecoder(r).Decode(v); err != nil {
		if r.N <= 0 {
			return fmt.Errorf("a document is larger than %d bytes", maxDocument)
		}
		return err
	}
	return nil
}

// PackPicture is the origin of img, two little-endian int32, and its PNG. nil stays nil.
func PackPicture(img image.Image) ([]byte, error) {
	if n, ok := img.(*image.NRGBA); img == nil || ok && n == nil {
		return nil, nil
	}
	var b bytes.Buffer
	var origin [8]byte
	lo := img.Bounds().Min
	binary.LittleEndian.PutUint32(origin[0:], uint32(int32(lo.X)))
	binary.LittleEndian.PutUint32(origin[4:], uint32(int32(lo.Y)))
	b.Write(origin[:])
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := enc.Encode(&b, img); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// PackMask is a mask as a grey picture.
func PackMask(m *image.Alpha) ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	return PackPicture(&image.Gray{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect})
}

var errPicture = errors.New("a picture is damaged")

// UnpackPicture reverses [PackPicture]. The result is an *image.NRGBA.
func UnpackPicture(b []byte) (*image.NRGBA, error) {
	img, at, err := decodePicture(b)
	if err != nil || img == nil {
		return nil, err
	}
	out, ok := img.(*image.NRGBA)
	if !ok {
		out = image.NewNRGBA(img.Bounds())
		if rgba, opaque := img.(*image.RGBA); opaque && rgba.Opaque() {
			copy(out.Pix, rgba.Pix)
		} else {
			draw.Draw(out, out.Bounds(), img, img.Bounds().Min, draw.Src)
		}
	}
	out.Rect = out.Rect.Add(at)
	return out, nil
}

// UnpackMask reverses [PackMask].
func UnpackMask(b []byte) (*image.Alpha, error) {
	img, at, err := decodePicture(b)
	if err != nil || img == nil {
		return nil, err
	}
	g, ok := img.(*image.Gray)
	if !ok {
		return nil, fmt.Errorf("%w: a mask is not grey", errPicture)
	}
	return &image.Alpha{Pix: g.Pix, Stride: g.Stride, Rect: g.Rect.Add(at)}, nil
}

func decodePicture(b []byte) (image.Image, image.Point, error) {
	if len(b) == 0 {
		return nil, image.Point{}, nil
	}
	if len(b) < 8 {
		return nil, image.Point{}, fmt.Errorf("%w: %d bytes", errPicture, len(b))
	}
	at := image.Pt(int(int32(binary.LittleEndian.Uint32(b[0:]))), int(int32(binary.LittleEndian.Uint32(b[4:]))))
	c, err := png.DecodeConfig(bytes.NewReader(b[8:]))
	if err != nil {
		return nil, at, fmt.Errorf("%w: %w", errPicture, err)
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxPixels/c.Height {
		return nil, at, fmt.Errorf("%w: %d x %d pixels, at most %d are read", errPicture, c.Width, c.Height, maxPixels)
	}
	img, err := png.Decode(bytes.NewReader(b[8:]))
	if err != nil {
		return nil, at, fmt.Errorf("%w: %w", errPicture, err)
	}
	return img, at, nil
}
