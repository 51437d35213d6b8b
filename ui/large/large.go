// Package large is the large canvas: a run over the whole window, text beside picture, the heat map on the axis of the time
// line below it.
package large

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/glview"
	"unmask/ui/glview/panel"
	"unmask/ui/palette"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// Measures of the page, in units.
const (
	headHigh = 48
	heatHigh = 176
	heatLow  = 96 // in low windows
	page     = 16
)

// views are what the switch in the head selects.
var views = []palette.View{palette.Tokens, palette.Confidence, palette.Order, palette.Entropy}

// Canvas is the page. It is made once and shown over everything but time line and status bar.
type Canvas struct {
	env  parts.Env
	root *fyne.Container

	head, foot     *parts.Box
	note           *parts.Text
	segment        *widgets.Segment
	textBox, pics  *parts.Box
	text, picture  *panel.View
	count, active  *parts.Text // of text
	cells, written *parts.Text // of picture
	line           *parts.Text // of the token under the pointer
	heat           *widgets.Heatmap
	side, numbers  *fyne.Container
	facts          *parts.Text

	open        bool
	id          string
	step, seen  int
	left, right float32 // of the time line's track
	chosen      bool    // a person has used the switch
	shaping     bool
	hasText     bool
	hasPicture  bool
}

// New makes the page, closed. shut is called by its close button.
func New(env parts.Env, shut func()) *Canvas {
	c := &Canvas{env: env, step: -1, seen: -1}
	c.segment = widgets.NewSegment([]string{"Tokens", "Confidence", "Order", "Entropy"}, func(int) {
		c.chosen = !c.shaping
		c.color()
	})
	c.text, c.picture = panel.New(env.Stage()), panel.New(env.Stage())
	c.text.SetText(glview.AutoText)
	c.text.SetPicture(false)
	c.picture.SetText(glview.NoText)
	for _, v := range []*panel.View{c.text, c.picture} {
		v.SetMargin(0)
		v.OnHover = c.hover
	}
	c.note = parts.Caption("")
	shutButton := widgets.NewIconButton("Close the large canvas", "F11", fynetheme.CancelIcon(), shut)
	shutButton.OnHint = env.Note
	c.head = parts.NewBox(theme.ColorPanel, 0, parts.HStack(12, page, 0, parts.Title("Denoising canvas", theme.TextBody).Whole(), parts.Grow(40, c.note), c.segment, shutButton))

	c.count, c.active = parts.Strong(""), parts.Caption("").Aligned(fyne.TextAlignTrailing)
	c.cells, c.written = parts.Strong(""), parts.Caption("").Aligned(fyne.TextAlignTrailing)
	c.line = parts.SmallNumber("")
	c.textBox = parts.NewBox(theme.ColorCanvas, theme.RadiusCard, parts.Inset(14, 24, 14, 24, container.NewBorder(
		parts.Inset(0, 0, 8, 0, parts.HStack(8, 0, 0, parts.Grow(80, c.count), parts.Grow(80, c.active))),
		parts.Inset(8, 0, 0, 0, parts.Fixed(0, 18, c.line)), nil, nil, c.text)))
	head := parts.Inset(0, 0, 8, 0, parts.HStack(8, 0, 0, parts.Grow(80, c.cells), parts.Grow(80, c.written)))
	c.pics = parts.NewBox(theme.ColorCanvas, theme.RadiusCard, parts.Inset(14, 24, 14, 24, container.NewBorder(
		container.NewThemeOverride(head, theme.Theme{Mode: theme.Dark}), nil, nil, nil, c.picture)))
	c.pics.Dark = true // pictures are in the dark in both variants

	c.heat = widgets.NewHeatmap(false)
	c.heat.OnHover = func(step, pos int) {
		if step == 0 {
			pos = -1
		}
		c.hover(pos)
	}
	c.side = parts.VStack(4, page, 12, parts.Strong("Step by position"), parts.Caption("bright: unmasked at this step"),
		parts.Caption("faint: stays · edge: remasked"), parts.Inset(8, 0, 0, 0, widgets.NewLegend()))
	c.facts = parts.Caption("").Wrapped()
	c.numbers = parts.VStack(4, 12, 12, c.facts)
	c.foot = parts.NewBox(theme.ColorCanvas, 0, nil)
	c.root = container.New(&pageLayout{c}, parts.NewBox(fynetheme.ColorNameBackground, 0, nil), c.head, c.textBox, c.pics, c.foot, c.side, c.heat, c.numbers,
		parts.HLine(), parts.HLine())
	c.root.Hide()
	return c
}

