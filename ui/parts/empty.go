package parts

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/state"
	"unmask/ui/theme"
)

// Symbol is an icon of a size in a theme colour.
func Symbol(res fyne.Resource, size float32, c fyne.ThemeColorName) fyne.CanvasObject {
	return Fixed(size, size, widget.NewIcon(tinted(res, c)))
}

// Empty is what stands where nothing is yet: an icon, what is missing, how to get it, and buttons that do it.
func Empty(icon fyne.Resource, title, how string, buttons ...fyne.CanvasObject) *fyne.Container {
	row := append(append([]fyne.CanvasObject{layout.NewSpacer()}, buttons...), layout.NewSpacer())
	stack := []fyne.CanvasObject{
		HStack(0, 0, 0, layout.NewSpacer(), Symbol(icon, 32, theme.ColorText2), layout.NewSpacer()),
		Title(title, theme.TextBody).Whole().Aligned(fyne.TextAlignCenter),
		Soft(how).Wrapped().Aligned(fyne.TextAlignCenter),
	}
	if len(buttons) > 0 {
		stack = append(stack, HStack(8, 0, 4, row...))
	}
	return centered(360, VStack(10, 0, 0, stack...))
}

// centered puts o in the middle, width wide, as high as it needs.
func centered(width float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(middle{width}, o)
}

type middle struct{ width float32 }

// MinSize implements [fyne.Layout].
func (m middle) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(min(m.width, 200), HeightFor(objects[0], m.width))
}

// Layout implements [fyne.Layout].
func (m middle) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	w := min(m.width, s.Width-16)
	h := HeightFor(objects[0], w)
	objects[0].Move(fyne.NewPos((s.Width-w)/2, max(0, (s.Height-h)/2)))
	objects[0].Resize(fyne.NewSize(w, h))
}

// Error shows a [state.Trouble] in place of what failed: what happened, what it means, the numbers, what mends it.
type Error struct {
	widget.BaseWidget
	// OnRetry and OnDismiss are what the buttons do.
	OnRetry, OnDismiss func()

	box     *fyne.Container
	trouble state.Trouble
}

// NewError makes a hidden error.
func NewError() *Error {
	e := &Error{box: VStack(0, 0, 0)}
	e.ExtendBaseWidget(e)
	e.Hide()
	return e
}

// ShowTrouble shows t.
func (e *Error) ShowTrouble(t state.Trouble) {
	if e.Visible() && e.trouble.Title == t.Title && e.trouble.Details == t.Details {
		return
	}
	e.trouble = t
	rows := []fyne.CanvasObject{Title(t.Title, theme.TextBody).Wrapped()}
	if t.Meaning != "" {
		rows = append(rows, Soft(t.Meaning).Wrapped())
	}
	if len(t.Facts) > 0 {
		wide := 0
		for _, f := range t.Facts {
			wide = max(wide, len(f[0]))
		}
		var facts []fyne.CanvasObject
		for _, f := range t.Facts {
			facts = append(facts, SmallNumber(f[0]+strings.Repeat(" ", wide-len(f[0])+2)+f[1]).Shortened())
		}
		rows = append(rows, NewBox(theme.ColorRaised, theme.RadiusInput, VStack(4, 10, 8, facts...)))
	}
	var buttons []fyne.CanvasObject
	if t.Retry != "" && e.OnRetry != nil {
		buttons = append(buttons, NewButton(Run, t.Retry, nil, e.OnRetry).Low())
	}
	buttons = append(buttons, NewButton(Normal, "Copy details", nil, func() {
		fyne.CurrentApp().Clipboard().SetContent(t.Title + "\n" + t.Meaning + "\n" + t.Details)
	}))
	if e.OnDismiss != nil {
		buttons = append(buttons, NewButton(Flat, "Dismiss", nil, e.OnDismiss))
	}
	rows = append(rows, HStack(8, 0, 0, buttons...))
	icon := VStack(0, 0, 0, Symbol(fynetheme.ErrorIcon(), 24, fynetheme.ColorNameError))
	e.box.Objects = []fyne.CanvasObject{
		NewBox(theme.ColorPanel, theme.RadiusCard, Inset(14, 14, 14, 14, container.New(beside{24, 12}, icon, VStack(8, 0, 0, rows...)))).Outlined(fynetheme.ColorNameSeparator),
	}
	e.box.Refresh()
	e.Show()
	e.Refresh()
	canvas.Refresh(e)
}

// Clear hides the error.
func (e *Error) Clear() {
	if e.Visible() {
		e.trouble = state.Trouble{}
		e.Hide()
	}
}

// HeightFor implements [Flexible].
func (e *Error) HeightFor(width float32) float32 { return HeightFor(e.box, width) }

// MinSize implements [fyne.Widget].
func (e *Error) MinSize() fyne.Size {
	return fyne.NewSize(160, HeightFor(e.box, max(e.Size().Width, 240)))
}

// CreateRenderer implements [fyne.Widget].
func (e *Error) CreateRenderer() fyne.WidgetRenderer {
	e.ExtendBaseWidget(e)
	return widget.NewSimpleRenderer(e.box)
}

// Shortened makes a text that keeps its width end in an ellipsis instead.
func (t *Text) Shortened() *Text { t.hold = false; return t }

// beside puts a narrow first object beside a second one that takes the rest, both at the top.
type beside struct{ width, gap float32 }

// Beside puts a narrow object of a width beside one that takes the rest, both at the top.
func Beside(width, gap float32, narrow, wide fyne.CanvasObject) *fyne.Container {
	return container.New(beside{width, gap}, narrow, wide)
}

// MinSize implements [fyne.Layout].
func (b beside) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := o[1].MinSize()
	return fyne.NewSize(m.Width+b.width+b.gap, max(m.Height, o[0].MinSize().Height))
}

// Layout implements [fyne.Layout].
func (b beside) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Move(fyne.NewPos(0, 0))
	o[0].Resize(fyne.NewSize(b.width, HeightFor(o[0], b.width)))
	o[1].Move(fyne.NewPos(b.width+b.gap, 0))
	o[1].Resize(fyne.NewSize(s.Width-b.width-b.gap, s.Height))
}

// HeightFor implements [Flowing].
func (b beside) HeightFor(o []fyne.CanvasObject, width float32) float32 {
	return max(HeightFor(o[0], b.width), HeightFor(o[1], width-b.width-b.gap))
}
