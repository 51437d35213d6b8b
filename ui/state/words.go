package state

import (
	"fmt"
	"strconv"
	"strings"

	"unmask/engine"
)

// WriteWords writes fixed words as people type them: "0 Dear Anna; 12 thank you".
func WriteWords(words []engine.Word) string {
	var parts []string
	for _, w := range words {
		parts = append(parts, fmt.Sprintf("%d %s", w.At, strings.TrimSpace(w.Text)))
	}
	return strings.Join(parts, "; ")
}

// ParseWords reads what [WriteWords] writes. Words that do not stand at position 0 get the blank before them that tokens
// have.
func ParseWords(text string) ([]engine.Word, error) {
	var out []engine.Word
	for _, part := range strings.Split(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		number, words, _ := strings.Cut(part, " ")
		at, err := strconv.Atoi(strings.TrimSuffix(number, ":"))
		words = strings.TrimSpace(words)
		if err != nil || at < 0 || words == "" {
			return nil, &engine.InputError{Item: "fixed words", Reason: fmt.Sprintf("%q is no position and words, as in \"12 thank you\"", part)}
		}
		if at > 0 {
			words = " " + words
		}
		out = append(out, engine.Word{At: at, Text: words})
	}
	return out, nil
}

// WriteList writes words with commas between, ParseList reads them; none are nil.
func WriteList(words []string) string { return strings.Join(words, ", ") }

// ParseList is the opposite of [WriteList].
func ParseList(text string) []string {
	var out []string
	for _, w := range strings.Split(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}
