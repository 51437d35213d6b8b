package chat

import (
	"fmt"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/widgets"
)

// draftID is the id that a branch that is not run yet has in the tree.
func draftID(run string, step int) string { return fmt.Sprintf("draft:%d:%s", step, run) }

// parseDraft reverses draftID.
func parseDraft(id string) (run string, step int, ok bool) {
	rest, ok := strings.CutPrefix(id, "draft:")
	if !ok {
		return "", 0, false
	}
	number, run, ok := strings.Cut(rest, ":")
	if _, err := fmt.Sscan(number, &step); err != nil {
		return "", 0, false
	}
	return run, step, ok
}

// turnOf is the turn that run is a version of.
func turnOf(s *state.State, run string) (state.Turn, bool) {
	for _, t := range s.Turns(state.PaneChat) {
		if slices.Contains(t.Versions, run) {
			return t, true
		}
	}
	return state.Turn{}, false
}

// nodes are the runs of the turn that holds the run shown, every one followed by what goes on from it.
func (p *Pane) nodes(s *state.State) (out []widgets.TreeNode, shown string) {
	ps := s.Panes[state.PaneChat]
	t, ok := turnOf(s, ps.Shown)
	if !ok {
		return nil, ""
	}
	number := map[string]int{}
	for _, id := range t.Versions {
		if s.Runs[id].Job.From == nil {
			number[id] = len(number) + 1
		}
	}
	shown = ps.Shown
	var add func(parent int, id string)
	add = func(parent int, id string) {
		r := s.Runs[id]
		n := widgets.TreeNode{ID: id, Parent: parent, Title: state.TitleOf(r, number[id]), Note: state.NoteOf(r, s.Runs[r.Parent])}
		if f := r.Job.From; f != nil {
			n.Edge = fmt.Sprintf("s %d", f.Step)
		}
		if d, of, ok := p.differ(id, r.Parent); ok && r.Parent != "" {
			if d == 0 {
				n.Note += " · the same"
			} else {
				n.Note += fmt.Sprintf(" · %d of %d differ", d, of)
			}
		}
		at := len(out)
		out = append(out, n)
		for _, v := range t.Versions {
			if f := s.Runs[v].Job.From; f != nil && f.Run == id {
				add(at, v)
			}
		}
		for _, b := range ps.Draft.Branches {
			if b.Run == id && !b.Empty() {
				d := draftID(id, b.Step)
				out = append(out, widgets.TreeNode{ID: d, Parent: at, Title: "New branch", Note: b.Sum(), Edge: fmt.Sprintf("s %d", b.Step), Draft: true})
				if v := p.env.View(id); id == ps.Shown && v != nil && v.Step() == b.Step {
					shown = d
				}
			}
		}
	}
	for _, id := range t.Versions {
		if f := s.Runs[id].Job.From; f == nil || !slices.Contains(t.Versions, f.Run) {
			add(-1, id)
		}
	}
	return out, shown
}

// differ counts the positions at which two runs end differently; ok is false until both have ended.
func (p *Pane) differ(a, b string) (n, of int, ok bool) {
	x, y := p.env.View(a), p.env.View(b)
	if x == nil || y == nil || !x.Run.Done() || !y.Run.Done() || x.Run.Started() == nil || y.Run.Started() == nil {
		return 0, 0, false
	}
	n, of = x.Run.Differ(y.Run)
	return n, of, true
}

// showNode shows a run of the tree, or the step of a branch that is not run yet.
func (p *Pane) showNode(id string) {
	run, step, draft := parseDraft(id)
	if !draft {
		run = id
	}
	if t, ok := turnOf(p.now, run); ok {
		p.env.Dispatch(state.PickTurn{Root: t.Root, Run: run})
	}
	if draft {
		p.env.Seek(step)
	}
}

// rename asks for the name of a run in a field at its place.
func (p *Pane) rename(id string, at fyne.Position) {
	f := parts.NewField("Name of this run", false)
	f.SetText(p.now.Runs[id].Name)
	var pop *widget.PopUp
	shut := func() {
		pop.Hide()
		p.env.Window().Canvas().Overlays().Remove(pop)
	}
	f.OnEscape = shut
	f.OnSubmitted = func(text string) {
		shut()
		p.env.Dispatch(state.NameRun{Run: id, Name: text})
	}
	pop = widget.NewPopUp(parts.Fixed(210, 36, f), p.env.Window().Canvas())
	pop.ShowAtPosition(at)
	p.env.Window().Canvas().Focus(f)
}

// deleteNode deletes a run, or drops a branch that is not run yet; both can be undone.
func (p *Pane) deleteNode(id string) {
	if run, step, ok := parseDraft(id); ok {
		p.env.Dispatch(state.DropBranch{Pane: state.PaneChat, Run: run, Step: step})
		return
	}
	p.env.Dispatch(state.DeleteRun{Run: id})
}

