package state

import (
	"image"
	"maps"
	"slices"
	"time"

	"unmask/engine"
)

// State is everything that the window shows, but for what changes at frame rate (steps of a run, the play head), which
// is in ui/run. It is a value: [Update] returns a new one and never writes into what an older one shares.
type State struct {
	Pane    Pane
	Welcome bool // the first start's page is shown instead of the pane
	Model   Model
	Load    Progress // of a model, the one of Model or another
	Models  Models
	Device  Device
	started bool   // what an earlier start wanted is loaded
	Given   string // path of the model that the command line names
	Look    Look
	Panes   map[Pane]PaneState
	Runs    map[string]Run // known runs by id; jobs keep their pictures
	Queue   []string       // runs to make; the first one is under way

	Settings map[engine.Task]engine.Options // for the next run
	Remember bool                           // chat: earlier turns are sent with the prompt

	Found     []Run // Library: what the query finds, newest first
	FindQuery string

	Sheet    bool // settings sheet
	Panel    bool // denoising panel of Chat
	Sessions bool // session list, where it is not always shown
	Toast    Toast
	Notice   error // something could not be kept; shown as a banner until dismissed
}

// Model is the loaded model, or how far loading is.
type Model struct {
	Spec        engine.Spec
	ID          string // path of what is loaded; "" is the built-in one
	Loaded      bool
	Idle        bool  // nothing is loaded and nothing is loading: a run loads it first
	Done, Total int64 // bytes; Total 0: unknown
	Err         error // why loading failed
}

// Look is how the window looks. Theme "" follows the system.
type Look struct {
	Theme        string `json:"theme"` // "dark", "light" or ""
	ReduceMotion bool   `json:"reduce_motion"`
	MoreContrast bool   `json:"more_contrast"`
}

// PaneState is what each pane has: a list of sessions, one of them current, its draft and its runs.
type PaneState struct {
	List    []Session
	Query   string // of the list
	Session string // current; "" before anything was typed into a new one
	Draft   Draft
	Runs    []string // of the current session, oldest first
	Shown   string   // run that the time line and the denoising canvas show; "" none
	Pick    map[string]string
	EditOf  string // chat: the draft replaces the prompt of this run
	Locked  bool   // the seed stays after a run
	Loading bool   // the session is being read
	Want    string // run to show once the session is read
	Err     error  // why the last thing asked of the pane did not happen
	// MaskVersion grows when Draft.Mask or Draft.Picture was replaced by something other than the brush.
	MaskVersion int
}

// Toast is the one line that offers to undo a deletion.
type Toast struct {
	ID   int // grows; 0: none was shown yet
	Text string
	Undo Msg // nil: nothing to undo
	Open bool
}

// New is the state of a window that just opened.
func New() State {
	s := State{
		Pane: PaneChat, Panel: true,
		Panes: map[Pane]PaneState{}, Runs: map[string]Run{}, Settings: map[engine.Task]engine.Options{},
	}
	for _, p := range Panes {
		s.Panes[p] = PaneState{}
	}
	return s
}

// At is the state of the current pane.
func (s *State) At() PaneState { return s.Panes[s.Pane] }

// Active is the run under way, or nil.
func (s *State) Active() *Run {
	if len(s.Queue) == 0 {
		return nil
	}
	r, ok := s.Runs[s.Queue[0]]
	if !ok {
		return nil
	}
	return &r
}

// Busy reports whether a run of pane p is under way or waits.
func (s *State) Busy(p Pane) bool {
	return slices.ContainsFunc(s.Queue, func(id string) bool { return PaneOf(s.Runs[id]) == p })
}

// PaneOf is the pane in which a run belongs.
func PaneOf(r Run) Pane {
	switch {
	case r.Group != "":
		return PaneCompare
	case r.Job.Task == engine.TextToImage:
		return PaneCanvas
	case r.Job.Task == engine.Inpaint || r.Job.Task == engine.Outpaint || r.Job.Task == engine.EditImage:
		return PaneInpaint
	default:
		return PaneChat
	}
}

