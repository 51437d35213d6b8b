package ui

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/figures"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
)

// modelChip names the model in the top bar; a tap shows what is known of it.
type modelChip struct {
	widget.BaseWidget
	w            *Window
	box          *parts.Box
	dot          *parts.Box
	name, device *parts.Text
	model        state.Model
}

func newModelChip(w *Window) *modelChip {
	c := &modelChip{w: w, name: parts.Dense("").Whole(), device: parts.SmallNumber("")}
	c.dot = parts.NewBox(fynetheme.ColorNameDisabled, 4, nil)
	c.box = parts.NewBox("", theme.RadiusInput, parts.HStack(8, 10, 0,
		parts.Fixed(8, 8, c.dot), c.name, c.device, parts.Symbol(fynetheme.MenuDropDownIcon(), 18, fynetheme.ColorNameForeground)))
	c.box.Outlined(fynetheme.ColorNameInputBorder)
	c.ExtendBaseWidget(c)
	return c
}

// MinSize implements [fyne.Widget].
func (c *modelChip) MinSize() fyne.Size { return fyne.NewSize(c.box.MinSize().Width, theme.Control) }

// CreateRenderer implements [fyne.Widget].
func (c *modelChip) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(c.box) }

func (c *modelChip) apply(st *state.State) {
	m := st.Model
	c.model = m
	switch {
	case m.Loaded && st.Load.On:
		c.dot.SetFill(fynetheme.ColorNameWarning)
		c.name.Set(m.Spec.Name)
		c.device.Set("loading another")
		if st.Load.Total > 0 {
			c.device.Set(fmt.Sprintf("next %d %%", 100*st.Load.Done/st.Load.Total))
		}
	case m.Idle:
		c.dot.SetFill(fynetheme.ColorNameDisabled)
		c.name.Set("No model")
		c.device.Set("not loaded")
	case m.Err != nil:
		c.dot.SetFill(fynetheme.ColorNameError)
		c.name.Set("No model")
		c.device.Set("load failed")
	case m.Loaded:
		c.dot.SetFill(fynetheme.ColorNameSuccess)
		c.name.Set(m.Spec.Name)
		c.device.Set(m.Spec.Device)
	default:
		c.dot.SetFill(fynetheme.ColorNameWarning)
		c.name.Set("Loading")
		if m.Total > 0 {
			c.device.Set(fmt.Sprintf("%d %%", 100*m.Done/m.Total))
		} else {
			c.device.Set("…")
		}
	}
}

// Tapped implements [fyne.Tappable].
func (c *modelChip) Tapped(*fyne.PointEvent) {
	m := c.model
	rows := []fyne.CanvasObject{parts.Title(c.name.Text(), theme.TextHeading)}
	var pop *widget.PopUp
	switch {
	case m.Err != nil:
		e := parts.NewError()
		e.OnRetry = func() { pop.Hide(); c.w.Dispatch(state.RetryLoad{}) }
		e.ShowTrouble(Explain(m.Err))
		rows = append(rows, e)
	case m.Loaded:
		sp := m.Spec
		facts := [][2]string{
			{"family", sp.Family}, {"parameters", figures.Count(int(sp.Params))}, {"in memory", figures.Bytes(sp.Bytes)},
			{"arithmetic", sp.DType}, {"device", sp.Device}, {"longest sequence", figures.Count(sp.MaxLen)},
			{"vocabulary", figures.Count(sp.Vocab)}, {"layers × width", fmt.Sprintf("%d × %d", sp.Layers, sp.Width)},
		}
		if sp.Image != nil {
			facts = append(facts, [2]string{"pictures", fmt.Sprintf("%d × %d cells, %d × %d pixels", sp.Image.Grid.Cols, sp.Image.Grid.Rows, sp.Image.Width, sp.Image.Height)})
		}
		if len(sp.Hash) >= 12 {
			facts = append(facts, [2]string{"hash", sp.Hash[:12]})
		}
		rows = append(rows, factRows(facts)...)
	case m.Idle:
		rows = append(rows, parts.Soft("It is loaded again by the next run, or in Models.").Wrapped())
	default:
		rows = append(rows, parts.Soft(fmt.Sprintf("%s of %s", figures.Bytes(m.Done), figures.Bytes(m.Total))))
	}
	rows = append(rows, parts.NewButton(parts.Normal, "All models  Ctrl+6", fynetheme.StorageIcon(), func() { pop.Hide(); c.w.Dispatch(state.ShowPane{Pane: state.PaneModels}) }))
	body := parts.Fixed(320, 0, parts.VStack(8, 12, 10, rows...))
	pop = widget.NewPopUp(body, c.w.win.Canvas())
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(c)
	pop.Resize(fyne.NewSize(336, parts.HeightFor(body, 336)+8))
	pop.ShowAtPosition(fyne.NewPos(max(0, at.X+c.Size().Width-336), at.Y+c.Size().Height+4))
}

