package backendtest

import (
	"fmt"
	"math"

	"unmask/engine/tensor"
)

func geglu(h *harness) {
	for _, n := range lengths {
		g, u := h.spread(n), h.normal(n)
		want := make([]float64, n)
		for i, v := range wide(g) {
			want[i] = v / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))) * float64(u[i])
		}
		gate, up, dst := h.put(g, 1, n), h.put(u, 1, n), h.b.Alloc(tensor.F32, 1, n)
		h.b.GeGLU(dst, gate, up)
		h.equal(fmt.Sprint("geglu ", n), h.get(dst), want, 4e-6, 2e-6)
		h.b.GeGLU(gate, gate, up)
		h.equal(fmt.Sprint("geglu in place ", n), h.get(gate), want, 4e-6, 2e-6)
	}
}

func softCap(h *harness) {
	for _, n := range lengths {
		for _, c := range []float32{30, 0.5} {
			x := h.spread(n)
			want := make([]float64, n)
			for i, v := range wide(x) {
				want[i] = float64(c) * math.Tanh(v/float64(c))
			}
			xt := h.put(x, n)
			h.b.SoftCap(xt, c)
			h.equal(fmt.Sprintf("cap %g of %d", c, n), h.get(xt), want, 1e-36, 2e-7)
		}
	}
	if !panics(func() { h.b.SoftCap(h.put([]float32{1}, 1), 0) }) {
		h.Error("cap 0: no panic")
	}
}

func softmax(h *harness) {
	for _, n := range lengths {
		const rows = 3
		x := h.normal(rows * n)
		for i := range x[:n] {
			x[i] = 40*x[i] + 200
		}
		want := make([]float64, rows*n)
		for r := range rows {
			m, sum := math.Inf(-1), 0.0
			for _, v := range wide(x[r*n : (r+1)*n]) {
				m = max(m, v)
			}
			for i, v := range wide(x[r*n : (r+1)*n]) {
				want[r*n+i] = math.Exp(v - m)
				sum += want[r*n+i]
			}
			for i := range n {
				want[r*n+i] /= sum
			}
		}
		xt, dst := h.put(x, rows, n), h.b.Alloc(tensor.F32, rows, n)
		h.b.Softmax(dst, xt)
		h.equal(fmt.Sprint("softmax ", n), h.get(dst), want, 1e-36, 3e-6)
		h.b.Softmax(xt, xt)
		h.equal(fmt.Sprint("softmax in place ", n), h.get(xt), want, 1e-36, 3e-6)
	}
	forbidden := h.put([]float32{float32(math.Inf(-1)), 1}, 1, 2)
	h.b.Softmax(forbidden, forbidden)
	h.equal("softmax with -Inf", h.get(forbidden), []float64{0, 1}, 0, 0)
}

func ropePart(h *harness) {
	for _, s := range []struct{ t, heads, k, rot int }{{1, 1, 2, 2}, {5, 3, 64, 16}, {7, 2, 34, 34}, {4, 2, 512, 128}, {3, 1, 66, 10}} {
		x := h.normal(s.t * s.heads * s.k)
		pos := make([]int32, s.t)
		for i := range pos {
			pos[i] = int32(i*i*97 + 5)
		}
		want := wide(x)
		for i := range s.t * s.heads {
			row := want[i*s.k : (i+1)*s.k]
			for c := range s.rot / 2 {
				a := float64(pos[i/s.heads]) * math.Pow(1e6, -2*float64(c)/float64(s.k))
				u, v := row[c], row[c+s.k/2]
				row[c] = u*math.Cos(a) - v*math.Sin(a)
				row[c+s.k/2] = v*math.Cos(a) + u*math.Sin(a)
			}
		}
		xt := h.put(x, s.t, s.heads, s.k)
		h.b.RoPEPart(xt, pos, 1e6, s.rot)
		h.equal(fmt.Sprintf("%+v", s), h.get(xt), want, 2e-6, 1e-6)
	}
	if !panics(func() { h.b.RoPEPart(h.b.Alloc(tensor.F32, 1, 1, 3), []int32{0}, 10, 2) }) {
		h.Error("an odd head: no panic")
	}
}
