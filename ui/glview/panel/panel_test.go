package panel

import (
	"image/color"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"

	"unmask/engine"
	"unmask/ui/palette"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
	"unmask/ui/theme"
)

// newTest makes a view in a window with a clock that the test moves.
func newTest(t *testing.T, w, h float32) (*View, *time.Duration) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(theme.Theme{Mode: theme.Dark})
	v := New(Options{})
	now := new(time.Duration)
	v.clock = func() time.Duration { return *now }
	win := test.NewTempWindow(t, v)
	win.SetPadded(false)
	win.Resize(fyne.NewSize(w, h))
	return v, now
}

func add(t *testing.T, r *run.Run, events ...engine.Event) {
	t.Helper()
	for _, e := range events {
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
}

// drawAll lets the clock run until the view stops, and returns how many frames that took.
func drawAll(v *View, now *time.Duration) int {
	before := v.frames
	for range 200 {
		*now += time.Second / 60
		v.tick()
		if v.ticking == nil {
			break
		}
	}
	return v.frames - before
}

func TestDrawsWhileItMovesAndThenStops(t *testing.T) {
	events := runtest.Text()
	r := new(run.Run)
	v, now := newTest(t, 400, 200)
	add(t, r, events...)
	v.SetRun(r)
	if v.Err() != nil || v.frames == 0 {
		t.Fatalf("%d frames, %v", v.frames, v.Err())
	}
	drawAll(v, now)
	if n := drawAll(v, now); n > 0 || v.ticking != nil {
		t.Fatalf("a finished run at rest drew %d frames", n)
	}
	v.SetStep(10, false)
	if n := drawAll(v, now); n > 1 {
		t.Fatalf("scrubbing drew %d frames after the first", n)
	}
	v.SetStep(11, true)
	n := drawAll(v, now)
	if n < 5 || n > 8 { // steps of 61 ms shorten the flash to 183 ms
		t.Fatalf("a flash took %d frames, want about 6 at 30 a second", n)
	}
	if n := drawAll(v, now); n != 0 {
		t.Fatalf("settled, but drew %d frames", n)
	}
}

func TestShimmersOnlyWhileItRunsAndIsSeen(t *testing.T) {
	events := runtest.Text()
	r := new(run.Run)
	v, now := newTest(t, 400, 200)
	add(t, r, events[:5]...)
	v.SetRun(r)
	*now += time.Second
	if n := drawAll(v, now); n < 80 || v.ticking == nil {
		t.Fatalf("masks shimmer while a run goes: %d frames", n)
	}
	v.SetActive(false)
	if n := drawAll(v, now); n != 0 || v.ticking != nil {
		t.Fatalf("hidden, but %d frames", n)
	}
	v.SetActive(true)
	if v.ticking == nil {
		t.Fatal("shown again, but still")
	}
	v.SetStep(2, false)
	drawAll(v, now)
	if v.ticking != nil {
		t.Fatal("a step in the past shimmers")
	}
	v.o.Reduce = func() bool { return true }
	v.SetStep(r.Len(), true)
	drawAll(v, now)
	if v.ticking != nil {
		t.Fatal("reduced motion shimmers")
	}
}

// TestHiddenAround: a view in something hidden draws nothing, and what is due when it is shown again and woken.
func TestHiddenAround(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(theme.Theme{Mode: theme.Dark})
	v := New(Options{})
	now := new(time.Duration)
	v.clock = func() time.Duration { return *now }
	around := container.NewPadded(v)
	win := test.NewTempWindow(t, container.NewStack(around))
	win.Resize(fyne.NewSize(400, 200))
	r := new(run.Run)
	add(t, r, runtest.Text()[:5]...)
	v.SetRun(r)
	if drawAll(v, now) == 0 {
		t.Fatal("nothing is drawn")
	}
	around.Hide()
	drawAll(v, now)
	if n := drawAll(v, now); n != 0 || v.ticking != nil {
		t.Fatalf("hidden, but %d frames", n)
	}
	v.SetStep(2, false)
	v.Wake()
	if n := drawAll(v, now); n != 0 {
		t.Fatalf("hidden, but %d frames", n)
	}
	around.Show()
	before := v.frames
	v.Wake()
	if v.frames != before+1 {
		t.Fatalf("shown again: %d frames", v.frames-before)
	}
}

func TestTapsHitCells(t *testing.T) {
	r := new(run.Run)
	add(t, r, runtest.Picture(8, 8, 32, 9)...)
	v, _ := newTest(t, 200, 200)
	v.SetRun(r)
	got := -2
	v.OnTapped = func(p int, _ fyne.Position) { got = p }
	lo := r.Started().Answer.Lo
	for i := range 64 {
		at, size, ok := v.Rect(lo + i)
		if !ok {
			t.Fatalf("cell %d is not shown", i)
		}
		v.Tapped(&fyne.PointEvent{Position: at.AddXY(size.Width/2, size.Height/2)})
		if got != lo+i {
			t.Fatalf("cell %d: tapped %d", i, got-lo)
		}
	}
}

func TestFollowsThemeAndView(t *testing.T) {
	r := new(run.Run)
	add(t, r, runtest.Text()...)
	v, now := newTest(t, 300, 100)
	v.SetRun(r)
	corner := func() color.NRGBA {
		drawAll(v, now)
		c := v.image.Image.At(1, 1)
		return color.NRGBAModel.Convert(c).(color.NRGBA)
	}
	if corner() != palette.Dark.Canvas {
		t.Fatalf("dark canvas is %v", corner())
	}
	fyne.CurrentApp().Settings().SetTheme(theme.Theme{Mode: theme.Light})
	v.Refresh()
	if corner() != palette.Light.Canvas {
		t.Fatalf("light canvas is %v", corner())
	}
	for i := range palette.Views {
		v.SetView(palette.View(i))
		drawAll(v, now)
		if v.Err() != nil {
			t.Fatal(v.Err())
		}
	}
	v.SetRun(nil)
	v.SetStep(3, true)
	if b := v.image.Image.Bounds(); b.Dx() != 1 {
		t.Errorf("a view of nothing still shows %v", b)
	}
	if v.Err() != nil {
		t.Fatal(v.Err())
	}
}
