// Package compare is the pane that sets samplers, steps or blocks side by side on one prompt and seed.
package compare

// size: one pane: its widgets and what is patched when the state changes.

import (
	"fmt"
	"math"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/palette"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// maxColumns bounds a comparison.
const maxColumns = 6

// tableHigh is the height of the table.
const tableHigh = 176

// Pane is the pane Compare.
type Pane struct {
	env    parts.Env
	root   *fyne.Container
	bar    *fyne.Container
	prompt *parts.Field
	seed   *parts.Seed
	add    *parts.Button
	run    *parts.Button
	top    *fyne.Container
	grid   *fyne.Container
	scroll *container.Scroll
	empty  *fyne.Container
	error  *parts.Error
	cols   []*column
	table  *table
	matrix *matrix
	foot   *parts.Box
	kind   *widgets.Segment
	link   *widgets.Segment
	diff   *parts.Button

	now    *state.State
	window fyne.Size
	differ bool
	quiet  bool
	rows   []row
	wrote  int64
	seen   []int
	look   *parts.Brancher // shows candidates
}

// New makes the pane.
func New(env parts.Env) *Pane {
	p := &Pane{env: env, differ: true}
	p.prompt = parts.Hook(env, parts.NewField("One prompt for all columns", false))
	p.prompt.OnChanged = func(text string) { env.Dispatch(state.EditDraft{Pane: state.PaneCompare, Text: text}) }
	p.prompt.OnRun = p.submit
	p.prompt.OnSubmitted = func(string) { p.submit() }
	p.seed = parts.NewSeed(env, state.PaneCompare)
	p.add = parts.NewButton(parts.Normal, "Column", fynetheme.ContentAddIcon(), nil).High()
	p.add.OnTapped = p.addMenu
	p.run = parts.NewButton(parts.Run, "Run all", fynetheme.MediaPlayIcon(), p.runOrStop)
	p.run.Hint, p.run.OnHint = "Run all  Ctrl+Enter", env.Note
	p.top = parts.HStack(12, 16, 0, parts.Grow(120, parts.AtLeast(0, 36, p.prompt)), parts.Fixed(196, 36, p.seed.Row), p.add, p.run)
	p.grid = container.New(&columnsLayout{})
	p.scroll = container.NewHScroll(p.grid)
	four := parts.NewButton(parts.Run, "Four samplers", nil, func() { p.fill(state.FourSamplers) }).Low()
	three := parts.NewButton(parts.Normal, "Half, same, twice the steps", nil, func() { p.fill(state.ThreeSteps) })
	p.empty = parts.Empty(theme.Icon("pane-compare"), "Two columns make a comparison", "Each column keeps the prompt and the seed and changes one thing.", four, three)
	p.error = parts.NewError()
	p.error.OnDismiss = func() { env.Dispatch(state.DismissError{Pane: state.PaneCompare}) }
	p.error.OnRetry = func() { p.env.Dispatch(state.DismissError{Pane: state.PaneCompare}); p.submit() }
	p.table, p.matrix = newTable(), newMatrix()
	copyBtn := parts.NewButton(parts.Normal, "Table", fynetheme.ContentCopyIcon(), nil)
	copyBtn.OnTapped = func() { p.copyMenu(copyBtn) }
	copyBtn.Hint, copyBtn.OnHint = "Copy the table; Ctrl+D copies it as Markdown", env.Note
	p.look = parts.NewBrancher(env, state.PaneCompare)
	p.look.ReadOnly = true
	p.foot = parts.NewBox(theme.ColorPanel, 0, container.New(&footLayout{}, p.table.box, parts.VLine(),
		parts.Caption("Agreement, same token at the same position"), p.matrix.box, copyBtn))
	p.kind = widgets.NewSegment([]string{"Text", "Picture"}, func(i int) {
		if !p.quiet {
			p.switchTask(i)
		}
	})
	p.link = widgets.NewSegment([]string{"By progress", "By time"}, func(int) { p.Observe() })
	p.diff = parts.NewButton(parts.Normal, "Differences", fynetheme.CheckButtonCheckedIcon(), p.toggleDiff)
	p.diff.Hint, p.diff.OnHint = "Marks tokens that differ from the framed column  D", env.Note
	p.bar = parts.HStack(8, 0, 0, p.kind, p.link, p.diff)
	p.root = container.New(&layoutCompare{p}, p.top, container.NewStack(p.scroll, p.empty), p.foot, parts.HLine(), p.error)
	return p
}

// Content implements the pane.
func (p *Pane) Content() fyne.CanvasObject { return p.root }

// Bar implements the pane.
func (p *Pane) Bar() fyne.CanvasObject { return p.bar }

// Heading implements the pane.
func (p *Pane) Heading(s *state.State) (string, string) {
	n := len(s.Panes[state.PaneCompare].Draft.Columns)
	if n == 0 {
		return "Compare", ""
	}
	return "Compare", fmt.Sprintf("%s, one prompt, one seed", state.Plural(n, "column"))
}

func (p *Pane) task() engine.Task {
	if t := p.now.Panes[state.PaneCompare].Draft.Task; t != "" {
		return t
	}
	return engine.Chat
}

func (p *Pane) fill(make func(engine.Spec, engine.Task, engine.Options) []state.Column) {
	t := p.task()
	p.env.Dispatch(state.SetColumns{Task: t, Columns: make(p.now.Model.Spec, t, p.now.Options(t))})
}

func (p *Pane) switchTask(i int) {
	t := []engine.Task{engine.Chat, engine.TextToImage}[i]
	if t == p.task() {
		return
	}
	p.env.Dispatch(state.SetColumns{Task: t, Columns: state.FourSamplers(p.now.Model.Spec, t, p.now.Options(t))})
}

func (p *Pane) columns() []state.Column {
	return slices.Clone(p.now.Panes[state.PaneCompare].Draft.Columns)
}

func (p *Pane) replace(i int, c state.Column) {
	cols := p.columns()
	cols[i] = c
	p.env.Dispatch(state.SetColumns{Task: p.task(), Columns: cols})
}

func (p *Pane) remove(i int) {
	p.env.Dispatch(state.SetColumns{Task: p.task(), Columns: slices.Delete(p.columns(), i, i+1)})
}

func (p *Pane) addMenu() {
	t := p.task()
	o := p.now.Options(t)
	rows := state.Settings(p.now.Model.Spec, t, o)
	var items []*fyne.MenuItem
	for i, name := range rows[0].Choices {
		items = append(items, fyne.NewMenuItem(name, func() {
			c := state.Column{Title: name, Options: state.Put(p.now.Model.Spec, t, o, "sampler", float64(i))}
			p.env.Dispatch(state.SetColumns{Task: t, Columns: append(p.columns(), c)})
		}))
	}
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(p.add)
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), p.env.Window().Canvas(), at.AddXY(0, p.add.Size().Height+4))
}

