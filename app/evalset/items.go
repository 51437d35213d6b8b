package evalset

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"strings"

	"unmask/engine"
)

// Item is one question with its right answer.
type Item struct {
	ID     string            `json:"id"`
	Task   string            `json:"task"` // row of [Tasks]
	Kind   string            `json:"kind"` // of question, or layout
	Rule   string            `json:"rule"` // how it is judged: "text", "list", "describe", "draw", "edit", "joint", "rebuild"
	Prompt string            `json:"prompt,omitempty"`
	Think  bool              `json:"think,omitempty"`
	Want   string            `json:"want,omitempty"`   // the right text
	Scene  *Scene            `json:"scene,omitempty"`  // what the picture shows, or is to show in the end
	Before *Scene            `json:"before,omitempty"` // what the given picture shows, where it is another scene
	Hidden []image.Rectangle `json:"hidden,omitempty"` // pixels of the given picture that are masked
	Held   string            `json:"held_out"`         // what was kept from training: "pair", "combination", "numbers", "phrasing", ""
	Do     engine.Task       `json:"do"`               // the job's task; "" for rebuild
}

// maker makes items of one world.
type maker struct {
	w *World
	r *rand.Rand
}

// pick is one of list.
func pick[T any](m *maker, list []T) T { return list[m.r.IntN(len(list))] }

// one is a number in [0, n).
func (m *maker) one(n int) int { return m.r.IntN(n) }

// chance is true in the share p of the calls.
func (m *maker) chance(p float64) bool { return m.r.Float64() < p }

// say is a phrasing of a kind: one of those trained on, or of those held out.
func (m *maker) say(p Patterns, held bool) string {
	if held {
		return pick(m, p.HeldOut)
	}
	return pick(m, p.Train)
}

// unseen lists n held-out scenes in a random order, of the given layouts; half of them pairs where both kinds are asked
// for. Fewer are returned where there are fewer.
func (m *maker) unseen(n int, layouts ...string) []Scene {
	var pairs, others []Scene
	for _, p := range m.w.HeldOut.Pairs {
		for _, l := range []string{"beside", "above"} {
			if !slices.Contains(layouts, l) {
				continue
			}
			for _, b := range m.w.Backgrounds {
				pairs = append(pairs, Scene{l, []string{p[0], p[1]}, b.Name})
			}
		}
	}
	for _, c := range m.w.HeldOut.Combinations {
		if slices.Contains(layouts, c[0]) {
			others = append(others, Scene{c[0], []string{c[1]}, c[2]})
		}
	}
	shuffle := func(s []Scene) { m.r.Shuffle(len(s), func(i, k int) { s[i], s[k] = s[k], s[i] }) }
	shuffle(pairs)
	shuffle(others)
	if len(others) > 0 && len(pairs) > n-min(n/2, len(others)) {
		pairs = pairs[:n-min(n/2, len(others))]
	}
	all := append(pairs, others...)
	all = all[:min(n, len(all))]
	shuffle(all)
	return all
}

// heldKind says what of a scene was kept from training.
func (w *World) heldKind(s Scene) string {
	switch {
	case !w.Unseen(s):
		return ""
	case len(s.Names) == 2:
		return "pair"
	}
	return "combination"
}

// Layout groups of the items.
var (
	pairLayouts  = []string{"beside", "above"}
	countLayouts = []string{"two", "three", "four"}
	placeLayouts = []string{"left", "right", "top", "bottom"}
	allLayouts   = slices.Concat(pairLayouts, countLayouts, placeLayouts)
)

// captionFor is a trained pattern of a caption that names the background.
func (m *maker) captionFor(s Scene, place bool) string {
	for {
		p := pick(m, m.w.Captions.Train)
		if strings.Contains(p, "{bg}") {
			return m.w.caption(p, s, place)
		}
	}
}

// draw are pictures to draw.
func (m *maker) draw(n int) (out []Item) {
	for _, s := range m.unseen(n, allLayouts...) {
		out = append(out, Item{Kind: s.Layout, Rule: "draw", Prompt: m.captionFor(s, true), Scene: &s, Held: m.w.heldKind(s), Do: engine.TextToImage})
	}
	return out
}

// drawOne are pictures of one big sticker. Nothing of them is held out.
func (m *maker) drawOne(n int) (out []Item) {
	for range n {
		s := Scene{"one", []string{pick(m, m.w.Concepts).Name}, pick(m, m.w.Backgrounds).Name}
		out = append(out, Item{Kind: s.Layout, Rule: "draw", Prompt: m.captionFor(s, true), Scene: &s, Do: engine.TextToImage})
	}
	return out
}

