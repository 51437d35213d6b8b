package state

import (
	"fmt"
	"maps"
	"slices"

	"unmask/engine"
)

// Start is the state of a window that just opened and what to do first.
func Start() (State, []Cmd) { return New(), []Cmd{Restore{}} }

// Update says what follows from a message: the next state, and commands to run. It is pure: f brings in what it may not
// make itself.
func Update(s State, m Msg, f Fresh) (State, []Cmd) {
	c := updateWindow(&s, m, f)
	return s, c
}

func updateWindow(s *State, m Msg, f Fresh) []Cmd {
	// size: one case a message.
	switch m := m.(type) {
	case ShowPane:
		s.Pane, s.Welcome, s.Sheet = m.Pane, false, false
		cmds := []Cmd{KeepValues{s.Kept()}}
		switch m.Pane {
		case PaneLibrary:
			cmds = append(cmds, ListRuns{s.FindQuery})
		case PaneModels:
			cmds = append(cmds, ReadShelf{})
		}
		return append(cmds, s.wanted(f)...)
	case FindRuns:
		s.FindQuery = m.Query
		return []Cmd{ListRuns{m.Query}}
	case Found:
		if m.Query == s.FindQuery {
			s.Found = m.Runs
		}
	case GoToRun:
		return goToRun(s, m.Run, f)
	case ShowSheet:
		s.Sheet = m.Open
	case TogglePanel:
		s.Panel, s.Sheet = !s.Panel, false
		return []Cmd{KeepValues{s.Kept()}}
	case ToggleList:
		s.Sessions = !s.Sessions
	case SetLook:
		s.Look = m.Look
		return []Cmd{KeepValues{s.Kept()}}
	case LeaveWelcome:
		s.Welcome = false
		return []Cmd{KeepValues{s.Kept()}}
	case TryExample:
		return tryExample(s, m, f)
	case UndoToast:
		undo := s.Toast.Undo
		s.Toast.Open, s.Toast.Undo = false, nil
		if undo != nil {
			return updateWindow(s, undo, f)
		}
	case ToastOver:
		if s.Toast.ID == m.ID {
			s.Toast.Open, s.Toast.Undo = false, nil
		}
	case DismissError:
		if m.Pane == "" {
			s.Notice = nil
			return nil
		}
		s.setPane(m.Pane, func(p *PaneState) { p.Err = nil })
	case Restored:
		s.Given = m.Given
		return restored(s, m.Values, f)
	case RetryLoad, Loading, Loaded, LoadFailed:
		return updateModel(s, m, f)
	case AddModels, RemoveModel, PutBack, ChooseModel, FindModels, LoadKnown, StopLoad, Unload, SetType, AddAdapter, SwitchAdapter, SetDefault,
		ImportModel, StopImport, LookAgain, ShelfRead, Located, Described, Unloaded, Importing, Imported:
		return updateModels(s, m, f)
	case SetDevice, DeviceTried, Said:
		return updateDevice(s, m, f)
	case NotKept:
		s.Notice = m.Err
	case NotRead:
		s.setPane(m.Pane, func(p *PaneState) { p.Err, p.Loading = m.Err, false })
	case Search, NewSession, OpenSession, RenameSession, DeleteSession, RestoreSession, Listed, SessionRead:
		return updateSession(s, m, f)
	case EditDraft, Attach, SetMask, SetFrame, SetSeed, RollSeed, LockSeed, SetColumns, CancelEdit, PictureRead:
		return updateDraft(s, m, f)
	case SetOptions, ToggleThink, UsePreset, SetRemember:
		return updateSettings(s, m)
	case Touch, UndoTouch, RedoTouch, SetBranch, MoreMasks, DropBranch, restoreBranch, RunOn, undoRunOn, NameRun, SetWords:
		return updateBranch(s, m, f)
	case Probe:
		if s.Model.Loaded {
			return []Cmd{AskModel{m}}
		}
	case Probed:
	default:
		return updateRun(s, m, f)
	}
	return nil
}

// goToRun opens the session of a run in its pane and shows the run there.
func goToRun(s *State, r Run, f Fresh) []Cmd {
	p := PaneOf(r)
	s.Pane, s.Welcome = p, false
	if s.Panes[p].Session == r.Session {
		return append(updateRun(s, ShowRun{p, r.ID}, f), KeepValues{s.Kept()})
	}
	cmds := updateSession(s, OpenSession{p, r.Session}, f)
	s.setPane(p, func(ps *PaneState) { ps.Want = r.ID })
	return cmds
}

