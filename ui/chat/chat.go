// Package chat is the pane that talks: prompts, answers as a flow of tokens, and the denoising panel beside them.
package chat

// size: one pane: its widgets and what is patched when the state changes.

import (
	"fmt"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/palette"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// The measures of the pane.
const (
	listWidth  = 196
	panelWidth = 428
	panelSmall = 300
	measure    = 720 // the widest line of text
)

// Pane is the chat pane.
type Pane struct {
	env  parts.Env
	root *fyne.Container
	bar  *fyne.Container

	sessions *parts.Sessions
	listBox  *parts.Box
	panel    *panel
	panelBtn *parts.Button

	turns  map[string]*turn
	stack  *fyne.Container
	scroll *container.Scroll
	order  []string
	empty  *fyne.Container
	error  *parts.Error

	entry     *parts.Field
	attach    *widgets.IconButton
	think     *widgets.IconButton
	run       *parts.Button
	runBox    fyne.CanvasObject
	rate      *parts.Text
	done      *parts.Text
	meter     *fyne.Container
	editing   *fyne.Container
	attached  *fyne.Container
	thumb     *canvas.Image
	composer  *fyne.Container
	window    fyne.Size
	follow    bool // the view was at its end: it goes along
	now       *state.State
	view      palette.View
	spec      string
	examples  *fyne.Container
	lastWrite int64

	branch    *parts.Brancher
	branchRow fyne.CanvasObject
	row       fyne.CanvasObject // prompt and run button
	brush     bool
	picked    string // run beside the one shown, whose differences are marked
}

// New makes the pane.
func New(env parts.Env) *Pane {
	p := &Pane{env: env, turns: map[string]*turn{}, follow: true, view: palette.Confidence}
	p.sessions = parts.NewSessions(env, state.PaneChat)
	p.listBox = parts.NewBox(fynetheme.ColorNameBackground, 0, p.sessions)
	p.panel = newPanel(env, func(v palette.View) { p.view = v; p.Observe() })
	p.panelBtn = parts.NewButton(parts.Normal, "Panel", theme.Icon("heat-map"), func() { env.Dispatch(state.TogglePanel{}) })
	p.panelBtn.Hint, p.panelBtn.OnHint = "Denoising panel  Ctrl+\\", env.Note
	p.bar = parts.HStack(8, 0, 0, p.panelBtn)
	p.stack = parts.VStack(28, 24, 20)
	p.scroll = container.NewVScroll(container.New(&column{measure}, p.stack))
	p.scroll.OnScrolled = func(o fyne.Position) {
		p.follow = o.Y+p.scroll.Size().Height >= p.scroll.Content.Size().Height-30
		p.seen()
	}
	p.error = parts.NewError()
	p.error.OnDismiss = func() { env.Dispatch(state.DismissError{Pane: state.PaneChat}) }
	p.error.OnRetry = p.retry
	p.examples = parts.VStack(8, 0, 0)
	p.empty = parts.Empty(theme.Icon("pane-chat"), "Ask something", "The answer starts as masks, and the surest tokens come first. Write ___ where words are to be filled in, or attach a picture.", p.examples)
	p.branch = parts.NewBrancher(env, state.PaneChat)
	p.branch.Where = p.where
	p.makeComposer()
	p.panel.watch(p)
	p.root = container.New(&layoutChat{p}, p.listBox, parts.VLine(), container.NewStack(p.scroll, p.empty), p.composer, parts.HLine(), parts.VLine(), p.panel.box, p.error)
	return p
}

func (p *Pane) makeComposer() {
	env := p.env
	p.entry = parts.Hook(env, parts.NewField("Ask, or write ___ to be filled in", true))
	p.entry.EnterRuns = true
	p.entry.SetMinRowsVisible(1)
	p.entry.OnRun = p.submit
	p.entry.OnChanged = func(text string) {
		env.Dispatch(state.EditDraft{Pane: state.PaneChat, Text: text})
		p.entry.SetMinRowsVisible(min(4, 1+lines(text)))
		p.root.Refresh()
	}
	p.attach = widgets.NewIconButton("Attach a picture", "Ctrl+O", fynetheme.MailAttachmentIcon(), func() { parts.AskPicture(env, state.PaneChat) })
	p.attach.OnHint = env.Note
	p.think = widgets.NewIconButton("Think first", "Ctrl+T", theme.Icon("think"), func() { env.Dispatch(state.ToggleThink{}) })
	p.think.OnHint = env.Note
	p.run = parts.NewButton(parts.Run, "Run", fynetheme.MailSendIcon(), p.runOrStop)
	p.run.Hint, p.run.OnHint = "Run  Ctrl+Enter", env.Note
	p.rate, p.done = parts.SmallNumber(""), parts.SmallNumber("")
	p.meter = parts.HStack(8, 0, 0, parts.Grow(0, p.rate), p.done)
	p.editing = parts.HStack(8, 0, 0, parts.Grow(0, parts.Caption("Editing an earlier prompt: running it makes another version of that turn")),
		parts.NewButton(parts.Flat, "Leave it", nil, func() { env.Dispatch(state.CancelEdit{}) }))
	p.thumb = &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScaleFastest}
	remove := parts.NewButton(parts.Flat, "Remove", nil, func() {
		env.Dispatch(state.Attach{Pane: state.PaneChat})
	})
	p.attached = parts.HStack(12, 0, 0, parts.Fixed(48, 48, p.thumb), parts.Grow(0, parts.Caption("The next prompt is about this picture")), remove)
	p.row = parts.HStack(8, 0, 0, p.attach, p.think, parts.Grow(120, parts.AtLeast(0, theme.MainAction, p.entry)), p.run)
	p.branchRow = parts.AtLeast(0, theme.MainAction, p.branch.Bar)
	p.branchRow.Hide()
	p.branch.Bar.Hide()
	p.composer = parts.VStack(8, 20, 12, p.editing, p.attached, p.meter, p.row, p.branchRow)
}

