// Package llama binds networks whose weights are named as in LLaMA, Qwen and their descendants: model.embed_tokens,
// model.layers.N.self_attn.q_proj, lm_head. Families built on such a parent (Dream, A2D, LLaDA-MoE) share it.
package llama

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Config is what config.json says of the network. Fields that the network does not read are left out.
type Config struct {
	HiddenSize    int      `json:"hidden_size"`
	Heads         int      `json:"num_attention_heads"`
	KVHeads       *int     `json:"num_key_value_heads"`
	HeadDim       *int     `json:"head_dim"` // absent: HiddenSize / Heads
	Layers        int      `json:"num_hidden_layers"`
	Intermediate  int      `json:"intermediate_size"`
	VocabSize     int      `json:"vocab_size"`
	MaxPositions  int      `json:"max_position_embeddings"`
	RopeTheta     float64  `json:"rope_theta"`
	RopeScaling   any      `json:"rope_scaling"`
	PartialRotary float64  `json:"partial_rotary_factor"`
	RMSNormEps    float64  `json:"rms_norm_eps"`
	HiddenAct     string   `json:"hidden_act"`
	Tied          bool     `json:"tie_word_embeddings"`
	SlidingWindow bool     `json:"use_sliding_window"`
	AttentionBias bool     `json:"attention_bias"`
	MaskTokenID   *int     `json:"mask_token_id"`
	EOS           IDs      `json:"eos_token_id"`
	Architectures []string `json:"architectures"`
}

// IDs is one token id or a list of them.
type IDs []int

// UnmarshalJSON implements [json.Unmarshaler].
func (ids *IDs) UnmarshalJSON(data []byte) error {
	*ids = nil
	if string(data) == "null" {
		return nil
	}
	var one int
	if json.Unmarshal(data, &one) == nil {
		*ids = IDs{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(ids))
}

// ParseConfig reads a config.json; path names the file in errors.
func ParseConfig(data []byte, path string) (*Config, error) {
	c := &Config{RMSNormEps: 1e-6, RopeTheta: 10000, HiddenAct: "silu", PartialRotary: 1}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Err: err}
	}
	switch {
	case c.HiddenAct != "silu":
		return nil, &engine.UnsupportedError{What: fmt.Sprintf("%s: hidden_act %q", path, c.HiddenAct), Have: "silu"}
	case c.RopeScaling != nil:
		return nil, &engine.UnsupportedError{What: path + ": rope_scaling", Have: "unscaled rotary positions"}
	case c.SlidingWindow:
		return nil, &engine.UnsupportedError{What: path + ": use_sliding_window", Have: "full attention"}
	}
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "config.json", Path: path, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"hidden_size", c.HiddenSize}, {"num_attention_heads", c.Heads}, {"num_key_value_heads", c.KV()},
		{"num_hidden_layers", c.Layers}, {"vocab_size", c.VocabSize}, {"max_position_embeddings", c.MaxPositions},
		{"head_dim", c.HeadWidth()}} {
		if f.v < 1 || f.v > math.MaxInt32 {
			return nil, bad(f.name, "%d, want 1 to %d", f.v, math.MaxInt32)
		}
	}
	switch {
	case c.HeadDim == nil && c.HiddenSize%c.Heads != 0:
		return nil, bad("num_attention_heads", "width %d is not a multiple of %d heads", c.HiddenSize, c.Heads)
	case c.HeadWidth()%2 != 0:
		return nil, bad("head_dim", "%d is odd", c.HeadWidth())
	case c.Heads%c.KV() != 0:
		return nil, bad("num_key_value_heads", "%d heads are not a multiple of %d key heads", c.Heads, c.KV())
	case !(c.PartialRotary > 0 && c.PartialRotary <= 1) || c.Rot()%2 != 0 || c.Rot() < 2:
		return nil, bad("partial_rotary_factor", "%g of heads of %d", c.PartialRotary, c.HeadWidth())
	case !(c.RopeTheta > 0) || math.IsInf(c.RopeTheta, 0):
		return nil, bad("rope_theta", "%g, want above 0", c.RopeTheta)
	case !(c.RMSNormEps > 0) || c.RMSNormEps > 1:
		return nil, bad("rms_norm_eps", "%g, want above 0 and at most 1", c.RMSNormEps)
	}
	return c, nil
}

