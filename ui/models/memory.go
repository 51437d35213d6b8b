package models

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// memory is a line for each arithmetic: what it needs against what is free. A tap chooses it.
func (d *detail) memory(s *state.State, r state.Row) fyne.CanvasObject {
	room := s.Room()
	free := "free memory is not known"
	if room > 0 {
		free = figures.Bytes(room) + " free"
	}
	rows := []fyne.CanvasObject{parts.HStack(8, 0, 0, parts.Strong("Memory").Whole(), layout.NewSpacer(), parts.SmallNumber(free))}
	for _, as := range engine.Types {
		rows = append(rows, d.memoryLine(r, as, room))
	}
	note := "Weights, and " + figures.Bytes(r.Card.Work) + " for a run. The widest that fits is taken; tap one to choose it."
	if r.DType != "" {
		note = "Weights, and " + figures.Bytes(r.Card.Work) + " for a run. You chose " + typeWords[r.DType] + "; tap it again to leave it open."
	}
	if r.Path == "" {
		note = "Weights, and " + figures.Bytes(r.Card.Work) + " for a run."
	}
	return parts.VStack(6, 0, 0, append(rows, parts.Caption(note).Wrapped())...)
}

func (d *detail) memoryLine(r state.Row, as string, room int64) fyne.CanvasObject {
	need := r.Card.Need[as] + r.Card.Work
	words := "fits"
	switch {
	case room <= 0:
		words = ""
	case need > room:
		words = "does not fit"
	}
	bar := widgets.NewMemBar(8)
	bar.Set(r.Card.Need[as], r.Card.Work, room, as == r.Type && need <= room)
	line := parts.HStack(10, 8, 5, parts.Fixed(44, 0, parts.Number(typeWords[as])), parts.Grow(40, parts.Fixed(0, 10, bar)),
		parts.Fixed(66, 0, right(parts.Number(figures.Bytes(need)))), parts.Fixed(72, 0, parts.Caption(words)))
	box := parts.NewBox("", theme.RadiusInput, line)
	if as == r.DType {
		box.Fill = theme.ColorSelected
		box.Outlined(fynetheme.ColorNamePrimary)
	}
	if r.Path == "" {
		return box
	}
	next := as
	if as == r.DType {
		next = ""
	}
	return newTap(box, func() { d.p.env.Dispatch(state.SetType{ID: r.ID(), DType: next}) }, d.p.env.Note, "Load as "+typeWords[as])
}
