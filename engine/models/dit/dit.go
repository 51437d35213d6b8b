package dit

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/models/vocab"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

const (
	frequencies = 256   // entries of the embedding of a noise level
	theta       = 10000 // rotary base, and that of the embedding
	eps         = 1e-5  // of the layer norms
)

// Open reads config.json and tokenizer.json of src and binds the network. A trainer's checkpoint ("last.ckpt") gives its
// averaged weights.
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
	averaged(src, c)
	s, err := load(ctx, b, be, c)
	if err != nil {
		return nil, engine.Spec{}, err
	}
	spec := engine.Spec{Mask: engine.Token(c.Vocab - 1), End: v.End(c.Vocab), Tasks: []engine.Task{engine.Infill}}
	if c.ModelType == "bd3lm" {
		spec.Block = c.BlockSize
	}
	return s, spec, nil
}

// load binds the network of c.
func load(ctx context.Context, b *weights.Binder, be tensor.Backend, c *Config) (*nn.Stack, error) {
	const root = "backbone."
	b.Ignore(root + "rotary_emb.")
	b.Ignore("sampling_eps_")
	d := c.Hidden
	s := &nn.Stack{
		Embed:  b.Tensor(root+"vocab_embed.embedding", c.Vocab, d),
		Head:   nn.LoadLinear(b, root+"output_layer.linear", c.Vocab, d, true),
		Config: nn.Config{Vocab: c.Vocab, Width: d, Layers: c.Blocks, MaxLen: c.Length},
	}
	m := &modulation{be: be, as: b.As(), d: d, stack: s}
	if c.Modulated() {
		m.first = hostLinear(b, root+"sigma_map.mlp.0", c.Cond, frequencies)
		m.second = hostLinear(b, root+"sigma_map.mlp.2", c.Cond, c.Cond)
	}
	for i := 0; i < c.Blocks && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m.load(b, c, fmt.Sprintf("%sblocks.%d.", root, i))
	}
	m.final.weight = b.Host(root+"output_layer.norm_final.weight", d)
	if c.Modulated() {
		m.final.ada = hostLinear(b, root+"output_layer.adaLN_modulation", 2*d, c.Cond)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	s.Bind(be)
	m.bind(c)
	if c.Modulated() {
		s.Condition = m.set
	}
	return s, be.Err()
}

// host is a linear layer in host memory.
type host struct {
	w, b []float32 // [n, k], [n]
	n, k int
}

func hostLinear(b *weights.Binder, name string, n, k int) host {
	return host{b.Host(name+".weight", n, k), b.Host(name+".bias", n), n, k}
}

// apply is w x + b.
func (l host) apply(x []float32) []float32 {
	out := make([]float32, l.n)
	for i := range out {
		sum := float64(l.b[i])
		for j, w := range l.w[i*l.k : (i+1)*l.k] {
			sum += float64(w) * float64(x[j])
		}
		out[i] = float32(sum)
	}
	return out
}

// modulated is what a noise level changes of a block, or, without outputs, of the final norm.
type modulated struct {
	weight, weight2 []float32 // of the norms before modulation
	out             []float32 // [D, D] of attention
	down            host      // [D, 4 D] of the feed-forward
	ada             host
}

// modulation sets the noise level of a whole network.
type modulation struct {
	be            tensor.Backend
	as            tensor.DType
	d             int
	stack         *nn.Stack
	first, second host
	blocks        []modulated
	final         modulated
}

// load binds the parts of a block that no noise level changes and keeps the others.
func (m *modulation) load(b *weights.Binder, c *Config, at string) {
	d := m.d
	x := modulated{
		weight: b.Host(at+"norm1.weight", d), weight2: b.Host(at+"norm2.weight", d),
		out: b.Host(at+"attn_out.weight", d, d), down: hostLinear(b, at+"mlp.2", d, 4*d),
	}
	if c.Modulated() {
		x.ada = hostLinear(b, at+"adaLN_modulation", 6*d, c.Cond)
	}
	m.blocks = append(m.blocks, x)
	qkv := b.Split(at+"attn_qkv.weight", d, d, d, d)
	m.stack.Blocks = append(m.stack.Blocks, nn.Block{
		Attn: nn.Attention{
			Q: nn.Linear{W: qkv[0]}, K: nn.Linear{W: qkv[1]}, V: nn.Linear{W: qkv[2]},
			Heads: c.Heads, KVHeads: c.Heads, HeadWidth: d / c.Heads, Theta: theta, Rot: d / c.Heads,
		},
		MLP: &nn.GELU{Up: nn.LoadLinear(b, at+"mlp.0", 4*d, d, true), Width: 4 * d},
	})
}

