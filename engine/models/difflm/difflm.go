// Package difflm is Diffusion-LM (arXiv:2205.14217): a BERT encoder that denoises the embeddings of words, not words. The
// layout is the trainer's: config.json of the encoder, training_args.json, vocab.json, and "ema_*.pt" or "model*.pt".
package difflm

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/models/bert"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Args is what training_args.json says of the model.
type Args struct {
	ImageSize int    `json:"image_size"` // the square root of the text's length
	Channels  int    `json:"num_channels"`
	Width     int    `json:"in_channel"` // of an embedding
	Vocab     int    `json:"vocab_size"`
	Steps     int    `json:"diffusion_steps"`
	Schedule  string `json:"noise_schedule"`
	Predict   bool   `json:"predict_xstart"`
	Sigma     bool   `json:"learn_sigma"`
	Rescale   bool   `json:"rescale_timesteps"`
}

// ParseArgs reads a training_args.json. path names the file in errors.
func ParseArgs(data []byte, path string) (*Args, error) {
	a := &Args{}
	if err := json.Unmarshal(data, a); err != nil {
		return nil, &engine.FormatError{Format: "training_args.json", Path: path, Err: err}
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"image_size", a.ImageSize}, {"num_channels", a.Channels}, {"in_channel", a.Width}, {"vocab_size", a.Vocab}, {"diffusion_steps", a.Steps}} {
		if f.v < 1 || f.v > 1<<20 {
			return nil, &engine.FormatError{Format: "training_args.json", Path: path, Item: f.name, Reason: fmt.Sprintf("%d, want 1 to %d", f.v, 1<<20)}
		}
	}
	if !a.Predict || a.Sigma || !a.Rescale || a.Channels%2 != 0 {
		return nil, &engine.UnsupportedError{What: fmt.Sprintf("%s: predict_xstart %v, learn_sigma %v, rescale_timesteps %v, num_channels %d",
			path, a.Predict, a.Sigma, a.Rescale, a.Channels), Have: "predict_xstart, a fixed sigma, rescaled and an even number of channels"}
	}
	return a, nil
}

// Model is an open network on one backend; it serves one goroutine at a time.
type Model struct {
	Args   Args
	Config bert.Config

	be                     tensor.Backend
	up0, up1, down0, down1 nn.Linear
	time0, time1           host
	head                   nn.Linear
	table                  []float32 // [V, D]
	position               tensor.Tensor
	norm                   nn.LayerNorm
	blocks                 []nn.Block
	shared                 nn.Shared
	watch                  func(name string, x []float32)
	params, bytes          int64
}

// host is a linear layer in host memory.
type host struct{ w, b []float32 }

func (l host) apply(x []float32) []float32 {
	out := make([]float32, len(l.b))
	for i := range out {
		sum := float64(l.b[i])
		for j, v := range x {
			sum += float64(l.w[i*len(x)+j]) * float64(v)
		}
		out[i] = float32(sum)
	}
	return out
}

// Open binds the checkpoint src to be; products run in as. The caller keeps src, which may be closed afterwards.
//
// size: one line a tensor.
func Open(ctx context.Context, src *weights.Set, be tensor.Backend, as tensor.DType) (*Model, error) {
	data, err := src.File("training_args.json")
	if err != nil {
		return nil, err
	}
	args, err := ParseArgs(data, src.Path())
	if err != nil {
		return nil, err
	}
	if data, err = src.File("config.json"); err != nil {
		return nil, err
	}
	c, err := bert.ParseConfig(data, src.Path())
	if err != nil {
		return nil, err
	}
	b := weights.NewBinder(src, be, as, nil)
	h, d, v := c.Hidden, args.Width, args.Vocab
	b.Ignore("position_ids")
	b.Ignore("word_embedding.") // tied to the head, which a trainer's averages hold in its live form, too
	m := &Model{Args: *args, Config: *c, be: be,
		up0: nn.LoadLinear(b, "input_up_proj.0", h, d, true), up1: nn.LoadLinear(b, "input_up_proj.2", h, h, true),
		down0: nn.LoadLinear(b, "output_down_proj.0", h, h, true), down1: nn.LoadLinear(b, "output_down_proj.2", d, h, true),
		time0:    host{b.Host("time_embed.0.weight", 4*args.Channels, args.Channels), b.Host("time_embed.0.bias", 4*args.Channels)},
		time1:    host{b.Host("time_embed.2.weight", h, 4*args.Channels), b.Host("time_embed.2.bias", h)},
		head:     nn.LoadLinear(b, "lm_head", v, d, true),
		table:    b.Host("lm_head.weight", v, d),
		position: b.Tensor("position_embeddings.weight", c.Positions, h),
		norm:     nn.LoadLayerNorm(b, "LayerNorm", h, float32(c.Eps), true),
	}
	for i := 0; i < c.Layers && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m.blocks = append(m.blocks, bert.Block(b, c, fmt.Sprintf("input_transformers.layer.%d.", i)))
	}
	m.params, m.bytes = b.Params(), b.Bytes()
	return m, b.Err()
}

// Watch calls fn with every activation of later passes, under the names of the official code's parts. nil ends it.
func (m *Model) Watch(fn func(name string, x []float32)) { m.watch = fn }

