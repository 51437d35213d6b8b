package lladamoe

import (
	"os"
	"testing"
)

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("../../testdata/golden/llada-moe/config.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"num_experts":3,"num_experts_per_tok":4,"moe_layer_freq":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := parse(data, "config.json", 100); err == nil && (e.Experts > 100 || e.TopK > e.Experts) {
			t.Errorf("accepted %+v", e)
		}
	})
}
