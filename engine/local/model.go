package local

import (
	"context"
	"errors"
	"fmt"
	"image"

	"unmask/engine"
	"unmask/engine/models"
	"unmask/engine/tensor"
	"unmask/engine/token"
	"unmask/engine/weights"
)

// model is a loaded checkpoint with everything that a run needs of it.
type model struct {
	denoiser engine.Denoiser
	close    func() error
	backend  tensor.Backend
	spec     engine.Spec
	tok      *token.Tokenizer
	image    imageTokenizer // nil: none
	prompts  token.Prompts  // valid when image is not nil
}

// imageTokenizer is what pictures need; *vq.Tokenizer is one.
type imageTokenizer interface {
	engine.ImageTokenizer
	Size(cols, rows int) (width, height int)      // of a decoded picture, pixels
	InputSize(cols, rows int) (width, height int) // of an encoded picture, pixels
	EncodePixels(ctx context.Context, img *image.NRGBA) ([]engine.Token, error)
}

// open loads the checkpoint that ref names.
func (s *Session) open(ctx context.Context, ref engine.ModelRef, progress func(done, total int64)) (_ *model, err error) {
	var set *weights.Set
	if ref.Path != "" {
		set, err = weights.OpenDir(ref.Path)
	} else if s.config.Embedded == nil {
		err = engine.ErrNoModel
	} else {
		set, err = weights.OpenFS(s.config.Embedded)
	}
	if err != nil {
		return nil, err
	}
	be, err := s.config.Backend(ref.Threads)
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, be.Close())
		}
	}()
	if err := fits(set, be.Device(), ref); err != nil {
		return nil, errors.Join(err, set.Close())
	}
	net, err := models.Open(ctx, set, be, models.OpenOptions{DType: ref.DType, Progress: progress})
	if err != nil {
		return nil, err
	}
	m := &model{denoiser: net, backend: be, spec: net.Spec(), close: func() error { return errors.Join(net.Close(), be.Close()) }}
	if net.Image != nil {
		m.image = net.Image
	}
	if err := m.describe(set); err != nil {
		return nil, errors.Join(err, net.Close())
	}
	return m, nil
}

// fits compares what the weights will take at least with the memory that is free.
func fits(set *weights.Set, d tensor.Device, ref engine.ModelRef) error {
	need := set.Bytes()
	if ref.DType == "f32" {
		need = 0
		for _, n := range set.Names() {
			t, err := set.Tensor(n)
			if err != nil {
				return err
			}
			need += 4 * int64(t.Len())
		}
	}
	if d.Memory > 0 && need > d.Memory {
		return &engine.MemoryError{What: "the model in " + set.Path(), Need: need, Have: d.Memory}
	}
	return nil
}

// describe completes the model with its tokenizer and what its world.json says.
func (m *model) describe(set *weights.Set) error {
	var err error
	if m.tok, err = token.Open(set, m.spec.Family); err != nil {
		return err
	}
	if n := m.tok.Size(); n > m.spec.Vocab {
		return &engine.FormatError{Format: "tokenizer", Path: set.Path(), Item: "added_tokens",
			Reason: fmt.Sprintf("ids go up to %d, the model has %d", n-1, m.spec.Vocab)}
	}
	if m.image != nil {
		if m.prompts, err = m.tok.Prompts(); err != nil {
			return err
		}
	}
	if t := m.tok.Template(); t.Thinking != "" {
		m.spec.ThinkStyle = t.Thinking
	} else if t.ThinkFlag {
		m.spec.ThinkStyle = "chat template"
	}
	m.spec.Defaults, m.spec.Examples = defaults(m.spec), examples(m.spec)
	return readWorld(set, &m.spec)
}

// text is the text of one token; "" for image codes.
func (m *model) text(id engine.Token) string { return token.Text(m.tok.AppendText(nil, id)) }
