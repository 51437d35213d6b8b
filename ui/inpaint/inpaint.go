// Package inpaint is the pane that repaints: a picture, a painted mask, and what the model imagines there.
package inpaint

import (
	"fmt"
	"image"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/mask"
	"unmask/ui/palette"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// The measures of the pane.
const (
	toolsWidth = 56
	formWidth  = 336
	formSmall  = 292
)

// Pane is the pane Inpaint.
type Pane struct {
	env  parts.Env
	root *fyne.Container
	bar  *fyne.Container

	tools *tools
	brush *widgets.MaskBrush
	stage *parts.Stage
	wipe  *widgets.Wipe
	frame *canvas.Image // the picture in the frame of an outpaint
	below *parts.Text
	zoom  *parts.Text
	above *fyne.Container
	size  *sizer
	feath *sizer
	snap  *parts.Button
	empty *fyne.Container
	last_ *parts.Button
	error *parts.Error
	mid   *fyne.Container

	side *side

	now     *state.State
	window  fyne.Size
	version int
	grid    engine.Grid
	wiping  bool
	whole   bool // accepted changes are whole cells
}

// New makes the pane.
func New(env parts.Env) *Pane {
	p := &Pane{env: env, version: -1, whole: true}
	p.brush = widgets.NewMaskBrush()
	p.brush.OnStroke = func() { env.Dispatch(state.SetMask{Mask: p.brush.Mask().Alpha()}) }
	p.brush.OnCells = func(int) { p.count() }
	p.brush.OnKey = p.Rune
	p.brush.OnKeyName = func(e *fyne.KeyEvent) {
		if e.Name == fyne.KeyEscape {
			env.Shortcut(parts.Escape)
			return
		}
		env.Shortcut(&desktop.CustomShortcut{KeyName: e.Name})
	}
	p.brush.OnShortcut = env.Shortcut
	p.stage = parts.NewStage(env)
	p.stage.View.SetView(palette.Picture)
	p.stage.View.SetMargin(0)
	p.wipe = widgets.NewWipe()
	p.frame = &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScaleFastest}
	p.below, p.zoom = parts.SmallNumber("").Shortened(), parts.SmallNumber("").Aligned(fyne.TextAlignTrailing)
	p.size = newSizer("Size", " px", 2, 200, func(v float64) { p.brush.Radius = v / 2 })
	p.feath = newSizer("Feather", "", 0, 40, func(v float64) { p.brush.Feather = v })
	p.snap = parts.NewButton(parts.Normal, "Snap to tokens", theme.Icon("snap-grid"), p.toggleSnap)
	p.snap.Hint, p.snap.OnHint = "Accept changes whole cells  G", env.Note
	p.above = parts.HStack(16, 0, 0, p.size.row, p.feath.row, parts.Grow(0, parts.Caption("")), p.snap)
	p.tools = newTools(p)
	open := parts.NewButton(parts.Run, "Open a picture", nil, func() { parts.AskPicture(env, state.PaneInpaint) }).Low()
	p.last_ = parts.NewButton(parts.Normal, "Last from Canvas", nil, p.takeLast)
	p.empty = parts.Empty(theme.Icon("pane-inpaint"), "No picture yet", "Open one, drop one on the window, or take the last result from Canvas.", open, p.last_)
	p.error = parts.NewError()
	p.error.OnDismiss = func() { env.Dispatch(state.DismissError{Pane: state.PaneInpaint}) }
	p.error.OnRetry = p.retry
	p.mid = container.New(&middleLayout{}, p.above, p.brush, p.stage, p.wipe, p.frame, p.below, p.zoom)
	p.side = newSide(p)
	openBtn := parts.NewButton(parts.Normal, "Open", fynetheme.FolderOpenIcon(), func() { parts.AskPicture(env, state.PaneInpaint) })
	openBtn.Hint, openBtn.OnHint = "Open a picture  Ctrl+O", env.Note
	p.bar = parts.HStack(8, 0, 0, openBtn)
	p.root = container.New(&layoutInpaint{p}, p.tools.box, parts.VLine(), container.NewStack(p.mid, p.empty), parts.VLine(), p.side.box, p.error)
	p.size.set(48)
	p.feath.set(1)
	p.feath.set(0)
	p.snap.SetOn(true)
	return p
}

