package ui

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"image"
	"log/slog"
	"maps"
	"time"

	"unmask/engine"
	"unmask/ui/state"
)

// Store owns the [state.State] and the views of runs on the window's goroutine.
type Store struct {
	now     state.State
	views   map[string]*state.View
	cells   map[engine.Token]image.Image // what image codes look like; nil while one is asked for
	thumbs  map[string]image.Image       // of runs without a view; nil while it is being read
	cellsOf string                       // model that cells are of
	box     *mailbox
	run     func(state.Cmd)
	log     *slog.Logger
	fresh   func() state.Fresh
	listen  func(*state.State) // after every message
	ended   func(state.RunEnded)

	busy  bool
	queue []state.Msg
}

func newStore(box *mailbox, run func(state.Cmd), log *slog.Logger) *Store {
	return &Store{now: state.New(), views: map[string]*state.View{}, thumbs: map[string]image.Image{}, cells: map[engine.Token]image.Image{}, box: box, run: run, log: log, fresh: fresh, listen: func(*state.State) {}, ended: func(state.RunEnded) {}}
}

// fresh makes ids that sort by time and cannot meet, and seeds from the system's random numbers.
func fresh() state.Fresh {
	var b [16]byte
	now := time.Now()
	if _, err := rand.Read(b[:]); err != nil {
		binary.LittleEndian.PutUint64(b[:], uint64(now.UnixNano()))
	}
	id := now.UTC().Format("20060102-150405.000") + "-" + hex.EncodeToString(b[:4])
	return state.Fresh{Now: now, ID: id, Seed: binary.LittleEndian.Uint64(b[8:])}
}

// State is the state now. It is not to be changed.
func (s *Store) State() *state.State { return &s.now }

// Dispatch lets Update decide what follows from m and runs it. A message sent while another is being handled waits for
// it.
func (s *Store) Dispatch(m state.Msg) {
	s.queue = append(s.queue, m)
	if s.busy {
		return
	}
	s.busy = true
	defer func() { s.busy = false }()
	for len(s.queue) > 0 {
		next := s.queue[0]
		s.queue = s.queue[1:]
		if p, ok := next.(state.Probed); ok {
			s.probed(p)
		}
		var cmds []state.Cmd
		s.now, cmds = state.Update(s.now, next, s.fresh())
		for _, c := range cmds {
			if st, ok := c.(state.StartRun); ok {
				s.views[st.Run.ID] = state.NewView(st.Run.ID)
			}
			s.run(c)
		}
		s.listen(&s.now)
		if e, ok := next.(state.RunEnded); ok {
			s.ended(e)
		}
	}
}

// probed keeps what the model said of a position in the view that it was asked for.
func (s *Store) probed(p state.Probed) {
	v := s.views[p.Run]
	if v == nil {
		return
	}
	if p.Err != nil {
		s.log.Warn("ask the model", "job", p.Run, "step", p.Step, "err", p.Err)
	}
	if v.Asked == nil {
		v.Asked = map[state.Asked]engine.Look{}
	}
	v.Asked[state.Asked{Step: p.Step, Pos: p.Pos}] = p.Look
}

// View is the view of a run, or nil.
func (s *Store) View(id string) *state.View { return s.views[id] }

// Thumb is the last picture of a run as far as it is known. ask reports that nobody has asked the history yet.
func (s *Store) Thumb(id string) (img image.Image, ask bool) {
	if v := s.views[id]; v != nil {
		if f := v.Run.Finished(); f != nil && f.Image != nil {
			return f.Image, false
		}
		if p, _ := v.Run.Preview(v.Run.Len()); p != nil {
			return p, false
		}
	}
	img, asked := s.thumbs[id]
	if !asked {
		s.thumbs[id] = nil
	}
	return img, !asked && s.now.Runs[id].State.Over()
}

// Cells are what tokens look like as far as it is known, and those that nobody has asked for yet. A new model's codes look
// otherwise.
func (s *Store) Cells(tokens []engine.Token) (known map[engine.Token]image.Image, ask []engine.Token) {
	if hash := s.now.Model.Spec.Hash; hash != s.cellsOf {
		s.cells, s.cellsOf = map[engine.Token]image.Image{}, hash
	}
	known = map[engine.Token]image.Image{}
	for _, t := range tokens {
		img, asked := s.cells[t]
		switch {
		case img != nil:
			known[t] = img
		case !asked:
			s.cells[t] = nil
			ask = append(ask, t)
		}
	}
	return known, ask
}

// Drain takes what other goroutines have left: events into views, messages into Update. It reports whether there was
// anything.
func (s *Store) Drain() bool {
	mail := s.box.drain()
	for _, l := range mail {
		switch {
		case l.msg != nil:
			s.Dispatch(l.msg)
		case l.thumb != nil:
			s.thumbs[l.run] = l.thumb
			s.listen(&s.now)
		case l.cells != nil:
			maps.Copy(s.cells, l.cells)
			s.listen(&s.now)
		case l.record != nil:
			s.record(l.run, l.record)
		default:
			s.event(l)
		}
	}
	return len(mail) > 0
}

func (s *Store) event(l letter) {
	v := s.views[l.run]
	if v == nil {
		return // deleted meanwhile
	}
	if l.event == nil {
		if l.err != nil {
			v.Run.Fail(l.err)
		}
		return
	}
	if err := v.Run.Add(l.event); err != nil {
		s.log.Error("event", "job", l.run, "err", err)
	}
}

// record makes a view of a recorded run, unless its steps are known already.
func (s *Store) record(id string, rec *state.Record) {
	if v := s.views[id]; v != nil && v.Run.Started() != nil || rec.Started == nil {
		return
	}
	v := state.NewView(id)
	err := v.Run.Add(rec.Started)
	p := 0
	for _, st := range rec.Steps {
		if err == nil {
			err = v.Run.Add(st)
		}
		for ; p < len(rec.Previews) && rec.Previews[p].Step <= st.Index && err == nil; p++ {
			err = v.Run.Add(rec.Previews[p])
		}
	}
	if rec.Finished != nil && err == nil {
		err = v.Run.Add(rec.Finished)
	}
	switch {
	case err != nil:
		s.log.Warn("a recorded run is broken; its steps up to there are shown", "job", id, "err", err)
		v.Run.Fail(err)
	case rec.Finished == nil:
		v.Run.Fail(errBroken(rec.Run.State))
	}
	if v.Run.Started() != nil {
		s.views[id] = v
	}
}

// errBroken says how a recorded run without a result ended.
type errBroken state.RunState

// Error names the state.
func (e errBroken) Error() string { return "the run was " + string(e) }
