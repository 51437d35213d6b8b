package local

import (
	"fmt"
	"slices"
	"strings"

	"unmask/engine"
)

// Bounds of what a person gives beside the prompt.
const (
	maxWords    = 256 // fixed texts, banned words
	maxWordText = 256 // bytes of one
)

// resume writes the state that the job goes on from over the plan, and then its fixed words.
func (m *model) resume(p *plan) error {
	job := p.started.Job
	if f := job.From; f != nil {
		if err := m.takeState(p.seq, f); err != nil {
			return err
		}
	}
	return m.fixWords(p, job.Words)
}

// takeState writes f over seq, which is laid out from masks.
func (m *model) takeState(seq *engine.Sequence, f *engine.From) error {
	bad := func(format string, args ...any) error {
		return &engine.InputError{Item: "state to go on from", Reason: fmt.Sprintf(format, args...)}
	}
	n := len(seq.Tokens)
	if len(f.Tokens) > n || f.Step < 0 || f.Step > maxSteps || f.Before < 0 || f.Before > maxSteps {
		return bad("%d tokens after %d and %d steps, the job has %d positions and at most %d steps", len(f.Tokens), f.Before, f.Step, n, maxSteps)
	}
	for i, t := range f.Tokens {
		if seq.Fixed[i] {
			if t != seq.Tokens[i] {
				return bad("token %d at position %d, the prompt has %d there", t, i, seq.Tokens[i])
			}
			continue
		}
		if m.spec.Mask < 0 && t == m.spec.Mask {
			continue // hidden: the noise that is laid out stays
		}
		if err := m.fits(seq, i, t); err != nil {
			return bad("position %d: %v", i, err)
		}
		seq.Tokens[i] = t
	}
	for _, i := range f.Pinned {
		if i < 0 || i >= len(f.Tokens) {
			return bad("position %d is pinned, there are %d", i, len(f.Tokens))
		}
		if seq.Tokens[i] == m.spec.Mask {
			return bad("position %d is pinned and masked", i)
		}
		seq.Fixed[i] = true
	}
	return nil
}

// fits reports a token that can not stand at free position i: out of the vocabulary, or of the other modality.
func (m *model) fits(seq *engine.Sequence, i int, t engine.Token) error {
	if t == m.spec.Mask {
		return nil
	}
	lo, hi := engine.Token(0), engine.Token(m.spec.Vocab)
	if img := m.spec.Image; img != nil {
		at := slices.IndexFunc(seq.Spans, func(s engine.Span) bool { return s.Contains(i) })
		if seq.Spans[at].Modality == engine.Image {
			lo, hi = img.Offset, img.Offset+engine.Token(img.Codebook)
		} else {
			hi = img.Offset
		}
	}
	if t < lo || t >= hi {
		return fmt.Errorf("token %d is outside [%d, %d)", t, lo, hi)
	}
	return nil
}

// fixWords puts texts into the answer and fixes them.
func (m *model) fixWords(p *plan, words []engine.Word) error {
	bad := func(format string, args ...any) error {
		return &engine.InputError{Item: "fixed words", Reason: fmt.Sprintf(format, args...)}
	}
	if len(words) == 0 {
		return nil
	}
	if p.picture != nil || len(words) > maxWords {
		return bad("%d of them; a text takes up to %d, a picture none", len(words), maxWords)
	}
	a := p.started.Answer
	for _, w := range words {
		if len(w.Text) > maxWordText || strings.TrimSpace(w.Text) == "" {
			return bad("%d letters at position %d, want 1 to %d", len(w.Text), w.At, maxWordText)
		}
		ids := m.tok.AppendTokens(nil, w.Text)
		if w.At < 0 || w.At >= a.Len() || len(ids) == 0 || w.At+len(ids) > a.Len() {
			return bad("%q takes %d tokens from position %d, the answer has %d", w.Text, len(ids), w.At, a.Len())
		}
		for i, t := range ids {
			pos := a.Lo + w.At + i
			if p.seq.Fixed[pos] && p.seq.Tokens[pos] != t {
				return bad("%q: position %d is fixed already", w.Text, w.At+i)
			}
			p.seq.Tokens[pos], p.seq.Fixed[pos] = t, true
		}
	}
	return nil
}

// banned are the token sequences that spell the words out: as they are, in small letters, with a first capital and in
// capitals, at the start of a text and after a blank.
func (m *model) banned(words []string) ([][]engine.Token, error) {
	if len(words) > maxWords {
		return nil, &engine.InputError{Item: "banned words", Reason: fmt.Sprintf("%d of them, at most %d are kept out", len(words), maxWords)}
	}
	var out [][]engine.Token
	for _, w := range words {
		w = strings.TrimSpace(w)
		if w == "" || len(w) > maxWordText {
			return nil, &engine.InputError{Item: "banned words", Reason: fmt.Sprintf("one has %d letters, want 1 to %d", len(w), maxWordText)}
		}
		small := strings.ToLower(w)
		first := []rune(small)
		capital := strings.ToUpper(string(first[:1])) + string(first[1:])
		for _, form := range []string{w, small, capital, strings.ToUpper(w)} {
			for _, before := range []string{"", " "} {
				ids := m.tok.AppendTokens(nil, before+form)
				if len(ids) > 0 && !slices.ContainsFunc(out, func(x []engine.Token) bool { return slices.Equal(x, ids) }) {
					out = append(out, ids)
				}
			}
		}
	}
	return out, nil
}