// bind makes the tensors that depend on the noise level, and sets it to 0.
func (m *modulation) bind(c *Config) {
	norm := func() nn.LayerNorm {
		n := nn.LayerNorm{W: m.be.Alloc(tensor.F32, m.d), Eps: eps}
		if c.Modulated() {
			n.B = m.be.Alloc(tensor.F32, m.d)
		}
		return n
	}
	s := m.stack
	for i := range s.Blocks {
		s.Blocks[i].AttnNorm, s.Blocks[i].MLPNorm = norm(), norm()
		s.Blocks[i].MLP.(*nn.GELU).Down.B = m.be.Alloc(tensor.F32, m.d)
	}
	s.Norm = norm()
	m.set(0)
}

// set folds the vectors of noise level sigma into norms and output matrices, and returns the vector that blocks derive
// theirs from, before its SiLU; nil for a network without modulation.
func (m *modulation) set(sigma float64) []float32 {
	var embedded, c []float32
	if m.first.n > 0 {
		embedded = m.second.apply(silu(m.first.apply(embed(sigma))))
		c = silu(embedded)
	}
	d := m.d
	for i := range m.blocks {
		x, b := &m.blocks[i], &m.stack.Blocks[i]
		part := parts(x.ada, c, 6, d)
		m.norm(b.AttnNorm.(nn.LayerNorm), x.weight, part[0], part[1])
		b.Attn.O.W = m.pack(x.out, part[2], d)
		m.norm(b.MLPNorm.(nn.LayerNorm), x.weight2, part[3], part[4])
		mlp := b.MLP.(*nn.GELU)
		mlp.Down.W = m.pack(x.down.w, part[5], 4*d)
		m.upload(mlp.Down.B, scaled(x.down.b, part[5]))
	}
	part := parts(m.final.ada, c, 2, d)
	m.norm(m.stack.Norm.(nn.LayerNorm), m.final.weight, part[0], part[1])
	return embedded
}

// embed is the embedding of a noise level: cosines of its multiples, then sines.
func embed(sigma float64) []float32 {
	x := make([]float32, frequencies)
	for i := range frequencies / 2 {
		f := math.Exp(-math.Log(theta) * float64(i) / (frequencies / 2))
		sin, cos := math.Sincos(sigma * f)
		x[i], x[i+frequencies/2] = float32(cos), float32(sin)
	}
	return x
}

func silu(x []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(float64(v) / (1 + math.Exp(-float64(v))))
	}
	return out
}

// parts cuts the modulation into n vectors of width d, which are nil without one.
func parts(l host, c []float32, n, d int) [][]float32 {
	out := make([][]float32, n)
	if l.n == 0 {
		return out
	}
	all := l.apply(c)
	for i := range out {
		out[i] = all[i*d : (i+1)*d]
	}
	return out
}

// norm uploads weight * (1 + scale) and shift.
func (m *modulation) norm(n nn.LayerNorm, weight, shift, scale []float32) {
	if scale == nil {
		m.upload(n.W, weight)
		return
	}
	w := make([]float32, len(weight))
	for i, x := range weight {
		w[i] = x * (1 + scale[i])
	}
	m.upload(n.W, w)
	m.upload(n.B, shift)
}

// scaled is x, each element times that of gate where there is one.
func scaled(x, gate []float32) []float32 {
	if gate == nil {
		return x
	}
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = v * gate[i]
	}
	return out
}

// pack packs w [d, k], each row times its gate.
func (m *modulation) pack(w, gate []float32, k int) tensor.Matrix {
	data := make([]byte, 0, 4*len(w))
	for i, v := range w {
		if gate != nil {
			v *= gate[i/k]
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return m.be.Pack(data, tensor.F32, m.d, k, m.as)
}

func (m *modulation) upload(dst tensor.Tensor, x []float32) {
	data := make([]byte, 0, 4*len(x))
	for _, v := range x {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	m.be.Upload(dst, data, tensor.F32)
}
