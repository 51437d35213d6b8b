package local

import (
	"context"
	"image"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/token"
)

// planVision prepares Chat and Describe for a model that reads pictures as vectors: each picture of the conversation
// stands before the words of its message, as tokens beyond the vocabulary. A chat that has grown too long loses its oldest
// turns and their pictures.
func (m *model) planVision(ctx context.Context, job engine.Job, newest *image.NRGBA) (*plan, error) {
	eyes, ok := m.denoiser.(engine.Looker)
	if !ok {
		return nil, &engine.UnsupportedError{What: "a picture with the model " + m.spec.Name}
	}
	attach(&job, newest)
	var r *row
	for {
		parts, pictures, err := m.around(job)
		if err != nil {
			return nil, err
		}
		counts, err := eyes.Look(ctx, pictures)
		if err != nil {
			return nil, err
		}
		r = m.interleave(parts, counts)
		if len(r.seq.Tokens)+job.Options.Length <= m.spec.MaxLen || !dropTurn(&job) {
			break
		}
	}
	if err := m.room("prompt", len(r.seq.Tokens), job.Options.Length); err != nil {
		return nil, err
	}
	answer := r.masks(engine.Text, m.spec.Mask, job.Options.Length)
	p := &plan{seq: &r.seq, started: &engine.Started{Job: job, Answer: answer}}
	if newest != nil {
		p.started.Source = newest
	}
	p.once(nil, answer)
	p.text = func() (string, string) { return m.read(p.seq.Tokens[answer.Lo:answer.Hi]) }
	return p, nil
}

// attach gives the last message the picture of the job, unless a message has it.
func attach(job *engine.Job, img *image.NRGBA) {
	if img == nil || slices.ContainsFunc(job.Messages, func(msg engine.Message) bool { return msg.Image == image.Image(img) }) {
		return
	}
	if last := &job.Messages[len(job.Messages)-1]; last.Image == nil {
		last.Image = img
	}
}

// around is the conversation as the tokens between its pictures, and the pictures.
func (m *model) around(job engine.Job) ([][]engine.Token, []image.Image, error) {
	messages := slices.Clone(job.Messages)
	if messages[0].Role != "system" {
		messages = append([]engine.Message{{Role: "system", Text: token.VisionSystem}}, messages...)
	}
	var pictures []image.Image
	before := "" // of pictures without words, which belong to the next message
	kept := messages[:0]
	for i, msg := range messages {
		msg.Text = strings.ReplaceAll(msg.Text, token.Picture, "") // written by a person it is no picture
		if msg.Image != nil {
			pictures = append(pictures, msg.Image)
			before += token.Picture + "\n"
			if strings.TrimSpace(msg.Text) == "" && msg.Role == "user" && i+1 < len(messages) && messages[i+1].Role == "user" {
				continue
			}
		}
		msg.Text, before = before+msg.Text, ""
		kept = append(kept, msg)
	}
	messages = kept
	text, err := m.tok.Template().Render(messages, job.Options.Think)
	if err != nil {
		return nil, nil, err
	}
	return token.AroundPictures(m.tok, text), pictures, nil
}

// interleave lays out the tokens around pictures, which take counts positions each.
func (m *model) interleave(parts [][]engine.Token, counts []int) *row {
	r, next := &row{}, engine.Token(m.spec.Vocab)
	for i, part := range parts {
		r.add(engine.Text, true, part...)
		if i >= len(counts) {
			continue
		}
		seen := make([]engine.Token, counts[i])
		for j := range seen {
			seen[j] = next
			next++
		}
		r.add(engine.Image, true, seen...)
	}
	return r
}
