package gemma

import (
	"context"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Open binds the network of a checkpoint. eyes are nil where it has no vision tower; s has Mask -1: there is no mask token,
// noise is any token.
func Open(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (n *Network, eyes *Eyes, s engine.Spec, err error) {
	data, err := src.File("config.json")
	if err != nil {
		return nil, nil, s, err
	}
	c, err := ParseConfig(data, src.Path())
	if err != nil {
		return nil, nil, s, err
	}
	if c.Text.Experts > len(src.Names())*maxSide || c.Text.Layers > len(src.Names()) {
		return nil, nil, s, &engine.FormatError{Format: "config.json", Path: src.Path(), Item: "text_config.num_hidden_layers",
			Reason: fmt.Sprintf("%d layers, the checkpoint has %d tensors", c.Text.Layers, len(src.Names()))}
	}
	g, err := ReadGeneration(src, c.EOS)
	if err != nil {
		return nil, nil, s, err
	}
	if n, err = load(ctx, b, be, c); err != nil {
		return nil, nil, s, err
	}
	if c.Vision != nil {
		if eyes, err = openEyes(ctx, src, b, be, c); err != nil {
			return nil, nil, s, err
		}
	}
	if err := b.Err(); err != nil {
		return nil, nil, s, err
	}
	for _, id := range g.EOS {
		if id >= 0 && int(id) < c.Text.Vocab {
			s.End = append(s.End, id)
		}
	}
	s.Mask, s.Block, s.Process = -1, c.Canvas, "renoise"
	s.Layers, s.Width, s.Heads, s.Vocab, s.MaxLen = c.Text.Layers, c.Text.Width, c.Text.Heads, c.Text.Vocab, c.Text.MaxLen
	s.Tasks = []engine.Task{engine.Chat}
	if eyes != nil {
		s.Tasks, s.Vectors = append(s.Tasks, engine.Describe), true
	}
	s.Defaults = g.defaults(c.Canvas, s.Tasks)
	return n, eyes, s, nil
}

// defaults are the settings of the checkpoint's generation_config.json, for one canvas.
func (g *Generation) defaults(canvas int, tasks []engine.Task) map[engine.Task]engine.Options {
	all := map[engine.Task]engine.Options{}
	for _, t := range tasks {
		all[t] = engine.Options{
			Length: canvas, Steps: g.Steps, Block: canvas, Schedule: "uniform", Sampler: "renoise", Cache: engine.CacheNone, StopAtEnd: true,
			Params: engine.Params{"bound": g.Sampler.Bound, "t_max": g.TMax, "t_min": g.TMin,
				"stability": float64(g.Stability), "confidence": g.Confidence},
		}
	}
	return all
}

// load binds encoder and decoder. What is wrong is left to the binder's Err, after the vision tower has been bound too.
func load(ctx context.Context, b *weights.Binder, be tensor.Backend, c *Config) (*Network, error) {
	t := &c.Text
	eps := float32(t.Eps)
	const at = "model.decoder."
	n := &Network{Config: c, be: be, scale: float32(math.Sqrt(float64(t.Width))), widest: encoderRows}
	if b.As() != tensor.F32 {
		// The released code multiplies by the root in the type of the weights.
		n.scale, n.round = bf16(n.scale), true
	}
	n.embed = b.Tensor(at+"embed_tokens.weight", t.Vocab, t.Width)
	n.head = b.Matrix(at+"embed_tokens.weight", t.Vocab, t.Width)
	n.back = b.Transposed(at+"embed_tokens.weight", t.Vocab, t.Width, 512)
	b.Ignore("lm_head.weight") // the same numbers, where a tool has written them out
	n.norm = nn.LoadRMSNorm(b, at+"norm", t.Width, eps)
	n.pre = nn.LoadRMSNorm(b, at+"self_conditioning.pre_norm", t.Width, eps)
	n.feedback = geglu(b, at+"self_conditioning", t.Width, t.FF, "")
	for i := 0; i < t.Layers && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n.layers = append(n.layers, loadLayer(b, be, t, i))
	}
	n.out.n = n
	return n, be.Err()
}

// geglu binds a feed-forward; suffix stands between the names of its parts and ".weight".
func geglu(b *weights.Binder, at string, d, f int, suffix string) nn.SwiGLU {
	return nn.SwiGLU{
		Gate: nn.LoadLinear(b, at+".gate_proj"+suffix, f, d, false), Up: nn.LoadLinear(b, at+".up_proj"+suffix, f, d, false),
		Down: nn.LoadLinear(b, at+".down_proj"+suffix, d, f, false), Width: f, Tanh: true,
	}
}

// bf16 rounds x to the nearest bf16, ties to even.
func bf16(x float32) float32 {
	u := math.Float32bits(x)
	return math.Float32frombits((u + 0x7fff + u>>16&1) &^ 0xffff)
}
