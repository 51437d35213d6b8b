package historytest

import (
	"errors"
	"image"
	"image/color"
	"testing"
	"time"

	"unmask/engine"
	"unmask/ui/state"
)

// Laws checks what [state.History] promises. open returns an empty history and a function that opens the same one
// again without closing it first, as after kill -9.
func Laws(t *testing.T, open func(t *testing.T) (h state.History, reopen func() state.History)) {
	t.Run("sessions", func(t *testing.T) { lawSessions(t, open) })
	t.Run("draft", func(t *testing.T) { lawDraft(t, open) })
	t.Run("run", func(t *testing.T) { lawRun(t, open) })
	t.Run("killed", func(t *testing.T) { lawKilled(t, open) })
	t.Run("absent", func(t *testing.T) { lawAbsent(t, open) })
}

type opener = func(t *testing.T) (state.History, func() state.History)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(s int) time.Time { return time.Date(2026, 1, 2, 3, 4, s, 0, time.UTC) }

func lawSessions(t *testing.T, open opener) {
	h, reopen := open(t)
	ctx := t.Context()
	must(t, h.PutSession(ctx, state.Session{ID: "a", Pane: state.PaneChat, Title: "Lighthouse", Created: at(1), Updated: at(1)}))
	must(t, h.PutSession(ctx, state.Session{ID: "b", Pane: state.PaneChat, Title: "Letter", Created: at(2), Updated: at(2)}))
	must(t, h.PutSession(ctx, state.Session{ID: "c", Pane: state.PaneInpaint, Title: "Balloon", Created: at(3), Updated: at(3)}))
	start(t, h, "r1", "b", "what is 27 + 46 HARBOUR?")
	ids := func(h state.History, pane state.Pane, q string) (s string) {
		t.Helper()
		list, err := h.Sessions(ctx, pane, q)
		must(t, err)
		for _, x := range list {
			s += x.ID
		}
		return s
	}
	for _, c := range []struct {
		pane    state.Pane
		q, want string
	}{{state.PaneChat, "", "ba"}, {"", "", "cba"}, {state.PaneChat, "light", "a"}, {state.PaneChat, "harbour", "b"}, {"", "%", ""}, {"", "_", ""}} {
		if got := ids(h, c.pane, c.q); got != c.want {
			t.Errorf("Sessions(%q, %q) = %q, want %q", c.pane, c.q, got, c.want)
		}
	}
	must(t, h.PutSession(ctx, state.Session{ID: "a", Pane: state.PaneChat, Title: "Renamed", Created: at(1), Updated: at(9)}))
	must(t, h.DeleteSession(ctx, "b"))
	if got := ids(h, state.PaneChat, ""); got != "a" {
		t.Errorf("after delete: %q", got)
	}
	if runs, err := h.Runs(ctx, state.RunQuery{}); err != nil || len(runs) != 0 {
		t.Errorf("runs of a deleted session are listed: %v %v", runs, err)
	}
	must(t, h.RestoreSession(ctx, "b"))
	h = reopen()
	if got := ids(h, state.PaneChat, ""); got != "ab" {
		t.Errorf("after restore and reopen: %q, want newest first", got)
	}
	list, err := h.Sessions(ctx, state.PaneChat, "letter")
	must(t, err)
	if len(list) != 1 || list[0].Runs != 1 || !list[0].Updated.Equal(at(2)) {
		t.Errorf("session is %+v", list)
	}
}

func lawDraft(t *testing.T, open opener) {
	h, reopen := open(t)
	ctx := t.Context()
	must(t, h.PutSession(ctx, state.Session{ID: "a", Pane: state.PaneInpaint, Title: "x"}))
	if d, err := h.Draft(ctx, "a"); err != nil || d.Text != "" || d.Mask != nil {
		t.Fatalf("new session's draft is %+v, %v", d, err)
	}
	img, mask := Picture(24, 16, 7), image.NewAlpha(image.Rect(0, 0, 24, 16))
	mask.SetAlpha(3, 2, color.Alpha{A: 255})
	must(t, h.PutDraftPicture(ctx, "a", img))
	must(t, h.PutDraftMask(ctx, "a", mask))
	mask.SetAlpha(4, 2, color.Alpha{A: 255}) // the history keeps what it was given, not the slice
	must(t, h.PutDraftText(ctx, "a", state.Draft{
		Text: "a kite", Seed: 1<<64 - 5, Frame: image.Rect(-8, 0, 32, 16),
		Columns: []state.Column{{Title: "Margin", Options: engine.Options{Sampler: "margin", Params: engine.Params{"x": .5}}}},
	}))
	d, err := reopen().Draft(ctx, "a")
	must(t, err)
	if d.Text != "a kite" || d.Seed != 1<<64-5 || d.Frame != image.Rect(-8, 0, 32, 16) || len(d.Columns) != 1 || d.Columns[0].Options.Params["x"] != .5 {
		t.Errorf("draft is %+v", d)
	}
	if !Same(d.Picture, img) {
		t.Error("the picture differs")
	}
	if d.Mask == nil || d.Mask.AlphaAt(3, 2).A != 255 || d.Mask.AlphaAt(4, 2).A != 0 || d.Mask.Bounds() != mask.Bounds() {
		t.Error("the mask differs")
	}
	h = reopen()
	must(t, h.PutDraftMask(ctx, "a", nil))
	must(t, h.PutDraftPicture(ctx, "a", nil))
	if d, err = h.Draft(ctx, "a"); err != nil || d.Mask != nil || d.Picture != nil || d.Text != "a kite" {
		t.Errorf("removed picture and mask: %+v %v", d, err)
	}
}