// Vocab is the number of words.
func (m *Model) Vocab() int { return m.Args.Vocab }

// Width is the width of an embedding.
func (m *Model) Width() int { return m.Args.Width }

// Word is the embedding of word id; it is not to be changed.
func (m *Model) Word(id engine.Token) []float32 {
	return m.table[int(id)*m.Args.Width : (int(id)+1)*m.Args.Width]
}

// Predict writes the clean embeddings [L*D] that the network predicts from x [L*D] at time t, in thousandths, to dst.
func (m *Model) Predict(ctx context.Context, dst, x []float32, t float64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n := len(x) / m.Args.Width
	if n < 1 || n > m.Config.Positions || len(x) != n*m.Args.Width || len(dst) != len(x) {
		return fmt.Errorf("%d values of %d a word, %d wanted; the model takes 1 to %d words", len(x), m.Args.Width, len(dst), m.Config.Positions)
	}
	be := m.be
	mark := be.Mark()
	defer be.Release(mark)
	hidden := be.Alloc(tensor.F32, n, m.Config.Hidden)
	scratch := be.Alloc(tensor.F32, n, m.Config.Hidden)
	in := be.Alloc(tensor.F32, n, m.Args.Width)
	upload(be, in, x)
	m.up0.Apply(be, scratch, in)
	tanh(be, scratch, n*m.Config.Hidden)
	m.up1.Apply(be, hidden, scratch)
	m.see("up_proj", hidden)
	time := be.Alloc(tensor.F32, 1, m.Config.Hidden)
	upload(be, time, m.time(t))
	m.see("time_embed", time)
	be.Add(hidden, m.position.Rows(0, n))
	be.Add(hidden, time)
	m.norm.Apply(be, hidden, hidden)
	m.see("embed", hidden)
	m.shared.Alloc(be, &m.blocks[0].Attn, n)
	m.shared.Opts.Seqs = append(m.shared.Opts.Seqs[:0], tensor.Seq{QHi: n, KHi: n})
	for i := range m.blocks {
		m.blocks[i].Apply(be, hidden, scratch, &m.shared, nn.KV{})
		m.see(fmt.Sprintf("layer%d", i), hidden)
	}
	m.see("encoder", hidden)
	m.down0.Apply(be, scratch, hidden)
	tanh(be, scratch, n*m.Config.Hidden)
	m.down1.Apply(be, in, scratch)
	m.see("output", in)
	be.Download(dst, in)
	return be.Err()
}

// Words writes the logits [L*V] that the head gives embeddings x [L*D] to dst.
func (m *Model) Words(dst, x []float32) error {
	be, n := m.be, len(x)/m.Args.Width
	if n < 1 || len(x) != n*m.Args.Width || len(dst) != n*m.Args.Vocab {
		return fmt.Errorf("logits: %d values for %d of %d words", len(dst), n, m.Args.Vocab)
	}
	mark := be.Mark()
	defer be.Release(mark)
	in, out := be.Alloc(tensor.F32, n, m.Args.Width), be.Alloc(tensor.F32, n, m.Args.Vocab)
	upload(be, in, x)
	m.head.Apply(be, out, in)
	be.Download(dst, out)
	return be.Err()
}

// time is what the network adds to every word at time t.
func (m *Model) time(t float64) []float32 {
	half := m.Args.Channels / 2
	e := make([]float32, 2*half)
	for i := range half {
		sin, cos := math.Sincos(t * math.Exp(-math.Log(10000)*float64(i)/float64(half)))
		e[i], e[half+i] = float32(cos), float32(sin)
	}
	h := m.time0.apply(e)
	for i, x := range h {
		h[i] = float32(float64(x) / (1 + math.Exp(-float64(x))))
	}
	return m.time1.apply(h)
}

func (m *Model) see(name string, x tensor.Tensor) {
	if m.watch == nil {
		return
	}
	n := 1
	for _, d := range x.Shape() {
		n *= d
	}
	out := make([]float32, n)
	m.be.Download(out, x)
	m.watch(name, out)
}

// tanh acts on the n elements of x; no other network needs it, so that backends have no such operation.
func tanh(be tensor.Backend, x tensor.Tensor, n int) {
	v := make([]float32, n)
	be.Download(v, x)
	for i, a := range v {
		v[i] = float32(math.Tanh(float64(a)))
	}
	upload(be, x, v)
}

func upload(be tensor.Backend, dst tensor.Tensor, x []float32) {
	data := make([]byte, 0, 4*len(x))
	for _, v := range x {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	be.Upload(dst, data, tensor.F32)
}

// Spec describes the model as far as its files tell: without name, hash, device, and tokens that end a text.
func (m *Model) Spec() engine.Spec {
	return engine.Spec{Family: "diffusion-lm", Params: m.params, Bytes: m.bytes, DType: tensor.F32.String(),
		Layers: m.Config.Layers, Width: m.Config.Hidden, Heads: m.Config.Heads,
		Vocab: m.Args.Vocab + 1, Mask: engine.Token(m.Args.Vocab), MaxLen: min(m.Args.ImageSize*m.Args.ImageSize, m.Config.Positions),
		Tasks: []engine.Task{engine.Infill}, Process: "embedding", Continuous: true}
}
