package vocab

import (
	"os"
	"slices"
	"testing"

	"unmask/engine"
)

func TestRead(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/mmada/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := parse(data, "tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	// The fixture's golden.json: 340 pieces, then 269 added tokens in the order of the release.
	if v.Size != 609 || v.Added["<|mdm_mask|>"] != 596 || v.Added["<|eot_id|>"] != 608 {
		t.Errorf("size %d, mask %d, eot %d", v.Size, v.Added["<|mdm_mask|>"], v.Added["<|eot_id|>"])
	}
	if end := v.End(788, 341); !slices.Equal(end, []engine.Token{341, 608}) {
		t.Errorf("end tokens %v", end)
	}
	if end := v.End(600, -1, 700); !slices.Equal(end, []engine.Token{341}) {
		t.Errorf("end tokens of a small model %v", end)
	}
	for _, bad := range []string{`{"added_tokens":[{"id":-1,"content":"a"}]}`, `{"model":{"vocab":{"a":1e12}}}`, `[`, `{"model":{"vocab":{"a":3000000000}}}`} {
		if _, err := parse([]byte(bad), "t"); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestMask(t *testing.T) {
	v := &Vocabulary{Added: map[string]engine.Token{"<|mask|>": 7}}
	for _, c := range []struct {
		rows, configured int
		want             engine.Token
		ok               bool
	}{{10, -1, 7, true}, {10, 3, 3, true}, {7, -1, 0, false}, {10, 10, 0, false}} {
		got, err := v.Mask(c.rows, c.configured, "x")
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%+v: %d, %v", c, got, err)
		}
	}
	if _, err := (&Vocabulary{}).Mask(10, -1, "x"); err == nil {
		t.Error("no mask anywhere: no error")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"added_tokens":[{"id":5,"content":"<|eot_id|>"}],"model":{"vocab":{"a":0,"b":1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := parse(data, "t"); err == nil && (v.Size < 0 || v.Size > maxID+1) {
			t.Errorf("size %d", v.Size)
		}
	})
}
