package parts

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/theme"
)

// Text shows one size and colour of text that follows the theme, on one line that ends in an ellipsis where it does not
// fit, or wrapped at words.
type Text struct {
	widget.BaseWidget
	size  float32
	color fyne.ThemeColorName
	style fyne.TextStyle
	align fyne.TextAlign
	wrap  bool
	hold  bool // one line keeps its whole width
	text  string
}

func newText(text string, size float32, c fyne.ThemeColorName, style fyne.TextStyle) *Text {
	t := &Text{text: text, size: size, color: c, style: style}
	t.ExtendBaseWidget(t)
	return t
}

// Body is text of 14.
func Body(text string) *Text {
	return newText(text, theme.TextBody, fynetheme.ColorNameForeground, fyne.TextStyle{})
}

// Dense is text of 13, for labels.
func Dense(text string) *Text {
	return newText(text, theme.TextDense, fynetheme.ColorNameForeground, fyne.TextStyle{})
}

// Soft is Dense in the second text colour.
func Soft(text string) *Text {
	return newText(text, theme.TextDense, theme.ColorText2, fyne.TextStyle{})
}

// Caption is text of 11 in the second text colour.
func Caption(text string) *Text {
	return newText(text, theme.TextCaption, theme.ColorText2, fyne.TextStyle{})
}

// Strong is bold text of 13: a section's heading.
func Strong(text string) *Text {
	return newText(text, theme.TextDense, fynetheme.ColorNameForeground, fyne.TextStyle{Bold: true})
}

// Title is bold text of size.
func Title(text string, size float32) *Text {
	return newText(text, size, fynetheme.ColorNameForeground, fyne.TextStyle{Bold: true})
}

// Number is monospace text of 12.
func Number(text string) *Text {
	t := newText(text, theme.TextNumber, fynetheme.ColorNameForeground, fyne.TextStyle{Monospace: true})
	t.hold = true
	return t
}

// SmallNumber is monospace text of 11 in the second text colour.
func SmallNumber(text string) *Text {
	t := newText(text, theme.TextCaption, theme.ColorText2, fyne.TextStyle{Monospace: true})
	t.hold = true
	return t
}

// Wrapped makes t wrap at words instead of ending in an ellipsis.
func (t *Text) Wrapped() *Text { t.wrap = true; return t }

// Whole makes t keep its width instead of ending in an ellipsis.
func (t *Text) Whole() *Text { t.hold = true; return t }

// Aligned sets the alignment.
func (t *Text) Aligned(a fyne.TextAlign) *Text { t.align = a; return t }

// Colored sets the theme colour.
func (t *Text) Colored(c fyne.ThemeColorName) *Text { t.color = c; return t }

// Set changes the text; the same text costs nothing.
func (t *Text) Set(text string) {
	if t.text != text {
		t.text = text
		t.Refresh()
	}
}

// SetColor changes the theme colour.
func (t *Text) SetColor(c fyne.ThemeColorName) {
	if t.color != c {
		t.color = c
		t.Refresh()
	}
}

// Text is what is shown.
func (t *Text) Text() string { return t.text }

func (t *Text) measure(s string) fyne.Size { return fyne.MeasureText(s, t.size, t.style) }

// HeightFor implements [Flexible].
func (t *Text) HeightFor(width float32) float32 {
	line := t.measure("M").Height
	if !t.wrap {
		return line
	}
	return line * float32(len(wrap(t.text, width, func(s string) float32 { return t.measure(s).Width })))
}

// MinSize implements [fyne.Widget].
func (t *Text) MinSize() fyne.Size {
	switch {
	case t.wrap:
		return fyne.NewSize(40, t.HeightFor(max(t.Size().Width, 40)))
	case t.hold:
		return fyne.NewSize(t.measure(t.text).Width, t.measure("M").Height)
	default:
		return fyne.NewSize(min(t.measure(t.text).Width, 40), t.measure("M").Height)
	}
}

// Width is how wide the text is on one line.
func (t *Text) Width() float32 { return t.measure(t.text).Width }

// CreateRenderer implements [fyne.Widget].
func (t *Text) CreateRenderer() fyne.WidgetRenderer {
	t.ExtendBaseWidget(t)
	r := &textRenderer{t: t}
	r.Refresh()
	return r
}

type textRenderer struct {
	t     *Text
	lines []fyne.CanvasObject
	width float32
}

func (r *textRenderer) Destroy()                     {}
func (r *textRenderer) MinSize() fyne.Size           { return r.t.MinSize() }
func (r *textRenderer) Objects() []fyne.CanvasObject { return r.lines }

func (r *textRenderer) Layout(s fyne.Size) {
	if s.Width != r.width {
		r.Refresh()
	}
}

func (r *textRenderer) Refresh() {
	t := r.t
	r.width = t.Size().Width
	width := func(s string) float32 { return t.measure(s).Width }
	lines := []string{t.text}
	switch {
	case t.wrap:
		lines = wrap(t.text, max(r.width, 40), width)
	case !t.hold && r.width > 0:
		lines[0] = shorten(t.text, r.width, width)
	}
	c := fynetheme.ColorForWidget(t.color, t)
	for len(r.lines) < len(lines) {
		r.lines = append(r.lines, canvas.NewText("", c))
	}
	r.lines = r.lines[:len(lines)]
	h := t.measure("M").Height
	for i, l := range lines {
		o := r.lines[i].(*canvas.Text)
		o.Text, o.Color, o.TextSize, o.TextStyle, o.Alignment = l, c, t.size, t.style, t.align
		o.Move(fyne.NewPos(0, float32(i)*h))
		o.Resize(fyne.NewSize(r.width, h))
	}
	canvas.Refresh(t)
}

// wrap breaks s into lines at most width wide, at spaces, inside words only where a word alone is too wide.
func wrap(s string, width float32, measure func(string) float32) []string {
	var out []string
	for _, para := range strings.Split(s, "\n") {
		line := ""
		for word := range strings.FieldsSeq(para) {
			next := word
			if line != "" {
				next = line + " " + word
			}
			if line != "" && measure(next) > width {
				out = append(out, line)
				next = word
			}
			for measure(next) > width && len([]rune(next)) > 1 {
				k := fit(next, width, measure)
				out = append(out, string([]rune(next)[:k]))
				next = string([]rune(next)[k:])
			}
			line = next
		}
		out = append(out, line)
	}
	return out
}

// fit is how many runes of s fit into width, at least 1.
func fit(s string, width float32, measure func(string) float32) int {
	r := []rune(s)
	lo, hi := 1, len(r)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if measure(string(r[:mid])) <= width {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// shorten cuts s so that it fits into width with an ellipsis.
func shorten(s string, width float32, measure func(string) float32) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if measure(s) <= width+0.5 || s == "" {
		return s
	}
	k := fit(s, width-measure("…"), measure)
	return strings.TrimRight(string([]rune(s)[:k]), " ") + "…"
}
