package ui

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// welcome is the page of the first start: a sample run plays by itself, and three examples a pane are one tap away.
type welcome struct {
	w       *Window
	content *fyne.Container
	stage   *parts.Stage
	prompt  *parts.Text
	numbers map[string]*parts.Text
	cards   *fyne.Container
	made    bool
	wrote   int64
}

func newWelcome(w *Window) *welcome {
	c := &welcome{w: w, numbers: map[string]*parts.Text{}, prompt: parts.Strong("")}
	start := parts.NewButton(parts.Run, "Type your own prompt", nil, func() { w.Dispatch(state.ShowPane{Pane: state.PaneChat}) })
	skip := parts.NewButton(parts.Flat, "Skip", nil, func() { w.Dispatch(state.LeaveWelcome{}) })
	key := func(sample fyne.CanvasObject, text string) fyne.CanvasObject {
		return parts.HStack(10, 0, 0, parts.Fixed(18, 18, sample), parts.Dense(text).Whole())
	}
	words := parts.VStack(14, 0, 0,
		parts.Title("Everything starts as a mask.", theme.TextTitle).Wrapped(),
		parts.Soft("At each step the model proposes a token for every masked cell, and the surest ones stay. This is the built-in model painting, on this computer, right now.").Wrapped(),
		parts.VStack(8, 0, 4, key(parts.Swatch("mask"), "masked: not known yet"), key(parts.Swatch("unsure"), "just unmasked, unsure: warm"), key(parts.Swatch("sure"), "just unmasked, sure: cool"), key(parts.Swatch("yours"), "yours: pinned, painted or selected")),
		parts.HStack(12, 0, 0, start, skip),
	)
	c.stage = parts.NewStage(w)
	rows := []fyne.CanvasObject{c.prompt}
	for _, n := range []string{"step", "cells", "forward passes", "ms a pass", "time left"} {
		t := parts.Number(figures.Unknown)
		c.numbers[n] = t
		rows = append(rows, parts.HStack(8, 0, 0, parts.Grow(0, parts.Soft(n)), t))
	}
	rows = append(rows, parts.Inset(6, 0, 0, 0, widgets.NewLegend()), parts.Caption("confidence of the token when it was unmasked").Wrapped())
	c.cards = container.NewGridWithColumns(4)
	top := container.New(welcomeLayout{}, words, c.stage, parts.VStack(8, 0, 0, rows...))
	c.content = container.NewBorder(nil, parts.Inset(0, 48, 28, 48, c.cards), nil, nil, parts.Inset(20, 48, 12, 48, top))
	return c
}

// welcomeLayout puts words, stage and numbers beside each other, all centred in height.
type welcomeLayout struct{}

// MinSize implements [fyne.Layout].
func (welcomeLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(760, 260) }

// Layout implements [fyne.Layout].
func (welcomeLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	right := float32(230)
	side := min(s.Height, 320, s.Width-right-340-72)
	left := s.Width - right - side - 96
	put := func(o fyne.CanvasObject, x, w float32) {
		h := min(parts.HeightFor(o, w), s.Height)
		o.Move(fyne.NewPos(x, (s.Height-h)/2))
		o.Resize(fyne.NewSize(w, h))
	}
	put(o[0], 0, min(left, 440))
	o[1].Move(fyne.NewPos(left+48, (s.Height-side)/2))
	o[1].Resize(fyne.NewSquareSize(side))
	put(o[2], s.Width-right, right)
}

func (c *welcome) fit(fyne.Size) {}

func (c *welcome) apply(s *state.State) {
	if s.Model.Loaded && !c.made {
		c.made = true
		c.fill(s.Model.Spec)
	}
	if !s.Welcome {
		c.stage.Play(nil)
	}
}

// fill makes a card of three examples a pane from what the model can do.
func (c *welcome) fill(spec engine.Spec) {
	texts := map[state.Pane][]string{
		state.PaneChat:    append(append([]string{}, first(spec.Examples[engine.Chat], 2)...), spec.Examples[engine.Infill]...),
		state.PaneCanvas:  spec.Examples[engine.TextToImage],
		state.PaneInpaint: spec.Examples[engine.Inpaint],
		state.PaneCompare: spec.Examples[engine.Chat],
	}
	c.cards.Objects = nil
	for _, row := range Panes {
		if texts[row.Pane] == nil {
			continue
		}
		items := []fyne.CanvasObject{parts.HStack(10, 4, 2, parts.Symbol(row.icon(), 20, fynetheme.ColorNameForeground), parts.Title(row.Label, theme.TextBody).Whole())}
		for _, t := range first(texts[row.Pane], 3) {
			items = append(items, parts.NewButton(parts.Row, t, fynetheme.NavigateNextIcon(), func() {
				c.w.Dispatch(state.TryExample{Pane: row.Pane, Text: t, Run: row.Pane != state.PaneInpaint})
			}))
		}
		c.cards.Add(parts.NewBox(theme.ColorRaised, theme.RadiusCard, parts.VStack(6, 12, 12, items...)))
	}
	c.cards.Refresh()
}

func first(s []string, n int) []string { return s[:min(n, len(s))] }

func (c *welcome) observe() {
	v := c.w.store.View(c.w.store.now.Panes[state.PaneCanvas].Shown)
	c.stage.Play(v)
	if v == nil || v.Run.Started() == nil {
		return
	}
	now := c.w.Now().Milliseconds()
	if now-c.wrote < 250 && !v.Run.Done() {
		return
	}
	c.wrote = now
	c.prompt.Set(state.Prompt(v.Run.Started().Job))
	n := v.Run.Started().Answer.Len()
	set := func(name, text string) { c.numbers[name].Set(text) }
	set("step", fmt.Sprintf("%d of %d", v.Step(), v.Run.Planned()))
	set("cells", fmt.Sprintf("%d of %d", n-v.State().Masked, n))
	if v.Step() > 0 {
		in := v.Run.Infos()[v.Step()-1]
		set("forward passes", figures.Count(in.NFE))
		set("ms a pass", fmt.Sprintf("%.1f", in.Until.Seconds()*1000/float64(max(in.NFE, 1))))
	}
	left := figures.Unknown
	if d, ok := v.Left.Update(v.Run, c.w.Now()); ok {
		left = figures.Left(d)
	}
	set("time left", left)
}
