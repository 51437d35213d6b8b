package inpaint

import (
	"fmt"
	"image"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/mask"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// side is the form at the right: what should be there, how, the last try, and all tries.
type side struct {
	p       *Pane
	box     *parts.Box
	prompt  *parts.Field
	form    *parts.ParamForm
	seed    *parts.Seed
	run     *parts.Button
	facts   *parts.Text
	lastBox *fyne.Container
	images  [2]*canvas.Image
	wipe    *parts.Button
	accept  *parts.Button
	drop    *parts.Button
	tries   *widgets.Gallery
	count   *parts.Text
	wiped   image.Image // what the wipe shows
}

func newSide(p *Pane) *side {
	env := p.env
	s := &side{p: p}
	s.prompt = parts.Hook(env, parts.NewField("a yellow kite", true))
	s.prompt.EnterRuns = true
	s.prompt.OnRun = p.submit
	s.prompt.OnChanged = func(text string) { env.Dispatch(state.EditDraft{Pane: state.PaneInpaint, Text: text}) }
	s.form = parts.NewParamForm(env, false, "schedule", "temperature", "top_p", "guidance", "params")
	s.seed = parts.NewSeed(env, state.PaneInpaint)
	s.run = parts.NewButton(parts.Run, "Re-imagine", fynetheme.MediaPlayIcon(), s.runOrStop)
	s.run.Hint, s.run.OnHint = "Re-imagine  Ctrl+Enter", env.Note
	s.facts = parts.SmallNumber("").Shortened().Aligned(fyne.TextAlignTrailing)
	for i := range s.images {
		s.images[i] = &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScaleFastest}
		s.images[i].CornerRadius = theme.RadiusToken
	}
	s.wipe = parts.NewButton(parts.Normal, "Wipe", theme.Icon("before-after"), p.toggleWipe)
	s.wipe.Hint, s.wipe.OnHint = "Before and after under one border  W", env.Note
	s.accept = parts.NewButton(parts.Lime, "Accept", fynetheme.ConfirmIcon(), p.accept).Low()
	s.accept.Hint, s.accept.OnHint = "The result becomes the picture", env.Note
	s.drop = parts.NewButton(parts.Normal, "", fynetheme.CancelIcon(), func() { env.Dispatch(state.DeleteRun{Run: p.now.Panes[state.PaneInpaint].Shown}) })
	s.drop.Hint, s.drop.OnHint = "Delete this try", env.Note
	s.tries = widgets.NewGallery(68)
	s.tries.OnTapped = func(id string) { env.Dispatch(state.ShowRun{Pane: state.PaneInpaint, Run: id}) }
	s.tries.OnMenu = s.menu
	s.tries.OnHint = env.Note
	s.count = parts.SmallNumber("")
	shot := func(i int, name string) fyne.CanvasObject {
		return parts.VStack(4, 0, 0, parts.Fixed(0, 100, s.images[i]), parts.Caption(name).Aligned(fyne.TextAlignCenter))
	}
	s.lastBox = parts.VStack(8, 0, 0,
		parts.HLine(), parts.HStack(8, 0, 0, parts.Strong("Last try").Whole(), parts.Grow(0, s.facts)),
		container.NewGridWithColumns(2, shot(0, "Before"), shot(1, "After")),
		parts.HStack(8, 0, 0, parts.Grow(80, s.wipe), parts.Grow(90, s.accept), parts.Fixed(36, 32, s.drop)),
		parts.HStack(8, 0, 0, parts.Grow(0, parts.Strong("Tries")), s.count),
		parts.Fixed(0, 72, container.NewHScroll(s.tries)))
	body := parts.VStack(8, 16, 12,
		parts.Strong("What should be there"), parts.Fixed(0, 56, s.prompt), s.form, parts.Soft("Seed"), s.seed.Row,
		parts.Inset(4, 0, 4, 0, s.run), s.lastBox)
	s.box = parts.NewBox(theme.ColorPanel, 0, container.NewVScroll(body))
	return s
}

func (s *side) menu(id string, at fyne.Position) {
	r := s.p.now.Runs[id]
	items := []*fyne.MenuItem{
		fyne.NewMenuItem("Try again with another seed", func() { s.p.env.Dispatch(state.Regenerate{Run: id}) }),
		fyne.NewMenuItem("Use its prompt", func() { s.p.env.Dispatch(state.EditPrompt{Run: id}) }),
	}
	if img := s.imageOf(id); img != nil {
		items = append(items, fyne.NewMenuItem("Go back to the picture before it", func() {
			s.p.env.Dispatch(state.Attach{Pane: state.PaneInpaint, Picture: state.Picture{Image: img, Name: state.Title(state.Prompt(r.Job))}})
		}))
	}
	items = append(items, fyne.NewMenuItemSeparator(), fyne.NewMenuItem("Delete", func() { s.p.env.Dispatch(state.DeleteRun{Run: id}) }))
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), s.p.env.Window().Canvas(), at)
}