// describe asks what a picture shows.
func (m *maker) describe(n int) (out []Item) {
	for _, s := range m.unseen(n, allLayouts...) {
		q, a := m.asked("describe", s, false)
		out = append(out, Item{Kind: s.Layout, Rule: "describe", Prompt: q, Want: a, Scene: &s, Held: m.w.heldKind(s), Do: engine.Describe})
	}
	return out
}

// questions asks about pictures everything but to describe and to count, in trained or held-out phrasings.
func (m *maker) questions(held bool) func(n int) []Item {
	return func(n int) (out []Item) {
		for _, s := range m.unseen(n, allLayouts...) {
			kind := pick(m, m.w.kinds(s))
			q, a := m.asked(kind, s, held)
			it := Item{Kind: kind, Rule: "text", Prompt: q, Want: a, Scene: &s, Held: m.w.heldKind(s), Do: engine.Describe}
			if held {
				it.Held += ", phrasing"
			}
			out = append(out, it)
		}
		return out
	}
}

// kinds are the questions that a scene has an answer to.
func (w *World) kinds(s Scene) []string {
	k := []string{"background", "background_yn", "isthere", "what"}
	if len(w.spoken(s)) > 0 {
		k = append(k, "where")
		if s.Layout != "two" {
			k = append(k, "place")
		}
	}
	switch s.Layout {
	case "beside":
		k = append(k, "beside")
	case "above":
		k = append(k, "above", "below")
	}
	return slices.DeleteFunc(k, func(name string) bool { return len(w.Questions[name].Train) == 0 })
}

// counting asks how many stickers there are, or how many of one kind; one in eight of these is not there.
func (m *maker) counting(n int) (out []Item) {
	for _, s := range m.unseen(n, allLayouts...) {
		kind := "count_of"
		if m.chance(0.4) {
			kind = "count"
		}
		q, a := m.asked(kind, s, false)
		out = append(out, Item{Kind: kind, Rule: "text", Prompt: q, Want: a, Scene: &s, Held: m.w.heldKind(s), Do: engine.Describe})
	}
	return out
}

// other is a concept that is not in names.
func (m *maker) other(names ...string) *Concept {
	for {
		if c := &m.w.Concepts[m.one(len(m.w.Concepts))]; !slices.Contains(names, c.Name) {
			return c
		}
	}
}

// asked is a question of a kind about scene s, and its answer.
func (m *maker) asked(kind string, s Scene, held bool) (question, answer string) {
	// size: the kinds share the values of their patterns.
	row := m.w.Questions[kind]
	v := vars{"bg": s.Background, "cw": pick(m, []string{"color", "colour"}), "scene": m.w.phrase(s, kind == "describe")}
	v["Scene"] = capital(v["scene"])
	yes := m.chance(0.5)
	switch kind {
	case "background_yn":
		v["d"] = s.Background
		for !yes && v["d"] == s.Background {
			v["d"] = pick(m, m.w.Backgrounds).Name
		}
	case "count":
		n := len(m.w.Stickers(s))
		v["number"], v["is_are"] = m.w.number(n), isAre(n)
	case "count_of", "isthere":
		if kind == "count_of" {
			yes = m.chance(0.875)
		}
		c := m.w.concept(pick(m, s.Names))
		if !yes {
			c = m.other(s.Names...)
		}
		n := 0
		for _, st := range m.w.Stickers(s) {
			if st.Name == c.Name {
				n++
			}
		}
		v["x"], v["xn"], v["xs"], v["is_are"], v["noun"], v["number"] = c.A(), c.Name, c.Plural, isAre(n), c.Plural, m.w.Numbers[n]
		if n == 1 {
			v["noun"] = c.Name
		}
	case "where", "place":
		p := pick(m, m.w.spoken(s))
		c := m.w.concept(p[1])
		v["w"], v["x"], v["X"], v["xn"] = m.w.Places[p[0]], c.A(), capital(c.A()), c.Name
	case "beside", "above", "below":
		x, y := m.w.concept(s.Names[0]), m.w.concept(s.Names[1])
		if kind == "above" || kind == "beside" && m.chance(0.5) {
			x, y = y, x
		}
		v["x"], v["xn"], v["Y"] = x.A(), x.Name, capital(y.A())
	}
	a := row.Answer
	if a == "" && yes {
		a = row.Yes
	} else if a == "" {
		a = row.No
	}
	return capital(v.fill(m.say(row.Patterns, held))), v.fill(a)
}

// number is a count of stickers in words.
func (w *World) number(n int) string {
	if n == 0 {
		return "none"
	}
	return w.Numbers[n]
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// number the items and name their task.
func numbered(task string, items []Item) []Item {
	for i := range items {
		items[i].Task, items[i].ID = task, fmt.Sprintf("%s-%03d", task, i)
	}
	return items
}
