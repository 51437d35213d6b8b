package backendtest

import (
	"fmt"
	"math"

	"unmask/engine/tensor"
)

// attend is the reference: softmax(q k^T scale) v, with -Inf where hidden, and even weights where nothing is seen.
func attend(q, k, v []float32, heads, groups, width int, scale float64, seqs []tensor.Seq, hidden func(seq, q, k int) bool) []float64 {
	out := make([]float64, len(q))
	for si, s := range seqs {
		for i := s.QLo; i < s.QHi; i++ {
			for h := range heads {
				g := h * groups / heads
				score := make([]float64, s.KHi-s.KLo)
				m := math.Inf(-1)
				for j := range score {
					if hidden != nil && hidden(si, i, s.KLo+j) {
						score[j] = math.Inf(-1)
						continue
					}
					for c := range width {
						score[j] += float64(q[(i*heads+h)*width+c]) * float64(k[((s.KLo+j)*groups+g)*width+c])
					}
					score[j] *= scale
					m = max(m, score[j])
				}
				var sum float64
				for j := range score {
					if math.IsInf(m, -1) {
						score[j] = 1
					} else {
						score[j] = math.Exp(score[j] - m)
					}
					sum += score[j]
				}
				for j, e := range score {
					for c := range width {
						out[(i*heads+h)*width+c] += e / sum * float64(v[((s.KLo+j)*groups+g)*width+c])
					}
				}
			}
		}
	}
	return out
}

// bf16Attention is what probabilities rounded to bf16 may change: 2^-9 of values up to four standard deviations.
const bf16Attention = 8e-3

func attention(h *harness) {
	for _, c := range []struct{ tq, tk, heads, groups, width int }{
		{1, 1, 1, 1, 1},
		{3, 5, 2, 1, 7},
		{33, 31, 4, 2, 33},
		{65, 129, 3, 3, 64},
		{1, 257, 8, 2, 32},
		{31, 4097, 1, 1, 16},
		{15, 16, 2, 2, 128},
	} {
		q, k, v := h.normal(c.tq*c.heads*c.width), h.normal(c.tk*c.groups*c.width), h.normal(c.tk*c.groups*c.width)
		scale := 1 / math.Sqrt(float64(c.width))
		seqs := []tensor.Seq{{QLo: 0, QHi: c.tq, KLo: 0, KHi: c.tk}}
		dst := h.put(h.normal(len(q)), c.tq, c.heads, c.width)
		kt, vt := h.put(k, c.tk, c.groups, c.width), h.put(v, c.tk, c.groups, c.width)
		h.b.Attention(dst, h.put(q, c.tq, c.heads, c.width), kt, vt, tensor.AttentionOptions{Scale: float32(scale), Seqs: seqs})
		h.equal(fmt.Sprintf("%+v", c), h.get(dst), attend(q, k, v, c.heads, c.groups, c.width, scale, seqs, nil), 3e-6, 1e-5)
		// Operands that are bf16 leave the rounding of probabilities only.
		for _, x := range [][]float32{q, k, v} {
			for i := range x {
				x[i] = bf16(x[i])
			}
		}
		kt, vt = h.put(k, c.tk, c.groups, c.width), h.put(v, c.tk, c.groups, c.width)
		h.b.Attention(dst, h.put(q, c.tq, c.heads, c.width), kt, vt, tensor.AttentionOptions{Scale: float32(scale), Seqs: seqs, BF16: true})
		h.equal(fmt.Sprintf("bf16 %+v", c), h.get(dst), attend(q, k, v, c.heads, c.groups, c.width, scale, seqs, nil), bf16Attention, 0)
	}
	// Large scores must not overflow.
	q := []float32{300, 0}
	k := []float32{300, 0, 0, 300, 299, 0}
	v := []float32{1, 2, 3, 4, 5, 6}
	dst := h.b.Alloc(tensor.F32, 1, 1, 2)
	seqs := []tensor.Seq{{QHi: 1, KHi: 3}}
	h.b.Attention(dst, h.put(q, 1, 1, 2), h.put(k, 3, 1, 2), h.put(v, 3, 1, 2), tensor.AttentionOptions{Scale: 1, Seqs: seqs})
	h.equal("large scores", h.get(dst), attend(q, k, v, 1, 1, 2, 1, seqs, nil), 1e-6, 1e-6)
}

// attentionMasks has three sequences of different lengths in one pass, hidden keys, and a table of allowed pairs; one
// query sees nothing.
func attentionMasks(h *harness) {
	const heads, groups, width = 4, 2, 17
	seqs := []tensor.Seq{{QLo: 0, QHi: 19, KLo: 0, KHi: 40}, {QLo: 19, QHi: 20, KLo: 40, KHi: 41}, {QLo: 20, QHi: 53, KLo: 41, KHi: 74}}
	q, k, v := h.normal(53*heads*width), h.normal(74*groups*width), h.normal(74*groups*width)
	hide := make([]bool, 74)
	for i := range hide {
		hide[i] = i%5 == 3 || i == 40
	}
	allow := make([]byte, 53*40)
	for i := range allow {
		if h.rng.IntN(3) > 0 {
			allow[i] = 1
		}
	}
	clear(allow[30*40 : 31*40])
	at := h.b.Alloc(tensor.U8, 53, 40)
	h.b.Upload(at, allow, tensor.U8)
	qt, kt, vt := h.put(q, 53, heads, width), h.put(k, 74, groups, width), h.put(v, 74, groups, width)
	for _, c := range []struct {
		name  string
		hide  []bool
		allow tensor.Tensor
	}{{"hide", hide, nil}, {"allow", nil, at}, {"both", hide, at}, {"none", nil, nil}} {
		dst, rough := h.b.Alloc(tensor.F32, 53, heads, width), h.b.Alloc(tensor.F32, 53, heads, width)
		h.b.Attention(dst, qt, kt, vt, tensor.AttentionOptions{Scale: 0.25, Seqs: seqs, Hide: c.hide, Allow: c.allow})
		h.b.Attention(rough, qt, kt, vt, tensor.AttentionOptions{Scale: 0.25, Seqs: seqs, Hide: c.hide, Allow: c.allow, BF16: true})
		want := attend(q, k, v, heads, groups, width, 0.25, seqs, func(s, i, j int) bool {
			return c.hide != nil && c.hide[j] || c.allow != nil && allow[i*40+j-seqs[s].KLo] == 0
		})
		h.equal(c.name, h.get(dst), want, 3e-6, 1e-5)
		h.equal(c.name+" bf16", h.get(rough), want, 4*bf16Attention, 0)
	}
	// A query's result does not depend on the queries beside it.
	all, one := h.b.Alloc(tensor.F32, 53, heads, width), h.b.Alloc(tensor.F32, 1, heads, width)
	h.b.Attention(all, qt, kt, vt, tensor.AttentionOptions{Scale: 0.25, Seqs: seqs})
	h.b.Attention(one, qt.Rows(7, 8), kt, vt, tensor.AttentionOptions{Scale: 0.25, Seqs: []tensor.Seq{{QHi: 1, KHi: 40}}})
	h.same("one query", h.get(one), h.get(all)[7*heads*width:8*heads*width])
	h.b.Attention(all, qt, kt, vt, tensor.AttentionOptions{Scale: 0.25, Seqs: seqs, BF16: true})
	h.b.Attention(one, qt.Rows(7, 8), kt, vt, tensor.AttentionOptions{Scale: 0.25, BF16: true, Seqs: []tensor.Seq{{QHi: 1, KHi: 40}}})
	h.same("one query bf16", h.get(one), h.get(all)[7*heads*width:8*heads*width])
}