func (p *Pane) submit() { p.env.Dispatch(state.Submit{Pane: state.PaneCompare}) }

func (p *Pane) runOrStop() {
	if p.now.Busy(state.PaneCompare) {
		p.env.Dispatch(state.Stop{Pane: state.PaneCompare})
		return
	}
	p.submit()
}

func (p *Pane) copyTable() { p.copy(markdown(p.rows)) }

func (p *Pane) copy(text string) { fyne.CurrentApp().Clipboard().SetContent(text) }

// copyMenu offers the forms in which the table is copied.
func (p *Pane) copyMenu(under fyne.CanvasObject) {
	m := widget.NewPopUpMenu(fyne.NewMenu("",
		fyne.NewMenuItem("Copy as Markdown", p.copyTable),
		fyne.NewMenuItem("Copy as CSV", func() { p.copy(csvText(p.rows)) }),
		fyne.NewMenuItem("Copy with tabs", func() { p.copy(text(p.rows)) })), p.env.Window().Canvas())
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(under)
	m.ShowAtPosition(at.SubtractXY(max(0, m.MinSize().Width-under.Size().Width), m.MinSize().Height+4))
}

func (p *Pane) toggleDiff() {
	p.differ = !p.differ
	if p.differ {
		p.diff.Set("Differences", fynetheme.CheckButtonCheckedIcon())
	} else {
		p.diff.Set("Differences", fynetheme.CheckButtonIcon())
	}
	p.seen = nil
	p.Observe()
}

