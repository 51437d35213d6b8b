package nn

import (
	"math"

	"unmask/engine/tensor"
)

// MoE routes every token to the TopK of its experts that a softmax over the router's scores likes best, and adds their
// outputs up by those probabilities, which are not renormalised.
type MoE struct {
	Router  Linear    // [E, D]
	Experts []*SwiGLU // [E]
	TopK    int
	// Bias, when not nil, is added to the probabilities, for the choice and as weight.
	Bias []float32 // [E]
	// Shared, when not nil, serves every token with weight 1.
	Shared *SwiGLU

	watch func(router tensor.Tensor)
	host  []float32   // [T, E]
	rows  [][]int     // of each expert, the tokens it serves
	share [][]float32 // and their weights
	taken []bool
}

// Watch calls fn with the router's scores [T, E] of later passes; nil ends it.
func (m *MoE) Watch(fn func(router tensor.Tensor)) { m.watch = fn }

// Apply implements [FeedForward].
func (m *MoE) Apply(be tensor.Backend, h tensor.Tensor) {
	mark := be.Mark()
	defer be.Release(mark)
	t, d := h.Shape()[0], h.Shape()[1]
	scores := be.Alloc(tensor.F32, t, len(m.Experts))
	m.Router.Apply(be, scores, h)
	if m.watch != nil {
		m.watch(scores)
	}
	m.route(be, scores, t)
	out := be.Alloc(tensor.F32, t, d)
	for e, rows := range m.rows {
		if len(rows) == 0 {
			continue
		}
		inner := be.Mark()
		x := be.Alloc(tensor.F32, len(rows), d)
		sum := be.Alloc(tensor.F32, len(rows), d)
		be.Gather(x, h, rows)
		m.Experts[e].Apply(be, x)
		for i, w := range m.share[e] {
			be.Scale(x.Rows(i, i+1), w)
		}
		be.Gather(sum, out, rows)
		be.Add(sum, x)
		be.Scatter(out, sum, rows)
		be.Release(inner)
	}
	if m.Shared != nil {
		m.Shared.Apply(be, h)
		be.Add(h, out)
		return
	}
	be.Copy(h, out)
}

// route fills rows and share from the router's scores [T, E].
func (m *MoE) route(be tensor.Backend, scores tensor.Tensor, t int) {
	n := len(m.Experts)
	if cap(m.host) < t*n {
		m.host = make([]float32, t*n)
	}
	m.host = m.host[:t*n]
	be.Download(m.host, scores)
	if m.rows == nil {
		m.rows, m.share, m.taken = make([][]int, n), make([][]float32, n), make([]bool, n)
	}
	for e := range m.rows {
		m.rows[e], m.share[e] = m.rows[e][:0], m.share[e][:0]
	}
	for i := range t {
		p := m.host[i*n : (i+1)*n]
		softmax(p)
		for e, b := range m.Bias {
			p[e] += b
		}
		m.choose(i, p)
	}
}

// choose gives token i to the TopK largest of p; equal ones go to the lower expert.
func (m *MoE) choose(i int, p []float32) {
	clear(m.taken)
	for range m.TopK {
		best := -1
		for e, v := range p {
			if !m.taken[e] && (best < 0 || v > p[best]) {
				best = e
			}
		}
		m.taken[best] = true
	}
	for e, take := range m.taken {
		if take {
			m.rows[e] = append(m.rows[e], i)
			m.share[e] = append(m.share[e], p[e])
		}
	}
}

// softmax turns p into probabilities in place.
func softmax(p []float32) {
	top := math.Inf(-1)
	for _, v := range p {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range p {
		sum += math.Exp(float64(v) - top)
	}
	for i, v := range p {
		p[i] = float32(math.Exp(float64(v)-top) / sum)
	}
}
