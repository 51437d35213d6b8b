package dit

import (
	"fmt"

	"unmask/engine/weights"
)

// averaged names the tensors of a trainer's checkpoint as a release does. Such a file holds the live weights under
// "state_dict." and their running averages, which samples are made with, as a list in the order of the parameters.
func averaged(src *weights.Set, c *Config) {
	if !src.Has("ema.shadow_params.0") {
		return
	}
	names := map[string]string{}
	for i, n := range Parameters(c) {
		names["backbone."+n] = fmt.Sprintf("ema.shadow_params.%d", i)
	}
	src.Rename(names)
}

// Parameters lists the names of the network's parameters in the order in which a trainer keeps them.
func Parameters(c *Config) []string {
	names := []string{"vocab_embed.embedding"}
	layer := func(name string) { names = append(names, name+".weight", name+".bias") }
	if c.Modulated() {
		layer("sigma_map.mlp.0")
		layer("sigma_map.mlp.2")
	}
	for i := range c.Blocks {
		at := fmt.Sprintf("blocks.%d.", i)
		names = append(names, at+"norm1.weight", at+"attn_qkv.weight", at+"attn_out.weight", at+"norm2.weight")
		layer(at + "mlp.0")
		layer(at + "mlp.2")
		if c.Modulated() {
			layer(at + "adaLN_modulation")
		}
	}
	names = append(names, "output_layer.norm_final.weight")
	layer("output_layer.linear")
	if c.Modulated() {
		layer("output_layer.adaLN_modulation")
	}
	return names
}
