package widgets

import (
	"maps"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"unmask/ui/flow"
	"unmask/ui/theme"
)

func shifted() bool {
	d, ok := fyne.CurrentApp().Driver().(desktop.Driver)
	return ok && d.CurrentKeyModifiers()&fyne.KeyModifierShift != 0
}

// Tapped implements [fyne.Tappable]: a token is chosen, or with Shift the stretch up to it selected.
func (s *TokenStrip) Tapped(e *fyne.PointEvent) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(s); c != nil {
		c.Focus(s)
	}
	if s.onHeader(e.Position) {
		s.SetFolded(false)
		return
	}
	p := s.at(e.Position)
	if p < 0 {
		s.selectRange(-1, -1)
		return
	}
	if s.painting {
		if !s.state.Cells[p].Fixed || s.pinned[p] {
			s.painted = map[int]bool{p: true}
			s.DragEnd()
		}
		return
	}
	if shifted() && s.anchor >= 0 {
		s.selectRange(s.anchor, p)
		return
	}
	s.cursor, s.anchor = p, p
	s.selectRange(-1, -1)
	s.choose(p)
}

func (s *TokenStrip) choose(p int) {
	if s.OnTapped == nil || p < 0 {
		return
	}
	if pos, size, ok := s.Rect(p); ok {
		s.OnTapped(p, fyne.NewPos(pos.X, pos.Y+size.Height))
	}
}

// selectRange selects the tokens between positions a and b, both included; negative: none.
func (s *TokenStrip) selectRange(a, b int) {
	before := len(s.selected)
	s.selected = map[int]bool{}
	if a >= 0 && b >= 0 {
		for i := range s.flow.Items {
			if p := s.flow.Items[i].Pos; p >= min(a, b) && p <= max(a, b) && !s.state.Cells[p].Fixed {
				s.selected[p] = true
			}
		}
	}
	s.Refresh()
	if s.OnSelect != nil && before+len(s.selected) > 0 {
		s.OnSelect(s.Selected())
	}
}

// Dragged implements [fyne.Draggable]: a stretch is selected.
func (s *TokenStrip) Dragged(e *fyne.DragEvent) {
	if !s.dragging {
		from := fyne.NewPos(e.Position.X-e.Dragged.DX, e.Position.Y-e.Dragged.DY)
		s.dragging, s.dragFrom = true, s.at(from)
	}
	if s.painting {
		s.paint(e.Position)
		return
	}
	if p := s.at(e.Position); p >= 0 {
		if s.dragFrom < 0 {
			s.dragFrom = p
		}
		s.anchor = s.dragFrom
		s.selectRange(s.dragFrom, p)
	}
}

// DragEnd implements [fyne.Draggable].
func (s *TokenStrip) DragEnd() {
	s.dragging = false
	if s.painting && len(s.painted) > 0 {
		out := slices.Sorted(maps.Keys(s.painted))
		s.painted = nil
		s.Refresh()
		if s.OnPaint != nil {
			s.OnPaint(out)
		}
	}
}

// brushReach is how far from its middle the brush of a text paints.
const brushReach = 9

// paint paints the tokens under the brush at pt.
func (s *TokenStrip) paint(pt fyne.Position) {
	for i := range s.flow.Items {
		it := &s.flow.Items[i]
		if it.Kind == flow.Blank || it.Pos >= len(s.state.Cells) || s.state.Cells[it.Pos].Fixed && !s.pinned[it.Pos] {
			continue
		}
		if pt.Y < it.Y-2 || pt.Y > it.Y+theme.LineToken+2 || pt.X < it.X-brushReach || pt.X > it.X+it.W+brushReach {
			continue
		}
		if !s.painted[it.Pos] {
			if s.painted == nil {
				s.painted = map[int]bool{}
			}
			s.painted[it.Pos] = true
			s.Refresh()
		}
	}
}

// MouseIn implements [desktop.Hoverable].
func (s *TokenStrip) MouseIn(e *desktop.MouseEvent) { s.MouseMoved(e) }

// MouseMoved implements [desktop.Hoverable].
func (s *TokenStrip) MouseMoved(e *desktop.MouseEvent) { s.hover(s.at(e.Position)) }

// MouseOut implements [desktop.Hoverable].
func (s *TokenStrip) MouseOut() { s.hover(-1) }

func (s *TokenStrip) hover(p int) {
	if p == s.hoverPos {
		return
	}
	s.hoverPos = p
	if s.OnHover != nil {
		s.OnHover(p)
	}
}

// Cursor implements [desktop.Cursorable].
func (s *TokenStrip) Cursor() desktop.Cursor {
	if s.painting {
		return desktop.CrosshairCursor
	}
	if s.hoverPos >= 0 {
		return desktop.PointerCursor
	}
	return desktop.DefaultCursor
}

// FocusGained implements [fyne.Focusable].
func (s *TokenStrip) FocusGained() { s.focused = true; s.Refresh() }

// FocusLost implements [fyne.Focusable].
func (s *TokenStrip) FocusLost() { s.focused = false; s.Refresh() }

// TypedRune implements [fyne.Focusable].
func (s *TokenStrip) TypedRune(r rune) {
	if s.OnRune != nil {
		s.OnRune(r, s.cursor)
	}
}

// TypedKey implements [fyne.Focusable]: arrows move the cursor, with Shift they select, Enter chooses.
func (s *TokenStrip) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyLeft:
		s.moveCursor(-1)
	case fyne.KeyRight:
		s.moveCursor(1)
	case fyne.KeyUp:
		s.moveLine(-theme.LineToken)
	case fyne.KeyDown:
		s.moveLine(theme.LineToken)
	case fyne.KeyReturn, fyne.KeyEnter:
		s.choose(s.cursor)
	}
}

func (s *TokenStrip) moveCursor(by int) {
	items := s.flow.Items
	at := -1
	for i := range items {
		if items[i].Pos == s.cursor {
			at = i
		}
	}
	if at < 0 && by < 0 {
		at = len(items)
	}
	for i := at + by; i >= 0 && i < len(items); i += by {
		if items[i].Kind != flow.Blank {
			s.setCursor(items[i].Pos)
			return
		}
	}
}

func (s *TokenStrip) moveLine(by float32) {
	pos, size, ok := s.Rect(s.cursor)
	if !ok {
		s.moveCursor(1)
		return
	}
	best, dist := -1, float32(1<<20)
	for i := range s.flow.Items {
		it := &s.flow.Items[i]
		if dy := it.Y - (pos.Y + by); it.Kind == flow.Blank || dy < -1 || dy > 1 {
			continue
		}
		if d := max(it.X+it.W/2-pos.X-size.Width/2, pos.X+size.Width/2-it.X-it.W/2); d < dist {
			best, dist = it.Pos, d
		}
	}
	if best >= 0 {
		s.setCursor(best)
	}
}

func (s *TokenStrip) setCursor(p int) {
	s.cursor = p
	if shifted() {
		if s.anchor < 0 {
			s.anchor = p
		}
		s.selectRange(s.anchor, p)
	} else {
		s.anchor = p
		s.selectRange(-1, -1)
	}
	s.hover(p)
	s.Refresh()
}
