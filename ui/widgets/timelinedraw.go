package widgets

import (
	"image"
	"image/color"

	"unmask/ui/paint"
	"unmask/ui/palette"
	"unmask/ui/theme"
)

// barColor is the confidence of a bar's tokens; bars that only remasked have the tone of masks.
func barColor(p *palette.Palette, b bar) color.NRGBA {
	if b.mean == 0 && b.remasked {
		return p.MaskLight
	}
	return p.Fill[palette.Index(b.mean)]
}

// drawTrack draws bars, block lines, marks and play head into dst: the track's whole area, of height h units.
func (t *Timeline) drawTrack(dst *image.RGBA, scale float32) {
	r := t.run
	if r == nil || r.Started() == nil {
		return
	}
	p := theme.Current()
	h := float32(dst.Rect.Dy()) / scale
	w := float32(dst.Rect.Dx())/scale - 2*trackInset
	tr := track{w, r.Planned()}
	bottom := h - 1
	tall := bottom - 22
	if t.compact {
		tall = bottom - 14
	}
	for i, e := range blockEdges(r) {
		if i > 0 {
			x := trackInset + tr.x(e.step)
			paint.Draw(dst, rect(x-.5, 8, x+.5, h, scale, p.Line))
		}
	}
	bars := tr.bars(r.Infos())
	most := float32(1)
	for _, b := range bars {
		most = max(most, height(b.changed))
	}
	gap := float32(1)
	if len(bars) > 0 && w/float32(len(bars)) >= 8 {
		gap = 2
	}
	for _, b := range bars {
		x0, x1 := trackInset+tr.x(b.lo), trackInset+tr.x(b.hi)-gap
		if !b.made {
			paint.Draw(dst, rect(x0, bottom-3, x1, bottom, scale, p.Mask))
			continue
		}
		box := rect(x0, bottom-max(3, tall*height(b.changed)/most), x1, bottom, scale, barColor(p, b))
		box.Radius = scale
		paint.Draw(dst, box)
		if b.remasked {
			m := rect((x0+x1)/2-.75, bottom-tall-8, (x0+x1)/2+.75, bottom-tall-3, scale, p.Text)
			paint.Draw(dst, m)
		}
	}
	t.drawMarks(dst, scale, tr, bottom)
	x := trackInset + tr.x(t.Step())
	paint.Draw(dst, rect(x-1, 1, x+1, h, scale, p.LimeInk))
	handle := rect(x-6, 0, x+6, 8, scale, p.LimeInk)
	handle.Shape = paint.Down
	paint.Draw(dst, handle)
	if t.focused {
		ring := rect(1, 1, float32(dst.Rect.Dx())/scale-1, h, scale, color.NRGBA{})
		ring.Radius, ring.Line, ring.Width = theme.RadiusInput*scale, p.LimeInk, 2*scale
		paint.Draw(dst, ring)
	}
}

func (t *Timeline) drawMarks(dst *image.RGBA, scale float32, tr track, bottom float32) {
	p := theme.Current()
	for _, m := range t.marks {
		c := p.LimeInk
		if m.Kind == BranchMark {
			c = p.Text
		}
		x := trackInset + tr.x(m.Step)
		paint.Draw(dst, rect(x-.5, 10, x+.5, bottom, scale, palette.Alpha(c, .7)))
		dot := rect(x-3.5, 7, x+3.5, 14, scale, c)
		dot.Radius = 3.5 * scale
		paint.Draw(dst, dot)
	}
}
