package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"unmask/engine"
)

// progressEvery is the least time between two progress frames of a load.
const progressEvery = 50 * time.Millisecond

// Server is what a worker serves.
type Server struct {
	// New makes a session without a model: at the start, and after an unload.
	New func() engine.Session
	// Probe describes the device. It may be called while no request is under way.
	Probe   func(ctx context.Context) (Info, error)
	Program string // name and version, for hello
	Log     *slog.Logger
}

// server is a server at work.
type server struct {
	Server
	out     *writer
	session engine.Session // owned by the request under way

	mu     sync.Mutex
	call   uint32 // request under way, when cancel is not nil
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Serve answers the requests of one client over rw and blocks until the client closes, the stream ends, or ctx does; a
// request under way is stopped and waited for then. The error is nil when the client closed or went away between two frames.
// When ctx ends, the caller has to close rw.
func (s Server) Serve(ctx context.Context, rw io.ReadWriter) error {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	in := newReader(rw)
	v := &server{Server: s, out: newWriter(rw), session: s.New()}
	defer func() {
		if err := v.session.Close(); err != nil {
			v.Log.Warn("close session", "err", err)
		}
	}()
	err := v.hello(in)
	if err == nil {
		err = v.requests(ctx, in)
	}
	v.stop(0)
	v.work.Wait()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// hello waits for the client's hello and answers it. A client of another version gets an answer too, so that it can say why.
func (v *server) hello(in *reader) error {
	f, err := in.next()
	if err != nil {
		return err
	}
	var h hello
	if f.kind != kindHello {
		return bad("hello", "the first frame is of kind %d, want %d", f.kind, kindHello)
	}
	if err := parse(f.meta, &h); err != nil {
		return err
	}
	if err := v.reply(kindHello, f.call, hello{Version, v.Program}); err != nil {
		return err
	}
	if h.Version != Version {
		return &VersionError{Program: h.Program, Have: h.Version, Want: Version}
	}
	return nil
}

func (v *server) reply(k kind, call uint32, body any) error {
	meta, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return v.out.send(k, call, meta)
}

// requests starts the request of each frame that comes.
func (v *server) requests(ctx context.Context, in *reader) error {
	for {
		f, err := in.next()
		if err != nil {
			return err
		}
		var do func(ctx context.Context, f frame) error
		switch f.kind {
		case kindCancel:
			v.stop(f.call)
			continue
		case kindClose:
			return nil
		case kindProbe:
			do = v.probe
		case kindLoad:
			do = v.load
		case kindRun:
			do = v.run
		case kindUnload:
			do = v.unload
		default:
			return bad("frame", "kind %d is not for a worker", f.kind)
		}
		if err := v.start(ctx, f, do); err != nil {
			return err
		}
	}
}

// start makes do(f) the request under way. One that comes before the end of another is refused.
func (v *server) start(ctx context.Context, f frame, do func(ctx context.Context, f frame) error) error {
	v.mu.Lock()
	busy := v.cancel != nil
	if !busy {
		ctx, v.cancel = context.WithCancel(ctx)
		v.call = f.call
	}
	v.mu.Unlock()
	if busy {
		return v.reply(kindFailed, f.call, wireError(engine.ErrBusy))
	}
	v.work.Go(func() { // Serve waits
		if err := do(ctx, f); err != nil {
			v.end(kindFailed, f.call, wireError(err))
		}
	})
	return nil
}

// stop cancels the request call, or whichever there is when call is 0.
func (v *server) stop(call uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cancel != nil && (call == 0 || call == v.call) {
		v.cancel()
	}
}

// end sends the last frame of a request. The next request may come as soon as it is sent.
func (v *server) end(k kind, call uint32, body any) {
	v.mu.Lock()
	v.cancel()
	v.cancel = nil
	v.mu.Unlock()
	if err := v.reply(k, call, body); err != nil {
		v.Log.Debug("answer", "err", err)
	}
}

func (v *server) probe(ctx context.Context, f frame) error {
	info, err := v.Probe(ctx)
	if err != nil {
		return err
	}
	v.end(kindProbed, f.call, info)
	return nil
}

func (v *server) load(ctx context.Context, f frame) error {
	var ref engine.ModelRef
	if err := parse(f.meta, &ref); err != nil {
		return err
	}
	var last time.Time
	spec, err := v.session.Load(ctx, ref, func(done, total int64) {
		if now := time.Now(); now.Sub(last) >= progressEvery || done >= total {
			last = now
			if err := v.reply(kindProgress, f.call, progressWire{done, total}); err != nil {
				v.stop(f.call)
			}
		}
	})
	if err != nil {
		return err
	}
	v.end(kindLoaded, f.call, spec)
	return nil
}

func (v *server) run(ctx context.Context, f frame) error {
	job, known, err := parseRun(f)
	if err != nil {
		return err
	}
	for ev, err := range v.session.Run(ctx, job) {
		if err != nil {
			return err
		}
		if err := sendEvent(v.out, f.call, ev, known); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	v.end(kindDone, f.call, struct{}{})
	return nil
}

func (v *server) unload(_ context.Context, f frame) error {
	err := v.session.Close()
	v.session = v.New()
	if err != nil {
		return err
	}
	v.end(kindUnloaded, f.call, struct{}{})
	return nil
}
