package token

import (
	"strings"
	"unicode/utf8"
)

// finder returns the matches of a pattern in s as byte ranges, ascending, without overlap.
type finder func(s string) [][2]int

func literal(find string) finder {
	return func(s string) [][2]int {
		var out [][2]int
		for at := 0; find != ""; {
			i := strings.Index(s[at:], find)
			if i < 0 {
				break
			}
			out = append(out, [2]int{at + i, at + i + len(find)})
			at += i + len(find)
		}
		return out
	}
}

// byRune matches single characters.
func byRune(ok func(rune) bool) finder {
	return func(s string) [][2]int {
		var out [][2]int
		for i, r := range s {
			if ok(r) {
				out = append(out, [2]int{i, i + utf8.RuneLen(r)})
			}
		}
		return out
	}
}

// findWords matches \w+|[^\w\s]+.
func findWords(s string) [][2]int {
	var out [][2]int
	class := func(r rune) int {
		switch {
		case isWord(r):
			return 1
		case isSpace(r):
			return 0
		}
		return 2
	}
	last := 0
	for i, r := range s {
		c := class(r)
		if c != 0 && c == last {
			out[len(out)-1][1] = i + utf8.RuneLen(r)
		} else if c != 0 {
			out = append(out, [2]int{i, i + utf8.RuneLen(r)})
		}
		last = c
	}
	return out
}

// stretch is a part of a piece: a match or what lies between matches.
type stretch struct {
	lo, hi int
	match  bool
}

// splitter cuts pieces at matches, with the behaviors of the reference. Empty stretches vanish.
func splitter(find finder, behavior string, invert bool) (func([]piece) []piece, error) {
	var join func([]stretch) []stretch
	switch behavior {
	case "Isolated", "isolated":
		join = func(in []stretch) []stretch { return in }
	case "Removed", "removed":
		join = removeMatches
	case "MergedWithPrevious", "merged_with_previous":
		join = mergeWithPrevious
	case "MergedWithNext", "merged_with_next":
		join = mergeWithNext
	case "Contiguous", "contiguous":
		join = contiguous
	default:
		return nil, unsupported("behavior", behavior, "Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous")
	}
	return each(func(p piece) []piece {
		var all []stretch
		at := 0
		for _, m := range find(p.text) {
			if at < m[0] {
				all = append(all, stretch{at, m[0], invert})
			}
			all = append(all, stretch{m[0], m[1], !invert})
			at = m[1]
		}
		if at < len(p.text) {
			all = append(all, stretch{at, len(p.text), invert})
		}
		var out []piece
		for _, s := range join(all) {
			if s.lo < s.hi {
				out = append(out, piece{p.text[s.lo:s.hi], p.first && s.lo == 0})
			}
		}
		return out
	}), nil
}

func removeMatches(in []stretch) []stretch {
	out := in[:0]
	for _, s := range in {
		if !s.match {
			out = append(out, s)
		}
	}
	return out
}

func mergeWithPrevious(in []stretch) []stretch {
	var out []stretch
	after := false
	for _, s := range in {
		if s.match && !after && len(out) > 0 {
			out[len(out)-1].hi = s.hi
		} else {
			out = append(out, s)
		}
		after = s.match
	}
	return out
}

func mergeWithNext(in []stretch) []stretch {
	var out []stretch
	open := false // the last stretch is a match that waits for what follows
	for _, s := range in {
		if open && !s.match {
			out[len(out)-1].hi = s.hi
		} else {
			out = append(out, s)
		}
		open = s.match
	}
	return out
}

func contiguous(in []stretch) []stretch {
	var out []stretch
	last := false
	for _, s := range in {
		if s.match == last && len(out) > 0 {
			out[len(out)-1].hi = s.hi
		} else {
			out = append(out, s)
		}
		last = s.match
	}
	return out
}
