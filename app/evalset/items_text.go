package evalset

import (
	"maps"
	"slices"
	"strconv"

	"unmask/engine"
)

// chat is the job of a text item.
func chat(kind, question, answer, held string) Item {
	return Item{Kind: kind, Rule: "text", Prompt: question, Want: answer, Held: held, Do: engine.Chat}
}

// facts asks everything that the world says of its concepts, every kind as often.
func (m *maker) facts(held bool) func(n int) []Item {
	return func(n int) (out []Item) {
		kinds := slices.Sorted(maps.Keys(m.w.Facts))
		for i := 0; len(out) < n && len(kinds) > 0; i++ {
			kind := kinds[i%len(kinds)]
			if held && len(m.w.Facts[kind].HeldOut) == 0 {
				kinds = slices.Delete(kinds, i%len(kinds), i%len(kinds)+1)
				continue
			}
			out = append(out, m.fact(kind, held))
		}
		return out
	}
}

// fact is a question of a kind about a random concept. Comparisons are of held-out pairs.
func (m *maker) fact(kind string, held bool) Item {
	// size: the kinds share the values of their patterns.
	row := m.w.Facts[kind]
	c := &m.w.Concepts[m.one(len(m.w.Concepts))]
	yes := m.chance(0.5)
	v := vars{}
	told := ""
	switch kind {
	case "isa_yn":
		g := c.Group
		for groups := slices.Sorted(maps.Keys(m.w.Groups)); !yes && g == c.Group; {
			g = pick(m, groups)
		}
		v["h"] = m.w.Groups[g]
	case "colour_yn":
		for v["d"] = c.Colour; !yes && v["d"] == c.Colour; {
			v["d"] = pick(m, m.w.Colours)
		}
	case "can_yn":
		if len(c.Lacks) == 0 {
			yes = true
		}
		v["other"], v["other_tail"] = c.CanPhrase, c.CanTail
		if !yes {
			verb := pick(m, c.Lacks)
			v["other"], v["other_tail"] = c.A()+" can "+verb, c.A()+" "+verb
			if slices.Contains(m.w.Abilities.Yours, verb) {
				v["other"], v["other_tail"] = "you can "+verb+" "+c.A(), "you "+verb+" "+c.A()
			}
		}
	case "bigger", "smaller", "bigger_yn":
		x, y := m.comparable(kind == "bigger_yn", yes)
		big, small := x, y
		if y.Size > x.Size {
			big, small = y, x
		}
		c, told = x, "pair"
		v["y"], v["big"], v["small"], v["Big"], v["Small"] = y.A(), big.A(), small.A(), capital(big.A()), capital(small.A())
	case "choose":
		o := m.other(c.Name)
		for o.Group == c.Group {
			o = m.other(c.Name)
		}
		v["h"], v["Z"], v["y"] = m.w.Groups[c.Group], capital(c.A()), o.A()
		if m.chance(0.5) {
			v["x"], v["y"] = o.A(), c.A()
		}
	}
	defaults := vars{"x": c.A(), "X": capital(c.A()), "xn": c.Name, "xs": c.Plural, "g": m.w.Groups[c.Group], "c": c.Colour, "cw": pick(m, []string{"color", "colour"}),
		"sentence": c.Sentence, "said": c.Said, "can": c.CanPhrase, "Can": capital(c.CanPhrase), "can_tail": c.CanTail, "reason": c.Reason}
	for k, x := range defaults {
		if _, set := v[k]; !set {
			v[k] = x
		}
	}
	a := row.Answer
	if a == "" && yes {
		a = row.Yes
	} else if a == "" {
		a = row.No
	}
	if held {
		told = "phrasing"
	}
	return chat(kind, capital(v.fill(m.say(row.Patterns, held))), v.fill(a), told)
}

