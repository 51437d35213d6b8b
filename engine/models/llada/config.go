// Package llada is LLaDA (arXiv:2502.09992): a LLaMA transformer without causal mask that predicts every masked token at
// once. MMaDA has the same network. The layout is that of the released checkpoints, GSAI-ML/LLaDA-8B-*.
package llada

import (
	"encoding/json"
	"fmt"
	"math"

	"unmask/engine"
)

// Config is what config.json says of the network. Fields that the network does not read are left out.
type Config struct {
	ModelType          string  `json:"model_type"`
	Name               string  `json:"_name_or_path"`
	DModel             int     `json:"d_model"`
	NHeads             int     `json:"n_heads"`
	NKVHeads           *int    `json:"n_kv_heads"`
	MultiQuery         *bool   `json:"multi_query_attention"`
	NLayers            int     `json:"n_layers"`
	MLPHidden          *int    `json:"mlp_hidden_size"`
	MLPRatio           int     `json:"mlp_ratio"`
	VocabSize          int     `json:"vocab_size"`
	EmbeddingSize      *int    `json:"embedding_size"` // rows of the embedding; absent: VocabSize
	MaxSequenceLength  int     `json:"max_sequence_length"`
	Rope               bool    `json:"rope"`
	RopeTheta          float64 `json:"rope_theta"`
	RMSNormEps         float64 `json:"rms_norm_eps"`
	LayerNormType      string  `json:"layer_norm_type"`
	ActivationType     string  `json:"activation_type"`
	BlockType          string  `json:"block_type"`
	BlockGroupSize     int     `json:"block_group_size"`
	IncludeBias        bool    `json:"include_bias"`
	IncludeQKVBias     bool    `json:"include_qkv_bias"`
	BiasForLayerNorm   bool    `json:"bias_for_layer_norm"`
	AttentionLayerNorm bool    `json:"attention_layer_norm"`
	InputEmbNorm       bool    `json:"input_emb_norm"`
	ScaleLogits        bool    `json:"scale_logits"`
	Alibi              bool    `json:"alibi"`
	WeightTying        bool    `json:"weight_tying"`
	MaskTokenID        int     `json:"mask_token_id"` // -1: the tokenizer's "<|mdm_mask|>"
	EOSTokenID         int     `json:"eos_token_id"`

	// MMaDA's own fields.
	LLMVocabSize int `json:"llm_vocab_size"`
	CodebookSize int `json:"codebook_size"`
	NumVQTokens  int `json:"num_vq_tokens"`
}

// ParseConfig reads a config.json. path names the file in errors. It refuses settings that no released checkpoint of the
// family uses and that would need another network.
func ParseConfig(data []byte, path string) (*Config, error) {
	c := &Config{MLPRatio: 4, RMSNormEps: 1e-5, RopeTheta: 10000, LayerNormType: "rms", ActivationType: "silu",
		BlockType: "llama", BlockGroupSize: 1, MaskTokenID: -1, EOSTokenID: -1}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Err: err}
	}
	if err := c.supported(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	bad := func(item string, format string, args ...any) error {
		return &engine.FormatError{Format: "config.json", Path: path, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"d_model", c.DModel}, {"n_heads", c.NHeads}, {"n_layers", c.NLayers}, {"embedding_size", c.Vocab()},
		{"max_sequence_length", c.MaxSequenceLength}, {"n_kv_heads", c.KVHeads()}, {"mlp_hidden_size", c.FF()}} {
		if f.v < 1 || f.v > math.MaxInt32 {
			return nil, bad(f.name, "%d, want 1 to %d", f.v, math.MaxInt32)
		}
	}
	switch {
	case c.DModel%c.NHeads != 0 || c.DModel/c.NHeads%2 != 0:
		return nil, bad("n_heads", "width %d over %d heads is not an even head width", c.DModel, c.NHeads)
	case c.NHeads%c.KVHeads() != 0:
		return nil, bad("n_kv_heads", "%d heads are not a multiple of %d key heads", c.NHeads, c.KVHeads())
	case c.MaskTokenID < -1 || c.MaskTokenID >= c.Vocab():
		return nil, bad("mask_token_id", "%d is outside the vocabulary of %d", c.MaskTokenID, c.Vocab())
	case !(c.RopeTheta > 0) || math.IsInf(c.RopeTheta, 0):
		return nil, bad("rope_theta", "%g, want above 0", c.RopeTheta)
	case !(c.RMSNormEps > 0) || c.RMSNormEps > 1:
		return nil, bad("rms_norm_eps", "%g, want above 0 and at most 1", c.RMSNormEps)
	}
	return c, nil
}

func (c *Config) supported() error {
	for _, f := range []struct {
		what string
		bad  bool
		have string
	}{
		{"layer_norm_type " + c.LayerNormType, c.LayerNormType != "rms", "rms"},
		{"activation_type " + c.ActivationType, c.ActivationType != "silu" && c.ActivationType != "swiglu", "silu"},
		{"block_type " + c.BlockType, c.BlockType != "llama", "llama"},
		{fmt.Sprint("block_group_size ", c.BlockGroupSize), c.BlockGroupSize != 1, "1"},
		{"rope false", !c.Rope, "rope true"},
		{"alibi", c.Alibi, "rope"},
		{"bias_for_layer_norm", c.BiasForLayerNorm, "norms without bias"},
		{"attention_layer_norm", c.AttentionLayerNorm, "attention without its own norm"},
		{"input_emb_norm", c.InputEmbNorm, "embeddings as they are"},
		{"scale_logits", c.ScaleLogits, "logits as they are"},
	} {
		if f.bad {
			return &engine.UnsupportedError{What: f.what, Have: f.have}
		}
	}
	return nil
}

// Vocab is the number of rows of the embedding and of the head.
func (c *Config) Vocab() int {
	if c.EmbeddingSize != nil {
		return *c.EmbeddingSize
	}
	return c.VocabSize
}

// KVHeads is the number of key/value heads.
func (c *Config) KVHeads() int {
	switch {
	case c.NKVHeads != nil:
		return *c.NKVHeads
	case c.MultiQuery != nil && *c.MultiQuery:
		return 1
	}
	return c.NHeads
}

// FF is the feed-forward width.
func (c *Config) FF() int {
	if c.MLPHidden != nil {
		return *c.MLPHidden
	}
	return c.MLPRatio * c.DModel
}
