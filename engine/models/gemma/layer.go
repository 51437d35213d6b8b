package gemma

import (
	"encoding/binary"
	"fmt"
	"math"

	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// layer is one layer of encoder and decoder, and what it has cached.
type layer struct {
	q, k, v, o   nn.Linear // v is empty in full layers, whose values are made from the keys
	qNorm, kNorm nn.RMSNorm

	input, postAttention, pre, post   nn.RMSNorm
	postDense, preExperts, postExpert nn.RMSNorm
	dense                             nn.SwiGLU
	moe                               nn.MoE
	router                            nn.RMSNorm // its weight is the router's scale over sqrt(D)
	encoder, decoder                  float32    // layer scalars

	full    bool
	kv, dim int // G, K
	rot     int // rotated entries of a head
	theta   float64
	window  int // a sliding layer's; 0: full

	keys, values tensor.Tensor // [rows, G, K]
	kept         int           // rows in use
}

// loadLayer binds layer i.
func loadLayer(b *weights.Binder, be tensor.Backend, t *Text, i int) layer {
	at := fmt.Sprintf("model.decoder.layers.%d.", i)
	attn := at + "self_attn."
	d, eps := t.Width, float32(t.Eps)
	norm := func(name string) nn.RMSNorm { return nn.LoadRMSNorm(b, at+name, d, eps) }
	l := layer{full: t.Types[i] == full, theta: t.Rope.Sliding.Theta, window: t.Window}
	l.kv, l.dim = t.Layer(i)
	l.rot = l.dim
	if l.full {
		l.theta, l.rot, l.window = t.Rope.Full.Theta, t.rot(l.dim), 0
	}
	l.q = nn.LoadLinear(b, attn+"q_proj", t.Heads*l.dim, d, false)
	l.k = nn.LoadLinear(b, attn+"k_proj", l.kv*l.dim, d, false)
	if !l.full {
		l.v = nn.LoadLinear(b, attn+"v_proj", l.kv*l.dim, d, false)
	}
	l.o = nn.LoadLinear(b, attn+"o_proj", d, t.Heads*l.dim, false)
	l.qNorm, l.kNorm = nn.LoadRMSNorm(b, attn+"q_norm", l.dim, eps), nn.LoadRMSNorm(b, attn+"k_norm", l.dim, eps)
	l.input, l.postAttention = norm("input_layernorm"), norm("post_attention_layernorm")
	l.pre, l.post = norm("pre_feedforward_layernorm"), norm("post_feedforward_layernorm")
	l.postDense, l.preExperts, l.postExpert = norm("post_feedforward_layernorm_1"), norm("pre_feedforward_layernorm_2"), norm("post_feedforward_layernorm_2")
	l.dense = geglu(b, at+"mlp", d, t.FF, "")
	l.loadExperts(b, be, t, at)
	l.decoder = scalar(b, at+"layer_scalar")
	l.encoder = scalar(b, fmt.Sprintf("model.encoder.language_model.layers.%d.layer_scalar", i))
	return l
}

// loadExperts binds router and experts. The router chooses in F32 whatever the arithmetic is.
func (l *layer) loadExperts(b *weights.Binder, be tensor.Backend, t *Text, at string) {
	d := t.Width
	l.moe.Router = nn.Linear{W: b.MatrixF32(at+"router.proj.weight", t.Experts, d)}
	scale := b.Host(at+"router.scale", d)
	per := b.Host(at+"router.per_expert_scale", t.Experts)
	in := b.Experts(at+"experts.gate_up_proj", t.Experts, d, t.ExpertWidth, t.ExpertWidth)
	out := b.Experts(at+"experts.down_proj", t.Experts, t.ExpertWidth, d)
	if scale == nil || per == nil || in[0][0] == nil || out[0][0] == nil {
		return // the binder says what is wrong
	}
	for i := range scale {
		scale[i] *= float32(1 / math.Sqrt(float64(d)))
	}
	l.router = nn.RMSNorm{W: be.Alloc(tensor.F32, d), Eps: float32(t.Eps)}
	upload(be, l.router.W, scale)
	l.moe.Gate = nn.ScaledGate(t.TopK, per)
	for e := range in {
		l.moe.Experts = append(l.moe.Experts, &nn.SwiGLU{
			Gate: nn.Linear{W: in[e][0]}, Up: nn.Linear{W: in[e][1]}, Down: nn.Linear{W: out[e][0]}, Width: t.ExpertWidth, Tanh: true,
		})
	}
}

// scalar is tensor name [1]; 0 when something is wrong with it.
func scalar(b *weights.Binder, name string) float32 {
	x := b.Host(name, 1)
	if x == nil {
		return 0
	}
	return x[0]
}

// pass is what all layers of one pass share.
type pass struct {
	from, rows int // positions [from, from+rows) are fed
	pos        []int32
	wide, near tensor.Tensor // U8 [T, keys]: which keys each row sees in full and in sliding layers; nil: all
	hide       []bool        // of all tokens read and fed; nil: no pads
	round      bool          // attention may round to bf16
}

// pass plans a pass over rows positions after from.
func (n *Network) pass(from, rows int) *pass {
	p := &pass{from: from, rows: rows, pos: make([]int32, rows), round: n.round}
	for i := range p.pos {
		p.pos[i] = int32(from + i)
	}
	for _, pad := range n.hide {
		if pad {
			p.hide = append(append([]bool(nil), n.hide...), make([]bool, from+rows-len(n.hide))...)
			break
		}
	}
	return p
}

// tables sets who sees whom in the encoder. It allocates scratch memory. Keys of a table are those of the cache, then the
// fed rows.
func (n *Network) tables(p *pass) {
	t := &n.Config.Text
	picture := make([]int, p.rows) // 0: a word
	for i := range picture {
		if !n.isFeature(n.tokens[p.from+i]) {
			continue
		}
		picture[i] = i + 1
		if i > 0 && picture[i-1] > 0 {
			picture[i] = picture[i-1]
		}
	}
	same := func(q, k int) bool {
		q, k = q-p.from, k-p.from
		return k >= 0 && picture[q] > 0 && picture[q] == picture[k]
	}
	rule := n.Images
	if t.Bidirection == nil {
		rule = ImagesCausal
	}
	p.wide = n.table(p, 0, func(q, k int) bool { return k <= q || rule == ImagesGenerate && same(q, k) })
	p.near = n.table(p, t.Window, func(q, k int) bool {
		near := k > q-t.Window
		return k <= q && near || same(q, k) && (rule == ImagesGenerate || rule == ImagesLocal && near)
	})
}

// table uploads what sees says of the fed rows and the keys that a layer with this window has; 0: all.
func (n *Network) table(p *pass, window int, sees func(q, k int) bool) tensor.Tensor {
	cached := p.from
	if window > 0 {
		cached = min(cached, window-1)
	}
	keys := cached + p.rows
	raw := make([]byte, p.rows*keys)
	for i := range p.rows {
		for j := range keys {
			k := p.from - cached + j
			if sees(p.from+i, k) && (p.hide == nil || !p.hide[k]) {
				raw[i*keys+j] = 1
			}
		}
	}
	x := n.be.Alloc(tensor.U8, p.rows, keys)
	n.be.Upload(x, raw, tensor.U8)
	return x
}

// apply runs layer l over x [T, D] in place. Its keys and values are written behind the cached ones, which they do not
// join.
func (n *Network) apply(l *layer, i int, x tensor.Tensor, p *pass, scalar float32) {
	be, t := n.be, &n.Config.Text
	mark := be.Mark()
	defer be.Release(mark)
	h := be.Alloc(tensor.F32, p.rows, t.Width)
	l.input.Apply(be, h, x)
	l.attend(be, h, p, t)
	l.postAttention.Apply(be, h, h)
	be.Add(x, h)

	l.pre.Apply(be, h, x)
	l.dense.Apply(be, h)
	l.postDense.Apply(be, h, h)
	in := be.Alloc(tensor.F32, p.rows, t.Width)
	out := be.Alloc(tensor.F32, p.rows, t.Width)
	scores := be.Alloc(tensor.F32, p.rows, t.Experts)
	l.router.Apply(be, in, x)
	l.moe.Router.Apply(be, scores, in)
	if n.watch != nil {
		n.see(fmt.Sprintf("router%d", i), scores)
	}
	l.preExperts.Apply(be, in, x)
	l.moe.Serve(be, out, in, scores)
	l.postExpert.Apply(be, out, out)
	be.Add(h, out)
	l.post.Apply(be, h, h)
	be.Add(x, h)
	be.Scale(x, scalar)
	if n.watch != nil {
		n.see(fmt.Sprintf("layer%d", i), x)
	}
}

// attend overwrites h [T, D] with the output of the attention.
func (l *layer) attend(be tensor.Backend, h tensor.Tensor, p *pass, t *Text) {
	rows, heads := p.rows, t.Heads
	q, o := be.Alloc(tensor.F32, rows, heads, l.dim), be.Alloc(tensor.F32, rows, heads, l.dim)
	k, v := l.keys.Rows(l.kept, l.kept+rows), l.values.Rows(l.kept, l.kept+rows)
	q2, k2, v2 := q.Reshape(rows, heads*l.dim), k.Reshape(rows, l.kv*l.dim), v.Reshape(rows, l.kv*l.dim)
	l.q.Apply(be, q2, h)
	l.k.Apply(be, k2, h)
	if l.full {
		be.Copy(v2, k2)
	} else {
		l.v.Apply(be, v2, h)
	}
	qh, kh, vh := q.Reshape(rows*heads, l.dim), k.Reshape(rows*l.kv, l.dim), v.Reshape(rows*l.kv, l.dim)
	l.qNorm.Apply(be, qh, qh)
	l.kNorm.Apply(be, kh, kh)
	be.RMSNorm(vh, vh, nil, float32(t.Eps))
	l.turn(be, q, p.pos)
	l.turn(be, k, p.pos)
	opts := tensor.AttentionOptions{Scale: 1, BF16: p.round, Seqs: []tensor.Seq{{QHi: rows, KHi: l.kept + rows}}, Allow: p.near}
	if l.full {
		opts.Allow = p.wide
	}
	if p.hide != nil && opts.Allow == nil {
		opts.Hide = p.hide[len(p.hide)-l.kept-rows:]
	}
	be.Attention(o, q, l.keys.Rows(0, l.kept+rows), l.values.Rows(0, l.kept+rows), opts)
	l.o.Apply(be, h, o.Reshape(rows, heads*l.dim))
}

// turn rotates heads x [n, heads, K] by their positions.
func (l *layer) turn(be tensor.Backend, x tensor.Tensor, pos []int32) {
	if l.full {
		be.RoPEPart(x, pos, l.theta, l.rot)
	} else {
		be.RoPE(x, pos, l.theta, l.rot)
	}
}

// room makes every layer's memory hold rows more than it has cached.
func (n *Network) room(rows int) {
	for i := range n.layers {
		l := &n.layers[i]
		l.keys = grow(n.be, l.keys, l.kept, l.kept+rows, l.kv, l.dim)
		l.values = grow(n.be, l.values, l.kept, l.kept+rows, l.kv, l.dim)
	}
}

// keep makes the rows written last part of the cache. Of a sliding layer the last window-1 stay: a query sees the window
// with itself.
func (l *layer) keep(be tensor.Backend, rows int) {
	l.kept += rows
	if most := l.window - 1; l.window > 0 && l.kept > most {
		for _, x := range []tensor.Tensor{l.keys, l.values} {
			if most == 0 {
				break
			}
			mark := be.Mark()
			tail := be.Alloc(tensor.F32, most, l.kv, l.dim)
			be.Copy(tail, x.Rows(l.kept-most, l.kept))
			be.Copy(x.Rows(0, most), tail)
			be.Release(mark)
		}
		l.kept = most
	}
}

// grow returns t, or memory for at least twice t's rows, with the first used rows of t, when t has fewer than rows. It
// must be called outside of Mark and Release: what it returns stays.
func grow(be tensor.Backend, t tensor.Tensor, used, rows int, shape ...int) tensor.Tensor {
	have := 0
	if t != nil {
		have = t.Shape()[0]
	}
	if have >= rows {
		return t
	}
	out := be.Alloc(tensor.F32, append([]int{max(rows, 2*have)}, shape...)...)
	if used > 0 {
		be.Copy(out.Rows(0, used), t.Rows(0, used))
	}
	return out
}

func upload(be tensor.Backend, dst tensor.Tensor, x []float32) {
	raw := make([]byte, 0, 4*len(x))
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	be.Upload(dst, raw, tensor.F32)
}
