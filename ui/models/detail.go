package models

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// detail shows one model: what it is, what it needs, what to do with it.
type detail struct {
	p           *Pane
	box         *parts.Box
	name, about *parts.Text
	body        *fyne.Container
	load        *parts.Button
	stop        *parts.Button
	more        *parts.Button
	meter       *widgets.Meter
	run         fyne.CanvasObject // the meter and Stop, while something is under way
	device      *deviceRow
	row         state.Row
	action      string // what the main action says
	can         bool   // whether it can be taken
	key         string // of what the body shows
}

func newDetail(p *Pane) *detail {
	d := &detail{p: p, name: parts.Title("", theme.TextHeading).Wrapped(), about: parts.Caption("").Wrapped(), body: parts.VStack(0, 0, 0), meter: widgets.NewMeter(), device: newDeviceRow(p)}
	d.load = parts.NewButton(parts.Run, "Load", nil, d.act)
	d.stop = parts.NewButton(parts.Normal, "Stop", fynetheme.MediaStopIcon(), d.halt)
	d.more = parts.NewButton(parts.Outline, "", fynetheme.MoreVerticalIcon(), nil).High()
	d.more.OnTapped = d.menu
	d.more.Hint, d.more.OnHint = "Copy, move, adapters, take off the list", p.env.Note
	d.run = parts.HStack(12, 0, 0, parts.Grow(80, parts.Fixed(0, 24, d.meter)), d.stop)
	d.run.Hide()
	foot := parts.VStack(10, 0, 0, d.run, parts.HStack(8, 0, 0, parts.Grow(80, d.load), parts.Fixed(40, theme.MainAction, d.more)))
	top := parts.Inset(16, 24, 10, 24, parts.VStack(4, 0, 0, d.name, d.about))
	scroll := container.NewVScroll(parts.Inset(0, 24, 12, 24, parts.VStack(16, 0, 0, d.body, d.device.box)))
	d.box = parts.NewBox(theme.ColorPanel, 0, container.NewBorder(nil, nil, parts.VLine(), nil, container.NewBorder(top, parts.Inset(10, 24, 16, 24, foot), nil, nil, scroll)))
	return d
}

// act is the main action: load, or free what is loaded.
func (d *detail) act() {
	if d.row.Status == state.InMemory && !d.stale() {
		d.p.env.Dispatch(state.Unload{})
		return
	}
	switch d.row.Status {
	case state.Missing:
		d.p.env.Dispatch(state.RemoveModel{ID: d.row.ID()})
	case state.Unreadable:
		d.p.env.Dispatch(state.LookAgain{})
	default:
		d.p.env.Dispatch(state.LoadKnown{ID: d.row.ID()})
	}
}

// halt stops what is under way for this model.
func (d *detail) halt() {
	if d.p.now.Models.Import.On {
		d.p.env.Dispatch(state.StopImport{})
		return
	}
	d.p.env.Dispatch(state.StopLoad{})
}

// stale reports that the loaded model is held in another type than the one now asked for.
func (d *detail) stale() bool {
	return d.row.DType != "" && d.row.DType != d.p.now.Model.Spec.DType
}

func (d *detail) apply(s *state.State, r state.Row) {
	d.row = r
	d.name.Set(r.Name)
	about := familyTitle(r.Card.Family)
	if r.Card.Paper != "" {
		about += ", " + r.Card.Paper
	}
	d.about.Set(about)
	d.progress(s, r)
	label, can := "Load", r.Status == state.Fits || r.Status == state.FitsRather || r.Status == state.SizeUnknown
	if r.Type != "" && can {
		label = "Load as " + typeWords[r.Type]
	}
	switch {
	case r.Status == state.InMemory && d.stale():
		label, can = "Load again as "+typeWords[r.DType], true
	case r.Status == state.InMemory:
		label, can = "Unload", true
	case r.Status == state.LoadingNow:
		label, can = "Loading", false
	case r.Status == state.TooLarge:
		label = "Too large"
	case r.Status == state.Missing:
		label, can = "Take off the list", true
	case r.Status == state.Unreadable:
		label, can = "Look again", true
	}
	kind := parts.Run
	if label == "Unload" || r.Status == state.Missing || r.Status == state.Unreadable {
		kind = parts.Outline
	}
	d.load.SetKind(kind)
	d.load.Set(label, nil)
	d.action, d.can = label, can && !s.Load.On
	d.load.SetEnabled(d.can)
	d.device.apply(s)
	if key := d.fingerprint(s, r); key != d.key {
		d.key = key
		d.body.Objects = d.build(s, r)
		d.body.Refresh()
		d.box.Refresh()
	}
}

// fingerprint tells whether the body has to be made anew.
func (d *detail) fingerprint(s *state.State, r state.Row) string {
	return fmt.Sprint(r.ID(), r.Status, r.DType, r.Adapters, r.Read, r.Err, r.Need, r.Card.Doubts, s.Models.Known.Default, s.Room()>>24, s.Load.Err,
		s.Model.Loaded && s.Model.ID == r.ID(), s.Model.Spec.Hash, len(s.Model.Spec.Doubts), s.Models.Import.Err)
}

