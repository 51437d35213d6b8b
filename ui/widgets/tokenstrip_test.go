package widgets

import (
	"reflect"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"unmask/engine"
	"unmask/ui/palette"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
	"unmask/ui/theme"
)

func newTestStrip(t *testing.T, r *run.Run) *TokenStrip {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(theme.Theme{Mode: theme.Dark})
	s := NewTokenStrip()
	w := test.NewTempWindow(t, s)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(540, 400))
	s.SetRun(r, engine.Span{})
	return s
}

// drawnTexts lists what the strip's texts say.
func drawnTexts(s *TokenStrip) []string {
	var out []string
	for _, t := range s.r.texts[:s.r.nt] {
		out = append(out, t.Text)
	}
	return out
}

func TestStripShowsTheStep(t *testing.T) {
	r := whole(t, runtest.Text())
	s := newTestStrip(t, r)
	if got := s.Text(); got != strings.Join(runtest.Letter, "") {
		t.Fatalf("the answer is %q", got)
	}
	at := map[int]fyne.Position{}
	for _, it := range s.flow.Items {
		p, _, _ := s.Rect(it.Pos)
		at[it.Pos] = p
	}
	words := len(drawnTexts(s))
	for _, n := range []int{0, 5, 21, r.Len()} {
		s.SetStep(n)
		st := r.At(n)
		texts := 0
		for _, it := range s.flow.Items {
			if !st.Cells[it.Pos].Masked {
				texts++
			}
			if p, _, _ := s.Rect(it.Pos); p != at[it.Pos] {
				t.Fatalf("step %d: position %d moved from %v to %v", n, it.Pos, at[it.Pos], p)
			}
		}
		if n == 0 && len(drawnTexts(s)) != 0 || n == r.Len() && len(drawnTexts(s)) != words {
			t.Fatalf("step %d draws %d texts", n, len(drawnTexts(s)))
		}
	}
}

func TestStripPools(t *testing.T) {
	r := whole(t, runtest.Text())
	s := newTestStrip(t, r)
	all := s.r.nt
	s.SetVisible(0, 30)
	if s.r.nt >= all || s.r.nt == 0 {
		t.Fatalf("%d of %d texts for two lines", s.r.nt, all)
	}
	s.SetVisible(0, 1000)
	if s.r.nt != all || len(s.r.texts) != all {
		t.Fatalf("pool of %d texts for %d", len(s.r.texts), all)
	}
}

func TestStripTapsAndSelects(t *testing.T) {
	r := partly(t, runtest.Text(), 20)
	s := newTestStrip(t, r)
	tapped := -1
	var selected []int
	s.OnTapped = func(p int, _ fyne.Position) { tapped = p }
	s.OnSelect = func(p []int) { selected = p }
	lo := r.Started().Answer.Lo
	centre := func(p int) fyne.Position {
		pos, size, ok := s.Rect(p)
		if !ok {
			t.Fatalf("position %d has no place", p)
		}
		return pos.AddXY(size.Width/2, size.Height/2)
	}
	s.Tapped(&fyne.PointEvent{Position: centre(lo + 3)})
	if tapped != lo+3 {
		t.Fatalf("tapped %d, want %d", tapped, lo+3)
	}
	from, to := centre(lo+1), centre(lo+4)
	s.Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: to}, Dragged: fyne.Delta{DX: to.X - from.X, DY: to.Y - from.Y}})
	s.DragEnd()
	if !reflect.DeepEqual(selected, []int{lo + 1, lo + 2, lo + 3, lo + 4}) {
		t.Fatalf("selected %v", selected)
	}
	s.FocusGained()
	s.setCursor(lo)
	s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyRight})
	s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if tapped != lo+1 {
		t.Fatalf("Right and Enter chose %d, want %d", tapped, lo+1)
	}
	s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	if p, _, _ := s.Rect(s.cursor); p.Y != theme.LineToken {
		t.Fatalf("Down went to %v", p)
	}
}

func TestStripThought(t *testing.T) {
	r := new(run.Run)
	texts := []string{"<think>", " two and", " two", "</think>", "Four", "."}
	st := &engine.Started{Answer: engine.Span{Lo: 0, Hi: len(texts)}, Spec: engine.Spec{Mask: 1},
		Sequence: &engine.Sequence{Tokens: []engine.Token{1, 1, 1, 1, 1, 1}, Fixed: make([]bool, 6)}}
	step := engine.Step{Block: st.Answer}
	for p, x := range texts {
		step.Changes = append(step.Changes, engine.Change{Pos: p, From: 1, To: 2, Text: x, Prob: .9})
	}
	for _, e := range []engine.Event{st, step, &engine.Finished{}} {
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	s := newTestStrip(t, r)
	if got := drawnTexts(s); !reflect.DeepEqual(got, []string{"Four", ".", "Thought: 4 tokens, 1 step"}) {
		t.Fatalf("folded: %q", got)
	}
	s.Tapped(&fyne.PointEvent{Position: fyne.NewPos(20, 10)})
	if got := drawnTexts(s); len(got) != 6 {
		t.Fatalf("unfolded: %q", got)
	}
}

func TestStripEmpty(t *testing.T) {
	s := newTestStrip(t, nil)
	s.SetStep(4)
	s.Tapped(&fyne.PointEvent{Position: fyne.NewPos(20, 10)})
	s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	if s.Text() != "" || s.r.nt != 0 {
		t.Fatal("an empty strip shows something")
	}
}

func TestLookStrip(t *testing.T) {
	for _, n := range []int{8, 27, 99} {
		name := map[int]string{8: "strip-early", 27: "strip", 99: "strip-done"}[n]
		show(t, name, 540, 240, func() fyne.CanvasObject {
			s := NewTokenStrip()
			s.SetRun(partly(t, runtest.Text(), n), engine.Span{})
			if n == 27 {
				s.SetPinned([]int{5, 8})
			}
			if n == 99 {
				s.SetView(palette.Confidence)
			}
			return s
		})
	}
}
