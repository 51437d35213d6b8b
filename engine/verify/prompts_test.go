package verify

import (
	"path/filepath"
	"testing"
)

func TestPrompts(t *testing.T) {
	f, err := openFolder(filepath.Join("..", "testdata", "golden", "mmada"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := verifyMMaDAPrompts(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	for _, c := range f.checks {
		if !c.Pass {
			t.Errorf("%s: %s", c.Name, c.Note)
		}
	}
	if len(f.checks) < 60 {
		t.Errorf("%d checks", len(f.checks))
	}
	for _, n := range f.names("prompt.") {
		if !f.used[n] {
			t.Errorf("no check reads %s", n)
		}
	}
}

func TestTokenizerCases(t *testing.T) {
	for _, name := range []string{"llada", "llada_gqa", "llada_bf16"} {
		f, err := openFolder(filepath.Join("..", "testdata", "golden", name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyTokenizer(t.Context(), f, f.dir, "llada"); err != nil {
			t.Fatal(err)
		}
		for _, c := range f.checks {
			if !c.Pass {
				t.Errorf("%s: %s", c.Name, c.Note)
			}
		}
		if len(f.checks) == 0 {
			t.Errorf("%s: no checks", name)
		}
		f.close()
	}
}
