package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"unicode/utf8"

	"unmask/engine"
)

// Tokenizer is a tokenizer.json. It is safe for concurrent use and implements [engine.Tokenizer].
type Tokenizer struct {
	content []string // [Size] text of each id, normalized where that is asked for; "" where an id is not in use
	used    []bool   // [Size]
	special []bool   // [Size] true for added tokens flagged special
	ids     map[string]engine.Token
	roles   map[string]engine.Token

	raw, norm *matcher // added tokens looked for before and after normalizing
	normalize func(string) string
	split     func([]piece) []piece
	model     model
	decode    func([]string) []string

	template Template
}

// model turns one pre-tokenized word into tokens.
type model interface {
	append(dst []engine.Token, word string) []engine.Token
	vocabulary() map[string]engine.Token
}

// Files gives the small files of a checkpoint; weights.Set is one.
type Files interface {
	File(name string) ([]byte, error)
}

// Open reads tokenizer.json and, where they are there, tokenizer_config.json and chat_template.jinja, and names the special
// tokens of the model family: "llada", "mmada", ...
func Open(src Files, family string) (*Tokenizer, error) {
	data, err := src.File("tokenizer.json")
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	t, err := Parse(data)
	if err != nil {
		return nil, err
	}
	var beside [2][]byte
	for i, name := range []string{"tokenizer_config.json", "chat_template.jinja"} {
		if beside[i], err = src.File(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open tokenizer: %w", err)
		}
	}
	if err := t.configure(beside[0], beside[1], family); err != nil {
		return nil, err
	}
	return t, nil
}

// Parse reads the content of a tokenizer.json.
func Parse(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, &engine.FormatError{Format: "tokenizer", Path: "tokenizer.json", Err: err}
	}
	t := &Tokenizer{roles: map[string]engine.Token{}}
	var err error
	if t.model, err = newModel(f.Model); err != nil {
		return nil, err
	}
	if t.normalize, err = newNormalizer(f.Normalizer, 0); err != nil {
		return nil, err
	}
	if t.split, err = newPreTokenizer(f.PreTokenizer, 0); err != nil {
		return nil, err
	}
	if t.decode, err = newDecoder(f.Decoder, 0); err != nil {
		return nil, err
	}
	if err := t.index(f.Added); err != nil {
		return nil, err
	}
	t.nameRoles("")
	t.template = row("llada")
	return t, nil
}

// index fills the tables from vocabulary and added tokens; an added token hides a vocabulary entry of its id.
func (t *Tokenizer) index(added []addedToken) error {
	size := 0
	vocab := t.model.vocabulary()
	for s, id := range vocab {
		if id < 0 || id >= maxID {
			return bad(s, "id %d is outside [0, %d)", id, maxID)
		}
		size = max(size, int(id)+1)
	}
	for _, a := range added {
		if a.ID < 0 || a.ID >= maxID {
			return bad(a.Content, "id %d is outside [0, %d)", a.ID, maxID)
		}
		size = max(size, int(a.ID)+1)
	}
	t.content, t.used, t.special = make([]string, size), make([]bool, size), make([]bool, size)
	t.ids = make(map[string]engine.Token, len(vocab)+len(added))
	for s, id := range vocab {
		if t.used[id] {
			return bad(s, "id %d is also that of %q", id, t.content[id])
		}
		t.content[id], t.used[id], t.ids[s] = s, true, id
	}
	t.raw, t.norm = newMatcher(), newMatcher()
	for _, a := range added {
		if a.Content == "" {
			continue
		}
		id := engine.Token(a.ID)
		t.used[id], t.special[id], t.ids[a.Content] = true, a.Special, id
		if a.Normalized {
			t.content[id] = t.normalize(a.Content)
			t.norm.add(t.content[id], a)
		} else {
			t.content[id] = a.Content
			t.raw.add(a.Content, a)
		}
	}
	return nil
}

// AppendTokens appends the tokens of text to dst. Special tokens written out in text become those tokens. Broken UTF-8 is
// replaced as [Text] does. No token is added at the ends.
func (t *Tokenizer) AppendTokens(dst []engine.Token, text string) []engine.Token {
	if !utf8.ValidString(text) {
		text = Text([]byte(text))
	}
	first := true
	t.raw.split(text, func(s string, id engine.Token, isAdded bool) {
		if isAdded {
			dst = append(dst, id)
			first = false
			return
		}
		t.norm.split(t.normalize(s), func(s string, id engine.Token, isAdded bool) {
			if isAdded {
				dst = append(dst, id)
			} else if s != "" {
				for _, p := range t.split([]piece{{text: s, first: first}}) {
					dst = t.model.append(dst, p.text)
				}
			}
			first = false
		})
	})
	return dst
}

// AppendText appends the text of ids to dst, special tokens written out. Bytes of a character that is cut by the ends of
// ids are kept as they are, so that text may be put together token by token; [Text] replaces them. Ids outside the
// vocabulary are left out.
func (t *Tokenizer) AppendText(dst []byte, ids ...engine.Token) []byte {
	parts := make([]string, 0, len(ids))
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.used) && t.used[id] {
			parts = append(parts, t.content[id])
		}
	}
	for _, s := range t.decode(parts) {
		dst = append(dst, s...)
	}
	return dst
}

// Special returns the id of a role ("mask", "bos", "eos", "eot", "pad", "soi", "eoi", "t2i", ...) or of a token's whole
// content, such as "<|mdm_mask|>".
func (t *Tokenizer) Special(name string) (engine.Token, bool) {
	if id, ok := t.roles[name]; ok {
		return id, true
	}
	id, ok := t.ids[name]
	return id, ok
}

// IsSpecial reports whether id is an added token that is flagged special.
func (t *Tokenizer) IsSpecial(id engine.Token) bool {
	return id >= 0 && int(id) < len(t.special) && t.special[id]
}

// Size is the largest id plus one: MMaDA's image codes begin there.
func (t *Tokenizer) Size() int { return len(t.content) }

// Content returns the entry of id as the file has it (byte-level for most vocabularies), and whether there is one.
func (t *Tokenizer) Content(id engine.Token) (string, bool) {
	if id < 0 || int(id) >= len(t.used) || !t.used[id] {
		return "", false
	}
	return t.content[id], true
}

// Text returns b as valid UTF-8: every longest prefix of a character that is cut short, and every other stray byte,
// becomes one U+FFFD, as Python's errors="replace" and Rust's from_utf8_lossy do.
func Text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = cut(b)
			out = append(out, "\uFFFD"...)
		} else {
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return string(out)
}

// cut is the length of the longest prefix of b that begins a character; at least 1.
func cut(b []byte) int {
	need, lo, hi := 0, byte(0x80), byte(0xbf)
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		need = 1
	case c >= 0xe0 && c <= 0xef:
		need = 2
		if c == 0xe0 {
			lo = 0xa0
		} else if c == 0xed {
			hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		need = 3
		if c == 0xf0 {
			lo = 0x90
		} else if c == 0xf4 {
			hi = 0x8f
		}
	}
	n := 1
	for n <= need && n < len(b) && b[n] >= lo && b[n] <= hi {
		lo, hi = 0x80, 0xbf
		n++
	}
	return n
}
