package parts

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/state"
	"unmask/ui/theme"
)

// Sessions is the list of a pane's sessions: search, new, open, rename, delete.
type Sessions struct {
	widget.BaseWidget
	env    Env
	pane   state.Pane
	search *Field
	stack  *fyne.Container
	scroll *container.Scroll
	empty  *fyne.Container
	body   *fyne.Container
	rows   map[string]*sessionRow
	shape  []string
}

// NewSessions makes the list of a pane.
func NewSessions(env Env, pane state.Pane) *Sessions {
	s := &Sessions{env: env, pane: pane, rows: map[string]*sessionRow{}, stack: VStack(4, 0, 0)}
	s.search = Hook(env, NewField("Search", false))
	s.search.Icon = fynetheme.SearchIcon()
	s.search.OnChanged = func(q string) { env.Dispatch(state.Search{Pane: s.pane, Query: q}) }
	add := NewButton(Normal, "", fynetheme.ContentAddIcon(), func() { env.Dispatch(state.NewSession{Pane: s.pane}) })
	add.Hint, add.OnHint = "New session  Ctrl+N", env.Note
	s.scroll = container.NewVScroll(s.stack)
	s.empty = Empty(fynetheme.SearchIcon(), "Nothing here", "The search looks in titles, prompts and answers.",
		NewButton(Normal, "Clear the search", nil, func() { s.search.SetText("") }))
	s.empty.Hide()
	head := HStack(8, 0, 0, Grow(60, Fixed(0, theme.Control, s.search)), Fixed(36, theme.Control, add))
	s.body = container.NewBorder(Inset(12, 8, 8, 12, head), nil, nil, nil, container.NewStack(Inset(0, 4, 4, 8, s.scroll), s.empty))
	s.ExtendBaseWidget(s)
	return s
}

// Search puts the focus into the search field.
func (s *Sessions) Search() { s.env.Window().Canvas().Focus(s.search) }

// Apply shows the sessions of another or the same pane.
func (s *Sessions) Apply(st *state.State, pane state.Pane) {
	ps := st.Panes[pane]
	if s.pane != pane {
		s.pane = pane
		s.search.Put(ps.Query)
	}
	now := time.Now()
	var ids []string
	for _, x := range ps.List {
		r := s.rows[x.ID]
		if r == nil {
			r = newSessionRow(s, x.ID)
			s.rows[x.ID] = r
		}
		note := state.When(x.Updated, now)
		runs := x.Runs
		if x.ID == ps.Session {
			runs = len(ps.Runs)
		}
		if runs > 0 {
			note += " · " + state.Plural(runs, "run")
		}
		r.set(x.Title, note, x.ID == ps.Session)
		ids = append(ids, x.ID)
	}
	if !equal(ids, s.shape) {
		s.shape = ids
		s.stack.Objects = nil
		for _, id := range ids {
			s.stack.Objects = append(s.stack.Objects, s.rows[id])
		}
		s.stack.Refresh()
	}
	if len(ids) == 0 && ps.Query != "" {
		s.empty.Show()
	} else {
		s.empty.Hide()
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// CreateRenderer implements [fyne.Widget].
func (s *Sessions) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(s.body) }

// sessionRow is one session.
type sessionRow struct {
	widget.BaseWidget
	s           *Sessions
	id          string
	title, note *Text
	box         *Box
	selected    bool
	more        *Button
}

func newSessionRow(s *Sessions, id string) *sessionRow {
	r := &sessionRow{s: s, id: id, title: Dense(""), note: Caption("")}
	r.more = NewButton(Flat, "", fynetheme.MoreVerticalIcon(), nil)
	r.more.OnTapped = func() {
		p := fyne.CurrentApp().Driver().AbsolutePositionForObject(r.more)
		r.menu(p.AddXY(0, r.more.Size().Height))
	}
	r.more.Hide()
	r.box = NewBox("", theme.RadiusInput, HStack(0, 12, 6, Grow(40, VStack(1, 0, 0, r.title, r.note)), Fixed(20, 28, r.more)))
	r.ExtendBaseWidget(r)
	return r
}

func (r *sessionRow) set(title, note string, selected bool) {
	r.title.Set(title)
	r.note.Set(note)
	r.selected = selected
	r.paint(false)
}

func (r *sessionRow) paint(over bool) {
	switch {
	case r.selected:
		r.box.SetFill(theme.ColorSelected)
	case over:
		r.box.SetFill(theme.ColorRaised)
	default:
		r.box.SetFill("")
	}
	if r.selected || over {
		r.more.Show()
	} else {
		r.more.Hide()
	}
}

// MinSize implements [fyne.Widget].
func (r *sessionRow) MinSize() fyne.Size { return fyne.NewSize(80, 48) }

// CreateRenderer implements [fyne.Widget].
func (r *sessionRow) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(r.box) }

// Tapped implements [fyne.Tappable].
func (r *sessionRow) Tapped(*fyne.PointEvent) {
	r.s.env.Dispatch(state.OpenSession{Pane: r.s.pane, ID: r.id})
}

// TappedSecondary implements [fyne.SecondaryTappable].
func (r *sessionRow) TappedSecondary(e *fyne.PointEvent) { r.menu(e.AbsolutePosition) }

// MouseIn implements [desktop.Hoverable].
func (r *sessionRow) MouseIn(*desktop.MouseEvent) { r.paint(true) }

// MouseMoved implements [desktop.Hoverable].
func (r *sessionRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements [desktop.Hoverable].
func (r *sessionRow) MouseOut() { r.paint(false) }

func (r *sessionRow) menu(at fyne.Position) {
	s := r.s
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("",
		fyne.NewMenuItem("Rename", func() {
			f := Hook(s.env, NewField("", false))
			f.SetText(r.title.Text())
			d := dialog.NewCustomConfirm("Rename", "Rename", "Cancel", Fixed(320, theme.Control, f), func(ok bool) {
				if ok {
					s.env.Dispatch(state.RenameSession{Pane: s.pane, ID: r.id, Title: f.Text})
				}
			}, s.env.Window())
			f.OnSubmitted = func(string) { d.Confirm() }
			d.Show()
			s.env.Window().Canvas().Focus(f)
		}),
		fyne.NewMenuItem("Delete", func() { s.env.Dispatch(state.DeleteSession{Pane: s.pane, ID: r.id}) }),
	), s.env.Window().Canvas(), at)
}
