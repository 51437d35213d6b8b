package local

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/models/difflm"
	"unmask/engine/tensor"
	"unmask/engine/token"
	"unmask/engine/weights"
)

// isEmbedding reports whether set is a Diffusion-LM, which denoises embeddings of words.
func isEmbedding(set *weights.Set) bool {
	_, err := set.File("training_args.json")
	return err == nil
}

// openEmbedding opens a Diffusion-LM. The model takes set over.
func openEmbedding(ctx context.Context, set *weights.Set, be tensor.Backend, progress func(done, total int64)) (*model, error) {
	net, err := difflm.Open(ctx, set, be, tensor.F32)
	if err != nil {
		return nil, fmt.Errorf("open model: diffusion-lm: %w", err)
	}
	if progress != nil {
		progress(set.Bytes(), set.Bytes())
	}
	m := &model{words: net, backend: be, spec: net.Spec()}
	m.spec.Name, m.spec.Device = filepath.Base(set.Path()), be.Device().Name
	if be.Device().Kind != tensor.Nothing {
		m.spec.Hash = set.Hash()
	}
	if m.tok, err = token.OpenWords(set); err != nil {
		return nil, err
	}
	if n := m.tok.Size(); n > net.Vocab() {
		return nil, &engine.FormatError{Format: "vocabulary", Path: set.Path(), Item: "vocab.json",
			Reason: fmt.Sprintf("ids go up to %d, the model has %d words", n-1, net.Vocab())}
	}
	if end, ok := m.tok.Special("eos"); ok {
		m.spec.End = []engine.Token{end}
	}
	m.spec.Defaults, m.spec.Examples = defaults(m.spec), examples(m.spec)
	return m, readWorld(set, &m.spec)
}

// embedding runs Diffusion-LM's process.
type embedding struct{ model *model }

func (p *embedding) schedule(o engine.Options) (*denoise.Gaussian, error) {
	a, spacing := p.model.words.Args, ""
	if o.Steps < a.Steps {
		spacing = fmt.Sprint(o.Steps)
	}
	return denoise.NewGaussian(a.Schedule, a.Steps, spacing)
}

// Passes implements [process].
func (p *embedding) Passes(_ *engine.Sequence, o engine.Options) (int, error) {
	g, err := p.schedule(o)
	if err != nil {
		return 0, err
	}
	return len(g.Beta), nil
}

// Steps implements [engine.Process].
func (p *embedding) Steps(ctx context.Context, seq *engine.Sequence, o engine.Options) iter.Seq2[engine.Step, error] {
	return func(yield func(engine.Step, error) bool) {
		g, err := p.schedule(o)
		if err != nil {
			yield(engine.Step{}, err)
			return
		}
		run := &denoise.Embedding{Model: p.model.words, Schedule: g, Clamp: o.Params["clamp"] == 1, DDIM: o.Params["step"] == 1,
			Eta: o.Params["eta"], Limit: o.Params["limit"]}
		if len(o.WantWords) > 0 {
			free := make([]bool, len(seq.Fixed))
			for i, fixed := range seq.Fixed {
				free[i] = !fixed
			}
			want, err := p.model.wanted(o.WantWords)
			if err != nil {
				yield(engine.Step{}, err)
				return
			}
			run.Steer = &denoise.Steer{Classifier: &denoise.Wanted{Model: p.model.words, Words: want, Free: free},
				Pull: o.Params["pull"], Updates: 3, Rate: 0.1}
		}
		run.Steps(ctx, seq, o)(yield)
	}
}

// wanted are the ids of words that a text is steered towards.
func (m *model) wanted(words []string) ([]engine.Token, error) {
	bad := func(format string, args ...any) error {
		return &engine.InputError{Item: "wanted words", Reason: fmt.Sprintf(format, args...)}
	}
	if len(words) == 0 {
		return nil, nil
	}
	if !m.spec.Continuous {
		return nil, bad("%s is not steered by a classifier; models that denoise embeddings are", m.spec.Family)
	}
	if len(words) > maxWords {
		return nil, bad("%d of them, at most %d are taken", len(words), maxWords)
	}
	unknown, _ := m.tok.Special("unk")
	var out []engine.Token
	for _, w := range words {
		ids := m.tok.AppendTokens(nil, w)
		if len(ids) == 0 || slices.Contains(ids, unknown) {
			return nil, bad("%q is not among the %d words of the model", w, m.words.Vocab())
		}
		for _, id := range ids {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out, nil
}

// planWords prepares an infill for a Diffusion-LM, whose texts are all of one length: START, words and holes, and at the
// end END and padding, or words for the model to find where the text ends in a hole. A hole alone is a whole text.
func (m *model) planWords(job engine.Job) (*plan, error) {
	text := strings.TrimSpace(prompt(job))
	found := hole.FindAllStringSubmatchIndex(text, -1)
	length := m.spec.MaxLen
	r := &row{}
	word := func(role string) {
		if id, ok := m.tok.Special(role); ok {
			r.add(engine.Text, true, id)
		}
	}
	at := 0
	open := len(found) == 0 || found[len(found)-1][1] == len(text) && found[len(found)-1][2] < 0
	if alone := len(found) == 1 && found[0][0] == 0 && open; !alone && text != "" {
		word("bos")
		for i, f := range found {
			r.add(engine.Text, true, m.tok.AppendTokens(nil, text[at:f[0]])...)
			at = f[1]
			if i == len(found)-1 && open {
				break
			}
			n, err := m.holeLength(text, f, job.Options)
			if err != nil {
				return nil, err
			}
			r.masks(engine.Text, m.spec.Mask, n)
		}
		r.add(engine.Text, true, m.tok.AppendTokens(nil, text[at:])...)
	}
	if err := m.room("prompt", len(r.seq.Tokens), 0); err != nil {
		return nil, err
	}
	if open {
		r.masks(engine.Text, m.spec.Mask, length-len(r.seq.Tokens))
	} else if len(r.seq.Tokens) < length {
		word("eos")
		if pad, ok := m.tok.Special("pad"); ok {
			r.add(engine.Text, true, slices.Repeat([]engine.Token{pad}, length-len(r.seq.Tokens))...)
		}
	}
	p := &plan{seq: &r.seq, started: &engine.Started{Job: job, Answer: engine.Span{Hi: len(r.seq.Tokens)}}}
	if !slices.Contains(p.seq.Tokens, m.spec.Mask) {
		return nil, &engine.InputError{Item: "prompt", Reason: fmt.Sprintf("leaves 0 of the %d words to find", length)}
	}
	p.once(nil, p.started.Answer)
	p.text = func() (string, string) { return m.read(p.seq.Tokens) }
	return p, nil
}
