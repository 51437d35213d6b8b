package token

import (
	"strings"
	"unicode/utf8"
)

// newDecoder returns the function of a decoder, which maps the contents of tokens to stretches of text to be joined.
// Without a decoder contents are joined by spaces, as the reference does.
//
// size: a case a type.
func newDecoder(p *part, depth int) (func([]string) []string, error) {
	if p == nil {
		return func(in []string) []string { return []string{strings.Join(in, " ")} }, nil
	}
	switch p.Type {
	case "Sequence":
		if depth > maxDepth {
			return nil, bad("decoder", "nested more than %d deep", maxDepth)
		}
		steps := make([]func([]string) []string, 0, len(p.Decoders))
		for _, q := range p.Decoders {
			f, err := newDecoder(q, depth+1)
			if err != nil {
				return nil, err
			}
			steps = append(steps, f)
		}
		return func(in []string) []string {
			for _, f := range steps {
				in = f(in)
			}
			return in
		}, nil
	case "ByteLevel":
		return decodeByteLevel, nil
	case "ByteFallback":
		return decodeByteFallback, nil
	case "Fuse":
		return func(in []string) []string { return []string{strings.Join(in, "")} }, nil
	case "Replace":
		find, err := newFinder(p.Pattern, "decoder")
		if err != nil {
			return nil, err
		}
		return mapStrings(func(_ int, s string) string { return replaceAll(s, find, p.Content) }), nil
	case "Strip":
		return mapStrings(func(_ int, s string) string {
			for n := 0; n < p.Start && p.Content != "" && strings.HasPrefix(s, p.Content); n++ {
				s = s[len(p.Content):]
			}
			for n := 0; n < p.Stop && p.Content != "" && strings.HasSuffix(s, p.Content); n++ {
				s = s[:len(s)-len(p.Content)]
			}
			return s
		}), nil
	case "Metaspace":
		return decodeMetaspace(p), nil
	case "WordPiece":
		return decodeWordPiece(p), nil
	case "BPEDecoder":
		suffix := "</w>"
		if p.Suffix != nil {
			suffix = *p.Suffix
		}
		return func(in []string) []string {
			return mapStrings(func(i int, s string) string {
				with := " "
				if i == len(in)-1 {
					with = ""
				}
				return strings.ReplaceAll(s, suffix, with)
			})(in)
		}, nil
	}
	return nil, unsupported("decoder", p.Type, "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, WordPiece, BPEDecoder, Sequence")
}

func mapStrings(f func(int, string) string) func([]string) []string {
	return func(in []string) []string {
		out := make([]string, len(in))
		for i, s := range in {
			out[i] = f(i, s)
		}
		return out
	}
}

// decodeByteLevel maps characters back to bytes; an entry with a character outside the map stands for its own bytes.
func decodeByteLevel(in []string) []string {
	var out []byte
	for _, s := range in {
		at := len(out)
		for _, r := range s {
			b, ok := runeBytes[r]
			if !ok {
				out = append(out[:at], s...)
				break
			}
			out = append(out, b)
		}
	}
	return []string{string(out)}
}

// decodeByteFallback joins runs of byte tokens: one character each when together they are no valid UTF-8.
func decodeByteFallback(in []string) []string {
	out := make([]string, 0, len(in))
	var run []byte
	flush := func() {
		if utf8.Valid(run) && len(run) > 0 {
			out = append(out, string(run))
		} else {
			for range run {
				out = append(out, "\uFFFD")
			}
		}
		run = run[:0]
	}
	for _, s := range in {
		if b, ok := byteToken(s); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, s)
	}
	flush()
	return out
}

// byteToken reads "<0x1F>".
func byteToken(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	var b byte
	for _, c := range []byte(s[3:5]) {
		switch {
		case c >= '0' && c <= '9':
			b = b<<4 | (c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			b = b<<4 | (c | 0x20 - 'a' + 10)
		default:
			return 0, false
		}
	}
	return b, true
}

func decodeMetaspace(p *part) func([]string) []string {
	mark := p.Replacement
	if mark == "" {
		mark = "▁"
	}
	drop := p.PrependScheme != "never" && isSet(p.AddPrefixSpace, true)
	return mapStrings(func(i int, s string) string {
		if i == 0 && drop {
			s = strings.TrimPrefix(s, mark)
		}
		return strings.ReplaceAll(s, mark, " ")
	})
}

// cleaner undoes the spaces that WordPiece puts before punctuation and contractions.
var cleaner = [...][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
	{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}}

func decodeWordPiece(p *part) func([]string) []string {
	prefix := "##"
	if p.Prefix != nil {
		prefix = *p.Prefix
	}
	cleanup := isSet(p.Cleanup, true)
	return mapStrings(func(i int, s string) string {
		if i > 0 {
			if strings.HasPrefix(s, prefix) {
				s = s[len(prefix):]
			} else {
				s = " " + s
			}
		}
		if cleanup {
			for _, c := range cleaner {
				s = strings.ReplaceAll(s, c[0], c[1])
			}
		}
		return s
	})
}
