// Package evalset makes held-out test items of a checkpoint's closed world, runs them through a session and judges what
// comes back: texts to the letter, pictures by the nearest scene in pixels.
package evalset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"unmask/engine"
)

// WorldFile is the file beside the weights that describes the world of a checkpoint.
const WorldFile = "world.json"

// Bounds of a world. A larger one is a mistake.
const (
	maxWorldBytes = 4 << 20
	maxConcepts   = 4096
	maxGrid       = 64
	maxPatterns   = 4096
)

// World is what a checkpoint was made for: world.json, version 2, as far as test items need it.
type World struct {
	Name           string              `json:"name"`
	Version        int                 `json:"version"`
	Grid           [2]int              `json:"grid"`       // cells a row, cells a column
	CellPx         int                 `json:"cell_px"`    // pixels a cell of a decoded picture
	PicturePx      int                 `json:"picture_px"` // pixels a side of a decoded picture
	Concepts       []Concept           `json:"concepts"`
	Backgrounds    []Background        `json:"backgrounds"`
	Layouts        Layouts             `json:"layouts"`
	LayoutPhrases  map[string]string   `json:"layout_phrases"`
	Groups         map[string]string   `json:"groups"`        // group to how a thing of it is called, "an animal"
	GroupPlurals   map[string]string   `json:"group_plurals"` // group to "animals"
	Colours        []string            `json:"colours"`
	Abilities      Abilities           `json:"abilities"`
	Places         map[string]string   `json:"places"`  // layout of one small sticker to "on the left"
	Numbers        []string            `json:"numbers"` // "no", "one" ...
	ThinkingPrefix string              `json:"thinking_prefix"`
	Captions       Patterns            `json:"captions"`
	Questions      map[string]Asking   `json:"picture_questions"`
	Facts          map[string]Asking   `json:"facts"`
	Sums           map[string]Asking   `json:"sums"`
	Problems       Problems            `json:"word_problems"`
	Counting       map[string]Asking   `json:"counting"`
	Talk           []Asking            `json:"talk"`
	Stories        Stories             `json:"stories"`
	Lists          Patterns            `json:"lists"`
	Examples       map[string][]string `json:"examples"`
	HeldOut        HeldOut             `json:"held_out"`

	index map[string]int // of concepts
}

// Concept is one thing of the world.
type Concept struct {
	Name      string   `json:"name"`
	Article   string   `json:"article"`
	Plural    string   `json:"plural"`
	Group     string   `json:"group"`
	Colour    string   `json:"colour"`
	Can       string   `json:"can"`
	CanPhrase string   `json:"can_phrase"` // "a cat can walk", "you can eat an apple"
	CanTail   string   `json:"can_tail"`   // the same behind "can": "a cat walk", "you eat an apple"
	Size      int      `json:"size"`       // 1 is the smallest
	Sentence  string   `json:"sentence"`
	Said      string   `json:"said"`   // Sentence without its "It "
	Reason    string   `json:"reason"` // why it can what it can
	Lacks     []string `json:"lacks"`  // what it surely cannot
	Place     string   `json:"place"`  // where its stories happen
	Ending    string   `json:"ending"` // how stories with it as the second end
	Partner   string   `json:"partner"`
}

// A is the name with its article.
func (c *Concept) A() string { return c.Article + " " + c.Name }

// Background is a colour behind the stickers.
type Background struct {
	Name string   `json:"name"`
	RGB  [3]uint8 `json:"rgb"`
}

// Slot is the square field of one sticker, in cells.
type Slot struct {
	Row    int `json:"row"`
	Column int `json:"column"`
	Side   int `json:"side"`
}

// Layout says where the stickers of a scene are.
type Layout struct {
	Name  string
	Slots []Slot
}

// Layouts keeps the order of the file, which the held-out rules count by.
type Layouts []Layout

// UnmarshalJSON reads an object and keeps its order.
func (l *Layouts) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(errors.New("layouts: no object"), err)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		one := Layout{Name: t.(string)} // keys of an object are strings
		if err := d.Decode(&one.Slots); err != nil {
			return fmt.Errorf("layouts: %s: %w", one.Name, err)
		}
		*l = append(*l, one)
	}
	return nil
}

// Patterns are ways to say a thing: those that the checkpoint was trained on and those kept from it.
type Patterns struct {
	Train   []string `json:"train"`
	HeldOut []string `json:"held_out"`
}

// Asking is a kind of question with its answer, or its two.
type Asking struct {
	Patterns
	Answer string `json:"answer"`
	Yes    string `json:"yes"`
	No     string `json:"no"`
}

// Abilities are verbs of the thing itself ("a cat can walk") and of the reader ("you can eat an apple").
type Abilities struct {
	Its   []string `json:"its"`
	Yours []string `json:"yours"`
}

// Problems are sums told as stories.
type Problems struct {
	People []string `json:"people"`
	Plus   Patterns `json:"+"`
	Minus  Patterns `json:"-,"`
	Answer string   `json:"answer"`
}

