package backendtest

import (
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/tensor"
)

// lengths are the element counts of functions that act element by element.
var lengths = append([]int{4095, 4097, 40001}, sizes...)

func silu64(x float64) float64 { return x / (1 + math.Exp(-x)) }

// spread returns n numbers over the whole range where exponentials matter, and the edges.
func (h *harness) spread(n int) []float32 {
	v := h.normal(n)
	for i := range v {
		v[i] *= float32(math.Pow(10, float64(i%4)-1))
	}
	for i, x := range []float32{0, -88, 88, -104, 104, 1e-30, -1e-30, 1000, -1000} {
		if n > 20 {
			v[i*2] = x
		}
	}
	return v
}

func swiglu(h *harness) {
	for _, n := range lengths {
		g, u := h.spread(n), h.normal(n)
		want := make([]float64, n)
		for i := range want {
			want[i] = silu64(float64(g[i])) * float64(u[i])
		}
		gate, up, dst := h.put(g, 1, n), h.put(u, 1, n), h.b.Alloc(tensor.F32, 1, n)
		h.b.SwiGLU(dst, gate, up)
		h.equal(fmt.Sprint("swiglu ", n), h.get(dst), want, 1e-36, 2e-6)
		h.b.SwiGLU(gate, gate, up)
		h.equal(fmt.Sprint("swiglu in place ", n), h.get(gate), want, 1e-36, 2e-6)
	}
}

func silu(h *harness) {
	for _, n := range lengths {
		x := h.spread(n)
		want := make([]float64, n)
		for i := range want {
			want[i] = silu64(float64(x[i]))
		}
		xt, dst := h.put(x, n), h.b.Alloc(tensor.F32, n)
		h.b.SiLU(dst, xt)
		h.equal(fmt.Sprint("silu ", n), h.get(dst), want, 1e-36, 2e-6)
	}
	// An element's result does not depend on where it stands.
	x := h.spread(100)
	a, b := h.b.Alloc(tensor.F32, 100), h.b.Alloc(tensor.F32, 37)
	h.b.SiLU(a, h.put(x, 100))
	h.b.SiLU(b, h.put(x[11:48], 37))
	h.same("silu of a part", h.get(b), h.get(a)[11:48])
}

func gelu(h *harness) {
	for _, n := range lengths {
		x := h.spread(n)
		tanh, erf := make([]float64, n), make([]float64, n)
		for i, v := range wide(x) {
			erf[i] = 0.5 * v * math.Erfc(-v/math.Sqrt2)
			tanh[i] = v / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
		}
		xt, dst := h.put(x, n), h.b.Alloc(tensor.F32, n)
		h.b.GELU(dst, xt, true)
		h.equal(fmt.Sprint("gelu erf ", n), h.get(dst), erf, 1e-6, 2e-6)
		h.b.GELU(dst, xt, false)
		h.equal(fmt.Sprint("gelu tanh ", n), h.get(dst), tanh, 1e-6, 2e-6)
	}
}

func add(h *harness) {
	for _, n := range lengths {
		a, b := h.normal(2*n), h.normal(2*n)
		want := make([]float32, 2*n)
		for i := range want {
			want[i] = a[i] + b[i]
		}
		at := h.put(a, 2, n)
		h.b.Add(at, h.put(b, 2, n))
		h.same(fmt.Sprint("add ", n), h.get(at), want)
		for i := range want {
			want[i] = a[i] + b[i%n]
		}
		at = h.put(a, 2, n)
		h.b.Add(at, h.put(b[:n], 1, n))
		h.same(fmt.Sprint("add a row ", n), h.get(at), want)
		at = h.put(a, 2, n)
		h.b.Add(at, h.put(b[:n], n))
		h.same(fmt.Sprint("add a vector ", n), h.get(at), want)
	}
}

func scale(h *harness) {
	for _, n := range lengths {
		a := h.normal(n)
		at := h.put(a, n)
		h.b.Scale(at, -1.25)
		for i := range a {
			a[i] *= -1.25
		}
		h.same(fmt.Sprint("scale ", n), h.get(at), a)
	}
}

