package parts

import (
	"image"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/layout"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// The measures of the inspector.
const (
	inspectorWidth = 348
	inspectorRows  = 8
	candidateHigh  = 26
)

// Candidate is a row of the inspector.
type Candidate struct {
	Token engine.Token
	Text  string  // for people
	Prob  float32 // of it, without noise
	Patch image.Image
}

// Inspected is what the inspector shows of one position.
type Inspected struct {
	Title      string // the token for people
	Patch      image.Image
	Place      string // "position 50 · step 41"
	Candidates []Candidate
	Now        engine.Token // what stands there; -1: a mask
	Foot       []string     // margin, entropy, where the numbers are from
	Note       string       // in place of candidates
	Pinned     bool
	Masked     bool
	Free       bool // something may be done here
	Text       bool // a text may be typed
}

// Inspector shows one token with its candidates in a pop-up, and takes what is done to it.
type Inspector struct {
	widget.BaseWidget
	OnPin    func(c Candidate)
	OnUnpin  func()
	OnRemask func()
	OnType   func(text string)
	OnAsk    func() // ask the model again
	OnClose  func()

	env     Env
	in      Inspected
	at      int // chosen row
	typing  bool
	box     *Box
	title   *Text
	swatch  *canvas.Image
	place   *Text
	rows    []*candidateRow
	list    *fyne.Container
	note    *Text
	foot    [3]*Text
	pin     *Button
	unpin   *widgets.IconButton
	remask  *Button
	pencil  *widgets.IconButton
	again   *widgets.IconButton
	field   *Field
	actions *fyne.Container
	typed   *fyne.Container

	// What is hidden where there is nothing to show.
	seen, noted, numbers, line, acts, types fyne.CanvasObject
}

var (
	_ fyne.Focusable = (*Inspector)(nil)
	_ fyne.Widget    = (*Inspector)(nil)
)

// NewInspector makes an inspector; Fill says what it shows.
func NewInspector(env Env) *Inspector {
	p := &Inspector{env: env, title: Title("", theme.TextBody), place: SmallNumber(""), note: Soft("").Wrapped(), list: VStack(0, 0, 0)}
	p.swatch = &canvas.Image{FillMode: canvas.ImageFillStretch, ScaleMode: canvas.ImageScalePixels}
	for i := range inspectorRows {
		r := newCandidateRow(func() { p.choose(i) })
		r.twice = func() { p.choose(i); p.do() }
		p.rows = append(p.rows, r)
		p.list.Add(r)
	}
	foot := HStack(8, 0, 0)
	for i := range p.foot {
		p.foot[i] = SmallNumber("")
		if i > 0 {
			foot.Add(layout.NewSpacer())
		}
		foot.Add(p.foot[i])
	}
	p.pin = NewButton(Run, "", theme.Icon("pin"), p.do).Low()
	p.unpin = widgets.NewIconButton("Unpin: steps may write here again", "U", theme.Icon("unpin"), func() { p.call(p.OnUnpin) })
	p.unpin.OnHint = env.Note
	p.remask = NewButton(Normal, "Remask", theme.Icon("remask"), func() { p.call(p.OnRemask) })
	p.pencil = widgets.NewIconButton("Type another", "T", fynetheme.DocumentCreateIcon(), p.startTyping)
	p.again = widgets.NewIconButton("Ask the model again, with everything else as it stands", "A", fynetheme.ViewRefreshIcon(), func() { p.call(p.OnAsk) })
	p.pencil.OnHint, p.again.OnHint = env.Note, env.Note
	for b, hint := range map[*Button]string{p.pin: "Pin the chosen candidate  P or Enter", p.remask: "Mask it again  M"} {
		b.Hint, b.OnHint = hint, env.Note
	}
	p.actions = HStack(4, 0, 0, Grow(60, p.pin), p.unpin, p.remask, p.pencil, p.again)
	p.field = Hook(env, NewField("Another text, then Enter", false))
	p.field.OnSubmitted = func(text string) {
		if strings.TrimSpace(text) != "" && p.OnType != nil {
			p.OnType(text)
		}
	}
	p.typed = HStack(8, 0, 0, Grow(60, Fixed(0, theme.Control, p.field)))
	p.seen = Fixed(24, 24, p.swatch)
	head := HStack(8, 8, 0, p.seen, Grow(40, p.title), p.place)
	p.noted, p.numbers = Inset(0, 8, 0, 8, p.note), Inset(2, 8, 0, 8, foot)
	p.line, p.acts, p.types = Inset(4, 8, 4, 8, HLine()), Inset(0, 8, 0, 8, p.actions), Inset(0, 8, 0, 8, p.typed)
	p.box = NewBox(theme.ColorRaised, theme.RadiusCard, VStack(6, 4, 12, head, p.list, p.noted, p.numbers, p.line, p.acts, p.types))
	p.ExtendBaseWidget(p)
	return p
}

// Fill shows what is known of a position.
func (p *Inspector) Fill(in Inspected) {
	same, chosen := in.Place == p.in.Place && len(in.Candidates) == len(p.in.Candidates), p.at
	p.in, p.typing = in, p.typing && same
	p.title.Set(in.Title)
	p.place.Set(in.Place)
	show(p.seen, in.Patch != nil)
	p.swatch.Image = in.Patch
	p.swatch.Refresh()
	best := float32(0)
	p.at = -1
	for i, c := range in.Candidates {
		best = max(best, c.Prob)
		if c.Token == in.Now && p.at < 0 {
			p.at = i
		}
	}
	if p.at < 0 && len(in.Candidates) > 0 {
		p.at = 0
	}
	if same && chosen >= 0 {
		p.at = chosen // only looks have come
	}
	for i, r := range p.rows {
		show(r, i < len(in.Candidates))
		if i < len(in.Candidates) {
			r.set(in.Candidates[i], best)
		}
	}
	show(p.noted, in.Note != "")
	show(p.list, len(in.Candidates) > 0)
	show(p.numbers, len(in.Foot) > 0)
	p.note.Set(in.Note)
	for i := range p.foot {
		text := ""
		if i < len(in.Foot) {
			text = in.Foot[i]
		}
		p.foot[i].Set(text)
	}
	show(p.pencil, in.Text)
	show(p.remask, !in.Masked)
	p.apply()
}

// apply shows which row is chosen and what can be done.
func (p *Inspector) apply() {
	for i, r := range p.rows {
		r.choose(i == p.at)
	}
	label := "Pin"
	if p.at >= 0 && p.at < len(p.in.Candidates) {
		if c := p.in.Candidates[p.at]; p.in.Text {
			label = "Pin “" + strings.TrimSpace(c.Text) + "”"
		} else {
			label = "Pin cell " + strings.TrimSpace(c.Text)
		}
	}
	p.pin.Set(label, theme.Icon("pin"))
	p.pin.SetEnabled(p.at >= 0 && p.at < len(p.in.Candidates))
	show(p.unpin, p.in.Pinned)
	show(p.line, p.in.Free)
	show(p.acts, p.in.Free && !p.typing)
	show(p.types, p.in.Free && p.typing)
	p.Refresh()
}

func (p *Inspector) choose(i int) {
	if i >= 0 && i < len(p.in.Candidates) {
		p.at = i
		p.apply()
	}
}

// do is the main action.
func (p *Inspector) do() {
	if p.in.Free && p.OnPin != nil && p.at >= 0 && p.at < len(p.in.Candidates) {
		p.OnPin(p.in.Candidates[p.at])
	}
}

func (p *Inspector) call(f func()) {
	if f != nil {
		f()
	}
}

func (p *Inspector) startTyping() {
	if !p.in.Text || !p.in.Free {
		return
	}
	p.typing = true
	p.field.SetText("")
	p.apply()
	if c := fyne.CurrentApp().Driver().CanvasForObject(p); c != nil {
		c.Focus(p.field)
	}
}

// MinSize implements [fyne.Widget].
func (p *Inspector) MinSize() fyne.Size {
	return fyne.NewSize(inspectorWidth, p.box.HeightFor(inspectorWidth))
}

// CreateRenderer implements [fyne.Widget].
func (p *Inspector) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(p.box) }

// FocusGained implements [fyne.Focusable].
func (p *Inspector) FocusGained() { p.box.SetStroke(fynetheme.ColorNamePrimary, 1) }

// FocusLost implements [fyne.Focusable].
func (p *Inspector) FocusLost() { p.box.SetStroke(fynetheme.ColorNameInputBorder, 1) }

// TypedRune implements [fyne.Focusable].
func (p *Inspector) TypedRune(r rune) {
	switch r {
	case 'p', 'P':
		p.do()
	case 'u', 'U':
		if p.in.Pinned {
			p.call(p.OnUnpin)
		}
	case 'm', 'M':
		if p.in.Free && !p.in.Masked {
			p.call(p.OnRemask)
		}
	case 't', 'T':
		p.startTyping()
	case 'a', 'A':
		p.call(p.OnAsk)
	}
}

// TypedKey implements [fyne.Focusable]: up and down choose, Enter does the main action, Esc closes.
func (p *Inspector) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyUp:
		p.choose(p.at - 1)
	case fyne.KeyDown:
		p.choose(p.at + 1)
	case fyne.KeyReturn, fyne.KeyEnter:
		p.do()
	case fyne.KeyEscape:
		p.call(p.OnClose)
	}
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
