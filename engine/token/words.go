package token

import (
	"encoding/json"
	"fmt"
	"strings"

	"unmask/engine"
)

// wordsFile is the vocabulary of Diffusion-LM: one object from word to id.
const wordsFile = "vocab.json"

// wordMarks are the entries of a plain vocabulary that stand for no word, and the roles that they play.
var wordMarks = []struct{ content, role string }{{"START", "bos"}, {"END", "eos"}, {"PAD", "pad"}, {"UNK", "unk"}}

// OpenWords reads the vocab.json of src, {"word": id}, as Diffusion-LM's trainer writes it. Text is split at white space and
// before punctuation; a word that is not there is UNK. There is no chat template.
func OpenWords(src Files) (*Tokenizer, error) {
	data, err := src.File(wordsFile)
	if err != nil {
		return nil, fmt.Errorf("open vocabulary: %w", err)
	}
	fail := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "vocabulary", Path: wordsFile, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	m := &plainWords{}
	if err := json.Unmarshal(data, &m.vocab); err != nil {
		return nil, &engine.FormatError{Format: "vocabulary", Path: wordsFile, Err: err}
	}
	unk, ok := m.vocab["UNK"]
	if !ok {
		return nil, fail("UNK", "is not among the %d words", len(m.vocab))
	}
	m.unk = unk
	t := &Tokenizer{roles: map[string]engine.Token{}, model: m, normalize: func(s string) string { return s },
		split: func(p []piece) []piece { return p }, decode: func(in []string) []string { return []string{strings.Join(in, " ")} }}
	if err := t.index(nil); err != nil {
		return nil, err
	}
	for _, k := range wordMarks {
		if id, ok := m.vocab[k.content]; ok {
			t.roles[k.role] = id
			t.special[id] = k.role != "unk"
		}
	}
	return t, nil
}

// plainWords is a vocabulary of whole words.
type plainWords struct {
	vocab map[string]engine.Token
	unk   engine.Token
}

func (m *plainWords) vocabulary() map[string]engine.Token { return m.vocab }

// append looks a word up; one that ends in punctuation and is not there is cut before it.
func (m *plainWords) append(dst []engine.Token, text string) []engine.Token {
	for _, word := range strings.Fields(text) {
		id, ok := m.vocab[word]
		if ok {
			dst = append(dst, id)
			continue
		}
		head := strings.TrimRight(word, ".,;:!?")
		if id, ok = m.vocab[head]; !ok {
			id = m.unk
		}
		if head != "" {
			dst = append(dst, id)
		}
		for _, r := range word[len(head):] {
			if id, ok = m.vocab[string(r)]; !ok {
				id = m.unk
			}
			dst = append(dst, id)
		}
	}
	return dst
}
