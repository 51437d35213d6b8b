package ui

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"fyne.io/fyne/v2"

	"unmask/engine"
	"unmask/ui/state"
)

// unloader is a session that can free its model.
type unloader interface {
	Unload(ctx context.Context) error
}

// onlyOne is the context of work of which there is one at a time.
type onlyOne struct {
	mu     sync.Mutex
	cancel context.CancelFunc
}

func (o *onlyOne) begin(parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(parent)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cancel != nil {
		o.cancel()
	}
	o.cancel = cancel
	return ctx
}

func (o *onlyOne) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cancel != nil {
		o.cancel()
	}
}

// look queues work on models' files for the looker. It never blocks: what does not fit is asked for again by the pane.
func (r *Runner) look(f func(context.Context)) {
	select {
	case r.looks <- f:
	default:
		r.log.Warn("too much to look at")
	}
}

// looker does the work on the list of models and their files in order, until Close. It is apart from the keeper, so that
// a slow disk does not hold the history up.
func (r *Runner) looker() {
	defer r.wait.Done()
	for {
		select {
		case <-r.ctx.Done():
			for { // the list is small: what was asked to be kept is
				select {
				case f := <-r.looks:
					f(r.ctx)
				default:
					return
				}
			}
		case f := <-r.looks:
			f(r.ctx)
		}
	}
}

// every passes the numbers of a progress on, at most ten times a second and at its end.
func (r *Runner) every(post func(done, total int64) state.Msg) func(done, total int64) {
	var last time.Time
	return func(done, total int64) {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond || done == total {
			last = now
			r.post(post(done, total))
		}
	}
}

// load loads a model. A session that cannot free one holds two for a moment.
func (r *Runner) load(ctx context.Context, c state.LoadModel) {
	defer r.wait.Done()
	ref := r.ref
	if c.Ref != nil {
		ref = *c.Ref
		ref.Threads = r.ref.Threads
		if ref.DType == "" {
			ref.DType = r.ref.DType
		}
	}
	if u, ok := r.session.(unloader); ok && c.Free {
		if err := u.Unload(ctx); err != nil {
			r.log.Warn("unload", "err", err)
		}
	}
	spec, err := r.session.Load(ctx, ref, r.every(func(done, total int64) state.Msg { return state.Loading{Done: done, Total: total} }))
	switch {
	case r.ctx.Err() != nil:
	case err != nil:
		if ctx.Err() != nil {
			err = ctx.Err() // stopped, whatever the session made of it
		} else {
			r.log.Error("load", "err", err)
		}
		r.post(state.LoadFailed{Err: err})
	default:
		r.post(state.Loaded{Spec: spec})
	}
}

// free frees the model.
func (r *Runner) free() {
	defer r.wait.Done()
	var err error
	if u, ok := r.session.(unloader); ok {
		err = u.Unload(r.ctx)
	} else {
		err = &engine.UnsupportedError{What: "freeing a model with this session"}
	}
	r.post(state.Unloaded{Err: err, Machine: r.machine()})
}

func (r *Runner) machine() state.Machine {
	if r.shelf == nil {
		return state.Machine{}
	}
	return r.shelf.Machine()
}

// bring imports a model.
func (r *Runner) bring(ctx context.Context, c state.BringModel) {
	defer r.wait.Done()
	if r.shelf == nil {
		return
	}
	to, err := r.shelf.Import(ctx, c.ID, c.Move, r.every(func(done, total int64) state.Msg { return state.Importing{Done: done, Total: total} }))
	if err != nil && ctx.Err() == nil {
		r.log.Error("import", "err", err)
	}
	r.post(state.Imported{ID: c.ID, To: to, Err: err})
}

// shelve does one command on the list of models.
func (r *Runner) shelve(ctx context.Context, c state.Cmd) {
	if r.shelf == nil {
		if _, ok := c.(state.ReadShelf); ok {
			r.post(state.ShelfRead{})
		}
		return
	}
	switch c := c.(type) {
	case state.ReadShelf:
		known, err := r.shelf.Read()
		r.post(state.ShelfRead{Known: known, Machine: r.shelf.Machine(), Err: err})
	case state.KeepShelf:
		r.kept(r.shelf.Write(c.Known))
	case state.Locate:
		m := state.Located{}
		for _, p := range c.Paths {
			at, err := r.shelf.Locate(p)
			if err != nil {
				m.Err = err
				continue
			}
			m.Paths = append(m.Paths, at)
		}
		r.post(m)
	case state.DescribeModel:
		card, err := r.shelf.Describe(ctx, c.Model.Ref())
		if ctx.Err() == nil {
			r.post(state.Described{ID: c.Model.ID(), Card: card, Err: err, Machine: r.shelf.Machine()})
		}
	}
}

// tryDevice goes on with another device.
func (r *Runner) tryDevice(name string) {
	defer r.wait.Done()
	m := state.DeviceTried{Name: name, Err: engine.ErrNoDevice}
	if r.devices != nil {
		m.About, m.Err = r.devices.Use(r.ctx, name)
	}
	r.post(m)
}

// modelPaths are the paths of what was dropped that can be a model: folders, and files of checkpoints.
func modelPaths(uris []fyne.URI) (paths []string) {
	for _, u := range uris {
		p := u.Path()
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			paths = append(paths, p)
			continue
		}
		switch strings.ToLower(filepath.Ext(p)) {
		case ".safetensors", ".gguf", ".bin", ".pt", ".pth", ".th", ".ckpt":
			paths = append(paths, p)
		}
		if b := filepath.Base(p); b == "config.json" || b == "adapter_config.json" || strings.HasSuffix(b, ".index.json") {
			paths = append(paths, p)
		}
	}
	return paths
}
