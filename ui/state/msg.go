package state

import (
	"image"
	"time"

	"unmask/engine"
)

// Msg is something that happened: a gesture, or the outcome of a [Cmd]. The set is closed.
type Msg interface{ msg() }

// Gestures that concern the whole window.
type (
	// ShowPane shows a pane.
	ShowPane struct {
		Pane Pane
	}
	// ShowSheet opens or shuts the settings sheet.
	ShowSheet struct {
		Open bool
	}
	// TogglePanel opens or shuts the denoising panel of Chat.
	TogglePanel struct{}
	// ToggleList opens or shuts the session list where it is not always shown.
	ToggleList struct{}
	// SetLook changes theme, motion or contrast and keeps the choice.
	SetLook struct {
		Look Look
	}
	// LeaveWelcome leaves the first start's page for good.
	LeaveWelcome struct{}
	// TryExample leaves the first start's page and puts an example into a pane's draft; Run makes it at once.
	TryExample struct {
		Pane Pane
		Text string
		Run  bool
	}
	// UndoToast takes back the last deletion.
	UndoToast struct{}
	// ToastOver shuts the toast of that id; a newer one stays.
	ToastOver struct {
		ID int
	}
	// DismissError hides the error of a pane, and with Pane "" the notice of the window.
	DismissError struct {
		Pane Pane
	}
	// RetryLoad loads the model again.
	RetryLoad struct{}
)

// Gestures in the session list.
type (
	// Search lists the sessions that Query occurs in.
	Search struct {
		Pane  Pane
		Query string
	}
	// NewSession empties a pane; the session is made when something is typed.
	NewSession struct {
		Pane Pane
	}
	// OpenSession makes a session current.
	OpenSession struct {
		Pane Pane
		ID   string
	}
	// FindRuns lists the runs of all panes that Query occurs in, for the Library.
	FindRuns struct {
		Query string
	}
	// RenameSession sets the title of a session.
	RenameSession struct {
		Pane      Pane
		ID, Title string
	}
	// DeleteSession deletes a session at once, with an offer to undo.
	DeleteSession struct {
		Pane Pane
		ID   string
	}
	// RestoreSession is what Undo of DeleteSession does.
	RestoreSession struct {
		Pane Pane
		ID   string
	}
)

// Gestures on drafts and settings.
type (
	// EditDraft changes the text of a draft.
	EditDraft struct {
		Pane Pane
		Text string
	}
	// Attach sets the picture of a draft: the one to ask about in Chat, the one to repaint in Inpaint, where it opens
	// a session of its own. A nil Image removes it.
	Attach struct {
		Pane    Pane
		Picture Picture
	}
	// SetMask sets the image mask of Inpaint, at the end of a stroke. The receiver owns it.
	SetMask struct {
		Mask *image.Alpha
	}
	// SetFrame sets the frame of an outpaint in the coordinates of the picture; empty goes back to inpaint.
	SetFrame struct {
		Frame image.Rectangle
	}
	// SetSeed sets the seed of the next run and locks it.
	SetSeed struct {
		Pane Pane
		Seed uint64
	}
	// RollSeed draws a new seed.
	RollSeed struct {
		Pane Pane
	}
	// LockSeed keeps the seed after a run, or not.
	LockSeed struct {
		Pane   Pane
		Locked bool
	}
	// SetOptions sets what the next run of a task uses.
	SetOptions struct {
		Task    engine.Task
		Options engine.Options
	}
	// ToggleThink has the next chats think first, or not.
	ToggleThink struct{}
	// UsePreset sets the options of a task to the preset of that name.
	UsePreset struct {
		Task engine.Task
		Name string
	}
	// SetRemember sends earlier turns of a conversation with the prompt, or not.
	SetRemember struct {
		On bool
	}
	// SetColumns sets the columns of the next comparison.
	SetColumns struct {
		Task    engine.Task
		Columns []Column
	}
)

