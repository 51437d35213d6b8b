package mask

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"unmask/engine"
)

func TestUndoAndRedoRestoreEveryPixel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m := New(200, 130)
	states := []*image.Alpha{m.Alpha()}
	for range 40 {
		m.Begin()
		p := func() Point { return Point{r.Float64()*240 - 20, r.Float64()*170 - 20} }
		switch r.IntN(6) {
		case 0:
			m.Rect(image.Rect(r.IntN(220)-10, r.IntN(150)-10, r.IntN(220), r.IntN(150)), r.IntN(2) == 0)
		case 1:
			m.Lasso([]Point{p(), p(), p(), p()}, false)
		case 2:
			m.Invert()
		case 3:
			m.Clear()
		default:
			a, b := p(), p()
			m.Stroke(a, b, Brush{Radius: 1 + r.Float64()*30, Feather: r.Float64() * 10, Erase: r.IntN(3) == 0})
			m.Stroke(b, p(), Brush{Radius: 5})
		}
		if m.End() {
			states = append(states, m.Alpha())
		}
	}
	same := func(i int) {
		t.Helper()
		if a := m.Alpha(); string(a.Pix) != string(states[i].Pix) {
			t.Fatalf("after going to edit %d the mask differs", i)
		}
	}
	for i := len(states) - 2; i >= 0; i-- {
		if !m.Undo() {
			t.Fatalf("cannot undo to edit %d", i)
		}
		same(i)
	}
	if m.Undo() || m.CanUndo() {
		t.Error("undo past the beginning")
	}
	for i := 1; i < len(states); i++ {
		m.Redo()
		same(i)
	}
	m.Undo()
	m.Begin()
	m.Rect(image.Rect(0, 0, 9, 9), false)
	if m.End(); m.CanRedo() && !sameAs(states[len(states)-1], m) {
		t.Error("a new edit keeps what was undone")
	}
}

func sameAs(a *image.Alpha, m *Mask) bool { return string(a.Pix) == string(m.Alpha().Pix) }

func TestAnEditThatChangesNothingIsNotKept(t *testing.T) {
	m := New(64, 64)
	m.Begin()
	m.Stroke(Point{500, 500}, Point{600, 600}, Brush{Radius: 4})
	m.Clear()
	if m.End() || m.CanUndo() {
		t.Error("an edit without a change can be undone")
	}
}

func TestStrokeIsACapsule(t *testing.T) {
	m := New(60, 40)
	m.Stroke(Point{10, 20}, Point{50, 20}, Brush{Radius: 5})
	for y := range 40 {
		for x := range 60 {
			cx := min(max(float64(x)+.5, 10), 50)
			dx, dy := float64(x)+.5-cx, float64(y)+.5-20
			if want := dx*dx+dy*dy <= 25; (m.At(x, y) == 255) != want {
				t.Fatalf("pixel %d, %d is %d, inside %v", x, y, m.At(x, y), want)
			}
		}
	}
	m.Stroke(Point{30, 20}, Point{30, 20}, Brush{Radius: 3, Erase: true})
	if m.At(30, 20) != 0 || m.At(30, 24) != 255 {
		t.Error("the eraser takes away too little or too much")
	}
}

func TestFeatherFadesAcrossTheEdge(t *testing.T) {
	m := New(64, 64)
	m.Stroke(Point{32, 32}, Point{32, 32}, Brush{Radius: 16, Feather: 8})
	last := uint8(255)
	for x := 32; x < 64; x++ {
		v := m.At(x, 32)
		if v > last {
			t.Fatalf("grows outwards at %d", x)
		}
		last = v
	}
	if v := m.At(32+16, 32); v < 100 || v > 150 {
		t.Errorf("at the radius the mask is %d, want about half", v)
	}
}