// Content implements the pane.
func (p *Pane) Content() fyne.CanvasObject { return p.root }

// Bar implements the pane.
func (p *Pane) Bar() fyne.CanvasObject { return p.bar }

// Heading implements the pane.
func (p *Pane) Heading(s *state.State) (string, string) {
	ps := s.Panes[state.PaneInpaint]
	for _, x := range ps.List {
		if x.ID != ps.Session || ps.Draft.Picture == nil {
			continue
		}
		n := 1
		for _, id := range ps.Runs {
			if s.Runs[id].Accepted {
				n++
			}
		}
		return "Inpaint", fmt.Sprintf("%s, version %d", x.Title, n)
	}
	return "Inpaint", ""
}

func (p *Pane) takeLast() {
	for _, r := range p.now.Gallery(state.PaneCanvas) {
		if r.State == state.Done {
			p.env.Dispatch(state.TakeToInpaint{Run: r.ID})
			return
		}
	}
}

func (p *Pane) submit() { p.env.Dispatch(state.Submit{Pane: state.PaneInpaint}) }

func (p *Pane) retry() {
	p.env.Dispatch(state.DismissError{Pane: state.PaneInpaint})
	if p.now.Model.Err != nil {
		p.env.Dispatch(state.RetryLoad{})
		return
	}
	p.submit()
}

func (p *Pane) toggleSnap() {
	p.whole = !p.whole
	p.snap.SetOn(p.whole)
	p.brush.SetPlain(!p.whole)
	p.count()
}

// ready reports whether there is something to re-imagine, and its cells.
func (p *Pane) ready() (cells int, ok bool) {
	ps := p.now.Panes[state.PaneInpaint]
	if ps.Draft.Picture == nil {
		return 0, false
	}
	if f := ps.Draft.Frame; !f.Empty() {
		_, m := mask.Framed(ps.Draft.Picture, f, image.Black)
		_, n := mask.From(m, m.Rect.Dx(), m.Rect.Dy()).Cells(p.grid)
		return n, n > 0
	}
	return p.brush.Cells(), p.brush.Cells() > 0
}

// Apply implements the pane.
func (p *Pane) Apply(s *state.State) {
	p.now = s
	ps := s.Panes[state.PaneInpaint]
	grid := engine.Grid{Cols: 16, Rows: 16}
	if sp := s.Model.Spec.Image; sp != nil {
		grid = sp.Grid
	}
	if p.version != ps.MaskVersion || p.grid != grid || p.brush.Picture() != ps.Draft.Picture {
		p.version, p.grid = ps.MaskVersion, grid
		p.brush.SetScale(p.env.Scale())
		p.brush.SetPicture(ps.Draft.Picture, ps.Draft.Mask, grid)
		if ps.Draft.Picture != nil {
			w := float64(ps.Draft.Picture.Bounds().Dx())
			p.size.max(w / 2)
			p.size.set(w / 6)
			p.feath.max(w / 8)
		}
	}
	if f := ps.Draft.Frame; !f.Empty() && ps.Draft.Picture != nil {
		img, _ := mask.Framed(ps.Draft.Picture, f, palette.Dark.Mask)
		p.frame.Image = img
		p.frame.Refresh()
	}
	has := ps.Draft.Picture != nil
	show(p.empty, !has && !ps.Loading)
	show(p.mid, has)
	p.last_.SetEnabled(len(s.Panes[state.PaneCanvas].Runs) > 0)
	p.tools.apply(has)
	p.side.apply(s)
	p.count()
	p.mode()
	if ps.Err != nil {
		p.error.ShowTrouble(p.env.Explain(ps.Err))
	} else {
		p.error.Clear()
	}
	p.root.Refresh()
}

// mode shows the brush, the run, the wipe or the frame, whichever there is something to see in.
func (p *Pane) mode() {
	ps := p.now.Panes[state.PaneInpaint]
	r, ok := p.now.Runs[ps.Shown]
	v := p.env.View(ps.Shown)
	running := ok && !r.State.Over()
	scrubbed := ok && r.State.Over() && v != nil && v.Run.Started() != nil && v.Step() < v.Run.Len()
	framed := !ps.Draft.Frame.Empty()
	stage := running && v != nil && v.Run.Started() != nil || scrubbed
	wipe := p.wiping && !stage && p.side.result() != nil
	show(p.stage, stage)
	show(p.wipe, wipe)
	show(p.frame, framed && !stage && !wipe)
	show(p.brush, !stage && !wipe && !framed)
	p.side.wipeOn(wipe)
}

