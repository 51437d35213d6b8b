// Package mask edits an image mask: where a picture is to be repainted. Strokes, rectangles, lassos, invert and clear,
// all undone and redone by tiles; the cells of the token grid that follow from it; and the picture that comes of a result.
// It knows no toolkit. A Mask belongs to one goroutine.
package mask

import (
	"image"
	"math"
	"slices"

	"unmask/engine"
)

// tile is the side of what undo keeps at a time, pixels.
const tile = 64

// maxUndo bounds the edits that can be undone.
const maxUndo = 200

// Point is a place in the picture, pixels from its top left corner.
type Point struct{ X, Y float64 }

// Mask is an image mask of a picture's size with its edits.
type Mask struct {
	w, h       int
	pix        []uint8 // [h*w] 255: repaint
	undo, redo []edit
	open       map[int][]uint8 // tiles as they were before the edit under way; nil: none is
}

// edit is what tiles were before it.
type edit map[int][]uint8

// New is an empty mask of w by h pixels.
func New(w, h int) *Mask {
	w, h = max(w, 1), max(h, 1)
	return &Mask{w: w, h: h, pix: make([]uint8, w*h)}
}

// From is a mask of w by h pixels that starts as a: scaled to that size by nearest neighbour where it differs; nil is
// empty.
func From(a *image.Alpha, w, h int) *Mask {
	m := New(w, h)
	if a == nil || a.Rect.Empty() {
		return m
	}
	for y := range m.h {
		for x := range m.w {
			m.pix[y*m.w+x] = a.AlphaAt(a.Rect.Min.X+x*a.Rect.Dx()/m.w, a.Rect.Min.Y+y*a.Rect.Dy()/m.h).A
		}
	}
	return m
}

// Size is the size in pixels.
func (m *Mask) Size() (w, h int) { return m.w, m.h }

// At is the mask at a pixel inside it: 0 keep, 255 repaint.
func (m *Mask) At(x, y int) uint8 { return m.pix[y*m.w+x] }

// Alpha is a copy of the mask.
func (m *Mask) Alpha() *image.Alpha {
	return &image.Alpha{Pix: slices.Clone(m.pix), Stride: m.w, Rect: image.Rect(0, 0, m.w, m.h)}
}

// Begin starts an edit: everything until End is undone at once.
func (m *Mask) Begin() {
	if m.open == nil {
		m.open = edit{}
	}
}

// End ends an edit and reports whether anything changed.
func (m *Mask) End() bool {
	e := m.open
	m.open = nil
	for id, was := range e {
		if slices.Equal(was, m.copyTile(id)) {
			delete(e, id)
		}
	}
	if len(e) == 0 {
		return false
	}
	m.undo = append(m.undo, e)
	if len(m.undo) > maxUndo {
		m.undo = slices.Delete(m.undo, 0, 1)
	}
	m.redo = nil
	return true
}

// CanUndo and CanRedo report whether Undo and Redo would change anything.
func (m *Mask) CanUndo() bool { return len(m.undo) > 0 }

// CanRedo reports whether Redo would change anything.
func (m *Mask) CanRedo() bool { return len(m.redo) > 0 }

// Undo takes the last edit back.
func (m *Mask) Undo() bool { return m.swap(&m.undo, &m.redo) }

// Redo makes the last undone edit again.
func (m *Mask) Redo() bool { return m.swap(&m.redo, &m.undo) }

func (m *Mask) swap(from, to *[]edit) bool {
	m.End()
	n := len(*from)
	if n == 0 {
		return false
	}
	e := (*from)[n-1]
	*from = (*from)[:n-1]
	back := edit{}
	for id, was := range e {
		back[id] = m.copyTile(id)
		m.putTile(id, was)
	}
	*to = append(*to, back)
	return true
}

func (m *Mask) cols() int { return (m.w + tile - 1) / tile }