func (s *side) runOrStop() {
	if s.p.now.Busy(state.PaneInpaint) {
		s.p.env.Dispatch(state.Stop{Pane: state.PaneInpaint})
		return
	}
	s.p.submit()
}

func (s *side) apply(st *state.State) {
	ps := st.Panes[state.PaneInpaint]
	s.prompt.Put(ps.Draft.Text)
	s.seed.Apply(ps)
	if st.Model.Loaded {
		task := st.TaskOf(state.PaneInpaint)
		s.form.Set(st.Model.Spec, task, st.Options(task))
	}
	show(s.lastBox, len(ps.Runs) > 0)
	s.thumbs(st)
	r := st.Runs[ps.Shown]
	text := fmt.Sprintf("seed %d · %s", r.Job.Options.Seed, state.Plural(r.Job.Options.Steps, "step"))
	if r.State == state.Done {
		text += " · " + figures.Duration(r.Stats.Wall)
	}
	s.facts.Set(text)
	s.pictures()
	over := r.State == state.Done && s.result() != nil
	s.accept.SetEnabled(over && !r.Accepted)
	s.wipe.SetEnabled(over)
	s.drop.SetEnabled(r.State.Over() && ps.Shown != "")
	if r.Accepted {
		s.accept.Set("Accepted", fynetheme.ConfirmIcon())
	} else {
		s.accept.Set("Accept", fynetheme.ConfirmIcon())
	}
	s.setWipe()
}

func (s *side) thumbs(st *state.State) {
	ps := st.Panes[state.PaneInpaint]
	var list []widgets.Thumb
	for _, r := range st.Gallery(state.PaneInpaint) {
		list = append(list, widgets.Thumb{ID: r.ID, Image: s.p.env.Thumb(r.ID), Mark: r.Accepted, Name: fmt.Sprintf("%s   seed %d", state.Prompt(r.Job), r.Job.Options.Seed)})
	}
	s.tries.Set(list, ps.Shown)
	s.count.Set(figures.Count(len(list)))
}

// label writes on the run button what it would do.
func (s *side) label(cells int) {
	st := s.p.now
	_, ok := s.p.ready()
	switch {
	case st.Busy(state.PaneInpaint):
		s.run.SetKind(parts.Outline)
		s.run.Set("Stop", fynetheme.MediaStopIcon())
		s.run.SetEnabled(true)
	case !ok:
		s.run.SetKind(parts.Run)
		s.run.Set("Paint what to re-imagine", theme.Icon("brush"))
		s.run.SetEnabled(false)
	default:
		s.run.SetKind(parts.Run)
		s.run.Set("Re-imagine "+state.Plural(cells, "cell"), fynetheme.MediaPlayIcon())
		s.run.SetEnabled(true)
	}
}

// imageOf is the picture that a run started from.
func (s *side) imageOf(id string) image.Image {
	if img := s.p.now.Runs[id].Job.Image; img != nil {
		return img
	}
	if v := s.p.env.View(id); v != nil && v.Run.Started() != nil {
		if img := v.Run.Started().Job.Image; img != nil {
			return img
		}
		return v.Run.Source()
	}
	return nil
}

func (s *side) before() image.Image { return s.imageOf(s.p.now.Panes[state.PaneInpaint].Shown) }

// result is the picture of the shown run once it is done.
func (s *side) result() image.Image {
	id := s.p.now.Panes[state.PaneInpaint].Shown
	if s.p.now.Runs[id].State != state.Done {
		return nil
	}
	return s.p.env.Thumb(id)
}

func (s *side) pictures() {
	id := s.p.now.Panes[state.PaneInpaint].Shown
	for i, img := range []image.Image{s.before(), s.p.env.Thumb(id)} {
		if s.images[i].Image != img {
			s.images[i].Image = img
			s.images[i].Refresh()
		}
		show(s.images[i], img != nil)
	}
}

// setWipe gives the wipe its two pictures when it is on.
func (s *side) setWipe() {
	after := s.result()
	if !s.p.wiping || after == nil || s.before() == nil {
		s.wiped = nil
		return
	}
	if s.wiped != after {
		s.wiped = after
		before := s.before()
		r := s.p.now.Runs[s.p.now.Panes[state.PaneInpaint].Shown]
		if r.Job.Mask != nil {
			after = mask.Merge(before, after, r.Job.Mask)
		}
		if r.Job.Task == engine.Outpaint {
			if v := s.p.env.View(r.ID); v != nil && v.Run.Source() != nil {
				before = v.Run.Source()
			}
		}
		s.p.wipe.Set(before, after)
	}
}

func (s *side) wipeOn(on bool) { s.wipe.SetOn(on) }

func (s *side) observe(v *state.View) {
	if v == nil || v.Run.Done() {
		return
	}
	s.pictures()
	s.thumbs(s.p.now)
}