// progress shows loading or an import of this model.
func (d *detail) progress(s *state.State, r state.Row) {
	p := s.Load
	if s.Models.Import.On && s.Models.Import.ID == r.ID() {
		p = s.Models.Import
	}
	on := p.On && p.ID == r.ID()
	show(d.run, on)
	if !on {
		return
	}
	share, left, rest := float32(0), "reading", "…"
	if p.Total > 0 {
		share = float32(float64(p.Done) / float64(p.Total))
		left = figures.Bytes(p.Done) + " of " + figures.Bytes(p.Total)
	}
	if t := p.Left(time.Now()); t > 0 {
		rest = figures.Left(t) + " left"
	}
	d.meter.Set(share, left, rest)
}

// build makes the body: what is wrong, memory, facts, tasks, adapters.
func (d *detail) build(s *state.State, r state.Row) []fyne.CanvasObject {
	out := []fyne.CanvasObject{parts.VStack(16, 0, 0, d.sections(s, r)...)}
	return out
}

func (d *detail) sections(s *state.State, r state.Row) []fyne.CanvasObject {
	var out []fyne.CanvasObject
	add := func(o ...fyne.CanvasObject) { out = append(out, o...) }
	if r.Err != nil && r.Status != state.Missing {
		t := d.p.env.Explain(r.Err)
		add(warning(t.Title, t.Meaning, t.Facts))
	}
	if err := s.Load.Err; err != nil && s.Load.ID == r.ID() && !isStop(err) && !s.Load.On {
		t := d.p.env.Explain(err)
		add(warning(t.Title, t.Meaning, t.Facts))
	}
	if err := s.Models.Import.Err; err != nil && s.Models.Import.ID == r.ID() && !isStop(err) {
		t := d.p.env.Explain(err)
		add(warning(t.Title, t.Meaning, t.Facts))
	}
	if words := explain(r); words != "" {
		add(parts.Soft(words).Wrapped())
	}
	for _, x := range doubts(s, r) {
		add(warning("The "+x.Item+" may be wrong", upper(x.Reason), nil))
	}
	if len(r.Card.Need) > 0 {
		add(d.memory(s, r))
	}
	if r.Card.Disk > 0 || r.Status == state.Missing {
		add(parts.VStack(8, 0, 0, factRows(facts(s, r))...))
	}
	if len(r.Card.Spec.Tasks) > 0 {
		add(d.tasks(s, r))
	}
	if r.Path != "" && (len(r.Adapters) > 0 || r.Err == nil && r.Read && r.Card.Base == "") {
		add(d.adapters(r))
	}
	return out
}

func isStop(err error) bool { return errors.Is(err, context.Canceled) }

