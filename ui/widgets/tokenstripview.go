package widgets

import (
	"fmt"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/flow"
	"unmask/ui/palette"
	"unmask/ui/theme"
)

// stripRenderer draws the visible tokens with pooled objects: rectangles below, texts, frames above.
type stripRenderer struct {
	s       *TokenStrip
	rects   []*canvas.Rectangle
	texts   []*canvas.Text
	nr, nt  int
	frames  []frame
	icon    *canvas.Image
	arrow   *canvas.Image
	objects []fyne.CanvasObject
}

type frame struct {
	x, y, w, h, width float32
	c                 color.NRGBA
}

func (r *stripRenderer) Destroy() {}

func (r *stripRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *stripRenderer) MinSize() fyne.Size { return r.s.MinSize() }

func (r *stripRenderer) Layout(fyne.Size) {}

func (r *stripRenderer) rect(x, y, w, h, radius float32, fill color.NRGBA) *canvas.Rectangle {
	if r.nr == len(r.rects) {
		r.rects = append(r.rects, canvas.NewRectangle(color.Transparent))
	}
	o := r.rects[r.nr]
	r.nr++
	o.FillColor, o.CornerRadius, o.StrokeWidth = fill, radius, 0
	place(o, x, y, w, h)
	return o
}

func (r *stripRenderer) text(t string, size, x, y, h float32, mono bool, c color.NRGBA) {
	if r.nt == len(r.texts) {
		r.texts = append(r.texts, newText(textStyle{}))
	}
	o := r.texts[r.nt]
	r.nt++
	if o.TextSize != size || o.TextStyle.Monospace != mono || o.Text != t || o.Color != color.Color(c) {
		o.TextSize, o.TextStyle, o.Text, o.Color = size, fyne.TextStyle{Monospace: mono}, t, c
	}
	m := fyne.MeasureText(t, size, o.TextStyle)
	place(o, x, y+(h-m.Height)/2, m.Width, m.Height)
}

func (r *stripRenderer) Refresh() {
	s, p := r.s, theme.Current()
	r.nr, r.nt, r.frames = 0, 0, r.frames[:0]
	if len(s.state.Cells) > 0 {
		for i := range s.flow.Items {
			it := &s.flow.Items[i]
			if it.Y+theme.LineToken < s.top || it.Y > s.bottom || it.Pos >= len(s.state.Cells) {
				continue
			}
			r.item(it, p)
		}
		r.thought(p)
		r.rest(p)
	}
	r.objects = r.objects[:0]
	for _, o := range r.rects[:r.nr] {
		r.objects = append(r.objects, o)
	}
	for _, o := range r.texts[:r.nt] {
		r.objects = append(r.objects, o)
	}
	if t := s.flow.Thought; t != nil && s.flow.Folded() && r.icon != nil {
		r.objects = append(r.objects, r.icon, r.arrow)
	}
	for _, f := range r.frames {
		o := r.rect(f.x, f.y, f.w, f.h, theme.RadiusToken, color.NRGBA{})
		o.StrokeColor, o.StrokeWidth = f.c, f.width
		r.objects = append(r.objects, o)
	}
	canvas.Refresh(s)
}

// item draws one position as the state shown has it, at its place.
//
// size: one branch a look of a token.
func (r *stripRenderer) item(it *flow.Item, p *palette.Palette) {
	s := r.s
	c := &s.state.Cells[it.Pos]
	run := s.flow.Run()
	settled := run.Done() && s.state.Step == run.Len()
	x, y, w := it.X, it.Y, it.W
	if r.framed(it) {
		col, width := p.LimeInk, float32(2)
		if c.Masked && s.selected[it.Pos] {
			width = 1
		}
		r.frames = append(r.frames, frame{x - 4, y + 2, w + 8, theme.LineToken - 4, width, col})
	}
	if s.painted[it.Pos] {
		r.stroke(x-4, y+2, w+8, theme.LineToken-4, p)
	}
	if text, ok := s.changed[it.Pos]; ok {
		r.change(it, text, p)
		return
	}
	switch {
	case it.Kind == flow.Blank:
		return
	case c.Masked:
		r.mask(it, p)
		return
	case it.Kind == flow.Tick:
		r.rect(x, y+theme.LineToken/2-2, w, 4, 2, palette.Alpha(p.MaskLight, .7))
		return
	}
	text := it.Text
	if it.Kind == flow.Mask || c.Kind == engine.Edit || c.Step < s.state.Step && it.Text == "" {
		text = flow.Visible(c.Text)
	}
	ink := p.InkOf(s.view, palette.Written{Prob: c.Prob, Entropy: c.Entropy, Rank: c.Rank, Ranked: s.state.Ranked})
	fresh := c.Step > 0 && !c.Fixed && !settled
	switch {
	case c.AfterEnd:
		ink = p.Text2
	case c.Fixed:
		ink = p.Text
	case c.Step == 0: // the run began with it
		ink = p.Text
		if s.marked[it.Pos] {
			r.rect(x-2, y+2, w+4, theme.LineToken-4, theme.RadiusToken, p.Selected)
		}
	case fresh && c.Step == s.state.Step:
		r.rect(x-3, y+2, w+6, theme.LineToken-4, theme.RadiusToken, p.Chip(palette.Index(c.Prob)))
		ink = p.OnChip
	case fresh && c.Step == s.state.Step-1:
		r.rect(x-3, y+2, w+6, theme.LineToken-4, theme.RadiusToken, palette.Alpha(p.Chip(palette.Index(c.Prob)), .28))
		ink = p.Text
	default:
		if s.marked[it.Pos] {
			r.rect(x-2, y+2, w+4, theme.LineToken-4, theme.RadiusToken, p.Selected)
		}
		bar := p.FillOf(s.view, palette.Written{Prob: c.Prob, Entropy: c.Entropy, Rank: c.Rank, Ranked: s.state.Ranked})
		r.rect(x, y+theme.LineToken-3, max(w*c.Prob, 1), 2, 0, bar)
	}
	r.text(text, theme.TextToken, x, y, theme.LineToken-2, false, ink)
}

