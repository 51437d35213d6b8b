// Package historytest is a [state.History] in memory for tests, and the laws that every History keeps.
package historytest

import (
	"context"
	"image"
	"maps"
	"slices"
	"strings"
	"sync"

	"unmask/engine"
	"unmask/ui/state"
)

// Mem is a [state.History] in memory. It is for tests and keeps nothing after the process ends.
type Mem struct {
	mu       sync.Mutex
	sessions map[string]*memSession
	runs     map[string]*memRun
	values   map[string][]byte
}

type memSession struct {
	s       state.Session
	d       state.Draft
	deleted bool
}

type memRun struct {
	r       state.Record
	deleted bool
}

// NewMem returns an empty history.
func NewMem() *Mem {
	return &Mem{sessions: map[string]*memSession{}, runs: map[string]*memRun{}, values: map[string][]byte{}}
}

var _ state.History = (*Mem)(nil)

// Reopen returns a history with the same content, as after the process was killed and started again.
func (m *Mem) Reopen() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := NewMem()
	maps.Copy(n.values, m.values)
	for id, s := range m.sessions {
		if !s.deleted {
			n.sessions[id] = &memSession{s: s.s, d: s.d}
		}
	}
	for id, r := range m.runs {
		if r.deleted {
			continue
		}
		c := &memRun{r: r.r}
		if c.r.Run.State == state.Running {
			c.r.Run.State = state.Interrupted
		}
		n.runs[id] = c
	}
	return n
}

func holds(query string, texts ...string) bool {
	q := strings.ToLower(query)
	return q == "" || slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), q) })
}

// Sessions implements [state.History].
func (m *Mem) Sessions(_ context.Context, pane state.Pane, query string) ([]state.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []state.Session
	for id, s := range m.sessions {
		if s.deleted || pane != "" && s.s.Pane != pane {
			continue
		}
		texts, n := []string{s.s.Title}, 0
		for _, r := range m.runs {
			if r.r.Run.Session == id && !r.deleted {
				n++
				texts = append(texts, state.Prompt(r.r.Run.Job), r.r.Run.Text)
			}
		}
		if !holds(query, texts...) {
			continue
		}
		c := s.s
		c.Runs = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b state.Session) int { return b.Updated.Compare(a.Updated) })
	return out, nil
}

// PutSession implements [state.History].
func (m *Mem) PutSession(_ context.Context, s state.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.sessions[s.ID]; old != nil {
		old.s = s
		return nil
	}
	m.sessions[s.ID] = &memSession{s: s}
	return nil
}

func (m *Mem) hideSession(id string, hidden bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[id]
	if s == nil {
		return state.ErrNotFound
	}
	s.deleted = hidden
	return nil
}

// DeleteSession implements [state.History].
func (m *Mem) DeleteSession(_ context.Context, id string) error { return m.hideSession(id, true) }

// RestoreSession implements [state.History].
func (m *Mem) RestoreSession(_ context.Context, id string) error { return m.hideSession(id, false) }

func (m *Mem) session(id string, f func(*memSession)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[id]
	if s == nil {
		return state.ErrNotFound
	}
	f(s)
	return nil
}

// Draft implements [state.History].
func (m *Mem) Draft(_ context.Context, id string) (d state.Draft, err error) {
	err = m.session(id, func(s *memSession) { d = s.d })
	return d, err
}

// PutDraftText implements [state.History].
func (m *Mem) PutDraftText(_ context.Context, id string, d state.Draft) error {
	return m.session(id, func(s *memSession) {
		d.Picture, d.Mask = s.d.Picture, s.d.Mask
		s.d = d
	})
}

// PutDraftPicture implements [state.History].
func (m *Mem) PutDraftPicture(_ context.Context, id string, img image.Image) error {
	return m.session(id, func(s *memSession) { s.d.Picture = img })
}

// PutDraftMask implements [state.History].
func (m *Mem) PutDraftMask(_ context.Context, id string, mask *image.Alpha) error {
	return m.session(id, func(s *memSession) {
		if mask == nil {
			s.d.Mask = nil
			return
		}
		s.d.Mask = &image.Alpha{Pix: slices.Clone(mask.Pix), Stride: mask.Stride, Rect: mask.Rect}
	})
}