func rmsNorm(h *harness) {
	for _, n := range lengths {
		const rows = 3
		x, w := h.normal(rows*n), h.normal(n)
		for i := range x[:n] {
			x[i] *= 1e3
		}
		plain, weighted := make([]float64, rows*n), make([]float64, rows*n)
		for r := range rows {
			var s float64
			for _, v := range wide(x[r*n : (r+1)*n]) {
				s += v * v
			}
			f := 1 / math.Sqrt(s/float64(n)+1e-5)
			for i := range n {
				plain[r*n+i] = float64(x[r*n+i]) * f
				weighted[r*n+i] = plain[r*n+i] * float64(w[i])
			}
		}
		xt, dst := h.put(x, rows, n), h.b.Alloc(tensor.F32, rows, n)
		h.b.RMSNorm(dst, xt, nil, 1e-5)
		h.equal(fmt.Sprint("plain ", n), h.get(dst), plain, 1e-7, 2e-6)
		h.b.RMSNorm(xt, xt, h.put(w, n), 1e-5)
		h.equal(fmt.Sprint("weighted in place ", n), h.get(xt), weighted, 1e-7, 2e-6)
	}
}

func layerNorm(h *harness) {
	for _, n := range lengths {
		const rows = 3
		x, w, b := h.normal(rows*n), h.normal(n), h.normal(n)
		for i := range x[:n] {
			x[i] += 10
		}
		plain, full := make([]float64, rows*n), make([]float64, rows*n)
		for r := range rows {
			mean, f := moments(wide(x[r*n:(r+1)*n]), 1e-5)
			for i := range n {
				plain[r*n+i] = (float64(x[r*n+i]) - mean) * f
				full[r*n+i] = plain[r*n+i]*float64(w[i]) + float64(b[i])
			}
		}
		xt, dst := h.put(x, rows, n), h.b.Alloc(tensor.F32, rows, n)
		h.b.LayerNorm(dst, xt, nil, nil, 1e-5)
		h.equal(fmt.Sprint("plain ", n), h.get(dst), plain, 5e-6, 1e-5)
		h.b.LayerNorm(xt, xt, h.put(w, n), h.put(b, n), 1e-5)
		h.equal(fmt.Sprint("full in place ", n), h.get(xt), full, 5e-6, 1e-5)
	}
}

