package remote

// size: the client: one session with its worker, its runs and what happens when the worker is lost.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"iter"
	"log/slog"
	"time"

	"unmask/engine"
	"unmask/engine/trace"
)

// Config says how a [Session] gets its worker, and what it does without one.
type Config struct {
	Command []string // program and arguments
	Socket  bool     // hand the worker a socket as file [SocketFD]; false: speak on its standard streams
	Program string   // our name and version, for hello
	// Fallback takes over when the worker is lost twice without a finished run between, or can not be started; nil: nothing
	// does. The Session closes it.
	Fallback engine.Session
	// Notice gets a sentence for people when a worker was started again or Fallback took over; may be nil. It is called on the
	// goroutine of the method that noticed it.
	Notice       func(text string)
	StopTimeout  time.Duration // from asking a worker to stop to killing it; 0: 2 s
	StartTimeout time.Duration // until a new worker answers, a login included; 0: 60 s
	Log          *slog.Logger
}

// Session is an [engine.Session] in a worker process. The process is started by the first call that needs it and ends with
// Close, with this process, or when it does not stop in time; a call after that starts another, with the same model.
//
// A run whose worker is lost is made again, and goes on where it was: as a job gives the same steps every time, those that were
// yielded are compared and left out. Where they differ the run ends with [engine.ErrWorkerLost].
type Session struct {
	config Config
	turn   chan struct{}
	// Owned by who has the turn.
	worker *worker
	ref    *engine.ModelRef // of the model that is loaded, or has to be loaded again; nil: none
	losses int              // workers lost since the last finished run
	fallen bool             // Fallback has taken over
	there  bool             // Fallback holds the model of ref
	closed bool
}

var _ engine.Session = (*Session)(nil)

// New returns a session without a worker and without a model.
func New(c Config) *Session {
	if c.StopTimeout == 0 {
		c.StopTimeout = 2 * time.Second
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Notice == nil {
		c.Notice = func(string) {}
	}
	s := &Session{config: c, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// OnNotice sets who gets the sentences of [Config].Notice. It waits for a run under way.
func (s *Session) OnNotice(notice func(text string)) {
	<-s.turn
	defer s.leave()
	s.config.Notice = notice
}

var errClosed = errors.New("the session is closed")

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

// Load implements [engine.Session]. The model before stays when loading fails.
func (s *Session) Load(ctx context.Context, ref engine.ModelRef, progress func(done, total int64)) (engine.Spec, error) {
	if err := s.enter(ctx); err != nil {
		return engine.Spec{}, err
	}
	defer s.leave()
	var spec engine.Spec
	err := s.persist(ctx, func() (err error) {
		if s.fallen {
			if spec, err = s.config.Fallback.Load(ctx, ref, progress); err == nil {
				s.there = true
			}
			return err
		}
		w, err := s.started(ctx)
		if err != nil {
			return err
		}
		if spec, err = w.load(ctx, ref, progress); err == nil {
			w.loaded = true
		}
		return err
	})
	if err != nil {
		return engine.Spec{}, err
	}
	s.ref = &ref
	return spec, nil
}

// Run implements [engine.Session]. Events come on the caller's goroutine, and a slow caller slows the worker.
func (s *Session) Run(ctx context.Context, job engine.Job) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(nil, err)
			return
		}
		defer s.leave()
		if s.closed || s.ref == nil {
			yield(nil, engine.ErrNoModel)
			return
		}
		job, known, err := prepared(job)
		if err != nil {
			yield(nil, err)
			return
		}
		out := &delivery{yield: yield}
		err = s.persist(ctx, func() error {
			out.begin()
			if s.fallen {
				return s.runHere(ctx, job, out)
			}
			w, err := s.ready(ctx)
			if err != nil {
				return err
			}
			return w.run(ctx, job, known, out)
		})
		switch {
		case out.stopped:
		case err != nil:
			yield(nil, err)
		default:
			s.losses = 0
		}
	}
}

// Probe asks the worker about its machine. It starts a worker when there is none, and does not fall back.
func (s *Session) Probe(ctx context.Context) (Info, error) {
	if err := s.enter(ctx); err != nil {
		return Info{}, err
	}
	defer s.leave()
	if s.closed {
		return Info{}, errClosed
	}
	w, err := s.started(ctx)
	if err != nil {
		return Info{}, err
	}
	var info Info
	err = w.call(ctx, kindProbed, func(call uint32) error { return w.out.send(kindProbe, call, nil) }, func(f frame) error {
		if f.kind != kindProbed {
			return bad("frame", "kind %d answers a probe", f.kind)
		}
		return parse(f.meta, &info)
	})
	return info, err
}

// Unload frees the model, and what the worker holds for it. A Run needs a Load first then.
func (s *Session) Unload(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.ref, s.there = nil, false
	w := s.worker
	if w == nil || w.dead {
		return nil // there is nothing to free
	}
	w.loaded = false
	err := w.call(ctx, kindUnloaded, func(call uint32) error { return w.out.send(kindUnload, call, nil) }, func(frame) error { return nil })
	if errors.Is(err, engine.ErrWorkerLost) {
		return nil // the model went with it
	}
	return err
}

// Close implements [engine.Session]. It waits for a run under way, and until the worker is gone.
func (s *Session) Close() error {
	<-s.turn
	defer s.leave()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.worker != nil {
		s.worker.close()
		s.worker = nil
	}
	if s.config.Fallback != nil {
		return s.config.Fallback.Close()
	}
	return nil
}

