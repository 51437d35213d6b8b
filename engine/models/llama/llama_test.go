package llama

import (
	"os"
	"testing"
)

func FuzzParseConfig(f *testing.F) {
	for _, name := range []string{"dream", "dllm-a2d-qwen3-mdlm", "llada-moe"} {
		data, err := os.ReadFile("../../testdata/golden/" + name + "/config.json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"hidden_size":9223372036854775807,"num_attention_heads":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data, "config.json")
		if err != nil {
			return
		}
		if c.HeadWidth()%2 != 0 || c.Heads%c.KV() != 0 || c.Rot() > c.HeadWidth() || c.Rot() < 2 || c.VocabSize < 1 {
			t.Errorf("accepted %+v", c)
		}
	})
}