func lines(text string) (n int) {
	for _, r := range text {
		if r == '\n' {
			n++
		}
	}
	return n + len([]rune(text))/70
}

// Content implements the pane.
func (p *Pane) Content() fyne.CanvasObject { return p.root }

// Bar implements the pane.
func (p *Pane) Bar() fyne.CanvasObject { return p.bar }

// Heading implements the pane.
func (p *Pane) Heading(s *state.State) (string, string) {
	ps := s.Panes[state.PaneChat]
	title := "New conversation"
	for _, x := range ps.List {
		if x.ID == ps.Session {
			title = x.Title
		}
	}
	note := ""
	if i := slices.Index(ps.Runs, ps.Shown); i >= 0 && len(ps.Runs) > 1 {
		note = fmt.Sprintf("run %d of %d", i+1, len(ps.Runs))
	}
	return title, note
}

func (p *Pane) submit() {
	p.follow = true
	p.env.Dispatch(state.Submit{Pane: state.PaneChat})
}

func (p *Pane) runOrStop() {
	if p.now.Busy(state.PaneChat) && p.entry.Text == "" {
		p.env.Dispatch(state.Stop{Pane: state.PaneChat})
		return
	}
	p.submit()
}

func (p *Pane) retry() {
	p.env.Dispatch(state.DismissError{Pane: state.PaneChat})
	if p.now.Model.Err != nil {
		p.env.Dispatch(state.RetryLoad{})
		return
	}
	p.submit()
}

func (p *Pane) edit(run string) {
	p.env.Dispatch(state.EditPrompt{Run: run})
	p.env.Window().Canvas().Focus(p.entry)
}

