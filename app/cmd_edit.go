package main

import (
	"context"

	"unmask/engine"
)

func cmdEdit() *command {
	return &command{
		name: "edit", args: "FILE INSTRUCTION", short: "make a picture from another by an instruction",
		long: `For models that edit, such as Lumina-DiMOO. --guidance says how much the instruction counts, --guidance-image
how much the given picture does.

  unmask edit cat.png "make it blue" -o blue.png`,
		task: engine.EditImage, takes: takesModel | takesJob | takesOutput | takesJSON | takesTrace,
		run: func(ctx context.Context, c *call) error {
			if len(c.args) != 2 {
				return usagef("edit takes a picture and an instruction, got %d arguments", len(c.args))
			}
			img, err := readPicture(c.args[0])
			if err != nil {
				return err
			}
			text, err := c.prompt(c.args[1])
			if err != nil {
				return err
			}
			return c.paint(ctx, engine.Job{Task: engine.EditImage, Image: img, Messages: []engine.Message{{Role: "user", Text: text}}})
		},
	}
}
