package ui

import (
	"context"
	"encoding/json"
	"errors"
	"image"
	"log/slog"
	"slices"
	"sync"
	"time"

	"unmask/engine"
	"unmask/ui/state"
)

// keepEvery is how long steps wait at most before they are written to the history.
const keepEvery = 400 * time.Millisecond

// toastTime is how long a deletion can be undone from its toast.
const toastTime = 8 * time.Second

// valuesName is the name of [state.Values] in the history.
const valuesName = "window"

// errNoResult is how a run ends that a session broke off without an error.
var errNoResult = errors.New("the run ended without a result")

// Runner does what commands ask, away from the window's goroutine: runs on a goroutine each, everything that concerns
// the history on one, in order. Answers go to the mailbox.
type Runner struct {
	session engine.Session
	history state.History
	ref     engine.ModelRef
	box     *mailbox
	log     *slog.Logger

	ctx    context.Context // of all work; Close cancels it
	cancel context.CancelFunc
	wait   sync.WaitGroup

	shelf   state.Shelf   // nil: there is no list of models
	devices state.Devices // nil: there is no choice
	loads   onlyOne
	imports onlyOne
	looks   chan func(context.Context) // for the looker

	mu     sync.Mutex
	stops  map[string]context.CancelFunc // runs under way
	todo   []func(context.Context)       // for the keeper
	wake   chan struct{}
	closed bool
}

// newRunner starts the keeper goroutine; Close waits for it.
func newRunner(s engine.Session, h state.History, ref engine.ModelRef, box *mailbox, log *slog.Logger) *Runner {
	r := &Runner{session: s, history: h, ref: ref, box: box, log: log, looks: make(chan func(context.Context), 4096), stops: map[string]context.CancelFunc{}, wake: make(chan struct{}, 1)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.wait.Add(2) // Close waits
	go r.keeper()
	go r.looker()
	return r
}

// Close stops all runs, writes what they made and returns when everything has ended.
func (r *Runner) Close() {
	r.cancel()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.nudge()
	r.wait.Wait()
}

func (r *Runner) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// later queues work for the keeper.
func (r *Runner) later(f func(context.Context)) {
	r.mu.Lock()
	r.todo = append(r.todo, f)
	r.mu.Unlock()
	r.nudge()
}

// keeper does the history's work in order until Close, and what was queued before it.
func (r *Runner) keeper() {
	defer r.wait.Done()
	for {
		r.mu.Lock()
		todo, over := r.todo, r.closed && len(r.stops) == 0
		r.todo = nil
		r.mu.Unlock()
		for _, f := range todo {
			f(context.WithoutCancel(r.ctx)) // closing must not lose what was made
		}
		if len(todo) > 0 {
			continue
		}
		if over {
			return
		}
		<-r.wake
	}
}

func (r *Runner) post(m state.Msg) { r.box.put(letter{msg: m}) }

// kept reports a failed write to the window.
func (r *Runner) kept(err error) {
	if err != nil {
		r.log.Error("history", "err", err)
		r.post(state.NotKept{Err: err})
	}
}

// Do starts what c asks and returns at once.
func (r *Runner) Do(c state.Cmd) {
	switch c := c.(type) {
	case state.LoadModel:
		ctx := r.loads.begin(r.ctx)
		r.wait.Add(1) // Close waits
		go r.load(ctx, c)
	case state.StopLoading:
		r.loads.stop()
	case state.TryDevice:
		r.wait.Add(1) // Close waits
		go r.tryDevice(c.Name)
	case state.FreeModel:
		r.wait.Add(1) // Close waits
		go r.free()
	case state.BringModel:
		ctx := r.imports.begin(r.ctx)
		r.wait.Add(1) // Close waits
		go r.bring(ctx, c)
	case state.StopBringing:
		r.imports.stop()
	case state.ReadShelf, state.KeepShelf, state.Locate, state.DescribeModel:
		r.look(func(ctx context.Context) { r.shelve(ctx, c) })
	case state.StartRun:
		r.start(c.Run)
	case state.StopRun:
		r.mu.Lock()
		stop := r.stops[c.ID]
		r.mu.Unlock()
		if stop != nil {
			stop()
		}
	case state.AskModel:
		r.wait.Add(1) // Close waits
		go r.ask(c.Probe)
	case state.StartToast:
		time.AfterFunc(toastTime, func() { r.post(state.ToastOver{ID: c.ID}) })
	default:
		r.later(func(ctx context.Context) { r.keep(ctx, c) })
	}
}

// cells asks the session what image codes look like, where it can tell.
func (r *Runner) cells(tokens []engine.Token) {
	p, ok := r.session.(engine.Patcher)
	if !ok {
		return
	}
	r.wait.Add(1) // Close waits
	go func() {
		defer r.wait.Done()
		list, err := p.Patches(r.ctx, tokens)
		if err != nil {
			r.log.Debug("what image codes look like", "err", err)
			return
		}
		out := map[engine.Token]image.Image{}
		for i, t := range tokens {
			out[t] = list[i]
		}
		r.box.put(letter{cells: out})
	}()
}

// ask makes the one forward pass of a probe.
func (r *Runner) ask(p state.Probe) {
	defer r.wait.Done()
	out := state.Probed{Run: p.Run, Step: p.Step, Pos: p.Pos, Look: engine.Look{Pos: p.Pos}}
	for ev, err := range r.session.Run(r.ctx, p.Job) {
		if err != nil {
			out.Err = err
			break
		}
		step, ok := ev.(engine.Step)
		if !ok {
			continue
		}
		for _, l := range step.Looks {
			if l.Pos == p.Pos {
				out.Look = l
			}
		}
		for _, c := range step.Changes {
			if c.Pos == p.Pos {
				out.Look = engine.Look{Pos: c.Pos, Token: c.To, Prob: c.Prob, Margin: c.Margin, Entropy: c.Entropy, Text: c.Text, Top: c.Top}
			}
		}
		break
	}
	r.post(out)
}

// keep does one command of the history.
func (r *Runner) keep(ctx context.Context, c state.Cmd) {
	h := r.history
	switch c := c.(type) {
	case state.Restore:
		r.restore(ctx)
	case state.ListSessions:
		r.list(ctx, c.Pane, c.Query)
	case state.ListRuns:
		runs, err := h.Runs(ctx, state.RunQuery{Text: c.Query, Limit: 300})
		if err != nil {
			r.post(state.NotRead{Pane: state.PaneLibrary, Err: err})
			return
		}
		slices.Reverse(runs)
		r.post(state.Found{Query: c.Query, Runs: runs})
	case state.ReadSession:
		r.readSession(ctx, c)
	case state.ReadRun:
		rec, err := h.Record(ctx, c.ID)
		if err != nil {
			r.post(state.NotRead{Pane: c.Pane, Err: err})
			return
		}
		r.box.put(letter{run: c.ID, record: &rec})
	case state.ReadPicture:
		img, err := h.Picture(ctx, c.Run)
		if err != nil {
			r.post(state.NotRead{Pane: state.PaneInpaint, Err: err})
			return
		}
		r.post(state.PictureRead{Run: c.Run, Title: c.Title, Image: img})
	case state.KeepSession:
		r.kept(h.PutSession(ctx, c.Session))
		r.list(ctx, c.Session.Pane, c.Query)
	case state.HideSession:
		r.hideSession(ctx, c)
	case state.HideRun:
		if c.Hide {
			r.kept(h.DeleteRun(ctx, c.ID))
		} else {
			r.kept(h.RestoreRun(ctx, c.ID))
		}
	case state.KeepText:
		r.kept(h.PutDraftText(ctx, c.Session, c.Draft))
	case state.KeepPicture:
		r.kept(h.PutDraftPicture(ctx, c.Session, c.Image))
	case state.KeepMask:
		r.kept(h.PutDraftMask(ctx, c.Session, c.Mask))
	case state.KeepName:
		r.kept(h.SetName(ctx, c.Run, c.Name))
	case state.KeepAccepted:
		r.kept(h.SetAccepted(ctx, c.Run, true))
	case state.KeepValues:
		b, err := json.Marshal(c.Values)
		if err == nil {
			err = h.PutValue(ctx, valuesName, b)
		}
		r.kept(err)
	}
}

func (r *Runner) restore(ctx context.Context) {
	var v state.Values
	b, err := r.history.Value(ctx, valuesName)
	if err == nil && b != nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		r.log.Warn("settings of the last start are not readable", "err", err)
		r.post(state.NotKept{Err: err})
	}
	r.post(state.Restored{Values: v, Given: r.ref.Path})
}

