package token

import (
	"encoding/json"
	"unicode/utf8"

	"unmask/engine"
)

// wordPiece takes the longest entry at each place of a word; a word that can not be covered is unknown as a whole.
type wordPiece struct {
	vocab    map[string]engine.Token
	unk      engine.Token
	prefix   string
	maxChars int
}

func newWordPiece(data json.RawMessage) (*wordPiece, error) {
	f := struct {
		Vocab    map[string]engine.Token `json:"vocab"`
		Unk      string                  `json:"unk_token"`
		Prefix   string                  `json:"continuing_subword_prefix"`
		MaxChars int                     `json:"max_input_chars_per_word"`
	}{Unk: "[UNK]", Prefix: "##", MaxChars: 100}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, bad("model", "%v", err)
	}
	unk, ok := f.Vocab[f.Unk]
	if !ok {
		return nil, bad("unk_token", "%q is not among the %d entries", f.Unk, len(f.Vocab))
	}
	if f.MaxChars < 1 || f.MaxChars > 10000 {
		return nil, bad("max_input_chars_per_word", "is %d, want 1 to 10000", f.MaxChars)
	}
	return &wordPiece{f.Vocab, unk, f.Prefix, f.MaxChars}, nil
}

func (m *wordPiece) vocabulary() map[string]engine.Token { return m.vocab }

func (m *wordPiece) append(dst []engine.Token, word string) []engine.Token {
	if utf8.RuneCountInString(word) > m.maxChars {
		return append(dst, m.unk)
	}
	at := len(dst)
	for lo := 0; lo < len(word); {
		hi := len(word)
		for ; hi > lo; hi-- {
			if hi < len(word) && !utf8.RuneStart(word[hi]) {
				continue
			}
			s := word[lo:hi]
			if lo > 0 {
				s = m.prefix + s
			}
			if id, ok := m.vocab[s]; ok {
				dst = append(dst, id)
				break
			}
		}
		if hi == lo {
			return append(dst[:at], m.unk)
		}
		lo = hi
	}
	return dst
}
