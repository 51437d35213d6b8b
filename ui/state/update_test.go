package state

import (
	"errors"
	"fmt"
	"image"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"unmask/engine"
)

var spec = engine.Spec{
	Name: "test", Hash: "aa", Tasks: engine.Tasks,
	Defaults: map[engine.Task]engine.Options{
		engine.Chat:        {Length: 24, Steps: 12, Sampler: "low_confidence"},
		engine.TextToImage: {Steps: 12, Sampler: "maskgit", Guidance: 2},
		engine.Inpaint:     {Steps: 8, Sampler: "maskgit"},
	},
	Examples: map[engine.Task][]string{engine.TextToImage: {"a red boat"}},
}

// play sends messages to a state whose model is loaded, and gathers the commands. Ids are "1", "2", ...
type play struct {
	t *testing.T
	s State
	n int
}

func (p *play) send(ms ...Msg) (cmds []Cmd) {
	for _, m := range ms {
		p.n++
		before := fmt.Sprintf("%+v", p.s)
		old := p.s
		f := Fresh{Now: time.Date(2026, 1, 1, 0, 0, p.n, 0, time.UTC), ID: fmt.Sprint(p.n), Seed: uint64(1000 + p.n)}
		next, c := Update(p.s, m, f)
		if fmt.Sprintf("%+v", old) != before {
			p.t.Fatalf("%T changed the state it was given", m)
		}
		p.s = next
		cmds = append(cmds, c...)
	}
	return cmds
}

func ready(t *testing.T) *play {
	p := &play{t: t, s: New()}
	p.send(Restored{Values: Values{Seen: true}}, Loaded{spec})
	return p
}

func only[C Cmd](cmds []Cmd) (out []C) {
	for _, c := range cmds {
		if x, ok := c.(C); ok {
			out = append(out, x)
		}
	}
	return out
}

func TestFirstStartPlaysASampleRun(t *testing.T) {
	p := &play{t: t, s: New()}
	cmds := p.send(Restored{})
	if !p.s.Welcome || len(only[LoadModel](cmds)) != 1 {
		t.Fatalf("welcome %v, commands %v", p.s.Welcome, cmds)
	}
	p.send(SessionRead{Pane: PaneCanvas, ID: CanvasSession})
	runs := only[StartRun](p.send(Loaded{spec}))
	if len(runs) != 1 || Prompt(runs[0].Run.Job) != "a red boat" || !runs[0].Run.Job.Options.Previews {
		t.Fatalf("sample run is %+v", runs)
	}
	if cmds = p.send(LeaveWelcome{}); p.s.Welcome || !only[KeepValues](cmds)[0].Values.Seen {
		t.Error("leaving the first page is not kept")
	}
}

func TestChatTurn(t *testing.T) {
	p := ready(t)
	cmds := p.send(EditDraft{PaneChat, "What is 27 + 46?"})
	if k := only[KeepSession](cmds); len(k) != 1 || k[0].Session.Title != "New conversation" {
		t.Fatalf("typing makes %+v", k)
	}
	if k := only[KeepText](cmds); len(k) != 1 || k[0].Draft.Text != "What is 27 + 46?" || k[0].Session != p.s.Panes[PaneChat].Session {
		t.Fatalf("the draft is not kept: %+v", k)
	}
	cmds = p.send(Submit{PaneChat})
	if k := only[KeepSession](cmds); len(k) == 0 || k[len(k)-1].Session.Title != "What is 27 + 46?" {
		t.Errorf("session title: %+v", k)
	}
	runs := only[StartRun](cmds)
	if len(runs) != 1 || runs[0].Run.Job.Task != engine.Chat || runs[0].Run.Job.Options.Seed == 0 {
		t.Fatalf("started %+v", runs)
	}
	if ps := p.s.Panes[PaneChat]; ps.Draft.Text != "" || ps.Shown != runs[0].Run.ID || !p.s.Busy(PaneChat) || p.s.Busy(PaneCanvas) {
		t.Errorf("after submit: %+v", ps)
	}
	if c := p.send(EditDraft{PaneChat, "again"}, Submit{PaneChat}); len(only[StartRun](c)) != 0 || len(p.s.Queue) != 2 {
		t.Fatalf("a second run does not wait: %v", c)
	}
	first := runs[0].Run.ID
	cmds = p.send(RunBegan{first, &engine.Started{}}, RunEnded{ID: first, State: Done, Finished: &engine.Finished{Text: "73"}})
	if r := p.s.Runs[first]; r.State != Done || r.Text != "73" || len(only[StartRun](cmds)) != 1 {
		t.Errorf("run %+v, then %v", r, cmds)
	}
	second := p.s.Queue[0]
	if c := only[StopRun](p.send(Stop{PaneChat})); len(c) != 1 || c[0].ID != second || len(p.s.Queue) != 1 {
		t.Errorf("stop: %v, queue %v", c, p.s.Queue)
	}
	p.send(RunEnded{ID: second, State: Stopped, Steps: 3})
	if p.s.Busy(PaneChat) || p.s.Runs[second].State != Stopped || !slices.Contains(p.s.Panes[PaneChat].Runs, second) {
		t.Error("a stopped run is not kept")
	}
}

