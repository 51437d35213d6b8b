package main

import (
	"context"

	"unmask/engine"
)

func cmdDescribe() *command {
	return &command{
		name: "describe", args: "FILE [QUESTION]", short: "describe a picture, or answer a question about it",
		long: `  unmask describe sticker.png
  unmask describe sticker.png "What colour is the background?"`,
		task: engine.Describe, takes: takesModel | takesJob | takesOutput | takesJSON | takesTrace,
		run: func(ctx context.Context, c *call) error {
			if len(c.args) < 1 || len(c.args) > 2 {
				return usagef("describe takes a picture and at most one question, got %d arguments", len(c.args))
			}
			img, err := readPicture(c.args[0])
			if err != nil {
				return err
			}
			job := engine.Job{Task: engine.Describe, Image: img, Messages: []engine.Message{{Role: "user"}}}
			if len(c.args) == 2 {
				if job.Messages[0].Text, err = c.prompt(c.args[1]); err != nil {
					return err
				}
			}
			return c.answer(ctx, job)
		},
	}
}

// answer runs a job that makes text and prints it.
func (c *call) answer(ctx context.Context, job engine.Job) error {
	m, err := c.load(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	if job.Options, err = c.options(m.spec, job.Task); err != nil {
		return err
	}
	job.Words = c.job.words
	o, err := c.denoise(ctx, m, job)
	if err != nil {
		return c.partial(o, err)
	}
	return c.finishText(o)
}
