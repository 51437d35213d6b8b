package llada

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"unmask/engine"
	"unmask/engine/weights"
)

// Vocabulary is what the network has to know of tokenizer.json: the named added tokens and how many ids there are.
type Vocabulary struct {
	Added map[string]engine.Token // by content: "<|eot_id|>"
	Size  int                     // highest id + 1; 0 without a tokenizer.json
}

// ReadVocabulary reads tokenizer.json of src. A checkpoint without one gives an empty vocabulary.
func ReadVocabulary(src *weights.Set) (*Vocabulary, error) {
	data, err := src.File("tokenizer.json")
	if errors.Is(err, fs.ErrNotExist) {
		return &Vocabulary{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseVocabulary(data, src.Path())
}

func parseVocabulary(data []byte, path string) (*Vocabulary, error) {
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
		if id < 0 || id > 1<<30 {
			return &engine.FormatError{Format: "tokenizer.json", Path: path, Item: name,
				Reason: fmt.Sprintf("id %d, want 0 to %d", id, 1<<30)}
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

// End lists the tokens that end an answer: the end of text and the end of a turn.
func (v *Vocabulary) End(c *Config) []engine.Token {
	var end []engine.Token
	if c.EOSTokenID >= 0 && c.EOSTokenID < c.Vocab() {
		end = append(end, engine.Token(c.EOSTokenID))
	}
	for _, name := range []string{"<|endoftext|>", "<|eot_id|>"} {
		if id, ok := v.Added[name]; ok && int(id) < c.Vocab() && !slices.Contains(end, id) {
			end = append(end, id)
		}
	}
	return end
}
