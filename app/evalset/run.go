package evalset

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"time"

	"unmask/engine"
)

// Bench runs items through a session and judges them.
type Bench struct {
	World   *World
	Atlas   *Atlas
	Judge   *Judge
	Session engine.Session
	Spec    engine.Spec
	// Codec is the checkpoint's picture tokenizer, for the task "rebuild"; nil skips it.
	Codec engine.ImageTokenizer
	Seed  uint64
	// Each, when not nil, is given every item after it was judged.
	Each func(o Outcome) error
}

// Outcome is an item with what came back and how it was judged.
type Outcome struct {
	Item   Item   `json:"item"`
	Answer Answer `json:"answer"`
	Marks  []Mark `json:"marks"`
}

// right reports whether every mark of an outcome is full.
func (o *Outcome) right() bool {
	for _, m := range o.Marks {
		if m.Hits != m.Of && o.Item.Rule != "rebuild" {
			return false
		}
	}
	return true
}

// Open reads the world and the stickers of a checkpoint's folder; those of other where the folder has no stickers. name is
// the folder's, for errors.
func Open(folder, other fs.FS, name string) (*World, *Atlas, error) {
	w, err := ReadWorld(folder, name)
	if err != nil {
		return nil, nil, err
	}
	if _, err := fs.Stat(folder, AtlasFile); errors.Is(err, fs.ErrNotExist) {
		folder = other
	}
	a, err := OpenAtlas(folder, name, w)
	return w, a, err
}

// Run makes n items a task, runs them one after the other and sums up. An item that ends with an error ends the run.
func (b *Bench) Run(ctx context.Context, tasks []Task, n int) (*Report, error) {
	r := &Report{Model: b.Spec.Name, Hash: b.Spec.Hash, Params: b.Spec.Params, DType: b.Spec.DType, Device: b.Spec.Device, Seed: b.Seed, N: n}
	if b.Spec.Image != nil && b.Spec.Image.Codebook > 1 {
		r.BitsAToken = bits(b.Spec.Image.Codebook)
	}
	for _, t := range tasks {
		row, err := b.task(ctx, t, n)
		if err != nil {
			return r, fmt.Errorf("%s: %w", t.Name, err)
		}
		r.Tasks = append(r.Tasks, row)
	}
	return r, nil
}

// bits is the base-2 logarithm of n, rounded up.
func bits(n int) (k int) {
	for 1<<k < n {
		k++
	}
	return k
}

// task runs the items of one task.
func (b *Bench) task(ctx context.Context, t Task, n int) (TaskReport, error) {
	sum := newSum(t)
	began := time.Now()
	for i, it := range t.Items(b.World, n, b.Seed) {
		if it.Do == "" && b.Codec == nil || it.Do != "" && !b.Spec.Can(it.Do) {
			sum.row.Skipped = "the model does not do it"
			break
		}
		o := Outcome{Item: it}
		stats, err := b.answer(ctx, &o, b.Seed+uint64(i))
		if err != nil {
			return sum.row, fmt.Errorf("%s: %w", it.ID, err)
		}
		if o.Marks, err = b.Judge.Marks(&o.Item, &o.Answer); err != nil {
			return sum.row, fmt.Errorf("%s: %w", it.ID, err)
		}
		sum.add(o, stats)
		if b.Each != nil {
			if err := b.Each(o); err != nil {
				return sum.row, err
			}
		}
	}
	return sum.finish(time.Since(began)), nil
}

// answer runs one item with the model's own settings for its task.
func (b *Bench) answer(ctx context.Context, o *Outcome, seed uint64) (engine.Stats, error) {
	it, a := &o.Item, &o.Answer
	if it.Do == "" {
		return engine.Stats{}, b.rebuild(ctx, o)
	}
	job := engine.Job{ID: it.ID, Task: it.Do, Messages: []engine.Message{{Role: "user", Text: it.Prompt}}, Options: b.Spec.Defaults[it.Do]}
	job.Options.Seed, job.Options.Think, job.Options.Previews = seed, it.Think, false
	if it.Rule != "draw" && it.Scene != nil {
		shown := it.Scene
		if it.Before != nil {
			shown = it.Before
		}
		a.Given = b.Atlas.Render(*shown)
		job.Image = a.Given
	}
	if len(it.Hidden) > 0 {
		job.Mask = image.NewAlpha(a.Given.Rect)
		for _, r := range it.Hidden {
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := r.Min.X; x < r.Max.X; x++ {
					job.Mask.Pix[job.Mask.PixOffset(x, y)] = 255
				}
			}
		}
	}
	var started *engine.Started
	for ev, err := range b.Session.Run(ctx, job) {
		if err != nil {
			return engine.Stats{}, err
		}
		switch e := ev.(type) {
		case *engine.Started:
			started = e
		case *engine.Finished:
			a.Text, a.Think, a.Picture = e.Text, e.Think, e.Image
			a.Held = started != nil && untouched(started.Sequence, e.Sequence)
			return e.Stats, nil
		}
	}
	return engine.Stats{}, errors.New("the run ended without a result")
}

// untouched reports whether a run left every fixed position as it was.
func untouched(before, after *engine.Sequence) bool {
	for i, fixed := range before.Fixed {
		if fixed && before.Tokens[i] != after.Tokens[i] {
			return false
		}
	}
	return true
}

// rebuild encodes and decodes a picture.
func (b *Bench) rebuild(ctx context.Context, o *Outcome) error {
	o.Answer.Given = b.Atlas.Render(*o.Item.Scene)
	codes, err := b.Codec.EncodeImage(ctx, o.Answer.Given)
	if err != nil {
		return err
	}
	img, err := b.Codec.DecodeImage(ctx, codes, b.World.Grid[0], b.World.Grid[1])
	if err != nil {
		return err
	}
	if img.Rect.Size() != o.Answer.Given.Rect.Size() {
		return fmt.Errorf("the decoded picture has %v pixels, the world's have %v", img.Rect.Size(), o.Answer.Given.Rect.Size())
	}
	o.Answer.Picture = img
	return nil
}