// color shows what the switch says. Beside a text that is coloured by confidence the picture stays a picture: it is what
// one watches; alone it shows its confidence too.
func (c *Canvas) color() {
	v := views[c.segment.Selected()]
	c.text.SetView(v)
	if v == palette.Confidence && c.hasText {
		v = palette.Tokens
	}
	c.picture.SetView(v)
}

// Content is the page.
func (c *Canvas) Content() fyne.CanvasObject { return c.root }

// OnSeek sets what happens when a person goes to a step in the heat map.
func (c *Canvas) OnSeek(seek func(step int)) { c.heat.OnSeek = seek }

// Open reports whether the page is shown.
func (c *Canvas) Open() bool { return c.open }

// SetOpen shows or hides the page.
func (c *Canvas) SetOpen(on bool) {
	if c.open == on {
		return
	}
	c.open = on
	if on {
		c.root.Show()
	} else {
		c.root.Hide()
		c.env.Note("")
	}
}

// Align puts the heat map on the axis of a time line whose track leaves left and right free.
func (c *Canvas) Align(left, right float32) {
	if c.left != left || c.right != right {
		c.left, c.right = left, right
		c.root.Refresh()
	}
}

// Rune switches the view by its key and reports whether r is one.
func (c *Canvas) Rune(r rune) bool {
	for i, v := range views {
		if r == '1'+rune(v) {
			c.segment.SetSelected(i)
			return true
		}
	}
	return false
}

func (c *Canvas) hover(pos int) {
	v := c.env.View(c.id)
	if pos < 0 || v == nil {
		c.line.Set("")
		return
	}
	c.line.Set(parts.Inspect(v, pos))
}

// Observe shows where v stands; nil shows nothing. It is cheap when nothing changed.
func (c *Canvas) Observe(v *state.View) {
	if !c.open {
		return
	}
	if v == nil || v.Run.Started() == nil {
		if c.id != "" {
			c.id = ""
			c.text.SetRun(nil)
			c.picture.SetRun(nil)
			c.heat.SetRun(nil)
			c.write(nil)
		}
		return
	}
	if c.id != v.ID {
		c.id, c.step, c.seen = v.ID, v.Step(), -1
		c.shape(v)
		c.text.SetRun(v.Run)
		c.picture.SetRun(v.Run)
		c.heat.SetRun(v.Run)
	}
	step, version := v.Step(), v.Run.Version()
	if step != c.step {
		c.step = step
		tween := !v.Jumped
		v.Jumped = false
		c.text.SetStep(step, tween)
		c.picture.SetStep(step, tween)
		c.write(v)
	}
	if version != c.seen {
		c.seen = version
		c.text.Update()
		c.picture.Update()
		c.heat.Update()
		c.write(v)
	}
	c.heat.SetStep(step)
	c.text.Wake()
	c.picture.Wake()
}

// shape decides which of text and picture the run has.
func (c *Canvas) shape(v *state.View) {
	st := v.State()
	n := 0
	for p := st.Answer.Lo; p < st.Answer.Hi; p++ {
		if st.Cells[p].Modality == engine.Text {
			n++
		}
	}
	c.hasPicture = st.Image.Len() > 0
	c.hasText = n > 2 || !c.hasPicture // two are the marks around a picture
	show(c.textBox, c.hasText)
	show(c.pics, c.hasPicture)
	if !c.chosen { // words in the colours of their confidence, a picture as it is
		c.shaping = true
		c.segment.SetSelected(map[bool]int{true: 1, false: 0}[c.hasText])
		c.shaping = false
	}
	c.color()
	c.root.Refresh()
}

