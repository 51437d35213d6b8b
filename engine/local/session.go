package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"runtime/debug"

	"unmask/engine"
	"unmask/engine/tensor"
)

// Config is what a session is made of.
type Config struct {
	// Embedded is the checkpoint for an empty ModelRef.Path; nil: there is none.
	Embedded fs.FS
	// Backend makes a device that uses threads cores; 0 means all.
	Backend func(threads int) (tensor.Backend, error)
	Log     *slog.Logger
}

// Session is an [engine.Session] in this process. Runs follow one another; a Run, Load or Close waits for the one under
// way.
type Session struct {
	config Config
	turn   chan struct{} // holds a value while nobody runs, loads or closes
	model  *model        // nil before the first Load; owned by who has the turn
	closed bool
}

var _ engine.Session = (*Session)(nil)

// New returns a session without a model.
func New(c Config) *Session {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Session{config: c, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// enter waits for the turn, or for ctx to end.
func (s *Session) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Session) leave() { s.turn <- struct{}{} }

// Load implements [engine.Session]. The model before stays loaded until the new one is ready, and stays when loading
// fails.
func (s *Session) Load(ctx context.Context, ref engine.ModelRef, progress func(done, total int64)) (engine.Spec, error) {
	if err := s.enter(ctx); err != nil {
		return engine.Spec{}, err
	}
	defer s.leave()
	if s.closed {
		return engine.Spec{}, errClosed
	}
	var m *model
	err := guard(func() (err error) {
		m, err = s.open(ctx, ref, progress)
		return err
	})
	if err != nil {
		return engine.Spec{}, fmt.Errorf("load: %w", inFile(err, ref.Path))
	}
	if s.model != nil {
		if err := s.model.close(); err != nil {
			s.config.Log.Warn("close model", "err", err)
		}
	}
	s.model = m
	s.config.Log.Info("model loaded", "arch", m.spec.Family, "device", m.spec.Device, "bytes", m.spec.Bytes, "hash", m.spec.Hash)
	return m.spec, nil
}

// inFile names the checkpoint in an error that does not.
func inFile(err error, path string) error {
	var f *engine.FormatError
	if errors.As(err, &f) && f.Path == "" {
		f.Path = path
	}
	return err
}

var errClosed = errors.New("the session is closed")

// Run implements [engine.Session]. Events come on the caller's goroutine. When the caller stops, or ctx ends, the run ends
// within one forward pass. A bug inside ends the run with an [engine.PanicError]; the session stays usable.
func (s *Session) Run(ctx context.Context, job engine.Job) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(nil, err)
			return
		}
		defer s.leave()
		if s.closed || s.model == nil {
			yield(nil, engine.ErrNoModel)
			return
		}
		out := &sink{yield: yield}
		err := inFile(guard(func() error { return s.model.run(ctx, job, out) }, out), s.model.spec.Name)
		log := s.config.Log.With("job", job.ID, "task", string(job.Task))
		switch {
		case out.stopped:
			log.Info("run stopped")
		case err != nil:
			log.Info("run ended", "err", err)
			yield(nil, err)
		default:
			log.Info("run finished", "step", out.stats.Steps, "nfe", out.stats.NFE, "ms", out.stats.Wall.Milliseconds())
		}
	}
}

// Unload frees the model. A Run needs a Load first then. It waits for a run under way.
func (s *Session) Unload(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if s.model == nil {
		return nil
	}
	err := s.model.close()
	s.model = nil
	return err
}

// Close implements [engine.Session]. It waits for a run under way.
func (s *Session) Close() error {
	<-s.turn
	defer s.leave()
	s.closed = true
	if s.model == nil {
		return nil
	}
	err := s.model.close()
	s.model = nil
	return err
}

// sink hands events to the caller of Run.
type sink struct {
	yield   func(engine.Event, error) bool
	inside  bool // the caller's code is running
	stopped bool // the caller wants no more
	stats   engine.Stats
}

// errStopped ends a run whose caller wants no more events; nobody sees it.
var errStopped = errors.New("stopped")

func (o *sink) send(ev engine.Event) error {
	o.inside = true
	more := o.yield(ev, nil)
	o.inside = false
	if !more {
		o.stopped = true
		return errStopped
	}
	return nil
}

// guard calls f and turns its panic into an error. Reading a mapped file that was cut short meanwhile is a panic too, and an
// error of its own. A panic of the caller's own code goes on.
func guard(f func() error, outs ...*sink) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		for _, o := range outs {
			if o.inside {
				panic(r)
			}
		}
		if _, fault := r.(interface{ Addr() uintptr }); fault { // of memory that is there, so no nil pointer
			err = &engine.FormatError{Format: "checkpoint", Reason: "a file of it changed or vanished while it was read; load it again"}
			return
		}
		err = &engine.PanicError{Value: r, Stack: debug.Stack()}
	}()
	return f()
}
