package models

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/parts"
	"unmask/ui/theme"
)

// where shows the names of the published checkpoints. Nothing is fetched: a person gets them with a tool of their own.
func (p *Pane) where() {
	var rows []fyne.CanvasObject
	for _, r := range engine.Releases {
		title := parts.VStack(2, 0, 0, parts.Strong(r.Title), parts.Caption(r.Size))
		var names []fyne.CanvasObject
		for _, n := range r.Names {
			names = append(names, parts.Number(n).Shortened())
		}
		rows = append(rows, parts.Beside(150, 12, title, parts.VStack(3, 0, 0, append(names, parts.Caption(r.Does))...)))
	}
	var pop *widget.PopUp
	shut := parts.NewButton(parts.Flat, "", fynetheme.CancelIcon(), func() { pop.Hide(); p.env.Window().Canvas().Overlays().Remove(pop) })
	head := parts.HStack(8, 0, 0, parts.Grow(80, parts.Title("Where to get models", theme.TextHeading)), shut)
	words := parts.Soft("Names on the Hugging Face hub, where nothing else is said. Unmask fetches nothing: get a folder with the tool you trust, then add it here.").Wrapped()
	body := container.NewBorder(parts.VStack(10, 0, 8, head, words), nil, nil, nil, container.NewVScroll(parts.VStack(14, 4, 4, rows...)))
	pop = widget.NewModalPopUp(parts.Inset(12, 16, 12, 20, body), p.env.Window().Canvas())
	size := p.env.Window().Canvas().Size()
	pop.Resize(fyne.NewSize(min(720, size.Width-40), min(560, size.Height-60)))
	pop.Show()
}