func start(t *testing.T, h state.History, id, session, prompt string) *engine.Started {
	t.Helper()
	st := &engine.Started{
		Job: engine.Job{
			ID: id, Task: engine.Inpaint,
			Messages: []engine.Message{{Role: "user", Text: prompt, Image: Picture(5, 4, 2)}},
			Image:    Picture(24, 16, 3), Mask: image.NewAlpha(image.Rect(0, 0, 24, 16)),
			Options: engine.Options{Steps: 3, Sampler: "maskgit", Seed: 1<<63 + 9, Guidance: 3.5},
		},
		Spec:     engine.Spec{Name: "test", Hash: "00"},
		Sequence: &engine.Sequence{Tokens: []engine.Token{5, 9, 9}, Fixed: []bool{true, false, false}, Spans: []engine.Span{{Lo: 0, Hi: 3}}},
		Texts:    []string{"a", "", ""}, Answer: engine.Span{Lo: 1, Hi: 3}, Grid: engine.Grid{Cols: 2, Rows: 1}, Steps: 3,
		Source: Picture(24, 16, 4),
	}
	must(t, h.StartRun(t.Context(), state.Run{ID: id, Session: session, Parent: "p", Group: "g", Created: at(1), State: state.Running, Job: st.Job}, st))
	return st
}

func lawRun(t *testing.T, open opener) {
	h, reopen := open(t)
	ctx := t.Context()
	must(t, h.PutSession(ctx, state.Session{ID: "a", Pane: state.PaneInpaint, Title: "x"}))
	st := start(t, h, "r", "a", "a kite")
	steps := []engine.Step{
		{Index: 0, Block: engine.Span{Lo: 1, Hi: 3}, Changes: []engine.Change{{Pos: 1, From: 9, To: 4, Prob: .25, Text: " kite"}}, Masked: 1, NFE: 2, Forward: time.Millisecond},
		{Index: 1, Changes: []engine.Change{{Pos: 2, From: 9, To: 6, Prob: 1}}, NFE: 4},
	}
	must(t, h.AppendSteps(ctx, "r", steps[:1], []*engine.Preview{{Step: 0, Image: Picture(8, 8, 5)}}))
	if img, err := h.Picture(ctx, "r"); err != nil || !Same(img, Picture(8, 8, 5)) {
		t.Errorf("picture of an unfinished run: %v, want the newest preview", err)
	}
	must(t, h.AppendSteps(ctx, "r", steps[1:], nil))
	fin := &engine.Finished{Sequence: &engine.Sequence{Tokens: []engine.Token{5, 4, 6}}, Text: "Kite", Think: "hm", Image: Picture(8, 8, 6), Stats: engine.Stats{Steps: 2, NFE: 4, Tokens: 2, Wall: time.Second}}
	must(t, h.FinishRun(ctx, "r", state.Done, fin, ""))
	must(t, h.SetAccepted(ctx, "r", true))
	must(t, h.SetName(ctx, "r", "a name"))
	h = reopen()
	rec, err := h.Record(ctx, "r")
	must(t, err)
	if rec.Run.State != state.Done || rec.Run.Parent != "p" || rec.Run.Group != "g" || !rec.Run.Accepted || rec.Run.Name != "a name" || rec.Run.Steps != 2 || rec.Run.Text != "Kite" || rec.Run.Stats != fin.Stats {
		t.Errorf("run is %+v", rec.Run)
	}
	if j := rec.Run.Job; j.Options.Seed != 1<<63+9 || j.Options.Guidance != 3.5 || !Same(j.Image, st.Job.Image) || j.Mask == nil || !Same(j.Messages[0].Image, st.Job.Messages[0].Image) {
		t.Errorf("job is %+v", j)
	}
	if rec.Started == nil || rec.Started.Answer != st.Answer || rec.Started.Grid != st.Grid || len(rec.Started.Texts) != 3 || !Same(rec.Started.Source, st.Source) {
		t.Errorf("started is %+v", rec.Started)
	}
	if len(rec.Steps) != 2 || rec.Steps[0].Changes[0].Text != " kite" || rec.Steps[0].Changes[0].Prob != .25 || rec.Steps[1].NFE != 4 || rec.Steps[0].Forward != time.Millisecond {
		t.Errorf("steps are %+v", rec.Steps)
	}
	if len(rec.Previews) != 1 || !Same(rec.Previews[0].Image, Picture(8, 8, 5)) {
		t.Errorf("previews are %+v", rec.Previews)
	}
	if rec.Finished == nil || rec.Finished.Think != "hm" || !Same(rec.Finished.Image, fin.Image) {
		t.Errorf("finished is %+v", rec.Finished)
	}
	if img, err := h.Picture(ctx, "r"); err != nil || !Same(img, fin.Image) {
		t.Errorf("picture: %v", err)
	}
	runs, err := h.Runs(ctx, state.RunQuery{Tasks: []engine.Task{engine.Inpaint}, Text: "KITE", Limit: 5})
	if err != nil || len(runs) != 1 || runs[0].Job.Image != nil || runs[0].Job.Messages[0].Text != "a kite" {
		t.Errorf("runs are %+v, %v", runs, err)
	}
	must(t, h.DeleteRun(ctx, "r"))
	if runs, err = h.Runs(ctx, state.RunQuery{}); err != nil || len(runs) != 0 {
		t.Errorf("a deleted run is listed: %v %v", runs, err)
	}
	must(t, h.RestoreRun(ctx, "r"))
	if runs, err = h.Runs(ctx, state.RunQuery{Group: "g", Session: "a"}); err != nil || len(runs) != 1 {
		t.Errorf("a restored run is not listed: %v %v", runs, err)
	}
}