// Gestures on runs.
type (
	// Submit makes the runs that the draft of a pane asks for.
	Submit struct {
		Pane Pane
	}
	// Stop ends the runs of a pane within one forward pass; what is there is kept. Pane "" means all.
	Stop struct {
		Pane Pane
	}
	// Regenerate makes another version of a run with a new seed.
	Regenerate struct {
		Run string
	}
	// EditPrompt puts the prompt of a run back into the draft; the next Submit makes another version of its turn.
	EditPrompt struct {
		Run string
	}
	// CancelEdit takes EditPrompt back.
	CancelEdit struct{}
	// PickTurn shows the version Run of the turn Root.
	PickTurn struct {
		Root, Run string
	}
	// ShowRun shows the steps of a run.
	ShowRun struct {
		Pane Pane
		Run  string
	}
	// DeleteRun deletes a run at once, with an offer to undo.
	DeleteRun struct {
		Run string
	}
	// RestoreRun is what Undo of DeleteRun does.
	RestoreRun struct {
		Run string
	}
	// GoToRun opens the session of a run in its pane and shows the run.
	GoToRun struct {
		Run Run
	}
	// TakeToInpaint opens the picture of a run in Inpaint.
	TakeToInpaint struct {
		Run string
	}
	// Accept makes Image, the result of an inpaint run, the picture to repaint next.
	Accept struct {
		Run   string
		Image image.Image
	}
)

// Outcomes of commands.
type (
	// Restored brings the settings kept by an earlier start.
	Restored struct {
		Values Values
		Given  string // path of the model that the command line names
	}
	// Loading says how many bytes of a model are loaded.
	Loading struct {
		Done, Total int64
	}
	// Loaded says that the model is ready.
	Loaded struct {
		Spec engine.Spec
	}
	// LoadFailed says why the model is not ready.
	LoadFailed struct {
		Err error
	}
	// Listed answers ListSessions.
	Listed struct {
		Pane  Pane
		Query string
		List  []Session
	}
	// Found answers ListRuns.
	Found struct {
		Query string
		Runs  []Run
	}
	// SessionRead answers ReadSession.
	SessionRead struct {
		Pane  Pane
		ID    string
		Draft Draft
		Runs  []Run
	}
	// PictureRead answers ReadPicture: the picture of a run, to be repainted.
	PictureRead struct {
		Run, Title string
		Image      image.Image
	}
	// RunBegan says that a run has begun, with every default filled in.
	RunBegan struct {
		ID      string
		Started *engine.Started
	}
	// RunEnded says how a run ended. Finished is nil unless State is Done.
	RunEnded struct {
		ID       string
		State    RunState
		Finished *engine.Finished
		Err      error
		Steps    int
		Elapsed  time.Duration
	}
	// NotKept says that the history could not keep something.
	NotKept struct {
		Err error
	}
	// NotRead says that the history could not read something that a pane asked for.
	NotRead struct {
		Pane Pane
		Err  error
	}
)

func (ShowPane) msg()       {}
func (ShowSheet) msg()      {}
func (TogglePanel) msg()    {}
func (ToggleList) msg()     {}
func (SetLook) msg()        {}
func (LeaveWelcome) msg()   {}
func (TryExample) msg()     {}
func (UndoToast) msg()      {}
func (ToastOver) msg()      {}
func (DismissError) msg()   {}
func (RetryLoad) msg()      {}
func (Search) msg()         {}
func (NewSession) msg()     {}
func (OpenSession) msg()    {}
func (RenameSession) msg()  {}
func (DeleteSession) msg()  {}
func (RestoreSession) msg() {}
func (EditDraft) msg()      {}
func (Attach) msg()         {}
func (SetMask) msg()        {}
func (SetFrame) msg()       {}
func (SetSeed) msg()        {}
func (RollSeed) msg()       {}
func (LockSeed) msg()       {}
func (ToggleThink) msg()    {}
func (SetOptions) msg()     {}
func (UsePreset) msg()      {}
func (SetRemember) msg()    {}
func (SetColumns) msg()     {}
func (Submit) msg()         {}
func (Stop) msg()           {}
func (Regenerate) msg()     {}
func (EditPrompt) msg()     {}
func (CancelEdit) msg()     {}
func (PickTurn) msg()       {}
func (ShowRun) msg()        {}
func (DeleteRun) msg()      {}
func (RestoreRun) msg()     {}
func (GoToRun) msg()        {}
func (FindRuns) msg()       {}
func (Found) msg()          {}
func (TakeToInpaint) msg()  {}
func (Accept) msg()         {}
func (Restored) msg()       {}
func (Loading) msg()        {}
func (Loaded) msg()         {}
func (LoadFailed) msg()     {}
func (Listed) msg()         {}
func (SessionRead) msg()    {}
func (PictureRead) msg()    {}
func (RunBegan) msg()       {}
func (RunEnded) msg()       {}
func (NotKept) msg()        {}
func (NotRead) msg()        {}
