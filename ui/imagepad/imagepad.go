// Package imagepad is the pane that draws: a prompt becomes a picture, and the results stay in a gallery.
package imagepad

import (
	"fmt"
	"strings"

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

// The measures of the pane.
const (
	formWidth   = 284
	sideWidth   = 252
	galleryHigh = 96
	thumbSide   = 68
)

// views are the views of the stage in the order of its switch.
var views = []palette.View{palette.Picture, palette.Confidence, palette.Order, palette.Entropy}

// Pane is the pane Canvas.
type Pane struct {
	env    parts.Env
	root   *fyne.Container
	prompt *parts.Field
	seed   *parts.Seed
	form   *parts.ParamForm
	run    *parts.Button
	queue  *parts.Button
	left   *parts.Box

	segment *widgets.Segment
	stage   *parts.Stage
	middle  *fyne.Container
	empty   *fyne.Container
	error   *parts.Error

	side    *parts.Box
	small   *parts.Stage
	numbers *parts.Numbers
	heat    *widgets.Heatmap
	heatRun string

	gallery *widgets.Gallery
	strip   *parts.Box
	count   *parts.Text
	inpaint *parts.Button
	save    *parts.Button

	branch    *parts.Brancher
	branchBox *parts.Box

	now      *state.State
	window   fyne.Size
	examples *fyne.Container
	spec     string
}

// New makes the pane.
func New(env parts.Env) *Pane {
	p := &Pane{env: env}
	p.makeForm()
	p.segment = widgets.NewSegment([]string{"Picture", "Confidence", "Order", "Entropy"}, func(i int) { p.stage.View.SetView(views[i]) })
	p.stage = parts.NewStage(env)
	p.stage.View.SetView(palette.Picture)
	p.stage.View.SetMargin(0)
	p.error = parts.NewError()
	p.error.OnDismiss = func() { env.Dispatch(state.DismissError{Pane: state.PaneCanvas}) }
	p.error.OnRetry = p.retry
	p.examples = parts.VStack(8, 0, 0)
	p.empty = parts.Empty(theme.Icon("pane-canvas"), "No picture yet", "Write what it should show. Every cell starts as a mask, and the surest come first.", p.examples)
	p.middle = container.New(&stageLayout{}, p.segment, p.stage)
	p.makeSide()
	p.makeGallery()
	p.branch = parts.NewBrancher(env, state.PaneCanvas)
	p.branch.Attach(p.stage, p.view)
	p.branch.Attach(p.small, p.view)
	p.heat.OnSeek = env.Seek
	p.branchBox = parts.NewBox(theme.ColorPanel, 0, parts.Inset(0, 16, 0, 16, p.branch.Bar))
	p.branchBox.Hide()
	p.root = container.New(&layoutCanvas{p}, p.left, parts.VLine(), container.NewStack(p.middle, p.empty), p.side, p.strip, parts.HLine(), p.error, p.branchBox)
	return p
}

func (p *Pane) makeForm() {
	env := p.env
	p.prompt = parts.Hook(env, parts.NewField("a red boat and a moon", true))
	p.prompt.EnterRuns = true
	p.prompt.OnRun = p.submit
	p.prompt.OnChanged = func(text string) { env.Dispatch(state.EditDraft{Pane: state.PaneCanvas, Text: text}) }
	p.seed = parts.NewSeed(env, state.PaneCanvas)
	p.form = parts.NewParamForm(env, false, "top_p")
	p.run = parts.NewButton(parts.Run, "Draw", fynetheme.MediaPlayIcon(), p.runOrStop)
	p.run.Hint, p.run.OnHint = "Draw  Ctrl+Enter", env.Note
	p.queue = parts.NewButton(parts.Normal, "Queue", fynetheme.ContentAddIcon(), p.submit).High()
	p.queue.Hint, p.queue.OnHint = "Another run waits in line", env.Note
	head := parts.VStack(8, 0, 0, parts.Strong("Prompt"), parts.Fixed(0, 84, p.prompt), parts.Inset(6, 0, 0, 0, parts.Soft("Seed")), p.seed.Row, parts.Inset(8, 0, 4, 0, parts.HLine()))
	body := container.NewVScroll(parts.Inset(4, 8, 8, 0, p.form))
	foot := parts.HStack(8, 0, 0, parts.Grow(60, p.run), p.queue)
	p.left = parts.NewBox(theme.ColorPanel, 0, parts.Inset(16, 8, 16, 16, container.NewBorder(parts.Inset(0, 8, 0, 0, head), parts.Inset(8, 8, 0, 0, foot), nil, nil, body)))
}

func (p *Pane) makeSide() {
	p.small = parts.NewStage(p.env)
	p.small.View.SetView(palette.Confidence)
	p.numbers = parts.NewNumbers(p.env, "cells")
	p.heat = widgets.NewHeatmap(false)
	p.heat.OnHover = func(step, pos int) {
		if v := p.env.View(p.heatRun); step > 0 && v != nil {
			p.env.Note(parts.Inspect(v, pos))
		} else {
			p.env.Note("")
		}
	}
	p.side = parts.NewBox("", 0, parts.VStack(8, 24, 16,
		parts.Strong("Confidence"), container.New(&squareLayout{}, p.small), widgets.NewLegend(),
		parts.Inset(6, 0, 6, 0, p.numbers.Box), parts.Strong("Step by cell"),
		parts.NewBox(theme.ColorCanvas, theme.RadiusCard, parts.Fixed(0, 68, parts.Inset(6, 6, 6, 6, p.heat)))))
}

func (p *Pane) makeGallery() {
	env := p.env
	p.gallery = widgets.NewGallery(thumbSide)
	p.gallery.OnTapped = func(id string) { env.Dispatch(state.ShowRun{Pane: state.PaneCanvas, Run: id}) }
	p.gallery.OnMenu = p.menu
	p.gallery.OnHint = env.Note
	p.count = parts.Caption("").Whole()
	p.inpaint = parts.NewButton(parts.Normal, "Inpaint", theme.Icon("pane-inpaint"), func() {
		env.Dispatch(state.TakeToInpaint{Run: p.now.Panes[state.PaneCanvas].Shown})
	})
	p.save = parts.NewButton(parts.Normal, "", fynetheme.DocumentSaveIcon(), p.savePicture)
	p.save.Hint, p.save.OnHint = "Save the picture  Ctrl+S", env.Note
	scroll := container.NewHScroll(parts.Inset(14, 4, 14, 16, p.gallery))
	p.strip = parts.NewBox(theme.ColorPanel, 0, container.NewBorder(nil, nil, nil, parts.HStack(8, 16, 0, p.count, p.inpaint, p.save), scroll))
}

// menu offers what can be done with a picture of the gallery.
func (p *Pane) menu(id string, at fyne.Position) {
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("",
		fyne.NewMenuItem("Inpaint", func() { p.env.Dispatch(state.TakeToInpaint{Run: id}) }),
		fyne.NewMenuItem("Draw again with another seed", func() { p.env.Dispatch(state.Regenerate{Run: id}) }),
		fyne.NewMenuItem("Use its prompt", func() { p.env.Dispatch(state.EditPrompt{Run: id}) }),
		fyne.NewMenuItem("Use its seed", func() {
			p.env.Dispatch(state.SetSeed{Pane: state.PaneCanvas, Seed: p.now.Runs[id].Job.Options.Seed})
		}),
		fyne.NewMenuItemSeparator(),
		fyne.NewMenuItem("Delete", func() { p.env.Dispatch(state.DeleteRun{Run: id}) }),
	), p.env.Window().Canvas(), at)
}