// factRows are rows of a label and a number at the right.
func factRows(facts [][2]string) (rows []fyne.CanvasObject) {
	for _, f := range facts {
		rows = append(rows, parts.HStack(8, 0, 0, parts.Soft(f[0]).Whole(), layout.NewSpacer(), parts.Number(f[1])))
	}
	return rows
}

// toastBar offers to undo a deletion.
type toastBar struct {
	widget.BaseWidget
	text *parts.Text
	undo *parts.Button
	box  *parts.Box
}

func newToastBar(undo func()) *toastBar {
	t := &toastBar{text: parts.Dense(""), undo: parts.NewButton(parts.Lime, "Undo", nil, undo).Low()}
	t.box = parts.NewBox(theme.ColorSelected, theme.RadiusCard, parts.HStack(12, 14, 6, parts.Grow(80, t.text), t.undo))
	t.box.Outlined(fynetheme.ColorNameInputBorder)
	t.ExtendBaseWidget(t)
	t.Hide()
	return t
}

func (t *toastBar) set(s state.Toast) {
	t.text.Set(s.Text)
	show(t.undo, s.Undo != nil)
	show(t, s.Open)
}

// CreateRenderer implements [fyne.Widget].
func (t *toastBar) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(t.box) }

// menu shows the window's menu under a button.
func (s *shell) menu(under fyne.CanvasObject) {
	look := s.w.store.now.Look
	set := func(f func(*state.Look)) func() {
		return func() {
			l := s.w.store.now.Look
			f(&l)
			s.w.Dispatch(state.SetLook{Look: l})
		}
	}
	item := func(label string, on bool, f func()) *fyne.MenuItem {
		m := fyne.NewMenuItem(label, f)
		m.Checked = on
		return m
	}
	m := fyne.NewMenu("",
		item("Dark", look.Theme == "dark", set(func(l *state.Look) { l.Theme = "dark" })),
		item("Light", look.Theme == "light", set(func(l *state.Look) { l.Theme = "light" })),
		item("As the system", look.Theme == "", set(func(l *state.Look) { l.Theme = "" })),
		fyne.NewMenuItemSeparator(),
		item("Reduce motion", look.ReduceMotion, set(func(l *state.Look) { l.ReduceMotion = !l.ReduceMotion })),
		item("More contrast", look.MoreContrast, set(func(l *state.Look) { l.MoreContrast = !l.MoreContrast })),
		fyne.NewMenuItemSeparator(),
		fyne.NewMenuItem("Settings of the next run", func() { s.w.Dispatch(state.ShowSheet{Open: true}) }),
		fyne.NewMenuItem("Help", s.help),
	)
	p := widget.NewPopUpMenu(m, s.w.win.Canvas())
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(under)
	p.ShowAtPosition(fyne.NewPos(at.X+under.Size().Width-p.MinSize().Width, at.Y+under.Size().Height+4))
}

// help shows all keys.
func (s *shell) help() {
	keyRow := func(k, does string) fyne.CanvasObject {
		return parts.Beside(150, 12, parts.Number(k), parts.Soft(does).Wrapped())
	}
	left := []fyne.CanvasObject{parts.Strong("Everywhere")}
	for _, b := range bindings {
		left = append(left, keyRow(b.keys, b.does))
	}
	right := []fyne.CanvasObject{parts.Strong("When no text field has the focus")}
	for i, l := range letters {
		if i < 9 {
			left = append(left, keyRow(l[0], l[1]))
		} else {
			right = append(right, keyRow(l[0], l[1]))
		}
	}
	var pop *widget.PopUp
	head := parts.HStack(8, 0, 0, parts.Title("Keys", theme.TextHeading).Whole(), parts.Grow(20, parts.Caption("Unmask "+s.w.cfg.Version)),
		parts.NewButton(parts.Flat, "", fynetheme.CancelIcon(), func() { pop.Hide() }))
	words := parts.Soft("Every token starts as a mask. At each step the model proposes a token for every masked position, and the surest stay. Warm colours are unsure, cool ones sure.").Wrapped()
	body := parts.VStack(12, 20, 16, head, words, container.NewGridWithColumns(2, parts.VStack(7, 0, 0, left...), parts.VStack(7, 8, 0, right...)))
	pop = widget.NewModalPopUp(body, s.w.win.Canvas())
	size := s.w.win.Canvas().Size()
	pop.Resize(fyne.NewSize(min(860, size.Width-40), min(520, size.Height-60)))
	pop.Show()
}