// Stories are the two-line stories of one and of two things.
type Stories struct {
	Two Patterns `json:"two"`
	One Patterns `json:"one"`
}

// HeldOut is what was kept from training.
type HeldOut struct {
	Pairs        [][2]string     `json:"pairs"`        // ordered, of the layouts beside and above, on any background
	Combinations [][3]string     `json:"combinations"` // layout, concept, background
	Rules        map[string]Rule `json:"rules"`        // "pairs", "combinations", "numbers"
}

// Rule says of a few whole numbers whether their combination is held out.
type Rule struct {
	Coefficients []int    `json:"coefficients"`
	Product      int      `json:"product"` // factor of the product of the first two
	Modulus      int      `json:"modulus"`
	Remainder    int      `json:"remainder"`
	From         int      `json:"from"`    // "numbers": the rule holds where one of them is at least this
	Layouts      []string `json:"layouts"` // "combinations": the layouts that it holds for
}

// Holds reports whether the values are held out. There are as many as coefficients.
func (r Rule) Holds(values ...int) bool {
	sum := 0
	for i, c := range r.Coefficients {
		sum += c * values[i]
	}
	if len(values) > 1 {
		sum += r.Product * values[0] * values[1]
	}
	return ((sum%r.Modulus)+r.Modulus)%r.Modulus == r.Remainder
}

// ReadWorld reads world.json from the folder of a checkpoint. name is the folder's, for errors.
func ReadWorld(folder fs.FS, name string) (*World, error) {
	f, err := folder.Open(WorldFile)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint %s describes no world: %w", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxWorldBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return ParseWorld(data, name)
}

// ParseWorld reads a world and checks everything that test items rest on: sizes, places, names and rules.
func ParseWorld(data []byte, name string) (*World, error) {
	bad := func(item string, err error) error {
		return &engine.FormatError{Format: WorldFile, Path: name, Item: item, Err: err}
	}
	if len(data) > maxWorldBytes {
		return nil, bad("", fmt.Errorf("more than %d bytes", maxWorldBytes))
	}
	w := &World{}
	if err := json.Unmarshal(data, w); err != nil {
		return nil, bad("", err)
	}
	if w.Version != 2 {
		return nil, bad("version", fmt.Errorf("%d, this program reads 2", w.Version))
	}
	for _, c := range []struct {
		item  string
		check func(w *World) error
	}{{"grid", checkGrid}, {"concepts", checkConcepts}, {"layouts", checkLayouts}, {"words", checkWords}, {"held_out", checkHeldOut}} {
		if err := c.check(w); err != nil {
			return nil, bad(c.item, err)
		}
	}
	return w, nil
}

func checkGrid(w *World) error {
	if w.Grid[0] != w.Grid[1] || w.Grid[0] < 1 || w.Grid[0] > maxGrid || w.CellPx < 1 || w.CellPx > maxGrid || w.PicturePx != w.Grid[0]*w.CellPx {
		return fmt.Errorf("%d x %d cells of %d pixels are no square picture of %d pixels a side, up to %d cells and %d pixels a cell",
			w.Grid[0], w.Grid[1], w.CellPx, w.PicturePx, maxGrid, maxGrid)
	}
	if n := len(w.Backgrounds); n < 1 || n > 256 {
		return fmt.Errorf("%d backgrounds, want 1 to 256", n)
	}
	for i, b := range w.Backgrounds {
		if b.Name == "" || slices.ContainsFunc(w.Backgrounds[:i], func(o Background) bool { return o.Name == b.Name }) {
			return fmt.Errorf("background %d: %q is empty or there twice", i, b.Name)
		}
	}
	return nil
}

func checkConcepts(w *World) error {
	if n := len(w.Concepts); n < 3 || n > maxConcepts {
		return fmt.Errorf("%d, want 3 to %d", n, maxConcepts)
	}
	w.index = map[string]int{}
	for i := range w.Concepts {
		c := &w.Concepts[i]
		if c.Name == "" || c.Article == "" || c.Plural == "" || strings.ContainsAny(c.Name+c.Plural, " \t\n") {
			return fmt.Errorf("%d: name %q, article %q, plural %q; want one word each", i, c.Name, c.Article, c.Plural)
		}
		if _, twice := w.index[c.Name]; twice {
			return fmt.Errorf("%d: %q is there twice", i, c.Name)
		}
		if w.Groups[c.Group] == "" {
			return fmt.Errorf("%s: group %q is none of the %d groups", c.Name, c.Group, len(w.Groups))
		}
		w.index[c.Name] = i
	}
	for _, c := range w.Concepts {
		if _, ok := w.index[c.Partner]; c.Partner != "" && !ok {
			return fmt.Errorf("%s: partner %q is no concept", c.Name, c.Partner)
		}
	}
	return nil
}

