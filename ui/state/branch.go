package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/ui/run"
)

// maxBranches bounds the branches of a session that are not run yet; the oldest ones go first.
const maxBranches = 16

// Deed is one thing that a person does at one position before a run goes on from there.
type Deed struct {
	Pos   int            `json:"pos"`
	Kind  engine.ActKind `json:"kind"`
	Token engine.Token   `json:"token"` // pin: what is to stand there
	Text  string         `json:"text,omitempty"`
	Was   string         `json:"was,omitempty"`
}

// Branch is what a person changes at a step of a run and has not run yet.
type Branch struct {
	Run     string          `json:"run"`
	Step    int             `json:"step"`
	Done    [][]Deed        `json:"done,omitempty"` // in order; a group is undone at once
	Undone  [][]Deed        `json:"undone,omitempty"`
	Options *engine.Options `json:"options,omitempty"` // nil: those of the run, see [Branch.RunOptions]
	More    int             `json:"more,omitempty"`    // masks added behind the answer
}

// Empty reports whether b changes nothing.
func (b *Branch) Empty() bool { return len(b.Done) == 0 && b.Options == nil && b.More == 0 }

// Placed is the state that a branch begins with.
type Placed struct {
	Tokens []engine.Token
	Pinned map[int]bool   // by the person, here or in the runs before
	Masked map[int]bool   // masked again here
	Texts  map[int]string // put there here
	Words  []engine.Word  // typed here
	Acts   []engine.Act
	Left   int // masks
}

// Place applies what was done in b to the state s of the run that began with st.
func (b *Branch) Place(s *run.State, st *engine.Started) Placed {
	p := Placed{Pinned: map[int]bool{}, Masked: map[int]bool{}, Texts: map[int]string{}}
	if st.Job.From != nil {
		for _, i := range st.Job.From.Pinned {
			p.Pinned[i] = true
		}
	}
	for i := range s.Cells {
		t := s.Cells[i].Token
		if s.Cells[i].Masked {
			t = st.Spec.Mask
		}
		p.Tokens = append(p.Tokens, t)
	}
	typed := map[int]string{}
	for _, group := range b.Done {
		for _, d := range group {
			if d.Pos < 0 || d.Pos >= len(s.Cells) || s.Cells[d.Pos].Fixed && !p.Pinned[d.Pos] {
				continue
			}
			delete(typed, d.Pos)
			delete(p.Masked, d.Pos)
			delete(p.Texts, d.Pos)
			switch d.Kind {
			case engine.ActPin:
				p.Tokens[d.Pos], p.Pinned[d.Pos] = d.Token, true
				p.Texts[d.Pos] = d.Text
			case engine.ActUnpin:
				delete(p.Pinned, d.Pos)
			case engine.ActRemask:
				p.Tokens[d.Pos] = st.Spec.Mask
				delete(p.Pinned, d.Pos)
				p.Masked[d.Pos] = !s.Cells[d.Pos].Masked
				if s.Cells[d.Pos].Masked {
					delete(p.Masked, d.Pos)
				}
			case engine.ActType:
				p.Tokens[d.Pos] = st.Spec.Mask
				delete(p.Pinned, d.Pos)
				typed[d.Pos], p.Texts[d.Pos] = d.Text, d.Text
			}
			p.Acts = append(p.Acts, engine.Act{Pos: d.Pos, Kind: d.Kind, Was: d.Was, Text: d.Text})
		}
	}
	for _, pos := range slices.Sorted(maps.Keys(typed)) {
		p.Words = append(p.Words, engine.Word{At: pos - st.Answer.Lo, Text: typed[pos]})
	}
	for i, t := range p.Tokens {
		if t == st.Spec.Mask && !s.Cells[i].Fixed {
			p.Left++
		}
	}
	p.Left += b.More - len(typed)
	return p
}

// Job is the job of the run that b asks for, after a run that began with st and stands at s.
func (b *Branch) Job(s *run.State, st *engine.Started) engine.Job {
	p := b.Place(s, st)
	j := st.Job
	f := &engine.From{Run: b.Run, Step: b.Step, Tokens: p.Tokens, Pinned: slices.Sorted(maps.Keys(p.Pinned)), Anew: len(p.Masked) > 0 || b.More > 0, Acts: p.Acts}
	if st.Job.From != nil {
		f.Before = st.Job.From.Before + st.Job.From.Step
	}
	j.From = f
	j.Words = nil
	for _, w := range st.Job.Words { // what was typed before stays, unless something was done there
		if !slices.ContainsFunc(p.Acts, func(a engine.Act) bool { return a.Pos == st.Answer.Lo+w.At }) {
			j.Words = append(j.Words, w)
		}
	}
	j.Words = append(j.Words, p.Words...)
	j.Options = b.RunOptions(s, st)
	if b.More > 0 {
		j.Options.Length = st.Answer.Len() + b.More
	}
	return j
}