func moments(x []float64, eps float64) (mean, scale float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	var d float64
	for _, v := range x {
		d += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, 1 / math.Sqrt(d+eps)
}

func groupNorm(h *harness) {
	for _, s := range [][4]int{{1, 1, 1, 1}, {4, 3, 5, 2}, {6, 7, 9, 3}, {32, 16, 17, 32}, {64, 33, 31, 32}} {
		c, p := s[0], s[1]*s[2]
		x, w, b := h.normal(c*p), h.normal(c), h.normal(c)
		for i := range x {
			x[i] += 3
		}
		plain, active := make([]float64, c*p), make([]float64, c*p)
		per := c / s[3] * p
		for g := range s[3] {
			mean, f := moments(wide(x[g*per:(g+1)*per]), 1e-6)
			for i := g * per; i < (g+1)*per; i++ {
				plain[i] = (float64(x[i])-mean)*f*float64(w[i/p]) + float64(b[i/p])
				active[i] = silu64(plain[i])
			}
		}
		xt, dst := h.put(x, c, s[1], s[2]), h.b.Alloc(tensor.F32, c, s[1], s[2])
		wt, bt := h.put(w, c), h.put(b, c)
		h.b.GroupNorm(dst, xt, wt, bt, s[3], 1e-6, false)
		h.equal(fmt.Sprint("plain ", s), h.get(dst), plain, 5e-6, 1e-5)
		h.b.GroupNorm(xt, xt, wt, bt, s[3], 1e-6, true)
		h.equal(fmt.Sprint("silu in place ", s), h.get(xt), active, 5e-6, 1e-5)
	}
}

func upsample(h *harness) {
	x := h.normal(3 * 5 * 7)
	dst := h.b.Alloc(tensor.F32, 3, 10, 14)
	h.b.Upsample2(dst, h.put(x, 3, 5, 7))
	want := make([]float32, 3*10*14)
	for i := range want {
		want[i] = x[(i/140*5+i/14%10/2)*7+i%14/2]
	}
	h.same("upsample", h.get(dst), want)
}

func transpose(h *harness) {
	for _, s := range [][2]int{{1, 1}, {1, 33}, {33, 1}, {31, 65}, {129, 17}} {
		x := h.normal(s[0] * s[1])
		dst := h.b.Alloc(tensor.F32, s[1], s[0])
		h.b.Transpose(dst, h.put(x, s[0], s[1]))
		want := make([]float32, len(x))
		for i := range x {
			want[i%s[1]*s[0]+i/s[1]] = x[i]
		}
		h.same(fmt.Sprint("transpose ", s), h.get(dst), want)
	}
}

func embed(h *harness) {
	const v, d = 37, 33
	table := h.normal(v * d)
	ids := []engine.Token{0, 36, 5, 5, 17}
	want := make([]float32, len(ids)*d)
	rounded := make([]float32, len(ids)*d)
	for i, id := range ids {
		for c := range d {
			want[i*d+c] = table[int(id)*d+c]
			rounded[i*d+c] = bf16(want[i*d+c])
		}
	}
	dst := h.b.Alloc(tensor.F32, len(ids), d)
	h.b.Embed(dst, h.put(table, v, d), ids)
	h.same("f32 table", h.get(dst), want)
	t := h.b.Alloc(tensor.BF16, v, d)
	h.b.Upload(t, bf16Of(table), tensor.BF16)
	h.b.Embed(dst, t, ids)
	h.same("bf16 table", h.get(dst), rounded)
	if !panics(func() { h.b.Embed(dst, t, []engine.Token{0, 1, 2, 3, v}) }) {
		h.Error("an id outside the table did not panic")
	}
}

func rows(h *harness) {
	src := h.normal(9 * 3 * 5)
	st := h.put(src, 9, 3, 5)
	idx := []int{8, 0, 3, 3}
	dst := h.b.Alloc(tensor.F32, 4, 3, 5)
	h.b.Gather(dst, st, idx)
	got := h.get(dst)
	for i, r := range idx {
		h.same("gather", got[i*15:(i+1)*15], src[r*15:(r+1)*15])
	}
	idx = []int{6, 1, 2, 4}
	h.b.Scatter(st, dst, idx)
	after := h.get(st)
	for i, r := range idx {
		h.same("scatter", after[r*15:(r+1)*15], got[i*15:(i+1)*15])
	}
	h.same("scatter keeps the rest", after[7*15:8*15], src[7*15:8*15])
	h.b.Copy(st.Rows(0, 4), dst)
	h.same("copy to rows", h.get(st)[:60], got)
	if !panics(func() { h.b.Gather(dst, st, []int{0, 1, 2, 9}) }) {
		h.Error("gather of a missing row did not panic")
	}
}

func rope(h *harness) {
	for _, s := range []struct{ t, heads, k, rot int }{{1, 1, 2, 2}, {5, 3, 64, 64}, {7, 2, 34, 34}, {4, 2, 128, 32}, {3, 1, 66, 10}} {
		x := h.normal(s.t * s.heads * s.k)
		pos := make([]int32, s.t)
		for i := range pos {
			pos[i] = int32(i * i * 97)
		}
		pos[0] = 4097
		want := wide(x)
		for i := range s.t * s.heads {
			row := want[i*s.k : (i+1)*s.k]
			for c := range s.rot / 2 {
				a := float64(pos[i/s.heads]) * math.Pow(10000, -2*float64(c)/float64(s.rot))
				u, v := row[c], row[c+s.rot/2]
				row[c] = u*math.Cos(a) - v*math.Sin(a)
				row[c+s.rot/2] = v*math.Cos(a) + u*math.Sin(a)
			}
		}
		xt := h.put(x, s.t, s.heads, s.k)
		h.b.RoPE(xt, pos, 10000, s.rot)
		h.equal(fmt.Sprintf("%+v", s), h.get(xt), want, 2e-6, 1e-6)
	}
	// Positions far outside any table.
	x := h.put([]float32{1, 0}, 1, 1, 2)
	h.b.RoPE(x, []int32{1 << 30}, 10000, 2)
	h.equal("far position", h.get(x), []float64{math.Cos(1 << 30), math.Sin(1 << 30)}, 1e-6, 0)
}
