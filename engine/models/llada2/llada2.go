// Package llada2 is LLaDA2.0 and LLaDA2.1 (inclusionAI): a block-causal, sparse transformer of the Ling family. Attention
// sees the blocks of 32 positions, counted from the start, up to a position's own.
package llada2

import (
	"context"
	"encoding/json"
	"fmt"

	"unmask/engine"
	"unmask/engine/models/llama"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Block is the block length of the released checkpoints.
const Block = 32

// config are the fields beyond those of the parent.
type config struct {
	Dense     int     `json:"first_k_dense_replace"`
	Width     int     `json:"moe_intermediate_size"`
	Experts   int     `json:"num_experts"`
	TopK      int     `json:"num_experts_per_tok"`
	Groups    int     `json:"n_group"`
	TopGroups int     `json:"topk_group"`
	Shared    int     `json:"num_shared_experts"`
	Scale     float64 `json:"routed_scaling_factor"`
	Bias      bool    `json:"moe_router_enable_expert_bias"`
	Score     string  `json:"score_function"`
	QKNorm    bool    `json:"use_qk_norm"`
	QKVBias   bool    `json:"use_qkv_bias"`
	OBias     bool    `json:"use_bias"`
	NormHead  bool    `json:"norm_head"`
	Split     bool    `json:"using_split_qkv_in_self_attention"`
}

// Open reads config.json and tokenizer.json of src and binds the network.
func Open(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*nn.Stack, engine.Spec, error) {
	data, err := src.File("config.json")
	if err != nil {
		return nil, engine.Spec{}, err
	}
	c, err := llama.ParseConfig(data, src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	e, err := parse(data, src.Path(), len(src.Names()))
	if err != nil {
		return nil, engine.Spec{}, err
	}
	v, err := vocab.Read(src)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	mask, err := v.Mask(c.VocabSize, c.Mask(), src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	s, err := load(ctx, b, be, c, e)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	return s, engine.Spec{
		Mask: mask, End: v.End(c.VocabSize, c.EOS...), Tasks: []engine.Task{engine.Chat, engine.Infill},
		Block: Block, BlocksFromStart: true,
	}, nil
}

// parse reads the sparse part of a config.json. A checkpoint of tensors tensors cannot hold more experts than that.
func parse(data []byte, path string, tensors int) (*config, error) {
	e := &config{Score: "sigmoid", QKNorm: true, Groups: 1, TopGroups: 1, Scale: 1}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Err: err}
	}
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "config.json", Path: path, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	unsupported := func(what, have string) error {
		return &engine.UnsupportedError{What: path + ": " + what, Have: have}
	}
	switch {
	case e.Score != "sigmoid":
		return nil, unsupported("score_function "+e.Score, "sigmoid")
	case e.NormHead:
		return nil, unsupported("norm_head", "a plain head")
	case e.Split:
		return nil, unsupported("using_split_qkv_in_self_attention", "one projection for queries, keys and values")
	case e.QKVBias || e.OBias:
		return nil, unsupported("biases in attention", "attention without")
	case e.Experts < 1 || e.Experts > tensors:
		return nil, bad("num_experts", "%d, want 1 to the %d tensors of the checkpoint", e.Experts, tensors)
	case e.TopK < 1 || e.TopK > e.Experts:
		return nil, bad("num_experts_per_tok", "%d of %d experts", e.TopK, e.Experts)
	case e.Groups < 1 || e.Experts%e.Groups != 0:
		return nil, bad("n_group", "%d experts in %d groups", e.Experts, e.Groups)
	case e.TopGroups < 1 || e.TopGroups > e.Groups || e.TopGroups*(e.Experts/e.Groups) < e.TopK:
		return nil, bad("topk_group", "%d of %d groups for %d experts a token", e.TopGroups, e.Groups, e.TopK)
	case e.Shared < 0 || e.Shared > tensors || e.Dense < 0:
		return nil, bad("num_shared_experts", "%d, after %d dense layers", e.Shared, e.Dense)
	}
	return e, nil
}

func load(ctx context.Context, b *weights.Binder, be tensor.Backend, c *llama.Config, e *config) (*nn.Stack, error) {
	d := c.HiddenSize
	s := &nn.Stack{
		Embed:  b.Tensor("model.word_embeddings.weight", c.VocabSize, d),
		Norm:   nn.LoadRMSNorm(b, "model.norm", d, float32(c.RMSNormEps)),
		Config: nn.Config{Vocab: c.VocabSize, Width: d, Layers: c.Layers, MaxLen: c.MaxPositions, Pads: nn.PadsSeeNothing},
	}
	head := "lm_head.weight"
	if c.Tied && !b.Has(head) {
		head = "model.word_embeddings.weight"
	}
	s.Head = nn.Linear{W: b.Matrix(head, c.VocabSize, d)}
	for i := 0; i < c.Layers && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.Blocks = append(s.Blocks, block(b, be, c, e, i))
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	s.Bind(be)
	return s, nil
}

func block(b *weights.Binder, be tensor.Backend, c *llama.Config, e *config, i int) nn.Block {
	at := fmt.Sprintf("model.layers.%d.", i)
	attn := at + "attention."
	d, k, eps := c.HiddenSize, c.HeadWidth(), float32(c.RMSNormEps)
	qkv := b.Split(attn+"query_key_value.weight", d, c.Heads*k, c.KV()*k, c.KV()*k)
	x := nn.Block{
		AttnNorm: nn.LoadRMSNorm(b, at+"input_layernorm", d, eps),
		Attn: nn.Attention{
			Q: nn.Linear{W: qkv[0]}, K: nn.Linear{W: qkv[1]}, V: nn.Linear{W: qkv[2]},
			O:     nn.LoadLinear(b, attn+"dense", d, c.Heads*k, false),
			Heads: c.Heads, KVHeads: c.KV(), HeadWidth: k, Theta: c.RopeTheta, Rot: c.Rot(),
		},
		MLPNorm: nn.LoadRMSNorm(b, at+"post_attention_layernorm", d, eps),
	}
	if e.QKNorm {
		q, kn := nn.LoadRMSNorm(b, attn+"query_layernorm", k, eps), nn.LoadRMSNorm(b, attn+"key_layernorm", k, eps)
		x.Attn.QNorm, x.Attn.KNorm = &q, &kn
	}
	if i < e.Dense {
		x.MLP = llama.SwiGLU(b, at+"mlp", d, c.Intermediate)
		return x
	}
	x.MLP = e.sparse(b, be, at+"mlp", d)
	return x
}

// sparse binds one sparse feed-forward.
func (e *config) sparse(b *weights.Binder, be tensor.Backend, at string, d int) *nn.MoE {
	m := &nn.MoE{Router: nn.LoadLinear(b, at+".gate", e.Experts, d, false)}
	var bias []float32
	if e.Bias {
		if x := b.Tensor(at+".gate.expert_bias", e.Experts); x != nil {
			bias = make([]float32, e.Experts)
			be.Download(bias, x)
		}
	}
	m.Gate = nn.SigmoidGate(e.TopK, e.Groups, e.TopGroups, float32(e.Scale), bias)
	for i := range e.Experts {
		m.Experts = append(m.Experts, llama.SwiGLU(b, fmt.Sprintf("%s.experts.%d", at, i), d, e.Width))
	}
	if e.Shared > 0 {
		m.Shared = llama.SwiGLU(b, at+".shared_experts", d, e.Shared*e.Width)
	}
	return m
}
