package evalset

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scene is a picture of the world in words. Names has one concept for every sticker, or one for all of them; it is empty
// where the layout has no sticker.
type Scene struct {
	Layout     string   `json:"layout"`
	Names      []string `json:"names"`
	Background string   `json:"background"`
}

// Sticker is one concept at its place.
type Sticker struct {
	Name string
	Slot Slot
}

// Stickers are the stickers of a scene, in the order of its layout.
func (w *World) Stickers(s Scene) []Sticker {
	var out []Sticker
	for i, slot := range w.layout(s.Layout).Slots {
		out = append(out, Sticker{s.Names[min(i, len(s.Names)-1)], slot})
	}
	return out
}

// distinct are the concepts of a scene, each once.
func distinct(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// Unseen reports whether a scene was kept from training: its ordered pair, or its combination of layout, concept and
// background.
func (w *World) Unseen(s Scene) bool {
	if len(s.Names) == 2 && s.Names[0] != s.Names[1] {
		return slices.Contains(w.HeldOut.Pairs, [2]string{s.Names[0], s.Names[1]})
	}
	return len(s.Names) > 0 && slices.Contains(w.HeldOut.Combinations, [3]string{s.Layout, s.Names[0], s.Background})
}

// placed reports whether a layout is one small sticker whose place has a word.
func (w *World) placed(layout string) bool { return w.Places[layout] != "" }

// phrase names the stickers of a scene: "a cat above a dog". Without place it leaves out where a single small one is.
func (w *World) phrase(s Scene, place bool) string {
	layout := s.Layout
	if !place && w.placed(layout) {
		layout = "one"
	}
	v := vars{}
	if len(s.Names) > 0 {
		x, y := w.concept(s.Names[0]), w.concept(s.Names[len(s.Names)-1])
		v = vars{"x": x.A(), "y": y.A(), "xs": x.Plural}
	}
	return v.fill(w.LayoutPhrases[layout])
}

// caption is a scene in a pattern of captions.
func (w *World) caption(pattern string, s Scene, place bool) string {
	return vars{"scene": w.phrase(s, place), "bg": s.Background}.fill(pattern)
}

// spoken is the place word's key and the concept of every sticker whose place has a word.
func (w *World) spoken(s Scene) [][2]string {
	st := w.Stickers(s)
	switch {
	case s.Layout == "beside" || s.Layout == "two":
		return [][2]string{{"left", st[0].Name}, {"right", st[1].Name}}
	case s.Layout == "above":
		return [][2]string{{"top", st[0].Name}, {"bottom", st[1].Name}}
	case w.placed(s.Layout):
		return [][2]string{{s.Layout, st[0].Name}}
	}
	return nil
}

// vars are the values of the places of a pattern.
type vars map[string]string

// fill puts the values into a pattern. "a {bg}" becomes "an {bg}" before a vowel.
func (v vars) fill(pattern string) string {
	if bg := v["bg"]; bg != "" && strings.ContainsRune("aeiou", rune(bg[0])) {
		pattern = strings.ReplaceAll(pattern, "a {bg}", "an {bg}")
	}
	var pairs []string
	for k, x := range v {
		pairs = append(pairs, "{"+k+"}", x)
	}
	return strings.NewReplacer(pairs...).Replace(pattern)
}

// capital makes the first letter of s a capital.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// words are the words of a text in small letters, without punctuation.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
