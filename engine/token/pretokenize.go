package token

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// piece is a stretch of normalized text on its way to the model. first is true for the one that begins the whole text.
type piece struct {
	text  string
	first bool
}

// each applies f to every piece and joins the results.
func each(f func(piece) []piece) func([]piece) []piece {
	return func(in []piece) []piece {
		var out []piece
		for _, p := range in {
			out = append(out, f(p)...)
		}
		return out
	}
}

// newPreTokenizer returns the function of a pre-tokenizer; nil gives the identity.
//
// size: a case a type.
func newPreTokenizer(p *part, depth int) (func([]piece) []piece, error) {
	if p == nil {
		return func(in []piece) []piece { return in }, nil
	}
	switch p.Type {
	case "Sequence":
		if depth > maxDepth {
			return nil, bad("pre_tokenizer", "nested more than %d deep", maxDepth)
		}
		steps := make([]func([]piece) []piece, 0, len(p.Pretokenizers))
		for _, q := range p.Pretokenizers {
			f, err := newPreTokenizer(q, depth+1)
			if err != nil {
				return nil, err
			}
			steps = append(steps, f)
		}
		return func(in []piece) []piece {
			for _, f := range steps {
				in = f(in)
			}
			return in
		}, nil
	case "ByteLevel":
		return newByteLevel(p), nil
	case "Split":
		find, err := newFinder(p.Pattern, "pre_tokenizer")
		if err != nil {
			return nil, err
		}
		return splitter(find, p.Behavior, p.Invert)
	case "Digits":
		if p.IndividualDigits {
			return splitter(byRune(unicode.IsNumber), "Isolated", false)
		}
		return splitter(byRune(unicode.IsNumber), "Contiguous", false)
	case "Punctuation":
		behavior := p.Behavior
		if behavior == "" {
			behavior = "Isolated"
		}
		return splitter(byRune(isPunct), behavior, false)
	case "Whitespace":
		return splitter(findWords, "Removed", true)
	case "WhitespaceSplit":
		return splitter(byRune(unicode.IsSpace), "Removed", false)
	case "CharDelimiterSplit":
		if utf8.RuneCountInString(p.Delimiter) != 1 {
			return nil, bad("pre_tokenizer", "delimiter %q is %d characters long, want 1", p.Delimiter, utf8.RuneCountInString(p.Delimiter))
		}
		d, _ := utf8.DecodeRuneInString(p.Delimiter)
		return splitter(byRune(func(r rune) bool { return r == d }), "Removed", false)
	case "BertPreTokenizer":
		words, err := splitter(byRune(unicode.IsSpace), "Removed", false)
		if err != nil {
			return nil, err
		}
		punct, err := splitter(byRune(isPunct), "Isolated", false)
		if err != nil {
			return nil, err
		}
		return func(in []piece) []piece { return punct(words(in)) }, nil
	case "Metaspace":
		return newMetaspace(p)
	}
	return nil, unsupported("pre_tokenizer", p.Type, "ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit, BertPreTokenizer, Metaspace, Sequence")
}

// isPunct is general category P or an ASCII character that is neither letter, digit nor control.
func isPunct(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && !(r >= '0' && r <= '9') && !(r|0x20 >= 'a' && r|0x20 <= 'z')
	}
	return unicode.IsPunct(r)
}

// byteRunes is GPT-2's map of bytes to printable characters; runeBytes is its inverse.
var byteRunes, runeBytes = func() (to [256]rune, from map[rune]byte) {
	from = map[rune]byte{}
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae && b <= 0xff) {
			r = next
			next++
		}
		to[b], from[r] = r, byte(b)
	}
	return to, from
}()

func newByteLevel(p *part) func([]piece) []piece {
	prefix, regex := isSet(p.AddPrefixSpace, true), isSet(p.UseRegex, true)
	return func(in []piece) []piece {
		out := make([]piece, 0, 2*len(in))
		for _, p := range in {
			if prefix && !strings.HasPrefix(p.text, " ") {
				p.text = " " + p.text
			}
			if !regex {
				out = append(out, piece{byteLevel(p.text), p.first})
				continue
			}
			for at := 0; at < len(p.text); {
				n := gpt2.next(p.text[at:])
				out = append(out, piece{byteLevel(p.text[at : at+n]), p.first && at == 0})
				at += n
			}
		}
		return out
	}
}

func byteLevel(s string) string {
	b := make([]byte, 0, len(s)+len(s)/2)
	for i := range len(s) {
		b = utf8.AppendRune(b, byteRunes[s[i]])
	}
	return string(b)
}

func newMetaspace(p *part) (func([]piece) []piece, error) {
	mark := p.Replacement
	if mark == "" {
		mark = "▁"
	}
	scheme := p.PrependScheme
	if scheme == "" {
		scheme = "always"
		if !isSet(p.AddPrefixSpace, true) {
			scheme = "never"
		}
	}
	cut, err := splitter(literal(mark), "MergedWithNext", false)
	if err != nil {
		return nil, err
	}
	return func(in []piece) []piece {
		out := make([]piece, 0, len(in))
		for _, p := range in {
			p.text = strings.ReplaceAll(p.text, " ", mark)
			if (scheme == "always" || scheme == "first" && p.first) && !strings.HasPrefix(p.text, mark) {
				p.text = mark + p.text
			}
			out = append(out, p)
		}
		if !isSet(p.Split, true) {
			return out
		}
		return cut(out)
	}, nil
}
