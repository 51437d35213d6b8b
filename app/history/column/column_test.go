package column

import (
	"image"
	"testing"

	"unmask/engine"
)

// FuzzUnpack feeds the readers of stored columns what a damaged file may hold.
func FuzzUnpack(f *testing.F) {
	p, err := PackPicture(image.NewNRGBA(image.Rect(0, 0, 3, 2)))
	if err != nil {
		f.Fatal(err)
	}
	m, err := PackMask(image.NewAlpha(image.Rect(1, 1, 4, 4)))
	if err != nil {
		f.Fatal(err)
	}
	s, err := Pack([]engine.Step{{Index: 3, Changes: []engine.Change{{Pos: 1, Text: "a"}}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{p, m, s, nil, p[:9], s[:4]} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if img, err := UnpackPicture(b); err == nil && img != nil && len(img.Pix) < 4*img.Rect.Dx()*img.Rect.Dy() {
			t.Error("a picture with too few pixels")
		}
		if m, err := UnpackMask(b); err == nil && m != nil && len(m.Pix) < m.Rect.Dx()*m.Rect.Dy() {
			t.Error("a mask with too few pixels")
		}
		var steps []engine.Step
		_ = Unpack(b, &steps)
	})
}