func (p *Pane) savePicture() {
	id := p.now.Panes[state.PaneCanvas].Shown
	name := strings.Join(strings.Fields(state.Title(state.Prompt(p.now.Runs[id].Job))), "-")
	parts.SavePicture(p.env, state.PaneCanvas, id, strings.Trim(name, "….,"), p.env.Thumb(id))
}

func (p *Pane) submit() { p.env.Dispatch(state.Submit{Pane: state.PaneCanvas}) }

func (p *Pane) runOrStop() {
	if p.now.Busy(state.PaneCanvas) {
		p.env.Dispatch(state.Stop{Pane: state.PaneCanvas})
		return
	}
	p.submit()
}

func (p *Pane) retry() {
	p.env.Dispatch(state.DismissError{Pane: state.PaneCanvas})
	if p.now.Model.Err != nil {
		p.env.Dispatch(state.RetryLoad{})
		return
	}
	p.submit()
}

// view is the view of the run shown.
func (p *Pane) view() *state.View { return p.env.View(p.now.Panes[state.PaneCanvas].Shown) }

// Content implements the pane.
func (p *Pane) Content() fyne.CanvasObject { return p.root }

// Bar implements the pane.
func (p *Pane) Bar() fyne.CanvasObject { return nil }

// Heading implements the pane.
func (p *Pane) Heading(s *state.State) (string, string) {
	if sp := s.Model.Spec.Image; sp != nil {
		return "Canvas", fmt.Sprintf("%d × %d cells, %d × %d pixels", sp.Grid.Cols, sp.Grid.Rows, sp.Width, sp.Height)
	}
	return "Canvas", ""
}

