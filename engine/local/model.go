package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"strings"

	"unmask/engine"
	"unmask/engine/models"
	"unmask/engine/models/difflm"
	"unmask/engine/tensor"
	"unmask/engine/token"
	"unmask/engine/weights"
)

// model is a loaded checkpoint with everything that a run needs of it.
type model struct {
	denoiser engine.Denoiser
	words    *difflm.Model  // in place of denoiser, where embeddings are denoised
	canvas   *canvasModel   // the denoiser's, where canvases of noise are denoised; nil: masks are
	told     bool           // a world.json says what the model knows
	freq     []float64      // of words, for the spindle
	anchor   []engine.Token // one word to stand before that whose text is asked for, where words are joined by blanks
	close    func() error
	backend  tensor.Backend
	spec     engine.Spec
	tok      *token.Tokenizer
	image    imageTokenizer // nil: none
	prompts  token.Prompts  // valid when image is not nil and lumina is
	lumina   *token.Lumina  // not nil: the model is Lumina-DiMOO and has its own rows
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
	set, err := openSet(s.config.Embedded, ref)
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
	if isEmbedding(set) {
		m, err := openEmbedding(ctx, set, be, progress)
		if err != nil {
			return nil, errors.Join(err, set.Close())
		}
		m.close = func() error { return errors.Join(set.Close(), be.Close()) }
		m.nameWords()
		return m, nil
	}
	net, err := models.Open(ctx, set, be, models.OpenOptions{DType: ref.DType, Progress: progress})
	if err != nil {
		return nil, err
	}
	m := around(net, be)
	m.close = func() error { return errors.Join(net.Close(), be.Close()) }
	err = m.describe(set)
	m.nameAdapters(ref)
	if err == nil && ref.Path != "" && !m.told { // one with a world of its own knows nothing else
		var doubts []engine.Doubt
		doubts, err = m.doubtRuns(ctx)
		m.spec.Doubts = append(m.spec.Doubts, doubts...)
	}
	if err != nil {
		return nil, errors.Join(err, net.Close())
	}
	return m, nil
}

// nameAdapters names a model with adapters after both.
func (m *model) nameAdapters(ref engine.ModelRef) {
	if len(ref.Adapters) == 0 {
		return
	}
	m.spec.Name = filepath.Base(ref.Path)
	for _, a := range ref.Adapters {
		m.spec.Name += " + " + filepath.Base(a)
	}
}

// around is the model of a network, before its files are read.
func around(net *models.Model, be tensor.Backend) *model {
	m := &model{denoiser: net, backend: be, spec: net.Spec(), canvas: canvasOf(net)}
	if net.Image != nil {
		m.image = net.Image
	}
	return m
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
	if m.spec.Family == "lumina-dimoo" {
		p, err := m.tok.Lumina()
		if err != nil {
			return err
		}
		m.lumina = &p
	} else if m.image != nil {
		if m.prompts, err = m.tok.Prompts(); err != nil {
			return err
		}
	}
	if t := m.tok.Template(); t.Thinking != "" {
		m.spec.ThinkStyle = t.Thinking
	} else if t.ThinkFlag {
		m.spec.ThinkStyle = "chat template"
	}
	m.spec.Doubts = m.doubtFiles()
	if m.spec.Process == "spindle" {
		var doubt *engine.Doubt
		if m.freq, doubt, err = frequencies(set, m.spec.Vocab); err != nil {
			return err
		}
		if doubt != nil {
			m.spec.Doubts = append(m.spec.Doubts, *doubt)
		}
		m.nameWords()
	}
	if m.spec.Defaults == nil { // a family may bring its own
		m.spec.Defaults = defaults(m.spec)
	}
	m.spec.Examples = examples(m.spec)
	_, err = set.File(worldFile)
	m.told = err == nil
	return readWorld(set, &m.spec)
}

// nameWords has words shown with the blank before them, where the tokenizer joins words by blanks.
func (m *model) nameWords() {
	for id := range m.tok.Size() {
		a := engine.Token(id)
		if s := string(m.tok.AppendText(nil, a)); !m.tok.IsSpecial(a) && s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == "" {
			m.anchor = []engine.Token{a}
			return
		}
	}
}

// text is the text of one token; "" for image codes.
func (m *model) text(id engine.Token) string {
	if m.anchor == nil {
		return token.Text(m.tok.AppendText(nil, id))
	}
	before := m.tok.AppendText(nil, m.anchor[0])
	all := m.tok.AppendText(nil, m.anchor[0], id)
	if !bytes.HasPrefix(all, before) {
		return token.Text(m.tok.AppendText(nil, id))
	}
	return token.Text(all[len(before):])
}
