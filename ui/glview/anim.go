package glview

import (
	"image/color"
	"math"
	"time"

	"unmask/engine"
	"unmask/ui/flow"
	"unmask/ui/palette"
	"unmask/ui/run"
)

// Times of motion.
const (
	shimmerPeriod = 2400 * time.Millisecond
	growUntil     = 60 * time.Millisecond  // a fresh cell is larger until then
	holdUntil     = 90 * time.Millisecond  // and full of its colour until then
	settledAt     = 350 * time.Millisecond // the fill has drained
	remaskUntil   = 180 * time.Millisecond
	marksUntil    = 780 * time.Millisecond
	oldGone       = 120 * time.Millisecond // an edited token's old glyph
	editedAt      = 400 * time.Millisecond
	frameIn       = 120 * time.Millisecond // a pin's frame
	shortest      = 120 * time.Millisecond // of a flash when steps come fast
)

// Look is what a position looks like at one time. Opacities are in [0, 1].
type Look struct {
	Under    float32     // of the room's colour below the cell, which hides the picture
	Fill     color.NRGBA // of the cell; alpha counts
	Grow     float32     // share by which the cell is larger
	Line     color.NRGBA // inside the cell's edge
	Width    float32     // of the line, units
	Ink      color.NRGBA // of the word
	Shift    float32     // of the word downward, units
	Old      color.NRGBA // of the word that leaves
	OldShift float32
	Bar      float32 // length of the bar under the word, as a share
	BarColor color.NRGBA
	Marks    float32 // opacity of the corner marks
	Triangle float32 // opacity of the corner triangle
	Frame    float32 // opacity of the frame of a pinned or selected cell
}

// Anim gives the look of every position at any time. It is told which state is shown and when; what it answers depends on
// these times alone.
type Anim struct {
	Reduce bool // no motion
	scene  *Scene
	state  run.State
	shown  bool
	live   bool          // masks shimmer
	flash  time.Duration // length of a flash
	cells  []motion
	pinned map[int]time.Duration
	last   time.Duration // time after which nothing but masks moves
}

// motion is a change of a position that is under way.
type motion struct {
	on    bool
	begun time.Duration
	from  Look // what was drawn then
}

// NewAnim makes an animation over scene.
func NewAnim(scene *Scene) *Anim { return &Anim{scene: scene, Reduce: scene.cfg.ReduceMotion} }

// Show makes st the state shown at time now. tween plays the changes since the last state, which must be an earlier one
// of the same run; without it the state is there at once. took is how long the newest step took. st is copied.
func (a *Anim) Show(st *run.State, now time.Duration, tween bool, took time.Duration) {
	n := len(st.Cells)
	if len(a.cells) != n {
		a.cells = make([]motion, n)
		a.shown = false
	}
	tween = tween && a.shown && !a.Reduce && st.Step >= a.state.Step
	a.flash = settledAt
	if took < shortest {
		a.flash = min(max(shortest, 3*took), settledAt)
	}
	if tween {
		for p := range st.Cells {
			c := &st.Cells[p]
			if c.Step > a.state.Step {
				from := a.look(p, now)
				a.cells[p] = motion{on: true, begun: now, from: from}
				a.last = max(a.last, now+a.length(c))
			}
		}
	} else {
		clear(a.cells)
		a.last = now
	}
	cells := append(a.state.Cells[:0], st.Cells...)
	a.state = *st
	a.state.Cells = cells
	// A static state marks the cells of its own and the step before; a moving one settles.
	a.shown = true
	if tween {
		a.static(false)
	} else {
		a.static(true)
	}
}

// static says whether cells of the newest steps are marked by step (scrubbing) or by time (playing).
func (a *Anim) static(on bool) {
	for p := range a.cells {
		m := &a.cells[p]
		c := &a.state.Cells[p]
		if !on && !m.on && c.Step > 0 {
			// Already settled, long ago.
			*m = motion{on: true, begun: -time.Hour}
		}
	}
}

// SetLive lets masks shimmer, or stops them.
func (a *Anim) SetLive(on bool) { a.live = on && !a.Reduce }

// SetPinned frames positions in lime from time now on.
func (a *Anim) SetPinned(pos []int, now time.Duration) {
	old := a.pinned
	a.pinned = make(map[int]time.Duration, len(pos))
	for _, p := range pos {
		t, ok := old[p]
		if !ok {
			t = now
			a.last = max(a.last, now+frameIn)
		}
		a.pinned[p] = t
	}
}

// Moving reports whether another frame after now would differ.
func (a *Anim) Moving(now time.Duration) bool {
	if !a.shown {
		return false
	}
	return now < a.last || a.live && a.state.Masked > 0
}

func (a *Anim) length(c *run.Cell) time.Duration {
	switch c.Kind {
	case engine.Remask:
		return marksUntil
	case engine.Edit:
		return editedAt
	default:
		return a.flash
	}
}

// look is what position p looks like at time now.
func (a *Anim) look(p int, now time.Duration) Look {
	c := &a.state.Cells[p]
	pl := a.palette(c)
	var l Look
	if m := a.cells[p]; m.on {
		age := now - m.begun
		switch {
		case c.Masked:
			l = a.remasking(p, c, pl, m.from, age, now)
		case c.Kind == engine.Edit:
			l = a.editing(c, pl, m.from, age)
		default:
			l = a.unmasking(c, pl, age)
		}
	} else {
		l = a.still(p, c, pl, now)
	}
	if t, ok := a.pinned[p]; ok {
		l.Frame = 1
		if !a.Reduce {
			l.Frame = clamp(float32(now-t) / float32(frameIn))
		}
	}
	return l
}

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

// done reports whether step is the last one of a finished run: then nothing is fresh.
func (s *Scene) done(step int) bool { return s.run != nil && s.run.Done() && step >= s.run.Len() }

// textOf is what is drawn for position p.
func (a *Anim) textOf(p int) string { return flow.Visible(a.state.Cells[p].Text) }

// readable is how far a word has changed from the colour that is read on a chip to its own when the chip has drained so
// far: quickly, while the chip is neither, so that the two greys never meet.
func readable(drained float32) float32 { return clamp((drained - .25) / .2) }

func easeOut(t float32) float32 { return 1 - (1-t)*(1-t)*(1-t) }

func clamp(v float32) float32 { return min(max(v, 0), 1) }

// blend is palette.Mix for colours of which one may be absent.
func blend(a, b color.NRGBA, t float32) color.NRGBA {
	if a.A == 0 {
		return palette.Alpha(b, t)
	}
	if b.A == 0 {
		return palette.Alpha(a, 1-t)
	}
	return palette.Mix(a, b, t)
}
