package llada

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"unmask/engine"
)

const golden = "../../testdata/golden"

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig(fixture(t, "llada_gqa/config.json"), "config.json")
	if err != nil {
		t.Fatal(err)
	}
	if c.Vocab() != 640 || c.KVHeads() != 2 || c.FF() != 112 || !c.IncludeQKVBias || c.MaskTokenID != 572 || c.RopeTheta != 10000 {
		t.Errorf("config %+v", c)
	}
	base := map[string]any{}
	if err := json.Unmarshal(fixture(t, "llada/config.json"), &base); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		key   string
		value any
		want  string // in the error; "": accepted
	}{
		{"n_kv_heads", nil, ""},
		{"embedding_size", nil, ""},
		{"mlp_hidden_size", nil, ""},
		{"multi_query_attention", true, ""},
		{"d_model", 0, "d_model"},
		{"d_model", -64, "d_model"},
		{"d_model", 1 << 40, "d_model"},
		{"d_model", "wide", "d_model"},
		{"d_model", 63, "head"},
		{"n_heads", 64, "head width"},
		{"n_kv_heads", 3, "3 key heads"},
		{"n_layers", 0, "n_layers"},
		{"embedding_size", -1, "embedding_size"},
		{"max_sequence_length", 0, "max_sequence_length"},
		{"mask_token_id", 640, "640"},
		{"mask_token_id", -2, "mask_token_id"},
		{"mask_token_id", nil, ""},
		{"rope_theta", 0, "rope_theta"},
		{"rms_norm_eps", 0, "rms_norm_eps"},
		{"rope", false, "not supported"},
		{"alibi", true, "not supported"},
		{"layer_norm_type", "low_precision", "not supported"},
		{"block_type", "sequential", "not supported"},
		{"scale_logits", true, "not supported"},
	} {
		m := maps.Clone(base)
		m[k.key] = k.value
		if k.value == nil {
			delete(m, k.key)
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseConfig(data, "x/config.json")
		switch {
		case k.want == "" && err != nil:
			t.Errorf("%s = %v: %v", k.key, k.value, err)
		case k.want != "" && (err == nil || !strings.Contains(err.Error(), k.want) || !strings.Contains(err.Error(), "x/config.json")):
			t.Errorf("%s = %v: error %v, want file and %q in it", k.key, k.value, err, k.want)
		}
	}
	var format *engine.FormatError
	if _, err := ParseConfig([]byte("{"), "c"); !errors.As(err, &format) {
		t.Errorf("broken JSON: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, name := range []string{"llada/config.json", "llada_gqa/config.json", "mmada/config.json"} {
		f.Add(fixture(f, name))
	}
	f.Add([]byte(`{"d_model":9223372036854775807,"n_heads":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data, "config.json")
		if err != nil {
			return
		}
		if c.DModel/c.NHeads*c.NHeads != c.DModel || c.NHeads%c.KVHeads() != 0 || c.MaskTokenID >= c.Vocab() {
			t.Errorf("accepted %+v", c)
		}
	})
}
