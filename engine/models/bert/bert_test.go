package bert

import (
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	const good = `{"hidden_size":48,"num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":96,"max_position_embeddings":40,"vocab_size":400}`
	c, err := ParseConfig([]byte(good), "x")
	if err != nil || c.Eps != 1e-12 || c.Types != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, bad := range []struct{ from, to, want string }{
		{`"hidden_size":48`, `"hidden_size":50`, "num_attention_heads"},
		{`"vocab_size":400`, `"vocab_size":-4`, "vocab_size"},
		{`"vocab_size":400`, `"vocab_size":400,"hidden_act":"relu"`, "hidden_act"},
		{`"vocab_size":400`, `"vocab_size":400,"position_embedding_type":"relative_key"`, "position_embedding_type"},
		{`"vocab_size":400`, `"vocab_size":400,"layer_norm_eps":0`, "layer_norm_eps"},
		{`{`, ``, "x"},
	} {
		if _, err := ParseConfig([]byte(strings.Replace(good, bad.from, bad.to, 1)), "x"); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v", bad.to, err)
		}
	}
}

// TestEmbed: the step's embedding begins with cosines, of which the first has period 2 pi.
func TestEmbed(t *testing.T) {
	x := embed(0, 8, 16)
	for i, v := range x {
		want := float32(1)
		if i >= 4 {
			want = 0
		}
		if v != want {
			t.Errorf("entry %d at step 0 is %g, want %g", i, v, want)
		}
	}
}