// runs are the runs of the columns, nil where a column has none with its settings.
func (p *Pane) runs() []*state.Run {
	cols := p.now.Panes[state.PaneCompare].Draft.Columns
	out := make([]*state.Run, len(cols))
	for i, r := range p.now.Columns() {
		if i < len(cols) && r.Job.Task == p.task() && len(state.Changed(cols[i].Options, r.Job.Options)) == 0 {
			out[i] = &r
		}
	}
	return out
}

// Apply implements the pane.
func (p *Pane) Apply(s *state.State) {
	p.now = s
	p.look.Apply(s)
	p.quiet = true
	defer func() { p.quiet = false }()
	ps := s.Panes[state.PaneCompare]
	p.prompt.Put(ps.Draft.Text)
	p.seed.Apply(ps)
	cols := ps.Draft.Columns
	if p.task() == engine.TextToImage {
		p.kind.SetSelected(1)
	} else {
		p.kind.SetSelected(0)
	}
	show(p.empty, len(cols) == 0)
	show(p.scroll, len(cols) > 0)
	show(p.top, len(cols) > 0)
	show(p.link, p.window.Width >= 1000)
	p.add.SetEnabled(len(cols) < maxColumns)
	if s.Busy(state.PaneCompare) {
		p.run.SetKind(parts.Outline)
		p.run.Set("Stop all", fynetheme.MediaStopIcon())
	} else {
		p.run.SetKind(parts.Run)
		p.run.Set("Run all", fynetheme.MediaPlayIcon())
	}
	for len(p.cols) < len(cols) {
		p.cols = append(p.cols, newColumn(p, len(p.cols)))
	}
	if len(p.grid.Objects) != len(cols) {
		p.grid.Objects = nil
		for _, c := range p.cols[:len(cols)] {
			p.grid.Objects = append(p.grid.Objects, c)
		}
		p.grid.Refresh()
	}
	for i, r := range p.runs() {
		p.cols[i].apply(cols[i], p.task(), r, r != nil && r.ID == ps.Shown)
	}
	if ps.Err != nil {
		p.error.ShowTrouble(p.env.Explain(ps.Err))
	} else {
		p.error.Clear()
	}
	p.seen = nil
	p.root.Refresh()
}

// Observe implements the pane: all columns follow the play head of the framed one.
func (p *Pane) Observe() {
	if p.now == nil {
		return
	}
	runs := p.runs()
	views := make([]*state.View, len(runs))
	var lead *state.View
	for i, r := range runs {
		if r == nil {
			continue
		}
		v := p.env.View(r.ID)
		if v == nil || v.Run.Started() == nil {
			continue
		}
		views[i] = v
		if r.ID == p.now.Panes[state.PaneCompare].Shown {
			lead = v
		}
	}
	p.linkTo(lead, views)
	answers := make([][]engine.Token, len(views))
	var seen []int
	for i, v := range views {
		if v != nil {
			answers[i] = answer(v.State())
			seen = append(seen, v.Version())
		} else {
			seen = append(seen, -1)
		}
	}
	if slices.Equal(seen, p.seen) {
		return
	}
	p.seen = seen
	for i, v := range views {
		if v == nil {
			continue
		}
		var marks []int
		if p.differ && lead != nil && v != lead {
			for _, k := range differing(answers[i], answer(lead.State())) {
				marks = append(marks, v.State().Answer.Lo+k)
			}
		}
		p.cols[i].observe(v, palette.Confidence, marks)
	}
	p.write(views, answers, lead)
}

// linkTo puts every view where the lead stands, by progress or by time. While a run goes, it shows its newest step.
func (p *Pane) linkTo(lead *state.View, views []*state.View) {
	for _, v := range views {
		if v == nil || v == lead {
			continue
		}
		v.Jumped = lead != nil && lead.Jumped
		switch {
		case lead == nil || lead.Following() || !v.Run.Done():
			v.Follow()
		case p.link.Selected() == 1:
			v.Hold(linkedByTime(lead.Run, lead.Step(), v.Run))
		default:
			v.Hold(linked(lead.Step(), lead.Run.Len(), v.Run.Len()))
		}
	}
}