// RunOptions are the settings that b runs on with: those that were chosen, or those of the run with as many passes as were
// left, or, where something was masked again, with as many tokens a pass.
func (b *Branch) RunOptions(s *run.State, st *engine.Started) engine.Options {
	if b.Options != nil {
		return *b.Options
	}
	o := st.Job.Options
	o.Params = maps.Clone(o.Params)
	p := b.Place(s, st)
	o.Steps = max(1, st.Steps-s.Step)
	if len(p.Masked) > 0 || b.More > 0 || st.Steps <= s.Step {
		first := 0
		for i, t := range st.Sequence.Tokens {
			if t == st.Spec.Mask && !st.Sequence.Fixed[i] {
				first++
			}
		}
		if first > 0 && st.Steps > 0 {
			o.Steps = max(1, (p.Left*st.Steps+first-1)/first)
		}
	}
	return o
}

// Sum says in a few words what b changes.
func (b *Branch) Sum() string {
	var acts []engine.Act
	for _, group := range b.Done {
		for _, d := range group {
			acts = append(acts, engine.Act{Pos: d.Pos, Kind: d.Kind, Was: d.Was, Text: d.Text})
		}
	}
	sum := strings.ToLower(actsTitle(acts))
	if sum == "" {
		sum = "other settings"
	}
	return sum + " · not run yet"
}

// BranchAt is the branch of pane p that is not run yet at a step of a run; an empty one where there is none.
func (s *State) BranchAt(p Pane, run string, step int) Branch {
	for _, b := range s.Panes[p].Draft.Branches {
		if b.Run == run && b.Step == step {
			return b
		}
	}
	return Branch{Run: run, Step: step}
}

func updateBranch(s *State, m Msg, f Fresh) []Cmd {
	// size: one case a message.
	switch m := m.(type) {
	case Touch:
		if len(m.Deeds) == 0 {
			return nil
		}
		return editBranch(s, m.Pane, m.Run, m.Step, func(b *Branch) {
			b.Done, b.Undone = append(slices.Clone(b.Done), m.Deeds), nil
		})
	case UndoTouch:
		return editBranch(s, m.Pane, m.Run, m.Step, func(b *Branch) {
			if n := len(b.Done); n > 0 {
				b.Undone = append(slices.Clone(b.Undone), b.Done[n-1])
				b.Done = b.Done[:n-1]
			}
		})
	case RedoTouch:
		return editBranch(s, m.Pane, m.Run, m.Step, func(b *Branch) {
			if n := len(b.Undone); n > 0 {
				b.Done = append(slices.Clone(b.Done), b.Undone[n-1])
				b.Undone = b.Undone[:n-1]
			}
		})
	case SetBranch:
		return editBranch(s, m.Pane, m.Run, m.Step, func(b *Branch) { b.Options = m.Options })
	case MoreMasks:
		return editBranch(s, m.Pane, m.Run, m.Step, func(b *Branch) { b.More = m.More })
	case DropBranch:
		b := s.BranchAt(m.Pane, m.Run, m.Step)
		if b.Empty() {
			return nil
		}
		cmds := editBranch(s, m.Pane, m.Run, m.Step, func(b *Branch) { *b = Branch{Run: b.Run, Step: b.Step} })
		return append(cmds, toast(s, restoreBranch{m.Pane, b}, "Dropped the changes at step %d", m.Step))
	case restoreBranch:
		return editBranch(s, m.Pane, m.Branch.Run, m.Branch.Step, func(b *Branch) { *b = m.Branch })
	case RunOn:
		return runOn(s, m, f)
	case undoRunOn:
		cmds := stopOne(s, m.Run)
		if r := s.Runs[m.Run]; r.State.Over() {
			s.setPane(m.Pane, func(ps *PaneState) { dropRun(ps, m.Run) })
			cmds = append(cmds, HideRun{m.Run, true})
		}
		s.setPane(m.Pane, func(ps *PaneState) {
			if slices.Contains(ps.Runs, m.Branch.Run) {
				ps.Shown = m.Branch.Run
			}
		})
		return append(cmds, editBranch(s, m.Pane, m.Branch.Run, m.Branch.Step, func(b *Branch) { *b = m.Branch })...)
	case SetWords:
		cmds := ensure(s, m.Pane, "", f)
		s.setPane(m.Pane, func(ps *PaneState) { ps.Draft.Words = slices.Clone(m.Words) })
		return append(cmds, keepText(s, m.Pane))
	case NameRun:
		name := strings.TrimSpace(m.Name)
		if r := []rune(name); len(r) > 60 {
			name = string(r[:60])
		}
		s.setRun(m.Run, func(r *Run) { r.Name = name })
		return []Cmd{KeepName{m.Run, name}}
	}
	return nil
}

