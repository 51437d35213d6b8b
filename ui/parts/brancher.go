package parts

// size: everything that a person does at one step of a run, and the bar that says so.

import (
	"fmt"
	"image"
	"maps"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/run"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// Brancher inspects the tokens of the run that a pane shows, collects what is changed at the step shown, and runs on from
// there. A pane shows its Bar while [Brancher.Active] and passes it taps, strokes and keys.
type Brancher struct {
	Bar *fyne.Container
	// Where says where a position stands in the window, so that the inspector opens below it.
	Where func(pos int) (at fyne.Position, ok bool)
	// ReadOnly shows candidates and takes no changes.
	ReadOnly bool

	env      Env
	pane     state.Pane
	view     *state.View
	now      *state.State
	ins      *Inspector
	pop      *widget.PopUp
	pos      int // inspected; -1: none
	selected []int
	asking   bool
	waiting  bool // for what codes look like

	chips            [3]*chip
	caption          *Text
	undo, redo, with *widgets.IconButton
	drop             *widgets.IconButton
	runOn            *Button
}

// chip is a short text on a grey ground.
type chip struct {
	box  *Box
	text *Text
}

func newChip() *chip {
	c := &chip{text: SmallNumber("")}
	c.box = NewBox(theme.ColorSelected, theme.RadiusToken, Inset(3, 8, 3, 8, c.text))
	return c
}

func (c *chip) set(text string) {
	c.text.Set(text)
	show(c.box, text != "")
}

// NewBrancher makes the brancher of a pane.
func NewBrancher(env Env, pane state.Pane) *Brancher {
	b := &Brancher{env: env, pane: pane, pos: -1, caption: Caption("")}
	b.ins = NewInspector(env)
	b.ins.OnPin = func(c Candidate) {
		b.touch(state.Deed{Pos: b.pos, Kind: engine.ActPin, Token: c.Token, Text: c.Text})
	}
	b.ins.OnUnpin = func() { b.touch(state.Deed{Pos: b.pos, Kind: engine.ActUnpin}) }
	b.ins.OnRemask = func() { b.touch(state.Deed{Pos: b.pos, Kind: engine.ActRemask}) }
	b.ins.OnType = b.typeText
	b.ins.OnAsk = b.ask
	b.ins.OnClose = b.Close
	for i := range b.chips {
		b.chips[i] = newChip()
	}
	icon := func(name, key string, r fyne.Resource, do func()) *widgets.IconButton {
		x := widgets.NewIconButton(name, key, r, do)
		x.OnHint = env.Note
		return x
	}
	b.undo = icon("Undo the last change", "Ctrl+Z", fynetheme.ContentUndoIcon(), b.Undo)
	b.redo = icon("Redo", "Ctrl+Shift+Z", fynetheme.ContentRedoIcon(), b.Redo)
	b.drop = icon("Drop the changes at this step", "", fynetheme.DeleteIcon(), func() {
		b.env.Dispatch(state.DropBranch{Pane: b.pane, Run: b.view.ID, Step: b.view.Step()})
	})
	b.with = icon("Run on with another sampler, seed or settings", "", fynetheme.SettingsIcon(), nil)
	b.with.OnTapped = func() { b.menu(b.with) }
	b.runOn = NewButton(Run, "Run on from here", theme.Icon("run-on"), b.RunOn)
	b.runOn.Hint, b.runOn.OnHint = "Run on from here  Ctrl+Shift+Enter", env.Note
	b.Bar = HStack(6, 0, 0, b.chips[0].box, b.chips[1].box, b.chips[2].box, Grow(20, b.caption), b.undo, b.redo, b.drop, b.with, b.runOn)
	return b
}

// Active reports whether the step shown lies in the past of its run, or something was changed there.
func (b *Brancher) Active() bool {
	if b.view == nil || b.now == nil || b.view.Run.Started() == nil || b.ReadOnly {
		return false
	}
	past := !b.view.Following() && b.view.Step() < b.view.Run.Len()
	x := b.branch()
	return past || !x.Empty()
}

func (b *Brancher) branch() state.Branch {
	return b.now.BranchAt(b.pane, b.view.ID, b.view.Step())
}

// Placed is the state shown with what was changed; ok is false where nothing was.
func (b *Brancher) Placed() (p state.Placed, ok bool) {
	if b.view == nil || b.now == nil || b.view.Run.Started() == nil {
		return p, false
	}
	x := b.branch()
	if len(x.Done) == 0 && b.view.Run.Started().Job.From == nil {
		return p, false
	}
	return x.Place(b.view.State(), b.view.Run.Started()), true
}

// Changed are the texts that were put at positions here, "" for those masked again.
func (b *Brancher) Changed() (texts map[int]string, pinned []int) {
	p, ok := b.Placed()
	if !ok {
		return nil, nil
	}
	texts = map[int]string{}
	for pos := range p.Masked {
		texts[pos] = ""
	}
	maps.Copy(texts, p.Texts)
	pinned = slices.Collect(maps.Keys(p.Pinned))
	for pos := range p.Texts {
		if !p.Pinned[pos] {
			pinned = append(pinned, pos)
		}
	}
	return texts, pinned
}

// Attach lets cells of a stage be inspected, and painted to be masked again. run says which run the stage shows.
func (b *Brancher) Attach(stage *Stage, run func() *state.View) {
	stage.View.OnTapped = func(pos int, at fyne.Position) {
		b.Open(run(), pos, fyne.CurrentApp().Driver().AbsolutePositionForObject(stage.View).Add(at))
	}
	if !b.ReadOnly {
		stage.View.OnPaint = func(pos []int) { b.Remask(run(), pos) }
	}
}

// Show shows on a stage what was changed at the step shown.
func (b *Brancher) Show(stage *Stage) {
	var hidden, pinned []int
	if p, ok := b.Placed(); ok {
		hidden, pinned = slices.Sorted(maps.Keys(p.Masked)), slices.Sorted(maps.Keys(p.Pinned))
	}
	stage.View.SetHidden(hidden)
	stage.View.SetPinned(pinned)
}

// Apply shows what s knows of the branch.
func (b *Brancher) Apply(s *state.State) { b.now = s; b.write() }

// Observe shows where v stands; nil: nothing is shown.
func (b *Brancher) Observe(v *state.View) {
	if b.view != v {
		b.Close()
		b.selected = nil
	}
	b.view = v
	if b.asking && b.pop != nil && b.pop.Visible() {
		if _, ok := v.Asked[state.Asked{Step: v.Step(), Pos: b.pos}]; ok {
			b.asking = false
			b.fill()
		}
	}
	if b.waiting && b.pop != nil && b.pop.Visible() {
		b.fill()
	}
	b.write()
}

// write fills in the bar.
func (b *Brancher) write() {
	if !b.Active() {
		return
	}
	x := b.branch()
	st := b.view.Run.Started()
	p := x.Place(b.view.State(), st)
	b.chips[0].set(fmt.Sprintf("step %d", b.view.Step()))
	pins := 0
	for _, d := range p.Acts {
		if d.Kind == engine.ActPin || d.Kind == engine.ActType {
			pins++
		}
	}
	pinned, masked := "", ""
	if n := len(p.Pinned) + len(p.Words); n > 0 {
		pinned = fmt.Sprintf("%d pinned", n)
	}
	if n := len(p.Masked); n > 0 {
		masked = fmt.Sprintf("%d masked again", n)
	}
	if x.More > 0 {
		masked = strings.TrimPrefix(masked+fmt.Sprintf(", %d more masks", x.More), ", ")
	}
	b.chips[1].set(pinned)
	b.chips[2].set(masked)
	b.with.SetOn(x.Options != nil)
	o := x.RunOptions(b.view.State(), st)
	var with []string
	if o.Sampler != st.Job.Options.Sampler {
		with = append(with, strings.ToLower(state.SamplerTitle(o.Sampler)))
	}
	if o.Seed != st.Job.Options.Seed {
		with = append(with, fmt.Sprintf("seed %d", o.Seed))
	}
	with = append(with, state.Plural(p.Left, "mask")+" in "+state.Plural(o.Steps, "step"))
	b.caption.Set(strings.Join(with, ", "))
	b.undo.SetEnabled(len(x.Done) > 0)
	b.redo.SetEnabled(len(x.Undone) > 0)
	show(b.drop, !x.Empty())
	show(b.redo, len(x.Undone) > 0)
	b.runOn.SetEnabled(p.Left > 0 || !x.Empty())
}

// Open shows the inspector for a position of v, below it.
func (b *Brancher) Open(v *state.View, pos int, at fyne.Position) {
	if v == nil || v.Run.Started() == nil || pos < 0 || pos >= v.Run.Positions() {
		return
	}
	b.Observe(v)
	b.pos, b.asking = pos, false
	b.fill()
	c := b.env.Window().Canvas()
	if b.pop == nil {
		b.pop = widget.NewPopUp(b.ins, c)
	}
	size := b.ins.MinSize()
	x := min(max(8, at.X-24), c.Size().Width-size.Width-12)
	y := at.Y + 6
	if y+size.Height > c.Size().Height-8 {
		y = max(8, at.Y-size.Height-theme.LineToken-10)
	}
	b.pop.ShowAtPosition(fyne.NewPos(x, y))
	b.pop.Resize(size)
	c.Focus(b.ins)
	if b.needsAsking() {
		b.ask()
	}
	if b.ins.in.Free {
		b.env.Note("Up, Down choose   P pins   M masks it again   T types another   A asks the model   Esc closes")
	} else {
		b.env.Note("Esc closes")
	}
}

// Close shuts the inspector.
func (b *Brancher) Close() {
	if b.pop != nil && b.pop.Visible() {
		b.pop.Hide()
		b.env.Window().Canvas().Overlays().Remove(b.pop)
	}
}

// Inspecting is the position in the inspector, -1 while it is shut, and how many candidates it shows.
func (b *Brancher) Inspecting() (pos, candidates int) {
	if b.pop == nil || !b.pop.Visible() {
		return -1, 0
	}
	return b.pos, len(b.ins.in.Candidates)
}

// belief is what is known of the inspected position: asked for here, recorded in the run, or recorded in the run that it
// goes on from.
func (b *Brancher) belief() (run.Belief, string, bool) {
	v := b.view
	if l, ok := v.Asked[state.Asked{Step: v.Step(), Pos: b.pos}]; ok && len(l.Top) > 0 {
		return run.Belief{Look: l, Step: v.Step()}, "asked now", true
	}
	if x, ok := v.Run.Belief(b.pos, v.Step()); ok && len(x.Top) > 0 {
		c := v.State().Cells[b.pos]
		if !c.Masked || !x.Written {
			return x, fmt.Sprintf("of step %d", x.Step), true
		}
	}
	if f := v.Run.Started().Job.From; f != nil && b.pos < len(v.State().Cells) && v.State().Cells[b.pos].Step == 0 && !v.State().Cells[b.pos].Masked {
		if parent := b.env.View(f.Run); parent != nil {
			if x, ok := parent.Run.Belief(b.pos, f.Step); ok && len(x.Top) > 0 {
				return x, fmt.Sprintf("of step %d before", x.Step), true
			}
		}
	}
	return run.Belief{}, "", false
}

func (b *Brancher) needsAsking() bool {
	_, _, ok := b.belief()
	return !ok && b.free(b.pos) && b.now.Model.Loaded && len(b.now.Queue) == 0 && b.sameModel()
}

func (b *Brancher) sameModel() bool {
	return b.now.Model.Spec.Hash == b.view.Run.Started().Spec.Hash
}

// free reports whether a person may change a position.
func (b *Brancher) free(pos int) bool {
	c := &b.view.State().Cells[pos]
	if !c.Fixed {
		return true
	}
	f := b.view.Run.Started().Job.From
	return f != nil && slices.Contains(f.Pinned, pos)
}

// fill writes what is known into the inspector.
//
// size: one part of the inspector after the other.
func (b *Brancher) fill() {
	v := b.view
	st, c := v.Run.Started(), v.State().Cells[b.pos]
	in := Inspected{Place: fmt.Sprintf("position %d · step %d", b.pos, v.Step()), Now: c.Token, Masked: c.Masked, Free: b.free(b.pos) && !b.ReadOnly, Text: c.Modality == engine.Text}
	if c.Masked {
		in.Now = -1
	}
	x := b.branch()
	p := x.Place(v.State(), st)
	in.Pinned = p.Pinned[b.pos]
	text := c.Text
	if t, ok := p.Texts[b.pos]; ok {
		text = t
		in.Now = p.Tokens[b.pos]
	}
	if p.Masked[b.pos] {
		in.Masked, in.Now = true, -1
	}
	picture := c.Modality == engine.Image
	in.Title = visible(text)
	switch {
	case in.Masked:
		in.Title = "Masked"
	case picture:
		in.Title = fmt.Sprintf("Cell %d", c.Token-offset(st))
		in.Patch = b.env.Cells([]engine.Token{c.Token})[c.Token]
	}
	if y, from, ok := b.belief(); ok {
		top := y.Top[:min(inspectorRows, len(y.Top))]
		var looks map[engine.Token]image.Image
		if picture {
			var tokens []engine.Token
			for _, a := range top {
				tokens = append(tokens, a.Token)
			}
			looks = b.env.Cells(tokens)
		}
		b.waiting = picture && len(looks) < len(top)
		for _, a := range top {
			cand := Candidate{Token: a.Token, Text: a.Text, Prob: a.Prob}
			if picture {
				cand.Text = fmt.Sprint(a.Token - offset(st))
				cand.Patch = looks[a.Token]
			} else if a.Text == "" {
				cand.Text = fmt.Sprintf("#%d", a.Token)
			}
			in.Candidates = append(in.Candidates, cand)
		}
		in.Foot = []string{"margin " + figures.Prob(y.Margin), "entropy " + figures.Nats(y.Entropy), from}
	} else {
		switch {
		case !in.Free:
			in.Note = "Part of the prompt: no step writes here."
		case b.asking:
			in.Note = "Asking the model: one forward pass."
		case !b.sameModel():
			in.Note = "Nothing was kept of this position, and another model made the run."
		default:
			in.Note = "Nothing was kept of this position. A asks the model."
		}
	}
	b.ins.Fill(in)
	if b.pop != nil && b.pop.Visible() {
		b.pop.Resize(b.ins.MinSize())
	}
}

func offset(st *engine.Started) engine.Token {
	if st.Spec.Image == nil {
		return 0
	}
	return st.Spec.Image.Offset
}

// touch does one thing at the inspected position.
func (b *Brancher) touch(d state.Deed) {
	d.Was = b.view.State().Cells[d.Pos].Text
	b.env.Dispatch(state.Touch{Pane: b.pane, Run: b.view.ID, Step: b.hold(), Deeds: []state.Deed{d}})
	b.Close()
}

// hold keeps the play head at the step shown, so that a run under way does not move what was changed.
func (b *Brancher) hold() int { return b.view.Step() }

// typeText puts a text at the inspected position; it keeps the blank before the token that it stands for.
func (b *Brancher) typeText(text string) {
	c := b.view.State().Cells[b.pos]
	if strings.HasPrefix(c.Text, " ") || c.Text == "" && b.pos > b.view.Run.Started().Answer.Lo {
		text = " " + strings.TrimLeft(text, " ")
	}
	b.touch(state.Deed{Pos: b.pos, Kind: engine.ActType, Text: text})
}

// Remask masks positions of v again; Pin pins what stands at them; both are one change.
func (b *Brancher) Remask(v *state.View, positions []int) { b.all(v, positions, engine.ActRemask) }

// Pin pins what stands at positions of v.
func (b *Brancher) Pin(v *state.View, positions []int) { b.all(v, positions, engine.ActPin) }

func (b *Brancher) all(v *state.View, positions []int, kind engine.ActKind) {
	if v == nil || v.Run.Started() == nil || b.ReadOnly {
		return
	}
	b.Observe(v)
	var deeds []state.Deed
	for _, pos := range positions {
		c := v.State().Cells[pos]
		if !b.free(pos) || c.Masked {
			continue
		}
		d := state.Deed{Pos: pos, Kind: kind, Was: c.Text}
		if kind == engine.ActPin {
			d.Token, d.Text = c.Token, c.Text
		}
		deeds = append(deeds, d)
	}
	b.env.Dispatch(state.Touch{Pane: b.pane, Run: v.ID, Step: v.Step(), Deeds: deeds})
}

// Undo takes the last change at the step shown back, Redo does it again.
func (b *Brancher) Undo() {
	if b.view != nil {
		b.env.Dispatch(state.UndoTouch{Pane: b.pane, Run: b.view.ID, Step: b.view.Step()})
	}
}

// Redo is the opposite of Undo.
func (b *Brancher) Redo() {
	if b.view != nil {
		b.env.Dispatch(state.RedoTouch{Pane: b.pane, Run: b.view.ID, Step: b.view.Step()})
	}
}

// RunOn runs on from the step shown with what was changed there.
func (b *Brancher) RunOn() {
	if b.view == nil || b.view.Run.Started() == nil || b.ReadOnly {
		return
	}
	b.Close()
	x := b.branch()
	b.env.Dispatch(state.RunOn{Run: b.view.ID, Step: b.view.Step(), Job: x.Job(b.view.State(), b.view.Run.Started())})
}

// Shortcut does what a shortcut means for the step shown: undo, redo, run on; false: nothing.
func (b *Brancher) Shortcut(s fyne.Shortcut) bool {
	switch c := s.(type) {
	case *fyne.ShortcutUndo:
		b.Undo()
	case *fyne.ShortcutRedo:
		b.Redo()
	case *desktop.CustomShortcut:
		switch {
		case c.KeyName == fyne.KeyZ && c.Modifier&fyne.KeyModifierShift != 0:
			b.Redo()
		case c.KeyName == fyne.KeyReturn && c.Modifier&fyne.KeyModifierShift != 0:
			b.RunOn()
		default:
			return false
		}
	default:
		return false
	}
	return true
}

// MoreMasks runs on from the end of v's answer with as many masks again, the end tokens masked too.
func (b *Brancher) MoreMasks(v *state.View) {
	if v == nil || v.Run.Started() == nil {
		return
	}
	b.Observe(v)
	st, s := v.Run.Started(), v.State()
	var deeds []state.Deed
	for p := st.Answer.Lo; p < st.Answer.Hi; p++ {
		if c := &s.Cells[p]; (s.IsEnd(p) || c.AfterEnd) && b.free(p) {
			deeds = append(deeds, state.Deed{Pos: p, Kind: engine.ActRemask, Was: c.Text})
		}
	}
	b.env.Dispatch(state.Touch{Pane: b.pane, Run: v.ID, Step: v.Step(), Deeds: deeds})
	more := st.Answer.Len()
	if room := st.Spec.MaxLen - len(s.Cells); st.Spec.MaxLen > 0 {
		more = min(more, room)
	}
	if more > 0 {
		b.env.Dispatch(state.MoreMasks{Pane: b.pane, Run: v.ID, Step: v.Step(), More: more})
	}
	b.RunOn()
}

// ask asks the model what it believes of the inspected position, with everything else as it stands.
func (b *Brancher) ask() {
	v := b.view
	if !b.now.Model.Loaded || !b.free(b.pos) || !b.sameModel() {
		return
	}
	b.asking = true
	x := b.branch()
	j := x.Job(v.State(), v.Run.Started())
	j.ID = "probe"
	j.From.Tokens[b.pos] = v.Run.Started().Spec.Mask
	j.From.Pinned = slices.DeleteFunc(j.From.Pinned, func(p int) bool { return p == b.pos })
	j.From.Anew = true
	o := &j.Options
	o.Steps, o.Temperature, o.Watch, o.Alternatives, o.Previews, o.StopAtEnd, o.EndPenalty = 1, 0, true, inspectorRows, false, false, 0
	o.Cache = engine.CacheNone
	if v.Run.Started().Spec.Block == 0 {
		o.Block = 0
	}
	b.fill()
	b.env.Dispatch(state.Probe{Run: v.ID, Step: v.Step(), Pos: b.pos, Job: j})
}

// menu chooses what to run on with.
func (b *Brancher) menu(under fyne.CanvasObject) {
	st := b.view.Run.Started()
	x := b.branch()
	o := x.RunOptions(b.view.State(), st)
	set := func(o *engine.Options) func() {
		return func() {
			b.env.Dispatch(state.SetBranch{Pane: b.pane, Run: b.view.ID, Step: b.view.Step(), Options: o})
		}
	}
	task := st.Job.Task
	rows := state.Settings(st.Spec, task, o)
	var list []*fyne.MenuItem
	for i, name := range rows[0].Choices {
		n := state.Put(st.Spec, task, o, "sampler", float64(i))
		item := fyne.NewMenuItem(name, set(&n))
		item.Checked = i == int(rows[0].Value)
		list = append(list, item)
	}
	samplers := fyne.NewMenuItem("Sampler", nil)
	samplers.ChildMenu = fyne.NewMenu("", list...)
	list = nil
	for _, n := range []int{o.Steps / 4, o.Steps / 2, o.Steps, o.Steps * 2, o.Steps * 4} {
		if n >= 1 {
			s := o
			s.Steps = n
			item := fyne.NewMenuItem(state.Plural(n, "step"), set(&s))
			item.Checked = n == o.Steps
			list = append(list, item)
		}
	}
	steps := fyne.NewMenuItem("Steps", nil)
	steps.ChildMenu = fyne.NewMenu("", list...)
	seed := o
	seed.Seed++
	next := b.now.Options(task)
	next.Seed, next.Steps, next.Length = o.Seed, o.Steps, o.Length
	items := []*fyne.MenuItem{
		samplers, steps,
		fyne.NewMenuItem(fmt.Sprintf("Seed %d", seed.Seed), set(&seed)),
		fyne.NewMenuItem("Settings of the next run", set(&next)),
		fyne.NewMenuItemSeparator(),
		fyne.NewMenuItem("The run's own settings", set(nil)),
	}
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(under)
	m := fyne.NewMenu("", items...)
	pop := widget.NewPopUpMenu(m, b.env.Window().Canvas())
	pop.ShowAtPosition(at.SubtractXY(120, pop.MinSize().Height+4))
}

// Key does what a letter means for the inspected or selected tokens; false: nothing.
func (b *Brancher) Key(r rune, v *state.View, pos int, selected []int) bool {
	if len(selected) == 0 && pos >= 0 {
		selected = []int{pos}
	}
	if len(selected) == 0 || b.ReadOnly {
		return false
	}
	switch r {
	case 'm', 'M':
		b.Remask(v, selected)
	case 'p', 'P':
		b.Pin(v, selected)
	case 't', 'T':
		if b.Where == nil {
			return false
		}
		at, ok := b.Where(selected[0])
		if !ok {
			return false
		}
		b.Open(v, selected[0], at)
		b.ins.startTyping()
	default:
		return false
	}
	return true
}
