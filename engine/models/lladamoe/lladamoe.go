// Package lladamoe is LLaDA-MoE: LLaDA's process with a sparse network. Queries and keys are normalised per head, and most
// layers route every token to a few of many small feed-forwards.
package lladamoe

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"unmask/engine"
	"unmask/engine/models/llama"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// config are the fields beyond those of the parent.
type config struct {
	Dense   int      `json:"dense_intermediate_size"`
	Width   int      `json:"expert_intermediate_size"`
	Experts int      `json:"num_experts"`
	TopK    int      `json:"num_experts_per_tok"`
	Sparse  layers   `json:"moe_layer_freq"`
	Score   string   `json:"moe_router_score_function"`
	Bias    bool     `json:"moe_router_enable_expert_bias"`
	Shared  *int     `json:"shared_expert_intermediate_size"`
	Groups  *int     `json:"router_num_group"`
	QKNorm  bool     `json:"qk_layernorm"`
	Clip    *float64 `json:"clip_qkv"`
}

// layers says which layers are sparse: a list of 0 and 1, or n for every n-th.
type layers struct {
	list  []int
	every int
}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *layers) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &l.every) == nil {
		return nil
	}
	return json.Unmarshal(data, &l.list)
}

func (l layers) sparse(i int) bool {
	if l.list != nil {
		return i < len(l.list) && l.list[i] != 0
	}
	return l.every < 2 || i%l.every == 0
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
	s, err := llama.Load(ctx, b, be, c, llama.Parts{
		QKVBias: c.AttentionBias, OBias: c.AttentionBias, QKNorm: e.QKNorm,
		FeedForward: func(i int, at string) nn.FeedForward {
			if !e.Sparse.sparse(i) {
				return llama.SwiGLU(b, at, c.HiddenSize, e.Dense)
			}
			return e.load(b, be, at, c.HiddenSize)
		},
	})
	if err != nil {
		return nil, engine.Spec{}, err
	}
	return s, engine.Spec{Mask: mask, End: v.End(c.VocabSize, c.EOS...), Tasks: []engine.Task{engine.Chat, engine.Infill}}, nil
}

// parse reads the sparse part of a config.json. A checkpoint of tensors tensors cannot hold more experts than that.
func parse(data []byte, path string, tensors int) (*config, error) {
	e := &config{Score: "softmax"}
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
	case e.Score != "softmax":
		return nil, unsupported("moe_router_score_function "+e.Score, "softmax")
	case e.Groups != nil && *e.Groups > 1:
		return nil, unsupported("router_num_group", "one group")
	case e.Clip != nil:
		return nil, unsupported("clip_qkv", "unclipped queries and keys")
	case e.Experts < 1 || e.Experts > tensors:
		return nil, bad("num_experts", "%d, want 1 to the %d tensors of the checkpoint", e.Experts, tensors)
	case e.TopK < 1 || e.TopK > e.Experts:
		return nil, bad("num_experts_per_tok", "%d of %d experts", e.TopK, e.Experts)
	}
	return e, nil
}

// load binds one sparse feed-forward.
func (e *config) load(b *weights.Binder, be tensor.Backend, at string, d int) *nn.MoE {
	m := &nn.MoE{Router: nn.LoadLinear(b, at+".gate", e.Experts, d, false)}
	var bias []float32
	if e.Bias {
		if x := b.Tensor(first(b, at+".expert_bias", at+".gate.expert_bias"), e.Experts); x != nil {
			bias = make([]float32, e.Experts)
			be.Download(bias, x)
		}
	}
	m.Gate = nn.SoftmaxGate(e.TopK, bias)
	if e.Shared != nil && *e.Shared > 0 {
		shared := first(b, at+".shared_expert.gate_proj.weight", at+".shared_experts.gate_proj.weight")
		m.Shared = llama.SwiGLU(b, strings.TrimSuffix(shared, ".gate_proj.weight"), d, *e.Shared)
	}
	for i := range e.Experts {
		m.Experts = append(m.Experts, llama.SwiGLU(b, fmt.Sprintf("%s.experts.%d", at, i), d, e.Width))
	}
	return m
}

// first is the one of names that the checkpoint holds, or the first. The released checkpoint has neither bias nor shared
// expert, so their names are those of its two relatives.
func first(b *weights.Binder, names ...string) string {
	for _, n := range names {
		if b.Has(n) {
			return n
		}
	}
	return names[0]
}
