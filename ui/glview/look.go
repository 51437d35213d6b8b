package glview

import (
	"image/color"
	"math"
	"time"

	"unmask/engine"
	"unmask/ui/palette"
	"unmask/ui/run"
)

// palette is dark for picture cells in both variants: a picture is a light source.
func (a *Anim) palette(c *run.Cell) *palette.Palette {
	if c.Modality == engine.Image {
		return &palette.Dark
	}
	return a.scene.pal
}

func (a *Anim) written(c *run.Cell) palette.Written {
	return palette.Written{Prob: c.Prob, Entropy: c.Entropy, Rank: c.Rank, Ranked: a.state.Ranked}
}

// mask is the look of a hidden position: the light crosses on the diagonal while a run goes.
func (a *Anim) mask(p int, c *run.Cell, pl *palette.Palette, now time.Duration) Look {
	tone := pl.Mask
	if a.live {
		var x, y float32
		if pc := a.placeOf(p); pc != nil {
			x, y = pc.cx, pc.cy
		}
		phase := float64(now%shimmerPeriod)/float64(shimmerPeriod) - float64(x+y)/320
		s := .5 + .5*math.Sin(2*math.Pi*phase)
		tone = palette.Mix(pl.Mask, pl.MaskLight, float32(s*s*s))
	}
	if a.later(p, c) {
		tone = palette.Alpha(tone, .38)
	}
	l := Look{Under: 1, Fill: tone}
	if a.scene.cfg.Contrast {
		l.Line, l.Width = pl.Border, 1
	}
	return l
}

func (a *Anim) later(p int, c *run.Cell) bool {
	return c.AfterEnd || p >= a.state.Block.Hi
}

func (a *Anim) placeOf(p int) *place {
	if p < len(a.scene.at) && a.scene.at[p] >= 0 && a.scene.at[p] < len(a.scene.places) {
		return &a.scene.places[a.scene.at[p]]
	}
	return nil
}

// settled is the look of a written position that nothing happens to.
func (a *Anim) settled(c *run.Cell, pl *palette.Palette, word bool) Look {
	v, w := a.scene.cfg.View, a.written(c)
	switch {
	case word && c.Fixed:
		return Look{Ink: pl.Text}
	case word && c.AfterEnd:
		return Look{Ink: pl.Text2}
	case word:
		return Look{Ink: pl.InkOf(v, w), Bar: c.Prob, BarColor: pl.FillOf(v, w)}
	case c.Modality == engine.Image && (v == palette.Tokens || v == palette.Picture):
		return Look{}
	case c.Fixed && c.Modality == engine.Image:
		return Look{}
	case c.Fixed:
		return Look{Under: 1, Fill: palette.Alpha(pl.Text2, .35)}
	case c.AfterEnd:
		return Look{Under: 1, Fill: palette.Alpha(pl.Text2, .18)}
	}
	return Look{Under: 1, Fill: pl.FillOf(v, w)}
}

// still is the look of a position by step alone: full in the step that wrote it, a tint one step later.
func (a *Anim) still(p int, c *run.Cell, pl *palette.Palette, now time.Duration) Look {
	ago := a.state.Step - c.Step
	if c.Masked {
		l := a.mask(p, c, pl, now)
		if c.Step > 0 && ago == 0 {
			l.Marks = 1
		}
		return l
	}
	word := a.isWord(p)
	l := a.settled(c, pl, word)
	if c.Step == 0 || c.AfterEnd || ago > 1 || a.scene.done(a.state.Step) {
		return l
	}
	chip := pl.Fill[palette.Index(c.Prob)]
	if word {
		chip = pl.Chip(palette.Index(c.Prob))
	}
	plain := l.Fill.A > 0 // a coloured cell is its own chip
	switch {
	case a.Reduce && ago == 0:
		l.Line, l.Width = chip, 1.5
		if plain {
			l.Line = pl.Text
		}
		if c.Kind == engine.Edit {
			l.Triangle = 1
		}
	case a.Reduce:
	case ago == 0 && plain:
		l.Line, l.Width = pl.Text, 2
	case ago == 0:
		l.Fill, l.Ink, l.Bar = chip, pl.OnChip, 0
		if !word {
			l.Under = 1
		}
		if c.Kind == engine.Edit {
			l.Triangle = 1
		}
	case plain:
	case word:
		l.Fill, l.Ink = palette.Alpha(chip, .28), pl.Text
	default:
		l.Fill = palette.Alpha(chip, .22)
		l.Line, l.Width = chip, 1
	}
	return l
}

