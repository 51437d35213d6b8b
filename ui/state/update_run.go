package state

import (
	"fmt"
	"image"
	"slices"
	"strings"
	"time"

	"unmask/engine"
	"unmask/ui/mask"
)

// alternatives is how many of the best candidates are kept a change, for the inspector.
const alternatives = 8

func updateRun(s *State, m Msg, f Fresh) []Cmd {
	switch m := m.(type) {
	case Submit:
		return submit(s, m.Pane, f)
	case Stop:
		return stop(s, m.Pane)
	case Regenerate:
		return regenerate(s, m.Run, f)
	case EditPrompt:
		return editPrompt(s, m.Run, f)
	case PickTurn:
		s.setPane(PaneChat, func(p *PaneState) {
			pick := map[string]string{m.Root: m.Run}
			for k, v := range p.Pick {
				if k != m.Root {
					pick[k] = v
				}
			}
			p.Pick, p.Shown = pick, m.Run
		})
	case ShowRun:
		s.setPane(m.Pane, func(p *PaneState) { p.Shown = m.Run })
		if r := s.Runs[m.Run]; r.State.Over() {
			return []Cmd{ReadRun{m.Pane, m.Run}}
		}
	case DeleteRun:
		return deleteRun(s, m.Run)
	case RestoreRun:
		return restoreRun(s, m.Run)
	case TakeToInpaint:
		return []Cmd{ReadPicture{m.Run, Title(Prompt(s.Runs[m.Run].Job))}}
	case Accept:
		s.setRun(m.Run, func(r *Run) { r.Accepted = true })
		return append([]Cmd{KeepAccepted{m.Run}}, replacePicture(s, m.Image)...)
	case RunBegan:
		s.setRun(m.ID, func(r *Run) {
			r.State, r.Job.Options = Running, m.Started.Job.Options
		})
	case RunEnded:
		return ended(s, m)
	}
	return nil
}

// enqueue adds runs to the pane's list and to the queue, and starts the first one when nothing is under way.
func enqueue(s *State, p Pane, rs ...Run) []Cmd {
	s.addRuns(rs...)
	idle := len(s.Queue) == 0
	s.Queue = slices.Clone(s.Queue)
	s.setPane(p, func(ps *PaneState) {
		ps.Runs = slices.Clone(ps.Runs)
		for _, r := range rs {
			s.Queue = append(s.Queue, r.ID)
			ps.Runs = append(ps.Runs, r.ID)
		}
		ps.Err = nil
		if idle || p != PaneChat {
			ps.Shown = rs[0].ID
		}
	})
	if idle && s.Model.Loaded && !s.Load.On {
		return []Cmd{StartRun{rs[0]}}
	}
	return nil
}

func submit(s *State, p Pane, f Fresh) []Cmd {
	ps := s.Panes[p]
	if s.Model.Err != nil {
		s.setPane(p, func(ps *PaneState) { ps.Err = s.Model.Err })
		return nil
	}
	if strings.TrimSpace(ps.Draft.Text) == "" && !(ps.Draft.Picture != nil && p != PaneCompare) {
		return nil
	}
	task := s.TaskOf(p)
	if s.Model.Loaded && !s.Model.Spec.Can(task) {
		s.setPane(p, func(ps *PaneState) {
			ps.Err = &engine.UnsupportedError{What: "task " + string(task), Have: tasks(s.Model.Spec.Tasks)}
		})
		return nil
	}
	cmds := ensure(s, p, Title(ps.Draft.Text), f)
	cmds = append(cmds, touch(s, p, titleFor(p, ps), f)...)
	seed := ps.Draft.Seed
	if seed == 0 && !ps.Locked {
		seed = shortSeed(f.Seed)
	}
	var rs []Run
	if p == PaneCompare {
		rs = compareRuns(s, task, seed, f)
	} else {
		rs = []Run{newRun(s, p, task, seed, f)}
	}
	s.setPane(p, func(ps *PaneState) {
		if !ps.Locked {
			ps.Draft.Seed = shortSeed(f.Seed/100_000 + 1)
		}
		if p == PaneChat {
			ps.Draft.Text, ps.Draft.Picture, ps.EditOf = "", nil, ""
		}
	})
	cmds = append(cmds, keepText(s, p))
	if p == PaneChat && ps.Draft.Picture != nil {
		cmds = append(cmds, KeepPicture{s.Panes[p].Session, nil})
	}
	cmds = append(cmds, enqueue(s, p, rs...)...)
	if s.Model.Idle {
		cmds = append(cmds, loadKnown(s, s.Load.ID, f)...)
	}
	return cmds
}

