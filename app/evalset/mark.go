package evalset

import (
	"image"
	"math"
	"slices"
	"strings"
)

// Mark is what a judge gives an item for one figure: Hits of Of, or, for "rebuild", Value decibels.
type Mark struct {
	Metric string  `json:"metric"`
	Hits   int     `json:"hits"`
	Of     int     `json:"of"`
	Value  float64 `json:"value,omitempty"`
}

// yes is a mark of one.
func yes(metric string, ok bool) Mark {
	if ok {
		return Mark{Metric: metric, Hits: 1, Of: 1}
	}
	return Mark{Metric: metric, Of: 1}
}

// Answer is what came back for an item.
type Answer struct {
	Text    string       `json:"text,omitempty"`
	Think   string       `json:"think,omitempty"`
	Saw     *Scene       `json:"saw,omitempty"`   // what the judge found in the picture
	Error   float64      `json:"error,omitempty"` // of the judge's scene, see [Verdict]
	Picture *image.NRGBA `json:"-"`
	Given   *image.NRGBA `json:"-"` // the picture that the job had, at the same size
	Held    bool         `json:"-"` // no step wrote a position that was to be kept
}

// Marks judges an answer, and fills in what the judge saw.
func (j *Judge) Marks(it *Item, a *Answer) ([]Mark, error) {
	w := j.atlas.world
	if it.Rule == "draw" || it.Rule == "edit" || it.Rule == "joint" {
		v, err := j.Name(a.Picture)
		if err != nil {
			return nil, err
		}
		a.Saw, a.Error = &v.Scene, v.Error
	}
	switch it.Rule {
	case "list":
		return []Mark{yes("right", w.threeOf(it.Want, a.Text))}, nil
	case "describe":
		return []Mark{w.named(*it.Scene, a.Text), yes("right", a.Text == it.Want)}, nil
	case "draw":
		return w.drawn(*it.Scene, *a.Saw), nil
	case "edit":
		return []Mark{yes("right", w.same(*it.Scene, *a.Saw)), yes("kept", a.Held && kept(a, it.Hidden))}, nil
	case "joint":
		said := a.Text == w.caption("{scene} on a {bg} background", *a.Saw, true)
		return []Mark{yes("agree", said), yes("right", said && w.same(*it.Scene, *a.Saw)), yes("kept", a.Held && kept(a, it.Hidden))}, nil
	case "rebuild":
		field := w.field(w.Stickers(*it.Scene)[0].Slot)
		return []Mark{{Metric: "sticker", Of: 1, Value: decibels(a.Picture, a.Given, field)},
			{Metric: "picture", Of: 1, Value: decibels(a.Picture, a.Given, a.Given.Rect)}}, nil
	}
	return []Mark{yes("right", a.Text == it.Want)}, nil
}

// geometry is where the stickers of a scene are, whatever its layout is called.
func (w *World) geometry(s Scene) map[Slot]string {
	out := map[Slot]string{}
	for _, st := range w.Stickers(s) {
		out[st.Slot] = st.Name
	}
	return out
}

// same reports whether two scenes are one picture.
func (w *World) same(a, b Scene) bool {
	m := w.drawn(a, b)
	for _, x := range m {
		if x.Hits != x.Of {
			return false
		}
	}
	return true
}

// drawn compares a scene that was asked for with the one that was seen. An object is right when its sticker is at its
// place; a layout is right when stickers are at all of its places and at no other.
func (w *World) drawn(want, saw Scene) []Mark {
	a, b := w.geometry(want), w.geometry(saw)
	objects := Mark{Metric: "objects", Of: len(a)}
	layout := len(a) == len(b)
	for slot, name := range a {
		found, there := b[slot]
		layout = layout && there
		if found == name {
			objects.Hits++
		}
	}
	return []Mark{objects, yes("layout", layout), yes("background", want.Background == saw.Background)}
}

// named counts the concepts of a scene that a text names, singular or plural. A concept named that is not there counts as
// one more to get right.
func (w *World) named(s Scene, text string) Mark {
	said := map[string]bool{}
	for _, word := range words(text) {
		for i := range w.Concepts {
			if c := &w.Concepts[i]; word == c.Name || word == c.Plural {
				said[c.Name] = true
			}
		}
	}
	m := Mark{Metric: "objects"}
	there := distinct(s.Names)
	for _, n := range there {
		if said[n] {
			m.Hits++
		}
	}
	m.Of = max(len(there), len(said))
	return m
}

// threeOf reports whether a text is "A cat, a dog and a bee." with three different concepts of the group.
func (w *World) threeOf(group, text string) bool {
	body, ok := strings.CutSuffix(text, ".")
	if !ok {
		return false
	}
	parts := strings.Split(strings.Replace(body, " and ", ", ", 1), ", ")
	if len(parts) != 3 || len(distinct(strings.Split(strings.ToLower(strings.Join(parts, "\n")), "\n"))) != 3 {
		return false
	}
	for i, p := range parts {
		if !slices.ContainsFunc(w.Concepts, func(c Concept) bool {
			want := c.A()
			if i == 0 {
				want = capital(want)
			}
			return c.Group == group && p == want
		}) {
			return false
		}
	}
	return true
}

// kept reports whether the pixels of the given picture outside the hidden parts are the answer's.
func kept(a *Answer, hidden []image.Rectangle) bool {
	if a.Given == nil || a.Given.Rect.Size() != a.Picture.Rect.Size() {
		return false
	}
	for y := range a.Given.Rect.Dy() {
		for x := range a.Given.Rect.Dx() {
			if slices.ContainsFunc(hidden, func(r image.Rectangle) bool { return image.Pt(x, y).In(r) }) {
				continue
			}
			p := a.Given.NRGBAAt(a.Given.Rect.Min.X+x, a.Given.Rect.Min.Y+y)
			if p != a.Picture.NRGBAAt(a.Picture.Rect.Min.X+x, a.Picture.Rect.Min.Y+y) {
				return false
			}
		}
	}
	return true
}

// decibels is the peak signal-to-noise ratio of two pictures within r; equal ones have 99.
func decibels(a, b *image.NRGBA, r image.Rectangle) float64 {
	sum, n := 0.0, 0
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p, q := a.Pix[a.PixOffset(x, y):], b.Pix[b.PixOffset(x, y):]
			for k := range 3 {
				d := float64(p[k]) - float64(q[k])
				sum += d * d
				n++
			}
		}
	}
	if sum == 0 {
		return 99
	}
	return 10 * math.Log10(255*255/(sum/float64(n)))
}