func lawKilled(t *testing.T, open opener) {
	h, reopen := open(t)
	ctx := t.Context()
	must(t, h.PutSession(ctx, state.Session{ID: "a", Pane: state.PaneChat, Title: "x"}))
	start(t, h, "r", "a", "p")
	must(t, h.AppendSteps(ctx, "r", []engine.Step{{Index: 0}}, nil))
	must(t, h.PutValue(ctx, "theme", []byte(`"dark"`)))
	h = reopen()
	rec, err := h.Record(ctx, "r")
	must(t, err)
	if rec.Run.State != state.Interrupted || len(rec.Steps) != 1 || rec.Finished != nil {
		t.Errorf("after a kill the run is %q with %d steps", rec.Run.State, len(rec.Steps))
	}
	if v, err := h.Value(ctx, "theme"); err != nil || string(v) != `"dark"` {
		t.Errorf("value is %q, %v", v, err)
	}
}

func lawAbsent(t *testing.T, open opener) {
	h, _ := open(t)
	ctx := t.Context()
	if _, err := h.Record(ctx, "no"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("Record of an unknown run: %v", err)
	}
	if _, err := h.Picture(ctx, "no"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("Picture of an unknown run: %v", err)
	}
	if err := h.AppendSteps(ctx, "no", []engine.Step{{}}, nil); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("AppendSteps to an unknown run: %v", err)
	}
	if err := h.PutDraftText(ctx, "no", state.Draft{}); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("PutDraftText of an unknown session: %v", err)
	}
	if v, err := h.Value(ctx, "no"); v != nil || err != nil {
		t.Errorf("Value of an unknown name: %q, %v", v, err)
	}
}

// Picture returns a w by h picture whose pixels depend on seed.
func Picture(w, h int, seed uint8) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = uint8(i)*seed + seed
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}

// Same reports whether two pictures have the same size and pixels, at 8 bits a channel.
func Same(a, b image.Image) bool {
	if a == nil || b == nil || a.Bounds().Size() != b.Bounds().Size() {
		return false
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r, g, bl, al := a.At(a.Bounds().Min.X+x, a.Bounds().Min.Y+y).RGBA()
			r2, g2, b2, a2 := b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y).RGBA()
			if r>>8 != r2>>8 || g>>8 != g2>>8 || bl>>8 != b2>>8 || al>>8 != a2>>8 {
				return false
			}
		}
	}
	return true
}
