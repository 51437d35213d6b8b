package local

import (
	"errors"
	"image"
	"image/color"
	"reflect"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

// halfMask covers the right half of a picture.
func halfMask(r image.Rectangle) *image.Alpha {
	mask := image.NewAlpha(r)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := (r.Min.X + r.Max.X) / 2; x < r.Max.X; x++ {
			mask.SetAlpha(x, y, color.Alpha{A: 255})
		}
	}
	return mask
}

// TestJoint completes a caption and a picture in one sequence: both are written, what is given stays, and the words that
// are given come back.
func TestJoint(t *testing.T) {
	s, spec := loaded(t)
	img := picture(64, 64)
	job := engine.Job{Task: engine.Joint, Image: img, Mask: halfMask(img.Rect), Messages: user("a ___ and a ___{2} at night"),
		Options: engine.Options{Steps: 3, Guidance: 1, Temperature: 1, Seed: 5, Previews: true}}
	c := collect(t, s, job)
	c.laws(t, spec)
	free := map[engine.Modality]int{}
	for _, sp := range c.started.Sequence.Spans {
		for i := sp.Lo; i < sp.Hi; i++ {
			if !c.started.Sequence.Fixed[i] {
				free[sp.Modality]++
			} else if c.started.Sequence.Tokens[i] != c.finished.Sequence.Tokens[i] {
				t.Errorf("fixed position %d has changed", i)
			}
		}
	}
	g := spec.Image.Grid
	if free[engine.Text] != 3 || free[engine.Image] != g.Cols*g.Rows/2 {
		t.Errorf("%d words and %d cells are free, want 3 and %d", free[engine.Text], free[engine.Image], g.Cols*g.Rows/2)
	}
	if c.started.Steps != 3+3 || len(c.steps) != 6 || c.finished.Stats.NFE != 2*3+3 {
		t.Errorf("%d steps planned, %d made, %d passes; want 6, 6, 9", c.started.Steps, len(c.steps), c.finished.Stats.NFE)
	}
	if c.finished.Image == nil || !strings.HasPrefix(c.finished.Text, "a") || !strings.HasSuffix(c.finished.Text, " at night") {
		t.Errorf("text %q, picture %v", c.finished.Text, c.finished.Image != nil)
	}
	if c.finished.Stats.Tokens != free[engine.Text]+free[engine.Image] {
		t.Errorf("%d tokens, want %d", c.finished.Stats.Tokens, free[engine.Text]+free[engine.Image])
	}
	if again := collect(t, s, job); !slices.Equal(again.finished.Sequence.Tokens, c.finished.Sequence.Tokens) || !reflect.DeepEqual(again.finished.Image.Pix, c.finished.Image.Pix) {
		t.Error("the same job ends otherwise")
	}
	// Without a picture all of it is imagined; without a mask none.
	job.Image, job.Mask = nil, nil
	if c := collect(t, s, job); c.finished.Stats.Tokens != 3+g.Cols*g.Rows {
		t.Errorf("%d tokens without a picture", c.finished.Stats.Tokens)
	}
	job.Image = img
	if c := collect(t, s, job); c.finished.Stats.Tokens != 3 {
		t.Errorf("%d tokens with a whole picture", c.finished.Stats.Tokens)
	}
}

// TestJointRefuses checks documents that nothing can be done with.
func TestJointRefuses(t *testing.T) {
	s, _ := loaded(t)
	img := picture(64, 64)
	for name, job := range map[string]engine.Job{
		"nothing hidden":         {Image: img, Messages: user("a cat")},
		"a mask without picture": {Mask: halfMask(img.Rect), Messages: user("a ___")},
		"a mask of another size": {Image: img, Mask: halfMask(image.Rect(0, 0, 8, 8)), Messages: user("a ___")},
		"an empty mask":          {Image: img, Mask: image.NewAlpha(img.Rect), Messages: user("a cat")},
		"a hole too long":        {Messages: user("a ___{9999}")},
	} {
		job.Task = engine.Joint
		var input *engine.InputError
		for _, err := range s.Run(t.Context(), job) {
			if !errors.As(err, &input) {
				t.Errorf("%s: %v", name, err)
			}
			break
		}
	}
}
