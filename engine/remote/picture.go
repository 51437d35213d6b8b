package remote

import (
	"fmt"
	"image"
	"image/draw"

	"unmask/engine"
)

// Bounds of pictures that cross the stream, those of engine/local.
const (
	maxSide   = 1 << 15 // pixels
	maxPixels = 64 << 20
	maxAway   = 1 << 24 // coordinate of a corner
)

// picture is the place of a picture in a frame: pixels follow each other in blob, row by row without gaps, 4 bytes a pixel
// (R, G, B, A, not premultiplied), or 1 byte where Alpha is set.
type picture struct {
	Role  string `json:"role"`            // "image", "mask", "source", "finished", "preview", "message"
	Index int    `json:"index,omitempty"` // of the message
	Known int    `json:"known,omitempty"` // n: the picture n (from 1) of the request, and no pixels
	Alpha bool   `json:"alpha,omitempty"`
	X     int    `json:"x"` // upper left corner
	Y     int    `json:"y"`
	W     int    `json:"w"`
	H     int    `json:"h"`
}

// The roles.
const (
	roleImage    = "image"
	roleMask     = "mask"
	roleSource   = "source"
	roleFinished = "finished"
	rolePreview  = "preview"
	roleMessage  = "message"
)

// flat is img as the engine sees it: 8-bit pixels that are not premultiplied.
func flat(img image.Image) *image.NRGBA {
	if n, ok := img.(*image.NRGBA); ok {
		return n
	}
	n := image.NewNRGBA(img.Bounds())
	draw.Draw(n, n.Rect, img, n.Rect.Min, draw.Src)
	return n
}

// checkSize refuses a picture that can not be sent. Empty ones are sent: the engine says what it thinks of them.
func checkSize(item string, r image.Rectangle) error {
	w, h := r.Dx(), r.Dy()
	if w > maxSide || h > maxSide || w*h > maxPixels {
		return &engine.InputError{Item: item, Reason: fmt.Sprintf("%d x %d pixels, want 1 to %d a side and at most %d", w, h, maxSide, maxPixels)}
	}
	for _, v := range []int{r.Min.X, r.Min.Y} {
		if v < -maxAway || v > maxAway {
			return &engine.InputError{Item: item, Reason: fmt.Sprintf("lies at %v, at most %d away are possible", r.Min, maxAway)}
		}
	}
	return nil
}

// pictures collects the pictures of a frame that is written.
type pictures struct {
	List  []picture
	parts [][]byte
	known []image.Image // pictures of the request, which are sent back by number
}

// add appends img, which may be nil: *image.NRGBA or *image.Alpha. item names it in errors.
func (p *pictures) add(item string, at picture, img image.Image) error {
	for i, k := range p.known {
		if k == img {
			at.Known = i + 1
			p.List = append(p.List, at)
			return nil
		}
	}
	r := img.Bounds()
	if err := checkSize(item, r); err != nil {
		return err
	}
	at.X, at.Y, at.W, at.H = r.Min.X, r.Min.Y, max(r.Dx(), 0), max(r.Dy(), 0)
	switch img := img.(type) {
	case *image.NRGBA:
		p.rows(img.Pix, img.Stride, 4*at.W, at.H)
	case *image.Alpha:
		at.Alpha = true
		p.rows(img.Pix, img.Stride, at.W, at.H)
	default:
		return fmt.Errorf("a picture of type %T is not sent", img)
	}
	p.List = append(p.List, at)
	return nil
}

// rows appends h rows of n bytes, without a copy where there are no gaps between them.
func (p *pictures) rows(pix []byte, stride, n, h int) {
	if n == 0 || h == 0 {
		return
	}
	if stride == n {
		p.parts = append(p.parts, pix[:n*h])
		return
	}
	for y := range h {
		p.parts = append(p.parts, pix[y*stride:][:n])
	}
}

// unpack gives each picture of list to use, out of blob, which the pictures share from then on. Sizes are checked before use.
func unpack(list []picture, blob []byte, known []image.Image, use func(p picture, img image.Image) error) error {
	for i, p := range list {
		item := fmt.Sprintf("picture %d (%.20q)", i+1, p.Role)
		if p.Known != 0 {
			if p.Known < 1 || p.Known > len(known) {
				return bad(item, "is picture %d of the request, which has %d", p.Known, len(known))
			}
			if err := use(p, known[p.Known-1]); err != nil {
				return err
			}
			continue
		}
		if p.W < 0 || p.H < 0 || p.W > maxSide || p.H > maxSide || p.W*p.H > maxPixels || p.X < -maxAway || p.X > maxAway || p.Y < -maxAway || p.Y > maxAway {
			return bad(item, "%d x %d pixels at (%d, %d), at most %d a side and %d in all are read", p.W, p.H, p.X, p.Y, maxSide, maxPixels)
		}
		r := image.Rect(p.X, p.Y, p.X+p.W, p.Y+p.H)
		size := 4
		if p.Alpha {
			size = 1
		}
		n := size * p.W * p.H
		if n > len(blob) {
			return bad(item, "%d bytes of pixels, %d are left", n, len(blob))
		}
		pix := blob[:n:n]
		blob = blob[n:]
		var img image.Image = &image.NRGBA{Pix: pix, Stride: 4 * p.W, Rect: r}
		if p.Alpha {
			img = &image.Alpha{Pix: pix, Stride: p.W, Rect: r}
		}
		if err := use(p, img); err != nil {
			return err
		}
	}
	if len(blob) > 0 {
		return bad("pictures", "%d bytes belong to none", len(blob))
	}
	return nil
}
