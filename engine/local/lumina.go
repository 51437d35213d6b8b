package local

import (
	"context"
	"image"
	"math"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/token"
	"unmask/engine/vq"
)

// Lumina-DiMOO's rows differ from MMaDA's: pictures have any proportions, a line break stands after each row of one, a
// given picture stands inside the request, and the answer between marks of its own. A plan's sequence leaves the line
// breaks out, so that whoever shows it finds the codes of a picture side by side; a stage puts them in.

// drawn is a picture to draw.
type drawn struct {
	system string
	codes  []engine.Token // masks where free
	grid   engine.Grid
	source *image.NRGBA // what fixed codes show, at the size of the decoded picture; nil: nothing
	given  *seen        // a picture in the request
}

// seen is a given picture.
type seen struct {
	codes []engine.Token
	grid  engine.Grid
}

// proportions is the grid for a given picture: one of the training's sizes, of about times as many cells as the model's
// own grid. Sides are even.
func (m *model) proportions(img *image.NRGBA, times int) engine.Grid {
	g := m.spec.Image.Grid
	w, h := m.image.InputSize(1, 1)
	size := vq.Nearest(vq.Sizes(max(times*g.Cols*g.Rows/4, 1), 2), img.Rect.Dx()*h, img.Rect.Dy()*w)
	return engine.Grid{Cols: size.X, Rows: size.Y}
}

// planRows prepares a run over one picture.
func (m *model) planRows(job engine.Job, d drawn) (*plan, error) {
	l, words := m.lumina, strings.TrimSpace(prompt(job))
	with, without := l.Prompt(d.system, words), l.Prompt(d.system, token.LuminaNone)
	r := &row{}
	cols := []int{d.grid.Cols}
	bare := with
	if d.given == nil {
		r.add(engine.Text, true, with...)
	} else {
		cols = []int{d.given.grid.Cols, d.grid.Cols}
		n := len(with) - 1
		r.add(engine.Text, true, append(slices.Clone(with[:n]), l.Begin)...)
		r.add(engine.Image, true, d.given.codes...)
		r.add(engine.Text, true, append([]engine.Token{l.End}, with[n:]...)...)
		without = l.With(without, l.Picture(d.given.codes, d.given.grid.Cols))
	}
	cut := len(r.seq.Tokens)
	r.add(engine.Text, true, l.Answer, l.Begin)
	span := r.add(engine.Image, true, d.codes...)
	for i, t := range d.codes {
		r.seq.Fixed[span.Lo+i] = t != m.spec.Mask
	}
	r.add(engine.Text, true, l.End, l.EndAnswer)

	p := &plan{seq: &r.seq, picture: &canvas{grid: d.grid, at: span.Lo, base: d.source}}
	p.started = &engine.Started{Job: job, Answer: span, Grid: d.grid}
	if d.source != nil {
		p.started.Source = d.source
		p.picture.keep = slices.Clone(r.seq.Fixed[span.Lo:span.Hi])
	}
	s, where := m.broken(&r.seq, cols)
	if err := m.room("prompt", len(s.seq.Tokens), 0); err != nil {
		return nil, err
	}
	s.guide, s.answer = denoise.ReplacePrefix(without, where(cut)), engine.Span{Lo: where(span.Lo), Hi: where(span.Hi), Modality: engine.Image}
	if d.given != nil {
		s.guideImage = denoise.ReplacePrefix(bare, where(cut))
	}
	p.next = m.onceFrom(p.seq, s)
	return p, nil
}

// onceFrom gives s once, with what seq, the plan's, holds by then: a job may go on from a state, and fix words.
func (m *model) onceFrom(seq *engine.Sequence, s *stage) func() *stage {
	return func() *stage {
		now := s
		if s = nil; now == nil {
			return nil
		}
		for i := range now.seq.Tokens {
			if pos := now.place(i); pos >= 0 {
				now.seq.Tokens[i], now.seq.Fixed[i] = seq.Tokens[pos], seq.Fixed[pos]
			}
		}
		return now
	}
}

// broken is a stage over seq with a line break after every cols[k] codes of its k-th picture, and where each position of
// seq, and its end, lies in the stage.
func (m *model) broken(seq *engine.Sequence, cols []int) (*stage, func(pos int) int) {
	r := &row{}
	var to []int   // position of seq to the stage's
	var from []int // position of the stage to seq's; -1: a line break
	picture := 0
	for _, span := range seq.Spans {
		width := 0
		if span.Modality == engine.Image {
			width, picture = cols[picture], picture+1
		}
		for i := span.Lo; i < span.Hi; i++ {
			to, from = append(to, len(from)), append(from, i)
			r.add(span.Modality, seq.Fixed[i], seq.Tokens[i])
			if width > 0 && (i-span.Lo+1)%width == 0 {
				from = append(from, -1)
				r.add(span.Modality, true, m.lumina.Newline)
			}
		}
	}
	to = append(to, len(from))
	return &stage{seq: &r.seq, place: func(pos int) int { return from[pos] }}, func(pos int) int { return to[pos] }
}