// Apply implements the pane.
func (p *Pane) Apply(s *state.State) {
	p.now = s
	p.branch.Apply(s)
	ps := s.Panes[state.PaneCanvas]
	p.prompt.Put(ps.Draft.Text)
	p.seed.Apply(ps)
	if s.Model.Loaded {
		p.form.Set(s.Model.Spec, engine.TextToImage, s.Options(engine.TextToImage))
	}
	busy := s.Busy(state.PaneCanvas)
	if busy {
		p.run.SetKind(parts.Outline)
		p.run.Set("Stop", fynetheme.MediaStopIcon())
		p.queue.Show()
	} else {
		p.run.SetKind(parts.Run)
		p.run.Set("Draw", fynetheme.MediaPlayIcon())
		p.queue.Hide()
	}
	show(p.empty, ps.Shown == "" && !ps.Loading)
	show(p.middle, ps.Shown != "")
	p.applyGallery(s)
	shownDone := s.Runs[ps.Shown].State.Over() && ps.Shown != ""
	p.inpaint.SetEnabled(shownDone)
	p.save.SetEnabled(shownDone)
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
}

func (p *Pane) fillExamples(spec engine.Spec) {
	p.examples.Objects = nil
	texts := spec.Examples[engine.TextToImage]
	for _, t := range texts[:min(3, len(texts))] {
		p.examples.Objects = append(p.examples.Objects, parts.NewButton(parts.Normal, t, nil, func() {
			p.env.Dispatch(state.TryExample{Pane: state.PaneCanvas, Text: t, Run: true})
		}))
	}
	p.examples.Refresh()
}

