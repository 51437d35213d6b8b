package local

import (
	"context"
	"fmt"
	"image"
	"iter"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/sample"
	"unmask/engine/token"
)

// planJoint prepares a caption and a picture that are completed together, in the form that pictures are drawn in:
// [t2i] BOS caption EOS [soi] codes [eoi], with masks in both.
func (m *model) planJoint(ctx context.Context, job engine.Job, img *image.NRGBA) (*plan, error) {
	if m.image == nil {
		return nil, &engine.UnsupportedError{What: "a picture with the model " + m.spec.Name, Have: "text"}
	}
	codes, source, err := m.given(ctx, job, img)
	if err != nil {
		return nil, err
	}
	empty, caption := m.prompts.Caption("", 1<<30), &row{}
	end := len(empty) - 1 // of [t2i] BOS
	caption.add(engine.Text, true, empty[:end]...)
	if err := m.withHoles(caption, prompt(job), job.Options); err != nil {
		return nil, err
	}
	hi := len(caption.seq.Tokens)
	caption.add(engine.Text, true, empty[end:]...)
	if n, most := len(caption.seq.Tokens), min(maxCaption, m.spec.MaxLen-len(codes)-2); n > most {
		return nil, &engine.InputError{Item: "prompt", Reason: fmt.Sprintf("%d tokens long, at most %d fit before a picture of %d cells", n, most, len(codes))}
	}
	d := m.draw(caption.seq.Tokens, empty, codes)
	copy(d.seq.Fixed, caption.seq.Fixed)
	if !slices.Contains(d.seq.Fixed, false) {
		return nil, &engine.InputError{Item: "document", Reason: "has nothing to complete: write ___ in the text or hide cells of the picture"}
	}
	p := &plan{seq: &d.seq, picture: &canvas{grid: m.spec.Image.Grid, at: d.image.Lo, base: source}}
	p.started = &engine.Started{Job: job, Answer: engine.Span{Lo: end, Hi: d.image.Hi}, Grid: p.picture.grid}
	if source != nil {
		p.started.Source = source
		p.picture.keep = append([]bool(nil), d.seq.Fixed[d.image.Lo:d.image.Hi]...)
	}
	p.text = func() (string, string) { return token.Text(m.tok.AppendText(nil, p.seq.Tokens[end:hi]...)), "" }
	p.once(d.guide, d.image)
	p.halves(d.image)
	return p, nil
}

// given are the codes of a document's picture, masks where it is hidden, and the picture as the engine sees it; all masks
// and nil where there is none.
func (m *model) given(ctx context.Context, job engine.Job, img *image.NRGBA) ([]engine.Token, *image.NRGBA, error) {
	g := m.spec.Image.Grid
	switch {
	case img == nil && job.Mask != nil:
		return nil, nil, &engine.InputError{Item: "picture", Reason: "there is none that the mask is for"}
	case img == nil:
		return slices.Repeat([]engine.Token{m.spec.Mask}, g.Cols*g.Rows), nil, nil
	case job.Mask != nil:
		return m.hidden(ctx, job.Mask, img, g)
	}
	return m.look(ctx, img)
}

// halves splits the plan's one stage into the picture and the words before it.
func (p *plan) halves(picture engine.Span) {
	once := p.next
	p.next = func() *stage {
		s := once()
		if s == nil {
			return nil
		}
		whole := s.seq
		s.seq = &engine.Sequence{Tokens: whole.Tokens, Fixed: slices.Clone(whole.Fixed), Spans: whole.Spans}
		s.words = &engine.Sequence{Tokens: whole.Tokens, Fixed: slices.Clone(whole.Fixed), Spans: whole.Spans}
		for i := range whole.Fixed {
			if picture.Contains(i) {
				s.words.Fixed[i] = true
			} else {
				s.seq.Fixed[i] = true
			}
		}
		return s
	}
}

// steps are the steps of a stage.
func (r *running) steps(ctx context.Context, proc process, s *stage, o engine.Options) iter.Seq2[engine.Step, error] {
	if s.words == nil {
		return proc.Steps(ctx, s.seq, o)
	}
	words, err := r.caption(s)
	if err != nil {
		return func(yield func(engine.Step, error) bool) { yield(engine.Step{}, err) }
	}
	return denoise.Together(ctx, denoise.Part{Process: proc, Sequence: s.seq, Options: o, Mask: r.spec.Mask}, words)
}

// caption is the process of a picture's words: one word a pass, as the model fills holes.
func (r *running) caption(s *stage) (denoise.Part, error) {
	o := r.spec.Defaults[engine.Infill]
	now := r.plan.started.Job.Options
	o.Length, o.Steps, o.Block, o.Guidance, o.StopAtEnd, o.BanEnd = 0, 0, 0, 0, false, true
	o.Seed, o.Alternatives, o.Ban, o.Cache = now.Seed, now.Alternatives, now.Ban, engine.CacheNone
	sampler, err := sample.New(o.Sampler, o.Params)
	return denoise.Part{Process: &denoise.Masked{Model: r.denoiser, Sampler: sampler}, Sequence: s.words, Options: o, Mask: r.spec.Mask}, err
}