// count writes how many cells will be re-imagined.
func (p *Pane) count() {
	if p.now == nil {
		return
	}
	n, _ := p.ready()
	all := p.grid.Cols * p.grid.Rows
	p.below.Set(fmt.Sprintf("%d of %d cells will be re-imagined", n, all))
	if pic := p.brush.Picture(); pic != nil && p.brush.Size().Width > 0 {
		p.zoom.Set(fmt.Sprintf("zoom %.0f %%", 100*p.brush.Size().Width/float32(pic.Bounds().Dx())))
	}
	p.tools.history()
	p.side.label(n)
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
	v := p.env.View(p.now.Panes[state.PaneInpaint].Shown)
	p.mode()
	if p.stage.Visible() {
		p.stage.Play(v)
	}
	p.side.observe(v)
}

// Fit implements the pane.
func (p *Pane) Fit(window fyne.Size) { p.window = window }

// accept makes the result of the shown run the picture.
func (p *Pane) accept() {
	ps := p.now.Panes[state.PaneInpaint]
	r := p.now.Runs[ps.Shown]
	after := p.side.result()
	if after == nil {
		return
	}
	before, m := p.side.before(), r.Job.Mask
	if before == nil {
		return
	}
	if r.Job.Task == engine.Outpaint {
		before, m = mask.Framed(before, r.Job.Frame, palette.Dark.Mask)
	}
	if m == nil {
		return
	}
	if !p.whole && ps.Draft.Mask != nil && ps.Draft.Mask.Rect == m.Rect {
		m = ps.Draft.Mask
	}
	p.wiping = false
	p.env.Dispatch(state.Accept{Run: ps.Shown, Image: mask.Merge(before, after, m)})
}

// Rune implements the pane.
func (p *Pane) Rune(r rune) bool {
	switch r {
	case 'b', 'B':
		p.tools.pick(widgets.BrushTool)
	case 'e', 'E':
		p.tools.pick(widgets.EraserTool)
	case 'r', 'R':
		p.tools.pick(widgets.RectTool)
	case 'o', 'O':
		p.tools.pick(widgets.LassoTool)
	case 'x', 'X':
		if p.brush.Tool == widgets.EraserTool {
			p.tools.pick(widgets.BrushTool)
		} else {
			p.tools.pick(widgets.EraserTool)
		}
	case '[', ']':
		d := 1.25
		if r == '[' {
			d = 0.8
		}
		p.size.set(p.brush.Radius * 2 * d)
	case '{', '}':
		d := 2.0
		if r == '{' {
			d = -2
		}
		p.feath.set(p.brush.Feather + d)
	case 'i', 'I':
		p.brush.Invert()
	case 'g', 'G':
		p.toggleSnap()
	case '\x7f':
		p.brush.Clear()
	case 'w', 'W':
		p.toggleWipe()
	default:
		return false
	}
	return true
}

func (p *Pane) toggleWipe() {
	p.wiping = !p.wiping
	p.side.setWipe()
	p.mode()
	p.root.Refresh()
}

// Shortcut implements the pane.
func (p *Pane) Shortcut(s fyne.Shortcut) bool {
	switch s := s.(type) {
	case *fyne.ShortcutUndo:
		p.brush.Undo()
		return true
	case *fyne.ShortcutRedo:
		p.brush.Redo()
		return true
	case *desktop.CustomShortcut:
		switch {
		case s.KeyName == fyne.KeyZ:
			p.brush.Redo()
		case s.KeyName == fyne.KeyO:
			parts.AskPicture(p.env, state.PaneInpaint)
		case s.KeyName == fyne.KeyS:
			ps := p.now.Panes[state.PaneInpaint]
			parts.SavePicture(p.env, state.PaneInpaint, "", "picture", ps.Draft.Picture)
		case s.KeyName == fyne.KeyF:
			p.env.Dispatch(state.ToggleList{})
		default:
			return false
		}
		return true
	}
	return false
}
