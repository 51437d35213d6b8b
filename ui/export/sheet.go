package export

import (
	"image"
	"image/draw"
	"image/png"
	"io"

	"unmask/ui/palette"
	"unmask/ui/run"
)

// sheetGap is the room between the pictures of a sheet, in pixels.
const sheetGap = 8

// maxSheet bounds the pictures of a sheet.
const maxSheet = 64

// Sheet writes n states of r to w as one PNG, columns in a row, evenly spaced in steps, the first and the last among them.
// Fewer are written when r has fewer states.
func Sheet(w io.Writer, r *run.Run, n, columns int, o Options) error {
	if r == nil || r.Started() == nil {
		return ErrEmpty
	}
	n = min(max(n, 1), r.Len()+1, maxSheet)
	columns = min(max(columns, 1), n)
	back := palette.For(o.Config.Dark).Window
	var sheet *image.RGBA
	for i := range n {
		step := r.Len()
		if n > 1 {
			step = i * r.Len() / (n - 1)
		}
		img, err := Still(r, step, o)
		if err != nil {
			return err
		}
		cw, ch := img.Rect.Dx()+sheetGap, img.Rect.Dy()+sheetGap
		if sheet == nil {
			rows := (n + columns - 1) / columns
			sheet = image.NewRGBA(image.Rect(0, 0, columns*cw+sheetGap, rows*ch+sheetGap))
			draw.Draw(sheet, sheet.Rect, image.NewUniform(back), image.Point{}, draw.Src)
		}
		at := image.Pt(sheetGap+i%columns*cw, sheetGap+i/columns*ch)
		draw.Draw(sheet, img.Rect.Add(at), img, image.Point{}, draw.Src)
	}
	return png.Encode(w, sheet)
}
