package ui

import (
	"strings"
	"testing"

	"unmask/engine"
	"unmask/ui/state"
	"unmask/ui/state/historytest"
)

// answered opens a window, asks one thing and returns the run.
func answered(t *testing.T, h state.History) (*Window, string) {
	t.Helper()
	w := open(t, h)
	w.Dispatch(state.LeaveWelcome{})
	wait(t, w, "the first start's run", func(s *state.State) bool { return len(s.Queue) == 0 })
	w.Dispatch(state.ShowPane{Pane: state.PaneChat})
	w.Dispatch(state.EditDraft{Pane: state.PaneChat, Text: "one two three four"})
	w.Dispatch(state.Submit{Pane: state.PaneChat})
	wait(t, w, "the answer", done(state.PaneChat, 1))
	return w, w.store.now.Panes[state.PaneChat].Runs[0]
}

// TestRunOnFromAStep goes back in a run, pins an alternative and masks a token again, takes both back and does them again,
// runs on, and finds run, branch and name after a restart.
func TestRunOnFromAStep(t *testing.T) {
	h := historytest.NewMem()
	w, first := answered(t, h)
	w.Seek(6)
	v := w.View(first)
	if v.Step() != 6 {
		t.Fatalf("the play head is at step %d, want 6", v.Step())
	}
	written := v.Run.Step(6).Changes[0]
	before := v.Run.Step(5).Changes[0]
	other := written.Top[1]
	w.Dispatch(state.Touch{Pane: state.PaneChat, Run: first, Step: 6, Deeds: []state.Deed{{Pos: written.Pos, Kind: engine.ActPin, Token: other.Token, Text: other.Text}}})
	w.Dispatch(state.Touch{Pane: state.PaneChat, Run: first, Step: 6, Deeds: []state.Deed{{Pos: before.Pos, Kind: engine.ActRemask, Was: before.Text}}})
	at := state.UndoTouch{Pane: state.PaneChat, Run: first, Step: 6}
	w.Dispatch(at)
	if b := w.store.now.BranchAt(state.PaneChat, first, 6); len(b.Done) != 1 || len(b.Undone) != 1 {
		t.Fatalf("after undo %d changes stand and %d can be done again", len(b.Done), len(b.Undone))
	}
	w.Dispatch(state.RedoTouch(at))
	b := w.store.now.BranchAt(state.PaneChat, first, 6)
	p := b.Place(v.State(), v.Run.Started())
	if !p.Pinned[written.Pos] || p.Tokens[written.Pos] != other.Token || !p.Masked[before.Pos] {
		t.Fatalf("the branch has %+v", p)
	}
	if want := v.State().Masked + 1; p.Left != want {
		t.Errorf("%d masks are left, want %d", p.Left, want)
	}
	w.Dispatch(state.RunOn{Run: first, Step: 6, Job: b.Job(v.State(), v.Run.Started())})
	wait(t, w, "the branch", done(state.PaneChat, 2))
	second := w.store.now.Panes[state.PaneChat].Runs[1]
	r := w.store.now.Runs[second]
	if r.Parent != first || r.Job.From == nil || r.Job.From.Step != 6 || r.Job.From.Run != first {
		t.Fatalf("the branch goes on from %q: %+v", r.Parent, r.Job.From)
	}
	last := w.View(second).Run.At(1 << 20)
	if c := last.Cells[written.Pos]; c.Token != other.Token || !c.Fixed {
		t.Errorf("position %d holds %q, was pinned to %q", written.Pos, c.Text, other.Text)
	}
	if last.Cells[before.Pos].Step == 0 {
		t.Errorf("position %d was masked again and never written", before.Pos)
	}
	if n, of := w.View(second).Run.Differ(w.View(first).Run); n != 1 || of == 0 {
		t.Errorf("%d of %d positions differ, want the pinned one", n, of)
	}
	if got := state.TitleOf(r, 2); !strings.Contains(got, strings.TrimSpace(other.Text)) {
		t.Errorf("the branch is called %q", got)
	}
	if turns := w.store.now.Turns(state.PaneChat); len(turns) != 1 || len(turns[0].Versions) != 2 {
		t.Errorf("the branch is no version of its turn: %+v", turns)
	}
	w.Dispatch(state.NameRun{Run: second, Name: "  another end "})
	w.Dispatch(state.Touch{Pane: state.PaneChat, Run: second, Step: 2, Deeds: []state.Deed{{Pos: before.Pos, Kind: engine.ActRemask}}})
	shut(w)

	again := open(t, h)
	defer shut(again)
	wait(t, again, "what was kept", func(s *state.State) bool {
		return len(s.Panes[state.PaneChat].Runs) == 2 && again.View(second) != nil
	})
	r = again.store.now.Runs[second]
	if r.Name != "another end" || r.Job.From == nil || len(r.Job.From.Acts) != 2 {
		t.Errorf("after a restart the branch is %q with %+v", r.Name, r.Job.From)
	}
	if b := again.store.now.BranchAt(state.PaneChat, second, 2); len(b.Done) != 1 {
		t.Error("the branch that was not run is gone after a restart")
	}
}

// TestRunOnCanBeTakenBack undoes a branch from its toast: the run goes and what was changed stands again.
func TestRunOnCanBeTakenBack(t *testing.T) {
	w, first := answered(t, historytest.NewMem())
	defer shut(w)
	w.Seek(4)
	v := w.View(first)
	pos := v.Run.Step(3).Changes[0].Pos
	w.Dispatch(state.Touch{Pane: state.PaneChat, Run: first, Step: 4, Deeds: []state.Deed{{Pos: pos, Kind: engine.ActRemask}}})
	b := w.store.now.BranchAt(state.PaneChat, first, 4)
	w.Dispatch(state.RunOn{Run: first, Step: 4, Job: b.Job(v.State(), v.Run.Started())})
	wait(t, w, "the branch", done(state.PaneChat, 2))
	if !w.store.now.Toast.Open {
		t.Fatal("nothing offers to take it back")
	}
	w.Dispatch(state.UndoToast{})
	ps := w.store.now.Panes[state.PaneChat]
	if len(ps.Runs) != 1 || ps.Shown != first {
		t.Errorf("runs %v, shown %s", ps.Runs, ps.Shown)
	}
	if b := w.store.now.BranchAt(state.PaneChat, first, 4); len(b.Done) != 1 {
		t.Error("what was changed is gone")
	}
}

// TestProbeAsksTheModel asks what the model believes of a token of a run that kept nothing.
func TestProbeAsksTheModel(t *testing.T) {
	w, first := answered(t, historytest.NewMem())
	defer shut(w)
	v := w.View(first)
	w.Seek(3)
	pos := v.Run.Step(9).Changes[0].Pos
	b := state.Branch{Run: first, Step: 3}
	j := b.Job(v.State(), v.Run.Started())
	j.Options.Watch, j.Options.Alternatives, j.Options.Block, j.Options.Steps = true, 3, 0, 1
	w.Dispatch(state.Probe{Run: first, Step: 3, Pos: pos, Job: j})
	wait(t, w, "what the model believes", func(*state.State) bool {
		l, ok := v.Asked[state.Asked{Step: 3, Pos: pos}]
		return ok && len(l.Top) == 3
	})
}
