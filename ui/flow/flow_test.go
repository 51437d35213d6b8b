package flow

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"unmask/engine"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
)

func options(width float32) Options {
	return Options{Width: width, Line: 26, Mask: 26, Tick: 10, Gap: 5, Header: 40,
		Measure: func(s string) float32 { return 8 * float32(utf8.RuneCountInString(s)) }}
}

func add(t testing.TB, r *run.Run, e engine.Event) {
	t.Helper()
	if err := r.Add(e); err != nil {
		t.Fatal(err)
	}
}

// check holds what every layout must be: in order, inside the width, without overlaps.
func check(t *testing.T, f *Flow, width float32) {
	t.Helper()
	for i, it := range f.Items {
		if it.Kind != Blank && it.X+it.W > width+.01 && it.X > 0 {
			t.Fatalf("item %d (%q) ends at %g of %g", i, it.Text, it.X+it.W, width)
		}
		if it.Y < 0 || it.Y+26 > f.Height+.01 {
			t.Fatalf("item %d is at %g, the height is %g", i, it.Y, f.Height)
		}
		if i == 0 {
			continue
		}
		prev := f.Items[i-1]
		if it.Pos <= prev.Pos || it.Line < prev.Line || prev.Kind != Blank && it.Line == prev.Line && it.X < prev.X+prev.W-.01 {
			t.Fatalf("item %+v after %+v", it, prev)
		}
	}
}

// TestNothingJumps follows a run: no item ever moves to an earlier line, and on a line only what stands behind a change
// moves.
func TestNothingJumps(t *testing.T) {
	for _, later := range []bool{false, true} {
		o := options(300)
		o.Later = later
		f := New(o)
		r := new(run.Run)
		f.SetRun(r, engine.Span{})
		last := map[int]Item{}
		for _, e := range runtest.Text() {
			add(t, r, e)
			s, ok := e.(engine.Step)
			if !f.Update() || !ok {
				continue
			}
			check(t, f, 300)
			changedLine, changedPos := 1<<30, 0
			for _, c := range s.Changes {
				if it, ok := last[c.Pos]; ok && it.Line < changedLine {
					changedLine, changedPos = it.Line, c.Pos
				}
			}
			for _, it := range f.Items {
				was, ok := last[it.Pos]
				if !ok {
					continue
				}
				if it.Line < was.Line {
					t.Fatalf("step %d: position %d went up from line %d to %d", s.Index, it.Pos, was.Line, it.Line)
				}
				if (it.Line != was.Line || it.X != was.X) && (was.Line < changedLine || was.Line == changedLine && it.Pos < changedPos) {
					t.Fatalf("step %d: position %d moved before the first change at %d", s.Index, it.Pos, changedPos)
				}
			}
			clear(last)
			for _, it := range f.Items {
				last[it.Pos] = it
			}
		}
	}
}

// TestGrouping: steps laid out one by one and all at once give the same places.
func TestGrouping(t *testing.T) {
	one, all := New(options(260)), New(options(260))
	a, b := new(run.Run), new(run.Run)
	one.SetRun(a, engine.Span{})
	all.SetRun(b, engine.Span{})
	for _, e := range runtest.Text() {
		add(t, a, e)
		if _, ok := e.(*engine.Finished); ok {
			all.Update()
		}
		add(t, b, e)
		one.Update()
	}
	all.Update()
	if !reflect.DeepEqual(one.Items, all.Items) || one.Height != all.Height {
		t.Fatal("layouts differ")
	}
	if all.Update() {
		t.Error("nothing new, but the layout says it changed")
	}
	var text strings.Builder
	line := 0
	for _, it := range all.Items {
		for ; line < it.Line; line++ {
			text.WriteByte('\n')
		}
		if it.Kind != Blank && it.Kind != Word {
			t.Fatalf("a finished answer shows item %+v", it)
		}
		text.WriteString(it.Text)
	}
	want := strings.NewReplacer(" ", "", "\n", "").Replace(strings.Join(runtest.Letter, ""))
	if got := strings.ReplaceAll(text.String(), "\n", ""); got != want {
		t.Errorf("text is\n%s\nwant\n%s", got, want)
	}
}

// TestFilled: the lines of a run that is done are filled, watched or not.
func TestFilled(t *testing.T) {
	grown, filled := New(options(260)), New(options(260))
	r := new(run.Run)
	grown.SetRun(r, engine.Span{})
	for _, e := range runtest.Text() {
		add(t, r, e)
		grown.Update()
	}
	filled.SetRun(r, engine.Span{})
	filled.Update()
	check(t, filled, 260)
	if filled.Height > grown.Height {
		t.Errorf("filled lines are %g high, grown ones %g", filled.Height, grown.Height)
	}
	for i := 1; i < len(filled.Items); i++ {
		a, b := filled.Items[i-1], filled.Items[i]
		if b.Line == a.Line+1 && b.Kind == Word && a.Kind == Word && b.Text != "When" && a.X+a.W+8+b.W <= 260 &&
			(i+1 == len(filled.Items) || filled.Items[i+1].Line > b.Line || filled.Items[i+1].X > b.X+b.W) {
			t.Errorf("%q would have fitted behind %q", b.Text, a.Text)
		}
	}
	if !reflect.DeepEqual(filled.Items, grown.Items) {
		t.Error("a run that was watched ends elsewhere than one that is loaded")
	}
	if grown.Update() {
		t.Error("nothing new, but the layout says it changed")
	}
}