// Apply implements the pane.
func (p *Pane) Apply(s *state.State) {
	p.now = s
	ps := s.Panes[state.PaneChat]
	p.sessions.Apply(s, state.PaneChat)
	visible(p.listBox, p.listShown())
	p.panelBtn.SetOn(s.Panel)
	visible(p.panel.box, s.Panel && p.roomForPanel())
	p.branch.Apply(s)
	p.panel.apply(s)
	p.applyTurns(s)
	p.showTree(s)
	p.entry.Put(ps.Draft.Text)
	busy := s.Busy(state.PaneChat)
	if busy && ps.Draft.Text == "" {
		p.run.SetKind(parts.Outline)
		p.run.Set("Stop", fynetheme.MediaStopIcon())
		p.entry.SetPlaceHolder("Ask again while it runs: the next run waits in line")
	} else {
		p.run.SetKind(parts.Run)
		p.run.Set("Run", fynetheme.MailSendIcon())
		hint := "Ask, or write ___ to be filled in"
		if s.Model.Loaded && !s.Model.Spec.Can(engine.Infill) {
			hint = "Ask something, or attach a picture"
			if !s.Model.Spec.Can(engine.Describe) {
				hint = "Ask something"
			}
		}
		p.entry.SetPlaceHolder(hint)
	}
	visible(p.think, s.Model.Spec.ThinkStyle != "")
	p.think.SetOn(s.Options(engine.Chat).Think)
	visible(p.editing, ps.EditOf != "")
	visible(p.attached, ps.Draft.Picture != nil)
	if ps.Draft.Picture != nil && p.thumb.Image != ps.Draft.Picture {
		p.thumb.Image = ps.Draft.Picture
		p.thumb.Refresh()
	}
	if ps.Err != nil {
		p.error.ShowTrouble(p.env.Explain(ps.Err))
	} else {
		p.error.Clear()
	}
	if s.Model.Loaded && p.spec != s.Model.Spec.Hash {
		p.spec = s.Model.Spec.Hash
		p.fillExamples(s.Model.Spec)
	}
	p.root.Refresh()
	if p.follow {
		p.scroll.ScrollToBottom()
	}
	p.seen()
}

// fillExamples offers three prompts that the model can do.
func (p *Pane) fillExamples(spec engine.Spec) {
	p.examples.Objects = nil
	texts := slices.Concat(spec.Examples[engine.Chat], spec.Examples[engine.Infill])
	for _, t := range texts[:min(3, len(texts))] {
		b := parts.NewButton(parts.Normal, t, nil, func() { p.env.Dispatch(state.TryExample{Pane: state.PaneChat, Text: t, Run: true}) })
		p.examples.Objects = append(p.examples.Objects, b)
	}
	p.examples.Refresh()
}

func (p *Pane) applyTurns(s *state.State) {
	turns := s.Turns(state.PaneChat)
	var order []string
	keep := map[string]bool{}
	for _, tn := range turns {
		t := p.turns[tn.Root]
		if t == nil {
			t = newTurn(p, tn.Root)
			p.turns[tn.Root] = t
		}
		t.apply(s, tn)
		order = append(order, tn.Root)
		keep[tn.Root] = true
	}
	for id := range p.turns {
		if !keep[id] {
			delete(p.turns, id)
		}
	}
	if !slices.Equal(order, p.order) {
		p.order = order
		p.stack.Objects = nil
		for _, id := range order {
			p.stack.Objects = append(p.stack.Objects, p.turns[id].box)
		}
		p.stack.Refresh()
	}
	visible(p.empty, len(order) == 0 && !s.Panes[state.PaneChat].Loading)
}

// Observe implements the pane.
func (p *Pane) Observe() {
	if p.now == nil {
		return
	}
	ps := p.now.Panes[state.PaneChat]
	v := p.env.View(ps.Shown)
	p.branch.Observe(v)
	for _, id := range p.order {
		p.turns[id].observe(p.view)
	}
	p.panel.observe(v)
	p.showBranch()
	p.showTree(p.now)
	p.progress(v)
	p.seen()
}

// progress writes rate, time left and tokens above the composer while a run goes.
func (p *Pane) progress(v *state.View) {
	on := v != nil && v.Run.Started() != nil && !v.Run.Done()
	if on != p.meter.Visible() {
		visible(p.meter, on)
		p.root.Refresh()
	}
	if !on {
		return
	}
	now := p.env.Now()
	if now.Milliseconds()-p.lastWrite < 250 { // numbers change at most four times a second
		return
	}
	p.lastWrite = now.Milliseconds()
	text := figures.Rate(v.Run.Rate())
	if d, ok := v.Left.Update(v.Run, now); ok {
		text += "   " + figures.Left(d)
	} else {
		text += "   …"
	}
	p.rate.Set(text)
	n := v.Run.Started().Answer.Len()
	p.done.Set(fmt.Sprintf("%d of %s", n-v.State().Masked, state.Plural(n, "token")))
}

