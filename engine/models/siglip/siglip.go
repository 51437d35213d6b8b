// Package siglip is how LLaDA-V and LaViDa see: a SigLIP vision transformer (arXiv:2303.15343) over tiles of a picture, a
// projector to the width of the language model, and the layout of LLaVA-NeXT: the whole picture first, then its tiles as
// one grid with a newline vector after each row. What comes out are vectors that stand where tokens stand.
package siglip

import (
	"context"
	"fmt"
	"image"

	"unmask/engine"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/vq"
	"unmask/engine/weights"
)

// Eyes turn pictures into rows of features. One goroutine at a time.
type Eyes struct {
	be          tensor.Backend
	tower       *tower
	one, two    nn.Linear // projector: two(gelu(one x))
	newline     []float32 // [D]
	width       int       // D of the language model
	resolutions []size
	most        int // tiles' worth of features that a grid keeps; 0: all
	pool        int // a view is shrunk by this factor after the projector
	watch       func(name string, x []float32)
}

// Open binds the eyes of a checkpoint to be. pool shrinks every view, sides divided and rounded up; 1 leaves them. The
// binder's error is asked for by the language model that is bound after them.
func Open(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend, pool int) (*Eyes, error) {
	s, err := readSizes(src)
	if err != nil {
		return nil, err
	}
	c, err := readSettings(src)
	if err != nil {
		return nil, err
	}
	e := &Eyes{be: be, width: c.Hidden, pool: pool}
	if e.most, err = c.most(); err != nil {
		return nil, fmt.Errorf("%s: %w", src.Path(), err)
	}
	if e.resolutions, err = c.resolutions(s.Image, src.Path()); err != nil {
		return nil, err
	}
	if e.tower, err = load(ctx, b, s, "model.vision_tower.vision_tower.vision_model."); err != nil {
		return nil, err
	}
	d := c.Hidden
	e.one = nn.LoadLinear(b, "model.mm_projector.0", d, s.Width, true)
	e.two = nn.LoadLinear(b, "model.mm_projector.2", d, d, true)
	if t := b.Tensor("model.image_newline", d); t != nil {
		e.newline = make([]float32, d)
		be.Download(e.newline, t)
	}
	return e, nil
}

// Watch calls fn with what later looks compute of each picture, all views together: "resolution" [w, h], "layout" [features of the
// whole picture, columns, rows], "pixels" [views, 3, S, S], "vision"
// and "projected" and, where views are pooled, "pooled" [views, N, D]. nil ends it. For tests.
func (e *Eyes) Watch(fn func(name string, x []float32)) { e.watch = fn }

func (e *Eyes) see(name string, x []float32) {
	if e.watch != nil {
		e.watch(name, x)
	}
}

// Look returns the features of img, [rows*D]: those of the whole picture, then those of its tiles as one grid, without
// what padding made, each row ended by the newline vector. It checks ctx between layers.
func (e *Eyes) Look(ctx context.Context, img image.Image) ([]float32, error) {
	if img == nil || img.Bounds().Empty() {
		return nil, &engine.InputError{Item: "picture", Reason: "has no pixels"}
	}
	whole := size{img.Bounds().Dx(), img.Bounds().Dy()}
	side := e.tower.Image
	r := choose(e.resolutions, whole)
	e.see("resolution", []float32{float32(r.w), float32(r.h)})
	list, err := tiles(img, r, side)
	if err != nil {
		return nil, err
	}
	views, err := e.views(ctx, list)
	if err != nil {
		return nil, err
	}
	g := join(views[1:], r.w/side).unpad(whole).bound(e.most, views[0].w)
	e.see("layout", []float32{float32(views[0].w * views[0].h), float32(g.w), float32(g.h)})
	out := append([]float32(nil), views[0].x...)
	for y := range g.h {
		out = append(out, g.x[y*g.w*g.d:(y+1)*g.w*g.d]...)
		out = append(out, e.newline...)
	}
	return out, nil
}

// views runs tower and projector over each tile.
func (e *Eyes) views(ctx context.Context, list []*image.NRGBA) ([]grid, error) {
	var shown [4][]float32
	out := make([]grid, len(list))
	for i, tile := range list {
		pixels := vq.Planes(tile)
		vision, projected, err := e.view(ctx, pixels)
		if err != nil {
			return nil, err
		}
		n := e.tower.Side()
		out[i] = grid{w: n, h: n, d: e.width, x: projected}
		if e.pool > 1 {
			p := (n + e.pool - 1) / e.pool
			out[i] = out[i].resize(p, p)
		}
		if e.watch != nil {
			for j, x := range [][]float32{pixels, vision, projected, out[i].x} {
				shown[j] = append(shown[j], x...)
			}
		}
	}
	for j, name := range []string{"pixels", "vision", "projected", "pooled"} {
		e.see(name, shown[j])
	}
	return out, nil
}

// view is the tower's output for one tile and what the projector makes of it.
func (e *Eyes) view(ctx context.Context, pixels []float32) (vision, projected []float32, err error) {
	be := e.be
	mark := be.Mark()
	defer be.Release(mark)
	n := e.tower.Side() * e.tower.Side()
	x := be.Alloc(tensor.F32, n, e.tower.Width)
	y, z := be.Alloc(tensor.F32, n, e.width), be.Alloc(tensor.F32, n, e.width)
	if err := e.tower.apply(ctx, be, x, pixels); err != nil {
		return nil, nil, fmt.Errorf("vision tower: %w", err)
	}
	e.one.Apply(be, y, x)
	be.GELU(y, y, true)
	e.two.Apply(be, z, y)
	if e.watch != nil {
		vision = make([]float32, n*e.tower.Width)
		be.Download(vision, x)
	}
	projected = make([]float32, n*e.width)
	be.Download(projected, z)
	return vision, projected, be.Err()
}
