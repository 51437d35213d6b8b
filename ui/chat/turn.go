package chat

import (
	"fmt"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/palette"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// stripLayout gives a token strip the height that follows from its width.
type stripLayout struct{ strip *widgets.TokenStrip }

// MinSize implements [fyne.Layout].
func (l stripLayout) MinSize([]fyne.CanvasObject) fyne.Size { return l.strip.MinSize() }

// Layout implements [fyne.Layout].
func (l stripLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Move(fyne.NewPos(0, 0))
	o[0].Resize(s)
}

// HeightFor implements [parts.Flowing].
func (l stripLayout) HeightFor(_ []fyne.CanvasObject, width float32) float32 {
	l.strip.Resize(fyne.NewSize(width, l.strip.Size().Height))
	return l.strip.MinSize().Height
}

// turn shows a prompt and the shown one of its answers.
type turn struct {
	p       *Pane
	root    string
	run     string // shown version
	box     *fyne.Container
	prompt  *parts.Text
	picture *canvas.Image
	note    *parts.Text // below the prompt
	made    *parts.Text // model and settings, or that the past is shown
	about   string      // model and settings
	strip   *widgets.TokenStrip
	holder  *fyne.Container
	state   *parts.Text
	version *parts.Text
	actions *fyne.Container
	prev    *widgets.IconButton
	next    *widgets.IconButton
	shots   *fyne.Container
	paint   *widgets.IconButton
	shown   *state.View
	all     []string
	at      int
}

func newTurn(p *Pane, root string) *turn {
	t := &turn{p: p, root: root}
	t.prompt = newPrompt()
	t.note = parts.Caption("")
	t.made = parts.Caption("")
	t.state = parts.Caption("")
	t.strip = widgets.NewTokenStrip()
	t.holder = container.New(stripLayout{t.strip}, t.strip)
	t.strip.OnHeight = func(float32) { p.grown() }
	t.strip.OnTapped = func(pos int, at fyne.Position) { p.inspect(t, pos, at) }
	t.strip.OnPaint = func(pos []int) {
		p.env.Dispatch(state.ShowRun{Pane: state.PaneChat, Run: t.run})
		p.branch.Remask(p.env.View(t.run), pos)
	}
	t.strip.OnRune = func(r rune, _ int) { p.Rune(r) }
	t.strip.OnSelect = func(pos []int) {
		if len(pos) > 0 {
			p.env.Note(state.Plural(len(pos), "token") + " selected   M masks them again   P pins them")
		}
	}
	t.strip.SetBrush(p.brush)
	t.strip.OnHover = t.hover
	t.picture = &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScaleFastest}
	t.picture.CornerRadius = theme.RadiusToken
	t.shots = parts.Fixed(112, 112, t.picture)
	env := p.env
	button := func(name string, icon fyne.Resource, do func()) *widgets.IconButton {
		b := widgets.NewIconButton(name, "", icon, do)
		b.OnHint = env.Note
		return b
	}
	t.version = parts.SmallNumber("")
	t.prev = button("Earlier version", fynetheme.NavigateBackIcon(), func() { t.pick(t.at - 1) })
	t.next = button("Later version", fynetheme.NavigateNextIcon(), func() { t.pick(t.at + 1) })
	t.actions = parts.HStack(4, 0, 0,
		button("Copy the answer", fynetheme.ContentCopyIcon(), func() { fyne.CurrentApp().Clipboard().SetContent(t.text()) }),
		button("Answer again with another seed", fynetheme.ViewRefreshIcon(), func() { env.Dispatch(state.Regenerate{Run: t.run}) }),
		button("Edit the prompt", fynetheme.DocumentCreateIcon(), func() { p.edit(t.run) }),
		button("Delete this answer", fynetheme.DeleteIcon(), func() { env.Dispatch(state.DeleteRun{Run: t.run}) }),
		t.prev, t.version, t.next, layout.NewSpacer(), t.state)
	t.paint = widgets.NewIconButton("Paint words to re-imagine", "B", theme.Icon("brush"), func() { p.setBrush(!p.brush) })
	t.paint.OnHint = env.Note
	t.paint.SetOn(p.brush)
	t.actions.Objects = slices.Insert(t.actions.Objects, 3, fyne.CanvasObject(t.paint),
		fyne.CanvasObject(button("Continue with more masks", fynetheme.ContentAddIcon(), func() {
			if v := env.View(t.run); v != nil {
				v.Follow()
				p.branch.MoreMasks(v)
			}
		})))
	words := parts.VStack(8, 0, 0, t.prompt, t.note)
	t.box = parts.VStack(10, 0, 0,
		parts.Caption("You"),
		newShot(t.shots, words),
		parts.Inset(8, 0, 0, 0, t.made),
		t.holder,
		t.actions,
	)
	return t
}

