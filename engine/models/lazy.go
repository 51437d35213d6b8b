package models

import (
	"context"

	"unmask/engine"
	"unmask/engine/nn"
)

// lazy is a model whose passes go through [nn.Lazy].
type lazy struct {
	*Model
	cache nn.Lazy
}

// Lazily is the model for one run with dLLM-Cache, whose answer begins at position answer. The intervals are those of
// LLaDA-V's demonstration: the prompt every 25 passes, the answer every 7, and a quarter of it in between.
func (m *Model) Lazily(answer int) engine.Denoiser {
	return &lazy{m, nn.Lazy{Stack: m.Stack, Answer: answer, PromptEvery: 25, AnswerEvery: 7, Ratio: 0.25}}
}

// Forward implements [engine.Denoiser].
func (z *lazy) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	return z.cache.Forward(ctx, in)
}

// confident is a model whose passes go through [nn.Confident].
type confident struct {
	*Model
	cache nn.Confident
}

// Confidently is the model for one run of about steps passes with ML-Cache, in the published settings: everything in the
// first 30 % of the passes and every fifth one after, and in between the tenth of the positions that are least sure of a
// picture's code.
func (m *Model) Confidently(steps int) engine.Denoiser {
	var codes engine.IDRange
	if i := m.spec.Image; i != nil {
		codes = engine.IDRange{Lo: i.Offset, Hi: i.Offset + engine.Token(i.Codebook)}
	}
	return &confident{m, nn.Confident{Stack: m.Stack, Codes: codes, Warmup: int(float64(steps) * 0.3), Every: 5, Ratio: 1 - 0.9}}
}

// Forward implements [engine.Denoiser].
func (z *confident) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	return z.cache.Forward(ctx, in)
}
