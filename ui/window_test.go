package ui

import (
	"image"
	"image/color"
	"log/slog"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"unmask/engine"
	"unmask/engine/enginetest"
	"unmask/ui/state"
	"unmask/ui/state/historytest"
)

// open makes the whole window on the scripted session, with a history in memory, in Fyne's test driver. The test is the
// window's goroutine: wait empties the mailbox.
func open(t *testing.T, h state.History, pass ...time.Duration) *Window {
	t.Helper()
	app := test.NewTempApp(t)
	session := &enginetest.Session{}
	if len(pass) > 0 {
		session.Delay = pass[0]
	}
	w := newWindow(app, Config{Session: session, History: h, Log: slog.New(slog.DiscardHandler), Version: "test", Software: true})
	w.win.Resize(fyne.NewSize(1280, 800))
	for _, c := range func() []state.Cmd { _, c := state.Start(); return c }() {
		w.runner.Do(c)
	}
	wait(t, w, "the model", func(s *state.State) bool { return s.Model.Loaded })
	return w
}

// wait empties the mailbox until ok.
func wait(t *testing.T, w *Window, what string, ok func(s *state.State) bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(&w.store.now); {
		select {
		case <-w.box.ready:
			w.tick()
		case <-time.After(time.Until(end)):
			t.Fatalf("%s did not come within 30 s", what)
		}
	}
}

// done reports whether pane p has n runs and none under way.
func done(p state.Pane, n int) func(s *state.State) bool {
	return func(s *state.State) bool { return len(s.Panes[p].Runs) >= n && !s.Busy(p) }
}

func shut(w *Window) {
	w.runner.Close()
}

func TestPanesDoWhatIsAskedAndComeBack(t *testing.T) {
	h := historytest.NewMem()
	w := open(t, h)
	w.Dispatch(state.LeaveWelcome{})
	wait(t, w, "the first start's run", func(s *state.State) bool { return len(s.Queue) == 0 })

	w.Dispatch(state.ShowPane{Pane: state.PaneChat})
	w.Dispatch(state.EditDraft{Pane: state.PaneChat, Text: "Who are you?"})
	w.Dispatch(state.Submit{Pane: state.PaneChat})
	wait(t, w, "the answer", done(state.PaneChat, 1))
	id := w.store.now.Panes[state.PaneChat].Runs[0]
	if r := w.store.now.Runs[id]; r.Job.Task != engine.Chat || r.Job.Messages[len(r.Job.Messages)-1].Text != "Who are you?" {
		t.Errorf("the run is %v %+v", r.Job.Task, r.Job.Messages)
	}
	v := w.View(id)
	if v == nil || v.Run.Len() == 0 || !v.Run.Done() {
		t.Fatal("the answer's steps are not there to scrub through")
	}

	canvas := len(w.store.now.Panes[state.PaneCanvas].Runs)
	w.Dispatch(state.ShowPane{Pane: state.PaneCanvas})
	w.Dispatch(state.EditDraft{Pane: state.PaneCanvas, Text: "a cat"})
	w.Dispatch(state.Submit{Pane: state.PaneCanvas})
	wait(t, w, "the picture", done(state.PaneCanvas, canvas+1))

	w.Dispatch(state.ShowPane{Pane: state.PaneInpaint})
	picture := image.NewNRGBA(image.Rect(0, 0, 128, 128))
	mask := image.NewAlpha(picture.Rect)
	for y := 32; y < 96; y++ {
		for x := 32; x < 96; x++ {
			mask.SetAlpha(x, y, color.Alpha{A: 255})
		}
	}
	w.Dispatch(state.Attach{Pane: state.PaneInpaint, Picture: state.Picture{Image: picture}})
	w.Dispatch(state.SetMask{Mask: mask})
	w.Dispatch(state.Submit{Pane: state.PaneInpaint})
	wait(t, w, "the repainted picture", done(state.PaneInpaint, 1))
	shut(w)

	again := open(t, h)
	defer shut(again)
	wait(t, again, "what was kept", func(s *state.State) bool {
		return len(s.Panes[state.PaneChat].Runs) == 1 && len(s.Panes[state.PaneCanvas].Runs) == canvas+1
	})
	if got := again.store.now.Pane; got != state.PaneInpaint {
		t.Errorf("the window opens at %s, was closed at %s", got, state.PaneInpaint)
	}
}

func TestEscapeClosesPopUpsWhole(t *testing.T) {
	w := open(t, historytest.NewMem())
	defer shut(w)
	w.shell.help()
	if n := len(w.win.Canvas().Overlays().List()); n != 1 {
		t.Fatalf("%d overlays after F1, want 1", n)
	}
	w.escape()
	if n := len(w.win.Canvas().Overlays().List()); n != 0 {
		t.Errorf("%d overlays after Esc: they take the pointer", n)
	}
}

func TestStopKeepsWhatIsThere(t *testing.T) {
	w := open(t, historytest.NewMem(), 250*time.Millisecond) // a busy machine draws slowly
	defer shut(w)
	w.Dispatch(state.LeaveWelcome{})
	wait(t, w, "the first start's run", func(s *state.State) bool { return len(s.Queue) == 0 })
	w.Dispatch(state.ShowPane{Pane: state.PaneChat})
	w.Dispatch(state.EditDraft{Pane: state.PaneChat, Text: "Tell me everything."})
	w.Dispatch(state.Submit{Pane: state.PaneChat})
	wait(t, w, "the run", func(s *state.State) bool { return len(s.Panes[state.PaneChat].Runs) == 1 })
	id := w.store.now.Panes[state.PaneChat].Runs[0]
	wait(t, w, "a step", func(*state.State) bool { v := w.View(id); return v != nil && v.Run.Len() > 1 })
	w.Dispatch(state.Stop{Pane: state.PaneChat})
	wait(t, w, "the end", func(s *state.State) bool { return !s.Busy(state.PaneChat) })
	if _, ok := w.store.now.Runs[id]; !ok {
		t.Error("a stopped run is gone")
	}
	v := w.View(id)
	if n, planned := v.Run.Len(), v.Run.Started().Steps; n < 2 || n >= planned {
		t.Errorf("%d of %d steps are kept, want those before the stop", n, planned)
	}
}

func TestThinkFirstIsSwitched(t *testing.T) {
	s := state.New()
	s.Model.Spec = enginetest.Spec()
	if s, _ := state.Update(s, state.ToggleThink{}, state.Fresh{}); s.Options(engine.Chat).Think {
		t.Error("a model that knows no thinking is asked to think")
	}
	s.Model.Spec.ThinkStyle = "Think first."
	for _, want := range []bool{true, false} {
		if s, _ = state.Update(s, state.ToggleThink{}, state.Fresh{}); s.Options(engine.Chat).Think != want {
			t.Errorf("think is %v, want %v", !want, want)
		}
	}
}
