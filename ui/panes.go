package ui

import (
	"fyne.io/fyne/v2"

	"unmask/ui/chat"
	"unmask/ui/compare"
	"unmask/ui/imagepad"
	"unmask/ui/inpaint"
	"unmask/ui/library"
	"unmask/ui/models"
	"unmask/ui/parts"
	"unmask/ui/state"
)

// Pane is one place of the window. All methods are called on the window's goroutine.
type Pane interface {
	// Content is made once and hidden, never rebuilt.
	Content() fyne.CanvasObject
	// Bar is what the pane puts into the top bar; nil: nothing.
	Bar() fyne.CanvasObject
	// Heading is the title in the top bar and the note beside it.
	Heading(s *state.State) (title, note string)
	// Apply patches the widgets to show s.
	Apply(s *state.State)
	// Observe shows what changed in the views of runs; it is called at most 30 times a second while the pane is seen.
	Observe()
	// Fit is told the size of the window when it changes.
	Fit(window fyne.Size)
	// Rune and Key do what a key means here when no field has the focus; false: nothing.
	Rune(r rune) bool
	// Shortcut does what a shortcut means here; false: nothing.
	Shortcut(s fyne.Shortcut) bool
}

// PaneRow is a row of [Panes].
type PaneRow struct {
	Pane  state.Pane
	Label string
	Key   string // of the shortcut, with Ctrl
	Icon  string // row of icons.Names; "": Fyne's grid
	New   func(parts.Env) Pane
}

// Panes is the table of panes in the order of the rail.
var Panes = []PaneRow{
	{state.PaneChat, "Chat", "Ctrl+1", "pane-chat", func(env parts.Env) Pane { return chat.New(env) }},
	{state.PaneCanvas, "Canvas", "Ctrl+2", "pane-canvas", func(env parts.Env) Pane { return imagepad.New(env) }},
	{state.PaneInpaint, "Inpaint", "Ctrl+3", "pane-inpaint", func(env parts.Env) Pane { return inpaint.New(env) }},
	{state.PaneCompare, "Compare", "Ctrl+4", "pane-compare", func(env parts.Env) Pane { return compare.New(env) }},
	{state.PaneLibrary, "Library", "Ctrl+5", "", func(env parts.Env) Pane { return library.New(env) }},
	{state.PaneModels, "Models", "Ctrl+6", "", func(env parts.Env) Pane { return models.New(env) }},
}