// change draws what a person changed: a mask with a lime line, or another text, which is written smaller where the place is
// too narrow for it.
func (r *stripRenderer) change(it *flow.Item, text string, p *palette.Palette) {
	if text == "" {
		o := r.rect(it.X, it.Y+5, max(it.W, 6), 16, theme.RadiusToken, p.Mask)
		o.StrokeColor, o.StrokeWidth = p.LimeInk, 1
		return
	}
	text = flow.Visible(text)
	size := float32(theme.TextToken)
	if m := fyne.MeasureText(text, size, fyne.TextStyle{}).Width; m > it.W+8 {
		size = max(9, size*(it.W+8)/m)
	}
	r.rect(it.X-4, it.Y+2, it.W+8, theme.LineToken-4, theme.RadiusToken, p.Raised)
	r.text(text, size, it.X, it.Y, theme.LineToken-2, false, p.Text)
}

// stroke draws the brush's stroke under a token: lime, with dots.
func (r *stripRenderer) stroke(x, y, w, h float32, p *palette.Palette) {
	r.rect(x, y, w, h, theme.RadiusToken, palette.Alpha(p.LimeInk, .12))
	for dy := float32(3); dy < h-1; dy += 6 {
		for dx := float32(3); dx < w-1; dx += 6 {
			r.rect(x+dx, y+dy, 2, 2, 1, palette.Alpha(p.LimeInk, .8))
		}
	}
}

func (r *stripRenderer) framed(it *flow.Item) bool {
	s := r.s
	return s.pinned[it.Pos] || s.selected[it.Pos] || s.focused && s.cursor == it.Pos
}

// mask draws a hidden position in one of four tones, by position: the strip never shimmers.
func (r *stripRenderer) mask(it *flow.Item, p *palette.Palette) {
	c := &r.s.state.Cells[it.Pos]
	tone := palette.Mix(p.Mask, p.MaskLight, float32((it.Pos*7+it.Pos/4)&3)/3)
	if c.AfterEnd || it.Pos >= r.s.state.Block.Hi {
		tone = palette.Alpha(tone, .38)
	}
	o := r.rect(it.X, it.Y+5, max(it.W, 6), 16, theme.RadiusToken, tone)
	if p.Contrast {
		o.StrokeColor, o.StrokeWidth = p.Border, 1
	}
	if c.Kind == engine.Remask && c.Step > 0 && c.Step == r.s.state.Step {
		o.StrokeColor, o.StrokeWidth = p.Text, 1
	}
}

// thought draws the line that stands for a folded thought.
func (r *stripRenderer) thought(p *palette.Palette) {
	s := r.s
	t := s.flow.Thought
	if t == nil || !s.flow.Folded() || t.Y+stripHeader < s.top || t.Y > s.bottom {
		return
	}
	tokens, masked, first, last := 0, 0, 1<<30, 0
	for i := t.Lo; i < t.Hi && i < len(s.state.Cells); i++ {
		c := &s.state.Cells[i]
		switch {
		case c.Masked:
			masked++
		case c.Step > 0 && !c.AfterEnd:
			tokens++
			first, last = min(first, c.Step), max(last, c.Step)
		}
	}
	label := fmt.Sprintf("Thought: %s, %s", plural(tokens, "token"), plural(max(last-first+1, 0), "step"))
	if !t.Closed || masked > 0 {
		label = fmt.Sprintf("Thinking: %d of %s", tokens, plural(tokens+masked, "token"))
	}
	w := fyne.MeasureText(label, theme.TextDense, fyne.TextStyle{}).Width
	r.rect(0, t.Y, w+36+28, theme.Control, theme.RadiusInput, p.Raised)
	r.text(label, theme.TextDense, 36, t.Y, theme.Control, false, p.Text2)
	if r.icon == nil {
		r.icon = canvas.NewImageFromResource(theme.Icon("think"))
		r.arrow = canvas.NewImageFromResource(fynetheme.MenuExpandIcon())
		r.icon.FillMode, r.arrow.FillMode = canvas.ImageFillContain, canvas.ImageFillContain
	}
	place(r.icon, 10, t.Y+8, 16, 16)
	place(r.arrow, 36+w+6, t.Y+8, 16, 16)
}

// rest counts the masks of later blocks.
func (r *stripRenderer) rest(p *palette.Palette) {
	s := r.s
	if s.flow.Rest == 0 {
		return
	}
	y := s.flow.Height
	r.rect(0, y+10, 52, 6, 3, palette.Alpha(p.Mask, .7))
	r.text(fmt.Sprintf("next block: %s", plural(s.flow.Rest, "more mask")), theme.TextCaption, 60, y, stripRest, false, p.Text2)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
