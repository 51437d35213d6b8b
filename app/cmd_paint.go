package main

import (
	"context"
	"fmt"
	"image"
	"io"
	"path/filepath"
	"strings"

	"unmask/engine"
	"unmask/engine/trace"
)

func cmdPaint() *command {
	return &command{
		name: "paint", args: "PROMPT", short: "draw a picture for a prompt",
		long: `Writes a PNG that carries the prompt, the seed, all parameters and the run itself, so that
"unmask replay" can make it again. With -o FILE.gif it writes the animation of the run instead.

  unmask paint "a cat on a blue background" -o cat.png
  unmask paint "a cat on a blue background" --seed 7 --steps 12 --guidance 3 -o cat.gif

--size is for models that draw any size, such as Lumina-DiMOO.`,
		task: engine.TextToImage, takes: takesModel | takesJob | takesOutput | takesJSON | takesTrace,
		setup: func(c *call) {
			size := &image.Rectangle{}
			c.own = size
			c.fs.Func("size", "`WxH`: of the picture in pixels, rounded to whole cells", func(v string) error {
				var err error
				*size, err = parseSize(v)
				return err
			})
		},
		run: func(ctx context.Context, c *call) error {
			text, err := c.onePrompt()
			if err != nil {
				return err
			}
			return c.paint(ctx, engine.Job{Task: engine.TextToImage, Frame: *c.own.(*image.Rectangle), Messages: []engine.Message{{Role: "user", Text: text}}})
		},
	}
}

// parseSize reads "640x480".
func parseSize(v string) (image.Rectangle, error) {
	var w, h int
	var rest string
	if k, _ := fmt.Sscanf(v+" .", "%dx%d %s", &w, &h, &rest); k != 3 || rest != "." {
		return image.Rectangle{}, fmt.Errorf("%q is not WxH", clip(v))
	}
	if w < 1 || h < 1 || w > maxFrame || h > maxFrame {
		return image.Rectangle{}, fmt.Errorf("%q: sides are 1 to %d pixels", clip(v), maxFrame)
	}
	return image.Rect(0, 0, w, h), nil
}

// onePrompt is the command's only argument.
func (c *call) onePrompt() (string, error) {
	if len(c.args) != 1 {
		return "", usagef("%s takes one prompt, got %d arguments", c.cmd.name, len(c.args))
	}
	return c.prompt(c.args[0])
}

// paint runs a job that makes a picture and writes it.
func (c *call) paint(ctx context.Context, job engine.Job) error {
	if err := c.checkPictureName(); err != nil {
		return err
	}
	m, err := c.load(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	if job.Options, err = c.options(m.spec, job.Task); err != nil {
		return err
	}
	if !c.job.has["previews"] {
		job.Options.Previews = c.animates() || c.trace != ""
	}
	o, err := c.denoise(ctx, m, job)
	if err != nil {
		return err
	}
	return c.finishPicture(o)
}

// animates reports whether -o asks for the animation of the run.
func (c *call) animates() bool { return strings.EqualFold(filepath.Ext(c.output), ".gif") }

// checkPictureName refuses a file name of another format before the work is done.
func (c *call) checkPictureName() error {
	switch ext := strings.ToLower(filepath.Ext(c.output)); {
	case c.output == "", c.output == "-", ext == ".png", ext == ".gif":
		return nil
	default:
		return usagef("-o %s: a picture is written as .png, its animation as .gif", c.output)
	}
}

// finishPicture writes the picture or the animation, and prints its name.
func (c *call) finishPicture(o *outcome) error {
	if o.finished().Image == nil {
		return fmt.Errorf("the run made no picture")
	}
	write := func(w io.Writer) error { return trace.EncodePNG(w, o.finished().Image, &o.rec) }
	switch {
	case c.output == "-":
		if c.json {
			return usagef("--json and -o - both write to standard output")
		}
		return write(c.out)
	case c.output == "":
		o.path = freeName(fmt.Sprintf("%s-%d.png", c.cmd.name, o.run.Started().Job.Options.Seed))
	default:
		o.path = c.output
	}
	if c.animates() {
		write = func(w io.Writer) error { return writeAnimation(w, o.run, c.cfg, film{}) }
	}
	if err := writeFile(o.path, write); err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.out, c.report(o))
	}
	if err := c.printCaption(o); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.out, o.path); err != nil {
		return err
	}
	return c.figures(o)
}