// doubts are those of the loaded model where this is it, since loading tries it, else those of its files.
func doubts(s *state.State, r state.Row) []engine.Doubt {
	if s.Model.Loaded && s.Model.ID == r.ID() {
		return s.Model.Spec.Doubts
	}
	return r.Card.Doubts
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// warning is a box with a sign: what is wrong, why, and the names in it.
func warning(title, text string, facts [][2]string) fyne.CanvasObject {
	rows := []fyne.CanvasObject{parts.Strong(title).Wrapped()}
	if text != "" {
		rows = append(rows, parts.Soft(text).Wrapped())
	}
	for _, f := range facts {
		rows = append(rows, parts.Caption(f[0]), parts.Dense(f[1]).Wrapped())
	}
	sign := parts.VStack(0, 0, 0, parts.Symbol(fynetheme.WarningIcon(), 18, fynetheme.ColorNameWarning))
	return parts.NewBox(theme.ColorRaised, theme.RadiusCard, parts.Inset(10, 12, 10, 12, parts.Beside(18, 10, sign, parts.VStack(4, 0, 0, rows...))))
}

// facts are what the files say of the model.
func facts(s *state.State, r state.Row) [][2]string {
	sp, c := r.Card.Spec, r.Card
	out := [][2]string{}
	add := func(k, v string) { out = append(out, [2]string{k, v}) }
	if r.Status == state.Missing {
		add("name", filepath.Base(r.Path))
		add("folder", filepath.Dir(r.Path))
		return out
	}
	licence := c.Licence
	if licence == "" {
		licence = "not said"
	}
	add("licence", licence)
	if c.Params > 0 {
		add("parameters", params(c.Params))
	}
	if sp.Vocab > 0 {
		add("vocabulary", figures.Count(sp.Vocab))
		add("layers × width", fmt.Sprintf("%d × %d", sp.Layers, sp.Width))
		add("longest sequence", figures.Count(sp.MaxLen))
		add("mask token", figures.Count(int(sp.Mask)))
	}
	if sp.Image != nil {
		add("pictures", fmt.Sprintf("%d × %d cells of %s codes", sp.Image.Grid.Cols, sp.Image.Grid.Rows, figures.Count(sp.Image.Codebook)))
	}
	if sp.Vectors {
		add("pictures", "read, as vectors")
	}
	if sp.Process != "" {
		add("own process", state.SamplerTitle(sp.Process))
	}
	add("files", fmt.Sprintf("%s, %s", state.Plural(c.Files, "file"), c.Format))
	if c.Base != "" {
		add("adapter over", filepath.Base(c.Base))
	}
	if h := s.Model.Spec.Hash; s.Model.Loaded && s.Model.ID == r.ID() && len(h) >= 12 {
		add("hash", h[:12])
	}
	if r.Path != "" {
		add("folder", filepath.Dir(r.Path))
	}
	return out
}

// factRows are rows of a label and a value at the right.
func factRows(list [][2]string) (rows []fyne.CanvasObject) {
	for _, f := range list {
		rows = append(rows, parts.HStack(8, 0, 0, parts.Soft(f[0]).Whole(), parts.Grow(40, right(parts.Number(f[1])))))
	}
	return rows
}

// tasks lets the model be the one for a task.
func (d *detail) tasks(s *state.State, r state.Row) fyne.CanvasObject {
	rows := []fyne.CanvasObject{parts.Strong("Default for")}
	var line []fyne.CanvasObject
	for _, t := range engine.Tasks {
		if !r.Card.Spec.Can(t) {
			continue
		}
		id, set := s.Models.Known.Default[t]
		on := set && id == r.ID()
		b := parts.NewButton(parts.Outline, taskWords[t], nil, nil).Tight()
		if on {
			b.SetKind(parts.Lime)
			b.Low()
			b.Set(taskWords[t], fynetheme.ConfirmIcon())
		}
		b.Hint, b.OnHint = "Load this model when a pane of this task is shown", d.p.env.Note
		b.OnTapped = func() { d.p.env.Dispatch(state.SetDefault{Task: t, ID: r.ID(), On: !on}) }
		line = append(line, b)
	}
	for len(line) > 0 {
		n := min(3, len(line))
		rows = append(rows, parts.HStack(8, 0, 0, line[:n]...))
		line = line[n:]
	}
	return parts.VStack(8, 0, 0, rows...)
}

// adapters lists the adapters laid over the model.
func (d *detail) adapters(r state.Row) fyne.CanvasObject {
	add := parts.NewButton(parts.Normal, "Add adapter", fynetheme.ContentAddIcon(), d.pickAdapter).Tight()
	add.Hint, add.OnHint = "Lay a PEFT adapter (LoRA) over the weights", d.p.env.Note
	rows := []fyne.CanvasObject{parts.HStack(8, 0, 0, parts.Strong("Adapters").Whole(), layout.NewSpacer(), add)}
	if len(r.Adapters) == 0 {
		rows = append(rows, parts.Caption("None. Several add up; they are merged while loading."))
	}
	for _, a := range r.Adapters {
		c := widget.NewCheck(filepath.Base(a.Path), nil)
		c.Checked = !a.Off
		c.OnChanged = func(on bool) { d.p.env.Dispatch(state.SwitchAdapter{ID: r.ID(), Path: a.Path, On: on}) }
		rows = append(rows, c)
	}
	return parts.VStack(6, 0, 0, rows...)
}

func (d *detail) pickAdapter() {
	id := d.row.ID()
	f := dialog.NewFolderOpen(func(u fyne.ListableURI, err error) {
		switch {
		case err != nil:
			d.p.env.Dispatch(state.NotRead{Pane: state.PaneModels, Err: err})
		case u != nil:
			d.p.env.Dispatch(state.AddAdapter{ID: id, Path: u.Path()})
		}
	}, d.p.env.Window())
	f.SetConfirmText("Add")
	size := d.p.env.Window().Canvas().Size()
	f.Resize(fyne.NewSize(min(820, size.Width-60), min(560, size.Height-60)))
	f.Show()
}

// menu offers what is done rarely. Only the two entries that say so touch files.
func (d *detail) menu() {
	r := d.row
	send := func(m state.Msg) func() { return func() { d.p.env.Dispatch(m) } }
	items := []*fyne.MenuItem{fyne.NewMenuItem("Look at all files again", send(state.LookAgain{}))}
	if r.Path != "" {
		items = append(items,
			fyne.NewMenuItem("Copy the path", func() { fyne.CurrentApp().Clipboard().SetContent(r.Path) }),
			fyne.NewMenuItemSeparator(),
			fyne.NewMenuItem("Copy the files into Unmask's folder", send(state.ImportModel{ID: r.ID()})),
			fyne.NewMenuItem("Move the files into Unmask's folder", send(state.ImportModel{ID: r.ID(), Move: true})),
			fyne.NewMenuItemSeparator(),
			fyne.NewMenuItem("Take off the list, files stay", send(state.RemoveModel{ID: r.ID()})))
	}
	pop := widget.NewPopUpMenu(fyne.NewMenu("", items...), d.p.env.Window().Canvas())
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(d.more)
	m := pop.MinSize()
	pop.ShowAtPosition(fyne.NewPos(at.X+d.more.Size().Width-m.Width, at.Y-m.Height-4))
}
