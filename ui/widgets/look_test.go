package widgets

import (
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"unmask/engine"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
	"unmask/ui/theme"
)

// look is a folder to write pictures of the widgets to, to be looked at; nothing is compared with them.
var look = flag.String("look", "", "folder to write pictures of the widgets to")

// show puts o into a window of w by h units in both variants, writes pictures if asked to, and closes the window.
func show(t *testing.T, name string, w, h float32, make func() fyne.CanvasObject) {
	t.Helper()
	for _, m := range []struct {
		mode theme.Mode
		name string
	}{{theme.Dark, "dark"}, {theme.Light, "light"}} {
		app := test.NewTempApp(t)
		app.Settings().SetTheme(theme.Theme{Mode: m.mode})
		win := test.NewTempWindow(t, make())
		win.SetPadded(false)
		win.Resize(fyne.NewSize(w, h))
		img := win.Canvas().Capture()
		if *look == "" {
			continue
		}
		f, err := os.Create(filepath.Join(*look, name+"-"+m.name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, img); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// partly is a recording of the first n steps of events, which go on.
func partly(t testing.TB, events []engine.Event, n int) *run.Run {
	t.Helper()
	r := new(run.Run)
	for _, e := range events {
		if r.Len() == n && r.Started() != nil {
			if _, ok := e.(engine.Step); ok {
				break
			}
		}
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func whole(t testing.TB, events []engine.Event) *run.Run { return partly(t, events, 1<<30) }

func TestLookTimeline(t *testing.T) {
	show(t, "timeline", 1208, 92, func() fyne.CanvasObject {
		tl := NewTimeline()
		tl.SetRun(partly(t, runtest.Text(), 26))
		tl.SetMarks([]TimelineMark{{Step: 9, Label: "Mira"}})
		return tl
	})
	show(t, "timeline-picture", 1208, 92, func() fyne.CanvasObject {
		tl := NewTimeline()
		tl.SetRun(whole(t, runtest.Picture(16, 16, 64, 18)))
		return tl
	})
	show(t, "timeline-compact", 848, 56, func() fyne.CanvasObject {
		tl := NewTimeline()
		tl.SetCompact(true)
		tl.SetRun(partly(t, runtest.Text(), 12))
		return tl
	})
	show(t, "timeline-empty", 848, 92, func() fyne.CanvasObject { return NewTimeline() })
}