func tryExample(s *State, m TryExample, f Fresh) []Cmd {
	s.Welcome, s.Pane = false, m.Pane
	cmds := updateWindow(s, EditDraft{m.Pane, m.Text}, f)
	cmds = append(cmds, KeepValues{s.Kept()})
	if m.Run {
		cmds = append(cmds, updateRun(s, Submit{m.Pane}, f)...)
	}
	return cmds
}

// restored fills in what an earlier start kept, then loads the model and the sessions.
func restored(s *State, v Values, f Fresh) []Cmd {
	s.Welcome, s.Look, s.Panel = !v.Seen, v.Look, !v.NoPanel
	if slices.Contains(Panes, v.Pane) {
		s.Pane = v.Pane
	}
	if v.Settings != nil {
		s.Settings = maps.Clone(v.Settings)
	}
	s.Remember = v.Remember != nil && *v.Remember
	s.Model.Spec.Hash = v.Model // what Settings were made for; Loaded compares
	s.Load = Progress{On: true, ID: s.Given, Began: f.Now}
	cmds := []Cmd{LoadModel{}, ReadShelf{}}
	for _, p := range Panes {
		cmds = append(cmds, ListSessions{Pane: p})
		id := v.Session[p]
		if p == PaneCanvas {
			id = CanvasSession
		}
		s.setPane(p, func(ps *PaneState) {
			ps.Session, ps.Loading, ps.Locked = id, id != "", v.Locked[p]
			ps.Draft.Seed = shortSeed(f.Seed)
		})
		if id != "" {
			cmds = append(cmds, ReadSession{p, id})
		}
	}
	return cmds
}

func updateModel(s *State, m Msg, f Fresh) []Cmd {
	switch m := m.(type) {
	case RetryLoad:
		return loadKnown(s, s.Load.ID, f)
	case Loading:
		s.Load.Done, s.Load.Total = m.Done, m.Total
		s.Model.Done, s.Model.Total = m.Done, m.Total
	case LoadFailed:
		loadFailed(s, m.Err)
	case Loaded:
		if s.Model.Spec.Hash != m.Spec.Hash {
			s.Settings = map[engine.Task]engine.Options{} // made for another model
		}
		s.Model = Model{Spec: m.Spec, Loaded: true, ID: s.Load.ID}
		s.Load = Progress{ID: s.Load.ID}
		if s.Models.Read && len(s.Queue) == 0 && !s.Welcome && s.Given == "" && !s.started {
			s.started = true
			if cmds := s.wanted(f); cmds != nil {
				return cmds
			}
		}
		if r := s.Active(); r != nil { // asked for while the model was loading
			return []Cmd{StartRun{*r}}
		}
		if s.Welcome {
			if ex := m.Spec.Examples[engine.TextToImage]; len(ex) > 0 && m.Spec.Can(engine.TextToImage) && len(s.Panes[PaneCanvas].Runs) == 0 {
				cmds := updateWindow(s, EditDraft{PaneCanvas, ex[0]}, f)
				return append(cmds, updateRun(s, Submit{PaneCanvas}, f)...)
			}
		}
	}
	return nil
}

func updateSettings(s *State, m Msg) []Cmd {
	set := func(t engine.Task, o engine.Options) {
		s.Settings = maps.Clone(s.Settings)
		s.Settings[t] = o
	}
	switch m := m.(type) {
	case SetOptions:
		set(m.Task, m.Options)
	case ToggleThink:
		if s.Model.Spec.ThinkStyle != "" {
			o := s.settings(engine.Chat)
			o.Think = !o.Think
			set(engine.Chat, o)
		}
	case UsePreset:
		for _, p := range Presets(s.Model.Spec, m.Task) {
			if p.Name == m.Name {
				set(m.Task, p.Options)
			}
		}
	case SetRemember:
		s.Remember = m.On
	}
	return []Cmd{KeepValues{s.Kept()}}
}

func toast(s *State, undo Msg, format string, args ...any) Cmd {
	s.Toast = Toast{ID: s.Toast.ID + 1, Text: fmt.Sprintf(format, args...), Undo: undo, Open: true}
	return StartToast{s.Toast.ID}
}
