package llada

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"unmask/engine"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Names of the released tensors. "ff_out" is both the down projection of a block and, directly under the transformer, the
// head.
const (
	root  = "model.transformer."
	block = root + "blocks.%d."
)

// Load binds the network of c from a checkpoint. The binder's error, which lists everything that is wrong with the
// checkpoint, is returned; ctx is checked between layers.
func Load(ctx context.Context, b *weights.Binder, be tensor.Backend, c *Config) (*nn.Stack, error) {
	d, eps := c.DModel, float32(c.RMSNormEps)
	s := &nn.Stack{
		Embed: b.Tensor(root+"wte.weight", c.Vocab(), d),
		Norm:  nn.LoadRMSNorm(b, root+"ln_f", d, eps),
		Config: nn.Config{
			Vocab: c.Vocab(), Width: d, Layers: c.NLayers, MaxLen: c.MaxSequenceLength,
		},
	}
	if c.WeightTying {
		s.Head = nn.Linear{W: b.Matrix(root+"wte.weight", c.Vocab(), d)}
	} else {
		s.Head = nn.LoadLinear(b, root+"ff_out", c.Vocab(), d, c.IncludeBias)
	}
	for i := 0; i < c.NLayers && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.Blocks = append(s.Blocks, loadBlock(b, c, fmt.Sprintf(block, i)))
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	s.Bind(be)
	return s, nil
}

func loadBlock(b *weights.Binder, c *Config, at string) nn.Block {
	d, f, eps := c.DModel, c.FF(), float32(c.RMSNormEps)
	k := d / c.NHeads
	kv, bias := c.KVHeads()*k, c.IncludeBias
	qkv := bias || c.IncludeQKVBias
	return nn.Block{
		AttnNorm: nn.LoadRMSNorm(b, at+"attn_norm", d, eps),
		Attn: nn.Attention{
			Q:     nn.LoadLinear(b, at+"q_proj", d, d, qkv),
			K:     nn.LoadLinear(b, at+"k_proj", kv, d, qkv),
			V:     nn.LoadLinear(b, at+"v_proj", kv, d, qkv),
			O:     nn.LoadLinear(b, at+"attn_out", d, d, bias),
			Heads: c.NHeads, KVHeads: c.KVHeads(), HeadWidth: k, Theta: c.RopeTheta, Rot: k,
		},
		MLPNorm: nn.LoadRMSNorm(b, at+"ff_norm", d, eps),
		MLP: &nn.SwiGLU{
			Gate:  nn.LoadLinear(b, at+"ff_proj", f, d, bias),
			Up:    nn.LoadLinear(b, at+"up_proj", f, d, bias),
			Down:  nn.LoadLinear(b, at+"ff_out", d, f, bias),
			Width: f,
		},
	}
}

// Masks of the released checkpoints, for those whose files name none.
const (
	releasedRows = 126464 // of LLaDA 8B and 1.5
	releasedMask = 126336
	illadaMask   = 5 // iLLaDA has LLaDA's code and layout and a mask of its own
)

// knownMask is the configured mask, or, where neither config.json nor the tokenizer names one, that of the release which
// the checkpoint is; -1 where it is none of them.
func knownMask(c *Config, v *vocab.Vocabulary, path string) int {
	if c.MaskTokenID >= 0 || v.HasMask() {
		return c.MaskTokenID
	}
	switch name := strings.ToLower(filepath.Base(path) + " " + c.Name); {
	case strings.Contains(name, "illada"):
		return illadaMask
	case c.Vocab() == releasedRows:
		return releasedMask
	}
	return -1
}

// Open reads config.json and tokenizer.json of src and binds the network. It fills the parts of a spec that only the
// family knows: Mask, End and Tasks.
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
	mask, err := v.Mask(c.Vocab(), knownMask(c, v, src.Path()), src.Path())
	if err != nil {
		return nil, engine.Spec{}, err
	}
	s, err := Load(ctx, b, be, c)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	return s, engine.Spec{Mask: mask, End: v.End(c.Vocab(), c.EOSTokenID), Tasks: []engine.Task{engine.Chat, engine.Infill}}, nil
}
