package local

import (
	"image"
	"image/color"
	"reflect"
	"slices"
	"testing"

	"unmask/engine"
)

func TestTextToImage(t *testing.T) {
	s, spec := loaded(t)
	job := engine.Job{Task: engine.TextToImage, Messages: user("A red cat"), Options: engine.Options{Steps: 5, Guidance: 2, Temperature: 1, Seed: 7, Previews: true}}
	c := collect(t, s, job)
	c.laws(t, spec)
	w, h := spec.Image.Width, spec.Image.Height
	if c.finished.Image == nil || c.finished.Image.Rect != image.Rect(0, 0, w, h) || len(c.previews) != len(c.steps) {
		t.Fatalf("picture %v, %d previews of %d steps", c.finished.Image.Rect, len(c.previews), len(c.steps))
	}
	if c.finished.Stats.Tokens != spec.Image.Grid.Cols*spec.Image.Grid.Rows {
		t.Errorf("%d tokens", c.finished.Stats.Tokens)
	}
	for i := c.started.Answer.Lo; i < c.started.Answer.Hi; i++ {
		if code := c.finished.Sequence.Tokens[i] - spec.Image.Offset; code < 0 || int(code) >= spec.Image.Codebook {
			t.Errorf("token %d is no code", c.finished.Sequence.Tokens[i])
		}
	}
	job.Options.Previews = false
	again := collect(t, s, job)
	if !reflect.DeepEqual(again.finished.Image.Pix, c.finished.Image.Pix) || len(again.previews) != 0 {
		t.Error("the same job draws another picture")
	}
	job.Options.Seed = 8
	if other := collect(t, s, job); slices.Equal(other.finished.Sequence.Tokens, c.finished.Sequence.Tokens) {
		t.Error("another seed draws the same picture")
	}
}

func TestInpaint(t *testing.T) {
	s, spec := loaded(t)
	img := picture(90, 60)
	mask := image.NewAlpha(img.Rect)
	for y := 0; y < 60; y++ {
		for x := 45; x < 90; x++ {
			mask.SetAlpha(x, y, color.Alpha{A: 255})
		}
	}
	c := collect(t, s, engine.Job{Task: engine.Inpaint, Image: img, Mask: mask, Messages: user("a car"), Options: engine.Options{Steps: 3, Temperature: 1, Previews: true}})
	c.laws(t, spec)
	g := spec.Image.Grid
	kept, cw := 0, spec.Image.Width/g.Cols
	for i := c.started.Answer.Lo; i < c.started.Answer.Hi; i++ {
		if !c.started.Sequence.Fixed[i] {
			continue
		}
		kept++
		cell := i - c.started.Answer.Lo
		for y := cell / g.Cols * cw; y < (cell/g.Cols+1)*cw; y++ {
			for x := cell % g.Cols * cw; x < (cell%g.Cols+1)*cw; x++ {
				if want := c.started.Source.At(x, y); c.finished.Image.At(x, y) != want {
					t.Fatalf("pixel (%d, %d) of a kept cell is %v, want %v", x, y, c.finished.Image.At(x, y), want)
				}
			}
		}
	}
	if n := g.Cols * g.Rows; kept != n/2 {
		t.Errorf("%d of %d cells are kept, want half", kept, n)
	}
}

func TestCells(t *testing.T) {
	mask := image.NewAlpha(image.Rect(0, 0, 80, 80))
	for i := range 100 { // a quarter of cell (1, 0), less of cell (0, 1)
		mask.SetAlpha(20+i%10, i/10, color.Alpha{A: 200})
		if i < 99 {
			mask.SetAlpha(i%10, 20+i/10, color.Alpha{A: 200})
		}
	}
	got := cells(mask, mask.Rect, engine.Grid{Cols: 4, Rows: 4})
	want := make([]bool, 16)
	want[1] = true
	if !slices.Equal(got, want) {
		t.Errorf("cells %v, want %v", got, want)
	}
}

func TestOutpaint(t *testing.T) {
	s, spec := loaded(t)
	img := picture(40, 40)
	g := spec.Image.Grid
	c := collect(t, s, engine.Job{Task: engine.Outpaint, Image: img, Frame: image.Rect(-20, 0, 70, 40), Messages: user("a wide car"), Options: engine.Options{Steps: 3, Temperature: 1, Guidance: 1}})
	c.laws(t, spec)
	left, right := g.Cols/2, (g.Cols*3+2)/4
	want := engine.Grid{Cols: left + g.Cols + right, Rows: g.Rows}
	if c.started.Grid != want {
		t.Errorf("grid %v, want %v", c.started.Grid, want)
	}
	cw := spec.Image.Width / g.Cols
	if size := c.finished.Image.Rect.Size(); size != image.Pt(want.Cols*cw, want.Rows*cw) {
		t.Errorf("picture of %v", size)
	}
	seam := cw / 8
	for y := range want.Rows * cw {
		for x := left*cw + seam; x < (left+g.Cols)*cw-seam; x++ {
			if c.finished.Image.At(x, y) != c.started.Source.At(x, y) {
				t.Fatalf("pixel (%d, %d) of the given picture changed", x, y)
			}
		}
	}
}