func (a *Anim) isWord(p int) bool {
	pc := a.placeOf(p)
	return pc != nil && pc.word
}

// unmasking fills with the confidence's colour, holds, and drains.
func (a *Anim) unmasking(c *run.Cell, pl *palette.Palette, age time.Duration) Look {
	word := c.Modality == engine.Text && a.scene.flow != nil
	l := a.settled(c, pl, word)
	k := float32(a.flash) / float32(settledAt)
	t := float32(age) / k // in the time of a flash of full length
	if age >= a.flash || c.AfterEnd {
		return l
	}
	if t < float32(growUntil) {
		l.Grow = .04 * (1 - t/float32(growUntil))
	}
	drained := easeOut(clamp((t - float32(holdUntil)) / float32(settledAt-holdUntil)))
	chip := pl.Fill[palette.Index(c.Prob)]
	if word {
		chip = pl.Chip(palette.Index(c.Prob))
	}
	if l.Fill.A > 0 { // a coloured cell stays full; its outline goes
		l.Line, l.Width = palette.Alpha(pl.Text, 1-drained), 2
		return l
	}
	l.Fill = palette.Alpha(chip, 1-drained)
	if word {
		l.Ink = palette.Mix(pl.OnChip, l.Ink, readable(drained))
		l.Bar *= drained
		return l
	}
	l.Under = 0
	return l
}

// remasking fades to the mask and keeps corner marks for a while.
func (a *Anim) remasking(p int, c *run.Cell, pl *palette.Palette, from Look, age, now time.Duration) Look {
	l := a.mask(p, c, pl, now)
	t := clamp(float32(age) / float32(remaskUntil))
	t *= t * t // ease in
	l.Under = from.Under + (l.Under-from.Under)*t
	l.Fill = blend(from.Fill, l.Fill, t)
	l.Old, l.Bar, l.BarColor = palette.Alpha(from.Ink, 1-t), from.Bar*(1-t), from.BarColor
	if age >= remaskUntil {
		l.Old = color.NRGBA{}
	}
	if age < marksUntil {
		l.Marks = clamp(float32(marksUntil-age) / float32(120*time.Millisecond))
	}
	return l
}

// editing lets the old word leave upward and the new one come from below in its own colour.
func (a *Anim) editing(c *run.Cell, pl *palette.Palette, from Look, age time.Duration) Look {
	word := c.Modality == engine.Text && a.scene.flow != nil
	l := a.settled(c, pl, word)
	if age >= editedAt {
		return l
	}
	chip := pl.Fill[palette.Index(c.Prob)]
	if word {
		chip = pl.Chip(palette.Index(c.Prob))
	}
	out := easeOut(clamp(float32(age) / float32(oldGone)))
	in := easeOut(clamp(float32(age-oldGone/2) / float32(oldGone)))
	drained := easeOut(clamp(float32(age-holdUntil) / float32(editedAt-holdUntil)))
	if !word {
		if l.Fill.A == 0 {
			l.Fill = palette.Alpha(chip, (1-drained)*out)
		}
		return l
	}
	l.Old, l.OldShift = palette.Alpha(from.Ink, 1-out), -5*out
	l.Ink = palette.Alpha(palette.Mix(pl.OnChip, l.Ink, readable(drained)), in)
	l.Shift = 5 * (1 - in)
	l.Fill = palette.Alpha(chip, in*(1-drained))
	l.Bar *= drained
	return l
}
