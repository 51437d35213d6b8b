package local

import (
	"context"
	"image"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/models"
	"unmask/engine/sample"
	"unmask/engine/token"
)

// canvasModel is what is special about a model that denoises canvases of noise.
type canvasModel struct {
	denoise.Canvas
	// begin and end stand around the vectors of a picture, place stands for them in a text.
	begin, place, end string
}

// canvasOf is the canvas network of net; nil: it has none.
func canvasOf(net *models.Model) *canvasModel {
	if net.Canvas == nil {
		return nil
	}
	c := &canvasModel{Canvas: net.Canvas}
	if e := net.Sight; e != nil {
		c.begin, c.place, c.end = e.Begin, e.Place, e.End
	}
	return c
}

// renoise is the process of such a model.
func (m *model) renoise(o engine.Options, answer engine.Span) (process, error) {
	if o.Guidance != 0 {
		return nil, &engine.UnsupportedError{What: "guidance with the model " + m.spec.Name, Have: "none"}
	}
	pad, ok := m.tok.Special("pad")
	if !ok {
		return nil, &engine.FormatError{Format: "tokenizer", Path: "tokenizer.json", Item: "added_tokens", Reason: "no token for padding"}
	}
	return &denoise.Renoise{
		Model: m.canvas, Sampler: &sample.EntropyBound{Bound: o.Params["bound"]}, Vocab: m.spec.Vocab, End: m.spec.End, Pad: pad,
		TMax: o.Params["t_max"], TMin: o.Params["t_min"], Stability: int(o.Params["stability"]), Confidence: o.Params["confidence"],
		Answer: answer,
	}, nil
}

// planCanvas prepares Chat and Describe for a model that denoises canvases: the conversation, with the vectors of pictures
// at the head of their messages, and canvases of noise. A chat that has grown too long loses its oldest turns and their
// pictures.
func (m *model) planCanvas(ctx context.Context, job engine.Job, newest *image.NRGBA) (*plan, error) {
	if newest != nil && !m.spec.Vectors {
		return nil, &engine.UnsupportedError{What: "a picture with the model " + m.spec.Name}
	}
	attach(&job, newest)
	var r *row
	for {
		parts, pictures, err := m.between(job)
		if err != nil {
			return nil, err
		}
		var counts []int
		if m.spec.Vectors {
			if counts, err = m.denoiser.(engine.Looker).Look(ctx, pictures); err != nil {
				return nil, err
			}
		}
		r = m.interleave(parts, counts)
		if len(r.seq.Tokens)+job.Options.Length <= m.spec.MaxLen || !dropTurn(&job) {
			break
		}
	}
	if err := m.room("prompt", len(r.seq.Tokens), job.Options.Length); err != nil {
		return nil, err
	}
	answer := r.add(engine.Text, false, make([]engine.Token, job.Options.Length)...)
	denoise.UniformNoise(&r.seq, m.spec.Vocab, job.Options.Seed)
	p := &plan{seq: &r.seq, started: &engine.Started{Job: job, Answer: answer}}
	if newest != nil {
		p.started.Source = newest
	}
	p.once(nil, answer)
	p.text = func() (string, string) { return m.read(p.seq.Tokens[answer.Lo:answer.Hi]) }
	return p, nil
}

// between is the conversation as the tokens between its pictures, and the pictures.
func (m *model) between(job engine.Job) ([][]engine.Token, []image.Image, error) {
	c := m.canvas
	messages := slices.Clone(job.Messages)
	var pictures []image.Image
	for i := range messages {
		msg := &messages[i]
		if c.place == "" {
			continue
		}
		msg.Text = strings.ReplaceAll(msg.Text, c.place, "") // written by a person it is no picture
		if msg.Image != nil {
			pictures = append(pictures, msg.Image)
		}
	}
	text, err := m.tok.Template().RenderPictures(messages, job.Options.Think, c.place)
	if err != nil {
		return nil, nil, err
	}
	if len(pictures) == 0 {
		return [][]engine.Token{m.tok.AppendTokens(nil, text)}, nil, nil
	}
	var parts [][]engine.Token
	pieces := strings.Split(text, c.place)
	for i, piece := range pieces {
		if i > 0 {
			piece = c.end + piece
		}
		if i < len(pieces)-1 {
			piece += c.begin
		}
		parts = append(parts, m.tok.AppendTokens(nil, piece))
	}
	if len(pieces) != len(pictures)+1 {
		return nil, nil, &engine.InputError{Item: "picture", Reason: "the checkpoint's chat template leaves pictures out"}
	}
	return parts, pictures, nil
}

// channel takes what the model thought, which stands between two tokens of its own, out of an answer.
func (c *canvasModel) channel(tok *token.Tokenizer, answer []engine.Token) (inside, rest []engine.Token, ok bool) {
	open, has := tok.Special("<|channel>")
	shut, both := tok.Special("<channel|>")
	if !has || !both {
		return nil, nil, false
	}
	from := slices.Index(answer, open)
	if from < 0 {
		return nil, nil, false
	}
	rest = slices.Clone(answer[:from])
	inside = answer[from+1:]
	if to := slices.Index(inside, shut); to >= 0 {
		inside, rest = inside[:to], append(rest, inside[to+1:]...)
	}
	return inside, rest, true
}
