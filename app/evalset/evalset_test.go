package evalset

import (
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"unmask/engine"
)

// embedded is the folder of the checkpoint that the program carries.
const embedded = "../../assets/tiny"

// world reads the embedded world and its stickers.
func world(t testing.TB) (*World, *Atlas) {
	t.Helper()
	w, a, err := Open(os.DirFS(embedded), os.DirFS(embedded), "tiny")
	if err != nil {
		t.Fatal(err)
	}
	return w, a
}

// TestWilson compares intervals with published ones (Newcombe, 1998, table I, method 3) and the edges.
func TestWilson(t *testing.T) {
	for _, x := range []struct {
		hits, n   int
		low, high float64
	}{
		{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}, {20, 20, 0.8389, 1}, {0, 0, 0, 1},
	} {
		low, high := Wilson(x.hits, x.n)
		if math.Abs(low-x.low) > 6e-5 || math.Abs(high-x.high) > 6e-5 {
			t.Errorf("%d of %d: [%.4f, %.4f], want [%.4f, %.4f]", x.hits, x.n, low, high, x.low, x.high)
		}
	}
	if m, low, high := mean([]float64{28, 30, 32}); m != 30 || math.Abs(high-30-2*z95/math.Sqrt(3)) > 1e-9 || math.Abs(low+high-60) > 1e-9 {
		t.Errorf("mean %g, [%g, %g]", m, low, high)
	}
}

// TestJudgeKnowsEveryLayout renders scenes of every layout and wants them named back, also when they are a little worn.
func TestJudgeKnowsEveryLayout(t *testing.T) {
	w, a := world(t)
	j := NewJudge(a)
	n := len(w.Concepts)
	for li, l := range w.Layouts {
		for k := range 6 {
			bg := w.Backgrounds[(li+3*k)%len(w.Backgrounds)].Name
			s := Scene{Layout: l.Name, Background: bg}
			for i := range l.Slots {
				at := 7*k + 5*li
				if l.Name == "beside" || l.Name == "above" {
					at += 11 * i
				} else if i > 0 {
					break
				}
				s.Names = append(s.Names, w.Concepts[at%n].Name)
			}
			img := a.Render(s)
			for p := range img.Pix { // noise of up to 12 steps, a function of the place
				if p%4 != 3 {
					img.Pix[p] = byte(min(255, max(0, int(img.Pix[p])+(p*7919)%25-12)))
				}
			}
			v, err := j.Name(img)
			if err != nil {
				t.Fatal(err)
			}
			if !w.same(s, v.Scene) {
				t.Errorf("%v was taken for %v, error %.1f", s, v.Scene, v.Error)
			}
		}
	}
}

// TestJudgeTellsWrongFromRight spoils a picture in one way each and wants the mark that belongs to it lost, and no other.
func TestJudgeTellsWrongFromRight(t *testing.T) {
	w, a := world(t)
	j := NewJudge(a)
	c := w.Concepts
	want := Scene{"beside", []string{c[0].Name, c[1].Name}, w.Backgrounds[0].Name}
	item := Item{Rule: "draw", Scene: &want}
	for name, x := range map[string]struct {
		drawn Scene
		marks [3]int // objects of 2, layout, background
	}{
		"right":              {want, [3]int{2, 1, 1}},
		"another sticker":    {Scene{"beside", []string{c[0].Name, c[2].Name}, want.Background}, [3]int{1, 1, 1}},
		"exchanged":          {Scene{"beside", []string{c[1].Name, c[0].Name}, want.Background}, [3]int{0, 1, 1}},
		"one missing":        {Scene{"left", []string{c[0].Name}, want.Background}, [3]int{1, 0, 1}},
		"another layout":     {Scene{"above", []string{c[0].Name, c[1].Name}, want.Background}, [3]int{0, 0, 1}},
		"another background": {Scene{"beside", want.Names, w.Backgrounds[4].Name}, [3]int{2, 1, 0}},
		"nothing":            {Scene{"none", nil, want.Background}, [3]int{0, 0, 1}},
	} {
		ans := Answer{Picture: a.Render(x.drawn)}
		marks, err := j.Marks(&item, &ans)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]int{marks[0].Hits, marks[1].Hits, marks[2].Hits}; got != x.marks || marks[0].Of != 2 {
			t.Errorf("%s: %v of 2, 1, 1; want %v (saw %v)", name, got, x.marks, ans.Saw)
		}
	}
	if _, err := j.Name(image.NewNRGBA(image.Rect(0, 0, 5, 5))); err == nil {
		t.Error("a picture of another size was judged")
	}
}

