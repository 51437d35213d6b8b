package chat

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/figures"
	"unmask/ui/glview"
	"unmask/ui/palette"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// views are the views of the panel in the order of its switch.
var views = []palette.View{palette.Tokens, palette.Confidence, palette.Order, palette.Entropy}

// panel is the denoising panel: the canvas, the heat map and the numbers of the run shown.
type panel struct {
	env      parts.Env
	box      *parts.Box
	segment  *widgets.Segment
	stage    *parts.Stage
	heat     *widgets.Heatmap
	legend   fyne.CanvasObject
	sampler  *widget.Select
	settings *parts.Button
	numbers  map[string]*parts.Text
	run      string
	quiet    bool
	now      *state.State
	wrote    int64
	chosen   func(palette.View)

	tree     *widgets.RunTree
	treeBox  fyne.CanvasObject
	stageBox fyne.CanvasObject
	compare  *parts.Text // how much the run picked beside the one shown differs
}

// numberNames are the numbers below the heat map, two columns.
var numberNames = [][2]string{{"committed", "forward passes"}, {"tokens a pass", "ms a pass"}, {"masks left", "time"}}

func newPanel(env parts.Env, chosen func(palette.View)) *panel {
	p := &panel{env: env, numbers: map[string]*parts.Text{}, chosen: chosen}
	p.segment = widgets.NewSegment([]string{"Tokens", "Confidence", "Order", "Entropy"}, func(i int) {
		p.stage.View.SetView(views[i])
		chosen(views[i])
	})
	p.heat = widgets.NewHeatmap(true)
	p.heat.OnHover = func(step, pos int) {
		if v := env.View(p.run); step > 0 && v != nil {
			env.Note(parts.Inspect(v, pos))
		} else {
			env.Note("")
		}
	}
	p.stage = parts.NewStage(env)
	p.stage.View.SetText(glview.CellsOnly)
	p.segment.SetSelected(1)
	p.legend = parts.Fixed(160, 24, widgets.NewLegend())
	p.sampler = widget.NewSelect(nil, func(string) {
		if !p.quiet {
			task := p.now.TaskOf(state.PaneChat)
			o := state.Put(p.now.Model.Spec, task, p.now.Options(task), "sampler", float64(p.sampler.SelectedIndex()))
			env.Dispatch(state.SetOptions{Task: task, Options: o})
		}
	})
	p.settings = parts.NewButton(parts.Normal, "Settings", fynetheme.SettingsIcon(), func() { env.Dispatch(state.ShowSheet{Open: true}) })
	p.settings.Hint, p.settings.OnHint = "Settings of the next run  Ctrl+,", env.Note
	var rows []fyne.CanvasObject
	for _, pair := range numberNames {
		var cells []fyne.CanvasObject
		for i, n := range pair {
			t := parts.Number(figures.Unknown)
			p.numbers[n] = t
			cell := parts.HStack(8, 0, 0, parts.Soft(n).Whole(), layout.NewSpacer(), t)
			pad := float32(10)
			cells = append(cells, parts.Inset(0, pad*float32(1-i), 0, pad*float32(i), cell))
		}
		rows = append(rows, container.NewGridWithColumns(2, cells...))
	}
	p.tree = widgets.NewRunTree()
	p.compare = parts.Caption("")
	p.stageBox = parts.Fixed(0, 142, p.stage)
	p.treeBox = parts.VStack(8, 0, 0, parts.HStack(8, 0, 0, parts.Strong("Runs").Whole(), parts.Grow(40, p.compare)), parts.Fixed(0, 206, container.NewVScroll(p.tree)))
	p.treeBox.Hide()
	head := parts.VStack(12, 0, 0,
		parts.HStack(8, 0, 0, p.segment),
		p.stageBox,
		p.treeBox,
		parts.HStack(8, 0, 0, parts.Strong("Step by position").Whole(), layout.NewSpacer(), p.legend))
	foot := parts.VStack(6, 0, 0, append(rows, parts.Inset(14, 0, 0, 0, parts.HStack(8, 0, 0, parts.Grow(100, parts.Fixed(0, theme.Control, p.sampler)), p.settings)))...)
	heat := parts.NewBox(theme.ColorCanvas, theme.RadiusCard, parts.Inset(8, 8, 8, 4, p.heat))
	p.box = parts.NewBox(theme.ColorPanel, 0, parts.Inset(12, 16, 12, 16, container.NewBorder(parts.Inset(0, 0, 10, 0, head), parts.Inset(12, 0, 0, 0, foot), nil, nil, heat)))
	return p
}

// watch passes on what is done in the panel.
func (p *panel) watch(c *Pane) {
	p.heat.OnSeek = p.env.Seek
	p.stage.View.OnTapped = func(pos int, at fyne.Position) {
		o := fyne.CurrentApp().Driver().AbsolutePositionForObject(p.stage.View)
		c.branch.Open(p.env.View(p.run), pos, o.Add(at))
	}
	p.tree.OnShow = c.showNode
	p.tree.OnPick = func(id string) { c.picked = id; c.Observe() }
	p.tree.OnRename = func(id string, at fyne.Position) {
		c.rename(id, fyne.CurrentApp().Driver().AbsolutePositionForObject(p.tree).Add(at))
	}
	p.tree.OnDelete = c.deleteNode
}

func (p *panel) choose(v palette.View) {
	for i, x := range views {
		if x == v {
			p.segment.SetSelected(i)
		}
	}
}

func (p *panel) fit(fyne.Size) {}

func (p *panel) apply(s *state.State) {
	p.now = s
	p.quiet = true
	defer func() { p.quiet = false }()
	task := s.TaskOf(state.PaneChat)
	rows := state.Settings(s.Model.Spec, task, s.Options(task))
	p.sampler.Options = rows[0].Choices
	p.sampler.SetSelectedIndex(int(rows[0].Value))
}

func (p *panel) observe(v *state.View) {
	if !p.box.Visible() {
		return
	}
	p.stage.Play(v)
	if v == nil || v.Run.Started() == nil {
		if p.run != "" {
			p.run = ""
			p.heat.SetRun(nil)
			p.write(nil)
		}
		return
	}
	if p.run != v.ID {
		p.run, p.wrote = v.ID, 0
		p.heat.SetRun(v.Run)
	}
	p.heat.Update()
	p.heat.SetStep(v.Step())
	if now := p.env.Now().Milliseconds(); v.Run.Done() || now-p.wrote >= 250 {
		p.wrote = now
		p.write(v)
	}
}

// write fills in the numbers at the step shown. They agree: tokens a pass times passes a second are tokens a second.
func (p *panel) write(v *state.View) {
	set := func(name, text string) { p.numbers[name].Set(text) }
	if v == nil || v.Step() == 0 {
		for _, t := range p.numbers {
			t.Set(figures.Unknown)
		}
		return
	}
	in := v.Run.Infos()[:v.Step()]
	last := in[len(in)-1]
	tokens := 0
	for _, i := range in {
		tokens += i.Unmasked
	}
	took := last.Until
	set("forward passes", figures.Count(last.NFE))
	set("masks left", figures.Count(last.Masked))
	set("time", figures.Duration(took))
	set("tokens a pass", fmt.Sprintf("%.1f", float64(tokens)/float64(max(last.NFE, 1))))
	if took > 0 {
		set("committed", figures.Rate(float64(tokens)/took.Seconds()))
		set("ms a pass", fmt.Sprintf("%.1f", took.Seconds()*1000/float64(max(last.NFE, 1))))
	}
}
