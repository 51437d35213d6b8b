package evalset

import (
	"image"
	"slices"
	"strings"

	"unmask/engine"
)

// without is a pair and what is left of it when one of its stickers is removed: the layout of the other's place.
var without = map[string]struct {
	pair string
	at   int // index of the sticker that stays
}{"left": {"beside", 0}, "right": {"beside", 1}, "top": {"above", 0}, "bottom": {"above", 1}}

// replace gives pictures in which one sticker's field is masked and asks for another one there: mostly of held-out pairs,
// one in eight of a single big sticker.
func (m *maker) replace(n int) (out []Item) {
	scenes := m.unseen(n-n/8, pairLayouts...)
	for len(scenes) < n {
		scenes = append(scenes, Scene{"one", []string{pick(m, m.w.Concepts).Name}, pick(m, m.w.Backgrounds).Name})
	}
	for _, s := range scenes {
		at := m.one(len(s.Names))
		before := Scene{s.Layout, slices.Clone(s.Names), s.Background}
		before.Names[at] = m.other(s.Names...).Name
		out = append(out, m.edit(s, &before, m.w.field(m.w.Stickers(s)[at].Slot), true))
	}
	return out
}

// remove gives pictures in which one sticker's field is masked and asks for a picture without it: of the other one alone,
// in held-out combinations, with its place or without; one in eight of nothing.
func (m *maker) remove(n int) (out []Item) {
	for _, s := range m.unseen(n-n/8, placeLayouts...) {
		w := without[s.Layout]
		before := Scene{w.pair, make([]string, 2), s.Background}
		before.Names[w.at], before.Names[1-w.at] = s.Names[0], m.other(s.Names...).Name
		out = append(out, m.edit(s, &before, m.w.field(m.w.layout(w.pair).Slots[1-w.at]), m.chance(0.5)))
	}
	if m.w.layout("none") == nil {
		return out
	}
	for len(out) < n {
		s := Scene{"none", nil, pick(m, m.w.Backgrounds).Name}
		before := Scene{"one", []string{pick(m, m.w.Concepts).Name}, s.Background}
		out = append(out, m.edit(s, &before, m.w.field(m.w.layout("one").Slots[0]), true))
	}
	return out
}

// refill hides a half of a held-out scene.
func (m *maker) refill(n int) (out []Item) {
	for _, s := range m.unseen(n, allLayouts...) {
		out = append(out, m.edit(s, nil, m.half(), true))
	}
	return out
}

// half is one of the halves of a picture.
func (m *maker) half() image.Rectangle {
	n := m.w.Grid[0] / 2 * m.w.CellPx
	all := image.Rect(0, 0, m.w.PicturePx, m.w.PicturePx)
	return pick(m, []image.Rectangle{
		image.Rect(0, 0, n, all.Max.Y), image.Rect(n, 0, all.Max.X, all.Max.Y), image.Rect(0, 0, all.Max.X, n), image.Rect(0, n, all.Max.X, all.Max.Y),
	})
}

// edit is the job to repaint a part of a picture so that it shows s.
func (m *maker) edit(s Scene, before *Scene, hidden image.Rectangle, place bool) Item {
	return Item{Kind: s.Layout, Rule: "edit", Prompt: m.captionFor(s, place), Scene: &s, Before: before, Hidden: []image.Rectangle{hidden},
		Held: m.w.heldKind(s), Do: engine.Inpaint}
}

// joint hides parts of a caption and of its picture such that each can be told from the rest of both: of a pair the name
// of one sticker and the field of the other, of others the name and half of the picture; of half of them the background's
// name too.
func (m *maker) joint(n int) (out []Item) {
	const pattern = "{scene} on a {bg} background"
	for _, s := range m.unseen(n, allLayouts...) {
		if !slices.Contains(m.w.Captions.Train, pattern) {
			return nil
		}
		text := m.w.caption(pattern, s, true)
		hidden := m.half()
		name := m.w.concept(s.Names[0]).Name
		st := m.w.Stickers(s)
		switch {
		case len(s.Names) == 2:
			at := m.one(2)
			name, hidden = s.Names[at], m.w.field(st[1-at].Slot)
		case len(st) > 1:
			name = m.w.concept(s.Names[0]).Plural
		default: // the sticker must be seen in part
			for try := 0; try < 100 && m.w.field(st[0].Slot).In(hidden); try++ {
				hidden = m.half()
			}
		}
		text = hide(text, name)
		if m.chance(0.5) {
			text = hide(text, s.Background)
		}
		out = append(out, Item{Kind: s.Layout, Rule: "joint", Prompt: text, Want: m.w.caption(pattern, s, true), Scene: &s,
			Hidden: []image.Rectangle{hidden}, Held: m.w.heldKind(s), Do: engine.Joint})
	}
	return out
}

// hide puts a hole where a word of a text stands first.
func hide(text, word string) string {
	fields := strings.Split(text, " ")
	if i := slices.Index(fields, word); i >= 0 {
		fields[i] = engine.Hole
	}
	return strings.Join(fields, " ")
}

// rebuild are whole stickers to encode and decode: every concept in turn, on random backgrounds.
func (m *maker) rebuild(n int) (out []Item) {
	for i := range n {
		s := Scene{"one", []string{m.w.Concepts[i%len(m.w.Concepts)].Name}, pick(m, m.w.Backgrounds).Name}
		out = append(out, Item{Kind: s.Layout, Rule: "rebuild", Scene: &s})
	}
	return out
}
