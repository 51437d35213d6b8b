package parts

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/state"
	"unmask/ui/theme"
)

// ParamForm edits the options of a task. Its rows come from [state.Settings], so a new sampler needs no code here.
type ParamForm struct {
	widget.BaseWidget
	env   Env
	wide  bool // label, slider and field on one line; else the slider below
	skip  map[string]bool
	stack *fyne.Container
	rows  map[string]*paramRow
	shape string

	spec engine.Spec
	task engine.Task
	o    engine.Options
}

// NewParamForm makes an empty form. wide puts label, slider and field on one line. Rows named in skip are left
// out, "params" means the sampler's own.
func NewParamForm(env Env, wide bool, skip ...string) *ParamForm {
	f := &ParamForm{env: env, wide: wide, skip: map[string]bool{}, stack: VStack(map[bool]float32{true: 12, false: 10}[wide], 0, 0), rows: map[string]*paramRow{}}
	for _, s := range skip {
		f.skip[s] = true
	}
	f.ExtendBaseWidget(f)
	return f
}

// Set shows the options o of a task, beside the preset that they are compared with.
func (f *ParamForm) Set(spec engine.Spec, task engine.Task, o engine.Options) {
	f.spec, f.task, f.o = spec, task, o
	settings := state.Settings(spec, task, o)
	shape := fmt.Sprint(spec.Hash, task, o.Sampler)
	if shape != f.shape {
		f.shape = shape
		f.build(settings)
	}
	changed := map[string]bool{}
	for _, n := range state.Changed(state.Base(spec, task), o) {
		changed[n] = true
	}
	for _, s := range settings {
		if r := f.rows[s.Name]; r != nil {
			r.show(s, changed[s.Name])
		}
	}
}

func (f *ParamForm) build(settings []state.Setting) {
	f.rows = map[string]*paramRow{}
	f.stack.Objects = nil
	for _, s := range settings {
		if f.skip[s.Name] || f.skip["params"] && strings.HasPrefix(s.Name, "params.") {
			continue
		}
		r := newParamRow(f, s)
		f.rows[s.Name] = r
		f.stack.Objects = append(f.stack.Objects, r.object)
	}
	f.stack.Refresh()
}

func (f *ParamForm) put(name string, v float64) {
	o := state.Put(f.spec, f.task, f.o, name, v)
	if len(state.Changed(f.o, o)) > 0 {
		f.env.Dispatch(state.SetOptions{Task: f.task, Options: o})
	}
}

// HeightFor implements [Flexible].
func (f *ParamForm) HeightFor(width float32) float32 { return HeightFor(f.stack, width) }

// CreateRenderer implements [fyne.Widget].
func (f *ParamForm) CreateRenderer() fyne.WidgetRenderer {
	f.ExtendBaseWidget(f)
	return widget.NewSimpleRenderer(f.stack)
}

// paramRow is one setting.
type paramRow struct {
	f      *ParamForm
	s      state.Setting
	object fyne.CanvasObject
	dot    *Box
	slider *widget.Slider
	field  *Field
	value  *Text
	choice *widget.Select
	check  *widget.Check
	more   *Text
	quiet  bool // the row is being set, not used
}

func newParamRow(f *ParamForm, s state.Setting) *paramRow {
	r := &paramRow{f: f, s: s, dot: NewBox(fynetheme.ColorNamePrimary, 3, nil)}
	r.dot.Hide()
	label := HStack(8, 0, 0, Dense(s.Title).Whole(), Fixed(6, 6, r.dot))
	hint := newHint(func(on bool) {
		text := ""
		if on {
			text = r.s.Doc
			if r.s.More != "" {
				text += "   " + r.s.More
			}
		}
		f.env.Note(text)
	}, label)
	switch s.Kind {
	case state.Choose:
		r.choice = widget.NewSelect(s.Choices, nil)
		r.choice.SetSelectedIndex(int(s.Value))
		r.choice.OnChanged = func(string) { r.use(float64(r.choice.SelectedIndex())) }
		rows := []fyne.CanvasObject{}
		if f.wide {
			rows = append(rows, Beside(144, 0, Inset(7, 0, 0, 0, hint), Fixed(0, theme.Control, r.choice)))
		} else {
			rows = append(rows, hint, Fixed(0, theme.Control, r.choice))
		}
		if s.Name == "sampler" && f.wide {
			r.more = Caption("").Wrapped()
			rows = append(rows, NewBox(theme.ColorRaised, theme.RadiusInput, VStack(0, 12, 8, r.more)))
		}
		r.object = VStack(8, 0, 0, rows...)
	case state.Switch:
		r.check = widget.NewCheck(s.Title, func(on bool) {
			v := 0.0
			if on {
				v = 1
			}
			r.use(v)
		})
		r.object = HStack(8, 0, 0, r.check, Fixed(6, 6, r.dot))
	default:
		r.number(hint)
	}
	return r
}

