package parts

import (
	"image"

	"fyne.io/fyne/v2"

	"unmask/engine"
	"unmask/ui/glview/panel"
	"unmask/ui/state"
)

// Env is [state.Env] with what panes need of Fyne.
type Env interface {
	state.Env
	// Window is the window, for dialogs.
	Window() fyne.Window
	// Shortcut does what a shortcut of the window does; fields pass on the ones they do not use.
	Shortcut(fyne.Shortcut)
	// Scale is device pixels a unit.
	Scale() float32
	// Thumb is the last picture of a run, nil until it is known; asking reads it from the history.
	Thumb(run string) image.Image
	// Cells are what image codes of the loaded model look like, as far as it is known; asking makes them known.
	Cells(tokens []engine.Token) map[engine.Token]image.Image
	// Seek moves the play head of the run shown to a step.
	Seek(step int)
	// Stage is what all denoising canvases share.
	Stage() panel.Options
}

// Hook gives a field the window's shortcuts and Esc, and returns it.
func Hook(env Env, f *Field) *Field {
	f.OnShortcut = env.Shortcut
	f.OnEscape = func() { env.Shortcut(Escape) }
	return f
}

// escape is the shortcut that stands for Esc in a focused field.
type escape struct{}

// ShortcutName implements [fyne.Shortcut].
func (escape) ShortcutName() string { return "Unmask:Escape" }

// Escape is what a field sends for Esc.
var Escape fyne.Shortcut = escape{}