// bounds is the part of the mask that tile id covers.
func (m *Mask) bounds(id int) image.Rectangle {
	x, y := id%m.cols()*tile, id/m.cols()*tile
	return image.Rect(x, y, min(x+tile, m.w), min(y+tile, m.h))
}

func (m *Mask) copyTile(id int) []uint8 {
	b := m.bounds(id)
	out := make([]uint8, 0, b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		out = append(out, m.pix[y*m.w+b.Min.X:y*m.w+b.Max.X]...)
	}
	return out
}

func (m *Mask) putTile(id int, pix []uint8) {
	b := m.bounds(id)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		copy(m.pix[y*m.w+b.Min.X:y*m.w+b.Max.X], pix[(y-b.Min.Y)*b.Dx():])
	}
}

// touch keeps the tiles under r for undo. r lies inside the mask.
func (m *Mask) touch(r image.Rectangle) {
	if m.open == nil || r.Empty() {
		return
	}
	for ty := r.Min.Y / tile; ty <= (r.Max.Y-1)/tile; ty++ {
		for tx := r.Min.X / tile; tx <= (r.Max.X-1)/tile; tx++ {
			id := ty*m.cols() + tx
			if _, ok := m.open[id]; !ok {
				m.open[id] = m.copyTile(id)
			}
		}
	}
}

// Brush says how a stroke paints.
type Brush struct {
	Radius  float64 // pixels
	Feather float64 // pixels over which the edge fades, inside and outside of the radius alike
	Erase   bool
}

// Stroke paints from a to b and returns what it touched. Outside of Begin and End it cannot be undone.
func (m *Mask) Stroke(a, b Point, br Brush) image.Rectangle {
	reach := br.Radius + br.Feather/2
	r := image.Rect(int(math.Floor(min(a.X, b.X)-reach)), int(math.Floor(min(a.Y, b.Y)-reach)),
		int(math.Ceil(max(a.X, b.X)+reach))+1, int(math.Ceil(max(a.Y, b.Y)+reach))+1).Intersect(image.Rect(0, 0, m.w, m.h))
	m.touch(r)
	dx, dy := b.X-a.X, b.Y-a.Y
	l2 := dx*dx + dy*dy
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			px, py := float64(x)+.5-a.X, float64(y)+.5-a.Y
			t := 0.0
			if l2 > 0 {
				t = min(max((px*dx+py*dy)/l2, 0), 1)
			}
			m.put(x, y, br.strength(math.Hypot(px-t*dx, py-t*dy)), br.Erase)
		}
	}
	return r
}

// strength is how much the brush paints at distance d of its line, in [0, 1].
func (b Brush) strength(d float64) float64 {
	if b.Feather <= 0 {
		if d <= b.Radius {
			return 1
		}
		return 0
	}
	return min(max((b.Radius+b.Feather/2-d)/b.Feather, 0), 1)
}

func (m *Mask) put(x, y int, s float64, erase bool) {
	p := &m.pix[y*m.w+x]
	if erase {
		*p = min(*p, 255-uint8(s*255+.5))
		return
	}
	*p = max(*p, uint8(s*255+.5))
}

// Rect paints a rectangle.
func (m *Mask) Rect(r image.Rectangle, erase bool) image.Rectangle {
	r = r.Canon().Intersect(image.Rect(0, 0, m.w, m.h))
	m.touch(r)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			m.put(x, y, 1, erase)
		}
	}
	return r
}