func titleFor(p Pane, ps PaneState) string {
	switch {
	case p == PaneInpaint || p == PaneCanvas:
		return ""
	case strings.TrimSpace(ps.Draft.Text) == "":
		return "About a picture"
	default:
		return Title(ps.Draft.Text)
	}
}

func tasks(list []engine.Task) string {
	var names []string
	for _, t := range list {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

func newRun(s *State, p Pane, task engine.Task, seed uint64, f Fresh) Run {
	ps := s.Panes[p]
	o := s.settings(task)
	o.Seed, o.Alternatives, o.Previews = seed, alternatives, isPicture(task)
	j := engine.Job{ID: f.ID, Task: task, Options: o}
	user := engine.Message{Role: "user", Text: ps.Draft.Text}
	parent := ps.EditOf
	switch task {
	case engine.Chat:
		j.Messages = s.earlier(parent)
	case engine.Describe:
		j.Image = ps.Draft.Picture
		user.Image = ps.Draft.Picture
	case engine.Inpaint:
		j.Image, j.Mask = ps.Draft.Picture, s.snapped(ps.Draft)
	case engine.Outpaint:
		j.Image, j.Frame = ps.Draft.Picture, ps.Draft.Frame
	}
	j.Messages = append(j.Messages, user)
	j.Words = wordsFor(task, ps.Draft)
	return Run{ID: f.ID, Session: ps.Session, Parent: parent, Created: f.Now, State: Queued, Job: j}
}

// earlier are the turns before the one of run until ("": before a new one) as messages, when they are to be sent.
func (s *State) earlier(until string) []engine.Message {
	var out []engine.Message
	if !s.Remember {
		return nil
	}
	for _, t := range s.Turns(PaneChat) {
		if slices.Contains(t.Versions, until) {
			break
		}
		r := s.Runs[t.Versions[t.Shown]]
		if r.Job.Task != engine.Chat || r.State != Done {
			continue
		}
		out = append(out, engine.Message{Role: "user", Text: Prompt(r.Job)}, engine.Message{Role: "assistant", Text: r.Text})
	}
	return out
}

func compareRuns(s *State, task engine.Task, seed uint64, f Fresh) []Run {
	ps := s.Panes[PaneCompare]
	var out []Run
	for i, c := range ps.Draft.Columns {
		o := c.Options
		o.Seed, o.Alternatives, o.Previews = seed, alternatives, isPicture(task)
		id := fmt.Sprintf("%s-%d", f.ID, i)
		out = append(out, Run{
			ID: id, Session: ps.Session, Group: f.ID, Created: f.Now.Add(time.Duration(i) * time.Millisecond), State: Queued,
			Job: engine.Job{ID: id, Task: task, Options: o, Messages: []engine.Message{{Role: "user", Text: ps.Draft.Text}}, Words: wordsFor(task, ps.Draft)},
		})
	}
	return out
}

// wordsFor are the words of a draft that a task fixes in its answer.
func wordsFor(task engine.Task, d Draft) []engine.Word {
	if isPicture(task) {
		return nil
	}
	return slices.Clone(d.Words)
}

func stop(s *State, p Pane) []Cmd {
	var cmds []Cmd
	var keep []string
	for i, id := range s.Queue {
		switch {
		case p != "" && PaneOf(s.Runs[id]) != p:
			keep = append(keep, id)
		case i == 0 && s.Model.Loaded:
			keep = append(keep, id)
			cmds = append(cmds, StopRun{id})
		default:
			forget(s, id)
		}
	}
	s.Queue = keep
	return cmds
}

// forget drops a run that never began.
func forget(s *State, id string) {
	p := PaneOf(s.Runs[id])
	s.setPane(p, func(ps *PaneState) { dropRun(ps, id) })
}

func dropRun(ps *PaneState, id string) {
	ps.Runs = slices.DeleteFunc(slices.Clone(ps.Runs), func(x string) bool { return x == id })
	if ps.Shown == id {
		ps.Shown = ""
		if n := len(ps.Runs); n > 0 {
			ps.Shown = ps.Runs[n-1]
		}
	}
}

func ended(s *State, m RunEnded) []Cmd {
	s.setRun(m.ID, func(r *Run) {
		r.State, r.Steps, r.Elapsed = m.State, m.Steps, m.Elapsed
		if m.Err != nil && m.State == Failed {
			r.Message = m.Err.Error()
		}
		if m.Finished != nil {
			r.Text, r.Think, r.Stats = m.Finished.Text, m.Finished.Think, m.Finished.Stats
		}
	})
	p := PaneOf(s.Runs[m.ID])
	if m.State == Failed {
		s.setPane(p, func(ps *PaneState) {
			ps.Err = m.Err
			if m.Steps == 0 { // nothing was made: nothing to show, and the prompt is there to be mended
				if p == PaneChat && ps.Draft.Text == "" {
					j := s.Runs[m.ID].Job
					ps.Draft.Text, ps.Draft.Picture = Prompt(j), j.Image
				}
				dropRun(ps, m.ID)
			}
		})
	}
	s.Queue = slices.DeleteFunc(slices.Clone(s.Queue), func(id string) bool { return id == m.ID })
	var cmds []Cmd
	if s.Runs[m.ID].Unwanted && m.Steps > 0 {
		cmds = append(cmds, HideRun{m.ID, true})
	}
	if len(s.Queue) == 0 {
		return cmds
	}
	next := s.Runs[s.Queue[0]]
	np := PaneOf(next)
	s.setPane(np, func(ps *PaneState) {
		if np == PaneChat {
			ps.Shown = next.ID
		}
	})
	return append(cmds, StartRun{next})
}

func regenerate(s *State, id string, f Fresh) []Cmd {
	old, ok := s.Runs[id]
	if !ok {
		return nil
	}
	r := Run{ID: f.ID, Session: old.Session, Parent: id, Created: f.Now, State: Queued, Job: old.Job}
	if f := old.Job.From; f != nil { // another version of the same branch
		r.Parent = f.Run
	}
	r.Job.ID = f.ID
	r.Job.Options.Seed = shortSeed(f.Seed)
	p := PaneOf(old)
	cmds := touch(s, p, "", f)
	s.setPane(p, func(ps *PaneState) { showNewest(&ps.Pick, s, id) })
	return append(cmds, enqueue(s, p, r)...)
}

// showNewest forgets which version of run id's turn was picked, so that the newest is shown.
func showNewest(pick *map[string]string, s *State, id string) {
	next := map[string]string{}
	for root, v := range *pick {
		next[root] = v
	}
	for _, t := range s.Turns(PaneChat) {
		if slices.Contains(t.Versions, id) {
			delete(next, t.Root)
		}
	}
	*pick = next
}

func editPrompt(s *State, id string, f Fresh) []Cmd {
	r, ok := s.Runs[id]
	if !ok {
		return nil
	}
	p := PaneOf(r)
	cmds := ensure(s, p, "", f)
	s.setPane(p, func(ps *PaneState) {
		ps.Draft.Text = Prompt(r.Job)
		if p == PaneChat {
			ps.EditOf, ps.Draft.Picture = id, r.Job.Image
			showNewest(&ps.Pick, s, id)
		}
	})
	cmds = append(cmds, keepText(s, p))
	if p == PaneChat {
		cmds = append(cmds, KeepPicture{s.Panes[p].Session, r.Job.Image})
	}
	return cmds
}

func deleteRun(s *State, id string) []Cmd {
	r, ok := s.Runs[id]
	if !ok {
		return nil
	}
	if !r.State.Over() {
		return stop(s, PaneOf(r))
	}
	s.setPane(PaneOf(r), func(ps *PaneState) { dropRun(ps, id) })
	name := Title(Prompt(r.Job))
	if name == "" {
		name = "a run"
	}
	return []Cmd{HideRun{id, true}, toast(s, RestoreRun{id}, "Deleted “%s”", name)}
}

func restoreRun(s *State, id string) []Cmd {
	r, ok := s.Runs[id]
	if !ok {
		return nil
	}
	p := PaneOf(r)
	s.setPane(p, func(ps *PaneState) {
		if r.Session != ps.Session || slices.Contains(ps.Runs, id) {
			return
		}
		ps.Runs = append(slices.Clone(ps.Runs), id)
		slices.SortStableFunc(ps.Runs, func(a, b string) int { return s.Runs[a].Created.Compare(s.Runs[b].Created) })
		ps.Shown = id
	})
	return []Cmd{HideRun{id, false}}
}

// snapped is the image mask of a draft in whole cells of the model's grid: what the run will re-imagine, exactly.
func (s *State) snapped(d Draft) *image.Alpha {
	if d.Mask == nil || d.Picture == nil || s.Model.Spec.Image == nil {
		return d.Mask
	}
	b := d.Picture.Bounds()
	return mask.From(d.Mask, b.Dx(), b.Dy()).Snapped(s.Model.Spec.Image.Grid)
}
