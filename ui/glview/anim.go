package glview

import (
	"image/color"
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
