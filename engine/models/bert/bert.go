// Package bert is DiffusionBERT (arXiv:2211.15029): BERT that denoises, with or without the time of a step added in every
// layer. The layout is that of pytorch_model.bin as BERT is released, or of the trainer's ".th" files.
package bert

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"unmask/engine"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Steps is the number of steps that DiffusionBERT is trained with.
const Steps = 2048

// Config is what config.json says of the network.
type Config struct {
	Hidden       int     `json:"hidden_size"`
	Layers       int     `json:"num_hidden_layers"`
	Heads        int     `json:"num_attention_heads"`
	Intermediate int     `json:"intermediate_size"`
	Positions    int     `json:"max_position_embeddings"`
	Types        int     `json:"type_vocab_size"`
	Vocab        int     `json:"vocab_size"`
	Eps          float64 `json:"layer_norm_eps"`
	Act          string  `json:"hidden_act"`
	Position     string  `json:"position_embedding_type"`
}

// ParseConfig reads a config.json. path names the file in errors.
func ParseConfig(data []byte, path string) (*Config, error) {
	c := &Config{Eps: 1e-12, Act: "gelu", Position: "absolute", Types: 2}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Err: err}
	}
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "config.json", Path: path, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"hidden_size", c.Hidden}, {"num_hidden_layers", c.Layers}, {"num_attention_heads", c.Heads}, {"intermediate_size", c.Intermediate},
		{"max_position_embeddings", c.Positions}, {"type_vocab_size", c.Types}, {"vocab_size", c.Vocab}} {
		if f.v < 1 || f.v > math.MaxInt32 {
			return nil, bad(f.name, "%d, want 1 to %d", f.v, math.MaxInt32)
		}
	}
	switch {
	case c.Hidden%c.Heads != 0:
		return nil, bad("num_attention_heads", "width %d over %d heads", c.Hidden, c.Heads)
	case !(c.Eps > 0) || c.Eps > 1:
		return nil, bad("layer_norm_eps", "%g, want above 0 and at most 1", c.Eps)
	case c.Act != "gelu":
		return nil, &engine.UnsupportedError{What: path + ": hidden_act " + c.Act, Have: "gelu"}
	case c.Position != "absolute":
		return nil, &engine.UnsupportedError{What: path + ": position_embedding_type " + c.Position, Have: "absolute"}
	}
	return c, nil
}

