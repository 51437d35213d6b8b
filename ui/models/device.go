package models

import (
	"strings"

	"fyne.io/fyne/v2"

	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
)

// deviceRow chooses where models run: here, in a process of its own, or on another machine.
type deviceRow struct {
	p     *Pane
	box   *fyne.Container
	here  *parts.Button
	apart *parts.Button
	field *parts.Field
	use   *parts.Button
	about *parts.Text
	error *fyne.Container
	shown error
}

func newDeviceRow(p *Pane) *deviceRow {
	d := &deviceRow{p: p, about: parts.Caption("").Wrapped(), error: parts.VStack(0, 0, 0)}
	send := func(name string) func() {
		return func() { p.env.Dispatch(state.SetDevice{Name: name}) }
	}
	d.here = parts.NewButton(parts.Outline, "This program", nil, send("cpu")).Tight()
	d.apart = parts.NewButton(parts.Outline, "Own process", nil, send("worker")).Tight()
	d.here.Hint, d.apart.Hint = "The processor, in this process", "A worker process beside the program: a crash of the engine does not take the window along"
	d.here.OnHint, d.apart.OnHint = p.env.Note, p.env.Note
	d.field = parts.Hook(p.env, parts.NewField("user@host, or a command", false))
	d.use = parts.NewButton(parts.Normal, "Use", nil, d.ask).Tight()
	d.field.OnSubmitted = func(string) { d.ask() }
	d.box = parts.VStack(8, 0, 0, parts.Strong("Run on"), parts.HStack(8, 0, 0, d.here, d.apart),
		parts.HStack(8, 0, 0, parts.Grow(60, parts.Fixed(0, theme.Control, d.field)), d.use), d.about, d.error)
	return d
}

func (d *deviceRow) ask() {
	if name := strings.TrimSpace(d.field.Text); name != "" {
		d.p.env.Dispatch(state.SetDevice{Name: name})
	}
}

func (d *deviceRow) apply(s *state.State) {
	v := s.Device
	show(d.box, v.Name != "")
	mark := func(b *parts.Button, name string) {
		kind := parts.Outline
		if v.Name == name {
			kind = parts.Lime
		}
		b.SetKind(kind)
		b.Low()
		b.SetEnabled(v.Asked == "")
	}
	mark(d.here, "cpu")
	mark(d.apart, "worker")
	d.use.SetEnabled(v.Asked == "")
	if far := v.Name != "cpu" && v.Name != "worker"; far && d.field.Text == "" {
		d.field.Put(v.Name)
	}
	switch {
	case v.Asked != "":
		d.about.Set("Asking " + v.Asked + " …")
	case v.About != "":
		d.about.Set(v.About)
	case v.Name == "cpu" && s.Model.Loaded:
		d.about.Set(s.Model.Spec.Device)
	case v.Name == "cpu":
		d.about.Set("The processor, in this process")
	default:
		d.about.Set(v.Name)
	}
	if d.shown != v.Err {
		d.shown = v.Err
		d.error.Objects = nil
		if v.Err != nil {
			t := d.p.env.Explain(v.Err)
			d.error.Objects = []fyne.CanvasObject{warning(t.Title, t.Meaning, append(t.Facts, [2]string{"said", t.Details}))}
		}
		d.error.Refresh()
		d.box.Refresh()
	}
}
