package ui

import (
	"fmt"
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
)

// sheet edits the settings of the next run of the pane in front, in the place of what is at its right.
type sheet struct {
	w        *Window
	box      *parts.Box
	title    *parts.Text
	presets  *parts.PresetBar
	form     *parts.ParamForm
	remember *widget.Check
	forChat  fyne.CanvasObject
	cost     *parts.Text
	quiet    bool
	banned   *parts.Field
	wanted   *parts.Field
	steer    fyne.CanvasObject // wanted words
	words    *parts.Field
	limits   fyne.CanvasObject // fixed and banned words
	wrong    *parts.Text
}

// sheetWidth is the width of the sheet.
const sheetWidth = 428

func newSheet(w *Window) *sheet {
	s := &sheet{w: w, title: parts.Title("Settings for the next run", theme.TextBody).Whole(), presets: parts.NewPresetBar(w), form: parts.NewParamForm(w, true), cost: parts.Caption("").Wrapped()}
	s.remember = widget.NewCheck("Send the earlier turns with the prompt", func(on bool) {
		if !s.quiet {
			w.Dispatch(state.SetRemember{On: on})
		}
	})
	s.forChat = s.remember
	shut := parts.NewButton(parts.Flat, "", fynetheme.CancelIcon(), func() { w.Dispatch(state.ShowSheet{}) })
	head := parts.HStack(8, 16, 8, s.title, layout.NewSpacer(), s.presets.Reset, parts.Fixed(32, 32, shut))
	s.makeLimits()
	body := container.NewVScroll(parts.VStack(14, 16, 12, s.presets.Row, s.form, s.limits, s.forChat))
	foot := parts.VStack(0, 0, 0, parts.HLine(), parts.Inset(10, 16, 10, 16, parts.Beside(20, 8, parts.Symbol(fynetheme.InfoIcon(), 16, theme.ColorText2), s.cost)))
	s.box = parts.NewBox(theme.ColorPanel, 0, container.NewBorder(parts.VStack(0, 0, 0, head, parts.HLine()), foot, parts.VLine(), nil, body))
	s.box.Hide()
	return s
}

// makeLimits makes the fields of fixed and banned words. They take effect when Enter is pressed or the field is left.
func (s *sheet) makeLimits() {
	w := s.w
	s.wrong = parts.Caption("").Wrapped().Colored(fynetheme.ColorNameError)
	s.banned = parts.Hook(w, parts.NewField("because, very", false))
	s.words = parts.Hook(w, parts.NewField("0 Dear Anna; 12 thank you", false))
	s.banned.OnChanged = func(text string) {
		if s.quiet {
			return
		}
		task := w.store.now.TaskOf(w.store.now.Pane)
		o := w.store.now.Options(task)
		o.BanWords = state.ParseList(text)
		w.Dispatch(state.SetOptions{Task: task, Options: o})
	}
	s.wanted = parts.Hook(w, parts.NewField("cheap, family", false))
	s.wanted.OnChanged = func(text string) {
		if s.quiet {
			return
		}
		task := w.store.now.TaskOf(w.store.now.Pane)
		o := w.store.now.Options(task)
		o.WantWords = state.ParseList(text)
		w.Dispatch(state.SetOptions{Task: task, Options: o})
	}
	s.words.OnChanged = func(text string) {
		if s.quiet {
			return
		}
		words, err := state.ParseWords(text)
		s.wrong.Set("")
		if err != nil {
			s.wrong.Set("Write a position and words, semicolons between: 0 Dear Anna; 12 thank you")
			return
		}
		w.Dispatch(state.SetWords{Pane: w.store.now.Pane, Words: words})
	}
	row := func(label, doc string, f *parts.Field) fyne.CanvasObject {
		return parts.VStack(4, 0, 0, parts.Beside(144, 0, parts.Inset(7, 0, 0, 0, parts.Dense(label)), parts.Fixed(0, theme.Control, f)), parts.Caption(doc).Wrapped())
	}
	s.steer = row("Wanted words", "A classifier steers every step towards a text that holds them.", s.wanted)
	s.limits = parts.VStack(14, 0, 0, s.steer,
		row("Banned words", "The answer does not hold them, in any case of letters.", s.banned),
		row("Fixed words", "A position of the answer, then the words that stand there and that no step writes over.", s.words), s.wrong)
}

func (s *sheet) apply(st *state.State) {
	show(s.box, st.Sheet && !st.Welcome && st.Pane != state.PaneLibrary && st.Pane != state.PaneModels)
	if !s.box.Visible() {
		return
	}
	s.quiet = true
	defer func() { s.quiet = false }()
	task := st.TaskOf(st.Pane)
	o := st.Options(task)
	s.form.Set(st.Model.Spec, task, o)
	s.presets.Set(st.Model.Spec, task, o)
	show(s.forChat, st.Pane == state.PaneChat)
	text := task != engine.TextToImage && task != engine.Inpaint && task != engine.Outpaint
	show(s.limits, text)
	if text {
		// What is being typed stays as it is typed.
		if !slices.Equal(state.ParseList(s.banned.Text), o.BanWords) {
			s.banned.Put(state.WriteList(o.BanWords))
		}
		show(s.steer, st.Model.Spec.Continuous)
		if !slices.Equal(state.ParseList(s.wanted.Text), o.WantWords) {
			s.wanted.Put(state.WriteList(o.WantWords))
		}
		if words, err := state.ParseWords(s.words.Text); err == nil && !slices.Equal(words, st.At().Draft.Words) {
			s.words.Put(state.WriteWords(st.At().Draft.Words))
		}
	}
	s.remember.SetChecked(st.Remember)
	nfe := o.Steps
	if o.Guidance > 0 {
		nfe *= 2
	}
	cost := fmt.Sprintf("At most %s forward passes", figures.Count(nfe))
	if d := s.pass(); d > 0 {
		cost += ", about " + figures.Duration(d*time.Duration(nfe))
	}
	if len(st.Queue) > 0 {
		cost += ". The current run keeps its own settings"
	}
	s.cost.Set(cost + ".")
}

// pass is how long a forward pass of the run shown took.
func (s *sheet) pass() time.Duration {
	v := s.w.store.View(s.w.store.now.At().Shown)
	if v == nil || v.Run.Len() == 0 {
		return 0
	}
	in := v.Run.Infos()[v.Run.Len()-1]
	return in.Until / time.Duration(max(in.NFE, 1))
}