// grown lays the conversation out again after an answer became higher, and goes along where the view was at its end.
func (p *Pane) grown() {
	follow := p.follow
	p.scroll.Content.Refresh()
	p.scroll.Refresh()
	if follow {
		p.scroll.ScrollToBottom()
		p.follow = true
	}
	p.seen()
}

// seen tells the strips which part of them can be seen.
func (p *Pane) seen() {
	top, h := p.scroll.Offset.Y, p.scroll.Size().Height
	for _, id := range p.order {
		t := p.turns[id]
		y := p.stack.Position().Y + t.box.Position().Y + t.holder.Position().Y
		t.strip.SetVisible(top-y, top-y+h)
	}
}

func (p *Pane) listShown() bool {
	if p.now == nil {
		return true
	}
	if p.window.Width < 1200 {
		return p.now.Sessions && p.now.Pane == state.PaneChat
	}
	return !p.now.Sessions
}

func (p *Pane) roomForPanel() bool { return true }

// Fit implements the pane.
func (p *Pane) Fit(window fyne.Size) {
	if p.window.Width >= 1000 && window.Width < 1000 && p.now != nil && p.now.Panel {
		p.window = window
		p.env.Dispatch(state.TogglePanel{}) // shut by default where there is little room
		return
	}
	p.window = window
	p.panel.fit(window)
}

// Rune implements the pane.
func (p *Pane) Rune(r rune) bool {
	if r >= '1' && r <= '5' {
		p.panel.choose(palette.View(r - '1'))
		return true
	}
	return p.letter(r)
}

// Shortcut implements the pane.
func (p *Pane) Shortcut(s fyne.Shortcut) bool {
	if p.branch.Shortcut(s) {
		return true
	}
	c, ok := s.(*desktop.CustomShortcut)
	if !ok {
		return false
	}
	switch c.KeyName {
	case fyne.KeyF:
		if !p.listShown() {
			p.env.Dispatch(state.ToggleList{})
		}
		p.sessions.Search()
	case fyne.KeyO:
		parts.AskPicture(p.env, state.PaneChat)
	default:
		return false
	}
	return true
}

// column centres its object, at most wide units wide, as high as the object needs.
type column struct{ wide float32 }

// MinSize implements [fyne.Layout].
func (c *column) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(200, o[0].MinSize().Height)
}

// Layout implements [fyne.Layout].
func (c *column) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := min(s.Width, c.wide+48)
	o[0].Move(fyne.NewPos((s.Width-w)/2, 0))
	o[0].Resize(fyne.NewSize(w, parts.HeightFor(o[0], w)))
}

// layoutChat puts list, conversation, composer and panel.
type layoutChat struct{ p *Pane }

// MinSize implements [fyne.Layout].
func (l *layoutChat) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(600, 300) }

// Layout implements [fyne.Layout].
func (l *layoutChat) Layout(o []fyne.CanvasObject, s fyne.Size) {
	p := l.p
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(max(w, 0), max(h, 0)))
	}
	x, right := float32(0), s.Width
	if p.listBox.Visible() {
		if p.window.Width >= 1200 {
			x = listWidth
		}
		put(o[0], 0, 0, listWidth, s.Height)
		put(o[1], listWidth, 0, 1, s.Height)
	} else {
		put(o[1], -2, 0, 1, 0)
	}
	if p.panel.box.Visible() {
		w := float32(panelWidth)
		if p.window.Width < 1000 {
			w = panelSmall
		}
		right -= w
		put(o[6], right, 0, w, s.Height)
	}
	put(o[5], right, 0, 1, s.Height)
	h := parts.HeightFor(p.composer, right-x)
	put(o[2], x, 0, right-x, s.Height-h)
	put(o[3], x, s.Height-h, right-x, h)
	put(o[4], x, s.Height-h, right-x, 1)
	ew := min(right-x-40, 520)
	eh := parts.HeightFor(p.error, ew)
	put(o[7], x+(right-x-ew)/2, max(8, s.Height-h-eh-12), ew, eh)
}
