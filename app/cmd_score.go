package main

import (
	"context"
	"fmt"
	"math"

	"unmask/assets"
	"unmask/engine/denoise"
	"unmask/engine/models"
	"unmask/engine/token"
	"unmask/engine/weights"
)

type scoreFlags struct {
	samples, batch int
	guidance       float64
	seed           int
}

func cmdScore() *command {
	return &command{
		name: "score", args: "PROMPT ANSWER", short: "estimate how probable a model finds an answer",
		long: `The Monte-Carlo estimate of LLaDA: random parts of the answer are masked, and the log-probabilities of what is
masked are averaged, each over the share masked. It bounds the logarithm of the answer's probability from below. Texts are
taken as they stand.

  unmask score "The capital of France is" " Paris." --model LLaDA-8B-Base`,
		takes: takesModel | takesJSON,
		setup: func(c *call) {
			f := &scoreFlags{}
			c.own = f
			c.fs.IntVar(&f.samples, "samples", 128, "`N`: masks drawn")
			c.fs.IntVar(&f.batch, "batch", 16, "`N`: masks whose sizes are spread evenly")
			c.fs.Float64Var(&f.guidance, "guidance", 0, "`G`: of classifier-free guidance; 0 is off")
			c.fs.IntVar(&f.seed, "seed", 0, "`N`: of the masks")
		},
		run: runScore,
	}
}

func runScore(ctx context.Context, c *call) error {
	f := c.own.(*scoreFlags)
	switch {
	case len(c.args) != 2:
		return usagef("score takes a prompt and an answer, got %d arguments", len(c.args))
	case f.samples < 1 || f.batch < 1:
		return usagef("--samples %d and --batch %d: want at least 1", f.samples, f.batch)
	case !(f.guidance >= 0) || math.IsInf(f.guidance, 0):
		return usagef("--guidance %g: want a number from 0 on", f.guidance)
	}
	prompt, err := c.prompt(c.args[0])
	if err != nil {
		return err
	}
	answer, err := c.prompt(c.args[1])
	if err != nil {
		return err
	}
	be, err := c.backend()
	if err != nil {
		return err
	}
	defer be.Close()
	set, err := c.cfg.checkpoint()
	if err != nil {
		return err
	}
	m, err := models.Open(ctx, set, be, models.OpenOptions{DType: c.cfg.DType})
	if err != nil {
		return err
	}
	defer m.Close()
	tok, err := token.Open(set, m.Spec().Family)
	if err != nil {
		return err
	}
	ids := tok.AppendTokens(nil, answer)
	l := &denoise.Likelihood{Model: m, Samples: f.samples, Batch: f.batch, Guidance: f.guidance, Seed: uint64(f.seed)}
	e, err := l.Of(ctx, tok.AppendTokens(nil, prompt), ids)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.out, e)
	}
	_, err = fmt.Fprintf(c.out, "log-probability %.4f ± %.4f nats, %.4f a token of %d; %d passes\n", e.LogProb, e.StdErr, e.LogProb/float64(e.Tokens), e.Tokens, e.Passes)
	return err
}

// checkpoint opens the files of the configured model.
func (c *Config) checkpoint() (*weights.Set, error) {
	if c.Model == "" {
		return weights.OpenFS(assets.Model())
	}
	return weights.OpenDir(c.Model)
}
