package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"unmask/ui/parts"
	"unmask/ui/state"
)

// binding is a shortcut of the window and what Help says of it. Everything that the window does by key is in the table.
type binding struct {
	keys string // as Help writes them
	does string
	on   []desktop.CustomShortcut
	do   func(w *Window, i int)
}

const (
	ctrl  = fyne.KeyModifierShortcutDefault
	shift = fyne.KeyModifierShift
	alt   = fyne.KeyModifierAlt
)

func short(m fyne.KeyModifier, keys ...fyne.KeyName) (out []desktop.CustomShortcut) {
	for _, k := range keys {
		out = append(out, desktop.CustomShortcut{KeyName: k, Modifier: m})
	}
	return out
}

// bindings are the window's shortcuts in the order of Help.
var bindings = []binding{
	{"Ctrl+1 … 6", "Chat, Canvas, Inpaint, Compare, Library, Models", short(ctrl, fyne.Key1, fyne.Key2, fyne.Key3, fyne.Key4, fyne.Key5, fyne.Key6), func(w *Window, i int) {
		if i < len(Panes) {
			w.Dispatch(state.ShowPane{Pane: Panes[i].Pane})
		}
	}},
	{"Ctrl+Enter", "run", short(ctrl, fyne.KeyReturn, fyne.KeyEnter), func(w *Window, _ int) { w.Dispatch(state.Submit{Pane: w.store.now.Pane}) }},
	{"Ctrl+N", "new session", short(ctrl, fyne.KeyN), func(w *Window, _ int) { w.Dispatch(state.NewSession{Pane: w.store.now.Pane}) }},
	{"Ctrl+B", "session list", short(ctrl, fyne.KeyB), func(w *Window, _ int) { w.Dispatch(state.ToggleList{}) }},
	{"Ctrl+\\", "denoising panel", short(ctrl, fyne.KeyBackslash), func(w *Window, _ int) { w.Dispatch(state.TogglePanel{}) }},
	{"Ctrl+,", "settings of the next run", short(ctrl, fyne.KeyComma), func(w *Window, _ int) { w.Dispatch(state.ShowSheet{Open: !w.store.now.Sheet}) }},
	{"Ctrl+T", "Chat: think first, or not", short(ctrl, fyne.KeyT), func(w *Window, _ int) { w.Dispatch(state.ToggleThink{}) }},
	{"Alt+Left, Right", "a step back, on, wherever the focus is", short(alt, fyne.KeyLeft, fyne.KeyRight), func(w *Window, i int) { w.shell.stepBy(2*i - 1) }},
}

// paneKeys are shortcuts that the pane in front handles.
var paneKeys = append(
	short(ctrl, fyne.KeyF, fyne.KeyO, fyne.KeyS, fyne.KeyD),
	short(ctrl|shift, fyne.KeyZ, fyne.KeyReturn)...)

// letters lists the keys that act when no field has the focus, for Help.
var letters = [][2]string{
	{"Space", "play, pause"}, {"Left, Right", "a step back, on"}, {"Shift+Left, Right", "10 steps back, on"}, {"Home, End", "first, last step"},
	{"comma, full stop", "slower, faster"}, {"L", "follow the run"}, {"Esc", "close what is open, else stop the run"}, {"F1", "this help"}, {"F11", "large canvas"},
	{"1 … 5", "tokens, picture, confidence, order, entropy"}, {"Ctrl+F", "search the sessions"}, {"Ctrl+O, Ctrl+S", "open a picture (Models: a folder), save the picture"},
	{"B E R O", "Inpaint: brush, eraser, rectangle, lasso"}, {"X", "Inpaint: brush and eraser swap"}, {"[ ]", "Inpaint: size of the brush"},
	{"I, G, Delete", "Inpaint: invert, snap to tokens, clear the mask"}, {"Ctrl+Z, Ctrl+Shift+Z", "undo, redo"}, {"W", "Inpaint: before and after"},
	{"D", "Compare: differences on, off"}, {"Ctrl+D", "Compare: copy the table"}, {"Tab, Shift+Tab", "next, previous control"},
	{"Enter, Shift+Enter", "Chat: send, new line"}, {"arrows, Enter", "in an answer: move, inspect a token"}, {"P M T", "pin, mask again, type another"},
	{"B", "Chat: paint words to re-imagine"}, {"Ctrl+Shift+Enter", "run on from the step shown"},
}

// keys puts the shortcuts on the canvas.
func (w *Window) keys() {
	c := w.win.Canvas()
	for _, b := range bindings {
		for i := range b.on {
			c.AddShortcut(&b.on[i], func(s fyne.Shortcut) { w.Shortcut(s) })
		}
	}
	for i := range paneKeys {
		c.AddShortcut(&paneKeys[i], func(s fyne.Shortcut) { w.Shortcut(s) })
	}
	c.AddShortcut(&fyne.ShortcutUndo{}, func(s fyne.Shortcut) { w.Shortcut(s) })
	c.AddShortcut(&fyne.ShortcutRedo{}, func(s fyne.Shortcut) { w.Shortcut(s) })
	c.SetOnTypedKey(w.typedKey)
	c.SetOnTypedRune(w.typedRune)
}

// Shortcut implements parts.Env: it does what a shortcut means, in the window or in the pane in front.
func (w *Window) Shortcut(s fyne.Shortcut) {
	if s == parts.Escape {
		w.escape()
		return
	}
	if c, ok := s.(*desktop.CustomShortcut); ok {
		if c.Modifier == 0 {
			w.typedKey(&fyne.KeyEvent{Name: c.KeyName})
			return
		}
		for _, b := range bindings {
			for i, on := range b.on {
				if on.KeyName == c.KeyName && on.Modifier == c.Modifier {
					b.do(w, i)
					return
				}
			}
		}
	}
	if p := w.shell.front(); p != nil {
		p.Shortcut(s)
	}
}

func (w *Window) typedKey(e *fyne.KeyEvent) {
	tl := w.shell.timeline()
	switch e.Name {
	case fyne.KeyEscape:
		w.escape()
	case fyne.KeyF1:
		w.shell.help()
	case fyne.KeyF11:
		w.shell.toggleLarge()
	case fyne.KeyDelete:
		if p := w.shell.front(); p != nil {
			p.Rune('\x7f')
		}
	default:
		if tl != nil {
			tl.TypedKey(e)
		}
	}
}

func (w *Window) typedRune(r rune) {
	if w.shell.large.Open() {
		if tl := w.shell.timeline(); !w.shell.large.Rune(r) && tl != nil {
			tl.TypedRune(r)
		}
		return
	}
	if p := w.shell.front(); p != nil && p.Rune(r) {
		return
	}
	if tl := w.shell.timeline(); tl != nil {
		tl.TypedRune(r)
	}
}

// escape closes what is open, else stops the run.
func (w *Window) escape() {
	s := &w.store.now
	overlays := w.win.Canvas().Overlays()
	switch top := overlays.Top(); {
	case top != nil:
		top.Hide()
		overlays.Remove(top) // what a pop-up stands in only hides, and hidden it would still take the pointer
	case w.shell.large.Open():
		w.shell.toggleLarge()
	case s.Sheet:
		w.Dispatch(state.ShowSheet{})
	case s.Sessions:
		w.Dispatch(state.ToggleList{})
	case len(s.Queue) > 0:
		w.Dispatch(state.Stop{Pane: state.PaneOf(*s.Active())})
	case s.Panes[state.PaneChat].EditOf != "" && s.Pane == state.PaneChat:
		w.Dispatch(state.CancelEdit{})
	}
}