func TestACellCountsFromAQuarter(t *testing.T) {
	g := engine.Grid{Cols: 4, Rows: 4}
	for _, c := range []struct {
		r    image.Rectangle
		want bool
	}{{image.Rect(0, 0, 5, 5), true}, {image.Rect(0, 0, 6, 4), false}, {image.Rect(0, 0, 10, 10), true}, {image.Rect(0, 0, 5, 4), false}} {
		m := New(40, 40)
		m.Rect(c.r, false)
		cells, n := m.Cells(g)
		if cells[0] != c.want || n != map[bool]int{true: 1}[c.want] {
			t.Errorf("%v of a cell of 10 by 10: %v, %d cells", c.r, cells[0], n)
		}
	}
	m := New(40, 40)
	m.Rect(image.Rect(8, 8, 22, 22), false)
	cells, n := m.Cells(g)
	if n != 1 || !cells[5] {
		t.Errorf("cells %v", cells)
	}
	if s := m.Snapped(g); s.AlphaAt(10, 10).A != 255 || s.AlphaAt(19, 19).A != 255 || s.AlphaAt(9, 9).A != 0 || s.AlphaAt(20, 20).A != 0 {
		t.Error("snapping does not give whole cells")
	}
}

func TestLassoFillsItsInside(t *testing.T) {
	m := New(50, 50)
	m.Lasso([]Point{{10, 10}, {40, 10}, {40, 40}, {10, 40}}, false)
	if c := m.Coverage(); c != 900.0/2500 {
		t.Errorf("a square of 30 covers %g", c)
	}
	if r := m.Lasso([]Point{{1, 1}, {2, 2}}, false); !r.Empty() {
		t.Error("two points enclose something")
	}
}

func TestMergeChangesOnlyTheMask(t *testing.T) {
	before, after := image.NewNRGBA(image.Rect(0, 0, 40, 40)), image.NewNRGBA(image.Rect(0, 0, 8, 8))
	for i := range after.Pix {
		after.Pix[i] = 200
	}
	for i := range before.Pix {
		before.Pix[i] = 100
	}
	m := New(40, 40)
	m.Rect(image.Rect(10, 10, 20, 20), false)
	out := Merge(before, after, m.Alpha())
	if out.NRGBAAt(5, 5).R != 100 || out.NRGBAAt(15, 15).R != 200 {
		t.Errorf("outside %v, inside %v", out.NRGBAAt(5, 5), out.NRGBAAt(15, 15))
	}
}

func TestCropKeepsTheMiddle(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 30, 10))
	img.SetNRGBA(15, 5, color.NRGBA{R: 9, A: 255})
	c := Crop(img, 64, 64)
	if c.Bounds().Dx() != 10 || c.Bounds().Dy() != 10 {
		t.Fatalf("cropped to %v", c.Bounds())
	}
	if r, _, _, _ := c.At(5, 5).RGBA(); r>>8 != 9 {
		t.Error("the middle is not kept")
	}
}

func TestPaintShowsMaskAndCells(t *testing.T) {
	m := New(64, 64)
	m.Rect(image.Rect(16, 16, 30, 30), false)
	g := engine.Grid{Cols: 4, Rows: 4}
	cells, _ := m.Cells(g)
	dst := image.NewRGBA(image.Rect(0, 0, 128, 128))
	l := DefaultLook(1)
	Paint(dst, m, cells, g, l, dst.Bounds())
	if dst.RGBAAt(36, 36) != l.Dot {
		t.Errorf("no dot in the stroke: %v", dst.RGBAAt(36, 36))
	}
	if dst.RGBAAt(32, 50) != l.Line {
		t.Errorf("no outline: %v", dst.RGBAAt(32, 50))
	}
	if dst.RGBAAt(10, 10).A != 0 {
		t.Error("something is drawn far from the mask")
	}
	part := image.NewRGBA(dst.Bounds())
	Paint(part, m, cells, g, l, image.Rect(0, 0, 128, 60))
	Paint(part, m, cells, g, l, image.Rect(0, 60, 128, 128))
	if string(part.Pix) != string(dst.Pix) {
		t.Error("painting by parts differs from painting at once")
	}
}
