package local

import (
	"context"
	"fmt"
	"image"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"unmask/engine"
	"unmask/engine/token"
)

// describeQuestion is asked when a person gives a picture and no question.
const describeQuestion = "Please describe this image in detail."

// infillRequest is what the person is made to ask in an infill, so that the text stands where models answer.
const infillRequest = "Complete the text."

// planAnswer prepares Chat and Describe: a conversation, with a picture before it or not, and masks for the answer. A chat
// that has grown too long loses its oldest turns, which the started job shows.
func (m *model) planAnswer(ctx context.Context, job engine.Job, img *image.NRGBA) (*plan, error) {
	img, err := m.checkMessages(&job, img)
	if err != nil {
		return nil, err
	}
	if m.canvas != nil {
		return m.planCanvas(ctx, job, img)
	}
	if m.spec.Vectors {
		return m.planVision(ctx, job, img)
	}
	if m.lumina != nil {
		return m.planAbout(ctx, job, img)
	}
	p := &plan{started: &engine.Started{}}
	var codes []engine.Token
	if img != nil {
		seen, source, err := m.look(ctx, img)
		if err != nil {
			return nil, err
		}
		codes, p.started.Source, p.started.Grid = seen, source, m.spec.Image.Grid
	}
	chat, err := m.chat(job)
	if err != nil {
		return nil, err
	}
	need := func() int {
		if codes == nil {
			return len(chat)
		}
		return len(codes) + 3 + len(chat)
	}
	for need()+job.Options.Length > m.spec.MaxLen && dropTurn(&job) {
		if chat, err = m.chat(job); err != nil {
			return nil, err
		}
	}
	if err := m.room("prompt", need(), job.Options.Length); err != nil {
		return nil, err
	}
	r := &row{}
	if codes != nil { // [mmu] [soi] codes [eoi] chat
		whole := m.prompts.Question(codes, chat)
		r.add(engine.Text, true, whole[:2]...)
		r.add(engine.Image, true, codes...)
		r.add(engine.Text, true, whole[2+len(codes):]...)
	} else {
		r.add(engine.Text, true, chat...)
	}
	answer := r.masks(engine.Text, m.spec.Mask, job.Options.Length)
	p.seq = &r.seq
	p.started.Job, p.started.Answer = job, answer
	p.once(nil, answer)
	p.text = func() (string, string) { return m.read(p.seq.Tokens[answer.Lo:answer.Hi]) }
	return p, nil
}

// checkMessages refuses conversations that ask for nothing and returns the picture that they are about: the newest one.
// A description without a question gets one.
func (m *model) checkMessages(job *engine.Job, img *image.NRGBA) (*image.NRGBA, error) {
	if job.Task == engine.Describe {
		if img == nil {
			return nil, &engine.InputError{Item: "picture", Reason: "there is none to describe"}
		}
		if strings.TrimSpace(prompt(*job)) == "" {
			job.Messages = []engine.Message{{Role: "user", Text: m.question()}}
		}
	}
	for _, msg := range job.Messages {
		if !slices.Contains([]string{"", "user", "assistant", "system"}, msg.Role) {
			return nil, &engine.InputError{Item: "message", Reason: fmt.Sprintf("role %q is none of user, assistant, system", msg.Role)}
		}
		if attached, ok := msg.Image.(*image.NRGBA); ok { // plan has made every picture one
			img = attached
		}
	}
	if len(job.Messages) == 0 || strings.TrimSpace(job.Messages[len(job.Messages)-1].Text) == "" && img == nil {
		return nil, &engine.InputError{Item: "prompt", Reason: "is empty"}
	}
	if job.Options.Think && m.spec.ThinkStyle == "" {
		return nil, &engine.UnsupportedError{What: "thinking with the model " + m.spec.Name}
	}
	return img, nil
}

// question is what to ask of a picture when nothing is asked.
func (m *model) question() string {
	if list := m.spec.Examples[engine.Describe]; len(list) > 0 {
		return list[0]
	}
	return describeQuestion
}

// chat is the conversation in the model's template.
func (m *model) chat(job engine.Job) ([]engine.Token, error) {
	text, err := m.tok.Template().Render(job.Messages, job.Options.Think)
	if err != nil {
		return nil, err
	}
	ids := m.tok.AppendTokens(nil, text)
	if m.image != nil {
		ids = m.prompts.Begin(ids)
	}
	return ids, nil
}

// dropTurn removes the oldest question and its answer from a conversation; false when only the last message is left.
func dropTurn(job *engine.Job) bool {
	first := 0
	if len(job.Messages) > 0 && job.Messages[0].Role == "system" {
		first = 1
	}
	last := len(job.Messages) - 1
	if first >= last {
		return false
	}
	n := 1
	for first+n < last && job.Messages[first+n].Role == "assistant" {
		n++
	}
	job.Messages = slices.Delete(job.Messages, first, first+n)
	return true
}

// hole matches "___", longer lines of underscores, and "___{5}".
var hole = regexp.MustCompile(`_{3,}(?:\{(\d{1,5})\})?`)

