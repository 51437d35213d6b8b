package widgets

import (
	"context"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"unmask/engine"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
	"unmask/ui/theme"
)

// shown is one call of OnStep.
type shown struct {
	step  int
	tween bool
}

func newTestTimeline(t *testing.T, r *run.Run) (*Timeline, *[]shown) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(theme.Theme{Mode: theme.Dark})
	tl := NewTimeline()
	var got []shown
	tl.OnStep = func(s int, tween bool) { got = append(got, shown{s, tween}) }
	w := test.NewTempWindow(t, tl)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(1000, 92))
	tl.SetRun(r)
	return tl, &got
}

func TestTimelineFollowsScrubsAndFollowsAgain(t *testing.T) {
	events := runtest.Text()
	r := partly(t, events, 10)
	tl, got := newTestTimeline(t, r)
	if len(*got) != 1 || (*got)[0] != (shown{10, false}) {
		t.Fatalf("a new run is shown at its newest step without motion: %v", *got)
	}
	add := func() {
		for _, e := range events[1:] {
			if s, ok := e.(engine.Step); ok && s.Index == r.Len() {
				if err := r.Add(s); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		tl.Update()
	}
	add()
	if last := (*got)[len(*got)-1]; last != (shown{11, true}) {
		t.Fatalf("following: %v", last)
	}
	x0, x1 := tl.view.trackX()
	tl.Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: fyne.NewPos(x0+(x1-x0)*5/float32(r.Planned())+1, 30)}})
	if last := (*got)[len(*got)-1]; last != (shown{5, false}) {
		t.Fatalf("scrubbing: %v", last)
	}
	n := len(*got)
	add()
	if len(*got) != n || tl.Step() != 5 || tl.Following() {
		t.Fatal("a scrubbed time line must stay while the run goes on")
	}
	tl.Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: fyne.NewPos(x1, 30)}})
	if tl.Step() != r.Len() || tl.Following() {
		t.Fatalf("scrubbing into the future stops at the newest step: %d", tl.Step())
	}
	tl.TypedRune('l')
	add()
	if tl.Step() != r.Len() || !tl.Following() {
		t.Fatal("L follows")
	}
}

func TestTimelineKeysAndPlay(t *testing.T) {
	r := whole(t, runtest.Text())
	tl, _ := newTestTimeline(t, r)
	key := func(k fyne.KeyName) { tl.TypedKey(&fyne.KeyEvent{Name: k}) }
	key(fyne.KeyHome)
	key(fyne.KeyLeft)
	if tl.Step() != 0 {
		t.Fatalf("before the start: %d", tl.Step())
	}
	key(fyne.KeyRight)
	key(fyne.KeyRight)
	if tl.Step() != 2 {
		t.Fatalf("two steps on: %d", tl.Step())
	}
	tl.TypedRune('.')
	tl.TypedRune('.')
	if tl.speed() != "4×" {
		t.Fatalf("speed %s", tl.speed())
	}
	key(fyne.KeySpace)
	at := tl.Step()
	tl.Tick(time.Second)
	if d := tl.Step() - at; d < 30 || d > 48 {
		if tl.Step() != r.Len() {
			t.Fatalf("one second at speed 4 moved %d steps", d)
		}
	}
	key(fyne.KeyEnd)
	if tl.Playing() || tl.Step() != r.Len() {
		t.Fatal("End stops at the end")
	}
}

func TestTimelineHover(t *testing.T) {
	r := partly(t, runtest.Text(), 10)
	tl, _ := newTestTimeline(t, r)
	got := -1
	tl.OnHover = func(s int) { got = s }
	x0, x1 := tl.view.trackX()
	move := func(x float32) {
		tl.MouseMoved(&desktop.MouseEvent{PointEvent: fyne.PointEvent{Position: fyne.NewPos(x, 40)}})
	}
	per := (x1 - x0) / float32(r.Planned())
	move(x0 + per*3.5)
	if got != 4 {
		t.Errorf("over the fourth bar: %d", got)
	}
	move(x0 + per*12)
	if got != 0 {
		t.Errorf("over a step ahead: %d", got)
	}
}

// TestTrack: steps map to places and back, and bins never lose a step.
func TestTrack(t *testing.T) {
	for _, n := range []int{1, 2, 48, 1000} {
		tr := track{width: 768, steps: n}
		for s := 0; s <= n; s++ {
			if got := tr.step(tr.x(s)); got != s {
				t.Fatalf("%d steps: step %d comes back as %d", n, s, got)
			}
		}
		bars := tr.bars(make([]run.StepInfo, n))
		at := 0
		for _, b := range bars {
			if b.lo != at || b.hi <= b.lo || !b.made {
				t.Fatalf("%d steps: bar [%d, %d) after %d", n, b.lo, b.hi, at)
			}
			at = b.hi
		}
		if at != n || len(bars) > 256 {
			t.Fatalf("%d steps: %d bars cover %d", n, len(bars), at)
		}
	}
	if (track{}).step(10) != 0 || (track{width: 10}).x(3) != 0 || len((track{width: 10}).bars(nil)) != 0 {
		t.Fatal("an empty track has one place")
	}
}

func TestTimelineEmptyAndFailed(t *testing.T) {
	tl, got := newTestTimeline(t, nil)
	tl.Toggle()
	tl.Seek(4)
	tl.Last()
	tl.Update()
	if len(*got) != 1 || tl.Step() != 0 {
		t.Fatalf("no run: %v", *got)
	}
	r := partly(t, runtest.Text(), 3)
	r.Fail(context.Canceled)
	tl.SetRun(r)
	if s, _ := tl.status(); s != "stopped" || tl.Step() != 3 {
		t.Fatalf("stopped run: %q step %d", s, tl.Step())
	}
}