// inspect opens the inspector for a token of a turn; at is below it, in the strip.
func (p *Pane) inspect(t *turn, pos int, at fyne.Position) {
	if p.now.Panes[state.PaneChat].Shown != t.run {
		p.env.Dispatch(state.ShowRun{Pane: state.PaneChat, Run: t.run})
	}
	if v := p.env.View(t.run); v != nil {
		o := fyne.CurrentApp().Driver().AbsolutePositionForObject(t.strip)
		p.branch.Open(v, pos, o.Add(at))
	}
}

// where is where a position of the run shown stands in the window.
func (p *Pane) where(pos int) (fyne.Position, bool) {
	for _, t := range p.turns {
		if t.run != p.now.Panes[state.PaneChat].Shown {
			continue
		}
		if at, size, ok := t.strip.Rect(pos); ok {
			o := fyne.CurrentApp().Driver().AbsolutePositionForObject(t.strip)
			return o.AddXY(at.X, at.Y+size.Height), true
		}
	}
	return fyne.Position{}, false
}

// setBrush lets drags over answers paint words to re-imagine, or select them.
func (p *Pane) setBrush(on bool) {
	p.brush = on
	for _, t := range p.turns {
		t.strip.SetBrush(on)
		t.paint.SetOn(on)
	}
	if on {
		p.env.Note("Paint words to mask them again, then run on from here")
	} else {
		p.env.Note("")
	}
}

// showBranch shows the branch bar in place of the prompt while the step shown lies in the past or was changed.
func (p *Pane) showBranch() {
	on := p.branch.Active()
	if on == p.branch.Bar.Visible() {
		return
	}
	visible(p.branchRow, on)
	visible(p.branch.Bar, on)
	visible(p.row, !on)
	p.root.Refresh()
}

// strip is the strip of the run shown, nil where there is none.
func (p *Pane) strip() *widgets.TokenStrip {
	for _, t := range p.turns {
		if t.run == p.now.Panes[state.PaneChat].Shown {
			return t.strip
		}
	}
	return nil
}

// letter does what a letter means for the tokens of the run shown.
func (p *Pane) letter(r rune) bool {
	if r == 'b' || r == 'B' {
		p.setBrush(!p.brush)
		return true
	}
	s := p.strip()
	if s == nil {
		return false
	}
	return p.branch.Key(r, p.env.View(p.now.Panes[state.PaneChat].Shown), s.Shown(), s.Selected())
}

// showTree shows the runs of the turn where there are several, in place of the small canvas.
func (p *Pane) showTree(s *state.State) {
	nodes, shown := p.nodes(s)
	on := len(nodes) > 1
	if !slices.ContainsFunc(nodes, func(n widgets.TreeNode) bool { return n.ID == p.picked }) || p.picked == shown {
		p.picked = ""
	}
	p.panel.tree.Set(nodes, shown, p.picked)
	note := "Shift+click marks what differs"
	if n, of, ok := p.differ(p.picked, s.Panes[state.PaneChat].Shown); ok && p.picked != "" {
		note = fmt.Sprintf("%d of %d tokens differ", n, of)
	}
	p.panel.compare.Set(note)
	if on != p.panel.treeBox.Visible() {
		visible(p.panel.treeBox, on)
		visible(p.panel.stageBox, !on)
		p.panel.box.Refresh()
	}
}

// marks are the positions at which v stands otherwise than the end of the run picked beside it.
func (p *Pane) marks(v *state.View) (out []int) {
	other := p.env.View(p.picked)
	if p.picked == "" || other == nil || other.Run.Started() == nil {
		return nil
	}
	a, b := v.State(), other.Run.At(other.Run.Len())
	for pos := a.Answer.Lo; pos < min(a.Answer.Hi, len(b.Cells)); pos++ {
		if !a.Cells[pos].Masked && !b.Cells[pos].Masked && a.Cells[pos].Token != b.Cells[pos].Token {
			out = append(out, pos)
		}
	}
	return out
}

// PromptPlace is a point in the prompt's field, in the window; ok is false while it is not shown.
func (p *Pane) PromptPlace() (at fyne.Position, ok bool) {
	at = fyne.CurrentApp().Driver().AbsolutePositionForObject(p.entry)
	return at.AddXY(40, p.entry.Size().Height/2), p.row.Visible() && at.Y > 0
}

// TokenPlace is the middle of a token of the run shown, in the window.
func (p *Pane) TokenPlace(pos int) (at fyne.Position, ok bool) {
	s := p.strip()
	if s == nil {
		return at, false
	}
	o := fyne.CurrentApp().Driver().AbsolutePositionForObject(s)
	in, size, ok := s.Rect(pos)
	return o.AddXY(in.X+size.Width/2, in.Y+size.Height/2), ok && o.Y > 0
}

// Inspecting is the position in the inspector, -1 while it is shut, and how many candidates it shows.
func (p *Pane) Inspecting() (pos, candidates int) { return p.branch.Inspecting() }

// Nodes is how many runs the tree has.
func (p *Pane) Nodes() int {
	n, _ := p.nodes(p.now)
	return len(n)
}
