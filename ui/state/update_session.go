package state

import (
	"slices"
	"strings"
)

// CanvasSession is the id of the one session of Canvas: its pictures all belong together.
const CanvasSession = "canvas"

func updateSession(s *State, m Msg, f Fresh) []Cmd {
	switch m := m.(type) {
	case Search:
		s.setPane(m.Pane, func(p *PaneState) { p.Query = m.Query })
		return []Cmd{ListSessions{m.Pane, m.Query}}
	case Listed:
		if s.Panes[m.Pane].Query == m.Query {
			s.setPane(m.Pane, func(p *PaneState) { p.List = m.List })
		}
	case NewSession:
		s.Pane, s.Welcome = m.Pane, false
		s.setPane(m.Pane, func(p *PaneState) {
			*p = PaneState{List: p.List, Query: p.Query, Locked: p.Locked, MaskVersion: p.MaskVersion + 1}
			p.Draft.Seed = shortSeed(f.Seed)
		})
		return []Cmd{KeepValues{s.Kept()}}
	case OpenSession:
		if s.Panes[m.Pane].Session == m.ID {
			return nil
		}
		s.setPane(m.Pane, func(p *PaneState) {
			*p = PaneState{List: p.List, Query: p.Query, Locked: p.Locked, Session: m.ID, Loading: true, MaskVersion: p.MaskVersion + 1}
		})
		return []Cmd{ReadSession{m.Pane, m.ID}, KeepValues{s.Kept()}}
	case SessionRead:
		return sessionRead(s, m)
	case RenameSession:
		return rename(s, m)
	case DeleteSession:
		return deleteSession(s, m, f)
	case RestoreSession:
		return []Cmd{HideSession{m.Pane, m.ID, false, s.Panes[m.Pane].Query}}
	}
	return nil
}

func sessionRead(s *State, m SessionRead) []Cmd {
	if s.Panes[m.Pane].Session != m.ID {
		return nil
	}
	s.addRuns(m.Runs...)
	var cmds []Cmd
	s.setPane(m.Pane, func(p *PaneState) {
		p.Loading = false
		seed := p.Draft.Seed
		p.Draft = m.Draft
		if p.Draft.Seed == 0 && !p.Locked {
			p.Draft.Seed = seed
		}
		p.MaskVersion++
		p.Runs = nil
		for _, r := range m.Runs {
			p.Runs = append(p.Runs, r.ID)
			p.Shown = r.ID
		}
		// Runs of this session that are under way or wait are not in the history yet.
		for _, id := range s.Queue {
			if s.Runs[id].Session == m.ID && !slices.Contains(p.Runs, id) {
				p.Runs, p.Shown = append(p.Runs, id), id
			}
		}
		if slices.Contains(p.Runs, p.Want) {
			p.Shown = p.Want
		}
		p.Want = ""
		shown := []string{p.Shown}
		switch m.Pane {
		case PaneChat:
			shown = p.Runs // the token flow of every turn
		case PaneCompare:
			shown = nil
			for _, id := range p.Runs {
				if s.Runs[id].Group == s.Runs[p.Shown].Group {
					shown = append(shown, id)
				}
			}
		}
		for _, id := range shown {
			if id != "" && s.Runs[id].State.Over() {
				cmds = append(cmds, ReadRun{m.Pane, id})
			}
		}
	})
	return cmds
}

func rename(s *State, m RenameSession) []Cmd {
	title := strings.TrimSpace(m.Title)
	if title == "" {
		return nil
	}
	var cmds []Cmd
	s.setPane(m.Pane, func(p *PaneState) {
		p.List = slices.Clone(p.List)
		for i := range p.List {
			if p.List[i].ID == m.ID {
				p.List[i].Title = title
				cmds = append(cmds, KeepSession{p.List[i], p.Query})
			}
		}
	})
	return cmds
}

func deleteSession(s *State, m DeleteSession, f Fresh) []Cmd {
	ps := s.Panes[m.Pane]
	i := slices.IndexFunc(ps.List, func(x Session) bool { return x.ID == m.ID })
	if i < 0 {
		return nil
	}
	gone := ps.List[i]
	var cmds []Cmd
	for _, id := range s.Queue {
		if s.Runs[id].Session == m.ID {
			cmds = append(cmds, StopRun{id})
		}
	}
	if ps.Session == m.ID {
		cmds = append(cmds, updateSession(s, NewSession{m.Pane}, f)...)
	}
	s.setPane(m.Pane, func(p *PaneState) { p.List = slices.Delete(slices.Clone(p.List), i, i+1) })
	what := "Deleted “" + gone.Title + "”"
	if gone.Runs > 0 {
		what += ", " + Plural(gone.Runs, "run")
	}
	return append(cmds, HideSession{m.Pane, m.ID, true, ps.Query}, toast(s, RestoreSession{m.Pane, m.ID}, "%s", what))
}

// ensure makes the current session of pane p exist, so that a draft or a run can be kept in it.
func ensure(s *State, p Pane, title string, f Fresh) []Cmd {
	ps := s.Panes[p]
	for _, x := range ps.List {
		if x.ID == ps.Session {
			if ps.Query == "" && len(ps.Runs) == 0 && title != "" && x.Title != title {
				x.Title, x.Updated = title, f.Now
				return []Cmd{KeepSession{x, ps.Query}}
			}
			return nil
		}
	}
	id := ps.Session
	if id == "" {
		id = f.ID + "-s"
	}
	if p == PaneCanvas {
		id, title = CanvasSession, "Canvas"
	}
	if title == "" {
		title = newTitle(p)
	}
	n := Session{ID: id, Pane: p, Title: title, Created: f.Now, Updated: f.Now}
	s.setPane(p, func(ps *PaneState) {
		ps.Session, ps.List = id, append([]Session{n}, ps.List...)
	})
	return []Cmd{KeepSession{n, ps.Query}, KeepValues{s.Kept()}}
}

func newTitle(p Pane) string {
	switch p {
	case PaneInpaint:
		return "New picture"
	case PaneCompare:
		return "New comparison"
	default:
		return "New conversation"
	}
}

// touch moves the current session of pane p to the top of its list.
func touch(s *State, p Pane, title string, f Fresh) []Cmd {
	ps := s.Panes[p]
	i := slices.IndexFunc(ps.List, func(x Session) bool { return x.ID == ps.Session })
	if i < 0 {
		return nil
	}
	x := ps.List[i]
	x.Updated = f.Now
	if title != "" && len(ps.Runs) == 0 {
		x.Title = title
	}
	s.setPane(p, func(ps *PaneState) {
		ps.List = append([]Session{x}, slices.Delete(slices.Clone(ps.List), i, i+1)...)
	})
	return []Cmd{KeepSession{x, ps.Query}}
}

// Title makes a session's title from a prompt: its first words, at most 40 letters.
func Title(prompt string) string {
	t := strings.Join(strings.Fields(prompt), " ")
	r := []rune(t)
	if len(r) <= 40 {
		return t
	}
	cut := 40
	for i := 40; i > 24; i-- {
		if r[i] == ' ' {
			cut = i
			break
		}
	}
	return strings.TrimRight(string(r[:cut]), " ,.;:") + "…"
}
