package run_test

import (
	"context"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"unmask/engine"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
)

func record(t testing.TB, events []engine.Event) *run.Run {
	t.Helper()
	r := new(run.Run)
	for _, e := range events {
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// TestAtEqualsReplay compares every state, asked for in random order, with one that applies the steps one by one.
func TestAtEqualsReplay(t *testing.T) {
	events := runtest.Text()
	r := record(t, events)
	seq := r.Started().Sequence.Clone()
	want := [][]engine.Token{append([]engine.Token(nil), seq.Tokens...)}
	masked := []int{r.At(0).Masked}
	for n := 1; n <= r.Len(); n++ {
		seq.Apply(r.Step(n).Changes)
		want = append(want, append([]engine.Token(nil), seq.Tokens...))
		masked = append(masked, r.Step(n).Masked)
	}
	var s run.State
	for range 300 {
		n := rand.IntN(r.Len() + 1)
		r.AtInto(&s, n)
		if s.Step != n {
			t.Fatalf("state %d says it is after step %d", n, s.Step)
		}
		count := 0
		for p, c := range s.Cells {
			if c.Token != want[n][p] {
				t.Fatalf("step %d position %d: token %d, want %d", n, p, c.Token, want[n][p])
			}
			if c.Masked {
				count++
			}
		}
		if count != masked[n] || s.Masked != masked[n] {
			t.Fatalf("step %d: %d masked, state says %d, engine said %d", n, count, s.Masked, masked[n])
		}
	}
	if !reflect.DeepEqual(seq.Tokens, r.Finished().Sequence.Tokens) {
		t.Fatal("the last state is not the finished sequence")
	}
}

func TestRemaskAndEdit(t *testing.T) {
	r := record(t, runtest.Text())
	n := 21
	info := r.Infos()[n-1]
	if info.Remasked != 1 || info.Edited != 1 || info.Changed != 2 {
		t.Fatalf("step %d: %+v", n, info)
	}
	p := r.Step(n).Changes[0].Pos
	if c := r.At(n).Cells[p]; !c.Masked || c.Rank != -1 || c.Text != "" || c.WasText == "" {
		t.Fatalf("remasked cell: %+v", c)
	}
	if c := r.At(n - 1).Cells[p]; c.Masked {
		t.Fatal("the step before the remask is masked too: states share cells")
	}
	if h := r.History(p, r.Len()); len(h) != 3 || h[1].Kind != engine.Remask || h[1].Step != n {
		t.Fatalf("history: %+v", h)
	}
	if h := r.History(p, n-1); len(h) != 1 {
		t.Fatalf("history up to %d: %+v", n-1, h)
	}
}

func TestAfterEnd(t *testing.T) {
	r := record(t, runtest.Text())
	s := r.At(r.Len())
	first := -1
	for p := s.Answer.Lo; p < s.Answer.Hi; p++ {
		if s.IsEnd(p) && first < 0 {
			first = p
		}
		if got, want := s.Cells[p].AfterEnd, first >= 0 && p > first; got != want {
			t.Fatalf("position %d after end = %v, first end at %d", p, got, first)
		}
	}
	if first < 0 {
		t.Fatal("no end token in the sample")
	}
	if n := len(s.Answered()); n != first-s.Answer.Lo {
		t.Fatalf("answer has %d texts, want %d", n, first-s.Answer.Lo)
	}
	if r.At(0).Cells[first+1].AfterEnd {
		t.Fatal("after the end before an end was written")
	}
}

func TestPreviews(t *testing.T) {
	r := record(t, runtest.Picture(8, 8, 32, 9))
	if img, _ := r.Preview(0); img != nil {
		t.Fatal("a picture before the first step")
	}
	for n := 1; n <= 9; n++ {
		if _, at := r.Preview(n); at != n {
			t.Fatalf("preview of step %d is that of %d", n, at)
		}
	}
	if s := r.At(3); s.Image.Len() != 64 || s.Grid.Cols != 8 || s.Cells[s.Image.Lo].Modality != engine.Image {
		t.Fatalf("image span %+v grid %+v", s.Image, s.Grid)
	}
}

// TestRefuses lists contradictions that a broken trace may hold; none may panic or change the run.
func TestRefuses(t *testing.T) {
	started := func() *engine.Started { return runtest.Text()[0].(*engine.Started) }
	bad := started()
	bad.Sequence.Fixed = bad.Sequence.Fixed[1:]
	span := started()
	span.Sequence.Spans = []engine.Span{{Lo: 0, Hi: 1 << 30}}
	answer := started()
	answer.Answer.Hi = 1 << 30
	grid := started()
	grid.Grid = engine.Grid{Cols: -1, Rows: 4}
	texts := started()
	texts.Texts = []string{"a"}
	for name, e := range map[string]engine.Event{
		"flags": bad, "span": span, "answer": answer, "grid": grid, "texts": texts,
		"empty": &engine.Started{}, "early step": engine.Step{}, "early preview": &engine.Preview{},
		"early finish": &engine.Finished{}, "nil": nil,
	} {
		if err := new(run.Run).Add(e); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r := new(run.Run)
	if err := r.Add(started()); err != nil {
		t.Fatal(err)
	}
	v := r.Version()
	for name, e := range map[string]engine.Event{
		"second start":   started(),
		"position":       engine.Step{Changes: []engine.Change{{Pos: 1 << 30}}},
		"negative":       engine.Step{Changes: []engine.Change{{Pos: -1}}},
		"twice":          engine.Step{Changes: []engine.Change{{Pos: 9}, {Pos: 9}}},
		"kind":           engine.Step{Changes: []engine.Change{{Pos: 9, Kind: 9}}},
		"no picture":     &engine.Preview{},
		"wrong type nil": nil,
	} {
		if err := r.Add(e); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if r.Version() != v || r.Len() != 0 {
		t.Error("a refused event changed the run")
	}
}

func TestPlayer(t *testing.T) {
	r := record(t, runtest.Text())
	var p run.Player
	if p.Step(r.Len()) != r.Len() || !p.Following() {
		t.Fatal("a new player follows")
	}
	p.Seek(5)
	if p.Step(r.Len()) != 5 || p.Playing() {
		t.Fatal("seek")
	}
	p.Toggle(r)
	moved := 0
	for range 30 { // one second
		if p.Tick(r, time.Second/30) {
			moved++
		}
	}
	if got := p.Step(r.Len()) - 5; got < 11 || got > 12 || moved != got {
		t.Fatalf("one second at speed 1 moved %d steps in %d ticks, want 12 at most", got, moved)
	}
	p.Faster()
	if p.Speed != 2 {
		t.Fatalf("speed %g", p.Speed)
	}
	p.Tick(r, time.Hour)
	if p.Step(r.Len()) != r.Len() || p.Playing() {
		t.Fatal("playing goes on past the end")
	}
	p.Toggle(r)
	if p.Step(r.Len()) != 0 || !p.Playing() {
		t.Fatal("toggle at the end starts again")
	}
}

func TestPlayerCatchesUp(t *testing.T) {
	events := runtest.Text()
	r := record(t, events[:len(events)-10])
	var p run.Player
	p.Seek(1)
	p.Toggle(r)
	p.Tick(r, time.Hour)
	if !p.Following() {
		t.Fatal("caught up with a run that goes, but does not follow")
	}
	p.Toggle(r)
	if p.Following() || p.Step(r.Len()+5) != r.Len() {
		t.Fatal("pausing a view that follows holds the step")
	}
}

func TestLeft(t *testing.T) {
	events := runtest.Text()
	r := new(run.Run)
	var l run.Left
	for _, e := range events[:3] {
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := l.Update(r, 0); ok {
		t.Fatal("known after two steps")
	}
	_ = r.Add(events[3])
	d, ok := l.Update(r, 0)
	if want := 61 * time.Millisecond * time.Duration(r.Planned()-3); !ok || d != want {
		t.Fatalf("%v %v, want %v", d, ok, want)
	}
	_ = r.Add(events[4])
	if e, _ := l.Update(r, 100*time.Millisecond); e != d {
		t.Fatal("changed within half a second")
	}
	if e, _ := l.Update(r, time.Second); e >= d {
		t.Fatal("does not fall")
	}
	r.Fail(context.Canceled)
	if _, ok := l.Update(r, 2*time.Second); ok || !r.Done() || r.Planned() != r.Len() {
		t.Fatal("a stopped run has no time left")
	}
}
