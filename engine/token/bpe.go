package token

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"unmask/engine"
)

// Limits of the cache of words: entries, and bytes of one word.
const (
	maxCached     = 1 << 14
	maxCachedWord = 256
)

// bpe is the byte-pair model: the pair of lowest rank is merged first, of equal ones the leftmost.
type bpe struct {
	vocab  map[string]engine.Token
	merges map[pair]merged

	unk          engine.Token // -1: characters outside the vocabulary vanish
	fuseUnk      bool
	ignoreMerges bool
	prefix       string            // of every character of a word but the first
	suffix       string            // of the last character of a word
	fallback     [256]engine.Token // tokens of bytes, when hasFallback
	hasFallback  bool

	mu    sync.RWMutex
	cache map[string][]engine.Token
}

type pair struct{ a, b engine.Token }

type merged struct {
	rank int32
	id   engine.Token
}

// newModel reads the model of a tokenizer file.
func newModel(data json.RawMessage) (model, error) {
	var head struct {
		Type string `json:"type"`
	}
	if len(data) == 0 {
		return nil, bad("model", "is missing")
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, bad("model", "%v", err)
	}
	switch head.Type {
	case "BPE", "":
		return newBPE(data)
	case "WordPiece":
		return newWordPiece(data)
	}
	return nil, unsupported("model", head.Type, "BPE, WordPiece")
}

