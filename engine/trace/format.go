package trace

import (
	"encoding/json"
	"fmt"
	"image"
	"time"

	"unmask/engine"
)

// Version is the version of the format that this package writes. It reads this one and older ones.
const Version = 1

// Suffix is the usual end of a run file's name.
const Suffix = ".unmask"

// Limits of what is read.
const (
	maxLine   = 64 << 20  // bytes of one line
	maxTotal  = 512 << 20 // bytes of a whole run, uncompressed
	maxPixels = 64 << 20  // of one picture
	maxLength = 1 << 20   // positions of a sequence
)

// Header is the first line of a run file, next to what the started event holds.
type Header struct {
	Version int       `json:"unmask_run"` // Version
	Program string    `json:"program"`    // name and version of the program that made the run
	Created time.Time `json:"created"`
}

// line is one line of a run file; one field is set, but for the first line, which is a start.
type line struct {
	Picture  *picture         `json:"picture,omitempty"`
	Step     *engine.Step     `json:"step,omitempty"`
	Preview  *preview         `json:"preview,omitempty"`
	Finished *engine.Finished `json:"finished,omitempty"`
	Ended    *ended           `json:"ended,omitempty"`
}

type start struct {
	Header
	Started  *engine.Started `json:"started"`
	Pictures int             `json:"pictures"` // how many picture lines follow that belong to Started
}

// The roles of picture lines. The picture of message i is "message.i".
const (
	roleImage    = "image"
	roleMask     = "mask"
	roleSource   = "source"
	roleMessage  = "message."
	roleFinished = "finished" // precedes the finished line
)

// picture is a PNG with its place: the coordinates of its upper left corner.
type picture struct {
	Role string `json:"role"`
	X    int    `json:"x,omitempty"`
	Y    int    `json:"y,omitempty"`
	PNG  []byte `json:"png"`
}

type preview struct {
	Step int    `json:"step"`
	PNG  []byte `json:"png"`
}

type ended struct {
	Reason string `json:"reason"` // message of the error that ended the run
}

// Run is a recorded run in memory.
type Run struct {
	Header
	Started  *engine.Started
	Steps    []engine.Step
	Previews []*engine.Preview // where they were recorded
	Finished *engine.Finished  // nil when the run did not end well
	Reason   string            // message of the error that ended it; "" when Finished is set or the file was cut off
}

// Sequence is the sequence after the first n steps.
func (r *Run) Sequence(n int) *engine.Sequence {
	s := r.Started.Sequence.Clone()
	for _, step := range r.Steps[:min(n, len(r.Steps))] {
		s.Apply(step.Changes)
	}
	return s
}

// Job is the recorded job: running it again on the same model gives the same tokens.
func (r *Run) Job() engine.Job { return r.Started.Job }

// Diff compares what two runs of one job did: tokens, steps and picture. It returns "" when they are bit-equal, else the
// first difference in words. Times are not compared.
func Diff(a, b *Run) string {
	if x, y := a.Started.Spec.Hash, b.Started.Spec.Hash; x != y {
		return fmt.Sprintf("the models differ: %.12s and %.12s", x, y)
	}
	if x, y := a.Started.Sequence.Tokens, b.Started.Sequence.Tokens; len(x) != len(y) {
		return fmt.Sprintf("the sequences differ: %d and %d positions", len(x), len(y))
	}
	for i, x := range a.Started.Sequence.Tokens {
		if y := b.Started.Sequence.Tokens[i]; x != y {
			return fmt.Sprintf("the prompts differ at position %d: tokens %d and %d", i, x, y)
		}
	}
	for i := range min(len(a.Steps), len(b.Steps)) {
		if d := diffStep(a.Steps[i], b.Steps[i]); d != "" {
			return fmt.Sprintf("step %d: %s", i+1, d)
		}
	}
	if len(a.Steps) != len(b.Steps) {
		return fmt.Sprintf("%d and %d steps", len(a.Steps), len(b.Steps))
	}
	if a.Finished == nil || b.Finished == nil {
		if a.Finished == nil && b.Finished == nil {
			return ""
		}
		return "one run finished and the other did not"
	}
	if a.Finished.Text != b.Finished.Text {
		return fmt.Sprintf("the answers differ: %q and %q", a.Finished.Text, b.Finished.Text)
	}
	return diffPicture(a.Finished.Image, b.Finished.Image)
}

func diffStep(a, b engine.Step) string {
	for i := range min(len(a.Changes), len(b.Changes)) {
		x, y := a.Changes[i], b.Changes[i]
		switch {
		case x.Pos != y.Pos:
			return fmt.Sprintf("change %d is at position %d and at %d", i+1, x.Pos, y.Pos)
		case x.From != y.From || x.To != y.To || x.Kind != y.Kind:
			return fmt.Sprintf("position %d: %s %d to %d, and %s %d to %d", x.Pos, x.Kind, x.From, x.To, y.Kind, y.From, y.To)
		}
	}
	if len(a.Changes) != len(b.Changes) {
		return fmt.Sprintf("%d and %d changes", len(a.Changes), len(b.Changes))
	}
	return ""
}

func diffPicture(a, b *image.NRGBA) string {
	if a == nil || b == nil {
		if a == nil && b == nil {
			return ""
		}
		return "one run made a picture and the other did not"
	}
	if a.Rect.Size() != b.Rect.Size() {
		return fmt.Sprintf("the pictures are %v and %v pixels", a.Rect.Size(), b.Rect.Size())
	}
	differ := 0
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			if a.NRGBAAt(a.Rect.Min.X+x, a.Rect.Min.Y+y) != b.NRGBAAt(b.Rect.Min.X+x, b.Rect.Min.Y+y) {
				differ++
			}
		}
	}
	if differ > 0 {
		return fmt.Sprintf("%d of %d pixels differ", differ, a.Rect.Dx()*a.Rect.Dy())
	}
	return ""
}

// bad reports a broken run file.
func bad(path, item string, err error, format string, args ...any) error {
	return &engine.FormatError{Format: "run file", Path: path, Item: item, Reason: fmt.Sprintf(format, args...), Err: err}
}

// marshal makes a line of JSON; it fails on a number that JSON can not hold.
func marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write run: %w", err)
	}
	return append(b, '\n'), nil
}