// frame is what a text with holes stands between: a request and the end of the answer to it, or, for a model that does
// not chat, the tokens that begin and end a text in training.
func (m *model) frame() (head, tail []engine.Token, err error) {
	if l := m.lumina; l != nil {
		return append(l.Prompt(token.LuminaUnderstand, infillRequest), l.Answer), []engine.Token{l.EndAnswer}, nil
	}
	if !m.spec.Can(engine.Chat) {
		if cls, ok := m.tok.Special("[CLS]"); ok {
			head = append(head, cls)
		} else if len(m.spec.End) > 0 {
			head = append(head, m.spec.End[0]) // GPT-2's one token for both
		}
		if sep, ok := m.tok.Special("[SEP]"); ok {
			tail = append(tail, sep)
		}
		return head, tail, nil
	}
	if end, ok := m.tok.Special("eot"); ok {
		tail = append(tail, end)
	}
	head, err = m.chat(engine.Job{Messages: []engine.Message{{Role: "user", Text: infillRequest}}})
	return head, tail, err
}

// planInfill prepares an infill: the text stands as the answer to a request, its words fixed, its holes masked.
func (m *model) planInfill(job engine.Job) (*plan, error) {
	text := prompt(job)
	if m.spec.Continuous {
		return m.planWords(job)
	}
	if !m.spec.Can(engine.Chat) && !hole.MatchString(text) {
		text += fmt.Sprintf(" %s{%d}", engine.Hole, job.Options.Length) // the text goes on
	}
	if !hole.MatchString(text) {
		return nil, &engine.InputError{Item: "prompt", Reason: "has 0 holes: write ___ where words are missing, ___{5} for five tokens"}
	}
	r := &row{}
	head, tail, err := m.frame()
	if err != nil {
		return nil, err
	}
	r.add(engine.Text, true, head...)
	lo := len(head)
	if err := m.withHoles(r, text, job.Options); err != nil {
		return nil, err
	}
	hi := len(r.seq.Tokens)
	r.add(engine.Text, true, tail...)
	if err := m.room("prompt", len(r.seq.Tokens), 0); err != nil {
		return nil, err
	}
	p := &plan{seq: &r.seq, started: &engine.Started{Job: job, Answer: engine.Span{Lo: lo, Hi: hi}}}
	p.once(nil, p.started.Answer)
	p.text = func() (string, string) {
		return token.Text(m.tok.AppendText(nil, p.seq.Tokens[lo:hi]...)), ""
	}
	return p, nil
}

// holeLength is how many tokens long the hole is that f found in text.
func (m *model) holeLength(text string, f []int, o engine.Options) (int, error) {
	n := o.HoleLength
	if f[2] >= 0 {
		n, _ = strconv.Atoi(text[f[2]:f[3]]) // five digits at most
	}
	if n < 1 || n > m.spec.MaxLen {
		return 0, &engine.InputError{Item: "hole", Reason: fmt.Sprintf("%d tokens long, want 1 to %d", n, m.spec.MaxLen)}
	}
	return n, nil
}

// withHoles adds a text to r: its words fixed, its holes masked.
func (m *model) withHoles(r *row, text string, o engine.Options) error {
	at := 0
	for _, f := range hole.FindAllStringSubmatchIndex(text, -1) {
		n, err := m.holeLength(text, f, o)
		if err != nil {
			return err
		}
		// The blank before a word is part of its token, so it belongs to the hole.
		r.add(engine.Text, true, m.tok.AppendTokens(nil, strings.TrimSuffix(text[at:f[0]], " "))...)
		r.masks(engine.Text, m.spec.Mask, n)
		at = f[1]
		if err := m.room("prompt", len(r.seq.Tokens), 0); err != nil {
			return err
		}
	}
	r.add(engine.Text, true, m.tok.AppendTokens(nil, text[at:])...)
	return nil
}

// read turns the tokens of an answer into text: up to the first end token, without special tokens and masks, the thinking
// part apart.
func (m *model) read(answer []engine.Token) (text, think string) {
	if m.canvas != nil {
		if inside, after, ok := m.canvas.channel(m.tok, answer); ok {
			text, _ = m.read(after)
			think, _ = m.read(inside)
			return text, strings.TrimSpace(strings.TrimPrefix(think, "thought"))
		}
	}
	var keep []engine.Token
	for _, t := range answer {
		if slices.Contains(m.spec.End, t) {
			break
		}
		if t != m.spec.Mask && !m.tok.IsSpecial(t) {
			keep = append(keep, t)
		}
	}
	text = token.Text(m.tok.AppendText(nil, keep...))
	// MMaDA was also trained on these letters in place of the token.
	if i := strings.Index(text, "<eot_id>"); i >= 0 {
		text = text[:i]
	}
	if before, after, ok := strings.Cut(text, "</think>"); ok {
		if _, inside, ok := strings.Cut(before, "<think>"); ok {
			before = inside
		}
		return strings.TrimSpace(after), strings.TrimSpace(before)
	}
	if inside, ok := strings.CutPrefix(strings.TrimSpace(text), "<think>"); ok { // it never came to an end
		return "", strings.TrimSpace(inside)
	}
	return strings.TrimSpace(text), ""
}

// used is how many tokens of an answer count: up to and with the first end token.
func (m *model) used(answer []engine.Token) int {
	for i, t := range answer {
		if slices.Contains(m.spec.End, t) {
			return i + 1
		}
	}
	return len(answer)
}
