package state

import "unmask/engine"

// Gestures on a step of a run: what is changed there waits in the draft until RunOn.
type (
	// Touch does something at positions of step Step of a run; it is undone at once.
	Touch struct {
		Pane  Pane
		Run   string
		Step  int
		Deeds []Deed
	}
	// UndoTouch takes the last Touch back, RedoTouch does it again.
	UndoTouch struct {
		Pane Pane
		Run  string
		Step int
	}
	// RedoTouch is the opposite of UndoTouch.
	RedoTouch struct {
		Pane Pane
		Run  string
		Step int
	}
	// SetBranch sets the settings that a run goes on with; nil goes back to its own.
	SetBranch struct {
		Pane    Pane
		Run     string
		Step    int
		Options *engine.Options
	}
	// MoreMasks lets the run go on with More masks behind its answer.
	MoreMasks struct {
		Pane Pane
		Run  string
		Step int
		More int
	}
	// DropBranch drops what was changed at a step, with an offer to undo.
	DropBranch struct {
		Pane Pane
		Run  string
		Step int
	}
	// RunOn makes the run of Job, a [Branch.Job], which goes on from step Step of a run.
	RunOn struct {
		Run  string
		Step int
		Job  engine.Job
	}
	// SetWords fixes words in the answers of the next runs of a pane.
	SetWords struct {
		Pane  Pane
		Words []engine.Word
	}
	// NameRun names a run; "" takes the name away.
	NameRun struct {
		Run, Name string
	}
	// Probe asks the model what it believes of a position at a step of a run, in one forward pass that is not kept.
	Probe struct {
		Run       string
		Step, Pos int
		Job       engine.Job
	}
	// Probed answers Probe into the run's view; it is told to nobody else.
	Probed struct {
		Run       string
		Step, Pos int
		Look      engine.Look
		Err       error
	}

	restoreBranch struct {
		Pane   Pane
		Branch Branch
	}
	undoRunOn struct {
		Pane   Pane
		Run    string
		Branch Branch
	}
)

func (Touch) msg()         {}
func (UndoTouch) msg()     {}
func (RedoTouch) msg()     {}
func (SetBranch) msg()     {}
func (MoreMasks) msg()     {}
func (DropBranch) msg()    {}
func (RunOn) msg()         {}
func (NameRun) msg()       {}
func (Probe) msg()         {}
func (Probed) msg()        {}
func (restoreBranch) msg() {}
func (undoRunOn) msg()     {}
func (SetWords) msg()      {}
