package widgets

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"

	"unmask/engine"
	"unmask/ui/palette"
	"unmask/ui/run/runtest"
	"unmask/ui/theme"
)

// TestHeatColumns: columns painted as steps come equal those painted at once.
func TestHeatColumns(t *testing.T) {
	events := runtest.Text()
	r := partly(t, events, 7)
	var m, n heat
	full := whole(t, events)
	m.begin(full, &palette.Dark, 300, 120, 8)
	m.update()
	n.begin(r, &palette.Dark, 300, 120, 8)
	n.update()
	if n.done != 7 {
		t.Fatalf("%d columns painted, want 7", n.done)
	}
	for _, e := range events {
		if s, ok := e.(engine.Step); ok && s.Index >= 7 {
			if err := r.Add(s); err != nil {
				t.Fatal(err)
			}
			n.update()
		}
	}
	for i := range m.img.Pix {
		if m.img.Pix[i] != n.img.Pix[i] {
			t.Fatalf("byte %d differs", i)
		}
	}
}

func TestHeatColours(t *testing.T) {
	r := whole(t, runtest.Text())
	var m heat
	m.begin(r, &palette.Light, 380, 4*r.Started().Answer.Len(), 8)
	m.update()
	for n := 1; n <= r.Len(); n++ {
		for _, c := range r.Step(n).Changes {
			px := m.img.RGBAAt(m.x(n-1), m.row(c.Pos))
			want := rgba(palette.Light.Fill[palette.Index(c.Prob)])
			if c.Kind == engine.Remask {
				want = rgba(palette.Light.Text)
			}
			if px != want {
				t.Fatalf("step %d position %d (%s): %v, want %v", n, c.Pos, c.Kind, px, want)
			}
			if p := m.position(m.row(c.Pos)); p != c.Pos {
				t.Fatalf("row of position %d is that of %d", c.Pos, p)
			}
		}
	}
	if m.img.RGBAAt(0, m.row(r.Started().Answer.Hi-1)).A != 0 {
		t.Error("masks of later blocks are not drawn")
	}
}

func TestHeatmapSeeks(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(theme.Theme{Mode: theme.Dark})
	r := partly(t, runtest.Text(), 10)
	h := NewHeatmap(true)
	got := -1
	h.OnSeek = func(s int) { got = s }
	w := test.NewTempWindow(t, h)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(axisWidth+380, 200))
	h.SetRun(r)
	w.Canvas().Capture()
	h.Tapped(&fyne.PointEvent{Position: fyne.NewPos(axisWidth+51, 20)})
	if got != 5 {
		t.Errorf("step %d, want 5", got)
	}
	h.Tapped(&fyne.PointEvent{Position: fyne.NewPos(axisWidth+300, 20)})
	if got != 10 {
		t.Errorf("ahead of the run: step %d, want 10", got)
	}
	if s, p := h.at(fyne.NewPos(axisWidth+2, 1)); s != 1 || p != r.Started().Answer.Lo {
		t.Errorf("top left is step %d position %d", s, p)
	}
}

func TestHeatmapKeys(t *testing.T) {
	test.NewTempApp(t)
	r := partly(t, runtest.Text(), 10)
	h := NewHeatmap(true)
	h.SetRun(r)
	var sought, step, pos int
	h.OnSeek = func(s int) { sought = s; h.SetStep(s) }
	h.OnHover = func(s, p int) { step, pos = s, p }
	key := func(k fyne.KeyName) { h.TypedKey(&fyne.KeyEvent{Name: k}) }
	key(fyne.KeyRight)
	if sought != 0 || step != 10 {
		t.Errorf("past the newest step: sought %d, at %d", sought, step)
	}
	key(fyne.KeyLeft)
	key(fyne.KeyDown)
	if sought != 9 || step != 9 || pos != r.Started().Answer.Lo+1 {
		t.Errorf("sought %d, at step %d position %d", sought, step, pos)
	}
	key(fyne.KeyHome)
	key(fyne.KeyUp)
	key(fyne.KeyUp)
	if sought != 0 || pos != r.Started().Answer.Lo {
		t.Errorf("sought %d, position %d", sought, pos)
	}
	h.SetRun(nil)
	key(fyne.KeyDown)
}

func TestLookHeatmap(t *testing.T) {
	show(t, "heatmap", 396, 216, func() fyne.CanvasObject {
		h := NewHeatmap(true)
		h.SetRun(partly(t, runtest.Text(), 26))
		return h
	})
	show(t, "heatmap-picture", 252, 80, func() fyne.CanvasObject {
		h := NewHeatmap(false)
		h.SetRun(partly(t, runtest.Picture(16, 16, 64, 18), 12))
		return h
	})
	show(t, "small", 396, 120, func() fyne.CanvasObject {
		s := NewSegment([]string{"Tokens", "Confidence", "Order", "Entropy"}, nil)
		s.SetSelected(1)
		m := NewMeter()
		m.Set(.4, "50 of 96 tokens", "1.4 s left")
		return container.NewVBox(s, m, NewLegend())
	})
}

func TestSegment(t *testing.T) {
	test.NewTempApp(t)
	var got []int
	s := NewSegment([]string{"one", "two", "three"}, func(i int) { got = append(got, i) })
	w := test.NewTempWindow(t, s)
	w.SetPadded(false)
	key := func(k fyne.KeyName) { s.TypedKey(&fyne.KeyEvent{Name: k}) }
	key(fyne.KeyLeft)
	key(fyne.KeyRight)
	s.Tapped(&fyne.PointEvent{Position: fyne.NewPos(s.MinSize().Width-8, 10)})
	key(fyne.KeyRight)
	if len(got) != 2 || got[0] != 1 || got[1] != 2 || s.Selected() != 2 {
		t.Fatalf("changes %v", got)
	}
}
