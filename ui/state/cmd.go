package state

import (
	"image"

	"unmask/engine"
)

// Cmd is something for the runner to do away from the window's goroutine. Commands that keep something are done in the
// order in which Update returned them. The set is closed.
type Cmd interface{ cmd() }

// Commands to the engine.
type (
	// LoadModel loads the model and answers with Loading, then Loaded or LoadFailed. A nil Ref is that of the command line.
	// Free frees the model before first.
	LoadModel struct {
		Ref  *engine.ModelRef
		Free bool
	}
	// StartRun makes a run and answers with RunBegan and RunEnded. Its events go to ui/run as they come.
	StartRun struct{ Run Run }
	// AskModel makes one forward pass of Job and answers with Probed.
	AskModel struct{ Probe Probe }
	// StopRun cancels a run that was started.
	StopRun struct{ ID string }
)

// Commands to the history.
type (
	// Restore reads the kept settings and answers with Restored.
	Restore struct{}
	// ListSessions answers with Listed.
	ListSessions struct {
		Pane  Pane
		Query string
	}
	// ListRuns answers with Found.
	ListRuns struct{ Query string }
	// ReadSession answers with SessionRead.
	ReadSession struct {
		Pane Pane
		ID   string
	}
	// ReadRun reads the recorded steps of a run into ui/run.
	ReadRun struct {
		Pane Pane
		ID   string
	}
	// ReadPicture answers with PictureRead.
	ReadPicture struct{ Run, Title string }
	// KeepSession creates or renames a session and answers with Listed.
	KeepSession struct {
		Session Session
		Query   string
	}
	// HideSession deletes a session, or brings it back, and answers with Listed.
	HideSession struct {
		Pane  Pane
		ID    string
		Hide  bool
		Query string
	}
	// HideRun deletes a run, or brings it back.
	HideRun struct {
		ID   string
		Hide bool
	}
	// KeepText, KeepPicture and KeepMask keep parts of a draft.
	KeepText struct {
		Session string
		Draft   Draft
	}
	// KeepPicture keeps the picture of a draft.
	KeepPicture struct {
		Session string
		Image   image.Image
	}
	// KeepMask keeps the image mask of a draft.
	KeepMask struct {
		Session string
		Mask    *image.Alpha
	}
	// KeepAccepted marks a run as accepted.
	KeepAccepted struct{ Run string }
	// KeepName keeps the name of a run.
	KeepName struct{ Run, Name string }
	// KeepValues keeps the settings.
	KeepValues struct{ Values Values }
)

// StartToast asks for ToastOver of that id when the time to undo is over.
type StartToast struct{ ID int }

func (LoadModel) cmd()    {}
func (StartRun) cmd()     {}
func (StopRun) cmd()      {}
func (Restore) cmd()      {}
func (ListSessions) cmd() {}
func (ListRuns) cmd()     {}
func (ReadSession) cmd()  {}
func (ReadRun) cmd()      {}
func (ReadPicture) cmd()  {}
func (KeepSession) cmd()  {}
func (HideSession) cmd()  {}
func (HideRun) cmd()      {}
func (KeepText) cmd()     {}
func (KeepPicture) cmd()  {}
func (KeepMask) cmd()     {}
func (KeepAccepted) cmd() {}
func (KeepName) cmd()     {}
func (AskModel) cmd()     {}
func (KeepValues) cmd()   {}
func (StartToast) cmd()   {}

// Values are the settings kept from one start to the next.
type Values struct {
	Seen     bool                           `json:"seen"` // the first start's page was left
	Look     Look                           `json:"look"`
	Settings map[engine.Task]engine.Options `json:"settings,omitempty"`
	Model    string                         `json:"model,omitempty"` // hash that Settings were made for
	Remember *bool                          `json:"remember,omitempty"`
	Locked   map[Pane]bool                  `json:"locked,omitempty"`
	Session  map[Pane]string                `json:"session,omitempty"` // current ones
	Pane     Pane                           `json:"pane,omitempty"`
	NoPanel  bool                           `json:"no_panel,omitempty"`
}

// Kept gathers what of s is kept as Values.
func (s *State) Kept() Values {
	v := Values{
		Seen: !s.Welcome, Look: s.Look, Settings: s.Settings, Model: s.Model.Spec.Hash, Remember: &s.Remember,
		Locked: map[Pane]bool{}, Session: map[Pane]string{}, Pane: s.Pane, NoPanel: !s.Panel,
	}
	for p, ps := range s.Panes {
		if ps.Session != "" {
			v.Session[p] = ps.Session
		}
		if ps.Locked {
			v.Locked[p] = true
		}
	}
	return v
}
