// Package models is the pane of models: what is known, what fits this machine, and what is loaded.
package models

import (
	"os"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
)

// detailWide is the width of the details at the right.
const detailWide = 380

// Pane is the pane of models.
type Pane struct {
	env    parts.Env
	root   *fyne.Container
	search *parts.Field
	list   *widget.List
	empty  *fyne.Container
	error  *parts.Error
	detail *detail
	now    *state.State
	shown  []state.Row
	free   int64
	chosen string
}

// New makes the pane.
func New(env parts.Env) *Pane {
	p := &Pane{env: env}
	p.search = parts.Hook(env, parts.NewField("Search, or the path of a model to add", false))
	p.search.Icon = fynetheme.SearchIcon()
	p.search.OnChanged = func(q string) {
		if !isPath(q) {
			env.Dispatch(state.FindModels{Query: q})
		}
	}
	p.search.OnSubmitted = func(q string) {
		if isPath(q) {
			p.search.SetText("")
			env.Dispatch(state.AddModels{Paths: []string{home(q)}})
		}
	}
	add := parts.NewButton(parts.Normal, "Add folder", fynetheme.FolderOpenIcon(), p.pick)
	add.Hint, add.OnHint = "Add the folder of a checkpoint  Ctrl+O", env.Note
	p.list = widget.NewList(func() int { return len(p.shown) }, func() fyne.CanvasObject { return newRow() }, func(i widget.ListItemID, o fyne.CanvasObject) {
		if i < len(p.shown) {
			o.(*row).set(p.shown[i], p.free, p.shown[i].ID() == p.chosen)
		}
	})
	p.list.HideSeparators = true
	p.list.OnSelected = func(i widget.ListItemID) {
		p.list.UnselectAll()
		if i < len(p.shown) {
			env.Dispatch(state.ChooseModel{ID: p.shown[i].ID()})
		}
	}
	p.empty = parts.Empty(fynetheme.SearchIcon(), "Nothing of that name", "The search looks in names, families and paths.",
		parts.NewButton(parts.Normal, "Clear the search", nil, func() { p.search.SetText("") }))
	p.error = parts.NewError()
	p.error.OnDismiss = func() { env.Dispatch(state.DismissError{Pane: state.PaneModels}) }
	p.detail = newDetail(p)
	head := parts.HStack(8, 0, 0, parts.Grow(120, parts.Fixed(0, theme.Control, p.search)), add)
	names := columns(0, parts.Caption("model and tasks"), right(parts.Caption("size")), parts.Caption("type"), right(parts.Caption("on disk")),
		parts.Caption("memory, of what is free"), parts.Caption("on this machine"))
	where := parts.NewButton(parts.Flat, "Where to get models", nil, p.where)
	foot := parts.HStack(8, 8, 0, parts.Symbol(fynetheme.InfoIcon(), 16, theme.ColorText2),
		parts.Grow(80, parts.Soft("Drop a checkpoint folder, or a file of it, anywhere on this window.")), where)
	left := container.NewBorder(parts.VStack(12, 0, 0, head, p.error, names), parts.VStack(0, 0, 4, foot), nil, nil, container.NewStack(p.list, p.empty))
	p.root = container.New(sides{}, parts.Inset(12, 16, 6, 16, left), p.detail.box)
	return p
}

// sides gives the details their width and the list the rest.
type sides struct{}

// MinSize implements [fyne.Layout].
func (sides) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(720, 300) }

// Layout implements [fyne.Layout].
func (sides) Layout(o []fyne.CanvasObject, s fyne.Size) {
	wide := float32(detailWide)
	if s.Width < 960 {
		wide = 300
	}
	o[0].Move(fyne.NewPos(0, 0))
	o[0].Resize(fyne.NewSize(s.Width-wide, s.Height))
	o[1].Move(fyne.NewPos(s.Width-wide, 0))
	o[1].Resize(fyne.NewSize(wide, s.Height))
}

// isPath reports whether what is typed into the search is a path.
func isPath(q string) bool {
	return strings.HasPrefix(q, "/") || strings.HasPrefix(q, "~") || filepath.IsAbs(q) || strings.HasPrefix(q, `\\`)
}