// editBranch changes the branch at a step of a run, which is made where it is not there and goes where it is empty.
func editBranch(s *State, p Pane, run string, step int, change func(*Branch)) []Cmd {
	b := s.BranchAt(p, run, step)
	change(&b)
	s.setPane(p, func(ps *PaneState) {
		list := slices.DeleteFunc(slices.Clone(ps.Draft.Branches), func(x Branch) bool { return x.Run == run && x.Step == step })
		if !b.Empty() || len(b.Undone) > 0 {
			list = append(list, b)
		}
		if len(list) > maxBranches {
			list = list[len(list)-maxBranches:]
		}
		ps.Draft.Branches = list
	})
	return []Cmd{keepText(s, p)}
}

// runOn makes the run that a branch asks for.
func runOn(s *State, m RunOn, f Fresh) []Cmd {
	old, ok := s.Runs[m.Run]
	if !ok || m.Job.From == nil {
		return nil
	}
	p := PaneOf(old)
	r := Run{ID: f.ID, Session: old.Session, Parent: m.Run, Group: old.Group, Created: f.Now, State: Queued, Job: m.Job}
	r.Job.ID = f.ID
	r.Job.Options.Alternatives, r.Job.Options.Previews = alternatives, isPicture(m.Job.Task)
	kept := s.BranchAt(p, m.Run, m.Step)
	cmds := editBranch(s, p, m.Run, m.Step, func(b *Branch) { *b = Branch{Run: b.Run, Step: b.Step} })
	cmds = append(cmds, touch(s, p, "", f)...)
	s.setPane(p, func(ps *PaneState) { showNewest(&ps.Pick, s, m.Run) })
	cmds = append(cmds, enqueue(s, p, r)...)
	s.setPane(p, func(ps *PaneState) { ps.Shown = r.ID })
	return append(cmds, toast(s, undoRunOn{p, r.ID, kept}, "Runs on from step %d", m.Step))
}

// stopOne stops a run or takes it out of the queue.
func stopOne(s *State, id string) []Cmd {
	i := slices.Index(s.Queue, id)
	switch {
	case i < 0:
		return nil
	case i == 0 && s.Model.Loaded:
		s.setPane(PaneOf(s.Runs[id]), func(ps *PaneState) { dropRun(ps, id) })
		s.setRun(id, func(r *Run) { r.Unwanted = true })
		return []Cmd{StopRun{id}}
	}
	s.Queue = slices.DeleteFunc(slices.Clone(s.Queue), func(x string) bool { return x == id })
	forget(s, id)
	return nil
}

// TitleOf names a run for people: the name that it was given, else what was changed for it, else its number among the
// versions of its turn.
func TitleOf(r Run, n int) string {
	switch f := r.Job.From; {
	case r.Name != "":
		return r.Name
	case f == nil && r.Parent == "" || f == nil:
		return fmt.Sprintf("Run %d", n)
	default:
		if t := actsTitle(f.Acts); t != "" {
			return t
		}
		return fmt.Sprintf("From step %d", f.Step)
	}
}

// actsTitle sums acts up in a few words.
func actsTitle(acts []engine.Act) string {
	last := map[int]engine.Act{}
	for _, a := range acts {
		last[a.Pos] = a
	}
	masked := 0
	var texts []string
	for _, pos := range slices.Sorted(maps.Keys(last)) {
		switch a := last[pos]; a.Kind {
		case engine.ActRemask:
			masked++
		case engine.ActPin, engine.ActType:
			t := strings.TrimSpace(a.Text)
			if t == "" {
				t = "a cell"
			} else {
				t = "“" + t + "”"
			}
			texts = append(texts, t)
		}
	}
	switch {
	case len(texts) > 2:
		return fmt.Sprintf("Pinned %d", len(texts))
	case len(texts) > 0 && masked > 0:
		return fmt.Sprintf("Pinned %s, %d masked", strings.Join(texts, ", "), masked)
	case len(texts) > 0:
		return "Pinned " + strings.Join(texts, ", ")
	case masked > 0:
		return Plural(masked, "token") + " masked again"
	}
	return ""
}

// NoteOf is the second line of a run in the tree: what it was made with that its parent was not.
func NoteOf(r Run, parent Run) string {
	o := r.Job.Options
	if r.Job.From == nil {
		return fmt.Sprintf("%s · seed %d", strings.ToLower(SamplerTitle(o.Sampler)), o.Seed)
	}
	var notes []string
	if o.Sampler != parent.Job.Options.Sampler {
		notes = append(notes, strings.ToLower(SamplerTitle(o.Sampler)))
	}
	if o.Seed != parent.Job.Options.Seed {
		notes = append(notes, fmt.Sprintf("seed %d", o.Seed))
	}
	if len(notes) == 0 {
		notes = append(notes, "same settings")
	}
	return strings.Join(notes, " · ")
}