// TestMarksOfTexts gives right and wrong answers to each rule for texts.
func TestMarksOfTexts(t *testing.T) {
	w, a := world(t)
	j := NewJudge(a)
	x, y := w.Concepts[0], w.Concepts[1]
	s := Scene{"beside", []string{x.Name, y.Name}, "white"}
	var group []Concept
	for _, c := range w.Concepts {
		if c.Group == x.Group {
			group = append(group, c)
		}
	}
	three := capital(group[0].A()) + ", " + group[1].A() + " and " + group[2].A() + "."
	for _, c := range []struct {
		item Item
		text string
		want []int // hits, of, hits, of ...
	}{
		{Item{Rule: "text", Want: "64"}, "64", []int{1, 1}},
		{Item{Rule: "text", Want: "64"}, "65", []int{0, 1}},
		{Item{Rule: "list", Want: x.Group}, three, []int{1, 1}},
		{Item{Rule: "list", Want: x.Group}, capital(group[0].A()) + ", " + group[1].A() + " and " + group[0].A() + ".", []int{0, 1}},
		{Item{Rule: "list", Want: "no group"}, three, []int{0, 1}},
		{Item{Rule: "list", Want: x.Group}, strings.TrimSuffix(three, "."), []int{0, 1}},
		{Item{Rule: "describe", Scene: &s, Want: "right"}, "right", []int{0, 2, 1, 1}},
		{Item{Rule: "describe", Scene: &s}, capital(x.A()) + " and " + y.A() + ".", []int{2, 2, 0, 1}},
		{Item{Rule: "describe", Scene: &s}, "Two " + x.Plural + ".", []int{1, 2, 0, 1}},
		{Item{Rule: "describe", Scene: &s}, x.Name + " " + y.Name + " " + w.Concepts[2].Name, []int{2, 3, 0, 1}},
	} {
		marks, err := j.Marks(&c.item, &Answer{Text: c.text})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, m := range marks {
			got = append(got, m.Hits, m.Of)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %q: %v, want %v", c.item.Rule, c.text, got, c.want)
		}
	}
}