func TestVersionsOfATurn(t *testing.T) {
	p := ready(t)
	p.send(EditDraft{PaneChat, "one"}, Submit{PaneChat})
	a := p.s.Queue[0]
	p.send(RunEnded{ID: a, State: Done, Finished: &engine.Finished{Text: "x"}}, Regenerate{a})
	b := p.s.Queue[0]
	if p.s.Runs[a].Job.Options.Seed == p.s.Runs[b].Job.Options.Seed {
		t.Error("regenerate keeps the seed")
	}
	p.send(RunEnded{ID: b, State: Done, Finished: &engine.Finished{}}, EditPrompt{b}, EditDraft{PaneChat, "uno"}, Submit{PaneChat})
	c := p.s.Queue[0]
	turns := p.s.Turns(PaneChat)
	if len(turns) != 1 || !reflect.DeepEqual(turns[0].Versions, []string{a, b, c}) || turns[0].Shown != 2 {
		t.Fatalf("turns are %+v", turns)
	}
	p.send(PickTurn{a, a})
	if turns = p.s.Turns(PaneChat); turns[0].Shown != 0 || p.s.Panes[PaneChat].Shown != a {
		t.Errorf("picked version: %+v", turns)
	}
}

func TestEarlierTurnsAreSentOnlyWhenAsked(t *testing.T) {
	for _, on := range []bool{false, true} {
		p := ready(t)
		p.send(SetRemember{on}, EditDraft{PaneChat, "one"}, Submit{PaneChat})
		p.send(RunEnded{ID: p.s.Queue[0], State: Done, Finished: &engine.Finished{Text: "answer"}})
		runs := only[StartRun](p.send(EditDraft{PaneChat, "two"}, Submit{PaneChat}))
		if n := len(runs[0].Run.Job.Messages); (n == 3) != on {
			t.Errorf("remember %v sends %d messages", on, n)
		}
	}
}

func TestFailureKeepsThePrompt(t *testing.T) {
	p := ready(t)
	p.send(EditDraft{PaneChat, "too long"}, Submit{PaneChat})
	id, boom := p.s.Queue[0], errors.New("boom")
	p.send(RunEnded{ID: id, State: Failed, Err: boom})
	ps := p.s.Panes[PaneChat]
	if ps.Err != boom || ps.Draft.Text != "too long" || len(ps.Runs) != 0 {
		t.Errorf("after a failure before the first step: %+v", ps)
	}
	p.send(DismissError{PaneChat}, Submit{PaneChat})
	id = p.s.Queue[0]
	p.send(RunEnded{ID: id, State: Failed, Err: boom, Steps: 4})
	if ps = p.s.Panes[PaneChat]; len(ps.Runs) != 1 || p.s.Runs[id].Message != "boom" {
		t.Errorf("steps of a failed run are dropped: %+v", ps)
	}
}

func TestRunsAskedForWhileLoadingStartLater(t *testing.T) {
	p := &play{t: t, s: New()}
	p.send(Restored{Values: Values{Seen: true}})
	if c := p.send(EditDraft{PaneCanvas, "x"}, Submit{PaneCanvas}); len(only[StartRun](c)) != 0 {
		t.Fatal("a run starts without a model")
	}
	if c := p.send(Loaded{spec}); len(only[StartRun](c)) != 1 {
		t.Fatal("the waiting run does not start")
	}
}

