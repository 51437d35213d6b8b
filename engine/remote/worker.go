package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"
)

// worker is one process. One goroutine at a time, but for cancel and kill.
type worker struct {
	config *Config
	cmd    *exec.Cmd
	stream stream
	in     *reader
	out    *writer
	tail   *tail
	gone   chan struct{} // closed when the process has ended and its last lines are in tail
	calls  uint32
	loaded bool // it holds the session's model
	dead   bool // it was killed within a call
}

// start starts a worker and exchanges hello with it. The error is a [LostError].
func start(ctx context.Context, c *Config) (*worker, error) {
	w := &worker{config: c, tail: &tail{log: c.Log.With("proc", "engined")}, gone: make(chan struct{})}
	w.cmd = exec.Command(c.Command[0], c.Command[1:]...)
	w.cmd.Stderr = w.tail
	w.cmd.WaitDelay = time.Second // a grandchild may hold the standard error open
	connect := pipes
	if c.Socket {
		connect = socket
	}
	ours, theirs, err := connect(w.cmd)
	if err != nil {
		return nil, &LostError{Err: err}
	}
	err = w.cmd.Start()
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		ours.Close()
		return nil, &LostError{Reason: "it does not start", Err: err}
	}
	w.stream, w.in, w.out = ours, newReader(ours), newWriter(ours)
	go w.wait() // w.end waits
	if err := w.hello(ctx); err != nil {
		return nil, w.end(err)
	}
	return w, nil
}

func (w *worker) wait() {
	defer close(w.gone)
	if err := w.cmd.Wait(); err != nil {
		w.config.Log.Debug("worker ended", "err", err)
	}
}

// hello bounds the time until the worker answers: a command may be something else altogether.
func (w *worker) hello(ctx context.Context) error {
	stop := context.AfterFunc(ctx, w.kill)
	defer stop()
	late := time.AfterFunc(w.config.StartTimeout, w.kill)
	defer late.Stop()
	meta, err := json.Marshal(hello{Version, w.config.Program})
	if err != nil {
		return err
	}
	// A worker that ends at once makes the write fail before what it said is read.
	sendErr := w.out.send(kindHello, 0, meta)
	banner, err := w.in.skipBanner()
	if banner != "" {
		w.config.Log.Info("before the worker's first frame", "text", banner)
	}
	var f frame
	if err == nil {
		f, err = w.in.next()
	}
	switch {
	case err != nil && !late.Stop():
		return fmt.Errorf("no answer within %s: %w", w.config.StartTimeout, err)
	case err != nil:
		return errors.Join(sendErr, err)
	case f.kind != kindHello:
		return bad("hello", "the first frame is of kind %d, want %d", f.kind, kindHello)
	}
	var h hello
	if err := parse(f.meta, &h); err != nil {
		return err
	}
	if h.Version != Version {
		return &VersionError{Program: h.Program, Have: h.Version, Want: Version}
	}
	return nil
}

// kill ends the process at once, from any goroutine; reads from it end.
func (w *worker) kill() {
	if err := w.cmd.Process.Kill(); err != nil {
		w.config.Log.Debug("kill worker", "err", err)
	}
	w.stream.Close()
}

// end kills what is left of the worker, waits for it, and says how it went; err is what the client saw.
func (w *worker) end(err error) *LostError {
	select {
	case <-w.gone:
	case <-time.After(endGrace): // its last lines may be under way
	}
	w.kill()
	<-w.gone
	return &LostError{Reason: w.cmd.ProcessState.String(), Stderr: w.tail.last(), Err: err}
}

// endGrace is how long a worker whose stream has ended may take to end.
const endGrace = 200 * time.Millisecond

// close asks the worker to end and kills it when it does not in time. It blocks until the process is gone.
func (w *worker) close() {
	if err := w.out.send(kindClose, 0, nil); err == nil {
		t := time.NewTimer(w.config.StopTimeout)
		defer t.Stop()
		select {
		case <-w.gone:
		case <-t.C:
		}
	}
	w.kill()
	<-w.gone
}

// errStop is returned by a take that wants no more frames, and then by call.
var errStop = errors.New("stopped")

// call makes one request: send sends it, take gets every frame of its answer up to the one of kind last. When ctx ends, or take
// returns errStop, the worker is asked to stop, and killed when it does not within StopTimeout. The error is a [LostError] when
// the worker can not be used any more, which any other error of take says too; else it is what the worker answered.
func (w *worker) call(ctx context.Context, last kind, send func(call uint32) error, take func(f frame) error) error {
	w.calls++
	call, usable := w.calls, false
	ask, finish := w.watch(ctx, call)
	defer finish()
	defer func() { // frames are unread after an error, and when take panics
		if !usable {
			w.dead = true
			w.kill()
		}
	}()
	if err := send(call); err != nil {
		if w.out.failed() {
			return w.end(err)
		}
		usable = true // nothing was sent: the request itself is bad
		return err
	}
	stopped := false
	for {
		f, err := w.in.next()
		switch {
		case err != nil:
			return w.end(err)
		case f.call != call:
			return w.end(bad("frame", "belongs to request %d, want %d", f.call, call))
		case f.kind == kindFailed:
			var e errorWire
			if err := parse(f.meta, &e); err != nil {
				return w.end(err)
			}
			usable = true
			if stopped {
				return errStop
			}
			return e.err()
		}
		if !stopped {
			err := take(f)
			if stopped = errors.Is(err, errStop); stopped {
				ask()
			} else if err != nil {
				return w.end(err)
			}
		}
		if f.kind == last {
			usable = true
			if stopped {
				return errStop
			}
			return nil
		}
	}
}

// watch asks the worker to stop the request call when ctx ends or ask is called, and kills it when StopTimeout passes before
// finish is called. finish waits for what watch has started.
func (w *worker) watch(ctx context.Context, call uint32) (ask, finish func()) {
	var once sync.Once
	var limit *time.Timer
	ask = func() {
		once.Do(func() {
			limit = time.AfterFunc(w.config.StopTimeout, w.kill) // before the send, which blocks where the worker hangs
			if err := w.out.send(kindCancel, call, nil); err != nil {
				w.config.Log.Debug("cancel", "err", err)
			}
		})
	}
	asked := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(asked); ask() })
	return ask, func() {
		if !stop() {
			<-asked
		}
		if limit != nil {
			limit.Stop()
		}
	}
}