// home puts the person's folder in the place of "~".
func home(q string) string {
	q = strings.TrimSpace(q)
	if dir, err := os.UserHomeDir(); err == nil && (q == "~" || strings.HasPrefix(q, "~/")) {
		return filepath.Join(dir, strings.TrimPrefix(q, "~"))
	}
	return q
}

// pick lets a folder be picked.
func (p *Pane) pick() {
	d := dialog.NewFolderOpen(func(u fyne.ListableURI, err error) {
		switch {
		case err != nil:
			p.env.Dispatch(state.NotRead{Pane: state.PaneModels, Err: err})
		case u != nil:
			p.env.Dispatch(state.AddModels{Paths: []string{u.Path()}})
		}
	}, p.env.Window())
	d.SetConfirmText("Add")
	size := p.env.Window().Canvas().Size()
	d.Resize(fyne.NewSize(min(820, size.Width-60), min(560, size.Height-60)))
	d.Show()
}

// Content implements the pane.
func (p *Pane) Content() fyne.CanvasObject { return p.root }

// Bar implements the pane.
func (p *Pane) Bar() fyne.CanvasObject { return nil }

// Heading implements the pane.
func (p *Pane) Heading(s *state.State) (string, string) {
	return "Models", state.Plural(len(s.Models.Known.Models)+1, "model")
}

// Apply implements the pane.
func (p *Pane) Apply(s *state.State) {
	p.now = s
	if s.Pane != state.PaneModels || s.Welcome {
		return
	}
	if !isPath(p.search.Text) {
		p.search.Put(s.Models.Query)
	}
	p.shown, p.free = s.Rows(), s.Room()
	chosen := s.ChosenRow()
	p.chosen = chosen.ID()
	show(p.empty, len(p.shown) == 0)
	err := s.Models.Err
	if err == nil {
		err = s.Panes[state.PaneModels].Err
	}
	if err != nil {
		p.error.ShowTrouble(p.env.Explain(err))
	} else {
		p.error.Clear()
	}
	p.list.Refresh()
	p.detail.apply(s, chosen)
}

func show(o fyne.CanvasObject, on bool) {
	if on != o.Visible() {
		if on {
			o.Show()
		} else {
			o.Hide()
		}
	}
}

// Names are the names of the models listed, in the order of their rows.
func (p *Pane) Names() (names []string) {
	for _, r := range p.shown {
		names = append(names, r.Name)
	}
	return names
}

// RowPlace is a point in row i of the list, in the window; ok is false while it is not in view.
func (p *Pane) RowPlace(i int) (at fyne.Position, ok bool) {
	at = fyne.CurrentApp().Driver().AbsolutePositionForObject(p.list)
	pitch := rowHigh + p.list.Theme().Size(fynetheme.SizeNamePadding)
	y := float32(i)*pitch - p.list.GetScrollOffset() + rowHigh/2
	return at.AddXY(60, y), at.Y > 0 && y > 0 && y < p.list.Size().Height
}

// ActionPlace is the middle of the main action of the chosen model, in the window, and what that says: the action, and the
// model. ok is false while it cannot be taken.
func (p *Pane) ActionPlace() (at fyne.Position, words string, ok bool) {
	b := p.detail.load
	at = fyne.CurrentApp().Driver().AbsolutePositionForObject(b)
	return at.AddXY(b.Size().Width/2, b.Size().Height/2), p.detail.action + ": " + p.detail.row.Name, at.Y > 0 && p.detail.can
}

// Observe implements the pane.
func (p *Pane) Observe() {}

// Fit implements the pane.
func (p *Pane) Fit(fyne.Size) {}

// Rune implements the pane: up and down are the list's, Delete takes the chosen model off.
func (p *Pane) Rune(r rune) bool {
	if r == '\x7f' && p.chosen != "" {
		p.env.Dispatch(state.RemoveModel{ID: p.chosen})
		return true
	}
	return false
}

// Shortcut implements the pane.
func (p *Pane) Shortcut(s fyne.Shortcut) bool {
	c, ok := s.(*desktop.CustomShortcut)
	if !ok {
		return false
	}
	switch c.KeyName {
	case fyne.KeyF:
		p.env.Window().Canvas().Focus(p.search)
	case fyne.KeyO:
		p.pick()
	default:
		return false
	}
	return true
}
