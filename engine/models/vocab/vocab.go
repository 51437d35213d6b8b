// Package vocab reads what a network has to know of its tokenizer: the ids of named tokens and how many ids there are.
// Encoding and decoding text is package token.
package vocab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"unmask/engine"
	"unmask/engine/weights"
)

// Vocabulary is the part of a tokenizer.json that models read.
type Vocabulary struct {
	Added map[string]engine.Token // added tokens by content: "<|eot_id|>"
	Size  int                     // highest id + 1; 0 without a tokenizer.json
}

// maxID bounds the ids that are believed.
const maxID = 1 << 30

// Read reads tokenizer.json of src. A checkpoint without one gives an empty vocabulary.
func Read(src *weights.Set) (*Vocabulary, error) {
	data, err := src.File("tokenizer.json")
	if errors.Is(err, fs.ErrNotExist) {
		return &Vocabulary{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(data, src.Path())
}

func parse(data []byte, path string) (*Vocabulary, error) {
	v := &Vocabulary{Added: map[string]engine.Token{}}
	var file struct {
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
		} `json:"added_tokens"`
		Model struct {
			Vocab map[string]int `json:"vocab"`
		} `json:"model"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, &engine.FormatError{Format: "tokenizer.json", Path: path, Err: err}
	}
	top := -1
	note := func(name string, id int) error {
		if id < 0 || id > maxID {
			return &engine.FormatError{Format: "tokenizer.json", Path: path, Item: name,
				Reason: fmt.Sprintf("id %d, want 0 to %d", id, maxID)}
		}
		top = max(top, id)
		return nil
	}
	for name, id := range file.Model.Vocab {
		if err := note(name, id); err != nil {
			return nil, err
		}
	}
	for _, a := range file.Added {
		if err := note(a.Content, a.ID); err != nil {
			return nil, err
		}
		v.Added[a.Content] = engine.Token(a.ID)
	}
	v.Size = top + 1
	return v, nil
}

// endNames are the added tokens that end a text or a turn, in any family.
var endNames = []string{"<|endoftext|>", "<|eot_id|>", "<|im_end|>", "<|role_end|>"}

// End lists the tokens that end an answer: the ids that config.json names, then the named ones of the tokenizer. Ids
// outside a model of rows ids are left out.
func (v *Vocabulary) End(rows int, eos ...int) []engine.Token {
	var end []engine.Token
	add := func(id int) {
		if id >= 0 && id < rows && !slices.Contains(end, engine.Token(id)) {
			end = append(end, engine.Token(id))
		}
	}
	for _, id := range eos {
		add(id)
	}
	for _, name := range endNames {
		if id, ok := v.Added[name]; ok {
			add(int(id))
		}
	}
	return end
}

// maskNames are the added tokens that are masks, the first that is there.
var maskNames = []string{"<|mask|>", "<|mdm_mask|>"}

// HasMask reports whether an added token is a mask.
func (v *Vocabulary) HasMask() bool {
	return slices.ContainsFunc(maskNames, func(n string) bool { _, ok := v.Added[n]; return ok })
}

// Mask is the mask token of a model of rows ids: the id that config.json gives, or, where that is negative, the added
// token "<|mask|>" or "<|mdm_mask|>".
func (v *Vocabulary) Mask(rows, configured int, path string) (engine.Token, error) {
	id := configured
	if id < 0 {
		for _, name := range maskNames {
			if t, ok := v.Added[name]; ok {
				id = int(t)
				break
			}
		}
	}
	if id < 0 {
		return 0, &engine.FormatError{Format: "config.json", Path: path, Item: "mask_token_id",
			Reason: `is not given, and tokenizer.json has no "<|mask|>"`}
	}
	if id >= rows {
		return 0, &engine.FormatError{Format: "config.json", Path: path, Item: "mask_token_id",
			Reason: fmt.Sprintf("%d is outside the vocabulary of %d", id, rows)}
	}
	return engine.Token(id), nil
}