func (r *paramRow) number(label fyne.CanvasObject) {
	s := r.s
	r.slider = widget.NewSlider(s.Min, s.Max)
	r.slider.Step = s.Step
	if s.Step == 0 {
		r.slider.Step = 0.01
	}
	r.slider.OnChanged = func(v float64) {
		if r.value != nil {
			r.value.Set(r.write(v))
		}
		if r.field != nil && !r.quiet {
			r.field.Put(r.write(v))
		}
	}
	r.slider.OnChangeEnded = r.use
	if !r.f.wide {
		r.value = Number("")
		r.object = VStack(0, 0, 0, HStack(8, 0, 0, label, Grow(0, Number("").Shortened()), r.value), Fixed(0, 26, r.slider))
		return
	}
	r.field = Hook(r.f.env, NewField("", false))
	r.field.TextStyle.Monospace = true
	read := func() {
		v, err := strconv.ParseFloat(r.field.Text, 64)
		if err != nil || math.IsNaN(v) {
			r.field.SetText(r.write(r.s.Value))
			return
		}
		r.use(v)
	}
	r.field.OnSubmitted = func(string) { read() }
	r.field.OnRun = read
	r.object = Beside(144, 0, Inset(7, 0, 0, 0, label), HStack(12, 0, 0, Grow(80, r.slider), Fixed(68, theme.Control, r.field)))
}

func (r *paramRow) use(v float64) {
	if !r.quiet && v != r.s.Value {
		r.f.put(r.s.Name, v)
		if r.field != nil {
			r.field.Put(r.write(r.s.Value))
		}
	}
}

// show sets the row without telling anyone.
func (r *paramRow) show(s state.Setting, changed bool) {
	r.quiet = true
	defer func() { r.quiet = false }()
	r.s = s
	if changed != r.dot.Visible() {
		if changed {
			r.dot.Show()
		} else {
			r.dot.Hide()
		}
	}
	switch {
	case r.choice != nil:
		r.choice.SetSelectedIndex(int(s.Value))
		if r.more != nil {
			r.more.Set(s.Doc + "\n" + s.More)
		}
	case r.check != nil:
		r.check.SetChecked(s.Value > 0)
	default:
		if r.slider.Max != s.Max {
			r.slider.Max = s.Max
			r.slider.Refresh()
		}
		r.slider.SetValue(s.Value)
		if r.value != nil {
			r.value.Set(r.write(s.Value))
		}
		if r.field != nil {
			r.field.Put(r.write(s.Value))
		}
	}
}

// write writes a value with as many digits as its step has.
func (r *paramRow) write(v float64) string {
	digits := 2
	switch {
	case r.s.Step >= 1:
		digits = 0
	case r.s.Step >= 0.1:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// hint tells when the pointer is on an object.
type hint struct {
	widget.BaseWidget
	over func(bool)
	o    fyne.CanvasObject
}

func newHint(over func(bool), o fyne.CanvasObject) *hint {
	h := &hint{over: over, o: o}
	h.ExtendBaseWidget(h)
	return h
}

// CreateRenderer implements [fyne.Widget].
func (h *hint) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(h.o) }

// MouseIn implements [desktop.Hoverable].
func (h *hint) MouseIn(*desktop.MouseEvent) { h.over(true) }

// MouseMoved implements [desktop.Hoverable].
func (h *hint) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements [desktop.Hoverable].
func (h *hint) MouseOut() { h.over(false) }

// PresetBar chooses a preset of a task and resets what differs from the first one.
type PresetBar struct {
	env   Env
	task  engine.Task
	names []string
	tabs  []*Button
	Reset *Button
	Row   *fyne.Container // the presets
}

// NewPresetBar makes the bar; Reset stands apart, for the sheet's head.
func NewPresetBar(env Env) *PresetBar {
	b := &PresetBar{env: env, Row: HStack(4, 0, 0)}
	b.Reset = NewButton(Flat, "Reset", fynetheme.ContentUndoIcon(), func() {
		if len(b.names) > 0 {
			env.Dispatch(state.UsePreset{Task: b.task, Name: b.names[0]})
		}
	})
	return b
}

// Set shows which preset the options o are, and how many settings differ from the first one.
func (b *PresetBar) Set(spec engine.Spec, task engine.Task, o engine.Options) {
	list := state.Presets(spec, task)
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	if b.task != task || !slices.Equal(names, b.names) {
		b.task, b.names, b.tabs = task, names, nil
		b.Row.Objects = nil
		for _, p := range list {
			t := NewButton(Normal, p.Title, nil, func() { b.env.Dispatch(state.UsePreset{Task: task, Name: p.Name}) })
			t.Hint, t.OnHint = p.Doc, b.env.Note
			t.Tight()
			b.tabs = append(b.tabs, t)
			b.Row.Add(t)
		}
		b.Row.Refresh()
	}
	at := state.PresetOf(spec, task, o)
	for i, t := range b.tabs {
		t.SetOn(names[i] == at)
	}
	n := len(state.Changed(list[0].Options, o))
	b.Reset.Set(fmt.Sprintf("Reset %d", n), fynetheme.ContentUndoIcon())
	if n == 0 {
		b.Reset.Hide()
	} else {
		b.Reset.Show()
	}
}