func TestSeeds(t *testing.T) {
	p := ready(t)
	p.send(EditDraft{PaneCanvas, "x"}, SetSeed{PaneCanvas, 48213})
	for range 2 {
		p.send(Submit{PaneCanvas})
		if got := p.s.Runs[p.s.Queue[0]].Job.Options.Seed; got != 48213 {
			t.Fatalf("locked seed became %d", got)
		}
		p.send(RunEnded{ID: p.s.Queue[0], State: Done, Finished: &engine.Finished{}})
	}
	p.send(LockSeed{PaneCanvas, false}, Submit{PaneCanvas})
	if got := p.s.Panes[PaneCanvas].Draft.Seed; got == 48213 || got == 0 {
		t.Errorf("an unlocked seed stays %d", got)
	}
}

func TestDeleteAndUndo(t *testing.T) {
	p := ready(t)
	p.send(EditDraft{PaneChat, "one"}, Submit{PaneChat})
	id, session := p.s.Queue[0], p.s.Panes[PaneChat].Session
	p.send(RunEnded{ID: id, State: Done, Finished: &engine.Finished{}})
	if c := p.send(DeleteRun{id}); len(only[HideRun](c)) != 1 || !p.s.Toast.Open || len(p.s.Panes[PaneChat].Runs) != 0 {
		t.Fatalf("delete: %v", c)
	}
	if c := only[HideRun](p.send(UndoToast{})); len(c) != 1 || c[0].Hide || len(p.s.Panes[PaneChat].Runs) != 1 || p.s.Toast.Open {
		t.Fatalf("undo: %v", c)
	}
	c := p.send(DeleteSession{PaneChat, session})
	if h := only[HideSession](c); len(h) != 1 || !h[0].Hide || p.s.Panes[PaneChat].Session != "" || !strings.Contains(p.s.Toast.Text, "one") {
		t.Fatalf("delete session: %v, %+v", c, p.s.Toast)
	}
	p.send(ToastOver{p.s.Toast.ID - 1})
	if !p.s.Toast.Open {
		t.Error("an older toast shut a newer one")
	}
	if h := only[HideSession](p.send(UndoToast{})); len(h) != 1 || h[0].Hide {
		t.Errorf("undo: %v", h)
	}
}

func TestCompareMakesOneRunAColumn(t *testing.T) {
	p := ready(t)
	cols := []Column{{"Low", engine.Options{Sampler: "low_confidence"}}, {"Margin", engine.Options{Sampler: "margin"}}}
	p.send(SetColumns{engine.Chat, cols}, EditDraft{PaneCompare, "hi"}, Submit{PaneCompare})
	runs := p.s.Columns()
	if len(runs) != 2 || len(p.s.Queue) != 2 {
		t.Fatalf("columns %+v", runs)
	}
	if a, b := runs[0].Job.Options, runs[1].Job.Options; a.Seed != b.Seed || a.Seed == 0 || a.Sampler == b.Sampler || runs[0].Group != runs[1].Group {
		t.Errorf("options %+v and %+v", a, b)
	}
	p.send(Stop{PaneCompare})
	if len(p.s.Queue) != 1 || len(p.s.Columns()) != 1 {
		t.Errorf("stop all leaves %v", p.s.Queue)
	}
}

func TestInpaint(t *testing.T) {
	p := ready(t)
	img := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	c := p.send(Attach{PaneInpaint, Picture{img, "balloon.png"}})
	if k := only[KeepPicture](c); len(k) != 1 || k[0].Image == nil || p.s.Panes[PaneInpaint].List[0].Title != "balloon.png" {
		t.Fatalf("opening a picture: %v", c)
	}
	mask := image.NewAlpha(img.Bounds())
	if k := only[KeepMask](p.send(SetMask{mask})); len(k) != 1 {
		t.Fatal("the mask is not kept at the end of a stroke")
	}
	p.send(EditDraft{PaneInpaint, "a kite"}, Submit{PaneInpaint})
	r := p.s.Runs[p.s.Queue[0]]
	if r.Job.Task != engine.Inpaint || r.Job.Image != img || r.Job.Mask != mask {
		t.Fatalf("job is %+v", r.Job)
	}
	p.send(RunEnded{ID: r.ID, State: Done, Finished: &engine.Finished{}})
	after := image.NewNRGBA(img.Bounds())
	v := p.s.Panes[PaneInpaint].MaskVersion
	c = p.send(Accept{r.ID, after})
	if ps := p.s.Panes[PaneInpaint]; ps.Draft.Picture != after || ps.Draft.Mask != nil || ps.MaskVersion == v || !p.s.Runs[r.ID].Accepted {
		t.Errorf("accept: %+v", ps)
	}
	if len(only[KeepAccepted](c)) != 1 || len(only[KeepPicture](c)) != 1 {
		t.Errorf("accept keeps %v", c)
	}
	p.send(SetFrame{image.Rect(-4, 0, 12, 8)}, Submit{PaneInpaint})
	if r = p.s.Runs[p.s.Queue[0]]; r.Job.Task != engine.Outpaint || r.Job.Frame.Dx() != 16 {
		t.Errorf("outpaint job is %+v", r.Job)
	}
}

