// Package dream is Dream (arXiv:2508.15487): Qwen2.5 without causal mask, trained on as a masked-diffusion model. It
// keeps the offset of its parent, so the network's output at position i-1 predicts token i. Dream-Coder and DiffuCoder
// have the same layout.
package dream

import (
	"context"

	"unmask/engine"
	"unmask/engine/models/llama"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Open reads config.json and tokenizer.json of src and binds the network.
func Open(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*nn.Stack, engine.Spec, error) {
	data, err := src.File("config.json")
	if err != nil {
		return nil, engine.Spec{}, err
	}
	c, err := llama.ParseConfig(data, src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	v, err := vocab.Read(src)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	mask, err := v.Mask(c.VocabSize, c.Mask(), src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	s, err := llama.Load(ctx, b, be, c, llama.Parts{QKVBias: true})
	if err != nil {
		return nil, engine.Spec{}, err
	}
	s.Config.Shift = true
	// A padded batch counts positions over its tokens; pads take position 1 and see nothing (generation_utils.py).
	s.Config.Pads, s.Config.SkipPads, s.Config.SkipPad = nn.PadsSeeNothing, true, 1
	return s, engine.Spec{Mask: mask, End: v.End(c.VocabSize, c.EOS...), Tasks: []engine.Task{engine.Chat, engine.Infill}}, nil
}
