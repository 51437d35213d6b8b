package widgets

import (
	"image"
	"image/color"

	"unmask/engine"
	"unmask/ui/palette"
	"unmask/ui/run"
)

// heat paints the map of step by position: one column a step, one row a position, rows averaged where there are more
// positions than pixels. Columns are painted once, as steps come.
type heat struct {
	img    *image.RGBA
	run    *run.Run
	pal    *palette.Palette
	bands  []band
	cells  []heatCell
	done   int // steps painted
	steps  int // planned when the picture was begun
	faint  float32
	freshW int // pixels that a fresh mark is wide at least
}

// band is a stretch of positions on rows of the picture.
type band struct {
	span   engine.Span
	y0, y1 int
}

// heatCell is what a position is while columns are painted.
type heatCell struct {
	masked, fixed bool
	prob          float32
	step          int // of the last change
	remasked      bool
}

// begin starts a picture of w by h pixels for run r with steps planned steps. gap is the room between text and picture.
func (m *heat) begin(r *run.Run, pal *palette.Palette, w, h, gap int) {
	*m = heat{img: image.NewRGBA(image.Rect(0, 0, w, h)), run: r, pal: pal, steps: r.Planned(), faint: .42, freshW: 3}
	if pal.Contrast {
		m.faint = .7
	}
	s := r.At(0)
	m.cells = make([]heatCell, len(s.Cells))
	for p, c := range s.Cells {
		m.cells[p] = heatCell{masked: c.Masked, fixed: c.Fixed, prob: c.Prob}
	}
	m.bands = bands(&s, h, gap)
}

// bands shares h rows out among the written spans of the answer: text first, then picture.
func bands(s *run.State, h, gap int) []band {
	var spans []engine.Span
	for p := s.Answer.Lo; p < s.Answer.Hi; {
		q := p
		for q < s.Answer.Hi && s.Cells[q].Modality == s.Cells[p].Modality {
			q++
		}
		spans = append(spans, engine.Span{Lo: p, Hi: q, Modality: s.Cells[p].Modality})
		p = q
	}
	// Single tokens around a picture (its start and end marks) are no band of their own.
	if len(spans) > 1 {
		kept := spans[:0]
		for _, sp := range spans {
			if sp.Len() > 2 {
				kept = append(kept, sp)
			}
		}
		spans = kept
	}
	total := 0
	for _, sp := range spans {
		total += sp.Len()
	}
	room := h - gap*(len(spans)-1)
	if total == 0 || room <= 0 {
		return nil
	}
	out := make([]band, len(spans))
	y, seen := 0, 0
	for i, sp := range spans {
		top := seen*room/total + i*gap
		seen += sp.Len()
		y = seen*room/total + i*gap
		out[i] = band{sp, top, y}
	}
	return out
}

func (m *heat) x(n int) int {
	if m.steps <= 0 {
		return 0
	}
	return n * m.img.Rect.Dx() / m.steps
}

// update paints the columns of steps that were made since the last update.
func (m *heat) update() {
	for n := m.done + 1; n <= m.run.Len() && n <= m.steps; n++ {
		st := m.run.Step(n)
		for _, c := range st.Changes {
			h := &m.cells[c.Pos]
			h.masked, h.remasked = c.Kind == engine.Remask, c.Kind == engine.Remask
			h.prob, h.step = c.Prob, n
		}
		m.column(n, st.Block)
		m.done = n
	}
}

// column paints step n: pixels [x(n-1), x(n)), at least one.
func (m *heat) column(n int, block engine.Span) {
	x0 := m.x(n - 1)
	x1 := max(m.x(n), x0+1)
	for _, b := range m.bands {
		rows, count := b.y1-b.y0, b.span.Len()
		if rows <= 0 {
			continue
		}
		tall := rows/count >= 4
		for y := range rows {
			lo := b.span.Lo + y*count/rows
			hi := max(b.span.Lo+((y+1)*count+rows-1)/rows, lo+1)
			if rows >= count {
				hi = lo + 1
			}
			if tall && (y+1)*count/rows != y*count/rows {
				continue // a line between rows that are tall enough
			}
			for x := x0; x < x1 && x < m.img.Rect.Dx(); x++ {
				m.img.SetRGBA(x, b.y0+y, m.pixel(lo, min(hi, b.span.Hi), x, block))
			}
		}
	}
}

// pixel mixes positions [lo, hi) at pixel column x: marks of this step win, then remask edges, then the mean.
func (m *heat) pixel(lo, hi, x int, block engine.Span) color.RGBA {
	var sum, marks [4]float32
	n, fresh := 0, 0
	for p := lo; p < hi; p++ {
		c := &m.cells[p]
		since := x - m.x(c.step-1)
		var col color.NRGBA
		switch {
		case c.fixed && c.step == 0:
			n++
			continue
		case c.masked && c.remasked && c.step > 0 && since < 2:
			return rgba(m.pal.Text)
		case c.masked && p >= block.Hi:
			n++
			continue
		case c.masked:
			col = palette.Alpha(m.pal.Mask, .62)
		case c.step > 0 && (since < m.freshW || x < m.x(c.step)):
			add(&marks, m.pal.Fill[palette.Index(c.prob)])
			fresh++
			continue
		case c.step == 0: // the run began with it
			col = palette.Alpha(m.pal.Border, .35)
		default:
			col = palette.Alpha(m.pal.Fill[palette.Index(c.prob)], m.faint)
		}
		add(&sum, col)
		n++
	}
	if fresh > 0 {
		return mean(marks, fresh)
	}
	return mean(sum, n)
}

func add(sum *[4]float32, c color.NRGBA) {
	a := float32(c.A) / 255
	sum[0] += float32(c.R) * a
	sum[1] += float32(c.G) * a
	sum[2] += float32(c.B) * a
	sum[3] += float32(c.A)
}

func mean(sum [4]float32, n int) color.RGBA {
	if n == 0 {
		return color.RGBA{}
	}
	k := float32(n)
	return color.RGBA{uint8(sum[0]/k + .5), uint8(sum[1]/k + .5), uint8(sum[2]/k + .5), uint8(sum[3]/k + .5)}
}

func rgba(c color.NRGBA) color.RGBA { return color.RGBA{c.R, c.G, c.B, c.A} }

// position is what lies at pixel row y; -1 in a gap.
func (m *heat) position(y int) int {
	for _, b := range m.bands {
		if y >= b.y0 && y < b.y1 {
			return b.span.Lo + (y-b.y0)*b.span.Len()/(b.y1-b.y0)
		}
	}
	return -1
}

// row is the pixel row where position p begins; -1 when it is not shown.
func (m *heat) row(p int) int {
	for _, b := range m.bands {
		if p >= b.span.Lo && p <= b.span.Hi {
			return b.y0 + (p-b.span.Lo)*(b.y1-b.y0)/b.span.Len()
		}
	}
	return -1
}
