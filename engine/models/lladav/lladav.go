// Package lladav is LLaDA-V (arXiv:2505.16933): LLaDA's network under LLaMA's names, which reads pictures as vectors.
package lladav

import (
	"context"

	"unmask/engine"
	"unmask/engine/models/llama"
	"unmask/engine/models/siglip"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Open reads config.json and tokenizer.json of src and binds the language model. The end tokens are those that the
// released sampler bans at masked positions and those that it stops at.
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
	s, err := llama.Load(ctx, b, be, c, llama.Parts{})
	if err != nil {
		return nil, engine.Spec{}, err
	}
	return s, engine.Spec{Mask: mask, End: v.End(c.VocabSize, c.EOS...), Ban: banned(v),
		Tasks: []engine.Task{engine.Chat, engine.Infill, engine.Describe}}, nil
}

// banned are the tokens that the released sampler never lets a masked position take: begin and end of text, and the two
// that open a turn.
func banned(v *vocab.Vocabulary) []engine.Token {
	var out []engine.Token
	for _, name := range []string{"<|endoftext|>", "<|startoftext|>", "<|start_header_id|>", "<|end_header_id|>"} {
		if id, ok := v.Added[name]; ok {
			out = append(out, id)
		}
	}
	return out
}

// Eyes bind the vision tower.
func Eyes(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*siglip.Eyes, error) {
	return siglip.Open(ctx, src, b, be, 1)
}