func newPrompt() *parts.Text { return parts.Body("").Wrapped() }

// newShot puts a picture, where there is one, beside words.
func newShot(shot, words fyne.CanvasObject) *fyne.Container {
	return container.New(shotLayout{}, shot, words)
}

type shotLayout struct{}

// MinSize implements [fyne.Layout].
func (shotLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := o[1].MinSize()
	if o[0].Visible() {
		m = fyne.NewSize(m.Width+112+16, max(m.Height, 112))
	}
	return m
}

// Layout implements [fyne.Layout].
func (shotLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	x := float32(0)
	if o[0].Visible() {
		o[0].Move(fyne.NewPos(0, 0))
		o[0].Resize(fyne.NewSquareSize(112))
		x = 128
	}
	o[1].Move(fyne.NewPos(x, 0))
	o[1].Resize(fyne.NewSize(s.Width-x, s.Height))
}

func (t *turn) pick(i int) {
	if i >= 0 && i < len(t.all) {
		t.p.env.Dispatch(state.PickTurn{Root: t.root, Run: t.all[i]})
	}
}

// text is the answer without its thinking part.
func (t *turn) text() string {
	if v := t.shown; v != nil {
		if f := v.Run.Finished(); f != nil {
			return f.Text
		}
	}
	return t.strip.Text()
}

// apply shows what st knows of the turn.
func (t *turn) apply(st *state.State, tn state.Turn) {
	id := tn.Versions[tn.Shown]
	r := st.Runs[id]
	t.all, t.at = tn.Versions, tn.Shown
	if t.run != id {
		t.run, t.shown = id, nil
		t.strip.SetRun(nil, engine.Span{})
	}
	t.prompt.Set(state.Prompt(r.Job))
	img := r.Job.Image
	if v := t.p.env.View(id); img == nil && v != nil {
		img = v.Run.Source()
		if st := v.Run.Started(); img == nil && st != nil {
			img = st.Job.Image
		}
	}
	visible(t.shots, img != nil)
	visible(t.note, img != nil)
	if img != nil && t.picture.Image != img {
		t.picture.Image = img
		t.picture.Refresh()
	}
	if sp := st.Model.Spec.Image; sp != nil {
		t.note.Set(fmt.Sprintf("%d picture tokens, fixed", sp.Grid.Cols*sp.Grid.Rows))
	}
	name := st.Model.Spec.Name
	if v := t.p.env.View(id); v != nil && v.Run.Started() != nil {
		name = v.Run.Started().Spec.Name // another model may be loaded now
	}
	t.about = name + "   ·   " + state.Summary(r.Job.Task, r.Job.Options)
	if f := r.Job.From; f != nil {
		t.about += fmt.Sprintf("   ·   from step %d: %s", f.Step, state.TitleOf(r, 1))
	}
	t.made.Set(t.about)
	many := len(tn.Versions) > 1
	visible(t.prev, many)
	visible(t.next, many)
	visible(t.version, many)
	t.version.Set(fmt.Sprintf("%d of %d", tn.Shown+1, len(tn.Versions)))
	t.state.Set(words(r))
}

// words says how a run ended, where there is something to say.
func words(r state.Run) string {
	switch r.State {
	case state.Queued:
		return "waits for the run before it"
	case state.Stopped:
		return "stopped, what was unmasked is kept"
	case state.Interrupted:
		return "interrupted, what was unmasked is kept"
	case state.Failed:
		return "failed: " + r.Message
	}
	return ""
}

func visible(o fyne.CanvasObject, on bool) {
	if on != o.Visible() {
		if on {
			o.Show()
		} else {
			o.Hide()
		}
	}
}

// observe shows what is new of the run.
func (t *turn) observe(view palette.View) {
	v := t.p.env.View(t.run)
	if v == nil || v.Run.Started() == nil {
		return
	}
	if t.shown != v {
		t.shown = v
		t.strip.SetRun(v.Run, engine.Span{})
	}
	t.strip.SetView(view)
	t.strip.SetStep(v.Step())
	t.strip.Update()
	past := false
	if t.p.now.Panes[state.PaneChat].Shown == t.run {
		past = t.p.branch.Active() && v.Step() < v.Run.Len()
		texts, pinned := t.p.branch.Changed()
		t.strip.SetChanged(texts)
		t.strip.SetPinned(pinned)
		t.strip.SetMarked(t.p.marks(v))
	}
	if past {
		t.made.Set(fmt.Sprintf("step %d of %d   ·   You are looking at the past. Changes here start a new branch.", v.Step(), v.Run.Len()))
	} else {
		t.made.Set(t.about)
	}
}

// hover writes what is known of a token into the status bar.
func (t *turn) hover(pos int) {
	v := t.shown
	if pos < 0 || v == nil {
		t.p.env.Note("")
		return
	}
	t.p.env.Note(parts.Inspect(v, pos))
}