func TestSessionReadShowsWhatWasThere(t *testing.T) {
	p := ready(t)
	p.send(OpenSession{PaneChat, "old"})
	runs := []Run{{ID: "a", Session: "old", State: Done}, {ID: "b", Session: "old", State: Interrupted}}
	c := p.send(SessionRead{PaneChat, "old", Draft{Text: "half a sen"}, runs})
	if ps := p.s.Panes[PaneChat]; ps.Shown != "b" || ps.Draft.Text != "half a sen" || len(only[ReadRun](c)) != 2 {
		t.Errorf("read: %+v, %v", ps, c)
	}
	p.send(OpenSession{PaneChat, "other"})
	p.send(SessionRead{PaneChat, "old", Draft{Text: "late"}, nil})
	if p.s.Panes[PaneChat].Draft.Text == "late" {
		t.Error("an answer for a session that is no longer current is taken")
	}
}

func TestSettingsOfAnotherModelAreDropped(t *testing.T) {
	p := &play{t: t, s: New()}
	kept := map[engine.Task]engine.Options{engine.Chat: {Steps: 99}}
	p.send(Restored{Values: Values{Seen: true, Settings: kept, Model: "aa"}}, Loaded{spec})
	if got := p.s.Options(engine.Chat).Steps; got != 99 {
		t.Errorf("settings of the same model are dropped: %d", got)
	}
	other := spec
	other.Hash = "bb"
	p.send(Loaded{other})
	if got := p.s.Options(engine.Chat).Steps; got != 12 {
		t.Errorf("settings of another model are kept: %d", got)
	}
}

func TestChangedCountsSettings(t *testing.T) {
	base := Base(spec, engine.Chat)
	o := base
	o.Seed, o.Previews, o.Alternatives, o.Cache = 7, true, 3, engine.CacheNone
	if c := Changed(base, o); len(c) != 0 {
		t.Errorf("%v counted as changed", c)
	}
	o.Steps, o.Temperature, o.Params = 48, .2, engine.Params{"order_temperature": 1}
	if c := Changed(base, o); !slices.Equal(c, []string{"params.order_temperature", "steps", "temperature"}) {
		t.Errorf("changed: %v", c)
	}
	o = base
	o.Params = engine.Params{"order_temperature": 0}
	if c := Changed(base, o); len(c) != 0 {
		t.Errorf("a parameter at its default is counted: %v", c)
	}
	for _, p := range Presets(spec, engine.Chat) {
		if got := PresetOf(spec, engine.Chat, p.Options); got != p.Name && len(Changed(base, p.Options)) > 0 {
			t.Errorf("preset %q is found as %q", p.Name, got)
		}
	}
	play := ready(t)
	play.send(UsePreset{engine.Chat, "fast"})
	if got := play.s.Options(engine.Chat).Sampler; got != "threshold" {
		t.Errorf("the fast preset has sampler %q", got)
	}
}

func TestTitle(t *testing.T) {
	for in, want := range map[string]string{
		"  two\nlines ": "two lines",
		"What is in this picture, and what time of day could it be?": "What is in this picture, and what time…",
		strings.Repeat("ж", 50):                                      strings.Repeat("ж", 40) + "…",
	} {
		if got := Title(in); got != want {
			t.Errorf("Title(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWhen(t *testing.T) {
	now := time.Date(2026, 11, 30, 21, 0, 0, 0, time.Local)
	for d, want := range map[time.Duration]string{
		10 * time.Second: "now", 3 * time.Hour: "18:00", 26 * time.Hour: "yesterday", 72 * time.Hour: "Fri",
		30 * 24 * time.Hour: "31 Oct", 400 * 24 * time.Hour: "26 Oct 2025",
	} {
		if got := When(now.Add(-d), now); got != want {
			t.Errorf("%v ago is %q, want %q", d, got, want)
		}
	}
}
