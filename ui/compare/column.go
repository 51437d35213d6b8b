package compare

import (
	"fmt"
	"math"
	"slices"
	"strconv"
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

// column is one run of a comparison, or the place of one.
type column struct {
	widget.BaseWidget
	p        *Pane
	i        int
	box      *parts.Box
	title    *parts.Text
	note     *parts.Text
	step     *parts.Text
	bar      *progress
	strip    *widgets.TokenStrip
	scroll   *container.Scroll
	stage    *parts.Stage
	heat     *widgets.Heatmap
	run      string
	heatRun  string
	stripRun string
}

var (
	_ fyne.Tappable     = (*column)(nil)
	_ desktop.Hoverable = (*column)(nil)
)

func newColumn(p *Pane, i int) *column {
	c := &column{p: p, i: i, title: parts.Title("", theme.TextDense), note: parts.Caption(""), step: parts.SmallNumber("")}
	c.bar = newProgress()
	c.strip = widgets.NewTokenStrip()
	c.strip.OnTapped = func(pos int, at fyne.Position) {
		c.Tapped(nil)
		c.p.look.Open(c.p.env.View(c.run), pos, fyne.CurrentApp().Driver().AbsolutePositionForObject(c.strip).Add(at))
	}
	c.strip.OnHover = func(pos int) { c.hover(pos) }
	c.scroll = container.NewVScroll(container.New(stripLayout{c.strip}, c.strip))
	c.stage = parts.NewStage(p.env)
	c.stage.View.SetView(palette.Picture)
	c.heat = widgets.NewHeatmap(false)
	c.heat.OnHover = func(step, pos int) {
		if step == 0 {
			pos = -1
		}
		c.hover(pos)
	}
	more := widgets.NewIconButton("Change this column", "", fynetheme.MoreVerticalIcon(), nil)
	more.OnTapped = func() { c.menu(more) }
	more.OnHint = p.env.Note
	head := parts.VStack(2, 0, 0,
		parts.HStack(4, 0, 0, parts.Grow(40, c.title), parts.Fixed(24, 24, more)),
		parts.HStack(8, 0, 0, parts.Grow(40, c.note), c.step),
		parts.Inset(6, 0, 8, 0, parts.Fixed(0, 4, c.bar)))
	text := parts.NewBox(theme.ColorPanel, theme.RadiusInput, parts.Inset(8, 12, 4, 12, c.scroll))
	heat := parts.NewBox(theme.ColorCanvas, theme.RadiusInput, parts.Fixed(0, 104, parts.Inset(6, 6, 6, 6, c.heat)))
	c.box = parts.NewBox(theme.ColorRaised, theme.RadiusCard, parts.Inset(12, 12, 12, 12,
		container.NewBorder(head, parts.Inset(8, 0, 0, 0, heat), nil, nil, container.NewStack(text, c.stage))))
	c.ExtendBaseWidget(c)
	return c
}

// CreateRenderer implements [fyne.Widget].
func (c *column) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(c.box) }

// MinSize implements [fyne.Widget].
func (c *column) MinSize() fyne.Size { return fyne.NewSize(220, 260) }

// Tapped implements [fyne.Tappable]: the time line shows this column.
func (c *column) Tapped(*fyne.PointEvent) {
	if c.run != "" {
		c.p.env.Dispatch(state.ShowRun{Pane: state.PaneCompare, Run: c.run})
	}
}

// MouseIn implements [desktop.Hoverable].
func (c *column) MouseIn(*desktop.MouseEvent) {}

// MouseMoved implements [desktop.Hoverable].
func (c *column) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements [desktop.Hoverable].
func (c *column) MouseOut() {}

func (c *column) hover(pos int) {
	v := c.p.env.View(c.run)
	if pos < 0 || v == nil || v.Run.Started() == nil {
		c.p.env.Note("")
		return
	}
	c.p.env.Note(parts.Inspect(v, pos))
}

// menu changes what the column compares.
func (c *column) menu(under fyne.CanvasObject) {
	p := c.p
	st := p.now
	cols := st.Panes[state.PaneCompare].Draft.Columns
	if c.i >= len(cols) {
		return
	}
	col := cols[c.i]
	spec, task := st.Model.Spec, p.task()
	set := func(o engine.Options, title string) func() {
		return func() { p.replace(c.i, state.Column{Title: title, Options: o}) }
	}
	var items []*fyne.MenuItem
	for _, r := range state.Settings(spec, task, col.Options) {
		var list []*fyne.MenuItem
		add := func(label string, v float64) {
			o := state.Put(spec, task, col.Options, r.Name, v)
			title := col.Title
			switch {
			case r.Name == "sampler":
				title = label
			case r.Kind != state.Slide || r.Name != "steps" && r.Name != "block": // those two stand below the title
				title = state.SamplerTitle(o.Sampler) + ", " + strings.ToLower(r.Title) + " " + strings.ToLower(label)
			}
			item := fyne.NewMenuItem(label, set(o, title))
			item.Checked = v == r.Value
			list = append(list, item)
		}
		switch r.Kind {
		case state.Choose:
			for i, name := range r.Choices {
				add(name, float64(i))
			}
		case state.Switch:
			add("Off", 0)
			add("On", 1)
		default:
			for _, v := range stops(r) {
				add(strconv.FormatFloat(v, 'g', 4, 64), v)
			}
		}
		item := fyne.NewMenuItem(r.Title, nil)
		item.ChildMenu = fyne.NewMenu("", list...)
		items = append(items, item)
	}
	use := fyne.NewMenuItem("Use its settings for the next run", func() { p.env.Dispatch(state.SetOptions{Task: task, Options: col.Options}) })
	items = append(items, fyne.NewMenuItemSeparator(), use)
	if len(cols) > 2 {
		items = append(items, fyne.NewMenuItem("Remove this column", func() { p.remove(c.i) }))
	}
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(under)
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), p.env.Window().Canvas(), at.AddXY(0, under.Size().Height))
}

