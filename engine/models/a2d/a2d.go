// Package a2d is dllm's A2D: an autoregressive parent (Qwen3, Qwen2, LLaMA) whose causal mask was removed, trained on as
// a masked-diffusion model ("mdlm") or as block diffusion ("bd3lm"). Logits are not shifted. Weights keep the parent's
// names; the mask is the added token "<|mask|>".
package a2d

import (
	"context"
	"path/filepath"
	"strings"

	"unmask/engine"
	"unmask/engine/models/llama"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Block is the block length of released block-diffusion checkpoints.
const Block = 32

// Open reads config.json and tokenizer.json of src and binds the network. Biases and head norms are those that the
// checkpoint has, which is how the parents differ. A release says in its name alone that it is block diffusion:
// "Qwen3-0.6B-diffusion-bd3lm-v0.1". Such a model attends to the blocks up to a position's own.
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
	s, err := llama.Load(ctx, b, be, c, llama.Parts{
		QKVBias: b.Has("model.layers.0.self_attn.q_proj.bias"),
		OBias:   b.Has("model.layers.0.self_attn.o_proj.bias"),
		QKNorm:  b.Has("model.layers.0.self_attn.q_norm.weight"),
	})
	if err != nil {
		return nil, engine.Spec{}, err
	}
	spec := engine.Spec{Mask: mask, End: v.End(c.VocabSize, c.EOS...), Tasks: []engine.Task{engine.Chat, engine.Infill}}
	if strings.Contains(strings.ToLower(filepath.Base(src.Path())), "bd3lm") {
		spec.Block = Block
		s.Config.Pads, s.Config.SkipPads = nn.PadsSeeNothing, true
	}
	return s, spec, nil
}
