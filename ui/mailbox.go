package ui

import (
	"image"
	"sync"

	"unmask/engine"
	"unmask/ui/state"
)

// letter is one thing that another goroutine has for the window: an event of a run, a whole recorded run, a
// picture, or a message.
type letter struct {
	run    string
	event  engine.Event
	record *state.Record
	thumb  image.Image
	cells  map[engine.Token]image.Image // what codes look like
	err    error                        // the run ended so
	msg    state.Msg
}

// mailbox hands letters over from any goroutine to the window's, in order. Nothing is dropped; a full frame's worth is
// taken at once.
type mailbox struct {
	mu    sync.Mutex
	mail  []letter
	ready chan struct{} // holds one token while mail is there
}

func newMailbox() *mailbox { return &mailbox{ready: make(chan struct{}, 1)} }

// put adds a letter. It does not block.
func (b *mailbox) put(l letter) {
	b.mu.Lock()
	b.mail = append(b.mail, l)
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// drain takes all letters.
func (b *mailbox) drain() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.mail
	b.mail = nil
	return out
}
