package llada

import (
	"testing"

	"unmask/engine"
	"unmask/engine/models/vocab"
)

// TestKnownMask finds the mask of releases whose files name none.
func TestKnownMask(t *testing.T) {
	named := &vocab.Vocabulary{Added: map[string]engine.Token{"<|mdm_mask|>": 9}}
	none := &vocab.Vocabulary{}
	for _, c := range []struct {
		path string
		c    Config
		v    *vocab.Vocabulary
		want int
	}{
		{"m", Config{MaskTokenID: 7, VocabSize: 126464}, none, 7},
		{"m", Config{MaskTokenID: -1, VocabSize: 126464}, named, -1}, // the tokenizer's
		{"LLaDA-8B-Base", Config{MaskTokenID: -1, VocabSize: 126464}, none, 126336},
		{"LLaDA-8B-Base", Config{MaskTokenID: -1, VocabSize: 640}, none, -1},
		{"x/iLLaDA-8B-Instruct", Config{MaskTokenID: -1, VocabSize: 151936}, none, 5},
		{"snapshot", Config{MaskTokenID: -1, VocabSize: 151936, Name: "GSAI-ML/iLLaDA-8B-Base"}, none, 5},
		{"x/iLLaDA-8B-Instruct", Config{MaskTokenID: 11, VocabSize: 151936}, none, 11},
	} {
		if got := knownMask(&c.c, c.v, c.path); got != c.want {
			t.Errorf("%s: mask %d, want %d", c.path, got, c.want)
		}
	}
}
