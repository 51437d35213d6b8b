package widgets

import (
	"maps"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/engine"
	"unmask/ui/flow"
	"unmask/ui/palette"
	"unmask/ui/run"
	"unmask/ui/theme"
)

// Measures of a strip, in units.
const (
	stripMask   = 26
	stripGap    = 5
	stripTick   = 8
	stripHeader = 44 // a folded thought with the room below it
	stripRest   = 26 // the line that counts the masks of later blocks
)

// TokenStrip shows the text of a run as it is unmasked: words with a bar of their probability, masks as round bars. Tokens
// keep their places, see package flow. It shows one step of the run at a time.
type TokenStrip struct {
	widget.BaseWidget
	OnTapped func(pos int, at fyne.Position) // a token was chosen; at is below it, in the strip
	OnHover  func(pos int)                   // -1: none
	OnSelect func(positions []int)           // ascending; empty: none
	OnPaint  func(positions []int)           // tokens that the brush has painted, ascending
	OnRune   func(r rune, pos int)           // a letter typed while the strip has the focus; pos -1: no token
	OnHeight func(height float32)            // the height that the strip needs changed

	flow        *flow.Flow
	step        int
	state       run.State
	version     int
	view        palette.View
	pinned      map[int]bool
	selected    map[int]bool
	marked      map[int]bool
	changed     map[int]string // texts that a person put there; "" where a token was masked again
	painting    bool
	painted     map[int]bool // under the brush, until it is lifted
	anchor      int
	cursor      int // position under the keyboard; -1: none
	focused     bool
	top, bottom float32
	height      float32
	r           *stripRenderer
	hoverPos    int
	dragging    bool
	dragFrom    int
}

var (
	_ fyne.Tappable      = (*TokenStrip)(nil)
	_ fyne.Focusable     = (*TokenStrip)(nil)
	_ fyne.Draggable     = (*TokenStrip)(nil)
	_ desktop.Hoverable  = (*TokenStrip)(nil)
	_ desktop.Cursorable = (*TokenStrip)(nil)
)

// NewTokenStrip makes an empty strip.
func NewTokenStrip() *TokenStrip {
	s := &TokenStrip{cursor: -1, anchor: -1, hoverPos: -1, bottom: 1 << 20}
	s.flow = flow.New(flow.Options{Line: theme.LineToken, Mask: stripMask, Gap: stripGap, Tick: stripTick, Header: stripHeader,
		Special: special,
		Measure: func(t string) float32 { return fyne.MeasureText(t, theme.TextToken, fyne.TextStyle{}).Width }})
	s.ExtendBaseWidget(s)
	return s
}

// special reports whether t is a control token such as "<|endoftext|>" or "<|eot_id|>", which people need not read.
func special(t string) bool {
	return strings.HasPrefix(t, "<|") && strings.HasSuffix(t, "|>") && !strings.ContainsAny(t, " \n")
}

// SetRun shows the positions of span of r, from its newest step on; the zero span means its answer. nil shows nothing.
func (s *TokenStrip) SetRun(r *run.Run, span engine.Span) {
	s.flow.SetRun(r, span)
	s.version, s.step = -1, 0
	s.pinned, s.selected, s.changed, s.painted = nil, nil, nil, nil
	s.cursor, s.anchor = -1, -1
	if r != nil {
		s.step = r.Len()
	}
	s.Update()
}

// SetStep shows step n. Nothing moves but masks becoming words and back.
func (s *TokenStrip) SetStep(n int) {
	if s.step != n {
		s.step = n
		s.version = -1
		s.Update()
	}
}

// SetView changes what colours mean.
func (s *TokenStrip) SetView(v palette.View) {
	if s.view != v {
		s.view = v
		s.Refresh()
	}
}

// SetPinned frames the pinned positions; the same ones cost nothing.
func (s *TokenStrip) SetPinned(pos []int) {
	if next := set(pos); !maps.Equal(s.pinned, next) {
		s.pinned = next
		s.Refresh()
	}
}

// SetMarked puts a grey ground under positions: in a comparison, the ones that differ.
func (s *TokenStrip) SetMarked(pos []int) {
	if next := set(pos); !maps.Equal(s.marked, next) {
		s.marked = next
		s.Refresh()
	}
}