// planEdit prepares a picture that is made from a given one by an instruction.
func (m *model) planEdit(ctx context.Context, job engine.Job, img *image.NRGBA) (*plan, error) {
	switch {
	case img == nil:
		return nil, &engine.InputError{Item: "picture", Reason: "there is none to edit"}
	case strings.TrimSpace(prompt(job)) == "":
		return nil, &engine.InputError{Item: "prompt", Reason: "is empty"}
	case m.lumina == nil || m.image == nil:
		return nil, &engine.UnsupportedError{What: "editing a picture with the model " + m.spec.Name}
	}
	g := m.proportions(img, 1)
	codes, source, err := m.lookAs(ctx, img, g)
	if err != nil {
		return nil, err
	}
	p, err := m.planRows(job, drawn{
		system: token.LuminaEdit, codes: slices.Repeat([]engine.Token{m.spec.Mask}, len(codes)), grid: g, given: &seen{codes, g},
	})
	if err != nil {
		return nil, err
	}
	p.started.Source = source
	return p, nil
}

// planWide prepares a picture larger than the one given, as one grid: of about as many cells as the model's own.
func (m *model) planWide(ctx context.Context, job engine.Job, img *image.NRGBA) (*plan, error) {
	g := m.spec.Image.Grid
	cell := math.Sqrt(float64(job.Frame.Dx()) * float64(job.Frame.Dy()) / float64(g.Cols*g.Rows))
	if !(cell > 0) {
		cell = 1 // layout refuses an empty frame
	}
	big, inner, err := layout(job.Frame, img.Bounds(), g, cell)
	if err != nil {
		return nil, err
	}
	codes := slices.Repeat([]engine.Token{m.spec.Mask}, big.Cols*big.Rows)
	if !inner.Empty() {
		w, h := m.image.InputSize(inner.Dx(), inner.Dy())
		small, err := vq.Squash(img, w, h)
		if err != nil {
			return nil, err
		}
		known, err := m.image.EncodePixels(ctx, small)
		if err != nil {
			return nil, err
		}
		m.offset(known)
		for i, c := range known {
			codes[(inner.Min.Y+i/inner.Dx())*big.Cols+inner.Min.X+i%inner.Dx()] = c
		}
	}
	source, err := m.paste(img, big, inner)
	if err != nil {
		return nil, err
	}
	p, err := m.planRows(job, drawn{system: token.LuminaDraw, codes: codes, grid: big, source: source})
	if err != nil {
		return nil, err
	}
	p.picture.soft = true
	return p, nil
}

// planAbout prepares Chat and Describe: the newest picture stands inside the request that it belongs to. A chat that has
// grown too long loses its oldest turns.
func (m *model) planAbout(ctx context.Context, job engine.Job, img *image.NRGBA) (*plan, error) {
	p := &plan{started: &engine.Started{}}
	var given *seen
	if img != nil {
		if m.image == nil {
			return nil, &engine.UnsupportedError{What: "a picture with the model " + m.spec.Name, Have: "text"}
		}
		g := m.proportions(img, 4) // understanding was trained on pictures of four times the area
		codes, source, err := m.lookAs(ctx, img, g)
		if err != nil {
			return nil, err
		}
		given, p.started.Source, p.started.Grid = &seen{codes, g}, source, g
	}
	attach(&job, img)
	var r *row
	var cols []int
	for {
		if r, cols = m.turns(job, img, given); len(r.seq.Tokens)+len(cols)*rowsOf(given)+job.Options.Length+1 <= m.spec.MaxLen || !dropTurn(&job) {
			break
		}
	}
	if err := m.room("prompt", len(r.seq.Tokens)+len(cols)*rowsOf(given)+1, job.Options.Length); err != nil {
		return nil, err
	}
	answer := r.masks(engine.Text, m.spec.Mask, job.Options.Length)
	r.add(engine.Text, true, m.lumina.EndAnswer)
	p.seq = &r.seq
	p.started.Job, p.started.Answer = job, answer
	s, where := m.broken(&r.seq, cols)
	s.answer = engine.Span{Lo: where(answer.Lo), Hi: where(answer.Hi)}
	p.next = m.onceFrom(p.seq, s)
	p.text = func() (string, string) { return m.read(p.seq.Tokens[answer.Lo:answer.Hi]) }
	return p, nil
}

func rowsOf(s *seen) int {
	if s == nil {
		return 0
	}
	return s.grid.Rows
}

// turns writes a conversation out up to the mark of the answer; cols are the columns of the pictures in it. The sentence
// of a system message takes the place of the usual one.
func (m *model) turns(job engine.Job, img *image.NRGBA, given *seen) (*row, []int) {
	l, r, system := m.lumina, &row{}, token.LuminaUnderstand
	var cols []int
	for _, msg := range job.Messages {
		switch msg.Role {
		case "system":
			system = msg.Text
			continue
		case "assistant":
			r.add(engine.Text, true, slices.Concat([]engine.Token{l.Answer}, m.tok.AppendTokens(nil, msg.Text), []engine.Token{l.EndAnswer})...)
			continue
		}
		ids := l.Prompt(system, strings.TrimSpace(msg.Text))
		system = ""
		if given == nil || cols != nil || msg.Image != image.Image(img) {
			r.add(engine.Text, true, ids...)
			continue
		}
		n := len(ids) - 1
		cols = append(cols, given.grid.Cols)
		r.add(engine.Text, true, append(slices.Clone(ids[:n]), l.Begin)...)
		r.add(engine.Image, true, given.codes...)
		r.add(engine.Text, true, append([]engine.Token{l.End}, ids[n:]...)...)
	}
	r.add(engine.Text, true, l.Answer)
	return r, cols
}