// comparable is a held-out pair whose sizes differ by two or more; where first is asked for, the first is the bigger one
// if and only if yes.
func (m *maker) comparable(first, yes bool) (x, y *Concept) {
	var list [][2]string
	for _, p := range m.w.HeldOut.Pairs {
		d := m.w.concept(p[0]).Size - m.w.concept(p[1]).Size
		if (d >= 2 || d <= -2) && (!first || (d > 0) == yes) {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return &m.w.Concepts[0], &m.w.Concepts[1]
	}
	p := pick(m, list)
	return m.w.concept(p[0]), m.w.concept(p[1])
}

// numbers is a held-out pair of up to size digits, one of which has as many; p >= q in a difference.
func (m *maker) numbers(size int, op string) (p, q int) {
	lo, hi := 1, 10
	for range size - 1 {
		lo, hi = lo*10, hi*10
	}
	rule, kept := m.w.HeldOut.Rules["numbers"]
	for try := 0; ; try++ {
		p, q = lo+m.one(hi-lo), lo+m.one(hi-lo)
		if m.chance(0.2) {
			q = m.one(lo)
		}
		if op == "+" && m.chance(0.5) {
			p, q = q, p
		}
		if (op == "+" || p >= q) && (!kept || rule.Holds(p, q) || try > 10000) {
			return p, q
		}
	}
}

// sums are sums and differences of a size in turn.
func (m *maker) sums(size int, think bool) func(n int) []Item {
	return func(n int) (out []Item) {
		for i := range n {
			op := []string{"+", "-"}[i%2]
			row, ok := m.w.Sums[op]
			if !ok {
				continue
			}
			p, q := m.numbers(size, op)
			e := strconv.Itoa(p) + op + strconv.Itoa(q)
			if m.chance(0.25) {
				e = strconv.Itoa(p) + " " + op + " " + strconv.Itoa(q)
			}
			v := vars{"e": e, "p": strconv.Itoa(p), "q": strconv.Itoa(q)}
			it := chat(op, v.fill(m.say(row.Patterns, false)), result(p, q, op), "numbers")
			it.Think = think
			out = append(out, it)
		}
		return out
	}
}

func result(p, q int, op string) string {
	if op == "-" {
		q = -q
	}
	return strconv.Itoa(p + q)
}

// problems are sums of two digits told as stories, thought about first.
func (m *maker) problems(n int) (out []Item) {
	for i := range n {
		op, row := "+", m.w.Problems.Plus
		if i%2 == 1 {
			op, row = "-", m.w.Problems.Minus
		}
		if len(row.Train) == 0 || len(m.w.Problems.People) == 0 {
			return nil
		}
		p, q := m.numbers(2, op)
		for p < 2 || q < 1 || op == "-" && p == q {
			p, q = m.numbers(2, op)
		}
		c := pick(m, m.w.Concepts)
		v := vars{"who": pick(m, m.w.Problems.People), "p": strconv.Itoa(p), "q": strconv.Itoa(q), "xs": c.Plural, "n": result(p, q, op)}
		question := v.fill(m.say(row, false))
		if v["n"] == "1" {
			v["xs"] = c.Name
		}
		it := chat(op, question, v.fill(m.w.Problems.Answer), "numbers")
		it.Think = true
		out = append(out, it)
	}
	return out
}

// talk are all held-out prompts of small talk, and trained ones until there are n.
func (m *maker) talk(n int) (out []Item) {
	for _, held := range []bool{true, false} {
		for i, a := range m.w.Talk {
			prompts, told := a.Train, ""
			if held {
				prompts, told = a.HeldOut, "phrasing"
			}
			for _, p := range prompts {
				out = append(out, chat("talk "+strconv.Itoa(i), p, a.Answer, told))
			}
		}
	}
	return out[:min(n, len(out))]
}

// stories are two-line stories of held-out pairs in trained phrasings.
func (m *maker) stories(n int) (out []Item) {
	for range n {
		if len(m.w.HeldOut.Pairs) == 0 || len(m.w.Stories.Two.Train) == 0 {
			return nil
		}
		p := pick(m, m.w.HeldOut.Pairs)
		x, y := m.w.concept(p[0]), m.w.concept(p[1])
		v := vars{"x": x.A(), "y": y.A()}
		out = append(out, chat("two", v.fill(m.say(m.w.Stories.Two, false)), capital(x.A())+" met "+y.A()+" "+x.Place+".\n"+y.Ending, "pair"))
	}
	return out
}

// lists ask for three things of a group; Want is the group.
func (m *maker) lists(n int) (out []Item) {
	groups := slices.Sorted(maps.Keys(m.w.GroupPlurals))
	for i := range n {
		if len(m.w.Lists.Train) == 0 || len(groups) == 0 {
			return nil
		}
		g := groups[i%len(groups)]
		it := chat(g, vars{"gs": m.w.GroupPlurals[g]}.fill(m.say(m.w.Lists, false)), g, "")
		it.Rule = "list"
		out = append(out, it)
	}
	return out
}