// persist makes f again when it loses its worker: with a new worker once, then with the fallback.
func (s *Session) persist(ctx context.Context, f func() error) error {
	if s.closed {
		return errClosed
	}
	for {
		err := f()
		if !errors.Is(err, engine.ErrWorkerLost) || s.fallen || errors.Is(err, errDiffers) {
			return err
		}
		if ctx.Err() != nil { // it did not stop in time: the person's wish, not a loss
			return fmt.Errorf("%w; %w", ctx.Err(), err)
		}
		s.losses++
		var other *VersionError
		hopeless := errors.As(err, &other)
		switch {
		case s.losses == 1 && !hopeless:
			s.config.Log.Warn("worker lost", "err", err)
			s.config.Notice("The engine's process ended. It was started again and goes on.")
		case s.config.Fallback != nil:
			s.fallen = true
			s.config.Log.Warn("worker given up", "err", err)
			s.config.Notice("The engine's process can not be used. This program goes on by itself.")
		default:
			return err
		}
	}
}

// started is a worker that answers.
func (s *Session) started(ctx context.Context) (*worker, error) {
	if s.worker != nil && s.worker.dead {
		<-s.worker.gone
		s.worker = nil
	}
	if s.worker == nil {
		w, err := start(ctx, &s.config)
		if err != nil {
			return nil, err
		}
		s.worker = w
	}
	return s.worker, nil
}

// ready is a worker that holds the session's model.
func (s *Session) ready(ctx context.Context) (*worker, error) {
	w, err := s.started(ctx)
	if err != nil || w.loaded {
		return w, err
	}
	if _, err := w.load(ctx, *s.ref, nil); err != nil {
		return nil, err
	}
	w.loaded = true
	return w, nil
}

// runHere makes the run with the fallback.
func (s *Session) runHere(ctx context.Context, job engine.Job, out *delivery) error {
	if !s.there {
		if _, err := s.config.Fallback.Load(ctx, *s.ref, nil); err != nil {
			return err
		}
		s.there = true
	}
	for ev, err := range s.config.Fallback.Run(ctx, job) {
		if err == nil {
			err = out.give(ev)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// load loads a model into the worker.
func (w *worker) load(ctx context.Context, ref engine.ModelRef, progress func(done, total int64)) (engine.Spec, error) {
	meta, err := json.Marshal(ref)
	if err != nil {
		return engine.Spec{}, err
	}
	var spec engine.Spec
	err = w.call(ctx, kindLoaded, func(call uint32) error { return w.out.send(kindLoad, call, meta) }, func(f frame) error {
		switch f.kind {
		case kindProgress:
			var p progressWire
			if err := parse(f.meta, &p); err != nil {
				return err
			}
			if progress != nil {
				progress(p.Done, p.Total)
			}
			return nil
		case kindLoaded:
			return parse(f.meta, &spec)
		}
		return bad("frame", "kind %d answers a load", f.kind)
	})
	return spec, err
}

// run makes a run in the worker. known are the pictures of job.
func (w *worker) run(ctx context.Context, job engine.Job, known []image.Image, out *delivery) error {
	check := trace.NewChecker("worker protocol", "run")
	err := w.call(ctx, kindDone, func(call uint32) error { return sendRun(w.out, call, job) }, func(f frame) error {
		if f.kind == kindDone {
			return nil
		}
		ev, err := parseEvent(f, known)
		if err != nil {
			return err
		}
		if err := check.Check(ev); err != nil {
			return err
		}
		err = out.give(ev)
		if errors.Is(err, errDiffers) {
			out.differs = err
			return errStop
		}
		return err
	})
	switch {
	case out.differs != nil:
		return out.differs
	case out.stopped: // also where the worker did not stop in time
		return errStop
	}
	return err
}

// errDiffers ends a run that was made again and came out differently.
var errDiffers = fmt.Errorf("%w, and the run made again differs from what was shown", engine.ErrWorkerLost)

// delivery gives the events of a run to the caller of Run, each once, however often the run is made.
type delivery struct {
	yield   func(engine.Event, error) bool
	prints  []uint64 // of the events that were yielded
	at      int      // events of this attempt
	stopped bool     // the caller wants no more
	differs error
}

// begin begins another attempt.
func (d *delivery) begin() { d.at = 0 }

// give yields ev, or compares it with the one that was yielded in its place. The error is errStop or errDiffers.
func (d *delivery) give(ev engine.Event) error {
	p := print(ev)
	d.at++
	if d.at <= len(d.prints) {
		if d.prints[d.at-1] != p {
			return fmt.Errorf("event %d: %w", d.at, errDiffers)
		}
		return nil
	}
	d.prints = append(d.prints, p)
	if !d.yield(ev, nil) {
		d.stopped = true
		return errStop
	}
	return nil
}

// print is a hash of what an event says about the sequence. Times and pictures are not in it: the pixels follow from the codes.
func print(ev engine.Event) uint64 {
	h := fnv.New64a()
	switch ev := ev.(type) {
	case *engine.Started:
		fmt.Fprint(h, "started ", ev.Spec.Hash, ev.Sequence.Tokens, ev.Answer, ev.Steps)
	case engine.Step:
		fmt.Fprint(h, "step ", ev.Index, ev.Masked)
		for _, c := range ev.Changes {
			fmt.Fprint(h, " ", c.Pos, " ", c.From, " ", c.To, " ", c.Kind)
		}
	case *engine.Preview:
		fmt.Fprint(h, "preview ", ev.Step)
	case *engine.Finished:
		fmt.Fprint(h, "finished ", ev.Sequence.Tokens)
	}
	return h.Sum64()
}
