package ui

import (
	"fmt"

	"unmask/ui/chat"
	"unmask/ui/models"
	"unmask/ui/state"
)

// tracer writes lines that tests of the whole program wait for. The zero value writes nothing.
type tracer struct {
	line func(string)
	seen map[string]string
}

// say writes a line unless the same one was the last under its key.
func (t *tracer) say(key, format string, args ...any) {
	if t.line == nil {
		return
	}
	l := fmt.Sprintf(format, args...)
	if t.seen == nil {
		t.seen = map[string]string{}
	}
	if t.seen[key] != l {
		t.seen[key] = l
		t.line(l)
	}
}

func (t *tracer) state(s *state.State) {
	if t.line == nil {
		return
	}
	switch {
	case s.Model.Err != nil:
		t.say("model", "MODEL failed %v", s.Model.Err)
	case s.Model.Loaded:
		t.say("model", "READY %s", s.Model.Spec.Name)
	}
	where := string(s.Pane)
	if s.Welcome {
		where = "welcome"
	}
	t.say("pane", "PANE %s", where)
	t.say("drafts", "DRAFTS %d", len(s.Panes[state.PaneChat].Draft.Branches))
	for _, p := range state.Panes {
		ps := s.Panes[p]
		t.say("history "+string(p), "HISTORY %s %d sessions, %d runs", p, len(ps.List), len(ps.Runs))
		if ps.Err != nil {
			t.say("error "+string(p), "ERROR %s %v", p, ps.Err)
		}
	}
	in := s.Panes[state.PaneInpaint].Draft
	if in.Picture != nil {
		t.say("picture", "PICTURE %d", s.Panes[state.PaneInpaint].MaskVersion)
	}
	n, all := 0, 1
	if in.Mask != nil {
		all = len(in.Mask.Pix)
		for _, a := range in.Mask.Pix {
			if a >= 128 {
				n++
			}
		}
	}
	t.say("mask", "MASK %.4f", float64(n)/float64(max(all, 1)))
	if r := s.Active(); r != nil && r.State == state.Running {
		t.say("run "+r.ID, "RUN started %s %s", state.PaneOf(*r), r.ID)
	}
	if s.Toast.Open {
		t.say("toast", "TOAST %s", s.Toast.Text)
	}
}

// ended writes how a run ended.
func (t *tracer) ended(m state.RunEnded) {
	text := ""
	if m.Finished != nil {
		text = m.Finished.Text
	}
	t.say("ended "+m.ID, "RUN %s %s %d steps %q", m.State, m.ID, m.Steps, text)
}

// steps writes how far the run under way is, and which step is shown.
func (t *tracer) steps(s *Store) {
	if t.line == nil {
		return
	}
	if r := s.now.Active(); r != nil {
		if v := s.View(r.ID); v != nil && v.Run.Started() != nil {
			t.say("step", "STEP %d/%d %s", v.Run.Len(), v.Run.Planned(), r.ID)
		}
	}
	if v := s.View(s.now.At().Shown); v != nil {
		t.say("shown", "SHOWN %d/%d", v.Step(), v.Run.Len())
	}
}

// places writes where in the window, in pixels, a test can put the pointer in the pane in front.
func (t *tracer) places(w *Window) {
	if t.line == nil || w.shell == nil || w.store.now.Welcome {
		return
	}
	switch p := w.shell.front().(type) {
	case *chat.Pane:
		t.chat(w, p)
	case *models.Pane:
		t.models(w, p)
	}
}

// models writes the places of the rows of the list and of the main action, with what they say.
func (t *tracer) models(w *Window, p *models.Pane) {
	delete(t.seen, "prompt") // it is said again when Chat comes back
	k := w.Scale()
	for i, name := range p.Names() {
		if at, ok := p.RowPlace(i); ok {
			t.say("row "+name, "ROW %.0f %.0f %s", at.X*k, at.Y*k, name)
		}
	}
	if at, words, ok := p.ActionPlace(); ok {
		t.say("action", "ACTION %.0f %.0f %s", at.X*k, at.Y*k, words)
	}
}

// chat writes the places of the prompt and of the first token that the step shown has written, and what the inspector
// shows.
func (t *tracer) chat(w *Window, c *chat.Pane) {
	if w.store.now.Pane != state.PaneChat {
		return
	}
	delete(t.seen, "action") // it is said again when Models comes back
	k := w.Scale()
	if at, ok := c.PromptPlace(); ok {
		t.say("prompt", "PROMPT %.0f %.0f", at.X*k, at.Y*k)
	}
	if v := w.View(w.store.now.At().Shown); v != nil && v.Step() > 0 {
		for _, ch := range v.Run.Step(v.Step()).Changes {
			if at, ok := c.TokenPlace(ch.Pos); ok && ch.Text != "" {
				t.say("token", "TOKEN %.0f %.0f %d %d/%d %q", at.X*k, at.Y*k, ch.Pos, v.Step(), v.Run.Len(), ch.Text)
				break
			}
		}
	}
	pos, n := c.Inspecting()
	t.say("inspect", "INSPECT %d %d", pos, n)
	t.say("tree", "TREE %d", c.Nodes())
}
