package evalset

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"unmask/engine"
)

// Counts of samples, and pixels between the pictures of the grid.
const (
	samplePictures = 64
	sampleChats    = 20
	sampleColumns  = 8
	sampleGap      = 4
)

// Samples draws 64 pictures and holds 20 chats with the model's own settings, picked by the seed alone, and writes them to
// a folder: pictures.png, a grid in reading order; samples.md with the prompts and the chats. Nothing is left out.
func (b *Bench) Samples(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	m := &maker{w: b.World, r: rand.New(rand.NewPCG(b.Seed, samplePictures))}
	var md strings.Builder
	fmt.Fprintf(&md, "# Samples of %s\n\nSeed %d, the model's own settings, nothing picked or left out. Model %.12s.\n\n## Pictures\n\n![64 pictures](pictures.png)\n\n", b.Spec.Name, b.Seed, b.Spec.Hash)
	if err := b.samplePictures(ctx, m, &md, filepath.Join(dir, "pictures.png")); err != nil {
		return err
	}
	fmt.Fprint(&md, "\n## Chats\n")
	if err := b.sampleChats(ctx, m, &md); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "samples.md"), []byte(md.String()), 0o666)
}

// samplePictures draws the grid: the two first rows are single big stickers, the rest is held out.
func (b *Bench) samplePictures(ctx context.Context, m *maker, md *strings.Builder, path string) error {
	items := append(m.drawOne(2*sampleColumns), m.draw(samplePictures-2*sampleColumns)...)
	side := b.World.PicturePx
	rows := (len(items) + sampleColumns - 1) / sampleColumns
	grid := image.NewNRGBA(image.Rect(0, 0, sampleColumns*(side+sampleGap)-sampleGap, rows*(side+sampleGap)-sampleGap))
	draw.Draw(grid, grid.Rect, image.White, image.Point{}, draw.Src)
	for i := range items {
		o := Outcome{Item: items[i]}
		o.Item.ID = fmt.Sprintf("picture-%02d", i)
		if _, err := b.answer(ctx, &o, b.Seed+uint64(i)); err != nil {
			return err
		}
		at := image.Pt(i%sampleColumns*(side+sampleGap), i/sampleColumns*(side+sampleGap))
		draw.Draw(grid, o.Answer.Picture.Rect.Add(at), o.Answer.Picture, image.Point{}, draw.Src)
		if i%sampleColumns == 0 {
			fmt.Fprintf(md, "\nRow %d: ", i/sampleColumns+1)
		} else {
			md.WriteString("; ")
		}
		md.WriteString(items[i].Prompt)
	}
	md.WriteString("\n")
	return writePNG(path, grid)
}

// sampleChats asks one of everything that the model talks about: small talk, facts, sums with thinking, stories, lists.
func (b *Bench) sampleChats(ctx context.Context, m *maker, md *strings.Builder) error {
	var items []Item
	facts := m.facts(true)(len(m.w.Facts))
	m.r.Shuffle(len(facts), func(i, k int) { facts[i], facts[k] = facts[k], facts[i] })
	talk := m.talk(1 << 20)
	m.r.Shuffle(len(talk), func(i, k int) { talk[i], talk[k] = talk[k], talk[i] })
	items = append(items, talk[:min(4, len(talk))]...)
	items = append(items, m.sums(2, true)(2)...)
	items = append(items, m.sums(3, true)(2)...)
	items = append(items, m.problems(2)...)
	items = append(items, m.stories(2)...)
	items = append(items, m.lists(1)...)
	items = append(items, facts[:min(sampleChats-min(len(items), sampleChats), len(facts))]...)
	if len(items) == 0 {
		return errors.New("the world has nothing to talk about")
	}
	for i := range items {
		o := Outcome{Item: items[i]}
		o.Item.ID = fmt.Sprintf("chat-%02d", i)
		if _, err := b.answer(ctx, &o, b.Seed+uint64(i)); err != nil {
			return err
		}
		think := ""
		if o.Item.Think {
			think = fmt.Sprintf("\n> *thinking: %s*\n>", oneLine(o.Answer.Think))
		}
		fmt.Fprintf(md, "\n**%s**\n%s\n> %s\n", o.Item.Prompt, think, strings.ReplaceAll(o.Answer.Text, "\n", "  \n> "))
	}
	return nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// sampleTasks are what samples need a model to do.
var sampleTasks = []engine.Task{engine.TextToImage, engine.Chat}

// CanSample is an error where the model lacks a task that samples need.
func CanSample(spec engine.Spec) error {
	for _, t := range sampleTasks {
		if !spec.Can(t) {
			return &engine.UnsupportedError{What: string(t) + " with the model " + spec.Name}
		}
	}
	return nil
}
