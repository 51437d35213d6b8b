package token

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxDepth bounds the nesting of Sequence parts.
const maxDepth = 8

// newNormalizer returns the function of a normalizer; nil gives the identity.
//
// size: a case a type.
func newNormalizer(p *part, depth int) (func(string) string, error) {
	if p == nil {
		return func(s string) string { return s }, nil
	}
	switch p.Type {
	case "Sequence":
		if depth > maxDepth {
			return nil, bad("normalizer", "nested more than %d deep", maxDepth)
		}
		steps := make([]func(string) string, 0, len(p.Normalizers))
		for _, q := range p.Normalizers {
			f, err := newNormalizer(q, depth+1)
			if err != nil {
				return nil, err
			}
			steps = append(steps, f)
		}
		return func(s string) string {
			for _, f := range steps {
				s = f(s)
			}
			return s
		}, nil
	case "NFC":
		return norm.NFC.String, nil
	case "NFD":
		return norm.NFD.String, nil
	case "NFKC":
		return norm.NFKC.String, nil
	case "NFKD":
		return norm.NFKD.String, nil
	case "Lowercase":
		return lower, nil
	case "StripAccents":
		return func(s string) string { return drop(s, unicode.M) }, nil
	case "Strip":
		left, right := isSet(p.StripLeft, true), isSet(p.StripRight, true)
		return func(s string) string {
			if left {
				s = strings.TrimLeftFunc(s, unicode.IsSpace)
			}
			if right {
				s = strings.TrimRightFunc(s, unicode.IsSpace)
			}
			return s
		}, nil
	case "Prepend":
		return func(s string) string {
			if s == "" {
				return s
			}
			return p.Prepend + s
		}, nil
	case "Replace":
		find, err := newFinder(p.Pattern, "normalizer")
		if err != nil {
			return nil, err
		}
		return func(s string) string { return replaceAll(s, find, p.Content) }, nil
	case "BertNormalizer":
		return newBertNormalizer(p), nil
	}
	return nil, unsupported("normalizer", p.Type, "NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Prepend, Replace, BertNormalizer, Sequence")
}

func replaceAll(s string, find finder, with string) string {
	var b strings.Builder
	at := 0
	for _, m := range find(s) {
		b.WriteString(s[at:m[0]])
		b.WriteString(with)
		at = m[1]
	}
	b.WriteString(s[at:])
	return b.String()
}

// lower maps character by character, as Rust's char::to_lowercase: no final sigma, and U+0130 gives two characters.
func lower(s string) string {
	if strings.ContainsRune(s, 'İ') {
		s = strings.ReplaceAll(s, "İ", "i\u0307")
	}
	return strings.Map(unicode.ToLower, s)
}

func drop(s string, table *unicode.RangeTable) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(table, r) {
			return -1
		}
		return r
	}, s)
}

func newBertNormalizer(p *part) func(string) string {
	lowercase := isSet(p.Lowercase, true)
	accents := isSet(p.StripAccents, lowercase)
	clean, chinese := isSet(p.CleanText, true), isSet(p.ChineseChars, true)
	return func(s string) string {
		if clean {
			s = strings.Map(cleanBert, s)
		}
		if chinese {
			var b strings.Builder
			for _, r := range s {
				if isChinese(r) {
					b.WriteByte(' ')
					b.WriteRune(r)
					b.WriteByte(' ')
				} else {
					b.WriteRune(r)
				}
			}
			s = b.String()
		}
		if accents {
			s = drop(norm.NFD.String(s), unicode.Mn)
		}
		if lowercase {
			s = lower(s)
		}
		return s
	}
}

func cleanBert(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return ' '
	case r == 0 || r == 0xfffd || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
		return -1
	case unicode.IsSpace(r):
		return ' '
	}
	return r
}

func isChinese(r rune) bool {
	return r >= 0x4e00 && r <= 0x9fff || r >= 0x3400 && r <= 0x4dbf || r >= 0x20000 && r <= 0x2a6df ||
		r >= 0x2a700 && r <= 0x2b73f || r >= 0x2b740 && r <= 0x2b81f || r >= 0x2b920 && r <= 0x2ceaf ||
		r >= 0xf900 && r <= 0xfaff || r >= 0x2f800 && r <= 0x2fa1f
}