// TaskOf is the task whose settings pane p edits.
func (s *State) TaskOf(p Pane) engine.Task {
	ps := s.Panes[p]
	switch p {
	case PaneCanvas:
		return engine.TextToImage
	case PaneInpaint:
		if !ps.Draft.Frame.Empty() {
			return engine.Outpaint
		}
		return engine.Inpaint
	case PaneCompare:
		if len(ps.Draft.Columns) > 0 && ps.Draft.Task != "" {
			return ps.Draft.Task
		}
		return engine.Chat
	default:
		if ps.Draft.Picture != nil {
			return engine.Describe
		}
		switch fills := s.Model.Spec.Can(engine.Infill); {
		case HasHoles(ps.Draft.Text) && (!s.Model.Loaded || fills):
			return engine.Infill
		case s.Model.Loaded && fills && !s.Model.Spec.Can(engine.Chat):
			return engine.Infill // a model that does not chat goes on with the text
		}
		return engine.Chat
	}
}

func (s *State) setPane(p Pane, f func(*PaneState)) {
	ps := s.Panes[p]
	f(&ps)
	s.Panes = maps.Clone(s.Panes)
	s.Panes[p] = ps
}

func (s *State) setRun(id string, f func(*Run)) {
	r, ok := s.Runs[id]
	if !ok {
		return
	}
	f(&r)
	s.Runs = maps.Clone(s.Runs)
	s.Runs[id] = r
}

func (s *State) addRuns(rs ...Run) {
	s.Runs = maps.Clone(s.Runs)
	for _, r := range rs {
		s.Runs[r.ID] = r
	}
}

// Turn is a prompt of a conversation with all its answers: the first run and the ones that regenerate or edit it.
type Turn struct {
	Root     string   // id of the first run
	Versions []string // run ids, oldest first; Versions[0] == Root
	Shown    int      // index into Versions
}

// Turns groups the runs of pane p into turns. The newest version is shown unless another was picked.
func (s *State) Turns(p Pane) []Turn {
	ps := s.Panes[p]
	var out []Turn
	at := map[string]int{} // run id -> turn
	for _, id := range ps.Runs {
		r := s.Runs[id]
		if i, ok := at[r.Parent]; ok && r.Parent != "" {
			out[i].Versions = append(out[i].Versions, id)
			at[id] = i
			continue
		}
		at[id] = len(out)
		out = append(out, Turn{Root: id, Versions: []string{id}})
	}
	for i := range out {
		t := &out[i]
		t.Shown = len(t.Versions) - 1
		if k := slices.Index(t.Versions, ps.Pick[t.Root]); k >= 0 {
			t.Shown = k
		}
	}
	return out
}

// Columns are the runs of the comparison that pane Compare shows, in the order of its columns.
func (s *State) Columns() []Run {
	ps := s.Panes[PaneCompare]
	if len(ps.Runs) == 0 {
		return nil
	}
	group := s.Runs[ps.Runs[len(ps.Runs)-1]].Group
	var out []Run
	for _, id := range ps.Runs {
		if r := s.Runs[id]; r.Group == group {
			out = append(out, r)
		}
	}
	return out
}

// Gallery lists the runs of pane p that are or will be pictures, newest first.
func (s *State) Gallery(p Pane) []Run {
	ids := s.Panes[p].Runs
	out := make([]Run, 0, len(ids))
	for _, id := range slices.Backward(ids) {
		out = append(out, s.Runs[id])
	}
	return out
}

// Picture is a picture with a name for people.
type Picture struct {
	Image image.Image
	Name  string
}

// Fresh is what Update may not make itself: the time, an id that no run or session has, a random seed.
type Fresh struct {
	Now  time.Time
	ID   string
	Seed uint64
}
