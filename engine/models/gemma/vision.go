package gemma

import (
	"context"
	"fmt"
	"image"
	"math"

	"unmask/engine"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Eyes turn pictures into rows of features: Gemma 4's vision tower over patches of the whole picture, the mean of every cell
// of patches, and a projection to the width of the language model. One goroutine at a time.
type Eyes struct {
	Vision *Vision
	// Begin and End are the texts around a picture's features in a prompt, and Place stands for the features themselves.
	Begin, Place, End string

	be        tensor.Backend
	processor processor
	patch     nn.Linear     // [D, 3*P*P]
	place     tensor.Tensor // [2*N, D], places across, then down
	layers    []seeing
	bias, mul []float32 // [D] of standardisation; nil: none
	project   nn.Linear // [width, D]
	width     int
	watch     func(name string, x []float32)
}

// seeing is one layer of the tower.
type seeing struct {
	q, k, v, o                      nn.Linear
	qNorm, kNorm                    nn.RMSNorm
	input, postAttention, pre, post nn.RMSNorm
	mlp                             nn.SwiGLU
}

// openEyes binds the vision tower of a checkpoint. What is wrong is left to the binder's Err.
func openEyes(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend, c *Config) (*Eyes, error) {
	v := c.Vision
	e := &Eyes{Vision: v, be: be, width: c.Text.Width, Begin: "<|image>", Place: "<|image|>", End: "<image|>"}
	var err error
	if e.processor, err = readProcessor(src, v); err != nil {
		return nil, err
	}
	const at = "model.encoder.vision_tower."
	eps := float32(v.Eps)
	e.patch = nn.Linear{W: b.Matrix(at+"patch_embedder.input_proj.weight", v.Width, 3*v.Patch*v.Patch)}
	if x := b.Tensor(at+"patch_embedder.position_embedding_table", 2, v.Positions, v.Width); x != nil {
		e.place = x.Reshape(2*v.Positions, v.Width)
	}
	for i := 0; i < v.Layers && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l := fmt.Sprintf("%sencoder.layers.%d.", at, i)
		norm := func(name string, n int) nn.RMSNorm { return nn.LoadRMSNorm(b, l+name, n, eps) }
		linear := func(name string, n, k int) nn.Linear {
			return nn.LoadLinear(b, l+"self_attn."+name+"_proj.linear", n, k, false)
		}
		e.layers = append(e.layers, seeing{
			q: linear("q", v.Heads*v.HeadDim, v.Width), k: linear("k", v.KV*v.HeadDim, v.Width), v: linear("v", v.KV*v.HeadDim, v.Width),
			o: linear("o", v.Width, v.Heads*v.HeadDim), qNorm: norm("self_attn.q_norm", v.HeadDim), kNorm: norm("self_attn.k_norm", v.HeadDim),
			input: norm("input_layernorm", v.Width), postAttention: norm("post_attention_layernorm", v.Width),
			pre: norm("pre_feedforward_layernorm", v.Width), post: norm("post_feedforward_layernorm", v.Width),
			mlp: geglu(b, l+"mlp", v.Width, v.FF, ".linear"),
		})
	}
	if v.Standardize {
		e.bias, e.mul = b.Host(at+"std_bias", v.Width), b.Host(at+"std_scale", v.Width)
	}
	e.project = nn.LoadLinear(b, "model.encoder.embed_vision.embedding_projection", c.Text.Width, v.Width, false)
	return e, be.Err()
}

// Watch calls fn with what later looks compute: "patch_embed", "layerN", "pooled", "soft", "features". nil ends it. For
// tests.
func (e *Eyes) Watch(fn func(name string, x []float32)) { e.watch = fn }

func (e *Eyes) see(name string, x tensor.Tensor) {
	if e.watch == nil {
		return
	}
	shape := x.Shape()
	out := make([]float32, shape[0]*shape[1])
	e.be.Download(out, x)
	e.watch(name, out)
}

// Look returns the features of img, [cells*width], cells row by row. It checks ctx between layers.
func (e *Eyes) Look(ctx context.Context, img image.Image) ([]float32, error) {
	p, err := e.processor.patches(img)
	if err != nil {
		return nil, err
	}
	return e.Features(ctx, p)
}

