package local

import (
	"context"
	"fmt"
	"image"
	"slices"
	"time"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/sample"
)

// run makes one job and sends its events to out. The error is errStopped when the receiver wants no more.
func (m *model) run(ctx context.Context, job engine.Job, out *sink) error {
	began := time.Now()
	if err := fill(&job, m.spec); err != nil {
		return err
	}
	p, err := m.plan(ctx, job)
	if err != nil {
		return err
	}
	r := &running{model: m, plan: p, out: out}
	if p.started.Steps, err = r.planned(); err != nil {
		return err
	}
	if err := out.send(p.started); err != nil {
		return err
	}
	for s := p.next(); s != nil; s = p.next() {
		if err := r.stage(ctx, s); err != nil {
			return err
		}
	}
	f := &engine.Finished{Sequence: p.seq.Clone()}
	if p.picture != nil {
		if f.Image, err = r.decode(ctx); err != nil {
			return err
		}
		for i := p.started.Answer.Lo; i < p.started.Answer.Hi; i++ {
			if !p.seq.Fixed[i] {
				r.stats.Tokens++
			}
		}
		if p.text != nil {
			f.Text, f.Think = p.text()
		}
	} else {
		f.Text, f.Think = p.text()
		a := p.started.Answer
		used := m.used(p.seq.Tokens[a.Lo:a.Hi])
		for i := a.Lo; i < a.Lo+used; i++ {
			if !p.seq.Fixed[i] {
				r.stats.Tokens++
			}
		}
	}
	r.stats.Wall = time.Since(began)
	f.Stats, out.stats = r.stats, r.stats
	return out.send(f)
}

// running is a run under way.
type running struct {
	*model
	plan  *plan
	out   *sink
	stats engine.Stats
}

// process is the loop over one stage. A sampler serves one stage.
func (r *running) process(s *stage) (process, error) {
	o := r.plan.started.Job.Options
	if o.Sampler == r.spec.Process && o.Sampler != "" {
		return r.ownProcess(o, s.answer)
	}
	sampler, err := sample.New(o.Sampler, o.Params)
	if err != nil {
		return nil, err
	}
	net := r.denoiser
	if o.Cache == engine.CacheConfident {
		z, ok := net.(interface {
			Confidently(steps int) engine.Denoiser
		})
		if !ok {
			return nil, &engine.UnsupportedError{What: "cache confident with the model " + r.spec.Name, Have: "none, prefix, dual"}
		}
		net = z.Confidently(o.Steps)
	}
	if o.Cache == engine.CacheLazy {
		z, ok := net.(interface {
			Lazily(answer int) engine.Denoiser
		})
		if !ok {
			return nil, &engine.UnsupportedError{What: "cache lazy with the model " + r.spec.Name, Have: "none, prefix, dual"}
		}
		net = z.Lazily(s.answer.Lo)
	}
	proc := &denoise.Masked{Model: net, Sampler: sampler, Guide: s.guide, GuideImage: s.guideImage, Answer: s.answer, Avoid: r.plan.avoid}
	if f := r.plan.started.Job.From; f != nil {
		proc.Begun, proc.GoesOn = f.Before+f.Step, !f.Anew && !r.plan.windows && s.words == nil
	}
	return proc, nil
}

// planned counts the steps of all stages. Stages that depend on earlier ones are counted on a copy in which those are
// done.
func (r *running) planned() (int, error) {
	p := r.plan
	o := p.started.Job.Options
	o.Guidance, o.GuidanceImage = 0, 0 // a guided step is one step
	state, next := p.seq.Clone(), p.next
	defer func() { copy(p.seq.Tokens, state.Tokens) }()
	if !p.windows {
		s := next()
		p.next = func() *stage { // give the one stage again
			now := s
			s = nil
			return now
		}
		proc, err := r.process(s)
		if err != nil {
			return 0, err
		}
		n, err := proc.Passes(s.seq, o)
		if err != nil || s.words == nil {
			return n, err
		}
		words, err := r.caption(s)
		if err != nil {
			return 0, err
		}
		more, err := words.Process.Passes(words.Sequence, words.Options)
		return n + more, err
	}
	total := 0
	for s := next(); s != nil; s = next() {
		proc, err := r.process(s)
		if err != nil {
			return 0, err
		}
		n, err := proc.Passes(s.seq, o)
		if err != nil {
			return 0, err
		}
		total += n
		for i := s.answer.Lo; i < s.answer.Hi; i++ {
			if pos := s.place(i); p.seq.Tokens[pos] == r.spec.Mask {
				p.seq.Tokens[pos] = r.spec.Image.Offset
			}
		}
	}
	return total, nil
}

// stage denoises one stage and sends its steps and previews.
func (r *running) stage(ctx context.Context, s *stage) error {
	proc, err := r.process(s)
	if err != nil {
		return err
	}
	p, o := r.plan, r.plan.started.Job.Options
	steps, nfe := r.stats.Steps, r.stats.NFE
	for step, err := range r.steps(ctx, proc, s, o) {
		if err != nil {
			return err
		}
		step.Index += steps
		step.NFE += nfe
		if s.place != nil {
			step.Block = s.within(step.Block, p.started.Answer)
			for i := range step.Changes {
				step.Changes[i].Pos = s.place(step.Changes[i].Pos)
			}
			slices.SortFunc(step.Changes, func(a, b engine.Change) int { return a.Pos - b.Pos })
			for i := range step.Looks {
				step.Looks[i].Pos = s.place(step.Looks[i].Pos)
			}
			slices.SortFunc(step.Looks, func(a, b engine.Look) int { return a.Pos - b.Pos })
			p.seq.Apply(step.Changes)
			step.Masked = r.masked()
		}
		r.write(step.Changes, step.Looks)
		r.stats.Steps, r.stats.NFE = step.Index+1, step.NFE
		r.stats.Forward += step.Forward
		r.stats.Select += step.Select
		if err := r.out.send(step); err != nil {
			return err
		}
		if p.picture == nil || !o.Previews || len(step.Changes) == 0 {
			continue
		}
		img, err := r.decode(ctx)
		if err != nil {
			return err
		}
		if err := r.out.send(&engine.Preview{Step: step.Index, Image: img}); err != nil {
			return err
		}
	}
	if !p.windows && r.masked() > 0 {
		return fmt.Errorf("the loop left %d positions masked", r.masked())
	}
	return nil
}

// masked counts what is still masked and free.
func (r *running) masked() int {
	n := 0
	for i, t := range r.plan.seq.Tokens {
		if t == r.spec.Mask && !r.plan.seq.Fixed[i] {
			n++
		}
	}
	return n
}

// write puts the texts of tokens into changes and looks.
func (r *running) write(changes []engine.Change, looks []engine.Look) {
	for i := range changes {
		c := &changes[i]
		if c.To != r.spec.Mask && c.Kind != engine.Remask { // noise has no text
			c.Text = r.text(c.To)
		}
		for j := range c.Top {
			c.Top[j].Text = r.text(c.Top[j].Token)
		}
	}
	for i := range looks {
		l := &looks[i]
		l.Text = r.text(l.Token)
		for j := range l.Top {
			l.Top[j].Text = r.text(l.Top[j].Token)
		}
	}
}

func (r *running) decode(ctx context.Context) (img *image.NRGBA, err error) {
	began := time.Now()
	img, err = r.model.decode(ctx, r.plan)
	r.stats.Decode += time.Since(began)
	return img, err
}
