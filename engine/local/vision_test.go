package local

import (
	"bytes"
	"image"
	"path/filepath"
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/trace"
)

// TestVision asks the models that read pictures as vectors about none, one and two pictures.
func TestVision(t *testing.T) {
	for _, name := range []string{"llada-v", "lavida", "lavida-dream"} {
		t.Run(name, func(t *testing.T) {
			s := session(t, nil)
			spec, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, name), DType: "f32"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !spec.Vectors || !spec.Can(engine.Describe) || spec.Can(engine.TextToImage) {
				t.Fatalf("spec %+v", spec)
			}
			options := engine.Options{Length: 8, Steps: 4}
			record := func(events []engine.Event) { // a saved run can be read again
				var b bytes.Buffer
				w := trace.NewWriter(&b, "test")
				for _, ev := range events {
					if err := w.Write(ev); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := trace.Read(&b, "run"); err != nil {
					t.Error(err)
				}
			}
			describe := func(img image.Image) []engine.Change {
				c := collect(t, s, engine.Job{Task: engine.Describe, Image: img, Options: options})
				c.laws(t, spec)
				if n := vectors(c.started.Sequence, spec); n == 0 || c.started.Source == nil {
					t.Errorf("%d positions of the picture, source %v", n, c.started.Source)
				}
				return c.steps[0].Changes
			}
			same := func(a, b []engine.Change) bool {
				return slices.EqualFunc(a, b, func(x, y engine.Change) bool { return x.Pos == y.Pos && x.To == y.To && x.Prob == y.Prob })
			}
			wide, tall := picture(90, 40), picture(30, 80)
			first := describe(wide)
			if again := describe(wide); !same(first, again) {
				t.Error("two runs over one picture differ")
			}
			other := picture(90, 40)
			for i := range other.Pix {
				if i%4 != 3 {
					other.Pix[i] = 255 - other.Pix[i]
				}
			}
			if same(first, describe(other)) {
				t.Error("another picture of the same size changes nothing")
			}
			talk := []engine.Message{
				{Role: "user", Text: "What <image> is this?", Image: tall}, {Role: "assistant", Text: "red"}, {Role: "user", Text: "And this?", Image: wide},
			}
			one := collect(t, s, engine.Job{Task: engine.Chat, Messages: talk[2:], Options: options})
			two := collect(t, s, engine.Job{Task: engine.Chat, Messages: talk, Options: options})
			two.laws(t, spec)
			events := []engine.Event{two.started}
			for _, step := range two.steps {
				events = append(events, step)
			}
			record(append(events, two.finished))
			if a, b := vectors(one.started.Sequence, spec), vectors(two.started.Sequence, spec); a == 0 || b <= a {
				t.Errorf("%d positions of one picture, %d of two", a, b)
			}
			none := collect(t, s, engine.Job{Task: engine.Chat, Messages: user("hello"), Options: options})
			none.laws(t, spec)
			if n := vectors(none.started.Sequence, spec); n != 0 {
				t.Errorf("%d positions of no picture", n)
			}
			hole := collect(t, s, engine.Job{Task: engine.Infill, Messages: user("a red ___ in the ___"), Options: engine.Options{HoleLength: 2, Steps: 4}})
			hole.laws(t, spec)
		})
	}
}

// vectors counts the positions that stand for pictures.
func vectors(seq *engine.Sequence, spec engine.Spec) int {
	n := 0
	for i, id := range seq.Tokens {
		if int(id) >= spec.Vocab && seq.Fixed[i] {
			n++
		}
	}
	return n
}

// TestLazy compares dLLM-Cache that is refreshed in every pass with no cache at all.
func TestLazy(t *testing.T) {
	s := session(t, nil)
	spec, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, "llada-v"), DType: "f32"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var answers [][]engine.Token
	for _, cache := range []engine.CacheMode{engine.CacheNone, engine.CacheLazy} {
		// One pass has nothing to reuse.
		c := collect(t, s, engine.Job{Task: engine.Describe, Image: picture(40, 40), Options: engine.Options{Length: 8, Steps: 1, Cache: cache}})
		c.laws(t, spec)
		answers = append(answers, c.finished.Sequence.Tokens)
	}
	if !slices.Equal(answers[0], answers[1]) {
		t.Errorf("answers %v", answers)
	}
	c := collect(t, s, engine.Job{Task: engine.Describe, Image: picture(40, 40), Options: engine.Options{Length: 32, Steps: 32, Cache: engine.CacheLazy, Guidance: 0.5}})
	c.laws(t, spec)
}