func checkLayouts(w *World) error {
	if n := len(w.Layouts); n < 1 || n > 256 {
		return fmt.Errorf("%d, want 1 to 256", n)
	}
	for i, l := range w.Layouts {
		if w.LayoutPhrases[l.Name] == "" {
			return fmt.Errorf("%s: layout_phrases lacks it", l.Name)
		}
		if slices.ContainsFunc(w.Layouts[:i], func(o Layout) bool { return o.Name == l.Name }) {
			return fmt.Errorf("%s: there twice", l.Name)
		}
		if len(l.Slots) > 64 {
			return fmt.Errorf("%s: %d stickers, at most 64", l.Name, len(l.Slots))
		}
		for _, s := range l.Slots {
			if s.Row < 0 || s.Column < 0 || s.Side < 1 || s.Row+s.Side > w.Grid[1] || s.Column+s.Side > w.Grid[0] {
				return fmt.Errorf("%s: a sticker of %d cells at row %d, column %d is outside %d x %d cells", l.Name, s.Side, s.Row, s.Column, w.Grid[0], w.Grid[1])
			}
		}
	}
	return nil
}

func checkWords(w *World) error {
	count := len(w.Captions.Train) + len(w.Captions.HeldOut)
	if len(w.Captions.Train) == 0 {
		return errors.New("captions has no train")
	}
	for _, group := range []struct {
		name string
		all  map[string]Asking
	}{{"picture_questions", w.Questions}, {"facts", w.Facts}, {"counting", w.Counting}} {
		for kind, a := range group.all {
			if len(a.Train) == 0 || a.Answer == "" && (a.Yes == "" || a.No == "") {
				return fmt.Errorf("%s.%s has no question or no answer", group.name, kind)
			}
			count += len(a.Train) + len(a.HeldOut)
		}
	}
	for i, a := range w.Talk {
		if len(a.Train) == 0 || a.Answer == "" {
			return fmt.Errorf("talk %d has no prompt or no answer", i)
		}
		count += len(a.Train) + len(a.HeldOut)
	}
	if !slices.ContainsFunc(w.Captions.Train, func(p string) bool { return strings.Contains(p, "{bg}") }) {
		return errors.New("no caption of captions.train names the background")
	}
	groups := map[string]bool{}
	for _, c := range w.Concepts {
		groups[c.Group] = true
	}
	if len(groups) < 2 || len(w.Backgrounds) < 2 || len(distinct(w.Colours)) < 2 {
		return fmt.Errorf("%d groups, %d backgrounds, %d colours; want two of each", len(groups), len(w.Backgrounds), len(distinct(w.Colours)))
	}
	for _, l := range w.Layouts {
		if len(l.Slots) >= len(w.Numbers) {
			return fmt.Errorf("%d stickers of layout %s have no number among %d", len(l.Slots), l.Name, len(w.Numbers))
		}
	}
	if count > maxPatterns {
		return fmt.Errorf("%d patterns, at most %d", count, maxPatterns)
	}
	return nil
}

func checkHeldOut(w *World) error {
	for i, p := range w.HeldOut.Pairs {
		for _, n := range p {
			if _, ok := w.index[n]; !ok {
				return fmt.Errorf("pair %d: %q is no concept", i, n)
			}
		}
		if p[0] == p[1] {
			return fmt.Errorf("pair %d: %q twice", i, p[0])
		}
	}
	for i, c := range w.HeldOut.Combinations {
		_, ok := w.index[c[1]]
		if !ok || w.layout(c[0]) == nil || w.background(c[2]) < 0 {
			return fmt.Errorf("combination %d: layout %q, concept %q, background %q; one of them is unknown", i, c[0], c[1], c[2])
		}
		if len(w.layout(c[0]).Slots) == 0 {
			return fmt.Errorf("combination %d: layout %q has no sticker", i, c[0])
		}
	}
	for name, r := range w.HeldOut.Rules {
		want := 2
		if name == "combinations" {
			want = 3
		}
		if len(r.Coefficients) != want || r.Modulus < 1 || r.Remainder < 0 || r.Remainder >= r.Modulus || r.Modulus > 1<<20 {
			return fmt.Errorf("rule %s: %d coefficients, remainder %d of %d; want %d", name, len(r.Coefficients), r.Remainder, r.Modulus, want)
		}
		for _, c := range append(slices.Clone(r.Coefficients), r.Product) {
			if c < -1<<20 || c > 1<<20 {
				return fmt.Errorf("rule %s: factor %d", name, c)
			}
		}
	}
	return nil
}

// layout is the layout of a name, or nil.
func (w *World) layout(name string) *Layout {
	for i := range w.Layouts {
		if w.Layouts[i].Name == name {
			return &w.Layouts[i]
		}
	}
	return nil
}

// background is the index of a background, or -1.
func (w *World) background(name string) int {
	return slices.IndexFunc(w.Backgrounds, func(b Background) bool { return b.Name == name })
}

// concept is the concept of a name, which exists.
func (w *World) concept(name string) *Concept { return &w.Concepts[w.index[name]] }