// SetChanged shows what a person changed at the step shown: another text, or "" where it was masked again. The change stands
// on the token's place.
func (s *TokenStrip) SetChanged(texts map[int]string) {
	if !maps.Equal(s.changed, texts) {
		s.changed = texts
		s.Refresh()
	}
}

// SetBrush makes drags paint tokens, which OnPaint gets, in place of selecting a stretch.
func (s *TokenStrip) SetBrush(on bool) {
	if s.painting != on {
		s.painting, s.painted = on, nil
		s.Refresh()
	}
}

// Shown is the position under the keyboard, -1 for none.
func (s *TokenStrip) Shown() int { return s.cursor }

// SetSelected selects positions without calling OnSelect.
func (s *TokenStrip) SetSelected(pos []int) { s.selected = set(pos); s.Refresh() }

// Selected lists the selected positions, ascending.
func (s *TokenStrip) Selected() []int {
	out := make([]int, 0, len(s.selected))
	for p := range s.selected {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// SetVisible tells which heights of the strip can be seen: only their tokens get objects. Without it all do.
func (s *TokenStrip) SetVisible(top, bottom float32) {
	if s.top != top || s.bottom != bottom {
		s.top, s.bottom = top, bottom
		s.Refresh()
	}
}

// SetFolded folds or shows the thought.
func (s *TokenStrip) SetFolded(b bool) { s.flow.SetFolded(b); s.version = -1; s.Update() }

// Update shows what was added to the run. It is cheap when nothing was.
func (s *TokenStrip) Update() {
	r := s.flow.Run()
	if r != nil && r.Version() == s.version {
		return
	}
	s.flow.Update()
	if r != nil {
		s.version = r.Version()
		r.AtInto(&s.state, s.step)
	} else {
		s.state = run.State{}
	}
	s.Refresh()
	h := s.flow.Height
	if s.flow.Rest > 0 {
		h += stripRest
	}
	if h != s.height {
		s.height = h
		if s.OnHeight != nil {
			s.OnHeight(h)
		}
	}
}

// Text is the text of the step shown, without masks and thought tags.
func (s *TokenStrip) Text() string {
	r := s.flow.Run()
	if r == nil || r.Started() == nil {
		return ""
	}
	return strings.ToValidUTF8(strings.Join(s.state.Answered(), ""), "\uFFFD")
}

// Rect is where position p stands in the strip; ok is false where it has no place.
func (s *TokenStrip) Rect(p int) (pos fyne.Position, size fyne.Size, ok bool) {
	i, ok := slices.BinarySearchFunc(s.flow.Items, p, func(it flow.Item, p int) int { return it.Pos - p })
	if !ok {
		return fyne.Position{}, fyne.Size{}, false
	}
	it := &s.flow.Items[i]
	return fyne.NewPos(it.X, it.Y), fyne.NewSize(it.W, theme.LineToken), true
}

// at is the position at pt, or -1.
func (s *TokenStrip) at(pt fyne.Position) int {
	for i := range s.flow.Items {
		it := &s.flow.Items[i]
		if pt.Y >= it.Y && pt.Y < it.Y+theme.LineToken && pt.X >= it.X-3 && pt.X < it.X+it.W+3 && it.Kind != flow.Blank {
			return it.Pos
		}
	}
	return -1
}

func (s *TokenStrip) onHeader(pt fyne.Position) bool {
	t := s.flow.Thought
	return t != nil && s.flow.Folded() && pt.Y >= t.Y && pt.Y < t.Y+theme.Control
}

func set(pos []int) map[int]bool {
	m := make(map[int]bool, len(pos))
	for _, p := range pos {
		m[p] = true
	}
	return m
}

// Resize implements [fyne.CanvasObject]: another width lays the run out again.
func (s *TokenStrip) Resize(size fyne.Size) {
	s.BaseWidget.Resize(size)
	if s.flow.Resize(size.Width) {
		s.version = -1
		s.Update()
	}
}

// MinSize implements [fyne.Widget].
func (s *TokenStrip) MinSize() fyne.Size { return fyne.NewSize(120, max(s.height, theme.LineToken)) }

// CreateRenderer implements [fyne.Widget].
func (s *TokenStrip) CreateRenderer() fyne.WidgetRenderer {
	s.ExtendBaseWidget(s)
	s.r = &stripRenderer{s: s}
	s.r.Refresh()
	return s.r
}