// Patches are a picture as the tower takes it.
type Patches struct {
	Cols, Rows int       // multiples of the pooling kernel
	Pixels     []float32 // [Rows*Cols, P*P*3] in [0, 1]: patches row by row; in each, pixels row by row, colours together
}

// Features are the features of patches, [cells*width].
func (e *Eyes) Features(ctx context.Context, p *Patches) ([]float32, error) {
	v, n := e.Vision, p.Cols*p.Rows
	if p.Cols < 1 || p.Rows < 1 || p.Cols%v.Pool != 0 || p.Rows%v.Pool != 0 || p.Cols > v.Positions || p.Rows > v.Positions {
		return nil, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%d x %d patches, want multiples of %d, at most %d", p.Cols, p.Rows, v.Pool, v.Positions)}
	}
	if len(p.Pixels) != n*3*v.Patch*v.Patch {
		return nil, fmt.Errorf("picture: %d numbers for %d patches of %d pixels", len(p.Pixels), n, v.Patch)
	}
	be := e.be
	mark := be.Mark()
	defer be.Release(mark)
	x := be.Alloc(tensor.F32, n, v.Width)
	h := be.Alloc(tensor.F32, n, v.Width)
	e.begin(x, h, p)
	e.see("patch_embed", x)
	where := e.turns(p)
	for i := range e.layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e.apply(&e.layers[i], x, h, where)
		e.see(fmt.Sprintf("layer%d", i), x)
	}
	return e.finish(x, p)
}

// begin writes the embeddings of patches and their places to x [n, D]; h is scratch.
func (e *Eyes) begin(x, h tensor.Tensor, p *Patches) {
	be, n := e.be, p.Cols*p.Rows
	pixels := make([]float32, len(p.Pixels))
	for i, v := range p.Pixels {
		pixels[i] = 2 * (v - 0.5)
	}
	in := be.Alloc(tensor.F32, n, len(pixels)/n)
	upload(be, in, pixels)
	e.patch.Apply(be, x, in)
	at := make([]int, n)
	for i := range at {
		at[i] = i % p.Cols
	}
	be.Gather(h, e.place, at)
	be.Add(x, h)
	for i := range at {
		at[i] = e.Vision.Positions + i/p.Cols
	}
	be.Gather(h, e.place, at)
	be.Add(x, h)
}

// turns are the rotary positions of the halves of all heads of all patches: the first half turns with the column, the
// second with the row.
func (e *Eyes) turns(p *Patches) []int32 {
	heads := e.Vision.Heads
	out := make([]int32, 0, p.Cols*p.Rows*heads*2)
	for i := range p.Cols * p.Rows {
		for range heads {
			out = append(out, int32(i%p.Cols), int32(i/p.Cols))
		}
	}
	return out
}

// rotate turns heads x [n, heads, K]; where is that of turns, for all query heads.
func (e *Eyes) rotate(x tensor.Tensor, n, heads int, where []int32) {
	v := e.Vision
	if heads != v.Heads {
		short := make([]int32, 0, n*heads*2)
		for i := range n {
			short = append(short, where[i*v.Heads*2:][:heads*2]...)
		}
		where = short
	}
	e.be.RoPE(x.Reshape(n*heads*2, 1, v.HeadDim/2), where, v.Rope.Theta, v.HeadDim/2)
}

// Rotary are cosines and sines of the patches of p, [n, K] each, as heads are turned. For tests.
func (e *Eyes) Rotary(p *Patches) (cos, sin []float32) {
	be, k, n := e.be, e.Vision.HeadDim, p.Cols*p.Rows
	mark := be.Mark()
	defer be.Release(mark)
	x := be.Alloc(tensor.F32, n, e.Vision.Heads, k)
	one := make([]float32, n*e.Vision.Heads*k)
	for i := range one {
		if i%(k/2) < k/4 {
			one[i] = 1
		}
	}
	upload(be, x, one)
	e.rotate(x, n, e.Vision.Heads, e.turns(p))
	be.Download(one, x)
	c, s := halves(one, k/2)
	for i := range n { // all heads turn alike
		cos = append(cos, c[i*e.Vision.Heads*k:][:k]...)
		sin = append(sin, s[i*e.Vision.Heads*k:][:k]...)
	}
	return cos, sin
}