func newBPE(data json.RawMessage) (*bpe, error) {
	var f struct {
		Vocab        map[string]engine.Token `json:"vocab"`
		Merges       []mergePair             `json:"merges"`
		Dropout      float64                 `json:"dropout"`
		Unk          *string                 `json:"unk_token"`
		Prefix       string                  `json:"continuing_subword_prefix"`
		Suffix       string                  `json:"end_of_word_suffix"`
		FuseUnk      bool                    `json:"fuse_unk"`
		ByteFallback bool                    `json:"byte_fallback"`
		IgnoreMerges bool                    `json:"ignore_merges"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, bad("model", "%v", err)
	}
	if f.Dropout != 0 {
		return nil, bad("model", "dropout is %g, want 0: tokens would be random", f.Dropout)
	}
	m := &bpe{vocab: f.Vocab, merges: make(map[pair]merged, len(f.Merges)), unk: -1, fuseUnk: f.FuseUnk,
		ignoreMerges: f.IgnoreMerges, prefix: f.Prefix, suffix: f.Suffix, cache: map[string][]engine.Token{}}
	if f.Unk != nil {
		id, ok := m.vocab[*f.Unk]
		if !ok {
			return nil, bad("unk_token", "%q is not among the %d entries", *f.Unk, len(m.vocab))
		}
		m.unk = id
	}
	for i, p := range f.Merges {
		a, okA := m.vocab[p[0]]
		b, okB := m.vocab[p[1]]
		id, ok := m.vocab[p[0]+strings.TrimPrefix(p[1], m.prefix)]
		if !okA || !okB || !ok {
			return nil, bad("merges", "number %d, %q and %q: not all of the two and their union are among the %d entries", i, p[0], p[1], len(m.vocab))
		}
		m.merges[pair{a, b}] = merged{int32(i), id}
	}
	if f.ByteFallback {
		m.hasFallback = true
		for b := range 256 {
			id, ok := m.vocab[fmt.Sprintf("<0x%02X>", b)]
			if !ok {
				id = -1
			}
			m.fallback[b] = id
		}
	}
	return m, nil
}

// mergePair is "a b" or ["a", "b"].
type mergePair [2]string

// UnmarshalJSON takes both forms.
func (p *mergePair) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		var list []string
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
		if len(list) != 2 {
			return fmt.Errorf("a merge has %d parts, want 2", len(list))
		}
		p[0], p[1] = list[0], list[1]
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	var ok bool
	if p[0], p[1], ok = strings.Cut(s, " "); !ok || strings.Contains(p[1], " ") {
		return fmt.Errorf("merge %q has not two parts", s)
	}
	return nil
}

func (m *bpe) vocabulary() map[string]engine.Token { return m.vocab }

func (m *bpe) append(dst []engine.Token, word string) []engine.Token {
	m.mu.RLock()
	known, ok := m.cache[word]
	m.mu.RUnlock()
	if ok {
		return append(dst, known...)
	}
	at := len(dst)
	dst = m.tokens(dst, word)
	if len(word) <= maxCachedWord {
		m.mu.Lock()
		if len(m.cache) >= maxCached {
			clear(m.cache)
		}
		m.cache[strings.Clone(word)] = append([]engine.Token(nil), dst[at:]...)
		m.mu.Unlock()
	}
	return dst
}

func (m *bpe) tokens(dst []engine.Token, word string) []engine.Token {
	if m.ignoreMerges {
		if id, ok := m.vocab[word]; ok {
			return append(dst, id)
		}
	}
	return m.merge(dst, m.characters(make([]engine.Token, 0, len(word)), word))
}

// characters gives the tokens of single characters, bytes or the unknown token.
func (m *bpe) characters(out []engine.Token, word string) []engine.Token {
	unknown := false // an unknown token waits to be written, or to take in more
	for i, r := range word {
		n := utf8.RuneLen(r)
		s := word[i : i+n]
		if i > 0 && m.prefix != "" {
			s = m.prefix + s
		}
		if i+n == len(word) && m.suffix != "" {
			s += m.suffix
		}
		if id, ok := m.vocab[s]; ok {
			if unknown {
				out, unknown = append(out, m.unk), false
			}
			out = append(out, id)
			continue
		}
		if bytes, ok := m.bytes(s); ok {
			out = append(out, bytes...)
			continue
		}
		if m.unk >= 0 {
			if unknown && !m.fuseUnk {
				out = append(out, m.unk)
			}
			unknown = true
		}
	}
	if unknown {
		out = append(out, m.unk)
	}
	return out
}

// bytes gives the tokens of the bytes of s when the vocabulary has them all.
func (m *bpe) bytes(s string) ([]engine.Token, bool) {
	if !m.hasFallback {
		return nil, false
	}
	out := make([]engine.Token, len(s))
	for i := range len(s) {
		if out[i] = m.fallback[s[i]]; out[i] < 0 {
			return nil, false
		}
	}
	return out, true
}

// merge joins pairs by rank with a heap and a linked list: n log n in the length of the word.
func (m *bpe) merge(dst, ids []engine.Token) []engine.Token {
	n := int32(len(ids))
	if n < 2 {
		return append(dst, ids...)
	}
	prev, next := make([]int32, n), make([]int32, n)
	for i := range n {
		prev[i], next[i] = i-1, i+1
	}
	var h candidates
	offer := func(i int32) {
		if i < 0 || next[i] >= n {
			return
		}
		if to, ok := m.merges[pair{ids[i], ids[next[i]]}]; ok {
			h.push(candidate{to.rank, i, to.id})
		}
	}
	for i := range n {
		offer(i)
	}
	for len(h) > 0 {
		c := h.pop()
		if ids[c.at] < 0 || next[c.at] >= n {
			continue
		}
		j := next[c.at]
		if to, ok := m.merges[pair{ids[c.at], ids[j]}]; !ok || to.id != c.id {
			continue // one of the two has been merged since
		}
		ids[c.at], ids[j] = c.id, -1
		next[c.at] = next[j]
		if next[j] < n {
			prev[next[j]] = c.at
		}
		offer(prev[c.at])
		offer(c.at)
	}
	for _, id := range ids {
		if id >= 0 {
			dst = append(dst, id)
		}
	}
	return dst
}

type candidate struct {
	rank, at int32
	id       engine.Token
}

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.at < d.at
}

// candidates is a binary heap, the first to merge on top.
type candidates []candidate

func (h *candidates) push(c candidate) {
	*h = append(*h, c)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s[i].before(s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *candidates) pop() candidate {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && s[c+1].before(s[c]) {
			c++
		}
		if !s[c].before(s[i]) {
			break
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
	*h = s
	return top
}
