package siglip

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"unmask/engine/vq"
)

// size is a width and a height, in pixels or patches.
type size struct{ w, h int }

// choose is the resolution that keeps most of a picture: the largest count of its pixels that survive, then the least
// padding (LLaVA-NeXT's select_best_resolution).
func choose(list []size, s size) size {
	best, kept, wasted := list[0], -1, math.MaxInt
	for _, r := range list {
		scale := min(float64(r.w)/float64(s.w), float64(r.h)/float64(s.h))
		w, h := int(float64(s.w)*scale), int(float64(s.h)*scale)
		k := min(w*h, s.w*s.h)
		if waste := r.w*r.h - k; k > kept || k == kept && waste < wasted {
			best, kept, wasted = r, k, waste
		}
	}
	return best
}

// fit is the size of s scaled to fit into r, sides rounded up.
func fit(s, r size) size {
	across, down := float64(r.w)/float64(s.w), float64(r.h)/float64(s.h)
	if across < down {
		return size{r.w, min(int(math.Ceil(float64(s.h)*across)), r.h)}
	}
	return size{min(int(math.Ceil(float64(s.w)*down)), r.w), r.h}
}

// tiles are the views of a picture: the whole of it squashed to side x side pixels, then the tiles of the picture padded
// with black to resolution r, row by row.
func tiles(img image.Image, r size, side int) ([]*image.NRGBA, error) {
	b := img.Bounds()
	whole, err := vq.Squash(img, side, side)
	if err != nil {
		return nil, err
	}
	f := fit(size{b.Dx(), b.Dy()}, r)
	small, err := vq.Squash(img, f.w, f.h)
	if err != nil {
		return nil, err
	}
	padded := image.NewNRGBA(image.Rect(0, 0, r.w, r.h))
	draw.Draw(padded, padded.Rect, image.NewUniform(color.NRGBA{A: 255}), image.Point{}, draw.Src)
	at := image.Pt((r.w-f.w)/2, (r.h-f.h)/2)
	draw.Draw(padded, small.Rect.Add(at), small, image.Point{}, draw.Src)
	out := []*image.NRGBA{whole}
	for y := 0; y < r.h; y += side {
		for x := 0; x < r.w; x += side {
			tile := image.NewNRGBA(image.Rect(0, 0, side, side))
			draw.Draw(tile, tile.Rect, padded, image.Pt(x, y), draw.Src)
			out = append(out, tile)
		}
	}
	return out, nil
}

// grid is a map of features, [h*w, d], row by row.
type grid struct {
	w, h, d int
	x       []float32
}

// join puts the tiles of a picture, cols of them in a row, side by side.
func join(list []grid, cols int) grid {
	t := list[0]
	out := grid{w: t.w * cols, h: t.h * (len(list) / cols), d: t.d}
	out.x = make([]float32, out.w*out.h*out.d)
	for i, g := range list {
		x, y := i%cols*t.w, i/cols*t.h
		for row := range t.h {
			copy(out.x[((y+row)*out.w+x)*t.d:], g.x[row*t.w*t.d:(row+1)*t.w*t.d])
		}
	}
	return out
}

// unpad cuts off the strips that padding made of a picture of s pixels.
func (g grid) unpad(s size) grid {
	lo, hi := size{}, size{g.w, g.h}
	if float64(s.w)/float64(s.h) > float64(g.w)/float64(g.h) {
		lo.h = (g.h - int(float64(s.h)*(float64(g.w)/float64(s.w)))) / 2
		hi.h = g.h - lo.h
	} else {
		lo.w = (g.w - int(float64(s.w)*(float64(g.h)/float64(s.h)))) / 2
		hi.w = g.w - lo.w
	}
	out := grid{w: hi.w - lo.w, h: hi.h - lo.h, d: g.d}
	for y := lo.h; y < hi.h; y++ {
		out.x = append(out.x, g.x[(y*g.w+lo.w)*g.d:(y*g.w+hi.w)*g.d]...)
	}
	return out
}

// bound shrinks a grid of more than 1.1^2 times most*side*side features bilinearly; most 0 leaves it.
func (g grid) bound(most, side int) grid {
	if most == 0 {
		return g
	}
	times := math.Sqrt(float64(g.w*g.h) / float64(most*side*side))
	if times <= 1.1 {
		return g
	}
	return g.resize(max(1, int(math.Floor(float64(g.w)/times))), max(1, int(math.Floor(float64(g.h)/times))))
}

// resize samples g bilinearly at the centres of w x h cells, as torch's interpolate without aligned corners does.
func (g grid) resize(w, h int) grid {
	out := grid{w: w, h: h, d: g.d, x: make([]float32, w*h*g.d)}
	across, down := steps(g.w, w), steps(g.h, h)
	for y, b := range down {
		for x, a := range across {
			dst := out.x[(y*w+x)*g.d:][:g.d]
			p00, p01 := g.x[(b.lo*g.w+a.lo)*g.d:], g.x[(b.lo*g.w+a.hi)*g.d:]
			p10, p11 := g.x[(b.hi*g.w+a.lo)*g.d:], g.x[(b.hi*g.w+a.hi)*g.d:]
			for c := range dst {
				top := (1-a.share)*p00[c] + a.share*p01[c]
				bottom := (1-a.share)*p10[c] + a.share*p11[c]
				dst[c] = (1-b.share)*top + b.share*bottom
			}
		}
	}
	return out
}

// between is a place between cells lo and hi, share of the way.
type between struct {
	lo, hi int
	share  float32
}

// steps are the places of the centres of out cells among in cells.
func steps(in, out int) []between {
	scale := float32(in) / float32(out)
	list := make([]between, out)
	for i := range list {
		at := max(scale*(float32(i)+0.5)-0.5, 0)
		lo := min(int(at), in-1)
		list[i] = between{lo, min(lo+1, in-1), min(at-float32(lo), 1)}
	}
	return list
}
