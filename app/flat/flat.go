// Package flat reads a JSON file that is one object of scalars: the program's settings. It links nothing, so that its fuzz
// target builds in a second.
package flat

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"unmask/engine"
)

// Pair is one key of the object and its value as text: "3", "true", "low_confidence".
type Pair struct{ Key, Value string }

// Parse returns the keys of the object in b in their order. path names the file in errors ([*engine.FormatError]). Every bad
// key is reported, joined, and the good ones are returned all the same. known says which keys there are and list names them
// for the error line; a key may stand once.
func Parse(path string, b []byte, known func(key string) bool, list string) ([]Pair, error) {
	bad := func(item, reason string) error {
		return &engine.FormatError{Format: "configuration", Path: path, Item: item, Reason: reason}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bad("", "is not a JSON object")
	}
	var pairs []Pair
	var problems []error
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return pairs, errors.Join(append(problems, bad("", err.Error()))...)
		}
		key, _ := t.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return pairs, errors.Join(append(problems, bad(Clip(key), err.Error()))...)
		}
		switch {
		case !known(key):
			problems = append(problems, bad(Clip(key), "unknown key; known are "+list))
			continue
		case seen[key]:
			problems = append(problems, bad(key, "is given twice"))
			continue
		}
		seen[key] = true
		v, ok := scalar(raw)
		if !ok {
			problems = append(problems, bad(key, "want a string, a number or a boolean"))
			continue
		}
		pairs = append(pairs, Pair{key, v})
	}
	if _, err := d.Token(); err != nil { // the closing brace
		problems = append(problems, bad("", "the object is not closed"))
	} else if d.More() {
		problems = append(problems, bad("", "there is something after the object"))
	}
	return pairs, errors.Join(problems...)
}

// scalar is the text of a JSON string, number or boolean.
func scalar(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil && len(raw) > 0 && raw[0] == '"' {
		return s, true
	}
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' || raw[0] == 't' || raw[0] == 'f') {
		return string(raw), true
	}
	return "", false
}

// Clip shortens a value to 60 characters for an error line and makes it valid UTF-8.
func Clip(v string) string {
	const most = 60
	v = strings.ToValidUTF8(v, "\uFFFD")
	if utf8.RuneCountInString(v) <= most {
		return v
	}
	return string([]rune(v)[:most]) + "..."
}