// apply runs one layer over x [n, D]; h [n, D] is scratch.
func (e *Eyes) apply(l *seeing, x, h tensor.Tensor, where []int32) {
	be, v, n := e.be, e.Vision, x.Shape()[0]
	mark := be.Mark()
	defer be.Release(mark)
	q, o := be.Alloc(tensor.F32, n, v.Heads, v.HeadDim), be.Alloc(tensor.F32, n, v.Heads, v.HeadDim)
	k, val := be.Alloc(tensor.F32, n, v.KV, v.HeadDim), be.Alloc(tensor.F32, n, v.KV, v.HeadDim)
	l.input.Apply(be, h, x)
	l.q.Apply(be, q.Reshape(n, v.Heads*v.HeadDim), h)
	l.k.Apply(be, k.Reshape(n, v.KV*v.HeadDim), h)
	l.v.Apply(be, val.Reshape(n, v.KV*v.HeadDim), h)
	qh, kh, vh := q.Reshape(n*v.Heads, v.HeadDim), k.Reshape(n*v.KV, v.HeadDim), val.Reshape(n*v.KV, v.HeadDim)
	l.qNorm.Apply(be, qh, qh)
	l.kNorm.Apply(be, kh, kh)
	be.RMSNorm(vh, vh, nil, float32(v.Eps))
	e.rotate(q, n, v.Heads, where)
	e.rotate(k, n, v.KV, where)
	be.Attention(o, q, k, val, tensor.AttentionOptions{Scale: 1, Seqs: []tensor.Seq{{QHi: n, KHi: n}}})
	l.o.Apply(be, h, o.Reshape(n, v.Heads*v.HeadDim))
	l.postAttention.Apply(be, h, h)
	be.Add(x, h)
	l.pre.Apply(be, h, x)
	l.mlp.Apply(be, h)
	l.post.Apply(be, h, h)
	be.Add(x, h)
}

// finish pools the tower's output x [n, D] and projects it.
func (e *Eyes) finish(x tensor.Tensor, p *Patches) ([]float32, error) {
	be, v := e.be, e.Vision
	soft := e.pool(x, p)
	cells := len(soft) / v.Width
	h, out := be.Alloc(tensor.F32, cells, v.Width), be.Alloc(tensor.F32, cells, e.width)
	if e.watch != nil {
		e.watch("pooled", append([]float32(nil), soft...))
	}
	if e.bias != nil {
		for i, b := range e.bias {
			for c := range cells {
				at := c*v.Width + i
				soft[at] = (soft[at] - b) * e.mul[i]
			}
		}
	}
	upload(be, h, soft)
	e.see("soft", h)
	be.RMSNorm(h, h, nil, float32(v.Eps))
	e.project.Apply(be, out, h)
	e.see("features", out)
	rows := make([]float32, cells*e.width)
	be.Download(rows, out)
	return rows, be.Err()
}

// pool is the mean of x over every cell of patches, times sqrt(D).
func (e *Eyes) pool(x tensor.Tensor, p *Patches) []float32 {
	v := e.Vision
	d, across := v.Width, p.Cols/v.Pool
	in := make([]float32, p.Cols*p.Rows*d)
	e.be.Download(in, x)
	sum := make([]float64, across*(p.Rows/v.Pool)*d)
	for i := range p.Cols * p.Rows {
		cell := i/p.Cols/v.Pool*across + i%p.Cols/v.Pool
		for c, a := range in[i*d : (i+1)*d] {
			sum[cell*d+c] += float64(a)
		}
	}
	out := make([]float32, len(sum))
	scale := math.Sqrt(float64(d)) / float64(v.Pool*v.Pool)
	for i, s := range sum {
		out[i] = float32(s * scale)
	}
	return out
}
