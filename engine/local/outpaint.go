package local

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	"unmask/engine"
	"unmask/engine/vq"
)

// maxGrids bounds an outpainted picture, in grids of the model.
const maxGrids = 16

// unseen is the colour of what is not imagined yet, in the source of an outpainting.
var unseen = color.NRGBA{R: 127, G: 127, B: 127, A: 255}

// planOutpaint prepares a picture larger than the one given. The shorter side of the given picture takes as many cells as
// the model's grid has; the frame is rounded to whole cells of that size. Windows of the model's own grid are denoised one
// after the other, each over cells that are known in part, the best known first.
func (m *model) planOutpaint(ctx context.Context, job engine.Job, img *image.NRGBA) (*plan, error) {
	if img == nil {
		return nil, &engine.InputError{Item: "picture", Reason: "there is none to continue"}
	}
	if m.image == nil {
		return nil, &engine.UnsupportedError{What: "a picture with the model " + m.spec.Name, Have: "text"}
	}
	if m.lumina != nil {
		return m.planWide(ctx, job, img)
	}
	big, inner, err := frame(job.Frame, img.Bounds(), m.spec.Image.Grid)
	if err != nil {
		return nil, err
	}
	w, h := m.image.InputSize(inner.Dx(), inner.Dy())
	small, err := vq.Squash(img, w, h)
	if err != nil {
		return nil, err
	}
	known, err := m.image.EncodePixels(ctx, small)
	if err != nil {
		return nil, err
	}
	m.offset(known)
	codes := make([]engine.Token, big.Cols*big.Rows)
	keep := make([]bool, len(codes))
	for i := range codes {
		at := image.Pt(i%big.Cols, i/big.Cols)
		if keep[i] = at.In(inner); keep[i] {
			codes[i] = known[(at.Y-inner.Min.Y)*inner.Dx()+at.X-inner.Min.X]
		} else {
			codes[i] = m.spec.Mask
		}
	}
	g := m.spec.Image.Grid
	with, without, err := m.caption(job, g.Cols*g.Rows)
	if err != nil {
		return nil, err
	}
	d := m.draw(with, without, codes)
	source, err := m.paste(img, big, inner)
	if err != nil {
		return nil, err
	}
	p := &plan{seq: &d.seq, picture: &canvas{grid: big, at: d.image.Lo, base: source, keep: keep, soft: true}}
	p.started = &engine.Started{Job: job, Answer: d.image, Grid: big, Source: source}
	p.windows = true
	p.next = func() *stage { return m.window(p, with, without) }
	return p, nil
}

// frame lays a picture with bounds img out in cells: the grid of the whole frame and the cells of the picture in it.
func frame(f, img image.Rectangle, g engine.Grid) (engine.Grid, image.Rectangle, error) {
	if !img.In(f) {
		return engine.Grid{}, image.Rectangle{}, &engine.InputError{Item: "frame", Reason: fmt.Sprintf("%v does not contain the picture %v", f, img)}
	}
	return layout(f, img, g, min(float64(img.Dx())/float64(g.Cols), float64(img.Dy())/float64(g.Rows)))
}

// layout lays a picture with bounds img and the frame around it out in cells of cell pixels.
func layout(f, img image.Rectangle, g engine.Grid, cell float64) (engine.Grid, image.Rectangle, error) {
	count := func(pixels int) int { return int(math.Round(float64(pixels) / cell)) }
	inner := image.Rect(0, 0, count(img.Dx()), count(img.Dy()))
	left, top := count(img.Min.X-f.Min.X), count(img.Min.Y-f.Min.Y)
	right, bottom := count(f.Max.X-img.Max.X), count(f.Max.Y-img.Max.Y)
	if left+top+right+bottom == 0 {
		return engine.Grid{}, image.Rectangle{}, &engine.InputError{Item: "frame", Reason: fmt.Sprintf("%v adds less than half a cell of %.3g pixels to the picture %v", f, cell, img)}
	}
	big := engine.Grid{Cols: left + inner.Dx() + right, Rows: top + inner.Dy() + bottom}
	if limit := maxGrids * g.Cols * g.Rows; big.Cols > limit || big.Rows > limit || big.Cols*big.Rows > limit {
		return engine.Grid{}, image.Rectangle{}, &engine.InputError{Item: "frame", Reason: fmt.Sprintf("%d x %d cells, at most %d in all", big.Cols, big.Rows, limit)}
	}
	return big, inner.Add(image.Pt(left, top)), nil
}

// paste is the given picture at its place in the frame, at the size of the decoded result.
func (m *model) paste(img *image.NRGBA, big engine.Grid, inner image.Rectangle) (*image.NRGBA, error) {
	w, h := m.image.Size(big.Cols, big.Rows)
	out := blank(w, h, unseen)
	iw, ih := m.image.Size(inner.Dx(), inner.Dy())
	seen, err := vq.Squash(img, iw, ih)
	if err != nil {
		return nil, err
	}
	x, y := m.image.Size(inner.Min.X, inner.Min.Y)
	draw.Draw(out, seen.Rect.Add(image.Pt(x, y)), seen, image.Point{}, draw.Src)
	return out, nil
}

// window is the next stage of an outpainting: the window with most known cells among those with unknown ones; nil when
// everything is known. Windows lie half a grid apart and at the far edges.
func (m *model) window(p *plan, with, without []engine.Token) *stage {
	g, big := m.spec.Image.Grid, p.picture.grid
	state := p.seq.Tokens[p.picture.at : p.picture.at+big.Cols*big.Rows]
	best, at := 0, image.Pt(-1, -1)
	for _, y := range offsets(big.Rows, g.Rows) {
		for _, x := range offsets(big.Cols, g.Cols) {
			known := 0
			for i := range g.Cols * g.Rows {
				if state[(y+i/g.Cols)*big.Cols+x+i%g.Cols] != m.spec.Mask {
					known++
				}
			}
			if known < g.Cols*g.Rows && (known > best || at.X < 0) {
				best, at = known, image.Pt(x, y)
			}
		}
	}
	if at.X < 0 {
		return nil
	}
	place := func(i int) int { return p.picture.at + (at.Y+i/g.Cols)*big.Cols + at.X + i%g.Cols }
	codes := make([]engine.Token, g.Cols*g.Rows)
	for i := range codes {
		codes[i] = p.seq.Tokens[place(i)]
	}
	d := m.draw(with, without, codes)
	return &stage{seq: &d.seq, guide: d.guide, answer: d.image, place: func(pos int) int { return place(pos - d.image.Lo) }}
}

// offsets are the places of windows of n cells along a side of total cells.
func offsets(total, n int) []int {
	var out []int
	for x := 0; x < total-n; x += max(n/2, 1) {
		out = append(out, x)
	}
	return append(out, total-n)
}
