package parts

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Field is an entry that gives keys it has no use for to the window: shortcuts, and Esc.
type Field struct {
	widget.Entry
	// OnShortcut gets shortcuts that are not the entry's own.
	OnShortcut func(fyne.Shortcut)
	// OnEscape is called for Esc.
	OnEscape func()
	// OnRun is called for Ctrl+Enter, and for Enter where EnterRuns is set (Shift+Enter then breaks the line).
	OnRun     func()
	EnterRuns bool
	shift     bool
}

// NewField makes a field of one line, or of several.
func NewField(placeholder string, lines bool) *Field {
	f := &Field{}
	f.PlaceHolder = placeholder
	f.MultiLine = lines
	if lines {
		f.Wrapping = fyne.TextWrapWord
	}
	f.ExtendBaseWidget(f)
	return f
}

// Put sets the text without a call of OnChanged where it is there already.
func (f *Field) Put(text string) {
	if f.Text != text {
		f.SetText(text)
	}
}

// KeyDown implements [desktop.Keyable]: it follows Shift.
func (f *Field) KeyDown(e *fyne.KeyEvent) {
	if e.Name == desktop.KeyShiftLeft || e.Name == desktop.KeyShiftRight {
		f.shift = true
	}
	f.Entry.KeyDown(e)
}

// KeyUp implements [desktop.Keyable].
func (f *Field) KeyUp(e *fyne.KeyEvent) {
	if e.Name == desktop.KeyShiftLeft || e.Name == desktop.KeyShiftRight {
		f.shift = false
	}
	f.Entry.KeyUp(e)
}

// FocusLost implements [fyne.Focusable].
func (f *Field) FocusLost() {
	f.shift = false
	f.Entry.FocusLost()
}

// TypedKey implements [fyne.Focusable].
func (f *Field) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyEscape:
		if f.OnEscape != nil {
			f.OnEscape()
		}
		return
	case fyne.KeyReturn, fyne.KeyEnter:
		if f.EnterRuns && !f.shift && f.OnRun != nil {
			f.OnRun()
			return
		}
	case fyne.KeyF1, fyne.KeyF11:
		if f.OnShortcut != nil {
			f.OnShortcut(&desktop.CustomShortcut{KeyName: e.Name})
		}
		return
	}
	f.Entry.TypedKey(e)
}

// TypedShortcut implements [fyne.Shortcutable].
func (f *Field) TypedShortcut(s fyne.Shortcut) {
	c, ok := s.(*desktop.CustomShortcut)
	if !ok {
		f.Entry.TypedShortcut(s)
		return
	}
	if ctrl := c.Modifier == fyne.KeyModifierControl || c.Modifier == fyne.KeyModifierSuper; ctrl && f.OnRun != nil && (c.KeyName == fyne.KeyReturn || c.KeyName == fyne.KeyEnter) {
		f.OnRun()
		return
	}
	if own(c) {
		f.Entry.TypedShortcut(s)
		return
	}
	if f.OnShortcut != nil {
		f.OnShortcut(s)
	}
}

// own reports whether an entry knows the shortcut: moving and deleting by words.
func own(c *desktop.CustomShortcut) bool {
	switch c.KeyName {
	case fyne.KeyLeft, fyne.KeyRight:
		return c.Modifier != fyne.KeyModifierAlt
	case fyne.KeyBackspace, fyne.KeyDelete:
		return true
	}
	return false
}
