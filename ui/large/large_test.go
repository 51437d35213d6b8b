package large

import (
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"

	"unmask/engine"
	"unmask/ui/glview/panel"
	"unmask/ui/run/runtest"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

var look = flag.String("look", "", "folder to write pictures of the page to")

// env is a window of one run.
type env struct {
	view *state.View
	note string
}

func (e *env) Dispatch(state.Msg) {}
func (e *env) View(id string) *state.View {
	if e.view != nil && e.view.ID == id {
		return e.view
	}
	return nil
}
func (e *env) Explain(err error) state.Trouble { return state.Trouble{Title: err.Error()} }
func (e *env) Note(text string)                { e.note = text }
func (e *env) Now() time.Duration              { return 0 }
func (e *env) Window() fyne.Window             { return nil }
func (e *env) Shortcut(fyne.Shortcut)          {}
func (e *env) Scale() float32                  { return 1 }
func (e *env) Cells([]engine.Token) map[engine.Token]image.Image {
	return nil
}
func (e *env) Seek(int)                 {}
func (e *env) Thumb(string) image.Image { return nil }
func (e *env) Stage() panel.Options     { return panel.Options{} }

// open shows the first n steps of events on a page of w by h units above a time line.
func open(t *testing.T, mode theme.Mode, events []engine.Event, n int, w, h float32) (*Canvas, *env, *widgets.Timeline, fyne.Window) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(theme.Theme{Mode: mode})
	e := &env{view: state.NewView("one")}
	for _, ev := range events {
		if s, ok := ev.(engine.Step); ok && s.Index >= n {
			break
		}
		if err := e.view.Run.Add(ev); err != nil {
			t.Fatal(err)
		}
	}
	c := New(e, nil)
	c.SetOpen(true)
	tl := widgets.NewTimeline()
	win := test.NewTempWindow(t, container.NewBorder(nil, tl, nil, nil, c.Content()))
	win.SetPadded(false)
	win.Resize(fyne.NewSize(w, h))
	tl.SetRun(e.view.Run)
	c.OnSeek(tl.Seek)
	tl.OnStep = func(s int, tween bool) {
		e.view.Hold(s)
		e.view.Jumped = !tween
		c.Observe(e.view)
	}
	c.Align(tl.Track())
	c.Observe(e.view)
	return c, e, tl, win
}

func TestPageFollowsTheTimeLine(t *testing.T) {
	c, e, tl, _ := open(t, theme.Dark, runtest.Both(), 14, 1280, 774)
	if !c.textBox.Visible() || !c.pics.Visible() || c.count.Text() == "" || c.cells.Text() != "Picture, 16 × 16 cells" {
		t.Fatalf("text %v %q, picture %v %q", c.textBox.Visible(), c.count.Text(), c.pics.Visible(), c.cells.Text())
	}
	before := c.written.Text()
	tl.Seek(3)
	if c.step != 3 || c.written.Text() == before {
		t.Errorf("after seeking to 3: step %d, %s", c.step, c.written.Text())
	}
	left, right := tl.Track()
	if x := c.heat.Position().X; x != left || tl.Size().Width-right != x+c.heat.Size().Width {
		t.Errorf("the heat map is not on the time line's axis: %g to %g, track %g to %g", x, x+c.heat.Size().Width, left, tl.Size().Width-right)
	}
	c.heat.Tapped(&fyne.PointEvent{Position: fyne.NewPos(c.heat.Size().Width*9/24, 20)})
	if tl.Step() != 9 || c.step != 9 {
		t.Errorf("a tap in the heat map went to %d and %d", tl.Step(), c.step)
	}
	c.hover(e.view.State().Answer.Lo)
	if !strings.Contains(c.line.Text(), "position 0") {
		t.Errorf("the line of a token says %q", c.line.Text())
	}
	for i, r := range "1345" {
		if !c.Rune(r) || c.segment.Selected() != i {
			t.Errorf("key %c selects %d", r, c.segment.Selected())
		}
	}
	if c.Rune('x') {
		t.Error("x is no view")
	}
	c.SetOpen(false)
	tl.Seek(1)
	if c.step != 9 {
		t.Error("a closed page follows")
	}
	c.SetOpen(true)
	c.Observe(nil)
	if c.count.Text() != "" {
		t.Error("nothing is shown, but counted")
	}
}

func TestPageOfOneKind(t *testing.T) {
	c, _, _, _ := open(t, theme.Dark, runtest.Text(), 20, 1000, 600)
	if !c.textBox.Visible() || c.pics.Visible() || !strings.Contains(c.active.Text(), "block 2 of 3") {
		t.Errorf("text only: picture %v, %q", c.pics.Visible(), c.active.Text())
	}
	c, _, _, _ = open(t, theme.Dark, runtest.Picture(8, 8, 32, 9), 5, 1000, 600)
	if c.textBox.Visible() || !c.pics.Visible() {
		t.Error("picture only")
	}
}

func TestLook(t *testing.T) {
	if *look == "" {
		t.Skip("nothing to look at without -look")
	}
	for name, mode := range map[string]theme.Mode{"dark": theme.Dark, "light": theme.Light} {
		for kind, events := range map[string][]engine.Event{"both": runtest.Both(), "text": runtest.Text(), "picture": runtest.Picture(16, 16, 128, 18)} {
			_, _, _, win := open(t, mode, events, 15, 1280, 774)
			f, err := os.Create(filepath.Join(*look, "large-"+kind+"-"+name+".png"))
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(f, win.Canvas().Capture()); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
}
