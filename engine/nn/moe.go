package nn

import (
	"unmask/engine/tensor"
)

// Gate turns the router's scores of one token into the weights of the experts, in place: 0 for those that do not serve it.
type Gate func(scores []float32)

// MoE routes every token to a few of its experts and adds their outputs up by the weights that Gate gives them.
type MoE struct {
	Router  Linear    // [E, D]
	Experts []*SwiGLU // [E]
	Gate    Gate
	// Shared, when not nil, serves every token with weight 1.
	Shared *SwiGLU

	watch   func(name string, x tensor.Tensor)
	weights []float32   // [T, E]
	rows    [][]int     // of each expert, the tokens it serves
	share   [][]float32 // and their weights
}

// Watch calls fn with activations of later passes: "router", the scores [T, E], and "shared", the shared expert's output.
// nil ends it.
func (m *MoE) Watch(fn func(name string, x tensor.Tensor)) { m.watch = fn }

// Weights are the experts' weights in the last pass, [T, E]. For tests.
func (m *MoE) Weights() []float32 { return m.weights }

// Apply implements [FeedForward].
func (m *MoE) Apply(be tensor.Backend, h tensor.Tensor) {
	mark := be.Mark()
	defer be.Release(mark)
	t, d := h.Shape()[0], h.Shape()[1]
	scores := be.Alloc(tensor.F32, t, len(m.Experts))
	m.Router.Apply(be, scores, h)
	if m.watch != nil {
		m.watch("router", scores)
	}
	out := be.Alloc(tensor.F32, t, d)
	m.Serve(be, out, h, scores)
	if m.Shared == nil {
		be.Copy(h, out)
		return
	}
	m.Shared.Apply(be, h)
	if m.watch != nil {
		m.watch("shared", h)
	}
	be.Add(h, out)
}

// Serve adds what the experts make of h [T, D], by the weights that Gate gives them for scores [T, E], to out [T, D].
// Router and Shared take no part in it.
func (m *MoE) Serve(be tensor.Backend, out, h, scores tensor.Tensor) {
	d := h.Shape()[1]
	m.route(be, scores, h.Shape()[0])
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
}

// route fills rows and share from the router's scores [T, E].
func (m *MoE) route(be tensor.Backend, scores tensor.Tensor, t int) {
	n := len(m.Experts)
	if cap(m.weights) < t*n {
		m.weights = make([]float32, t*n)
	}
	m.weights = m.weights[:t*n]
	be.Download(m.weights, scores)
	if m.rows == nil {
		m.rows, m.share = make([][]int, n), make([][]float32, n)
	}
	for e := range m.rows {
		m.rows[e], m.share[e] = m.rows[e][:0], m.share[e][:0]
	}
	for i := range t {
		w := m.weights[i*n : (i+1)*n]
		m.Gate(w)
		for e, x := range w {
			if x != 0 {
				m.rows[e] = append(m.rows[e], i)
				m.share[e] = append(m.share[e], x)
			}
		}
	}
}