// TestMarksOfEdits wants a repainted pixel outside the hidden part, and a token written there, to be seen.
func TestMarksOfEdits(t *testing.T) {
	w, a := world(t)
	j := NewJudge(a)
	s := Scene{"beside", []string{w.Concepts[0].Name, w.Concepts[1].Name}, "white"}
	hidden := w.field(w.Stickers(s)[1].Slot)
	item := Item{Rule: "edit", Scene: &s, Hidden: []image.Rectangle{hidden}}
	for name, x := range map[string]struct {
		held  bool
		spoil image.Point
		want  [2]int
	}{
		"clean":           {true, hidden.Min, [2]int{1, 1}},
		"a pixel outside": {true, hidden.Min.Sub(image.Pt(1, 0)), [2]int{1, 0}},
		"a token outside": {false, hidden.Min, [2]int{1, 0}},
	} {
		ans := Answer{Given: a.Render(s), Picture: a.Render(s), Held: x.held}
		ans.Picture.SetNRGBA(x.spoil.X, x.spoil.Y, color.NRGBA{1, 2, 3, 255})
		marks, err := j.Marks(&item, &ans)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int{marks[0].Hits, marks[1].Hits}; got != x.want {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
	// A caption that says what the picture shows agrees; any other does not.
	item.Rule, item.Want = "joint", w.caption("{scene} on a {bg} background", s, true)
	for text, want := range map[string][2]int{item.Want: {1, 1}, "a thing on a white background": {0, 0}} {
		marks, err := j.Marks(&item, &Answer{Text: text, Given: a.Render(s), Picture: a.Render(s), Held: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int{marks[0].Hits, marks[1].Hits}; got != want {
			t.Errorf("%q: agree, right %v, want %v", text, got, want)
		}
	}
}

// TestItemsAreHeldOut makes the items of every task and wants what they say is held out to be so by the rules of training,
// not only by the lists of the file, and no item twice where enough are there.
func TestItemsAreHeldOut(t *testing.T) {
	w, _ := world(t)
	layouts := map[string]int{}
	for i, l := range w.Layouts {
		layouts[l.Name] = i
	}
	pairs, combos, numbers := w.HeldOut.Rules["pairs"], w.HeldOut.Rules["combinations"], w.HeldOut.Rules["numbers"]
	if pairs.Modulus == 0 || combos.Modulus == 0 || numbers.Modulus == 0 {
		t.Fatal("the world gives no rules")
	}
	for _, task := range Tasks {
		items := task.Items(w, 200, 1)
		if len(items) < 30 {
			t.Errorf("%s: %d items", task.Name, len(items))
		}
		again := task.Items(w, 200, 1)
		for i := range items {
			if items[i].Prompt != again[i].Prompt || items[i].Want != again[i].Want {
				t.Fatalf("%s: the same seed makes other items", task.Name)
			}
			it := &items[i]
			if strings.ContainsAny(it.Prompt+it.Want, "{}") {
				t.Errorf("%s: a place is not filled: %q, %q", it.ID, it.Prompt, it.Want)
			}
			switch {
			case strings.HasPrefix(it.Held, "pair") && it.Scene != nil:
				if n := it.Scene.Names; !pairs.Holds(w.index[n[0]], w.index[n[1]]) {
					t.Errorf("%s: %v was trained on", it.ID, it.Scene)
				}
			case strings.HasPrefix(it.Held, "combination"):
				s := it.Scene
				if !combos.Holds(w.index[s.Names[0]], w.background(s.Background), layouts[s.Layout]) || !slices.Contains(combos.Layouts, s.Layout) {
					t.Errorf("%s: %v was trained on", it.ID, s)
				}
			case it.Held == "numbers":
				var v []int
				for _, f := range strings.FieldsFunc(it.Prompt, func(r rune) bool { return r < '0' || r > '9' }) {
					n := 0
					for _, d := range f {
						n = 10*n + int(d-'0')
					}
					v = append(v, n)
				}
				p, q := v[0], v[1]
				if strings.HasPrefix(it.Prompt, "Take ") {
					p, q = q, p
				}
				if !numbers.Holds(p, q) || max(p, q) < numbers.From {
					t.Errorf("%s: %d and %d were trained on (%q)", it.ID, p, q, it.Prompt)
				}
			case it.Held == "phrasing":
				for _, p := range trained(w) {
					if it.Prompt == p {
						t.Errorf("%s: %q was trained on", it.ID, it.Prompt)
					}
				}
			}
			if it.Rule == "joint" && !strings.Contains(it.Prompt, engine.Hole) {
				t.Errorf("%s: no hole in %q", it.ID, it.Prompt)
			}
		}
		if task.Name == "draw" || task.Name == "describe" || strings.HasPrefix(task.Name, "questions") || task.Name == "counting" {
			seen := map[string]bool{}
			for _, it := range items {
				if !w.Unseen(*it.Scene) || seen[it.Scene.String()] {
					t.Errorf("%s: %v is trained on or there twice", it.ID, it.Scene)
				}
				seen[it.Scene.String()] = true
			}
			if len(items) < 200 {
				t.Errorf("%s: %d items of 200", task.Name, len(items))
			}
		}
	}
}

// trained are the prompts of small talk that the checkpoint was trained on.
func trained(w *World) (out []string) {
	for _, a := range w.Talk {
		out = append(out, a.Train...)
	}
	return out
}

// TestListsFollowTheRules compares the lists of held-out pairs and combinations with the rules beside them, whole.
func TestListsFollowTheRules(t *testing.T) {
	w, _ := world(t)
	n := 0
	for i, x := range w.Concepts {
		for k, y := range w.Concepts {
			listed := slices.Contains(w.HeldOut.Pairs, [2]string{x.Name, y.Name})
			if i != k && listed != w.HeldOut.Rules["pairs"].Holds(i, k) {
				t.Errorf("%s, %s: listed %v", x.Name, y.Name, listed)
			}
		}
	}
	r := w.HeldOut.Rules["combinations"]
	for li, l := range w.Layouts {
		if !slices.Contains(r.Layouts, l.Name) {
			continue
		}
		for i, x := range w.Concepts {
			for b, bg := range w.Backgrounds {
				if r.Holds(i, b, li) {
					n++
				}
				if listed := slices.Contains(w.HeldOut.Combinations, [3]string{l.Name, x.Name, bg.Name}); listed != r.Holds(i, b, li) {
					t.Errorf("%s, %s, %s: listed %v", l.Name, x.Name, bg.Name, listed)
				}
			}
		}
	}
	if n != len(w.HeldOut.Combinations) {
		t.Errorf("%d combinations by the rule, %d listed", n, len(w.HeldOut.Combinations))
	}
}

// TestBrokenWorlds changes one thing of the world each and wants an error that names the file and what is wrong.
func TestBrokenWorlds(t *testing.T) {
	data, err := os.ReadFile(embedded + "/" + WorldFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		change func(w map[string]any)
		says   string
	}{
		"version":       {func(w map[string]any) { w["version"] = 1 }, "version"},
		"grid":          {func(w map[string]any) { w["grid"] = []int{8, 7} }, "8 x 7"},
		"concepts":      {func(w map[string]any) { w["concepts"] = []any{} }, "concepts"},
		"two of a name": {func(w map[string]any) { c := w["concepts"].([]any); c[1] = c[0] }, "twice"},
		"group":         {func(w map[string]any) { w["groups"] = map[string]string{} }, "group"},
		"slot": {func(w map[string]any) {
			w["layouts"] = map[string]any{"one": []any{map[string]int{"row": 7, "column": 7, "side": 4}}}
		}, "outside"},
		"layouts":  {func(w map[string]any) { w["layouts"] = 7 }, "layouts"},
		"pair":     {func(w map[string]any) { w["held_out"].(map[string]any)["pairs"] = [][]string{{"cat", "dragon"}} }, "dragon"},
		"captions": {func(w map[string]any) { w["captions"] = map[string]any{"train": []string{"{scene}"}} }, "background"},
		"rule": {func(w map[string]any) {
			w["held_out"].(map[string]any)["rules"] = map[string]any{"pairs": map[string]any{"modulus": 0}}
		}, "rule pairs"},
	} {
		var w map[string]any
		if err := json.Unmarshal(data, &w); err != nil {
			t.Fatal(err)
		}
		x.change(w)
		broken, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseWorld(broken, "folder")
		var format *engine.FormatError
		if !errors.As(err, &format) || !strings.Contains(err.Error(), WorldFile) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseWorld(data[:len(data)/2], "folder"); err == nil {
		t.Error("half of the file is a world")
	}
	if _, _, err := Open(fstest.MapFS{}, fstest.MapFS{}, "folder"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "folder") {
		t.Errorf("an empty folder: %v", err)
	}
	w, _ := world(t)
	short := fstest.MapFS{AtlasFile: {Data: []byte(`{"columns":8,"names":["cat"],"sheets":{"6":"a.webp","4":"a.webp"}}`)}, "a.webp": {Data: []byte("RIFF")}}
	if _, err := OpenAtlas(short, "folder", w); err == nil || !strings.Contains(err.Error(), "a.webp") {
		t.Errorf("broken stickers: %v", err)
	}
}

// TestEveryKindHasItems wants the tasks to ask every kind of question that the world has.
func TestEveryKindHasItems(t *testing.T) {
	w, _ := world(t)
	asked := map[string]bool{}
	for _, task := range Tasks {
		for _, it := range task.Items(w, 300, 3) {
			asked[it.Kind] = true
		}
	}
	for _, kinds := range []map[string]Asking{w.Facts, w.Questions} {
		for k := range kinds {
			if !asked[k] && k != "describe" { // its items are told apart by layout
				t.Errorf("nothing asks %s", k)
			}
		}
	}
}

// FuzzWorld wants no panic and no endless loop from any file: an error, or a world that items can be made of.
func FuzzWorld(f *testing.F) {
	data, err := os.ReadFile(embedded + "/" + WorldFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":2,"grid":[8,8],"cell_px":16,"picture_px":128,"layouts":{"one":[{"row":1,"column":1,"side":6}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := ParseWorld(data, "fuzz")
		if err != nil {
			return
		}
		for _, task := range Tasks {
			task.Items(w, 3, 1)
		}
	})
}
