package ui

// size: the frame of the window: rail, head, status and dialogs.

import (
	"fmt"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/figures"
	"unmask/ui/large"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// The measures of the shell.
const (
	railWidth   = 72
	railNarrow  = 52
	barHeight   = 48
	statusHigh  = 26
	lineHigh    = 92
	lineCompact = 56
	minWidth    = 900
	minHeight   = 640
)

// shell is the window's content: rail, top bar, the pane in front, time line and status bar.
type shell struct {
	w    *Window
	root fyne.CanvasObject

	rail    []*widgets.RailItem
	help_   *widgets.RailItem
	set     *widgets.RailItem
	mark    *widget.Icon
	panes   []Pane
	bars    []fyne.CanvasObject // of the panes, nil where there is none
	lines   []*widgets.Timeline // one a pane, nil where a pane has none
	shown   []string            // run of each time line
	welcome *welcome
	large   *large.Canvas // over everything but time line and status bar
	sheet   *sheet
	drawer  *parts.Sessions
	draw    *parts.Box // around the drawer

	title, caption     *parts.Text
	chip               *modelChip
	history            *widgets.IconButton
	status, right      *parts.Text
	hint               string
	at                 int // row of the pane in front
	toast              *toastBar
	banner             *parts.Error
	rails, bar, bottom *parts.Box
	narrow, low        bool
	size               fyne.Size
	theme              state.Look
}

func newShell(w *Window) *shell {
	s := &shell{w: w, title: parts.Title("", theme.TextBody).Whole(), caption: parts.Caption(""), status: parts.SmallNumber("").Shortened(), right: parts.SmallNumber("").Aligned(fyne.TextAlignTrailing)}
	s.mark = widget.NewIcon(theme.Mark())
	rail := []fyne.CanvasObject{parts.Inset(5, 14, 17, 14, parts.Fixed(0, 22, s.mark))}
	bar := []fyne.CanvasObject{s.title, parts.Grow(40, s.caption)}
	for i, row := range Panes {
		item := widgets.NewRailItem(row.Label, row.Key, row.icon(), func() { w.Dispatch(state.ShowPane{Pane: row.Pane}) })
		item.OnHint = s.note
		s.rail = append(s.rail, item)
		rail = append(rail, item)
		p := row.New(w)
		s.panes = append(s.panes, p)
		b := p.Bar()
		if b != nil {
			bar = append(bar, b)
		}
		s.bars = append(s.bars, b)
		var tl *widgets.Timeline
		if row.Pane != state.PaneLibrary && row.Pane != state.PaneModels {
			tl = s.newLine(i)
		}
		s.lines = append(s.lines, tl)
		s.shown = append(s.shown, "")
	}
	s.help_ = widgets.NewRailItem("Help", "F1", fynetheme.HelpIcon(), s.help)
	s.set = widgets.NewRailItem("Settings", "Ctrl+,", fynetheme.SettingsIcon(), func() { w.Dispatch(state.ShowSheet{Open: !w.store.now.Sheet}) })
	s.help_.OnHint, s.set.OnHint = s.note, s.note
	rail = append(rail, layout.NewSpacer(), s.help_, s.set)
	s.chip = newModelChip(w)
	menu := widgets.NewIconButton("Menu", "", fynetheme.MoreVerticalIcon(), nil)
	menu.OnTapped = func() { s.menu(menu) }
	menu.OnHint = s.note
	s.history = widgets.NewIconButton("Sessions", "Ctrl+B", fynetheme.HistoryIcon(), func() { w.Dispatch(state.ToggleList{}) })
	s.history.OnHint = s.note
	bar = append(bar, s.chip, s.history, menu)
	s.toast = newToastBar(func() { w.Dispatch(state.UndoToast{}) })
	s.banner = parts.NewError()
	s.banner.OnDismiss = func() { w.Dispatch(state.DismissError{}) }
	s.welcome = newWelcome(w)
	s.large = s.newLarge()
	s.sheet = newSheet(w)
	s.drawer = parts.NewSessions(w, state.PaneInpaint)
	s.draw = parts.NewBox(theme.ColorRaised, 0, s.drawer).Outlined(fynetheme.ColorNameSeparator)
	s.draw.Hide()
	s.rails = parts.NewBox(fynetheme.ColorNameBackground, 0, parts.VStack(0, 0, 9, rail...))
	s.bar = parts.NewBox(theme.ColorPanel, 0, parts.HStack(8, 16, 0, bar...))
	s.bottom = parts.NewBox(fynetheme.ColorNameBackground, 0, parts.HStack(8, 12, 0, parts.Grow(100, s.status), s.right))
	objects := []fyne.CanvasObject{parts.NewBox(theme.ColorPanel, 0, nil), s.rails, s.bar, s.bottom, parts.VLine(), parts.HLine(), parts.HLine(), parts.HLine()}
	for i, p := range s.panes {
		objects = append(objects, p.Content())
		if s.lines[i] != nil {
			objects = append(objects, s.lines[i])
		}
	}
	objects = append(objects, s.sheet.box, s.draw, s.welcome.content, s.large.Content(), s.banner, s.toast)
	s.root = container.New(&shellLayout{s}, objects...)
	s.apply(&w.store.now)
	return s
}

func (r PaneRow) icon() fyne.Resource {
	if r.Icon == "" {
		if r.Pane == state.PaneModels {
			return fynetheme.StorageIcon()
		}
		return fynetheme.GridIcon()
	}
	return theme.Icon(r.Icon)
}

func (s *shell) newLine(i int) *widgets.Timeline {
	tl := widgets.NewTimeline()
	tl.OnHint = s.note
	tl.OnStep = func(_ int, tween bool) { s.follow(i, tween) }
	tl.OnHover = func(step int) { s.hover(i, step) }
	return tl
}

// follow puts the view of time line i where its play head is and shows it.
func (s *shell) follow(i int, tween bool) {
	tl, v := s.lines[i], s.w.store.View(s.shown[i])
	if tl == nil || v == nil {
		return
	}
	v.Jumped = !tween
	if tl.Following() {
		v.Follow()
	} else {
		v.Hold(tl.Step())
	}
	if p := s.front(); p == s.panes[i] || s.w.store.now.Welcome {
		s.observeFront()
	}
	s.w.trace.steps(s.w.store)
	s.w.trace.places(s.w)
}

// hover writes what happened at a step of time line i into the status bar.
func (s *shell) hover(i, step int) {
	v := s.w.store.View(s.shown[i])
	if v == nil || step < 1 || step > v.Run.Len() {
		s.note("")
		return
	}
	in := v.Run.Infos()[step-1]
	s.note(fmt.Sprintf("step %d   %s   %s   mean p %s", step, state.Plural(in.Changed, "token"), figures.Duration(in.Took), figures.Prob(in.Mean)))
}

// index is the row of pane p in Panes.
func index(p state.Pane) int {
	for i, r := range Panes {
		if r.Pane == p {
			return i
		}
	}
	return 0
}

// front is the pane that is seen; nil on the first start's page.
func (s *shell) front() Pane {
	if s.w.store.now.Welcome {
		return nil
	}
	return s.panes[index(s.w.store.now.Pane)]
}

// place is the row of Panes whose run and time line are seen: that of Canvas on the first start's page.
func (s *shell) place() int {
	if s.w.store.now.Welcome {
		return index(state.PaneCanvas)
	}
	return index(s.w.store.now.Pane)
}

func (s *shell) timeline() *widgets.Timeline { return s.lines[s.place()] }

func (s *shell) stepBy(n int) {
	if tl := s.timeline(); tl != nil {
		tl.StepBy(n)
	}
}

// apply patches everything to show st.
func (s *shell) apply(st *state.State) {
	if s.theme != st.Look {
		s.theme = st.Look
		s.setTheme(st.Look)
	}
	at := index(st.Pane)
	if s.at != at {
		s.at, s.hint = at, "" // what the hint was about is out of sight
	}
	for i, row := range Panes {
		s.rail[i].SetSelected(i == at && !st.Welcome)
		front := i == at && !st.Welcome
		show(s.panes[i].Content(), front)
		if s.bars[i] != nil {
			show(s.bars[i], front)
		}
		if s.lines[i] != nil {
			show(s.lines[i], i == s.place())
			s.setRun(i, st.Panes[row.Pane].Shown)
		}
		s.panes[i].Apply(st)
	}
	if s.large.Open() && s.timeline() == nil {
		s.large.SetOpen(false)
	}
	s.sheet.apply(st)
	drawn := st.Sessions && !st.Welcome && (st.Pane == state.PaneInpaint || st.Pane == state.PaneCompare)
	show(s.draw, drawn)
	if drawn {
		s.drawer.Apply(st, st.Pane)
	}
	show(s.history, st.Pane == state.PaneInpaint || st.Pane == state.PaneCompare || st.Pane == state.PaneChat)
	show(s.welcome.content, st.Welcome)
	s.welcome.apply(st)
	s.chip.apply(st)
	s.toast.set(st.Toast)
	if st.Notice != nil {
		s.banner.ShowTrouble(Explain(st.Notice))
	} else {
		s.banner.Clear()
	}
	title, note := "Welcome", ""
	if p := s.front(); p != nil {
		title, note = p.Heading(st)
	}
	s.title.Set(title)
	s.caption.Set(note)
	s.root.Refresh()
	s.observe()
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

// setRun shows run id in time line i as soon as something is known of it.
func (s *shell) setRun(i int, id string) {
	v := s.w.store.View(id)
	if v == nil {
		if s.shown[i] != "" {
			s.shown[i] = ""
			s.lines[i].SetRun(nil)
		}
		return
	}
	if s.shown[i] == id {
		return
	}
	s.shown[i] = id
	v.Follow()
	s.lines[i].SetRun(v.Run)
}

// observe shows what has come in the views of runs that are seen.
func (s *shell) observe() {
	st := &s.w.store.now
	i := s.place()
	if tl := s.lines[i]; tl != nil {
		s.setRun(i, st.Panes[Panes[i].Pane].Shown)
		tl.Update()
		if v := s.w.store.View(s.shown[i]); v != nil {
			if tl.Following() {
				v.Follow()
			} else {
				v.Hold(tl.Step())
			}
		}
	}
	s.observeFront()
	s.writeStatus()
}

func (s *shell) observeFront() {
	if s.large.Open() {
		s.large.Observe(s.w.store.View(s.shown[s.place()]))
		return
	}
	if p := s.front(); p != nil {
		p.Observe()
	} else {
		s.welcome.observe()
	}
}

// note shows a hint in the status bar instead of the facts; "" shows the facts again.
func (s *shell) note(text string) {
	s.hint = text
	s.writeStatus()
}

func (s *shell) writeStatus() {
	st := &s.w.store.now
	s.right.Set(s.w.paint.Info())
	if s.hint != "" {
		s.status.Set(s.hint)
		return
	}
	var facts []string
	if m := st.Model; m.Loaded {
		facts = append(facts, m.Spec.Name+" "+m.Spec.DType, m.Spec.Device, figures.Bytes(m.Spec.Bytes))
	}
	if r, ok := st.Runs[s.shown[s.place()]]; ok {
		facts = append(facts, fmt.Sprintf("seed %d", r.Job.Options.Seed))
	}
	if len(st.Queue) > 1 {
		facts = append(facts, fmt.Sprintf("%d runs wait", len(st.Queue)-1))
	}
	s.status.Set(strings.Join(facts, "   "))
}

func (s *shell) close() {
	p := s.w.app.Preferences()
	if s.size.Width > 0 {
		p.SetFloat("width", float64(s.size.Width))
		p.SetFloat("height", float64(s.size.Height))
	}
}

func (s *shell) setTheme(l state.Look) {
	mode := theme.System
	switch l.Theme {
	case "dark":
		mode = theme.Dark
	case "light":
		mode = theme.Light
	}
	s.w.app.Settings().SetTheme(theme.Theme{Mode: mode})
	s.mark.SetResource(theme.Mark())
}

// dropped opens a picture that was dropped on the window in the pane in front.
func (s *shell) dropped(_ fyne.Position, uris []fyne.URI) {
	if len(uris) == 0 {
		return
	}
	pane := s.w.store.now.Pane
	if pane != state.PaneChat {
		pane = state.PaneInpaint
	}
	if paths := modelPaths(uris); len(paths) > 0 {
		s.w.Dispatch(state.AddModels{Paths: paths})
		return
	}
	pic, err := parts.ReadPicture(uris[0])
	if err != nil {
		s.w.Dispatch(state.NotRead{Pane: pane, Err: err})
		return
	}
	s.w.Dispatch(state.ShowPane{Pane: pane})
	s.w.Dispatch(state.Attach{Pane: pane, Picture: pic})
}

// shellLayout puts the shell's objects where the design has them and tells panes the size of the window.
type shellLayout struct{ s *shell }

// MinSize implements [fyne.Layout].
func (shellLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(minWidth, minHeight) }

// Layout implements [fyne.Layout].
func (l *shellLayout) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	s := l.s
	s.fit(size)
	rail, line, status := float32(railWidth), float32(lineHigh), float32(statusHigh)
	if s.narrow {
		rail, status = railNarrow, 0
	}
	if s.narrow || s.low {
		line = lineCompact
	}
	if s.timeline() == nil {
		line = 0
	}
	put := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(max(w, 0), max(h, 0)))
	}
	w, h := size.Width, size.Height
	put(objects[0], 0, 0, w, h)
	put(s.rails, 0, 0, rail, h)
	put(s.bar, rail+1, 0, w-rail-1, barHeight)
	put(s.bottom, rail+1, h-status, w-rail-1, status)
	put(objects[4], rail, 0, 1, h)
	put(objects[5], rail+1, barHeight-1, w-rail-1, 1)
	top, bottom := float32(barHeight), h-status-line
	put(objects[6], rail+1, bottom, w-rail-1, 1)
	put(objects[7], rail+1, h-status, w-rail-1, 1)
	for i, p := range s.panes {
		put(p.Content(), rail+1, top, w-rail-1, bottom-top)
		if tl := s.lines[i]; tl != nil {
			put(tl, rail+1, bottom+1, w-rail-1, line-1)
		}
	}
	sw := min(float32(sheetWidth), w-rail-1)
	put(s.sheet.box, w-sw, top, sw, bottom-top)
	put(s.draw, rail+1, top, 240, bottom-top)
	put(s.welcome.content, rail+1, top, w-rail-1, bottom-top)
	put(s.large.Content(), 0, 0, w, bottom)
	show(s.rails, !s.large.Open())
	show(objects[4], !s.large.Open())
	if tl := s.timeline(); s.large.Open() && tl != nil {
		put(tl, 0, bottom+1, w, line-1)
		put(objects[6], 0, bottom, w, 1)
		put(objects[7], 0, h-status, w, 1)
		put(s.bottom, 0, h-status, w, status)
		s.large.Align(tl.Track())
	}
	bw := min(w-rail-40, 560)
	put(s.banner, rail+(w-rail-bw)/2, top+12, bw, s.banner.HeightFor(bw))
	tw := min(w-rail-40, 480)
	put(s.toast, rail+(w-rail-tw)/2, bottom-60, tw, 44)
}

// fit adapts to the size of the window.
func (s *shell) fit(size fyne.Size) {
	if s.size == size {
		return
	}
	s.size = size
	s.narrow, s.low = size.Width < 1000, size.Height < 720
	for _, r := range append(append([]*widgets.RailItem{}, s.rail...), s.help_, s.set) {
		r.SetNarrow(s.narrow)
	}
	show(s.bottom, !s.narrow)
	for i, p := range s.panes {
		p.Fit(size)
		if s.lines[i] != nil {
			s.lines[i].SetCompact(s.narrow || s.low)
		}
	}
	s.welcome.fit(size)
}