// Open reads config.json and the vocabulary of src and binds the network.
func Open(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*nn.Stack, engine.Spec, error) {
	data, err := src.File("config.json")
	if err != nil {
		return nil, engine.Spec{}, err
	}
	c, err := ParseConfig(data, src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	v, err := vocab.Read(src)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	mask, ok := v.Added["[MASK]"]
	if !ok {
		mask = 103 // of BERT's own vocabulary
	}
	if int(mask) >= c.Vocab {
		return nil, engine.Spec{}, &engine.FormatError{Format: "config.json", Path: src.Path(), Item: "vocab_size",
			Reason: fmt.Sprintf("%d, but [MASK] is %d", c.Vocab, mask)}
	}
	trained(src)
	s, err := load(ctx, b, be, c)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	return s, engine.Spec{Mask: mask, Tasks: []engine.Task{engine.Infill}, Process: "spindle"}, nil
}

// trained names the tensors of a trainer's file, which holds them under "model.module.", as a release does.
func trained(src *weights.Set) {
	const root = "model.module."
	names := map[string]string{}
	for _, n := range src.Names() {
		if short, ok := strings.CutPrefix(n, root); ok {
			names[short] = n
		}
	}
	if len(names) > 0 {
		src.Rename(names)
	}
}

// load binds the network of c.
func load(ctx context.Context, b *weights.Binder, be tensor.Backend, c *Config) (*nn.Stack, error) {
	d, eps := c.Hidden, float32(c.Eps)
	b.Ignore("bert.embeddings.position_ids")
	b.Ignore("bert.pooler.")
	b.Ignore("cls.seq_relationship.")
	b.Ignore("cls.predictions.bias") // the same as the decoder's
	const embed, head = "bert.embeddings.", "cls.predictions."
	s := &nn.Stack{
		Embed:     b.Tensor(embed+"word_embeddings.weight", c.Vocab, d),
		EmbedNorm: nn.LoadLayerNorm(b, embed+"LayerNorm", d, eps, true),
		Norm: &transform{dense: nn.LoadLinear(b, head+"transform.dense", d, d, true),
			norm: nn.LoadLayerNorm(b, head+"transform.LayerNorm", d, eps, true)},
		Config: nn.Config{Vocab: c.Vocab, Width: d, Layers: c.Layers, MaxLen: c.Positions},
		Steps:  Steps,
	}
	decoder := head + "decoder.weight"
	if !b.Has(decoder) {
		decoder = embed + "word_embeddings.weight"
	}
	bias := head + "decoder.bias"
	if !b.Has(bias) {
		bias = head + "bias"
	}
	s.Head = nn.Linear{W: b.Matrix(decoder, c.Vocab, d), B: b.Tensor(bias, c.Vocab)}
	pos := b.Host(embed+"position_embeddings.weight", c.Positions, d)
	kinds := b.Host(embed+"token_type_embeddings.weight", c.Types, d)
	var times []timeLayer
	for i := 0; i < c.Layers && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at := fmt.Sprintf("bert.encoder.layer.%d.", i)
		s.Blocks = append(s.Blocks, Block(b, c, at))
		if name := at + "timestep_embedding.0"; b.Has(name + ".weight") {
			times = append(times, timeLayer{
				w0: b.Host(name+".weight", 2*d, d), b0: b.Host(name+".bias", 2*d),
				w1: b.Host(at+"timestep_embedding.2.weight", d, 2*d), b1: b.Host(at+"timestep_embedding.2.bias", d),
			})
		}
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if len(times) != 0 && len(times) != len(s.Blocks) {
		return nil, fmt.Errorf("%d of %d layers are told the time", len(times), len(s.Blocks))
	}
	for i := range pos {
		pos[i] += kinds[i%d] // all text is of type 0
	}
	s.Position = be.Alloc(tensor.F32, c.Positions, d)
	upload(be, s.Position, pos)
	s.Bind(be)
	if len(times) > 0 {
		told(s, be, times, d)
	}
	return s, be.Err()
}

// Block binds an encoder layer whose names begin with at: norms follow what they normalise.
func Block(b *weights.Binder, c *Config, at string) nn.Block {
	d, f, eps := c.Hidden, c.Intermediate, float32(c.Eps)
	return nn.Block{
		Post: true,
		Attn: nn.Attention{
			Q:     nn.LoadLinear(b, at+"attention.self.query", d, d, true),
			K:     nn.LoadLinear(b, at+"attention.self.key", d, d, true),
			V:     nn.LoadLinear(b, at+"attention.self.value", d, d, true),
			O:     nn.LoadLinear(b, at+"attention.output.dense", d, d, true),
			Heads: c.Heads, KVHeads: c.Heads, HeadWidth: d / c.Heads,
		},
		AttnNorm: nn.LoadLayerNorm(b, at+"attention.output.LayerNorm", d, eps, true),
		MLP: &nn.GELU{
			Up:    nn.LoadLinear(b, at+"intermediate.dense", f, d, true),
			Down:  nn.LoadLinear(b, at+"output.dense", d, f, true),
			Width: f, Exact: true,
		},
		MLPNorm: nn.LoadLayerNorm(b, at+"output.LayerNorm", d, eps, true),
	}
}

// transform is what comes between the last layer and the decoder.
type transform struct {
	dense nn.Linear
	norm  nn.LayerNorm
}

// Apply implements [nn.Norm].
func (t *transform) Apply(be tensor.Backend, dst, x tensor.Tensor) {
	mark := be.Mark()
	h := be.Alloc(tensor.F32, x.Shape()...)
	t.dense.Apply(be, h, x)
	be.GELU(h, h, true)
	t.norm.Apply(be, dst, h)
	be.Release(mark)
}

// timeLayer makes of a step's embedding what a layer adds after its attention.
type timeLayer struct{ w0, b0, w1, b1 []float32 }

// told makes s a network that is told the step: Condition sets it.
func told(s *nn.Stack, be tensor.Backend, times []timeLayer, d int) {
	for i := range s.Blocks {
		s.Blocks[i].Shift = be.Alloc(tensor.F32, 1, d)
	}
	s.Condition = func(step float64) []float32 {
		e := embed(step, d, float64(s.Steps))
		for i, l := range times {
			h := apply(l.w0, l.b0, e)
			for j, x := range h {
				h[j] = max(x, 0)
			}
			upload(be, s.Blocks[i].Shift, apply(l.w1, l.b1, h))
		}
		return e
	}
	s.Condition(0)
}

// embed is the embedding of a step: cosines, then sines of its multiples, with periods up to that of all steps.
func embed(step float64, d int, period float64) []float32 {
	half := d / 2
	x := make([]float32, d)
	for i := range half {
		sin, cos := math.Sincos(step * math.Exp(-math.Log(period)*float64(i)/float64(half)))
		x[i], x[half+i] = float32(cos), float32(sin)
	}
	return x
}

// apply is w x + b.
func apply(w, b, x []float32) []float32 {
	out := make([]float32, len(b))
	for i := range out {
		sum := float64(b[i])
		for j, v := range x {
			sum += float64(w[i*len(x)+j]) * float64(v)
		}
		out[i] = float32(sum)
	}
	return out
}

func upload(be tensor.Backend, dst tensor.Tensor, x []float32) {
	data := make([]byte, 0, 4*len(x))
	for _, v := range x {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	be.Upload(dst, data, tensor.F32)
}
