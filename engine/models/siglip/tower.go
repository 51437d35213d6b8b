package siglip

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// layerNorm normalises rows and has weight and bias.
type layerNorm struct {
	w, b tensor.Tensor // [D]
	eps  float32
}

func loadNorm(b *weights.Binder, name string, d int, eps float32) layerNorm {
	return layerNorm{b.Tensor(name+".weight", d), b.Tensor(name+".bias", d), eps}
}

func (n layerNorm) apply(be tensor.Backend, dst, x tensor.Tensor) {
	be.LayerNorm(dst, x, n.w, n.b, n.eps)
}

// layer is one pre-norm block of the tower: x += attention(norm1 x); x += mlp(norm2 x). No position enters but by the
// embeddings.
type layer struct {
	norm1, norm2 layerNorm
	q, k, v, o   nn.Linear
	fc1, fc2     nn.Linear
}

// tower is the vision transformer without its last layer and final norm.
type tower struct {
	Sizes
	patch  nn.Linear     // [D, 3*P*P]
	place  tensor.Tensor // [N, D] learned positions
	layers []layer
}

// load binds the tower whose names begin with at. The last layer is left out: features are those of the one before, and
// released checkpoints may store all or not.
func load(ctx context.Context, b *weights.Binder, s Sizes, at string) (*tower, error) {
	t := &tower{Sizes: s}
	d, eps := s.Width, float32(s.Eps)
	embed := at + "embeddings."
	t.patch = nn.LoadLinear(b, embed+"patch_embedding", d, 3*s.Patch*s.Patch, true)
	// Asked for in one dimension it is widened to F32: rows of a table may stay BF16, and these are added.
	if place := b.Tensor(embed+"position_embedding.weight", s.Side()*s.Side()*d); place != nil {
		t.place = place.Reshape(s.Side()*s.Side(), d)
	}
	for i := 0; i < s.Layers-1 && !b.Failing(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l := fmt.Sprintf("%sencoder.layers.%d.", at, i)
		attn := l + "self_attn."
		t.layers = append(t.layers, layer{
			norm1: loadNorm(b, l+"layer_norm1", d, eps), norm2: loadNorm(b, l+"layer_norm2", d, eps),
			q: nn.LoadLinear(b, attn+"q_proj", d, d, true), k: nn.LoadLinear(b, attn+"k_proj", d, d, true),
			v: nn.LoadLinear(b, attn+"v_proj", d, d, true), o: nn.LoadLinear(b, attn+"out_proj", d, d, true),
			fc1: nn.LoadLinear(b, l+"mlp.fc1", s.FF, d, true), fc2: nn.LoadLinear(b, l+"mlp.fc2", d, s.FF, true),
		})
	}
	b.Ignore(fmt.Sprintf("%sencoder.layers.%d.", at, s.Layers-1))
	b.Ignore(at + "post_layernorm.")
	b.Ignore(at + "head.")
	return t, nil
}

// patches lays the patches of pixels [3, S, S] out as rows [N, 3*P*P], little-endian.
func (t *tower) patches(pixels []float32) []byte {
	s, p, n := t.Image, t.Patch, t.Side()
	raw := make([]byte, 0, 4*n*n*3*p*p)
	for i := range n * n {
		for c := range 3 {
			for y := range p {
				row := pixels[(c*s+i/n*p+y)*s+i%n*p:]
				for _, v := range row[:p] {
					raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
				}
			}
		}
	}
	return raw
}

// apply runs the tower over one tile and writes its features to x [N, D].
func (t *tower) apply(ctx context.Context, be tensor.Backend, x tensor.Tensor, pixels []float32) error {
	n, d, k := t.Side()*t.Side(), t.Width, t.Width/t.Heads
	in := be.Alloc(tensor.F32, n, 3*t.Patch*t.Patch)
	be.Upload(in, t.patches(pixels), tensor.F32)
	t.patch.Apply(be, x, in)
	be.Add(x, t.place)
	h := be.Alloc(tensor.F32, n, d)
	var q, out [4]tensor.Tensor // queries, keys, values, output: as rows and as heads
	for i := range q {
		q[i] = be.Alloc(tensor.F32, n, d)
		out[i] = q[i].Reshape(n, t.Heads, k)
	}
	wide := be.Alloc(tensor.F32, n, t.FF)
	o := tensor.AttentionOptions{Scale: float32(1 / math.Sqrt(float64(k))), Seqs: []tensor.Seq{{QHi: n, KHi: n}}}
	for i := range t.layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := &t.layers[i]
		l.norm1.apply(be, h, x)
		l.q.Apply(be, q[0], h)
		l.k.Apply(be, q[1], h)
		l.v.Apply(be, q[2], h)
		be.Attention(out[3], out[0], out[1], out[2], o)
		l.o.Apply(be, h, q[3])
		be.Add(x, h)
		l.norm2.apply(be, h, x)
		l.fc1.Apply(be, wide, h)
		be.GELU(wide, wide, false)
		l.fc2.Apply(be, h, wide)
		be.Add(x, h)
	}
	return be.Err()
}
