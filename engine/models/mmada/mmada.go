// Package mmada is MMaDA (arXiv:2505.15809): LLaDA's network over a vocabulary of text and picture codes.
package mmada

import (
	"context"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/models/llada"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Tasks are what the model was trained for.
var Tasks = []engine.Task{engine.Chat, engine.Infill, engine.TextToImage, engine.Inpaint, engine.Outpaint, engine.Describe, engine.Joint}

// Open reads config.json and tokenizer.json of src and binds the network. Code 0 has the id that follows the last one of
// the tokenizer, not llm_vocab_size: the released model was trained so.
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
	bad := func(item, format string, args ...any) (*nn.Stack, engine.Spec, error) {
		return nil, engine.Spec{}, &engine.FormatError{Format: "config.json", Path: src.Path(), Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case v.Size == 0:
		return bad("codebook_size", "picture codes follow the tokenizer's last id, but there is no tokenizer.json")
	case c.CodebookSize < 1 || c.CodebookSize > c.Vocab()-v.Size:
		return bad("codebook_size", "%d codes from id %d on do not fit a vocabulary of %d", c.CodebookSize, v.Size, c.Vocab())
	case c.NumVQTokens < 0 || c.NumVQTokens > c.MaxSequenceLength:
		return bad("num_vq_tokens", "%d, want 0 to max_sequence_length %d", c.NumVQTokens, c.MaxSequenceLength)
	}
	mask, err := v.Mask(c.Vocab(), c.MaskTokenID, src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	s, err := llada.Load(ctx, b, be, c)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	return s, engine.Spec{
		Mask: mask, End: v.End(c.Vocab(), c.EOSTokenID), Tasks: Tasks,
		Image: &engine.ImageSpec{
			Grid: grid(c.NumVQTokens), Offset: engine.Token(v.Size), Codebook: c.CodebookSize,
		},
	}, nil
}

// grid is the layout of n codes: square as in every release, or as nearly square as n allows, wider than high. 0 codes
// have none.
func grid(n int) engine.Grid {
	for rows := int(math.Sqrt(float64(n))); rows > 0; rows-- {
		if n%rows == 0 {
			return engine.Grid{Cols: n / rows, Rows: rows}
		}
	}
	return engine.Grid{}
}
