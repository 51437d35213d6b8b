package main

import (
	"context"
	"fmt"
	"image"

	"unmask/engine"
)

type inpaintFlags struct {
	image, mask string
	frame       image.Rectangle
}

func cmdInpaint() *command {
	return &command{
		name: "inpaint", args: "[PROMPT]", short: "repaint part of a picture, or enlarge it",
		long: `Repaints where the mask is white (or opaque, in a file with transparency) and keeps the rest. With
--frame instead of --mask the picture is placed in a larger one and what is outside it is imagined; the frame's
corners are in pixels of the picture.

  unmask inpaint --image cat.png --mask mask.png "a dog on a blue background" -o dog.png
  unmask inpaint --image cat.png --frame -64,0,192,128 "a cat on a blue background" -o wide.png`,
		task: engine.Inpaint, takes: takesModel | takesJob | takesOutput | takesJSON | takesTrace,
		setup: func(c *call) {
			f := &inpaintFlags{}
			c.own = f
			c.fs.StringVar(&f.image, "image", "", "picture `FILE`")
			c.fs.StringVar(&f.mask, "mask", "", "mask `FILE`, of the picture's size")
			c.fs.Func("frame", "`X0,Y0,X1,Y1`: bounds of the larger picture", func(v string) error {
				var err error
				f.frame, err = parseFrame(v)
				return err
			})
		},
		run: runInpaint,
	}
}

// maxFrame bounds the sides and places of a frame, pixels.
const maxFrame = 1 << 14

func parseFrame(v string) (image.Rectangle, error) {
	var n [4]int
	var rest string
	k, _ := fmt.Sscanf(v+" .", "%d,%d,%d,%d %s", &n[0], &n[1], &n[2], &n[3], &rest)
	if k != 5 || rest != "." {
		return image.Rectangle{}, fmt.Errorf("%q is not four whole numbers X0,Y0,X1,Y1", clip(v))
	}
	for _, x := range n {
		if x < -maxFrame || x > maxFrame {
			return image.Rectangle{}, fmt.Errorf("%d is outside [%d, %d]", x, -maxFrame, maxFrame)
		}
	}
	if n[0] >= n[2] || n[1] >= n[3] {
		return image.Rectangle{}, fmt.Errorf("%q is empty: want X0 < X1 and Y0 < Y1", clip(v))
	}
	return image.Rect(n[0], n[1], n[2], n[3]), nil
}

func runInpaint(ctx context.Context, c *call) error {
	f := c.own.(*inpaintFlags)
	switch {
	case len(c.args) > 1:
		return usagef("inpaint takes one prompt, got %d arguments", len(c.args))
	case f.image == "":
		return usagef("inpaint needs --image FILE")
	case (f.mask == "") == f.frame.Empty():
		return usagef("inpaint needs either --mask FILE or --frame X0,Y0,X1,Y1")
	}
	img, err := readPicture(f.image)
	if err != nil {
		return err
	}
	job := engine.Job{Task: engine.Inpaint, Image: img, Messages: []engine.Message{{Role: "user"}}}
	if len(c.args) == 1 {
		if job.Messages[0].Text, err = c.prompt(c.args[0]); err != nil {
			return err
		}
	}
	if f.mask != "" {
		if job.Mask, err = readMask(f.mask, f.image, img.Bounds().Size()); err != nil {
			return err
		}
		job.Mask.Rect = job.Mask.Rect.Add(img.Bounds().Min)
		return c.paint(ctx, job)
	}
	inside := img.Bounds().Sub(img.Bounds().Min)
	if !inside.In(f.frame) {
		return &engine.InputError{Item: "frame", Reason: fmt.Sprintf("%v does not hold the picture %s of %d x %d pixels",
			f.frame, f.image, inside.Dx(), inside.Dy())}
	}
	job.Task, job.Frame = engine.Outpaint, f.frame.Add(img.Bounds().Min)
	return c.paint(ctx, job)
}
