// Package library is the pane that finds every run there is: by prompt and answer, newest first.
package library

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
)

// Pane is the Library.
type Pane struct {
	env    parts.Env
	root   *fyne.Container
	search *parts.Field
	list   *widget.List
	empty  *fyne.Container
	none   *fyne.Container
	error  *parts.Error
	now    *state.State
	shown  []state.Run
}

// New makes the pane.
func New(env parts.Env) *Pane {
	p := &Pane{env: env}
	p.search = parts.Hook(env, parts.NewField("Search prompts and answers", false))
	p.search.Icon = fynetheme.SearchIcon()
	p.search.OnChanged = func(q string) { env.Dispatch(state.FindRuns{Query: q}) }
	p.list = widget.NewList(func() int { return len(p.shown) }, func() fyne.CanvasObject { return newRow(p) }, func(i widget.ListItemID, o fyne.CanvasObject) {
		if i < len(p.shown) {
			o.(*row).set(p.shown[i])
		}
	})
	p.list.HideSeparators = true
	p.list.OnSelected = func(i widget.ListItemID) {
		p.list.UnselectAll()
		if i < len(p.shown) {
			env.Dispatch(state.GoToRun{Run: p.shown[i]})
		}
	}
	p.empty = parts.Empty(fynetheme.SearchIcon(), "Nothing of that name", "The search looks in prompts and answers.", parts.NewButton(parts.Normal, "Clear the search", nil, func() { p.search.SetText("") }))
	p.none = parts.Empty(fynetheme.GridIcon(), "No runs yet", "Everything that Chat, Canvas, Inpaint and Compare make is kept here.")
	p.error = parts.NewError()
	p.error.OnDismiss = func() { env.Dispatch(state.DismissError{Pane: state.PaneLibrary}) }
	head := parts.Inset(16, 24, 12, 24, parts.Fixed(0, 36, p.search))
	p.root = container.NewBorder(parts.VStack(0, 0, 0, head, p.error), nil, nil, nil, container.NewStack(parts.Inset(0, 16, 8, 16, p.list), p.empty, p.none))
	return p
}

// Content implements the pane.
func (p *Pane) Content() fyne.CanvasObject { return p.root }

// Bar implements the pane.
func (p *Pane) Bar() fyne.CanvasObject { return nil }

// Heading implements the pane.
func (p *Pane) Heading(s *state.State) (string, string) {
	return "Library", state.Plural(len(s.Found), "run")
}

// Apply implements the pane.
func (p *Pane) Apply(s *state.State) {
	p.now = s
	p.search.Put(s.FindQuery)
	p.shown = s.Found
	show(p.empty, len(s.Found) == 0 && s.FindQuery != "")
	show(p.none, len(s.Found) == 0 && s.FindQuery == "")
	if err := s.Panes[state.PaneLibrary].Err; err != nil {
		p.error.ShowTrouble(p.env.Explain(err))
	} else {
		p.error.Clear()
	}
	if s.Pane == state.PaneLibrary {
		p.list.Refresh()
	}
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

// Observe implements the pane.
func (p *Pane) Observe() {}

// Fit implements the pane.
func (p *Pane) Fit(fyne.Size) {}

// Rune implements the pane.
func (p *Pane) Rune(rune) bool { return false }

// Shortcut implements the pane.
func (p *Pane) Shortcut(s fyne.Shortcut) bool {
	c, ok := s.(*desktop.CustomShortcut)
	if !ok || c.KeyName != fyne.KeyF {
		return false
	}
	p.env.Window().Canvas().Focus(p.search)
	return true
}

// row is one run: what kind, what was asked, what came of it.
type row struct {
	widget.BaseWidget
	p                        *Pane
	icon                     *widget.Icon
	picture                  *parts.Picture
	prompt, answer, how, fig *parts.Text
	box                      *fyne.Container
}

func newRow(p *Pane) *row {
	r := &row{p: p, icon: widget.NewIcon(theme.Icon("pane-chat")), picture: parts.NewPicture(), prompt: parts.Body(""), answer: parts.Soft(""), how: parts.Caption(""), fig: parts.SmallNumber("").Aligned(fyne.TextAlignTrailing)}
	r.box = parts.HStack(16, 12, 6, parts.Fixed(48, 48, container.NewStack(container.NewPadded(container.NewPadded(container.NewPadded(r.icon))), r.picture)),
		parts.Grow(100, parts.VStack(2, 0, 0, r.prompt, r.answer)), parts.Fixed(300, 0, parts.VStack(2, 0, 0, parts.HStack(0, 0, 0, parts.Grow(0, r.how)), parts.HStack(0, 0, 0, parts.Grow(0, r.fig.Shortened())))))
	r.ExtendBaseWidget(r)
	return r
}

// MinSize implements [fyne.Widget].
func (r *row) MinSize() fyne.Size { return fyne.NewSize(400, 60) }

// CreateRenderer implements [fyne.Widget].
func (r *row) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(r.box) }

var icons = map[state.Pane]string{state.PaneChat: "pane-chat", state.PaneCanvas: "pane-canvas", state.PaneInpaint: "pane-inpaint", state.PaneCompare: "pane-compare"}

func (r *row) set(u state.Run) {
	pane := state.PaneOf(u)
	r.icon.SetResource(theme.Icon(icons[pane]))
	picture := u.Job.Task == engine.TextToImage || u.Job.Task == engine.Inpaint || u.Job.Task == engine.Outpaint || u.Job.Task == engine.EditImage
	if picture {
		r.picture.Set(r.p.env.Thumb(u.ID))
	} else {
		r.picture.Set(nil)
	}
	r.prompt.Set(state.Prompt(u.Job))
	answer := u.Text
	switch {
	case u.State == state.Failed:
		answer = "failed: " + u.Message
	case u.State != state.Done:
		answer = string(u.State) + ", what was unmasked is kept"
	case picture:
		answer = ""
	}
	r.answer.Set(answer)
	r.how.Set(state.When(u.Created, time.Now()) + " · " + state.Summary(u.Job.Task, u.Job.Options))
	fig := ""
	if u.Stats.Wall > 0 {
		fig = figures.Duration(u.Stats.Wall) + "   " + figures.Rate(u.Stats.TokensPerSecond())
	}
	r.fig.Set(fig)
}
