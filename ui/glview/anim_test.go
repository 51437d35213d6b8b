package glview

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/palette"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
)

const ms = time.Millisecond

// newAnim shows step n of events at rest at time 0.
func newAnim(t *testing.T, events []engine.Event, cfg Config, n int) (*Anim, *run.Run) {
	t.Helper()
	r := new(run.Run)
	for _, e := range events {
		if _, ok := e.(*engine.Finished); ok {
			continue
		}
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	s, err := NewScene(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.SetRun(r)
	if err := s.Update(); err != nil {
		t.Fatal(err)
	}
	a := NewAnim(s)
	st := r.At(n)
	a.Show(&st, 0, false, 0)
	return a, r
}

func step(a *Anim, r *run.Run, n int, now time.Duration, tween bool, took time.Duration) {
	st := r.At(n)
	a.Show(&st, now, tween, took)
}

// changedAt is a position of text that step n changes by kind.
func changedAt(t *testing.T, r *run.Run, n int, kind engine.ChangeKind) int {
	t.Helper()
	for _, c := range r.Step(n).Changes {
		if c.Kind == kind && c.To != runtest.End {
			return c.Pos
		}
	}
	t.Fatalf("step %d has no %s", n, kind)
	return -1
}

var wordsCfg = Config{Width: 700, Height: 400, Dark: true, Text: Words}

// TestUnmaskMotion follows a word from its chip to its bar.
func TestUnmaskMotion(t *testing.T) {
	a, r := newAnim(t, runtest.Text(), wordsCfg, 10)
	p := changedAt(t, r, 11, engine.Unmask)
	step(a, r, 11, time.Second, true, time.Second)
	at := func(age time.Duration) Look { return a.look(p, time.Second+age) }
	c := a.state.Cells[p]
	chip := palette.Dark.Fill[palette.Index(c.Prob)]
	if l := at(0); l.Fill != chip || l.Grow < .039 || l.Ink != palette.Dark.OnChip || l.Bar != 0 {
		t.Errorf("at once: %+v", l)
	}
	if l := at(70 * ms); l.Fill != chip || l.Grow != 0 {
		t.Errorf("held: %+v", l)
	}
	if l := at(200 * ms); l.Fill.A < 20 || l.Fill.A > 120 || l.Bar <= 0 || l.Bar >= c.Prob {
		t.Errorf("draining: %+v", l)
	}
	last := uint8(255)
	for age := 90 * ms; age < 360*ms; age += 10 * ms {
		if l := at(age); l.Fill.A > last {
			t.Errorf("the chip comes back at %v", age)
		} else {
			last = l.Fill.A
		}
	}
	if l := at(350 * ms); l.Fill.A != 0 || l.Bar != c.Prob || l.Ink != palette.Dark.Text {
		t.Errorf("settled: %+v", l)
	}
	if !a.Moving(time.Second+340*ms) || a.Moving(time.Second+350*ms) {
		t.Error("motion does not end at 350 ms")
	}
}

// TestFastSteps: a flash shortens to max(120 ms, 3 steps).
func TestFastSteps(t *testing.T) {
	for _, c := range []struct{ took, flash time.Duration }{
		{10 * ms, 120 * ms}, {50 * ms, 150 * ms}, {119 * ms, 350 * ms}, {200 * ms, 350 * ms},
	} {
		a, r := newAnim(t, runtest.Text(), wordsCfg, 10)
		step(a, r, 11, 0, true, c.took)
		if !a.Moving(c.flash-1) || a.Moving(c.flash) {
			t.Errorf("steps of %v: the flash does not end at %v", c.took, c.flash)
		}
	}
}

func TestRemaskAndEditMotion(t *testing.T) {
	a, r := newAnim(t, runtest.Text(), wordsCfg, 20)
	gone, edited := changedAt(t, r, 21, engine.Remask), changedAt(t, r, 21, engine.Edit)
	step(a, r, 21, 0, true, time.Second)
	if l := a.look(gone, 60*ms); l.Old.A < 128 || l.Fill.A > 60 || l.Marks != 1 {
		t.Errorf("remask at 60 ms: %+v", l)
	}
	if l := a.look(gone, 180*ms); l.Old.A != 0 || l.Fill.A < 250 || l.Bar != 0 || l.Marks != 1 {
		t.Errorf("remask at 180 ms: %+v", l)
	}
	if l := a.look(gone, 780*ms); l.Marks != 0 {
		t.Errorf("corner marks at 780 ms: %+v", l)
	}
	if l := a.look(edited, 40*ms); l.OldShift >= 0 || l.OldShift < -5 || l.Ink.A != 0 || l.Shift != 5 {
		t.Errorf("edit at 40 ms: %+v", l)
	}
	if l := a.look(edited, 130*ms); l.Old.A != 0 || l.Ink.A < 128 || l.Shift <= 0 {
		t.Errorf("edit at 130 ms: %+v", l)
	}
	if l := a.look(edited, 400*ms); l.Fill.A != 0 || l.Shift != 0 || l.Bar != a.state.Cells[edited].Prob {
		t.Errorf("edit at 400 ms: %+v", l)
	}
}

// TestScrubIsStatic: without tween the state is there at once, the same at every time, marked by step.
func TestScrubIsStatic(t *testing.T) {
	a, r := newAnim(t, runtest.Picture(8, 8, 32, 9), Config{Width: 200, Height: 200, View: palette.Picture}, 3)
	step(a, r, 5, time.Second, false, 0)
	for p := range a.state.Cells {
		if a.look(p, time.Second) != a.look(p, time.Hour) {
			t.Fatalf("position %d moves", p)
		}
	}
	if a.Moving(time.Second) {
		t.Error("a scrubbed state moves")
	}
	now, before, old := changedAt(t, r, 5, engine.Unmask), changedAt(t, r, 4, engine.Unmask), changedAt(t, r, 3, engine.Unmask)
	fill := func(p int) palette16 { return palette16(palette.Index(a.state.Cells[p].Prob)) }
	if l := a.look(now, 0); l.Fill != palette.Dark.Fill[fill(now)] {
		t.Errorf("this step: %+v", l)
	}
	if l := a.look(before, 0); l.Fill.A != 56 || l.Width != 1 || l.Line != palette.Dark.Fill[fill(before)] {
		t.Errorf("a step ago: %+v", l)
	}
	if l := a.look(old, 0); l != (Look{}) {
		t.Errorf("two steps ago: %+v", l)
	}
	step(a, r, 2, time.Second, true, 0)
	if a.Moving(time.Second) {
		t.Error("going back has no tween")
	}
}

type palette16 int

// TestReducedMotion: nothing ever moves; a fresh cell wears a line.
func TestReducedMotion(t *testing.T) {
	cfg := wordsCfg
	cfg.ReduceMotion = true
	a, r := newAnim(t, runtest.Text(), cfg, 20)
	a.SetLive(true)
	step(a, r, 21, time.Second, true, time.Second)
	if a.Moving(time.Second) {
		t.Error("moves")
	}
	if l := a.look(changedAt(t, r, 21, engine.Remask), time.Second); l.Marks != 1 {
		t.Errorf("remasked: %+v", l)
	}
	if l := a.look(changedAt(t, r, 21, engine.Edit), time.Second); l.Triangle != 1 || l.Width != 1.5 || l.Fill.A != 0 {
		t.Errorf("edited: %+v", l)
	}
	a.SetPinned([]int{5}, time.Second)
	if l := a.look(5, time.Second); l.Frame != 1 {
		t.Errorf("pinned: %+v", l)
	}
}

func TestShimmer(t *testing.T) {
	a, r := newAnim(t, runtest.Picture(8, 8, 32, 9), Config{Width: 200, Height: 200, View: palette.Picture}, 0)
	p := r.Started().Answer.Lo
	if a.look(p, 0) != a.look(p, 600*ms) {
		t.Error("masks of a run at rest are still")
	}
	a.SetLive(true)
	if !a.Moving(time.Hour) {
		t.Error("a run that goes shimmers")
	}
	if a.look(p, 0) == a.look(p, 600*ms) || a.look(p, 0) != a.look(p, shimmerPeriod) {
		t.Error("the period is 2.4 s")
	}
	if a.look(p, 600*ms) == a.look(p+4, 600*ms) {
		t.Error("the light crosses: phases differ by place")
	}
}

// TestPicturesAreDark: cells of a picture take the dark ramp in a light room, words the light one.
func TestPicturesAreDark(t *testing.T) {
	a, r := newAnim(t, runtest.Both(), Config{Width: 900, Height: 400, View: palette.Confidence}, 12)
	st := r.At(12)
	for p := range st.Cells {
		c := &st.Cells[p]
		if c.Masked || c.Step > 10 {
			continue
		}
		l := a.look(p, time.Hour)
		i := palette.Index(c.Prob)
		if c.Modality == engine.Image && l.Fill != palette.Dark.Fill[i] || c.Modality == engine.Text && l.Ink != palette.Light.Ink[i] {
			t.Fatalf("position %d (%s): %+v", p, c.Modality, l)
		}
	}
}

// TestScenes lays runs out in many sizes: everything inside, nothing over anything else, every picture cell there.
func TestScenes(t *testing.T) {
	for name, events := range map[string][]engine.Event{"text": runtest.Text(), "picture": runtest.Picture(16, 16, 32, 6), "both": runtest.Both()} {
		for _, size := range [][2]int{{1, 1}, {30, 20}, {120, 300}, {396, 142}, {448, 448}, {1240, 430}} {
			for _, style := range []TextStyle{AutoText, CellsOnly, NoText} {
				cfg := Config{Width: size[0], Height: size[1], Text: style, Margin: 4}
				a, r := newAnim(t, events, cfg, 3)
				s := a.scene
				cells := 0
				for i := range s.places {
					p := &s.places[i]
					if p.w < 1 || p.h < 1 || p.x < 0 || p.y < 0 || !p.word && (p.x+p.w > size[0] || p.y+p.h > size[1]) {
						t.Fatalf("%s %v: position %d at (%d, %d), %d by %d", name, size, p.pos, p.x, p.y, p.w, p.h)
					}
					if s.Hit(p.x+p.w/2, p.y+p.h/2) != p.pos {
						t.Fatalf("%s %v: position %d is covered", name, size, p.pos)
					}
					if !p.word {
						cells++
					}
				}
				st := r.At(0)
				if size[0] >= 120 && st.Image.Len() > 0 && cells < st.Image.Len() {
					t.Fatalf("%s %v: %d cells of %d", name, size, cells, st.Image.Len())
				}
				var f Frame
				for range 2 {
					if err := Compose(&f, s, a, time.Second); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if _, err := NewScene(Config{Width: 1 << 20, Height: 1 << 20}); err == nil {
		t.Error("a frame of 10^12 pixels is accepted")
	}
}

// TestAtlas: words are drawn once, and an atlas that is full begins again.
func TestAtlas(t *testing.T) {
	f, err := NewFonts()
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAtlas(f, 60)
	if err != nil {
		t.Fatal(err)
	}
	one, err := a.word("water")
	if err != nil {
		t.Fatal(err)
	}
	v := a.Version
	if two, _ := a.word("water"); two != one || a.Version != v {
		t.Error("drawn twice")
	}
	lit := 0
	for y := one.place.Min.Y; y < one.place.Max.Y; y++ {
		for x := one.place.Min.X; x < one.place.Max.X; x++ {
			if a.Mask.AlphaAt(x, y).A > 128 {
				lit++
			}
		}
	}
	if lit < 500 {
		t.Errorf("%d pixels of a word", lit)
	}
	full := false
	for i := range 2000 {
		if _, err := a.word(string(rune('a'+i%26)) + "mmmmmmmmmmmm" + string(rune('a'+i/26))); err != nil {
			full = true
			break
		}
	}
	if !full {
		t.Error("an atlas grows without end")
	}
	a.clear()
	if _, err := a.word("again"); err != nil {
		t.Error(err)
	}
	if _, err := NewFonts([]byte("not a font")); err == nil {
		t.Error("no font is accepted as a font")
	}
}

// TestSystemFont: a character that no own font has is drawn with the system's, and a file that is no font is passed by.
func TestSystemFont(t *testing.T) {
	dir := t.TempDir()
	bad, good := filepath.Join(dir, "bad.ttc"), filepath.Join(dir, "good.ttf")
	for path, b := range map[string][]byte{bad: []byte("ttcf, but no more"), good: fynetheme.DefaultTextFont().Content()} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := systemFonts[runtime.GOOS]
	systemFonts[runtime.GOOS] = []string{filepath.Join(dir, "missing"), bad, good}
	t.Cleanup(func() { systemFonts[runtime.GOOS] = old })
	f, err := NewFonts()
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAtlas(f, 20)
	if err != nil {
		t.Fatal(err)
	}
	if f.find('a') != 0 || f.find('ạ') >= 0 {
		t.Skip("Go Regular has changed")
	}
	a.Measure("plain")
	if len(f.fonts) != 1 {
		t.Error("the system's font was read without need")
	}
	if _, err := a.word("mạnh"); err != nil {
		t.Fatal(err)
	}
	if len(f.fonts) != 2 || f.pick('ạ') != 1 || f.pick('\U0010FFFD') != 0 || len(a.faces) != 2 {
		t.Errorf("%d fonts, %d faces", len(f.fonts), len(a.faces))
	}
}
