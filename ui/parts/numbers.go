package parts

import (
	"fmt"

	"fyne.io/fyne/v2"

	"unmask/ui/figures"
	"unmask/ui/state"
)

// Numbers are the figures of a run at the step shown, one a row. They agree with each other and change at most four times
// a second.
type Numbers struct {
	Box   *fyne.Container
	env   Env
	texts map[string]*Text
	noun  string // "cells"
	wrote int64
	id    string
	step  int
}

// NewNumbers makes the rows; noun is what positions are called.
func NewNumbers(env Env, noun string) *Numbers {
	n := &Numbers{env: env, noun: noun, texts: map[string]*Text{}, step: -1}
	var rows []fyne.CanvasObject
	for _, name := range []string{noun, "forward passes", "ms a pass", "time left"} {
		t := Number(figures.Unknown)
		n.texts[name] = t
		rows = append(rows, HStack(8, 0, 0, Grow(0, Soft(name)), t))
	}
	n.Box = VStack(6, 0, 0, rows...)
	return n
}

// Show writes the figures of v; nil: none are known.
func (n *Numbers) Show(v *state.View) {
	if v == nil || v.Run.Started() == nil {
		for _, t := range n.texts {
			t.Set(figures.Unknown)
		}
		n.id = ""
		return
	}
	now := n.env.Now().Milliseconds()
	if v.ID == n.id && v.Step() == n.step && !v.Run.Done() || v.ID == n.id && !v.Run.Done() && now-n.wrote < 250 {
		return
	}
	n.wrote, n.id, n.step = now, v.ID, v.Step()
	all := v.Run.Started().Answer.Len()
	fixed := 0
	for p := v.State().Answer.Lo; p < v.State().Answer.Hi; p++ {
		if v.State().Cells[p].Fixed {
			fixed++
		}
	}
	n.texts[n.noun].Set(fmt.Sprintf("%d of %d", all-fixed-v.State().Masked, all-fixed))
	if v.Step() > 0 {
		in := v.Run.Infos()[v.Step()-1]
		passes := figures.Count(in.NFE)
		if v.Run.Started().Job.Options.Guidance > 0 {
			passes += " (guided × 2)"
		}
		n.texts["forward passes"].Set(passes)
		n.texts["ms a pass"].Set(fmt.Sprintf("%.1f", in.Until.Seconds()*1000/float64(max(in.NFE, 1))))
	}
	left := figures.Unknown
	if d, ok := v.Left.Update(v.Run, n.env.Now()); ok {
		left = figures.Left(d)
		left = left[:len(left)-len(" left")]
	}
	n.texts["time left"].Set(left)
}
