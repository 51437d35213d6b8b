package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/run"
	"unmask/ui/theme"
)

// speedButton shows the speed of replay; a tap goes to the next, round.
type speedButton struct {
	widget.BaseWidget
	t    *Timeline
	hint func(string)
	text *canvas.Text
}

var _ desktop.Hoverable = (*speedButton)(nil)

func newSpeedButton(t *Timeline, hint func(string)) *speedButton {
	b := &speedButton{t: t, hint: hint, text: newText(textStyle{size: theme.TextNumber, mono: true})}
	b.text.Alignment = fyne.TextAlignCenter
	b.ExtendBaseWidget(b)
	return b
}

func (b *speedButton) set(s string) {
	if setText(b.text, s, color.Color(theme.Current().Text)) {
		b.text.Refresh()
	}
}

// Tapped implements [fyne.Tappable].
func (b *speedButton) Tapped(*fyne.PointEvent) {
	if b.t.player.Speed >= run.Speeds[len(run.Speeds)-1] {
		b.t.player.Speed = run.Speeds[0]
		b.t.Refresh()
		return
	}
	b.t.Faster()
}

// TappedSecondary implements [fyne.SecondaryTappable].
func (b *speedButton) TappedSecondary(*fyne.PointEvent) { b.t.Slower() }

// MouseIn implements [desktop.Hoverable].
func (b *speedButton) MouseIn(*desktop.MouseEvent) { b.hint("Speed of replay  , and .") }

// MouseMoved implements [desktop.Hoverable].
func (b *speedButton) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements [desktop.Hoverable].
func (b *speedButton) MouseOut() { b.hint("") }

// CreateRenderer implements [fyne.Widget].
func (b *speedButton) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(b.text) }
