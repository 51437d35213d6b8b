package flat

import (
	"slices"
	"testing"
)

func known(key string) bool { return key == "threads" || key == "model" || key == "demo" }

func TestParse(t *testing.T) {
	got, err := Parse("config.json", []byte(`{"threads": 2, "treads": 1, "demo": true, "model": {}}`), known, "demo, model, threads")
	if want := []Pair{{"threads", "2"}, {"demo", "true"}}; !slices.Equal(got, want) || err == nil {
		t.Errorf("have %v, %v; want %v and an error", got, err, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{}`, `{"threads": 2}`, `{"model": "x", "demo": true}`, `{"threads": -`, `[`, `{"a":{"b":[1,2,{}]}}`, "\xff{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		pairs, _ := Parse("config.json", b, known, "")
		seen := map[string]bool{}
		for _, p := range pairs {
			if !known(p.Key) || seen[p.Key] {
				t.Errorf("key %q is unknown or there twice", p.Key)
			}
			seen[p.Key] = true
		}
	})
}
