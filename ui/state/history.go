package state

import (
	"context"
	"errors"
	"image"
	"time"

	"unmask/engine"
)

// ErrNotFound is returned by a [History] for an id that it does not have.
var ErrNotFound = errors.New("not in the history")

// History keeps sessions, runs, pictures, masks and settings. What a method has returned from without error is on disk
// and is there after the process is killed at any later moment. All methods may be called from any goroutine and block;
// errors name what could not be kept.
//
// Deleting only hides: Restore brings back everything until the history is opened the next time, when hidden things may
// be removed for good. Opening sets runs that are still [Running] to [Interrupted]: the process that made them is gone,
// and their recorded steps stay.
type History interface {
	// Sessions lists the sessions of a pane, newest Updated first. query, when not "", must occur in the title or in a
	// prompt or answer of one of the session's runs, whatever its case. Pane "" lists every pane's.
	Sessions(ctx context.Context, pane Pane, query string) ([]Session, error)
	// PutSession creates the session s.ID or replaces its title, pane and times. Runs is ignored: it is counted.
	PutSession(ctx context.Context, s Session) error
	// DeleteSession hides a session with its runs; RestoreSession brings them back.
	DeleteSession(ctx context.Context, id string) error
	RestoreSession(ctx context.Context, id string) error

	// Draft returns what was typed and painted in a session and not run yet; the zero Draft when there is none.
	Draft(ctx context.Context, session string) (Draft, error)
	// PutDraftText keeps the text part of a draft: every field but Picture and Mask.
	PutDraftText(ctx context.Context, session string, d Draft) error
	// PutDraftPicture keeps the picture of a draft; nil removes it.
	PutDraftPicture(ctx context.Context, session string, img image.Image) error
	// PutDraftMask keeps the image mask of a draft; nil removes it.
	PutDraftMask(ctx context.Context, session string, mask *image.Alpha) error

	// Runs lists runs by q, in order of Created, without the pictures of their jobs.
	Runs(ctx context.Context, q RunQuery) ([]Run, error)
	// StartRun creates r with its job and first event. The pictures and the mask of started.Job are kept with it.
	StartRun(ctx context.Context, r Run, started *engine.Started) error
	// AppendSteps adds steps, and previews, in order, to a run. Either may be empty.
	AppendSteps(ctx context.Context, run string, steps []engine.Step, previews []*engine.Preview) error
	// FinishRun sets how a run ended. fin is nil unless st is [Done]; message is the error of a [Failed] one.
	FinishRun(ctx context.Context, run string, st RunState, fin *engine.Finished, message string) error
	// Record returns everything that is kept of a run.
	Record(ctx context.Context, run string) (Record, error)
	// Picture returns the last picture of a run: the finished one, else the newest preview; ErrNotFound when there is
	// none.
	Picture(ctx context.Context, run string) (image.Image, error)
	// DeleteRun hides a run; RestoreRun brings it back.
	DeleteRun(ctx context.Context, run string) error
	RestoreRun(ctx context.Context, run string) error
	// SetAccepted marks a run as accepted (inpaint) or takes the mark away.
	SetAccepted(ctx context.Context, run string, accepted bool) error
	// SetName names a run; "" takes the name away.
	SetName(ctx context.Context, run, name string) error

	// Value and PutValue keep small settings, as JSON, by name. Value of an unknown name is nil.
	Value(ctx context.Context, name string) ([]byte, error)
	PutValue(ctx context.Context, name string, json []byte) error

	// Close waits for writes under way.
	Close() error
}

// Session is a row of the session list: a conversation, a picture being inpainted, a comparison.
type Session struct {
	ID      string    `json:"id"`
	Pane    Pane      `json:"pane"`
	Title   string    `json:"title"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Runs    int       `json:"runs"` // not deleted ones; filled by [History].Sessions
}

// Draft is what is typed and painted in a session and not run yet.
type Draft struct {
	Text    string          `json:"text"`
	Frame   image.Rectangle `json:"frame,omitzero"` // outpaint
	Columns []Column        `json:"columns,omitempty"`
	Task    engine.Task     `json:"task,omitempty"` // compare: what the columns run
	Seed    uint64          `json:"seed,omitempty"`
	// Words are fixed in the answers of the next runs.
	Words []engine.Word `json:"words,omitempty"`
	// Branches are changes at steps of runs that are not run yet, the newest last.
	Branches []Branch     `json:"branches,omitempty"`
	Picture  image.Image  `json:"-"`
	Mask     *image.Alpha `json:"-"`
}

// RunState says how far a run is.
type RunState string

// The states of a run. Stopped, Interrupted and Failed runs keep the steps they made.
const (
	Queued      RunState = "queued"      // waits for the one before it; never in a History
	Running     RunState = "running"     // steps are being made
	Done        RunState = "done"        // finished
	Stopped     RunState = "stopped"     // by the person
	Interrupted RunState = "interrupted" // the process was killed
	Failed      RunState = "failed"      // by an error
)

// Over reports whether nothing more will be added to the run.
func (s RunState) Over() bool { return s != Queued && s != Running }

// Run is one execution of a job.
type Run struct {
	ID       string        `json:"id"`
	Session  string        `json:"session"`
	Parent   string        `json:"parent,omitempty"` // run that this one regenerates, edits or goes on from
	Group    string        `json:"group,omitempty"`  // runs of one comparison
	Created  time.Time     `json:"created"`
	State    RunState      `json:"state"`
	Job      engine.Job    `json:"job"` // pictures are nil in lists
	Text     string        `json:"text,omitempty"`
	Think    string        `json:"think,omitempty"`
	Stats    engine.Stats  `json:"stats"` // of a Done run
	Steps    int           `json:"steps"` // recorded
	Message  string        `json:"message,omitempty"`
	Accepted bool          `json:"accepted,omitempty"`
	Elapsed  time.Duration `json:"elapsed,omitempty"`
	Name     string        `json:"name,omitempty"` // given by the person
	Unwanted bool          `json:"-"`              // taken back while it was under way: hidden at its end
}

// RunQuery says which runs to list. Zero fields do not restrict.
type RunQuery struct {
	Session string
	Group   string
	Tasks   []engine.Task
	Text    string // in the prompt or the answer, whatever its case
	Limit   int    // the newest Limit
}

// Record is everything kept of a run: enough to show it at any step without a model.
type Record struct {
	Run      Run // with the pictures of its job
	Started  *engine.Started
	Steps    []engine.Step
	Previews []*engine.Preview
	Finished *engine.Finished // nil unless Run.State is Done
}

// Prompt is the last message of the person in a job, what a list shows of it.
func Prompt(j engine.Job) string {
	for i := len(j.Messages) - 1; i >= 0; i-- {
		if j.Messages[i].Role == "user" || j.Messages[i].Role == "" {
			return j.Messages[i].Text
		}
	}
	return ""
}

// Column is one column of Compare: what it changes against the prompt and seed that all columns share.
type Column struct {
	Title   string         `json:"title"`
	Options engine.Options `json:"options"`
}

// Pane names a pane of the window.
type Pane string

// The panes in the order of the rail.
const (
	PaneChat    Pane = "chat"
	PaneCanvas  Pane = "canvas"
	PaneInpaint Pane = "inpaint"
	PaneCompare Pane = "compare"
	PaneLibrary Pane = "library"
	PaneModels  Pane = "models"
)

// Panes lists the panes in the order of the rail.
var Panes = []Pane{PaneChat, PaneCanvas, PaneInpaint, PaneCompare, PaneLibrary, PaneModels}