// stops are values of a number worth comparing: halves and doubles of a count, five steps of a range.
func stops(r state.Setting) (out []float64) {
	if r.Step >= 1 {
		for _, k := range []float64{.25, .5, 1, 2, 4} {
			if v := math.Round(r.Value * k); v >= max(r.Min, 1) && v <= r.Max && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
		return out
	}
	top := min(r.Max, r.Min+max(2*(r.Value-r.Min), (r.Max-r.Min)/4))
	for i := range 5 {
		out = append(out, math.Round((r.Min+(top-r.Min)*float64(i)/4)*100)/100)
	}
	return out
}

// apply shows the column's settings and its run; run is nil before it is asked for.
func (c *column) apply(col state.Column, task engine.Task, r *state.Run, selected bool) {
	c.title.Set(col.Title)
	note := state.Plural(col.Options.Steps, "step")
	if task != engine.TextToImage {
		if b := col.Options.Block; b > 0 && b < col.Options.Length {
			note = fmt.Sprintf("block %d, %s", b, note)
		} else {
			note = "one block, " + note
		}
	}
	c.note.Set(note)
	picture := task == engine.TextToImage
	show(c.stage, picture)
	show(c.scroll, !picture)
	if selected {
		c.box.SetStroke(fynetheme.ColorNamePrimary, 1.5)
	} else {
		c.box.SetStroke("", 0)
	}
	id := ""
	if r != nil {
		id = r.ID
	}
	if c.run != id {
		c.run = id
		c.clear()
	}
	switch {
	case r == nil:
		c.step.Set("")
	case r.State == state.Queued:
		c.step.Set("waits")
	case r.State == state.Failed:
		c.step.Set("failed")
	}
}

func (c *column) clear() {
	c.strip.SetRun(nil, engine.Span{})
	c.stage.Play(nil)
	c.heat.SetRun(nil)
	c.stripRun, c.heatRun = "", ""
	c.bar.set(0)
}

// observe shows where the run stands; marks are the positions to mark as different.
func (c *column) observe(v *state.View, view palette.View, marks []int) {
	if v == nil || v.Run.Started() == nil {
		return
	}
	if c.stage.Visible() {
		c.stage.Play(v)
	} else {
		if c.stripRun != v.ID {
			c.stripRun = v.ID
			c.strip.SetRun(v.Run, engine.Span{})
		}
		c.strip.SetView(view)
		c.strip.SetStep(v.Step())
		c.strip.Update()
		c.strip.SetMarked(marks)
	}
	if c.heatRun != v.ID {
		c.heatRun = v.ID
		c.heat.SetRun(v.Run)
	}
	c.heat.Update()
	c.heat.SetStep(v.Step())
	c.bar.set(float32(v.Step()) / float32(max(v.Run.Planned(), 1)))
	switch {
	case v.Run.Err() != nil:
		c.step.Set("stopped")
	case v.Run.Done() && v.Step() == v.Run.Len():
		c.step.Set("✓ done")
	default:
		c.step.Set(fmt.Sprintf("step %d / %d", v.Step(), v.Run.Planned()))
	}
}

// stripLayout gives a token strip the height that follows from its width.
type stripLayout struct{ strip *widgets.TokenStrip }

// MinSize implements [fyne.Layout].
func (l stripLayout) MinSize([]fyne.CanvasObject) fyne.Size { return l.strip.MinSize() }

// Layout implements [fyne.Layout].
func (l stripLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Move(fyne.NewPos(0, 0))
	o[0].Resize(s)
}

// progress is a thin lime bar.
type progress struct {
	widget.BaseWidget
	back, bar *parts.Box
	at        float32
}

func newProgress() *progress {
	b := &progress{back: parts.NewBox(theme.ColorSelected, 2, nil), bar: parts.NewBox(fynetheme.ColorNamePrimary, 2, nil)}
	b.ExtendBaseWidget(b)
	return b
}

func (b *progress) set(at float32) {
	if at = min(max(at, 0), 1); at != b.at {
		b.at = at
		b.Resize(b.Size())
		b.layout(b.Size())
	}
}

func (b *progress) layout(s fyne.Size) {
	b.back.Resize(s)
	b.bar.Resize(fyne.NewSize(s.Width*b.at, s.Height))
	show(b.bar, b.at > 0)
}

// CreateRenderer implements [fyne.Widget].
func (b *progress) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.New(progressLayout{b}, b.back, b.bar))
}

type progressLayout struct{ b *progress }

// MinSize implements [fyne.Layout].
func (progressLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(20, 4) }

// Layout implements [fyne.Layout].
func (l progressLayout) Layout(_ []fyne.CanvasObject, s fyne.Size) { l.b.layout(s) }

func show(o fyne.CanvasObject, on bool) {
	if on != o.Visible() {
		if on {
			o.Show()
		} else {
			o.Hide()
		}
	}
}
