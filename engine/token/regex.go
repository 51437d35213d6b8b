package token

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// maxPattern bounds the length of a pattern in a tokenizer file, in bytes.
const maxPattern = 8 << 10

// newFinder compiles the pattern of a Split or Replace.
func newFinder(p *pattern, item string) (finder, error) {
	switch {
	case p == nil || (p.String == nil) == (p.Regex == nil):
		return nil, bad(item, "pattern is neither a String nor a Regex")
	case p.String != nil:
		return literal(*p.String), nil
	case len(*p.Regex) > maxPattern:
		return nil, bad(item, "pattern is %d bytes long, at most %d are allowed", len(*p.Regex), maxPattern)
	}
	for _, k := range knownPatterns {
		if k.pattern == *p.Regex {
			return k.rule.find, nil
		}
	}
	re, err := regexp2.Compile(atomic(*p.Regex), regexp2.None)
	if err != nil {
		return nil, bad(item, "pattern %q: %v", *p.Regex, err)
	}
	re.MatchTimeout = 2 * time.Second
	return func(s string) [][2]int { return findAll(re, s) }, nil
}

// findAll lists the matches of re. A pattern that runs into its time limit matches nothing more.
func findAll(re *regexp2.Regexp, s string) [][2]int {
	var out [][2]int
	at, runes := 0, 0 // byte offset of rune offset
	seek := func(to int) int {
		for ; runes < to; runes++ {
			_, n := utf8.DecodeRuneInString(s[at:])
			at += n
		}
		return at
	}
	m, err := re.FindStringMatch(s)
	for m != nil && err == nil {
		if m.Length > 0 {
			lo := seek(m.Index)
			out = append(out, [2]int{lo, seek(m.Index + m.Length)})
		}
		m, err = re.FindNextMatch(m)
	}
	return out
}

// atomic rewrites possessive quantifiers, x?+ x*+ x++, as atomic groups, (?>x?), which the regexp2 package has.
func atomic(p string) string {
	var b strings.Builder
	start := -1 // of the last atom in b
	var open []int
	for i := 0; i < len(p); {
		c := p[i]
		n := 1
		switch {
		case c == '\\' && i+1 < len(p):
			n = 2
			if (p[i+1] == 'p' || p[i+1] == 'P') && i+2 < len(p) && p[i+2] == '{' {
				if end := strings.IndexByte(p[i:], '}'); end > 0 {
					n = end + 1
				}
			}
			start = b.Len()
		case c == '[':
			n = classLen(p[i:])
			start = b.Len()
		case c == '(':
			open = append(open, b.Len())
			start = -1
		case c == ')' && len(open) > 0:
			start = open[len(open)-1]
			open = open[:len(open)-1]
		case (c == '?' || c == '*' || c == '+') && start >= 0:
			if i+1 < len(p) && p[i+1] == '+' {
				s := b.String()
				b.Reset()
				b.WriteString(s[:start] + "(?>" + s[start:] + string(c) + ")")
				i += 2
				start = -1
				continue
			}
			start = -1
		default:
			start = b.Len()
		}
		b.WriteString(p[i : i+n])
		i += n
	}
	return b.String()
}

// classLen is the length of the character class that p begins with.
func classLen(p string) int {
	for i := 1; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case ']':
			if i > 1 && !(i == 2 && p[1] == '^') {
				return i + 1
			}
		}
	}
	return len(p)
}

// rule is the common shape of the split patterns of GPT-2 and its successors, scanned by hand because Go's regexp lacks
// look-ahead and regexp2 is slow.
type rule struct {
	anyCase bool // contractions in any case: (?i:'s|...)
	// prefix: letters may follow one character that is no letter, number or line break; else one space
	prefix bool
	digits int  // numbers in one match; 0: no limit, and one space may come before
	breaks bool // punctuation takes the line breaks after it; white space is cut after its last line break
}

var gpt2 = rule{}

// knownPatterns are the patterns that rules replace. In Bailing's the quantifiers are possessive, which changes no match,
// and \s*[\r\n] ends at the last line break like \s*[\r\n]+.
var knownPatterns = []struct {
	pattern string
	rule    rule
}{
	{`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, gpt2},
	{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, rule{true, true, 1, true}},
	{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, rule{true, true, 3, true}},
	{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`, rule{true, true, 1, true}},
	{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`, rule{true, true, 3, true}},
}

func (r rule) find(s string) [][2]int {
	out := make([][2]int, 0, len(s)/4+1)
	for at := 0; at < len(s); {
		n := r.next(s[at:])
		out = append(out, [2]int{at, at + n})
		at += n
	}
	return out
}

// next is the length of the match at the beginning of s, which is not empty. Every text is matched without gaps.
func (r rule) next(s string) int {
	c, n := utf8.DecodeRuneInString(s)
	if c == '\'' {
		if k := r.contraction(s[1:]); k > 0 {
			return 1 + k
		}
	}
	d, _ := utf8.DecodeRuneInString(s[n:]) // RuneError at the end, which is no letter, number or space
	end := len(s) == n
	switch {
	case unicode.IsLetter(c):
		return run(s, unicode.IsLetter, 0)
	case r.prefix && c != '\r' && c != '\n' && !unicode.IsNumber(c) && !end && unicode.IsLetter(d),
		!r.prefix && c == ' ' && !end && unicode.IsLetter(d):
		return n + run(s[n:], unicode.IsLetter, 0)
	case unicode.IsNumber(c):
		return run(s, unicode.IsNumber, r.digits)
	case r.digits == 0 && c == ' ' && unicode.IsNumber(d):
		return 1 + run(s[1:], unicode.IsNumber, 0)
	case isOtherChar(c), c == ' ' && !end && isOtherChar(d):
		k := run(s[1:], isOtherChar, 0) + 1
		if c != ' ' {
			k = run(s, isOtherChar, 0)
		}
		if r.breaks {
			k += run(s[k:], isBreak, 0)
		}
		return k
	}
	return r.space(s)
}

// space matches white space: to the last line break in it if breaks is set; else all but the last character when a
// word follows.
func (r rule) space(s string) int {
	k := run(s, isSpace, 0)
	if r.breaks {
		if i := strings.LastIndexAny(s[:k], "\r\n"); i >= 0 {
			return i + 1
		}
	}
	if k == len(s) {
		return k
	}
	_, last := utf8.DecodeLastRuneInString(s[:k])
	if k > last {
		return k - last
	}
	return k
}

// contraction is the length of s, t, re, ve, m, ll or d at the beginning of s. Unicode folds the long s to s.
func (r rule) contraction(s string) int {
	if r.anyCase && strings.HasPrefix(s, "ſ") {
		return len("ſ")
	}
	for _, w := range [...]string{"s", "t", "re", "ve", "m", "ll", "d"} {
		if len(s) >= len(w) && (s[:len(w)] == w || r.anyCase && strings.EqualFold(s[:len(w)], w)) {
			return len(w)
		}
	}
	return 0
}

// run is the length of the longest prefix of s whose characters are all ok; at most limit characters unless 0.
func run(s string, ok func(rune) bool, limit int) int {
	count := 0
	for i, c := range s {
		if !ok(c) || limit > 0 && count == limit {
			return i
		}
		count++
	}
	return len(s)
}

func isSpace(r rune) bool { return unicode.IsSpace(r) }
func isBreak(r rune) bool { return r == '\r' || r == '\n' }
func isOtherChar(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r)
}
