package token

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"unmask/engine"
)

// matcher finds added tokens in text: at each place the longest one.
type matcher struct {
	root  *node
	begin [256]bool // bytes that some token begins with
}

type node struct {
	next  map[byte]*node
	token *addedToken
}

func newMatcher() *matcher { return &matcher{root: &node{}} }

func (m *matcher) add(content string, a addedToken) {
	if content == "" {
		return
	}
	m.begin[content[0]] = true
	n := m.root
	for i := range len(content) {
		if n.next == nil {
			n.next = map[byte]*node{}
		}
		child := n.next[content[i]]
		if child == nil {
			child = &node{}
			n.next[content[i]] = child
		}
		n = child
	}
	n.token = &a
}

// longest returns the longest token at the beginning of s and its length.
func (m *matcher) longest(s string) (*addedToken, int) {
	if !m.begin[s[0]] {
		return nil, 0
	}
	var best *addedToken
	length := 0
	n := m.root
	for i := range len(s) {
		if n = n.next[s[i]]; n == nil {
			break
		}
		if n.token != nil {
			best, length = n.token, i+1
		}
	}
	return best, length
}

// split calls emit with the stretches of text between added tokens and with the tokens, in order, following the
// find_matches of the reference: single_word tokens inside words do not count, lstrip and rstrip ones take the white
// space around them.
func (m *matcher) split(text string, emit func(s string, id engine.Token, isAdded bool)) {
	done := 0
	for i := 0; i < len(text); {
		a, n := m.longest(text[i:])
		if a == nil {
			i++
			continue
		}
		lo, hi := i, i+n
		i = hi
		if a.SingleWord && (endsWithWord(text[:lo]) || startsWithWord(text[hi:])) {
			continue
		}
		if a.LStrip {
			lo = max(done, len(strings.TrimRightFunc(text[:lo], unicode.IsSpace)))
		}
		if a.RStrip {
			hi = len(text) - len(strings.TrimLeftFunc(text[hi:], unicode.IsSpace))
		}
		if done < lo {
			emit(text[done:lo], 0, false)
		}
		emit("", engine.Token(a.ID), true)
		done = hi
	}
	if done < len(text) {
		emit(text[done:], 0, false)
	}
}

func endsWithWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord is \w of Unicode regular expressions (UTS 18): alphabetic, marks, decimal digits, connectors, joiners.
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
