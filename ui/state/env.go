package state

import (
	"time"

	"unmask/engine"
	"unmask/ui/run"
)

// Env is what a pane may ask of the window around it. All methods belong to the window's goroutine.
type Env interface {
	// Dispatch sends a message to Update; the pane's Apply may be called before it returns.
	Dispatch(Msg)
	// View is what is known of the steps of a run; nil while nothing is.
	View(run string) *View
	// Explain turns an error into words for people.
	Explain(err error) Trouble
	// Note shows one line in the status bar until the next: the name and key of the control under the pointer.
	Note(text string)
	// Now is the time of the current frame, from any origin.
	Now() time.Duration
}

// Trouble is an error in words for people: what happened, what it means, the numbers or names, what mends it.
type Trouble struct {
	Title   string
	Meaning string
	Facts   [][2]string // label and value
	Retry   string      // label of the button that tries again; "": trying again does not help
	Details string      // for Copy details
}

// View is a run as it is shown: its steps, and the state at the one that the play head stands on.
type View struct {
	ID   string
	Run  *run.Run
	Left run.Left
	// Jumped says that a person moved the play head: nothing should move on its way there.
	Jumped bool
	// Asked is what the model said when it was asked, see [Probe].
	Asked map[Asked]engine.Look

	held    bool // the play head does not follow the run
	at      int
	state   run.State
	step    int
	version int
	changed int
}

// Asked is a position at a step of a run.
type Asked struct{ Step, Pos int }

// NewView is a view of an empty run that follows it.
func NewView(id string) *View { return &View{ID: id, Run: new(run.Run), step: -1, version: -1} }

// Hold shows step from now on.
func (v *View) Hold(step int) { v.held, v.at = true, max(step, 0) }

// Follow shows the newest step from now on.
func (v *View) Follow() { v.held = false }

// Following reports whether the newest step is shown.
func (v *View) Following() bool { return !v.held }

// Step is the step that is shown, from 0.
func (v *View) Step() int {
	if v.held {
		return min(v.at, v.Run.Len())
	}
	return v.Run.Len()
}

// State is the state at the step that is shown. It is valid until the play head or the run changes.
func (v *View) State() *run.State {
	v.refresh()
	return &v.state
}

// Version grows whenever what State returns, or what is known of the run, has changed.
func (v *View) Version() int {
	v.refresh()
	return v.changed
}

func (v *View) refresh() {
	step, version := v.Step(), v.Run.Version()
	if step == v.step && version == v.version {
		return
	}
	v.Run.AtInto(&v.state, step)
	v.step, v.version = step, version
	v.changed++
}
