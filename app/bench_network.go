package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"text/tabwriter"
	"time"

	"unmask/engine"
	"unmask/engine/models"
)

// benchLengths are the lengths of the sequences that forward passes are measured on, as far as the model takes them.
var benchLengths = []int{64, 256, 512, 1024}

// benchWanted is how many positions of a step are masked.
const benchWanted = 32

// benchNetwork measures the network alone: forward passes, steps, picks, pictures.
func (c *call) benchNetwork(ctx context.Context, b *bench) (*benchResult, error) {
	be, err := c.backend()
	if err != nil {
		return nil, err
	}
	defer be.Close()
	began := time.Now()
	m, err := openModel(ctx, c.cfg, be)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	b.keep("open the model", "ms", []float64{float64(time.Since(began).Microseconds()) / 1e3})
	m.KeepLogits(math.MaxInt) // a pass with all logits makes all
	spec, dev := m.Spec(), be.Device()
	r := &benchResult{Program: "unmask " + version, Device: dev.Name, Kernels: dev.Kernels, Threads: dev.Threads,
		Model: spec.Name, Params: spec.Params, Bytes: spec.Bytes, DType: spec.DType}
	for _, l := range b.lengths {
		if l > spec.MaxLen {
			break
		}
		if err := benchForward(ctx, b, m, spec, l); err != nil {
			return nil, err
		}
	}
	if err := benchPick(ctx, b, m, spec); err != nil {
		return nil, err
	}
	if m.Image == nil {
		return r, nil
	}
	cols, rows := m.Image.Grid()
	codes := make([]engine.Token, cols*rows)
	for i := range codes {
		codes[i] = engine.Token(rand.IntN(m.Image.Codebook()))
	}
	img, err := m.Image.DecodeImage(ctx, codes, cols, rows)
	if err != nil {
		return nil, err
	}
	_, err = b.times(ctx, fmt.Sprintf("decode a picture of %d x %d pixels", img.Rect.Dx(), img.Rect.Dy()), func() error {
		_, err := m.Image.DecodeImage(ctx, codes, cols, rows)
		return err
	})
	if err == nil {
		_, err = b.times(ctx, "encode it", func() error {
			_, err := m.Image.EncodeImage(ctx, img)
			return err
		})
	}
	return r, err
}

// masked is a sequence of l positions of which the last n are masked.
func masked(spec engine.Spec, l, n int) (tokens []engine.Token, want []int) {
	r := rand.New(rand.NewPCG(1, uint64(l)))
	for i := range l {
		t := engine.Token(r.IntN(spec.Vocab))
		if i >= l-n {
			if spec.Mask >= 0 { // else what is to be found is noise
				t = spec.Mask
			}
			want = append(want, i)
		}
		tokens = append(tokens, t)
	}
	return tokens, want
}

// benchForward measures a pass with the logits of every position, and a step: a pass with those of a block, and its pick.
func benchForward(ctx context.Context, b *bench, m *models.Model, spec engine.Spec, l int) error {
	tokens, want := masked(spec, l, benchWanted)
	took, err := b.times(ctx, fmt.Sprintf("forward, %d positions", l), func() error {
		_, err := m.Forward(ctx, engine.Input{Tokens: tokens})
		return err
	})
	if err != nil {
		return err
	}
	b.last().Note = fmt.Sprintf("%.1f GFLOP/s", operations(m, spec, l)/took.Seconds()/1e9)
	var p engine.Prediction
	_, err = b.times(ctx, fmt.Sprintf("step, %d of %d positions", len(want), l), func() error {
		logits, err := m.Forward(ctx, engine.Input{Tokens: tokens, Want: want})
		if err != nil {
			return err
		}
		p.Resize(len(want))
		copy(p.Pos, want)
		return logits.Pick(engine.PickOptions{}, &p)
	})
	if err != nil || l <= benchWanted || spec.Block > 0 || spec.PromptFirst {
		return err
	}
	if _, err := m.Forward(ctx, engine.Input{Tokens: tokens, Keep: true, Want: want}); err != nil {
		return err
	}
	_, err = b.times(ctx, fmt.Sprintf("block of %d, %d positions cached", len(want), l-len(want)), func() error {
		_, err := m.Forward(ctx, engine.Input{Tokens: tokens, Want: want, Active: engine.Span{Lo: l - benchWanted, Hi: l}})
		return err
	})
	return err
}

// operations are the floating-point operations of the products of a pass over l positions; a multiply-add counts two.
func operations(m *models.Model, spec engine.Spec, l int) float64 {
	weights := float64(spec.Params)
	var c struct {
		Tied bool `json:"weight_tying"`
	}
	if json.Unmarshal(m.Config, &c) == nil && !c.Tied {
		weights -= float64(spec.Vocab) * float64(spec.Width) // the embedding is looked up, not multiplied
	}
	attention := 4 * float64(l) * float64(l) * float64(spec.Width) * float64(spec.Layers)
	return 2*weights*float64(l) + attention
}

// benchPick measures the choice of candidates alone.
func benchPick(ctx context.Context, b *bench, m *models.Model, spec engine.Spec) error {
	n := min(64, spec.MaxLen)
	tokens, want := masked(spec, n, n)
	logits, err := m.Forward(ctx, engine.Input{Tokens: tokens, Want: want})
	if err != nil {
		return err
	}
	var p engine.Prediction
	for _, o := range []struct {
		name string
		o    engine.PickOptions
	}{{"argmax", engine.PickOptions{}}, {"with noise", engine.PickOptions{Temperature: 1, Seed: 1}}} {
		if _, err := b.times(ctx, fmt.Sprintf("pick, %s, %d positions of %d ids", o.name, n, spec.Vocab), func() error {
			p.Resize(n)
			copy(p.Pos, want)
			return logits.Pick(o.o, &p)
		}); err != nil {
			return err
		}
	}
	return nil
}

// startChild runs `unmask models --json` on the same model and returns its time and its peak memory, 0 where the system
// does not say.
func (c *call) startChild(ctx context.Context) (time.Duration, int64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	args := []string{"models", "--json"}
	for _, s := range settings {
		if v := s.show(&c.cfg); c.cfg.Origin[s.key] != "" && (s.key == "dtype" || s.key == "threads" || s.key == "kernels") {
			args = append(args, "--"+s.flag()+"="+v)
		}
	}
	if c.cfg.Model != "" {
		args = append(args, c.cfg.Model)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	var msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &msg
	at := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(msg.Bytes()))
	}
	return time.Since(at), childPeak(cmd.ProcessState), nil
}

// writer prints r as text or as JSON.
func (r *benchResult) writer(asJSON bool) func(io.Writer) error {
	if asJSON {
		return func(w io.Writer) error { return writeJSON(w, r) }
	}
	return func(w io.Writer) error { return r.print(tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)) }
}
