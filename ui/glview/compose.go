package glview

import (
	"errors"
	"image"
	"image/color"
	"strings"
	"time"

	"golang.org/x/image/draw"

	"unmask/ui/flow"
	"unmask/ui/paint"
	"unmask/ui/palette"
)

// scaledPicture is the picture of a step at the size of the frame.
type scaledPicture struct {
	from image.Image
	to   *image.RGBA
}

// Compose fills f with what scene and animation look like at time now. f's memory is reused.
func Compose(f *Frame, s *Scene, a *Anim, now time.Duration) error {
	for {
		err := compose(f, s, a, now)
		if !errors.Is(err, errAtlasFull) {
			return err
		}
		// The words of this frame alone fit: begin the atlas again.
		for _, a := range []*Atlas{s.atlas, s.small} {
			if a != nil {
				a.clear()
			}
		}
		f.reset(f.W, f.H, f.Back)
		if err = compose(f, s, a, now); errors.Is(err, errAtlasFull) {
			return nil // more words than an atlas holds; those that fit are there
		}
		return err
	}
}

func compose(f *Frame, s *Scene, a *Anim, now time.Duration) error {
	back := s.pal.Canvas
	if s.pictureW > 0 && s.textW == 0 {
		back = palette.Dark.Canvas // pictures are always in the dark
	}
	if s.cfg.Back != nil {
		back = *s.cfg.Back
	}
	f.reset(s.cfg.Width, s.cfg.Height, back)
	if s.run == nil || s.run.Started() == nil || !a.shown {
		return nil
	}
	if err := s.captions(f); err != nil {
		return err
	}
	s.picture(f, a)
	for i := range s.places {
		pc := &s.places[i]
		if pc.pos >= len(a.state.Cells) {
			continue
		}
		l := a.look(pc.pos, now)
		var err error
		if pc.word {
			err = s.word(f, a, pc, &l)
		} else {
			s.cell(f, a, pc, &l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// picture puts the picture of the step shown below the cells, dark where there is none yet.
func (s *Scene) picture(f *Frame, a *Anim) {
	if s.pictureW == 0 {
		return
	}
	if !s.pal.Dark && s.textW > 0 {
		// The dark canvas of a picture in a light room, a little larger than the picture.
		m := 8 * s.cfg.Scale
		f.Below = append(f.Below, paint.Box{X: float32(s.pictureX) - m, Y: float32(s.pictureY) - m, W: float32(s.pictureW) + 2*m,
			H: float32(s.pictureH) + 2*m, Radius: 8 * s.cfg.Scale, Fill: palette.Dark.Canvas})
	}
	src := s.run.Source()
	if img, _ := s.run.Preview(a.state.Step); img != nil {
		src = img
	}
	if src == nil || src.Bounds().Empty() {
		return
	}
	if s.scaled.from != src || s.scaled.to == nil || s.scaled.to.Rect.Dx() != s.pictureW || s.scaled.to.Rect.Dy() != s.pictureH {
		to := image.NewRGBA(image.Rect(0, 0, s.pictureW, s.pictureH))
		draw.Draw(to, to.Rect, image.NewUniform(palette.Dark.Canvas), image.Point{}, draw.Src)
		scale(to, src)
		s.scaled = scaledPicture{src, to}
	}
	f.Pictures = append(f.Pictures, Picture{s.pictureX, s.pictureY, s.scaled.to})
}

// scale draws src over the whole of dst: smooth when it grows, averaged when it shrinks.
func scale(dst *image.RGBA, src image.Image) {
	var k draw.Interpolator = draw.CatmullRom
	if b := src.Bounds(); b.Dx() < dst.Rect.Dx() {
		k = draw.BiLinear
	}
	k.Scale(dst, dst.Rect, src, src.Bounds(), draw.Over, nil)
}

// cell draws a square.
func (s *Scene) cell(f *Frame, a *Anim, pc *place, l *Look) {
	k := s.cfg.Scale
	x, y, w, h := float32(pc.x), float32(pc.y), float32(pc.w), float32(pc.h)
	if l.Under > 0 && s.pictureW > 0 {
		back := s.pal.Canvas
		if a.palette(&a.state.Cells[pc.pos]).Dark {
			back = palette.Dark.Canvas
		}
		f.Boxes = append(f.Boxes, paint.Box{X: x, Y: y, W: w, H: h, Fill: palette.Alpha(back, l.Under)})
	}
	g := float32(pc.gap)
	x, y, w, h = x+g/2, y+g/2, w-g, h-g
	if pc.gap%2 == 1 { // keep edges on whole pixels
		x, y = x-.5, y-.5
	}
	if l.Fill.A > 0 || l.Width > 0 {
		b := paint.Box{X: x, Y: y, W: w, H: h, Radius: min(3*k, w/3), Fill: l.Fill, Line: l.Line, Width: max(l.Width*k, 0)}
		grow(&b, l.Grow)
		f.Boxes = append(f.Boxes, b)
	}
	s.over(f, a, l, paint.Box{X: x, Y: y, W: w, H: h, Radius: min(3*k, w/3)}, pc)
}

// word draws a token as text, or the bar that hides it.
func (s *Scene) word(f *Frame, a *Anim, pc *place, l *Look) error {
	k := s.cfg.Scale
	c := &a.state.Cells[pc.pos]
	inset := max(float32(round(float32(pc.h)*.16)), 1)
	pad := float32(round(float32(pc.h) * .09))
	b := paint.Box{X: float32(pc.x), Y: float32(pc.y) + inset, W: float32(pc.w), H: float32(pc.h) - 2*inset, Radius: 4 * k}
	switch {
	case !c.Masked:
		b.X, b.W = b.X-pad, b.W+2*pad
	case b.W > 8: // a line of the room between masks that touch
		b.X, b.W = b.X+1, b.W-2
	}
	if a.state.IsEnd(pc.pos) || c.AfterEnd && !c.Masked && a.textOf(pc.pos) == "" {
		// An end token: a short dash.
		dash := paint.Box{X: float32(pc.x), Y: float32(pc.y + pc.h/2 - round(k)), W: float32(pc.w), H: 2 * k, Radius: k, Fill: palette.Alpha(s.pal.MaskLight, .7)}
		f.Boxes = append(f.Boxes, dash)
		return nil
	}
	if l.Fill.A > 0 || l.Width > 0 {
		box := b
		box.Fill, box.Line, box.Width = l.Fill, l.Line, l.Width*k
		grow(&box, l.Grow)
		f.Boxes = append(f.Boxes, box)
	}
	if l.Bar > 0 && l.BarColor.A > 0 {
		thick := max(float32(round(2*k)), 1)
		f.Boxes = append(f.Boxes, paint.Box{X: float32(pc.x), Y: float32(pc.y+pc.h) - inset + thick/2, W: max(float32(pc.w)*l.Bar, 1), H: thick, Fill: l.BarColor})
	}
	if l.Old.A > 0 {
		if err := s.ink(f, pc, c.WasText, l.Old, l.OldShift); err != nil {
			return err
		}
	}
	if !c.Masked && l.Ink.A > 0 {
		if err := s.ink(f, pc, c.Text, l.Ink, l.Shift); err != nil {
			return err
		}
	}
	s.over(f, a, l, b, pc)
	return nil
}

// ink draws a text of a place.
func (s *Scene) ink(f *Frame, pc *place, text string, c color.NRGBA, shift float32) error {
	text = flow.Visible(text)
	if text == "" {
		return nil
	}
	w, err := s.atlas.word(text)
	if err != nil {
		return err
	}
	y := pc.y + (pc.h-w.place.Dy())/2 + round(shift*s.cfg.Scale)
	layer := f.words(s.atlas)
	layer.Words = append(layer.Words, Word{X: pc.x + w.dx, Y: y, Place: w.place, Color: c})
	return nil
}

// over draws what lies above a cell b: corner marks, the triangle of an edit, the lime frame.
func (s *Scene) over(f *Frame, a *Anim, l *Look, b paint.Box, pc *place) {
	k := s.cfg.Scale
	pl := a.palette(&a.state.Cells[pc.pos])
	if l.Marks > 0 {
		out := min(2*k, b.W/8)
		arm := min(max(7*k, 2), b.W/2.5)
		for _, m := range paint.Marks(b.X-out, b.Y-out, b.W+2*out, b.H+2*out, arm, max(float32(round(1.5*k)), 1), palette.Alpha(pl.Text, l.Marks)) {
			f.Over = append(f.Over, m)
		}
	}
	if l.Triangle > 0 {
		side := min(7*k, b.W/2)
		f.Over = append(f.Over, paint.Box{X: b.X + b.W - side, Y: b.Y, W: side, H: side, Shape: paint.Corner, Fill: palette.Alpha(pl.Text, l.Triangle)})
	}
	if l.Frame > 0 {
		w := max(float32(round(2*k)), 1)
		if pc.word {
			fr := b
			fr.Line, fr.Width = palette.Alpha(pl.LimeInk, l.Frame), w
			fr.Fill = color.NRGBA{}
			f.Over = append(f.Over, fr)
			return
		}
		// On a picture: lime between dark lines, so that it shows on any picture.
		dark := paint.Box{X: b.X - 1, Y: b.Y - 1, W: b.W + 2, H: b.H + 2, Radius: b.Radius + 1, Line: palette.Alpha(pl.Canvas, l.Frame), Width: w + 2}
		lime := paint.Box{X: b.X, Y: b.Y, W: b.W, H: b.H, Radius: b.Radius, Line: palette.Alpha(pl.LimeFill, l.Frame), Width: w}
		f.Over = append(f.Over, dark, lime)
	}
}

func grow(b *paint.Box, by float32) {
	if by == 0 {
		return
	}
	dx, dy := b.W*by/2, b.H*by/2
	b.X, b.Y, b.W, b.H = b.X-dx, b.Y-dy, b.W+2*dx, b.H+2*dy
}

// captions draws the texts and the progress that stand around an exported animation.
func (s *Scene) captions(f *Frame) error {
	c := &s.cfg.Captions
	if *c == (Captions{}) {
		return nil
	}
	k := s.cfg.Scale
	if s.small == nil {
		a, err := NewAtlas(s.cfg.Fonts, float64(13*k))
		if err != nil {
			return err
		}
		s.small = a
	}
	m := int(s.cfg.Margin * k)
	width := s.cfg.Width - 2*m
	right := int(s.small.Measure(c.Right) + .5)
	put := func(text string, x int, col color.NRGBA) error {
		w, err := s.small.word(text)
		if err != nil || text == "" {
			return err
		}
		layer := f.words(s.small)
		layer.Words = append(layer.Words, Word{X: x + w.dx, Y: m, Place: w.place, Color: col})
		return nil
	}
	pal := s.pal
	if s.pictureW > 0 && s.textW == 0 {
		pal = &palette.Dark
	}
	left := c.Left
	for left != "" && int(s.small.Measure(left)) > width-right-int(12*k) { // cut to what fits
		r := []rune(strings.TrimSuffix(left, "…"))
		left = strings.TrimRight(string(r[:len(r)-1]), " ") + "…"
		if len(r) <= 1 {
			left = ""
		}
	}
	if err := put(left, m, pal.Text); err != nil {
		return err
	}
	if err := put(c.Right, m+width-right, pal.Text2); err != nil {
		return err
	}
	y := float32(s.cfg.Height-m) - 3*k
	f.Boxes = append(f.Boxes,
		paint.Box{X: float32(m), Y: y, W: float32(width), H: 3 * k, Radius: 1.5 * k, Fill: pal.Mask},
		paint.Box{X: float32(m), Y: y, W: float32(width) * clamp(c.Progress), H: 3 * k, Radius: 1.5 * k, Fill: pal.LimeInk})
	return nil
}