// write puts the counts into words.
func (c *Canvas) write(v *state.View) {
	if v == nil {
		for _, t := range []*parts.Text{c.note, c.count, c.active, c.cells, c.written, c.facts, c.line} {
			t.Set("")
		}
		return
	}
	st := v.State()
	var text, picture, left int
	for p := st.Answer.Lo; p < st.Answer.Hi; p++ {
		switch cell := &st.Cells[p]; {
		case cell.Fixed:
		case cell.Modality == engine.Text:
			text++
		default:
			picture++
			if cell.Masked {
				left++
			}
		}
	}
	job := v.Run.Started().Job
	if len(job.Messages) > 0 {
		c.note.Set(job.Messages[len(job.Messages)-1].Text)
	}
	c.count.Set("Text, " + state.Plural(text, "token"))
	c.active.Set(blocks(v))
	c.cells.Set(fmt.Sprintf("Picture, %d × %d cells", st.Grid.Cols, st.Grid.Rows))
	c.written.Set(fmt.Sprintf("%d of %d", picture-left, picture))
	facts := ""
	if c.hasText {
		facts = "text\n" + state.Plural(text, "position") + "\n\n"
	}
	if picture > 0 {
		facts += "picture, by row\n" + state.Plural(picture, "position") + "\n\n"
	}
	if rate := v.Run.Rate(); rate > 0 {
		facts += figures.Rate(rate) + " in all"
	}
	c.facts.Set(facts)
}

// blocks says which block of how many is active.
func blocks(v *state.View) string {
	b := v.Run.Started().Job.Options.Block
	st := v.State()
	if b <= 0 || st.Answer.Len() <= b {
		return ""
	}
	n := (st.Answer.Len() + b - 1) / b
	at := min((st.Block.Lo-st.Answer.Lo)/b+1, n)
	switch {
	case v.Run.Done() && v.Step() == v.Run.Len():
		return state.Plural(n, "block")
	case at == n:
		return fmt.Sprintf("block %d of %d is active", at, n)
	default:
		return fmt.Sprintf("block %d of %d is active, the others wait", at, n)
	}
}

func show(o fyne.CanvasObject, on bool) {
	if on {
		o.Show()
	} else {
		o.Hide()
	}
}

// pageLayout puts head, cards and heat map where the design has them.
type pageLayout struct{ c *Canvas }

// MinSize implements [fyne.Layout].
func (pageLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(600, 320) }

// Layout implements [fyne.Layout].
func (l *pageLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	c := l.c
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(max(w, 0), max(h, 0)))
	}
	heat := float32(heatHigh)
	if size.Height < 560 {
		heat = heatLow
	}
	w := size.Width
	put(o[0], 0, 0, w, size.Height)
	put(c.head, 0, 0, w, headHigh)
	put(o[8], 0, headHigh-1, w, 1)
	top, bottom := float32(headHigh+12), size.Height-heat-12
	high := bottom - top
	side := float32(0)
	if c.hasPicture {
		side = min(high, w*.45)
		if !c.hasText {
			side = w - 2*page
		}
		put(c.pics, w-page-side, top, side, high)
	}
	if c.hasText {
		text := w - 2*page
		if side > 0 {
			text -= side + 12
		}
		put(c.textBox, page, top, text, high)
	}
	put(o[9], 0, size.Height-heat, w, 1)
	put(c.foot, 0, size.Height-heat+1, w, heat-1)
	left, right := max(c.left, 216), max(c.right, 120)
	put(c.side, 0, size.Height-heat, left-8, heat)
	put(c.heat, left, size.Height-heat+8, w-left-right, heat-16)
	put(c.numbers, w-right, size.Height-heat, right, heat)
}
