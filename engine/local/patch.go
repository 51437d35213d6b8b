package local

import (
	"context"
	"fmt"
	"image"
	"image/draw"

	"unmask/engine"
)

var _ engine.Patcher = (*Session)(nil)

// maxPatches bounds the codes that are shown at once.
const maxPatches = 64

// Patches implements [engine.Patcher]: a code is decoded in the middle of eight like it, so that no border shows.
func (s *Session) Patches(ctx context.Context, tokens []engine.Token) ([]*image.NRGBA, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if s.closed || s.model == nil {
		return nil, engine.ErrNoModel
	}
	m := s.model
	if m.image == nil || m.spec.Image == nil {
		return nil, &engine.UnsupportedError{What: "a picture with the model " + m.spec.Name, Have: "text"}
	}
	if len(tokens) > maxPatches {
		return nil, &engine.InputError{Item: "codes", Reason: fmt.Sprintf("%d of them, at most %d are shown at once", len(tokens), maxPatches)}
	}
	var out []*image.NRGBA
	err := guard(func() error {
		for _, t := range tokens {
			code := t - m.spec.Image.Offset
			if code < 0 || int(code) >= m.spec.Image.Codebook {
				return &engine.InputError{Item: "codes", Reason: fmt.Sprintf("token %d is none of the %d codes from %d on", t, m.spec.Image.Codebook, m.spec.Image.Offset)}
			}
			codes := make([]engine.Token, 9)
			for i := range codes {
				codes[i] = code
			}
			img, err := m.image.DecodeImage(ctx, codes, 3, 3)
			if err != nil {
				return err
			}
			w, h := img.Rect.Dx()/3, img.Rect.Dy()/3
			cell := image.NewNRGBA(image.Rect(0, 0, w, h))
			draw.Draw(cell, cell.Rect, img, img.Rect.Min.Add(image.Pt(w, h)), draw.Src)
			out = append(out, cell)
		}
		return nil
	})
	return out, err
}
