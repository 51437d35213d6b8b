package ui

import (
	"context"
	"errors"
	"time"

	"unmask/engine"
	"unmask/ui/state"
)

// start makes a run on a goroutine of its own and records it.
func (r *Runner) start(run state.Run) {
	ctx, stop := context.WithCancel(r.ctx)
	r.mu.Lock()
	r.stops[run.ID] = stop
	r.mu.Unlock()
	r.wait.Add(1) // Close waits
	go func() {
		defer r.wait.Done()
		defer stop()
		rec := &recorder{r: r, run: run, began: time.Now()}
		rec.end(ctx, rec.follow(ctx))
		r.mu.Lock()
		delete(r.stops, run.ID)
		r.mu.Unlock()
		r.nudge()
	}()
}

// recorder passes the events of one run to the window at once and to the history in batches. It belongs to the run's
// goroutine.
type recorder struct {
	r        *Runner
	run      state.Run
	began    time.Time
	flushed  time.Time
	started  bool
	count    int
	steps    []engine.Step
	previews []*engine.Preview
	finished *engine.Finished
}

// follow ranges over the run.
func (c *recorder) follow(ctx context.Context) error {
	for ev, err := range c.r.session.Run(ctx, c.run.Job) {
		if err != nil {
			return err
		}
		switch e := ev.(type) {
		case *engine.Started:
			c.start(e)
		case engine.Step:
			c.steps = append(c.steps, e)
			c.count++
			c.r.log.Debug("step", "job", c.run.ID, "step", e.Index, "nfe", e.NFE, "masked", e.Masked, "ms", e.Forward.Milliseconds())
		case *engine.Preview:
			c.previews = append(c.previews, e)
		case *engine.Finished:
			c.finished = e
		}
		c.r.box.put(letter{run: c.run.ID, event: ev})
		if time.Since(c.flushed) > keepEvery {
			c.flush()
		}
	}
	return nil
}

func (c *recorder) start(e *engine.Started) {
	c.started, c.flushed = true, time.Now()
	run, copied := c.run, *e
	copied.Sequence = e.Sequence.Clone()
	c.r.later(func(ctx context.Context) { c.r.kept(c.r.history.StartRun(ctx, run, &copied)) })
	c.r.post(state.RunBegan{ID: c.run.ID, Started: e})
}

func (c *recorder) flush() {
	c.flushed = time.Now()
	if !c.started || len(c.steps)+len(c.previews) == 0 {
		return
	}
	id, steps, previews := c.run.ID, c.steps, c.previews
	c.steps, c.previews = nil, nil
	c.r.later(func(ctx context.Context) { c.r.kept(c.r.history.AppendSteps(ctx, id, steps, previews)) })
}

// end writes the rest and how the run ended, and only then tells the window: what is shown as done is on disk.
func (c *recorder) end(ctx context.Context, err error) {
	c.flush()
	m := state.RunEnded{ID: c.run.ID, State: state.Done, Finished: c.finished, Steps: c.count, Elapsed: time.Since(c.began)}
	switch {
	case err == nil && c.finished == nil && ctx.Err() == nil:
		m.State, m.Err = state.Failed, errNoResult
	case err == nil && c.finished != nil:
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		m.State, m.Err, m.Finished = state.Stopped, context.Canceled, nil
	default:
		m.State, m.Err, m.Finished = state.Failed, err, nil
	}
	c.r.log.Info("run", "job", c.run.ID, "task", string(c.run.Job.Task), "state", string(m.State), "steps", m.Steps, "ms", m.Elapsed.Milliseconds(), "err", m.Err)
	c.r.later(func(ctx context.Context) {
		if c.started {
			message := ""
			if m.State == state.Failed {
				message = m.Err.Error()
			}
			c.r.kept(c.r.history.FinishRun(ctx, m.ID, m.State, m.Finished, message))
		}
		c.r.box.put(letter{run: m.ID, err: m.Err})
		c.r.post(m)
	})
}