// Runs implements [state.History].
func (m *Mem) Runs(_ context.Context, q state.RunQuery) ([]state.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []state.Run
	for _, r := range m.runs {
		u := r.r.Run
		s := m.sessions[u.Session]
		switch {
		case r.deleted, s != nil && s.deleted,
			q.Session != "" && u.Session != q.Session,
			q.Group != "" && u.Group != q.Group,
			len(q.Tasks) > 0 && !slices.Contains(q.Tasks, u.Job.Task),
			!holds(q.Text, state.Prompt(u.Job), u.Text):
			continue
		}
		u.Steps = len(r.r.Steps)
		u.Job = withoutPictures(u.Job)
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b state.Run) int { return a.Created.Compare(b.Created) })
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[len(out)-q.Limit:]
	}
	return out, nil
}

func withoutPictures(j engine.Job) engine.Job {
	j.Image, j.Mask = nil, nil
	j.Messages = slices.Clone(j.Messages)
	for i := range j.Messages {
		j.Messages[i].Image = nil
	}
	return j
}

// StartRun implements [state.History].
func (m *Mem) StartRun(_ context.Context, r state.Run, started *engine.Started) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := *started
	c.Sequence = started.Sequence.Clone()
	r.Job = started.Job
	r.State = state.Running
	m.runs[r.ID] = &memRun{r: state.Record{Run: r, Started: &c}}
	return nil
}

func (m *Mem) run(id string, f func(*memRun)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.runs[id]
	if r == nil {
		return state.ErrNotFound
	}
	f(r)
	return nil
}

// AppendSteps implements [state.History].
func (m *Mem) AppendSteps(_ context.Context, id string, steps []engine.Step, previews []*engine.Preview) error {
	return m.run(id, func(r *memRun) {
		r.r.Steps = append(r.r.Steps, steps...)
		r.r.Previews = append(r.r.Previews, previews...)
	})
}

// FinishRun implements [state.History].
func (m *Mem) FinishRun(_ context.Context, id string, st state.RunState, fin *engine.Finished, message string) error {
	return m.run(id, func(r *memRun) {
		r.r.Run.State, r.r.Run.Message, r.r.Finished = st, message, fin
		if fin != nil {
			r.r.Run.Text, r.r.Run.Think, r.r.Run.Stats = fin.Text, fin.Think, fin.Stats
		}
	})
}

// Record implements [state.History].
func (m *Mem) Record(_ context.Context, id string) (rec state.Record, err error) {
	err = m.run(id, func(r *memRun) {
		rec = r.r
		rec.Steps, rec.Previews = slices.Clone(rec.Steps), slices.Clone(rec.Previews)
		rec.Run.Steps = len(rec.Steps)
	})
	return rec, err
}

// Picture implements [state.History].
func (m *Mem) Picture(_ context.Context, id string) (img image.Image, err error) {
	if e := m.run(id, func(r *memRun) {
		switch {
		case r.r.Finished != nil && r.r.Finished.Image != nil:
			img = r.r.Finished.Image
		case len(r.r.Previews) > 0:
			img = r.r.Previews[len(r.r.Previews)-1].Image
		default:
			err = state.ErrNotFound
		}
	}); e != nil {
		return nil, e
	}
	return img, err
}

// DeleteRun implements [state.History].
func (m *Mem) DeleteRun(_ context.Context, id string) error {
	return m.run(id, func(r *memRun) { r.deleted = true })
}

// RestoreRun implements [state.History].
func (m *Mem) RestoreRun(_ context.Context, id string) error {
	return m.run(id, func(r *memRun) { r.deleted = false })
}

// SetAccepted implements [state.History].
func (m *Mem) SetAccepted(_ context.Context, id string, accepted bool) error {
	return m.run(id, func(r *memRun) { r.r.Run.Accepted = accepted })
}

// SetName implements [state.History].
func (m *Mem) SetName(_ context.Context, id, name string) error {
	return m.run(id, func(r *memRun) { r.r.Run.Name = name })
}

// Value implements [state.History].
func (m *Mem) Value(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[name], nil
}

// PutValue implements [state.History].
func (m *Mem) PutValue(_ context.Context, name string, json []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] = slices.Clone(json)
	return nil
}

// Close implements [state.History].
func (m *Mem) Close() error { return nil }