// Lasso paints the inside of a closed line, by the even-odd rule.
func (m *Mask) Lasso(line []Point, erase bool) image.Rectangle {
	if len(line) < 3 {
		return image.Rectangle{}
	}
	x0, y0, x1, y1 := line[0].X, line[0].Y, line[0].X, line[0].Y
	for _, p := range line {
		x0, y0, x1, y1 = min(x0, p.X), min(y0, p.Y), max(x1, p.X), max(y1, p.Y)
	}
	r := image.Rect(int(x0), int(y0), int(x1)+1, int(y1)+1).Intersect(image.Rect(0, 0, m.w, m.h))
	m.touch(r)
	var cross []float64
	for y := r.Min.Y; y < r.Max.Y; y++ {
		cross = crossings(cross[:0], line, float64(y)+.5)
		for i := 0; i+1 < len(cross); i += 2 {
			for x := max(r.Min.X, int(math.Ceil(cross[i]-.5))); x < r.Max.X && float64(x)+.5 <= cross[i+1]; x++ {
				m.put(x, y, 1, erase)
			}
		}
	}
	return r
}

// crossings appends where the closed line crosses height y, ascending.
func crossings(dst []float64, line []Point, y float64) []float64 {
	for i, a := range line {
		b := line[(i+1)%len(line)]
		if (a.Y > y) != (b.Y > y) {
			dst = append(dst, a.X+(y-a.Y)/(b.Y-a.Y)*(b.X-a.X))
		}
	}
	slices.Sort(dst)
	return dst
}

// Invert repaints what was kept and keeps what was repainted.
func (m *Mask) Invert() {
	m.touch(image.Rect(0, 0, m.w, m.h))
	for i, p := range m.pix {
		m.pix[i] = 255 - p
	}
}

// Clear keeps everything.
func (m *Mask) Clear() {
	m.touch(image.Rect(0, 0, m.w, m.h))
	clear(m.pix)
}

// Coverage is the share of the picture that is painted, in [0, 1].
func (m *Mask) Coverage() float64 {
	n := 0
	for _, p := range m.pix {
		if p >= 128 {
			n++
		}
	}
	return float64(n) / float64(len(m.pix))
}

// Cell is the part of the picture that cell (col, row) of a grid covers.
func (m *Mask) Cell(g engine.Grid, col, row int) image.Rectangle {
	return image.Rect(col*m.w/g.Cols, row*m.h/g.Rows, (col+1)*m.w/g.Cols, (row+1)*m.h/g.Rows)
}

// Covered updates cells [cols*rows], row-major, under r: true where the mask covers a quarter of the cell or more, so that
// the cell will be re-imagined.
func (m *Mask) Covered(cells []bool, g engine.Grid, r image.Rectangle) {
	for i := range cells {
		c := m.Cell(g, i%g.Cols, i/g.Cols)
		if !c.Overlaps(r) {
			continue
		}
		n := 0
		for y := c.Min.Y; y < c.Max.Y; y++ {
			for _, p := range m.pix[y*m.w+c.Min.X : y*m.w+c.Max.X] {
				if p >= 128 {
					n++
				}
			}
		}
		cells[i] = n > 0 && 4*n >= c.Dx()*c.Dy()
	}
}

// Cells lists which cells will be re-imagined, and how many.
func (m *Mask) Cells(g engine.Grid) (cells []bool, n int) {
	if g.Cols < 1 || g.Rows < 1 {
		return nil, 0
	}
	cells = make([]bool, g.Cols*g.Rows)
	m.Covered(cells, g, image.Rect(0, 0, m.w, m.h))
	return cells, Count(cells)
}

// Count is how many cells are set.
func Count(cells []bool) (n int) {
	for _, c := range cells {
		if c {
			n++
		}
	}
	return n
}

// Snapped is the mask grown and cut to whole cells: opaque in every cell that will be re-imagined, clear elsewhere.
func (m *Mask) Snapped(g engine.Grid) *image.Alpha {
	out := image.NewAlpha(image.Rect(0, 0, m.w, m.h))
	cells, _ := m.Cells(g)
	for i, on := range cells {
		if !on {
			continue
		}
		c := m.Cell(g, i%g.Cols, i/g.Cols)
		for y := c.Min.Y; y < c.Max.Y; y++ {
			row := out.Pix[y*out.Stride+c.Min.X : y*out.Stride+c.Max.X]
			for x := range row {
				row[x] = 255
			}
		}
	}
	return out
}
