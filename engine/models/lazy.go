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
