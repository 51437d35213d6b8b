package verify

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// passes checks encodeN and decodeN: a prompt, a first pass over a canvas, and one that is told of it.
func (g *gemmaFolder) passes(ctx context.Context) error {
	for i := 0; g.f.has(fmt.Sprintf("encode%d.input_ids", i)); i++ {
		prompt, err := g.row(fmt.Sprintf("encode%d.input_ids", i), 0)
		if err != nil {
			return err
		}
		if err := g.read(ctx, prompt, nil, true); err != nil {
			return err
		}
		if err := g.compare(fmt.Sprintf("encode%d.", i)); err != nil {
			return err
		}
		if err := g.decode(ctx, fmt.Sprintf("decode%d.", i)); err != nil {
			return err
		}
		if i == 0 {
			if err := g.conditioned(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// decode checks a first pass over a canvas and a second one.
func (g *gemmaFolder) decode(ctx context.Context, prefix string) error {
	canvas, err := g.row(prefix+"canvas_ids", 0)
	if err != nil {
		return err
	}
	logits, err := g.refine(ctx, canvas, 1, true)
	if err != nil {
		return err
	}
	if err := g.compare(prefix); err != nil {
		return err
	}
	g.f.near(prefix+"logits", logits)
	if array := prefix + "bf16_compute.logits"; g.f.has(array) {
		slack, err := g.f.bound(prefix + "logits")
		if err != nil || g.f.tol[array].Far == nil {
			return fmt.Errorf("%s: golden.json gives no tolerance for it", array)
		}
		g.f.nearWithin(array, array, logits, *g.f.tol[array].Far+slack)
	}
	if !g.f.has(prefix + "sc.logits_in") {
		return nil
	}
	if err := g.tell(prefix); err != nil {
		return err
	}
	if logits, err = g.refine(ctx, canvas, 1, false); err != nil {
		return err
	}
	if err := g.compare(prefix + "sc."); err != nil {
		return err
	}
	g.f.nearIf(prefix+"sc.logits", logits)
	return nil
}

// tell gives the network the recorded logits of an earlier prediction.
func (g *gemmaFolder) tell(prefix string) error {
	logits, _, err := g.f.floats(prefix + "sc.logits_in")
	if err != nil {
		return err
	}
	return g.net.Tell(logits)
}

// conditioned checks sc_mask: rows of which some are told of a prediction, that of decode0, and some are not.
func (g *gemmaFolder) conditioned(ctx context.Context) error {
	on, _, err := g.f.ints("sc_mask.mask")
	if err != nil {
		return err
	}
	var norms []float32
	for r, told := range on {
		canvas, err := g.row("sc_mask.canvas_ids", r)
		if err != nil {
			return err
		}
		if err := g.tell("decode0."); err != nil {
			return err
		}
		if _, err := g.refine(ctx, canvas, 1, told == 0); err != nil {
			return err
		}
		norms = append(norms, g.seen["norm"]...)
	}
	g.f.near("sc_mask.norm", norms)
	return nil
}

// commit checks a finished canvas that is read after encode1, and a pass over the next one.
func (g *gemmaFolder) commit(ctx context.Context) error {
	prompt, err := g.row("encode1.input_ids", 0)
	if err != nil {
		return err
	}
	if err := g.read(ctx, prompt, nil, true); err != nil {
		return err
	}
	done, err := g.row("commit.input_ids", 0)
	if err != nil {
		return err
	}
	if err := g.read(ctx, done, nil, false); err != nil {
		return err
	}
	if err := g.compare("commit."); err != nil {
		return err
	}
	canvas, err := g.row("commit.canvas_ids", 0)
	if err != nil {
		return err
	}
	logits, err := g.refine(ctx, canvas, 1, true)
	g.f.near("commit.logits", logits)
	return err
}

// edge matches the arrays of prompts whose lengths lie around the window.
var edge = regexp.MustCompile(`^edge(\d+)\.encoder_norm$`)

func (g *gemmaFolder) edges(ctx context.Context) error {
	prompt, err := g.row("edge.input_ids", 0)
	if err != nil {
		return err
	}
	canvas, err := g.row("edge.canvas_ids", 0)
	if err != nil {
		return err
	}
	for _, array := range g.f.names("edge") {
		m := edge.FindStringSubmatch(array)
		if m == nil {
			continue
		}
		length, err := strconv.Atoi(m[1])
		if err != nil || length > len(prompt) {
			return fmt.Errorf("%s: the prompt has %d tokens", array, len(prompt))
		}
		if err := g.read(ctx, prompt[:length], nil, true); err != nil {
			return err
		}
		g.f.near(array, g.seen["norm"])
		if _, err := g.refine(ctx, canvas, 1, true); err != nil {
			return err
		}
		g.f.near(fmt.Sprintf("edge%d.decoder_norm", length), g.seen["norm"])
	}
	return nil
}

// padded checks a batch of rows with pads on their left.
func (g *gemmaFolder) padded(ctx context.Context) error {
	pads, err := g.f.hide("padded.attention_mask")
	if err != nil {
		return err
	}
	_, shape, err := g.f.ints("padded.input_ids")
	if err != nil || len(shape) != 2 || len(pads) != shape[0]*shape[1] {
		return fmt.Errorf("padded: %v tokens, %d pads or not: %w", shape, len(pads), err)
	}
	var norms, logits []float32
	for r := range shape[0] {
		prompt, err := g.row("padded.input_ids", r)
		if err != nil {
			return err
		}
		hide := pads[r*shape[1] : (r+1)*shape[1]]
		if err := g.read(ctx, prompt, hide, true); err != nil {
			return err
		}
		x := g.seen["norm"]
		for i, pad := range hide {
			if d := g.net.Config.Text.Width; pad {
				clear(x[i*d : (i+1)*d])
			}
		}
		norms = append(norms, x...)
		canvas, err := g.row("padded.canvas_ids", r)
		if err != nil {
			return err
		}
		l, err := g.refine(ctx, canvas, 1, true)
		if err != nil {
			return err
		}
		logits = append(logits, l...)
	}
	g.f.near("padded.encoder_norm", norms)
	g.f.near("padded.logits", logits)
	return nil
}
