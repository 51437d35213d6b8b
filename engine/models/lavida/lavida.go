// Package lavida is LaViDa (arXiv:2505.16839): LLaDA or Dream that reads pictures as vectors, a quarter as many as the
// vision tower gives. It was trained with a prompt that does not see the answer, so its prompt's keys and values can be
// kept without changing anything.
package lavida

import (
	"context"

	"unmask/engine"
	"unmask/engine/models/dream"
	"unmask/engine/models/llada"
	"unmask/engine/models/siglip"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// pool is the factor by which every view is shrunk after the projector, which the released code sets and no config.json
// carries.
const pool = 2

// Open binds the language model of a checkpoint on LLaDA.
func Open(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*nn.Stack, engine.Spec, error) {
	return with(llada.Open(ctx, src, b, be))
}

// OpenDream binds the language model of a checkpoint on Dream.
func OpenDream(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*nn.Stack, engine.Spec, error) {
	return with(dream.Open(ctx, src, b, be))
}

func with(s *nn.Stack, spec engine.Spec, err error) (*nn.Stack, engine.Spec, error) {
	spec.PromptFirst = true
	spec.Tasks = []engine.Task{engine.Chat, engine.Infill, engine.Describe}
	return s, spec, err
}

// Eyes bind the vision tower.
func Eyes(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*siglip.Eyes, error) {
	return siglip.Open(ctx, src, b, be, pool)
}
