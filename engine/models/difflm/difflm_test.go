package difflm

import (
	"strings"
	"testing"
)

func TestParseArgs(t *testing.T) {
	const good = `{"image_size":4,"num_channels":32,"in_channel":16,"vocab_size":100,"diffusion_steps":12,"noise_schedule":"sqrt","predict_xstart":true,"rescale_timesteps":true}`
	if _, err := ParseArgs([]byte(good), "x"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct{ from, to, want string }{
		{`"in_channel":16`, `"in_channel":0`, "in_channel"},
		{`"vocab_size":100`, `"vocab_size":99999999999`, "vocab_size"},
		{`"num_channels":32`, `"num_channels":31`, "num_channels"},
		{`"predict_xstart":true`, `"predict_xstart":false`, "predict_xstart"},
		{`"image_size":4`, `"image_size":4,"learn_sigma":true`, "learn_sigma"},
		{`{`, ``, "x"},
	} {
		if _, err := ParseArgs([]byte(strings.Replace(good, bad.from, bad.to, 1)), "x"); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v", bad.to, err)
		}
	}
}
