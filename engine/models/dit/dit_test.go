package dit

import (
	"errors"
	"strings"
	"testing"

	"unmask/engine"
)

func TestParseConfig(t *testing.T) {
	const good = `{"model_type":"mdlm","hidden_dim":48,"cond_dim":32,"model_length":12,"n_blocks":2,"n_heads":4,"vocab_size":292}`
	c, err := ParseConfig([]byte(good), "x")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(Parameters(c)); n != 1+4+2*10+1+4 {
		t.Errorf("%d parameters", n)
	}
	for _, bad := range []struct{ from, to, want string }{
		{`"hidden_dim":48`, `"hidden_dim":50`, "n_heads"},
		{`"vocab_size":292`, `"vocab_size":0`, "vocab_size"},
		{`"n_blocks":2`, `"n_blocks":-1`, "n_blocks"},
		{`"n_blocks":2`, `"n_blocks":9999999999`, "n_blocks"},
		{`"n_blocks":2`, `"n_blocks":2,"time_conditioning":true`, "time_conditioning"},
		{`"n_blocks":2`, `"n_blocks":2,"causal":true`, "causal"},
		{`"n_blocks":2`, `"n_blocks":2,"block_size":13`, "block_size"},
		{`{`, ``, "x"},
	} {
		_, err := ParseConfig([]byte(strings.Replace(good, bad.from, bad.to, 1)), "x")
		var format *engine.FormatError
		var unsupported *engine.UnsupportedError
		if !errors.As(err, &format) && !errors.As(err, &unsupported) || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v", bad.to, err)
		}
	}
}
