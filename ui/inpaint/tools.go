package inpaint

import (
	"fmt"
	"image"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/mask"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// tools are the buttons at the left.
type tools struct {
	p          *Pane
	box        *parts.Box
	pickers    map[widgets.Tool]*widgets.IconButton
	all        []*widgets.IconButton
	undo, redo *widgets.IconButton
	frame      *widgets.IconButton
}

func newTools(p *Pane) *tools {
	t := &tools{p: p, pickers: map[widgets.Tool]*widgets.IconButton{}}
	button := func(name, key string, icon fyne.Resource, do func()) *widgets.IconButton {
		b := widgets.NewIconButton(name, key, icon, do)
		b.Side, b.OnHint = 40, p.env.Note
		t.all = append(t.all, b)
		return b
	}
	var column []fyne.CanvasObject
	for _, x := range []struct {
		tool            widgets.Tool
		name, key, icon string
	}{
		{widgets.BrushTool, "Brush", "B", "brush"}, {widgets.EraserTool, "Eraser", "E", "eraser"},
		{widgets.RectTool, "Rectangle", "R", "rect-mask"}, {widgets.LassoTool, "Lasso", "O", "lasso"},
	} {
		b := button(x.name, x.key, theme.Icon(x.icon), func() { t.pick(x.tool) })
		t.pickers[x.tool] = b
		column = append(column, b)
	}
	t.frame = button("Outpaint: a larger frame", "", theme.Icon("outpaint"), nil)
	t.frame.OnTapped = t.frames
	t.undo = button("Undo", "Ctrl+Z", fynetheme.ContentUndoIcon(), func() { p.brush.Undo() })
	t.redo = button("Redo", "Ctrl+Shift+Z", fynetheme.ContentRedoIcon(), func() { p.brush.Redo() })
	column = append(column, parts.Inset(4, 4, 4, 4, parts.HLine()),
		button("Invert the mask", "I", theme.Icon("invert-mask"), func() { p.brush.Invert() }), t.frame,
		button("Clear the mask", "Delete", fynetheme.DeleteIcon(), func() { p.brush.Clear() }),
		parts.Inset(4, 4, 4, 4, parts.HLine()), t.undo, t.redo)
	t.box = parts.NewBox(theme.ColorPanel, 0, parts.VStack(4, 8, 12, column...))
	t.pick(widgets.BrushTool)
	return t
}

func (t *tools) pick(x widgets.Tool) {
	t.p.brush.Tool = x
	for k, b := range t.pickers {
		b.SetOn(k == x)
	}
}

// frames offers the frames of an outpaint.
func (t *tools) frames() {
	p := t.p
	pic := p.now.Panes[state.PaneInpaint].Draft.Picture
	if pic == nil {
		return
	}
	var items []*fyne.MenuItem
	for i, name := range mask.Sides {
		f := mask.Frame(pic.Bounds(), mask.Side(i))
		items = append(items, fyne.NewMenuItem(name, func() { p.env.Dispatch(state.SetFrame{Frame: f}) }))
	}
	none := fyne.NewMenuItem("No frame, inpaint", func() { p.env.Dispatch(state.SetFrame{Frame: image.Rectangle{}}) })
	items = append(items, fyne.NewMenuItemSeparator(), none)
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(t.frame)
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), p.env.Window().Canvas(), at.AddXY(t.frame.Size().Width+4, 0))
}

func (t *tools) apply(has bool) {
	for _, b := range t.all {
		if has {
			b.Enable()
		} else {
			b.Disable()
		}
	}
	t.frame.SetOn(!t.p.now.Panes[state.PaneInpaint].Draft.Frame.Empty())
	t.history()
}

// history lets undo and redo be tapped where they would do something.
func (t *tools) history() {
	for b, on := range map[*widgets.IconButton]bool{t.undo: t.p.brush.Mask().CanUndo(), t.redo: t.p.brush.Mask().CanRedo()} {
		if on {
			b.Enable()
		} else {
			b.Disable()
		}
	}
}

// sizer is a label, a value and a slider.
type sizer struct {
	row    *fyne.Container
	name   string
	unit   string
	label  *parts.Text
	slider *widget.Slider
}

func newSizer(name, unit string, min, max float64, use func(float64)) *sizer {
	s := &sizer{name: name, unit: unit, label: parts.SmallNumber(name), slider: widget.NewSlider(min, max)}
	s.slider.Step = 1
	s.slider.OnChanged = func(v float64) {
		s.label.Set(fmt.Sprintf("%s %.0f%s", name, v, unit))
		use(v)
	}
	s.row = parts.HStack(8, 0, 0, parts.Fixed(92, 0, s.label), parts.Fixed(100, 26, s.slider))
	return s
}

// set moves the slider, within its range.
func (s *sizer) set(v float64) { s.slider.SetValue(min(max(v, s.slider.Min), s.slider.Max)) }

// max sets the end of the range.
func (s *sizer) max(v float64) {
	if v = max(v, s.slider.Min+1); v != s.slider.Max {
		s.slider.Max = v
		s.set(s.slider.Value)
		s.slider.Refresh()
	}
}

// middleLayout puts the options above the square, and the counts below it.
type middleLayout struct{}

// MinSize implements [fyne.Layout].
func (middleLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(320, 320) }

// Layout implements [fyne.Layout].
func (middleLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	const bar, foot = 32, 20
	side := min(s.Width-48, s.Height-bar-foot-20-48)
	wide := max(side, min(s.Width-32, 480))
	x, y := (s.Width-side)/2, (s.Height-side-bar-foot-20)/2
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(w, h))
	}
	put(o[0], (s.Width-wide)/2, y, wide, bar)
	y += bar + 10
	for _, square := range o[1:5] {
		put(square, x, y, side, side)
	}
	put(o[5], x, y+side+8, side*.7, foot)
	put(o[6], x+side*.7, y+side+8, side*.3, foot)
}

// layoutInpaint puts tools, picture and form.
type layoutInpaint struct{ p *Pane }

// MinSize implements [fyne.Layout].
func (l *layoutInpaint) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(700, 400) }

// Layout implements [fyne.Layout].
func (l *layoutInpaint) Layout(o []fyne.CanvasObject, s fyne.Size) {
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(max(w, 0), max(h, 0)))
	}
	form := float32(formWidth)
	if l.p.window.Width < 1200 {
		form = formSmall
	}
	put(o[0], 0, 0, toolsWidth, s.Height)
	put(o[1], toolsWidth, 0, 1, s.Height)
	put(o[2], toolsWidth+1, 0, s.Width-form-toolsWidth-2, s.Height)
	put(o[3], s.Width-form-1, 0, 1, s.Height)
	put(o[4], s.Width-form, 0, form, s.Height)
	ew := min(s.Width-form-toolsWidth-40, 460)
	put(o[5], toolsWidth+(s.Width-form-toolsWidth-ew)/2, 16, ew, parts.HeightFor(l.p.error, ew))
}
