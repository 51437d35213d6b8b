package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"unmask/engine"
)

// updateModels handles what happens in the Models pane.
//
// size: one case a message.
func updateModels(s *State, m Msg, f Fresh) []Cmd {
	switch m := m.(type) {
	case ShelfRead:
		return shelfRead(s, m, f)
	case AddModels:
		return []Cmd{Locate{m.Paths}}
	case Located:
		return located(s, m, f)
	case Described:
		s.Models.Cards = maps.Clone(s.Models.Cards)
		if s.Models.Cards == nil {
			s.Models.Cards = map[string]CardOf{}
		}
		s.Models.Cards[m.ID] = CardOf{Card: m.Card, Err: m.Err, Read: true}
		s.Models.Machine = m.Machine
	case ChooseModel:
		s.Models.Chosen, s.Models.Own = m.ID, m.ID == ""
	case FindModels:
		s.Models.Query = m.Query
	case RemoveModel:
		return removeModel(s, m.ID)
	case PutBack:
		return s.setKnown(func(k *Known) {
			if k.find(m.Model.ID()) >= 0 {
				return
			}
			k.Models = slices.Insert(k.Models, min(m.At, len(k.Models)), m.Model)
			for _, t := range m.Tasks {
				k.Default[t] = m.Model.ID()
			}
		})
	case LoadKnown:
		return loadKnown(s, m.ID, f)
	case StopLoad:
		if s.Load.On {
			return []Cmd{StopLoading{}}
		}
	case Unload:
		if s.Model.Loaded && !s.Load.On {
			cmds := updateRun(s, Stop{}, f)
			s.Model = Model{Idle: true}
			return append(cmds, FreeModel{})
		}
	case Unloaded:
		s.Models.Machine = m.Machine
		if m.Err != nil {
			s.Models.Err = m.Err
		}
	case SetType:
		return s.setModel(m.ID, func(k *KnownModel) { k.DType = m.DType })
	case AddAdapter:
		return adapted(s, m.ID, func(k *KnownModel) {
			if !slices.ContainsFunc(k.Adapters, func(a Adapter) bool { return a.Path == m.Path }) {
				k.Adapters = append(k.Adapters, Adapter{Path: m.Path})
			}
		})
	case SwitchAdapter:
		return adapted(s, m.ID, func(k *KnownModel) {
			for i := range k.Adapters {
				if k.Adapters[i].Path == m.Path {
					k.Adapters[i].Off = !m.On
				}
			}
		})
	case SetDefault:
		return s.setKnown(func(k *Known) {
			if m.On {
				k.Default[m.Task] = m.ID
			} else if k.Default[m.Task] == m.ID {
				delete(k.Default, m.Task)
			}
		})
	case ImportModel:
		if !s.Models.Import.On {
			s.Models.Import = Progress{On: true, ID: m.ID, Began: f.Now}
			return []Cmd{BringModel(m)}
		}
	case StopImport:
		return []Cmd{StopBringing{}}
	case Importing:
		s.Models.Import.Done, s.Models.Import.Total = m.Done, m.Total
	case Imported:
		return imported(s, m)
	case LookAgain:
		return []Cmd{ReadShelf{}}
	}
	return nil
}

// shelfRead takes the list over and has every model looked at.
func shelfRead(s *State, m ShelfRead, f Fresh) []Cmd {
	first := !s.Models.Read
	s.Models.Machine, s.Models.Err = m.Machine, m.Err
	if m.Err != nil {
		return []Cmd{DescribeModel{KnownModel{}}}
	}
	s.Models.Read, s.Models.Known = true, m.Known
	cmds := []Cmd{DescribeModel{KnownModel{}}}
	for _, k := range s.known() {
		cmds = append(cmds, DescribeModel{k})
	}
	if first && s.Given == "" && !s.Welcome && s.Model.Loaded {
		s.started = true
		cmds = append(cmds, s.wanted(f)...)
	}
	return cmds
}

// known is the list, and the model of the command line where it is not on it.
func (s *State) known() []KnownModel {
	list := s.Models.Known.Models
	if s.Given != "" && s.Models.Known.find(s.Given) < 0 {
		list = append(slices.Clone(list), KnownModel{Path: s.Given})
	}
	return list
}

// byID is a known model; the built-in one where id is none.
func (s *State) byID(id string) KnownModel {
	for _, k := range s.known() {
		if k.ID() == id {
			return k
		}
	}
	return KnownModel{}
}

// wanted loads the model that was given to the task of the pane in front, where another is loaded and nothing is under way.
func (s *State) wanted(f Fresh) []Cmd {
	if s.Pane == PaneLibrary || s.Pane == PaneModels || len(s.Queue) > 0 || s.Load.On {
		return nil
	}
	id, ok := s.Models.Known.Default[s.TaskOf(s.Pane)]
	if !ok || s.Model.Loaded && id == s.Model.ID || id != "" && s.Models.Known.find(id) < 0 {
		return nil
	}
	return loadKnown(s, id, f)
}

