package evalset

import (
	"fmt"
	"image"
	"math"
)

// Judge names the scene in a picture: the layout, the stickers and the background of least squared error over all of
// them, at a quarter of a cell a pixel. It knows the stickers as drawn and no network.
type Judge struct {
	atlas *Atlas
	step  int // pixels of a picture that are averaged to one, each way
	size  int // averaged pixels a side
	// tables[background][side] holds every concept's sticker on that background: [concept][side*side*3].
	tables []map[int][][]float32
}

// Verdict is what a judge found.
type Verdict struct {
	Scene Scene   `json:"scene"`
	Error float64 `json:"error"` // root of the mean squared error, 0 to 255
}

// NewJudge prepares a judge for the world of an atlas.
func NewJudge(a *Atlas) *Judge {
	w := a.world
	j := &Judge{atlas: a, step: max(w.CellPx/4, 1)}
	j.size = w.PicturePx / j.step
	for _, bg := range w.Backgrounds {
		table := map[int][][]float32{}
		for side, tiles := range a.tiles {
			px := side * w.CellPx
			for _, tile := range tiles {
				img := image.NewNRGBA(image.Rect(0, 0, px, px))
				for y := range px {
					for x := range px {
						v := img.Pix[img.PixOffset(x, y):]
						v[0], v[1], v[2], v[3] = bg.RGB[0], bg.RGB[1], bg.RGB[2], 255
						over(v, tile.Pix[tile.PixOffset(tile.Rect.Min.X+x, tile.Rect.Min.Y+y):])
					}
				}
				table[side] = append(table[side], j.average(img))
			}
		}
		j.tables = append(j.tables, table)
	}
	return j
}

// average is the mean of every step x step pixels of a picture: [h*w*3].
func (j *Judge) average(img *image.NRGBA) []float32 {
	cols, rows := img.Rect.Dx()/j.step, img.Rect.Dy()/j.step
	out := make([]float32, cols*rows*3)
	for y := range rows * j.step {
		for x := range cols * j.step {
			p := img.Pix[img.PixOffset(img.Rect.Min.X+x, img.Rect.Min.Y+y):]
			o := (y/j.step*cols + x/j.step) * 3
			for k := range 3 {
				out[o+k] += float32(p[k])
			}
		}
	}
	n := float32(j.step * j.step)
	for i := range out {
		out[i] /= n
	}
	return out
}

// found is the best sticker of a slot on one background.
type found struct {
	concept int
	err     float64 // squared error of the field with it
	plain   float64 // squared error of the field with the background alone
}

// Name finds the scene of a picture, which has the size of a decoded one. Layouts of the same geometry with the same
// stickers are one scene: it says "two" where both of "beside" are the same.
func (j *Judge) Name(img *image.NRGBA) (Verdict, error) {
	w := j.atlas.world
	if img == nil || img.Rect.Dx() != w.PicturePx || img.Rect.Dy() != w.PicturePx {
		size := image.Point{}
		if img != nil {
			size = img.Rect.Size()
		}
		return Verdict{}, fmt.Errorf("judge: the picture has %d x %d pixels, want %d x %d", size.X, size.Y, w.PicturePx, w.PicturePx)
	}
	x := j.average(img)
	best := Verdict{Error: math.Inf(1)}
	for b, bg := range w.Backgrounds {
		plain := make([]float64, j.size*j.size)
		total := 0.0
		for i := range plain {
			for k := range 3 {
				d := float64(x[3*i+k]) - float64(bg.RGB[k])
				plain[i] += d * d
			}
			total += plain[i]
		}
		slots := map[Slot]found{}
		for _, l := range w.Layouts {
			err, s := total, Scene{Layout: l.Name, Background: bg.Name}
			for _, slot := range l.Slots {
				f, seen := slots[slot]
				if !seen {
					f = j.best(x, plain, b, slot)
					slots[slot] = f
				}
				err += f.err - f.plain
				s.Names = append(s.Names, w.Concepts[f.concept].Name)
			}
			if err < best.Error {
				best = Verdict{s, err}
			}
		}
	}
	best.Error = math.Sqrt(max(best.Error, 0) / float64(3*j.size*j.size))
	best.Scene = w.settle(best.Scene)
	return best, nil
}

// best is the nearest sticker of a slot on background b.
func (j *Judge) best(x []float32, plain []float64, b int, slot Slot) found {
	n := j.atlas.world.CellPx / j.step
	top, left, side := slot.Row*n, slot.Column*n, slot.Side*n
	f := found{err: math.Inf(1)}
	for y := range side {
		for c := range side {
			f.plain += plain[(top+y)*j.size+left+c]
		}
	}
	for i, t := range j.tables[b][slot.Side] {
		err := 0.0
		for y := 0; y < side && err < f.err; y++ {
			row := x[((top+y)*j.size+left)*3:][:side*3]
			ref := t[y*side*3:][:side*3]
			sum := float32(0)
			for k, v := range row {
				d := v - ref[k]
				sum += d * d
			}
			err += float64(sum)
		}
		if err < f.err {
			f.err, f.concept = err, i
		}
	}
	return f
}

// settle gives a scene the layout that its stickers make: "two" and "beside" have the same slots and differ by whether
// the stickers do. Names that are all the same are said once.
func (w *World) settle(s Scene) Scene {
	if len(s.Names) < 2 {
		return s
	}
	same := len(distinct(s.Names)) == 1
	switch {
	case s.Layout == "beside" && same && w.layout("two") != nil:
		s.Layout = "two"
	case s.Layout == "two" && !same && w.layout("beside") != nil:
		s.Layout = "beside"
	}
	if same && s.Layout != "beside" && s.Layout != "above" {
		s.Names = s.Names[:1]
	}
	return s
}
