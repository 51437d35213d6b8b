package local

import (
	"context"
	"fmt"
	"image"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
)

// plan is a job turned into a sequence: what a run does and how its result is read.
type plan struct {
	started *engine.Started
	seq     *engine.Sequence // state; the steps are applied to it
	picture *canvas          // nil for text
	// next gives the stages of the run one after the other, nil at the end. A stage may be made from what the stages
	// before it have written into seq.
	next func() *stage
	// windows says that there are several stages, over parts of a picture that is larger than the model's grid.
	windows bool
	// text reads the finished sequence of a task that writes text.
	text func() (text, think string)
	// avoid are sequences of tokens that the run may not write out.
	avoid [][]engine.Token
}

// stage is one denoising process of a plan.
type stage struct {
	seq   *engine.Sequence
	guide denoise.Guide
	// guideImage makes the row without the given picture; nil: there is none.
	guideImage denoise.Guide
	answer     engine.Span
	// place maps positions of seq to the plan's; nil: they are the same, and so are the sequences.
	place func(pos int) int
	// words, when not nil, is a second process over the same tokens that takes turns with the first: the caption of a
	// picture. Each sees as fixed what the other writes.
	words *engine.Sequence
}

// within is block b of the stage in the plan's positions. Those of a part of a picture are not side by side in it; its
// steps are steps of the whole answer.
func (s *stage) within(b, answer engine.Span) engine.Span {
	if b.Modality == engine.Image || b.Len() == 0 {
		return answer
	}
	return engine.Span{Lo: s.place(b.Lo), Hi: s.place(b.Hi-1) + 1}
}

// canvas is the picture of a plan.
type canvas struct {
	grid engine.Grid
	at   int          // position of the first code
	base *image.NRGBA // decoded size; its pixels are kept where keep is true
	keep []bool       // [cols*rows]; nil: nothing is kept
	soft bool         // kept pixels run into repainted ones
	old  *image.NRGBA // last decoded picture, of the codes below
	had  []engine.Token
}

// plan prepares job, whose settings are filled in.
func (m *model) plan(ctx context.Context, job engine.Job) (*plan, error) {
	job.Messages = slices.Clone(job.Messages)
	for i := range job.Messages {
		img, err := flat(job.Messages[i].Image)
		if err != nil {
			return nil, err
		}
		if img != nil {
			job.Messages[i].Image = img
		}
	}
	img, err := flat(job.Image)
	if err != nil {
		return nil, err
	}
	if img != nil {
		job.Image = img
	}
	var p *plan
	switch job.Task {
	case engine.Chat, engine.Describe:
		p, err = m.planAnswer(ctx, job, img)
	case engine.Infill:
		p, err = m.planInfill(job)
	case engine.TextToImage:
		p, err = m.planDrawing(job)
	case engine.Inpaint:
		p, err = m.planInpaint(ctx, job, img)
	case engine.Joint:
		p, err = m.planJoint(ctx, job, img)
	case engine.Outpaint:
		p, err = m.planOutpaint(ctx, job, img)
	case engine.EditImage:
		p, err = m.planEdit(ctx, job, img)
	default:
		err = &engine.UnsupportedError{What: fmt.Sprintf("task %q", job.Task), Have: fmt.Sprint(engine.Tasks)}
	}
	if err != nil {
		return nil, err
	}
	if _, err = m.wanted(job.Options.WantWords); err != nil {
		return nil, err
	}
	if p.avoid, err = m.banned(job.Options.BanWords); err != nil {
		return nil, err
	}
	if err := m.resume(p); err != nil {
		return nil, err
	}
	p.started.Spec = m.spec
	p.started.Texts = make([]string, len(p.seq.Tokens))
	for i, t := range p.seq.Tokens {
		if t != m.spec.Mask && (m.spec.Mask >= 0 || p.seq.Fixed[i]) { // what is free is noise where there is no mask
			p.started.Texts[i] = m.text(t)
		}
	}
	p.started.Sequence = p.seq.Clone()
	return p, nil
}

// once is the next function of a plan with one stage over its own sequence.
func (p *plan) once(guide denoise.Guide, answer engine.Span) {
	s := &stage{seq: p.seq, guide: guide, answer: answer}
	p.next = func() *stage {
		now := s
		s = nil
		return now
	}
}

// row builds a sequence part by part.
type row struct{ seq engine.Sequence }

// add appends tokens of one modality; fixed ones are not written by any step. It returns their span.
func (r *row) add(m engine.Modality, fixed bool, tokens ...engine.Token) engine.Span {
	s := engine.Span{Lo: len(r.seq.Tokens), Hi: len(r.seq.Tokens) + len(tokens), Modality: m}
	r.seq.Tokens = append(r.seq.Tokens, tokens...)
	for range tokens {
		r.seq.Fixed = append(r.seq.Fixed, fixed)
	}
	if n := len(r.seq.Spans); n > 0 && r.seq.Spans[n-1].Modality == m {
		r.seq.Spans[n-1].Hi = s.Hi
	} else if s.Len() > 0 {
		r.seq.Spans = append(r.seq.Spans, s)
	}
	return s
}

// masks appends n free masks and returns their span.
func (r *row) masks(m engine.Modality, mask engine.Token, n int) engine.Span {
	return r.add(m, false, slices.Repeat([]engine.Token{mask}, n)...)
}

// room reports a row that is longer than the model takes. what names the part that a person can shorten.
func (m *model) room(what string, need, answer int) error {
	if need+answer <= m.spec.MaxLen {
		return nil
	}
	return &engine.InputError{Item: what, Reason: fmt.Sprintf("%d tokens and %d for the answer do not fit the model's %d positions", need, answer, m.spec.MaxLen)}
}

// prompt is the text of the last message of a person; "" when there is none.
func prompt(job engine.Job) string {
	for _, msg := range slices.Backward(job.Messages) {
		if msg.Role == "user" || msg.Role == "" {
			return msg.Text
		}
	}
	return ""
}