// located puts new models on the list. The first of them is shown.
func located(s *State, m Located, f Fresh) []Cmd {
	s.Models.Err = m.Err
	if len(m.Paths) == 0 {
		return nil
	}
	var fresh []KnownModel
	cmds := s.setKnown(func(k *Known) {
		for _, p := range m.Paths {
			if k.find(p) < 0 {
				n := KnownModel{Path: p, Added: f.Now}
				k.Models, fresh = append(k.Models, n), append(fresh, n)
			}
		}
	})
	s.Models.Chosen, s.Models.Query = m.Paths[0], ""
	s.Pane, s.Welcome = PaneModels, false
	for _, n := range fresh {
		cmds = append(cmds, DescribeModel{n})
	}
	return append(cmds, KeepValues{s.Kept()})
}

// removeModel takes a model off the list; one that is loaded stays loaded.
func removeModel(s *State, id string) []Cmd {
	at := s.Models.Known.find(id)
	if at < 0 {
		return nil
	}
	gone := s.Models.Known.Models[at]
	undo := PutBack{Model: gone, At: at, Tasks: s.Models.Known.DefaultOf(id)}
	name := s.RowOf(gone).Name
	cmds := s.setKnown(func(k *Known) {
		k.Models = slices.Delete(k.Models, at, at+1)
		for _, t := range undo.Tasks {
			delete(k.Default, t)
		}
	})
	if s.Models.Chosen == id {
		s.Models.Chosen, s.Models.Own = "", false
	}
	return append(cmds, toast(s, undo, "Took “%s” off the list, its files stay", name))
}

// setModel changes a model of the list.
func (s *State) setModel(id string, f func(k *KnownModel)) []Cmd {
	at := s.Models.Known.find(id)
	if at < 0 {
		return nil
	}
	return s.setKnown(func(k *Known) {
		k.Models[at].Adapters = slices.Clone(k.Models[at].Adapters)
		f(&k.Models[at])
	})
}

// adapted changes the adapters of a model, and has it looked at anew.
func adapted(s *State, id string, f func(k *KnownModel)) []Cmd {
	cmds := s.setModel(id, f)
	if cmds == nil {
		return nil
	}
	return append(cmds, DescribeModel{s.byID(id)})
}

// loadKnown loads a model. Where there is no room for two, the one that is loaded goes first.
func loadKnown(s *State, id string, f Fresh) []Cmd {
	if s.Load.On || len(s.Queue) > 0 && s.Model.Loaded {
		s.Models.Err = fmt.Errorf("load: %w", engine.ErrBusy)
		return nil
	}
	k := s.byID(id)
	row := s.RowOf(k)
	ref := k.Ref()
	if ref.DType == "" && row.Type != own(row.Card, s.Models.Machine) {
		ref.DType = row.Type
	}
	s.Models.Err, s.Model.Err, s.Model.Idle = nil, nil, false
	free := s.Model.Loaded && s.Models.Machine.Free > 0 && row.Need > s.Models.Machine.Free
	if free {
		s.Model = Model{}
	}
	s.Load = Progress{On: true, ID: id, Began: f.Now}
	if !s.Model.Loaded {
		s.Model.Done, s.Model.Total = 0, 0
	}
	return []Cmd{LoadModel{Ref: &ref, Free: free}}
}

// loadFailed keeps the model before where there is one.
func loadFailed(s *State, err error) {
	s.Load = Progress{ID: s.Load.ID, Err: err}
	stopped := errors.Is(err, context.Canceled)
	switch {
	case s.Model.Loaded:
		if !stopped && s.Pane != PaneModels {
			s.Notice = err
		}
	case stopped:
		s.Model = Model{Idle: true}
	default:
		s.Model.Err = err
	}
	if s.Model.Loaded {
		return
	}
	for _, id := range s.Queue {
		forget(s, id)
	}
	s.Queue = nil
}

// imported puts the new place of a model into the list.
func imported(s *State, m Imported) []Cmd {
	s.Models.Import = Progress{ID: m.ID, Err: m.Err}
	if m.To == "" || m.To == m.ID {
		return nil
	}
	cmds := s.setKnown(func(k *Known) {
		if at := k.find(m.ID); at >= 0 {
			k.Models[at].Path = m.To
		}
		for t, id := range k.Default {
			if id == m.ID {
				k.Default[t] = m.To
			}
		}
	})
	if s.Model.ID == m.ID {
		s.Model.ID = m.To
	}
	s.Models.Chosen = m.To
	return append(cmds, DescribeModel{s.byID(m.To)})
}
