// Package lumina is Lumina-DiMOO (arXiv:2510.06308): LLaDA's network over a vocabulary of text and picture codes, with a
// line break after each row of a picture.
package lumina

import (
	"context"
	"fmt"

	"unmask/engine"
	"unmask/engine/models/llada"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// How far from <|startoftext|> lie the mark that ends an answer and code 0; package token knows the other marks.
const (
	endAnswer = 275
	code      = 276
)

// room is the number of positions that the network is used with where its config.json names fewer: the published scripts
// draw 1536 x 768 pixels, 4,608 codes, with a config that names 4,096. Rotary positions have no end.
const room = 8192

// Tasks are what the model was trained for.
var Tasks = []engine.Task{engine.Chat, engine.Infill, engine.TextToImage, engine.Inpaint, engine.Outpaint, engine.EditImage, engine.Describe}

// Open reads config.json and tokenizer.json of src and binds the network. The ids of the marks around pictures and answers
// and of code 0 lie at fixed distances from <|startoftext|>, as in the published code, which names numbers only.
func Open(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*nn.Stack, engine.Spec, error) {
	data, err := src.File("config.json")
	if err != nil {
		return nil, engine.Spec{}, err
	}
	c, err := llada.ParseConfig(data, src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	v, err := vocab.Read(src)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	start, ok := v.Added["<|startoftext|>"]
	if !ok {
		return nil, engine.Spec{}, &engine.FormatError{Format: "tokenizer.json", Path: src.Path(), Item: "<|startoftext|>",
			Reason: "is no added token; picture codes are counted from it"}
	}
	if int(start)+code >= c.Vocab() {
		return nil, engine.Spec{}, &engine.FormatError{Format: "config.json", Path: src.Path(), Item: "vocab_size",
			Reason: fmt.Sprintf("%d, but picture codes begin at id %d", c.Vocab(), int(start)+code)}
	}
	mask, err := v.Mask(c.Vocab(), c.MaskTokenID, src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	s, err := llada.Load(ctx, b, be, c)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	s.Config.MaxLen = max(s.Config.MaxLen, room)
	return s, engine.Spec{
		Mask: mask, End: append([]engine.Token{start + endAnswer}, v.End(c.Vocab(), c.EOSTokenID)...), Tasks: Tasks,
		Image: &engine.ImageSpec{Offset: start + code, Codebook: c.Vocab() - int(start) - code, Free: true},
	}, nil
}
