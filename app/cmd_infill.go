package main

import (
	"context"
	"fmt"
	"strings"

	"unmask/engine"
)

// infillFlags make a text the caption of a picture.
type infillFlags struct {
	image, mask string
	draw        bool
}

func cmdInfill() *command {
	return &command{
		name: "infill", args: "TEXT", short: "fill the holes in a text, or in a caption and its picture together",
		long: `"___" is a hole of --hole-length masks, "___{5}" one of five masks. With --image the text is the caption of
a picture, which --mask hides in part; with --draw all of the picture is imagined. Words and cells
are then completed together, each from what is known of both.

  unmask infill "A robot is a ___. It is made of ___{3}."
  unmask infill --image sticker.png --mask half.png "a ___ and a dog on a blue background" -o both.png
  unmask infill --draw "three ___ on a pink background"

Models that do not chat (MDLM, BD3-LM, DiffusionBERT, Diffusion-LM) go on with a text without holes, for --length tokens.`,
		task: engine.Infill, takes: takesModel | takesJob | takesOutput | takesJSON | takesTrace,
		setup: func(c *call) {
			f := &infillFlags{}
			c.own = f
			c.fs.StringVar(&f.image, "image", "", "picture `FILE` that the text is the caption of")
			c.fs.StringVar(&f.mask, "mask", "", "picture `FILE`, white where the picture is hidden")
			c.fs.BoolVar(&f.draw, "draw", false, "imagine the picture that the text is the caption of")
		},
		run: runInfill,
	}
}

func runInfill(ctx context.Context, c *call) error {
	f := c.own.(*infillFlags)
	text, err := c.onePrompt()
	switch {
	case err != nil:
		return err
	case f.draw && f.image != "":
		return usagef("--draw and --image: the picture is either imagined or given")
	case f.mask != "" && f.image == "":
		return usagef("--mask needs --image")
	case f.mask == "" && !strings.Contains(text, engine.Hole) && (f.draw || !c.job.has["length"]):
		return usagef("the text has no hole; write %s where words are missing, or give --length to a model that goes on with texts", engine.Hole)
	}
	job := engine.Job{Task: engine.Infill, Messages: []engine.Message{{Role: "user", Text: text}}}
	if !f.draw && f.image == "" {
		return c.answer(ctx, job)
	}
	job.Task = engine.Joint
	if f.image != "" {
		if job.Image, err = readPicture(f.image); err != nil {
			return err
		}
	}
	if f.mask != "" {
		b := job.Image.Bounds()
		if job.Mask, err = readMask(f.mask, f.image, b.Size()); err != nil {
			return err
		}
		job.Mask.Rect = job.Mask.Rect.Add(b.Min)
	}
	return c.paint(ctx, job)
}

// printCaption prints what a picture was completed together with.
func (c *call) printCaption(o *outcome) error {
	if text := o.finished().Text; text != "" && !c.json && c.output != "-" {
		_, err := fmt.Fprintln(c.out, printable(text))
		return err
	}
	return nil
}
