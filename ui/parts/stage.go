package parts

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/glview/panel"
	"unmask/ui/palette"
	"unmask/ui/state"
	"unmask/ui/theme"
)

// Stage is the denoising canvas of one run, on the dark canvas that pictures always have.
type Stage struct {
	widget.BaseWidget
	View *panel.View
	env  Env
	box  fyne.CanvasObject
	id   string
	seen int
	step int
}

// NewStage makes an empty stage.
func NewStage(env Env) *Stage {
	s := &Stage{env: env, View: panel.New(env.Stage()), seen: -1, step: -1}
	s.View.OnHover = func(pos int) {
		v := env.View(s.id)
		if pos < 0 || v == nil {
			env.Note("")
			return
		}
		env.Note(Inspect(v, pos))
	}
	s.box = container.NewStack(NewBox(theme.ColorCanvas, theme.RadiusCard, nil), s.View)
	s.ExtendBaseWidget(s)
	return s
}

// Play shows where v stands; nil shows nothing. It is cheap when nothing changed.
func (s *Stage) Play(v *state.View) {
	if v == nil || v.Run.Started() == nil {
		if s.id != "" {
			s.id = ""
			s.View.SetRun(nil)
		}
		return
	}
	if s.id != v.ID {
		s.id, s.step, s.seen = v.ID, v.Step(), -1
		s.View.SetRun(v.Run)
	}
	if n := v.Step(); n != s.step {
		s.step = n
		s.View.SetStep(n, !v.Jumped)
		v.Jumped = false
	}
	if n := v.Run.Version(); n != s.seen {
		s.seen = n
		s.View.Update()
	}
	s.View.Wake()
}

// ID is the run that is shown.
func (s *Stage) ID() string { return s.id }

// MinSize implements [fyne.Widget].
func (s *Stage) MinSize() fyne.Size { return fyne.NewSize(80, 60) }

// CreateRenderer implements [fyne.Widget].
func (s *Stage) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(s.box) }

// Swatch is a small sample of what a cell looks like: "mask", "unsure", "sure" or "yours".
func Swatch(kind string) fyne.CanvasObject {
	p := &palette.Dark
	r := canvas.NewRectangle(color.Transparent)
	r.CornerRadius = theme.RadiusToken
	switch kind {
	case "mask":
		r.FillColor = p.MaskLight
	case "unsure":
		r.FillColor = p.Fill[1]
	case "sure":
		r.FillColor = p.Fill[15]
	default:
		r.StrokeColor, r.StrokeWidth = theme.Current().LimeInk, 2
	}
	return r
}