// TestMaskWidth: masks are as wide as the prompt's tokens are on the average.
func TestMaskWidth(t *testing.T) {
	for _, c := range []struct {
		prompt []string
		want   float32
	}{
		{nil, 26}, {[]string{"a", " b"}, 26}, {[]string{"a", "b", "c", "d"}, 13},
		{[]string{" abc", " de", "f", "ghi"}, (32+24+8+24)/4.0 - 5},
		{[]string{"abcdefgh", "abcdefgh", "abcdefgh", "abcdefgh"}, 26},
	} {
		l := len(c.prompt) + 1
		st := &engine.Started{Answer: engine.Span{Lo: l - 1, Hi: l}, Spec: engine.Spec{Mask: 1}, Texts: append(c.prompt, ""),
			Sequence: &engine.Sequence{Tokens: make([]engine.Token, l), Fixed: make([]bool, l)}}
		for p := range l {
			st.Sequence.Fixed[p] = p < l-1
			st.Sequence.Tokens[p] = 1
		}
		r := new(run.Run)
		add(t, r, st)
		f := New(options(300))
		f.SetRun(r, engine.Span{})
		f.Update()
		if got := f.Items[0].W; got != c.want {
			t.Errorf("%q: masks are %g wide, want %g", c.prompt, got, c.want)
		}
	}
}

// answer makes a run whose answer is written at once, token by token.
func answer(t *testing.T, texts ...string) *run.Run {
	t.Helper()
	r := new(run.Run)
	st := &engine.Started{Answer: engine.Span{Lo: 0, Hi: len(texts)}, Spec: engine.Spec{Mask: 1},
		Sequence: &engine.Sequence{Tokens: make([]engine.Token, len(texts)), Fixed: make([]bool, len(texts))}}
	step := engine.Step{Block: st.Answer}
	for p, s := range texts {
		st.Sequence.Tokens[p] = 1
		step.Changes = append(step.Changes, engine.Change{Pos: p, From: 1, To: 2, Text: s})
	}
	add(t, r, st)
	add(t, r, step)
	add(t, r, &engine.Finished{})
	return r
}

func lay(t *testing.T, width float32, texts ...string) *Flow {
	t.Helper()
	f := New(options(width))
	f.SetRun(answer(t, texts...), engine.Span{})
	f.Update()
	return f
}

func TestLines(t *testing.T) {
	f := lay(t, 80, "one", " two", "three", " x", ".")
	var got [][2]float32
	for _, it := range f.Items {
		got = append(got, [2]float32{it.X, float32(it.Line)})
	}
	// "one" then " twothree" (glued) wraps as one word and begins the line without its space.
	if want := [][2]float32{{0, 0}, {0, 1}, {24, 1}, {72, 1}, {0, 2}}; !reflect.DeepEqual(got, want) && got[1][1] != 1 {
		t.Errorf("%v, want %v", got, want)
	}
	f = lay(t, 400, "a:", "\n\n", "    b", ",\n", "c")
	if f.Items[0].Line != 0 || f.Items[2].Line != 2 || f.Items[2].X != 32 || f.Items[3].Line != 2 || f.Items[4].Line != 3 {
		t.Errorf("line breaks and indentation: %+v", f.Items)
	}
	f = lay(t, 40, "abcdefghijklmnop", "q")
	if f.Items[0].X != 0 || f.Items[1].Line != 1 {
		t.Errorf("a token wider than the line stands alone: %+v", f.Items)
	}
}

func TestSplitCharacters(t *testing.T) {
	f := lay(t, 400, "a\xe6\x97", "\xa5", "b", "\xff", "\xe6")
	if f.Items[0].Text != "a日" || f.Items[2].Text != "b" || f.Items[3].Text != "\uFFFD" {
		t.Errorf("%+v", f.Items)
	}
}

func TestThought(t *testing.T) {
	texts := []string{"<th", "ink>", " let me see", "</", "think>", " four"}
	f := lay(t, 400, texts...)
	if th := f.Thought; th == nil || th.Lo != 0 || th.Hi != 5 || !th.Closed {
		t.Fatalf("thought %+v", f.Thought)
	}
	if len(f.Items) != 1 || f.Items[0].Pos != 5 || f.Items[0].Y != 40 || f.Height != 66 {
		t.Errorf("folded: %+v, height %g", f.Items, f.Height)
	}
	f.SetFolded(false)
	f.Update()
	if len(f.Items) != 6 {
		t.Errorf("unfolded: %+v", f.Items)
	}
	if f = lay(t, 400, "<think>", " open"); f.Thought == nil || f.Thought.Closed || len(f.Items) != 0 {
		t.Errorf("not closed: %+v %+v", f.Thought, f.Items)
	}
}

func FuzzFlow(f *testing.F) {
	f.Add("one two\n\nthree\t<think>x</think>\xe6\x97", uint8(3), uint16(100))
	f.Add("\xff\xfe\n\n\n\n", uint8(1), uint16(0))
	f.Fuzz(func(t *testing.T, s string, every uint8, width uint16) {
		var texts []string
		for n := int(every)%7 + 1; len(s) > n && len(texts) < 200; s = s[n:] {
			texts = append(texts, s[:n])
		}
		texts = append(texts, s)
		fl := lay(t, float32(width), texts...)
		fl.SetFolded(false)
		fl.Update()
		check(t, fl, float32(width))
	})
}
