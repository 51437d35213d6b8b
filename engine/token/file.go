package token

import (
	"encoding/json"
	"fmt"

	"unmask/engine"
)

// maxID bounds the ids of a tokenizer file, so that the tables indexed by id stay small.
const maxID = 1 << 22

// file is tokenizer.json as far as it is read.
type file struct {
	Added        []addedToken    `json:"added_tokens"`
	Normalizer   *part           `json:"normalizer"`
	PreTokenizer *part           `json:"pre_tokenizer"`
	Decoder      *part           `json:"decoder"`
	Model        json.RawMessage `json:"model"`
}

type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// part is a normalizer, pre-tokenizer or decoder: the union of the fields of all types.
type part struct {
	Type          string   `json:"type"`
	Normalizers   []*part  `json:"normalizers"`
	Pretokenizers []*part  `json:"pretokenizers"`
	Decoders      []*part  `json:"decoders"`
	Pattern       *pattern `json:"pattern"`
	Content       string   `json:"content"`
	Behavior      string   `json:"behavior"`
	Invert        bool     `json:"invert"`

	AddPrefixSpace   *bool   `json:"add_prefix_space"`
	UseRegex         *bool   `json:"use_regex"`
	IndividualDigits bool    `json:"individual_digits"`
	Delimiter        string  `json:"delimiter"`
	Replacement      string  `json:"replacement"`
	PrependScheme    string  `json:"prepend_scheme"`
	Split            *bool   `json:"split"`
	Prepend          string  `json:"prepend"`
	StripLeft        *bool   `json:"strip_left"`
	StripRight       *bool   `json:"strip_right"`
	CleanText        *bool   `json:"clean_text"`
	ChineseChars     *bool   `json:"handle_chinese_chars"`
	StripAccents     *bool   `json:"strip_accents"`
	Lowercase        *bool   `json:"lowercase"`
	Prefix           *string `json:"prefix"`
	Suffix           *string `json:"suffix"`
	Cleanup          *bool   `json:"cleanup"`
	Start            int     `json:"start"`
	Stop             int     `json:"stop"`
}

// pattern is {"String": s} or {"Regex": s}.
type pattern struct {
	String *string
	Regex  *string
}

func isSet(b *bool, otherwise bool) bool {
	if b == nil {
		return otherwise
	}
	return *b
}

// bad reports a broken item of a tokenizer file.
func bad(item, format string, args ...any) error {
	return &engine.FormatError{Format: "tokenizer", Path: "tokenizer.json", Item: item, Reason: fmt.Sprintf(format, args...)}
}

// unsupported reports a part of a type that this package does not do.
func unsupported(kind, name, have string) error {
	return &engine.FormatError{Format: "tokenizer", Path: "tokenizer.json", Item: kind,
		Err: &engine.UnsupportedError{What: fmt.Sprintf("type %q", name), Have: have}}
}
