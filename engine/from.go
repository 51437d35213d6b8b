package engine

import (
	"context"
	"image"
)

// From is the state that a run goes on from: what another run had after some of its steps, with what a person changed in
// it. A [Session] lays the job out as it always does and writes the state over it, so that there is one loop for a run
// from masks and for a branch.
type From struct {
	Run  string `json:"run,omitempty"` // id of the other run
	Step int    `json:"step"`          // its steps that are taken over, 0: none
	// Before is how many passes it had taken over itself, so that noise is drawn as in the pass after all of them.
	Before int `json:"before,omitempty"`
	// Tokens is the state, the mask token where hidden. What the job fixes, its prompt, must stand there unchanged. It may
	// be shorter than the job's sequence: what follows starts masked, so that an answer can be made longer.
	Tokens []Token `json:"tokens"`
	Pinned []int   `json:"pinned,omitempty"` // positions of Tokens that no step may write either, ascending
	// Anew lets the schedule begin anew over what is masked. Without it a schedule by share goes on where Step passes have
	// left it, and so does noise: a branch without a change ends as the run that it goes on from, where Options are the
	// same and Steps are those that were left.
	Anew bool  `json:"anew,omitempty"`
	Acts []Act `json:"acts,omitempty"` // what a person changed, in order; for people, it changes no token by itself
}

// ActKind says what a person did at a position before a run went on.
type ActKind string

// The kinds of act.
const (
	ActPin    ActKind = "pin"    // a token was put there, or the one that stood there was kept
	ActUnpin  ActKind = "unpin"  // a pinned token may be written again
	ActRemask ActKind = "remask" // a token was masked again
	ActType   ActKind = "type"   // a text was put there, see [Job].Words
)

// Act is what a person did at one position.
type Act struct {
	Pos  int     `json:"pos"`
	Kind ActKind `json:"kind"`
	Was  string  `json:"was,omitempty"`  // text that stood there
	Text string  `json:"text,omitempty"` // text that stands there now
}

// Word is a text that stands in the answer from the start and that no step writes over.
type Word struct {
	At   int    `json:"at"` // position of its first token, from the answer's first
	Text string `json:"text"`
}

// Look is what the model believed of a position that a step looked at and left as it was.
type Look struct {
	Pos     int           `json:"pos"`
	Token   Token         `json:"token"`   // the candidate
	Prob    float32       `json:"prob"`    // of Token, without noise, in [0, 1]
	Margin  float32       `json:"margin"`  // first minus second probability
	Entropy float32       `json:"entropy"` // nats
	Text    string        `json:"text,omitempty"`
	Top     []Alternative `json:"top,omitempty"` // best first, Options.Alternatives of them
}

// Patcher is implemented by sessions that can show what single image codes look like.
type Patcher interface {
	// Patches decodes every token alone, among its own kind, as a picture of one cell. It waits for a run under way.
	Patches(ctx context.Context, tokens []Token) ([]*image.NRGBA, error)
}