func (r *Runner) list(ctx context.Context, p state.Pane, query string) {
	list, err := r.history.Sessions(ctx, p, query)
	if err != nil {
		r.post(state.NotRead{Pane: p, Err: err})
		return
	}
	r.post(state.Listed{Pane: p, Query: query, List: list})
}

func (r *Runner) readSession(ctx context.Context, c state.ReadSession) {
	d, err := r.history.Draft(ctx, c.ID)
	if errors.Is(err, state.ErrNotFound) { // Canvas before its first picture, or a deleted one
		r.post(state.SessionRead{Pane: c.Pane, ID: c.ID})
		return
	}
	var runs []state.Run
	if err == nil {
		runs, err = r.history.Runs(ctx, state.RunQuery{Session: c.ID})
	}
	if err != nil {
		r.post(state.NotRead{Pane: c.Pane, Err: err})
		return
	}
	r.post(state.SessionRead{Pane: c.Pane, ID: c.ID, Draft: d, Runs: runs})
}

// thumb reads the last picture of a run for the mailbox; a run without one has none.
func (r *Runner) thumb(id string) {
	r.later(func(ctx context.Context) {
		img, err := r.history.Picture(ctx, id)
		switch {
		case err == nil:
			r.box.put(letter{run: id, thumb: img})
		case !errors.Is(err, state.ErrNotFound):
			r.log.Warn("picture of a run", "job", id, "err", err)
		}
	})
}

func (r *Runner) hideSession(ctx context.Context, c state.HideSession) {
	if c.Hide {
		r.kept(r.history.DeleteSession(ctx, c.ID))
	} else {
		r.kept(r.history.RestoreSession(ctx, c.ID))
	}
	r.list(ctx, c.Pane, c.Query)
}