func (p *Pane) applyGallery(s *state.State) {
	runs := s.Gallery(state.PaneCanvas)
	var thumbs []widgets.Thumb
	for _, r := range runs {
		thumbs = append(thumbs, widgets.Thumb{ID: r.ID, Image: p.env.Thumb(r.ID), Name: fmt.Sprintf("%s   seed %d", state.Prompt(r.Job), r.Job.Options.Seed)})
	}
	p.gallery.Set(thumbs, s.Panes[state.PaneCanvas].Shown)
	p.count.Set(state.Plural(len(runs), "picture"))
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
func (p *Pane) Observe() {
	if p.now == nil {
		return
	}
	v := p.env.View(p.now.Panes[state.PaneCanvas].Shown)
	p.stage.Play(v)
	p.branch.Observe(v)
	p.branch.Show(p.stage)
	show(p.branchBox, p.branch.Active())
	p.numbers.Show(v)
	if p.side.Visible() {
		p.small.Play(v)
	}
	if v == nil || v.Run.Started() == nil {
		if p.heatRun != "" {
			p.heatRun = ""
			p.heat.SetRun(nil)
		}
	} else {
		if p.heatRun != v.ID {
			p.heatRun = v.ID
			p.heat.SetRun(v.Run)
		}
		p.heat.Update()
		p.heat.SetStep(v.Step())
	}
	if len(p.now.Queue) > 0 {
		p.applyGallery(p.now)
	}
}

// Fit implements the pane.
func (p *Pane) Fit(window fyne.Size) {
	p.window = window
	show(p.side, window.Width >= 1200)
}

// Rune implements the pane.
func (p *Pane) Rune(r rune) bool {
	for i, v := range views {
		if r == rune('1'+int(v)) {
			p.segment.SetSelected(i)
			return true
		}
	}
	return false
}

// Shortcut implements the pane.
func (p *Pane) Shortcut(s fyne.Shortcut) bool {
	if p.branch.Shortcut(s) {
		return true
	}
	c, ok := s.(*desktop.CustomShortcut)
	if !ok || c.KeyName != fyne.KeyS || p.save.Disabled() {
		return false
	}
	p.savePicture()
	return true
}

// squareLayout makes its object as high as it is wide.
type squareLayout struct{}

// MinSize implements [fyne.Layout].
func (squareLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSquareSize(100) }

// HeightFor implements [parts.Flowing].
func (squareLayout) HeightFor(_ []fyne.CanvasObject, width float32) float32 { return width }

// Layout implements [fyne.Layout].
func (squareLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Move(fyne.NewPos(0, 0))
	o[0].Resize(fyne.NewSquareSize(min(s.Width, s.Height)))
}

// stageLayout puts the switch above the largest square that fits.
type stageLayout struct{}

// MinSize implements [fyne.Layout].
func (stageLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(320, 320) }

// Layout implements [fyne.Layout].
func (stageLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	bar := o[0].MinSize()
	side := min(s.Width-48, s.Height-bar.Height-16-40)
	x, y := (s.Width-side)/2, (s.Height-side-bar.Height-10)/2
	o[0].Move(fyne.NewPos(x, y))
	o[0].Resize(bar)
	o[1].Move(fyne.NewPos(x, y+bar.Height+10))
	o[1].Resize(fyne.NewSquareSize(side))
}

// layoutCanvas puts form, stage, side column and gallery.
type layoutCanvas struct{ p *Pane }

// MinSize implements [fyne.Layout].
func (l *layoutCanvas) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(600, 400) }

// Layout implements [fyne.Layout].
func (l *layoutCanvas) Layout(o []fyne.CanvasObject, s fyne.Size) {
	p := l.p
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(max(w, 0), max(h, 0)))
	}
	form, low := float32(formWidth), float32(galleryHigh)
	if p.window.Height < 720 {
		low = 0
	}
	show(p.strip, low > 0)
	put(o[0], 0, 0, form, s.Height)
	put(o[1], form, 0, 1, s.Height)
	right := s.Width
	if p.side.Visible() {
		right -= sideWidth + 24
		put(o[3], right, 0, sideWidth+24, s.Height-low)
	}
	put(o[2], form+1, 0, right-form-1, s.Height-low)
	put(o[4], form+1, s.Height-low, s.Width-form-1, low)
	put(o[5], form+1, s.Height-low, s.Width-form-1, 1)
	bar := max(low, 64)
	put(o[7], form+1, s.Height-bar+1, s.Width-form-1, bar-1)
	ew := min(s.Width-form-40, 520)
	put(o[6], form+(s.Width-form-ew)/2, 16, ew, parts.HeightFor(p.error, ew))
}