// KV is the number of key/value heads.
func (c *Config) KV() int {
	if c.KVHeads != nil {
		return *c.KVHeads
	}
	return c.Heads
}

// HeadWidth is the width of a head.
func (c *Config) HeadWidth() int {
	switch {
	case c.HeadDim != nil:
		return *c.HeadDim
	case c.Heads > 0:
		return c.HiddenSize / c.Heads
	}
	return 0
}

// Rot is how many entries of a head rotate.
func (c *Config) Rot() int { return int(float64(c.HeadWidth()) * c.PartialRotary) }

// Mask is the configured mask token, or -1.
func (c *Config) Mask() int {
	if c.MaskTokenID != nil {
		return *c.MaskTokenID
	}
	return -1
}

// Parts say how a family's blocks differ from LLaMA's.
type Parts struct {
	QKVBias bool // biases on queries, keys and values
	OBias   bool // and on the output projection
	QKNorm  bool // RMS norm of queries and keys, per head, before rotation
	// FeedForward, when not nil, loads the second half of layer i, whose names begin with at ("model.layers.3.mlp").
	FeedForward func(i int, at string) nn.FeedForward
}

// Load binds the network of c from a checkpoint. The binder's error, which lists everything that is wrong with the
// checkpoint, is returned; ctx is checked between layers.
func Load(ctx context.Context, b *weights.Binder, be tensor.Backend, c *Config, p Parts) (*nn.Stack, error) {
	d, eps := c.HiddenSize, float32(c.RMSNormEps)
	s := &nn.Stack{
		Embed:  b.Tensor("model.embed_tokens.weight", c.VocabSize, d),
		Norm:   nn.LoadRMSNorm(b, "model.norm", d, eps),
		Config: nn.Config{Vocab: c.VocabSize, Width: d, Layers: c.Layers, MaxLen: c.MaxPositions},
	}
	head := "lm_head.weight"
	if c.Tied && !b.Has(head) {
		head = "model.embed_tokens.weight"
	}
	s.Head = nn.Linear{W: b.Matrix(head, c.VocabSize, d)}
	for i := 0; i < c.Layers && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.Blocks = append(s.Blocks, block(b, c, p, i))
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	s.Bind(be)
	return s, nil
}

func block(b *weights.Binder, c *Config, p Parts, i int) nn.Block {
	at := fmt.Sprintf("model.layers.%d.", i)
	attn := at + "self_attn."
	d, k, eps := c.HiddenSize, c.HeadWidth(), float32(c.RMSNormEps)
	x := nn.Block{
		AttnNorm: nn.LoadRMSNorm(b, at+"input_layernorm", d, eps),
		Attn: nn.Attention{
			Q:     nn.LoadLinear(b, attn+"q_proj", c.Heads*k, d, p.QKVBias),
			K:     nn.LoadLinear(b, attn+"k_proj", c.KV()*k, d, p.QKVBias),
			V:     nn.LoadLinear(b, attn+"v_proj", c.KV()*k, d, p.QKVBias),
			O:     nn.LoadLinear(b, attn+"o_proj", d, c.Heads*k, p.OBias),
			Heads: c.Heads, KVHeads: c.KV(), HeadWidth: k, Theta: c.RopeTheta, Rot: c.Rot(),
		},
		MLPNorm: nn.LoadRMSNorm(b, at+"post_attention_layernorm", d, eps),
	}
	if p.QKNorm {
		q, kn := nn.LoadRMSNorm(b, attn+"q_norm", k, eps), nn.LoadRMSNorm(b, attn+"k_norm", k, eps)
		x.Attn.QNorm, x.Attn.KNorm = &q, &kn
	}
	if p.FeedForward != nil {
		x.MLP = p.FeedForward(i, at+"mlp")
	} else {
		x.MLP = SwiGLU(b, at+"mlp", d, c.Intermediate)
	}
	return x
}

// SwiGLU reads at+".gate_proj", ".up_proj" [f, d] and ".down_proj" [d, f].
func SwiGLU(b *weights.Binder, at string, d, f int) *nn.SwiGLU {
	return &nn.SwiGLU{
		Gate:  nn.LoadLinear(b, at+".gate_proj", f, d, false),
		Up:    nn.LoadLinear(b, at+".up_proj", f, d, false),
		Down:  nn.LoadLinear(b, at+".down_proj", d, f, false),
		Width: f,
	}
}
