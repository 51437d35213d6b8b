package main

import (
	"context"
	"strings"

	"unmask/engine"
)

func cmdInfill() *command {
	return &command{
		name: "infill", args: "TEXT", short: "fill the holes in a text and keep the rest",
		long: `"___" is a hole of --hole-length masks, "___{5}" one of five masks.

  unmask infill "A robot is a ___. It is made of ___{3}."`,
		task: engine.Infill, takes: takesModel | takesJob | takesOutput | takesJSON | takesTrace,
		run: func(ctx context.Context, c *call) error {
			text, err := c.onePrompt()
			if err != nil {
				return err
			}
			if !strings.Contains(text, engine.Hole) {
				return usagef("the text has no hole; write %s where words are missing", engine.Hole)
			}
			return c.answer(ctx, engine.Job{Task: engine.Infill, Messages: []engine.Message{{Role: "user", Text: text}}})
		},
	}
}