// write fills in the table and the matrix.
func (p *Pane) write(views []*state.View, answers [][]engine.Token, lead *state.View) {
	now := p.env.Now().Milliseconds()
	if now-p.wrote < 250 && len(p.now.Queue) > 0 {
		return
	}
	p.wrote = now
	cols := p.now.Panes[state.PaneCompare].Draft.Columns
	p.rows = p.rows[:0]
	names := make([]string, len(cols))
	share := make([][]float64, len(cols))
	var to []engine.Token
	if lead != nil {
		to = answer(lead.State())
	}
	for i, v := range views {
		names[i] = cols[i].Title
		r := row{name: cols[i].Title, agreement: math.NaN(), likelihood: math.NaN()}
		if v != nil && v.Step() > 0 {
			in := v.Run.Infos()[:v.Step()]
			n := 0
			for _, s := range in {
				n += s.Unmasked
			}
			last := in[len(in)-1]
			r.known, r.time, r.passes = true, last.Until, last.NFE
			if last.Until > 0 {
				r.rate = float64(n) / last.Until.Seconds()
			}
			r.agreement = agreement(answers[i], to)
			r.likelihood = likelihood(v.State())
		}
		p.rows = append(p.rows, r)
		for j := range views {
			share[i] = append(share[i], agreement(answers[i], answers[j]))
		}
	}
	p.table.set(p.rows)
	p.matrix.set(names, share)
}

// Fit implements the pane.
func (p *Pane) Fit(window fyne.Size) { p.window = window }

// Rune implements the pane.
func (p *Pane) Rune(r rune) bool {
	if r == 'd' || r == 'D' {
		p.toggleDiff()
		return true
	}
	return false
}

// Shortcut implements the pane.
func (p *Pane) Shortcut(s fyne.Shortcut) bool {
	c, ok := s.(*desktop.CustomShortcut)
	if !ok || c.KeyName != fyne.KeyD {
		return false
	}
	p.copyTable()
	return true
}

// columnsLayout gives all columns the same width, at least 220.
type columnsLayout struct{}

// MinSize implements [fyne.Layout].
func (columnsLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	n := float32(len(o))
	return fyne.NewSize(n*220+max(n-1, 0)*12+32, 260)
}

// Layout implements [fyne.Layout].
func (columnsLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	n := float32(len(o))
	w := (s.Width - 32 - (n-1)*12) / max(n, 1)
	for i, x := range o {
		x.Move(fyne.NewPos(16+float32(i)*(w+12), 0))
		x.Resize(fyne.NewSize(w, s.Height))
	}
}

// footLayout puts the table, the matrix and the button.
type footLayout struct{}

// MinSize implements [fyne.Layout].
func (footLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(400, 60) }

// Layout implements [fyne.Layout].
func (footLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(w, h))
	}
	m := float32(280)
	left := s.Width - m - 120
	put(o[0], 12, 12, min(left-40, 680), s.Height-20)
	put(o[1], left-8, 12, 1, s.Height-24)
	put(o[2], left+12, 10, m, 16)
	put(o[3], left+12, 30, m, s.Height-36)
	put(o[4], s.Width-108, 12, 92, 32)
}

// layoutCompare puts prompt, columns and table.
type layoutCompare struct{ p *Pane }

// MinSize implements [fyne.Layout].
func (l *layoutCompare) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(700, 400) }

// Layout implements [fyne.Layout].
func (l *layoutCompare) Layout(o []fyne.CanvasObject, s fyne.Size) {
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(max(w, 0), max(h, 0)))
	}
	low := float32(tableHigh)
	if l.p.window.Height < 720 || !l.p.scroll.Visible() {
		low = 0
	}
	show(l.p.foot, low > 0)
	put(o[0], 0, 8, s.Width, 44)
	put(o[1], 0, 60, s.Width, s.Height-60-low-12)
	put(o[2], 0, s.Height-low, s.Width, low)
	put(o[3], 0, s.Height-low, s.Width, 1)
	ew := min(s.Width-40, 520)
	put(o[4], (s.Width-ew)/2, 66, ew, parts.HeightFor(l.p.error, ew))
}
