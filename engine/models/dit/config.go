// Package dit is the diffusion transformer of MDLM (arXiv:2406.07524) and BD3-LM (arXiv:2503.09573): layer norms, biases
// in the feed-forward alone, rotary positions, and vectors computed from a noise level that shift, scale and gate every
// block. Released checkpoints do not use the time: their noise level is always 0, so that these vectors are constants and
// are folded into norms and output matrices at load.
package dit

import (
	"encoding/json"
	"fmt"
	"math"

	"unmask/engine"
)

// Config is what config.json says of the network.
type Config struct {
	ModelType string `json:"model_type"`
	Hidden    int    `json:"hidden_dim"`
	Cond      int    `json:"cond_dim"`
	Length    int    `json:"model_length"`
	Blocks    int    `json:"n_blocks"`
	Heads     int    `json:"n_heads"`
	Vocab     int    `json:"vocab_size"` // with the mask, which is the last id
	Timed     bool   `json:"time_conditioning"`
	// BD3-LM's own fields.
	AdaLN     *bool `json:"adaln"`
	BlockSize int   `json:"block_size"`
	Causal    bool  `json:"causal"`
}

// ParseConfig reads a config.json. path names the file in errors.
func ParseConfig(data []byte, path string) (*Config, error) {
	c := &Config{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Err: err}
	}
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "config.json", Path: path, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"hidden_dim", c.Hidden}, {"cond_dim", c.Cond}, {"model_length", c.Length}, {"n_blocks", c.Blocks},
		{"n_heads", c.Heads}, {"vocab_size", c.Vocab}} {
		if f.v < 1 || f.v > math.MaxInt32 {
			return nil, bad(f.name, "%d, want 1 to %d", f.v, math.MaxInt32)
		}
	}
	switch {
	case c.Hidden%c.Heads != 0 || c.Hidden/c.Heads%2 != 0:
		return nil, bad("n_heads", "width %d over %d heads is not an even head width", c.Hidden, c.Heads)
	case c.BlockSize < 0 || c.BlockSize > c.Length:
		return nil, bad("block_size", "%d of %d positions", c.BlockSize, c.Length)
	case c.Causal:
		return nil, fmt.Errorf("%s: %w", path, &engine.UnsupportedError{What: "causal", Have: "attention in both directions"})
	case c.Timed:
		return nil, fmt.Errorf("%s: %w", path, &engine.UnsupportedError{What: "time_conditioning", Have: "networks that are not told the time"})
	}
	return c, nil
}

// Modulated reports whether blocks are shifted, scaled and gated.
func (c *Config) Modulated() bool { return c.AdaLN == nil || *c.AdaLN }
