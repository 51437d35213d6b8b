package backendtest

import (
	"errors"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/tensor"
)

// product is x [t, k] times w [n, k] transposed plus bias.
func product(x, w, bias []float32, t, n, k int) (out, size []float64) {
	out, size = make([]float64, t*n), make([]float64, t*n)
	for i := range t {
		for j := range n {
			var s, m float64
			if bias != nil {
				s, m = float64(bias[j]), math.Abs(float64(bias[j]))
			}
			for c := range k {
				p := float64(x[i*k+c]) * float64(w[j*k+c])
				s += p
				m += math.Abs(p)
			}
			out[i*n+j], size[i*n+j] = s, m
		}
	}
	return out, size
}

// within checks a product: the error of a sum of k terms in f32 is far below eps * (sum of absolute terms).
func (h *harness) within(what string, got []float32, want, size []float64, eps float64) {
	h.Helper()
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= eps*size[i]+1e-30) {
			h.Fatalf("%s: element %d is %g, want %g; off by %.3g, may be %.3g", what, i, got[i], w, d, eps*size[i])
		}
	}
}

func matmul(h *harness) {
	shapes := [][3]int{{1, 1, 1}, {3, 5, 7}, {33, 31, 4097}, {1, 4097, 33}, {4097, 3, 5}, {57, 257, 129}, {14, 32, 64}, {28, 64, 512}}
	for _, t := range []int{1, 2, 5, 9, 13, 14, 15, 27, 29} {
		for _, n := range []int{1, 15, 31, 32, 33, 65} {
			shapes = append(shapes, [3]int{t, n, 1 + (t*n)%67})
		}
	}
	for _, s := range shapes {
		t, n, k := s[0], s[1], s[2]
		x, w, bias := h.normal(t*k), h.normal(n*k), h.normal(n)
		m := h.b.Pack(bytesOf(w), tensor.F32, n, k, tensor.F32)
		if m.N() != n || m.K() != k || m.DType() != tensor.F32 || m.Bytes() < int64(4*n*k) {
			h.Fatalf("matrix is [%d, %d] %v of %d bytes", m.N(), m.K(), m.DType(), m.Bytes())
		}
		dst, xt := h.put(h.normal(t*n), t, n), h.put(x, t, k)
		for _, b := range [][]float32{nil, bias} {
			var bt tensor.Tensor
			if b != nil {
				bt = h.put(b, n)
			}
			h.b.MatMul(dst, xt, m, bt)
			want, size := product(x, w, b, t, n, k)
			h.within(fmt.Sprintf("[%d, %d] x [%d, %d], bias %v", t, k, n, k, b != nil), h.get(dst), want, size, 1e-6)
		}
	}
	// bf16 and f16 on disk are widened exactly.
	w := []float32{1, 0.5, -3, 1.0078125}
	m := h.b.Pack(bf16Of(w), tensor.BF16, 2, 2, tensor.F32)
	dst := h.b.Alloc(tensor.F32, 1, 2)
	h.b.MatMul(dst, h.put([]float32{1.0000001, 2}, 1, 2), m, nil)
	h.same("bf16 on disk", h.get(dst), []float32{1.0000001 + 1, -3.0000005 + 2.015625})
	h.b.MatMul(dst, h.put([]float32{1, 2}, 1, 2), h.b.Pack([]byte{0, 0x3c, 0, 0x38, 0, 0xc2, 1, 0}, tensor.F16, 2, 2, tensor.F32), nil)
	h.same("f16 on disk", h.get(dst), []float32{2, -3 + 2.0/(1<<24)})
}

// matmulRows checks that a row's result does not depend on the rows beside it: caches and guided passes rely on it.
func matmulRows(h *harness) {
	const n, k, t = 77, 123, 61
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.I8, tensor.I4} {
		m := h.b.Pack(bytesOf(h.normal(n*k)), tensor.F32, n, k, dt)
		if errors.Is(h.b.Err(), engine.ErrUnsupported) {
			return
		}
		x := h.put(h.normal(t*k), t, k)
		all := h.b.Alloc(tensor.F32, t, n)
		h.b.MatMul(all, x, m, nil)
		want := h.get(all)
		for _, r := range [][2]int{{0, 1}, {3, 5}, {7, 20}, {60, 61}, {0, 31}} {
			part := h.b.Alloc(tensor.F32, r[1]-r[0], n)
			h.b.MatMul(part, x.Rows(r[0], r[1]), m, nil)
			h.same(fmt.Sprintf("%v rows %v", dt, r), h.get(part), want[r[0]*n:r[1]*n])
		}
	}
}

func matmulBF16(h *harness) {
	for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {33, 31, 4097}, {13, 65, 65}, {29, 33, 31}, {57, 257, 129}} {
		t, n, k := s[0], s[1], s[2]
		x, w, bias := h.normal(t*k), h.normal(n*k), h.normal(n)
		m := h.b.Pack(bytesOf(w), tensor.F32, n, k, tensor.BF16)
		if m.DType() != tensor.BF16 {
			h.Fatalf("dtype %v, want bf16", m.DType())
		}
		dst := h.b.Alloc(tensor.F32, t, n)
		h.b.MatMul(dst, h.put(x, t, k), m, h.put(bias, n))
		for i := range x {
			x[i] = bf16(x[i])
		}
		for i := range w {
			w[i] = bf16(w[i])
		}
		want, size := product(x, w, bias, t, n, k)
		h.within(fmt.Sprintf("[%d, %d] x [%d, %d]", t, k, n, k), h.get(dst), want, size, 1e-6)
	}
}

// quantise replaces each row of k numbers by what its i8 numbers stand for.
func quantise(v []float32, k int) []float64 {
	out := make([]float64, len(v))
	for i := 0; i < len(v); i += k {
		m := float32(0)
		for _, x := range v[i : i+k] {
			m = max(m, float32(math.Abs(float64(x))))
		}
		if m == 0 {
			continue
		}
		mul := 127 / m
		for c, x := range v[i : i+k] {
			out[i+c] = math.RoundToEven(float64(x*mul)) * float64(m/127)
		}
	}
	return out
}

func matmulI8(h *harness) {
	for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {33, 31, 4097}, {13, 65, 65}, {29, 33, 31}, {57, 257, 129}, {2, 32, 64}} {
		t, n, k := s[0], s[1], s[2]
		x, w, bias := h.normal(t*k), h.normal(n*k), h.normal(n)
		if t > 1 {
			clear(x[k : 2*k])
		}
		clear(w[:k])
		m := h.b.Pack(bytesOf(w), tensor.F32, n, k, tensor.I8)
		if errors.Is(h.b.Err(), engine.ErrUnsupported) {
			h.Skip("no i8 products")
		}
		if m.DType() != tensor.I8 {
			h.Fatalf("dtype %v, want i8", m.DType())
		}
		dst := h.b.Alloc(tensor.F32, t, n)
		qx, qw := quantise(x, k), quantise(w, k)
		for _, b := range [][]float32{nil, bias} {
			var bt tensor.Tensor
			if b != nil {
				bt = h.put(b, n)
			}
			h.b.MatMul(dst, h.put(x, t, k), m, bt)
			want, size := make([]float64, t*n), make([]float64, t*n)
			for i := range want {
				for c := range k {
					p := qx[i/n*k+c] * qw[i%n*k+c]
					want[i] += p
					size[i] += math.Abs(p)
				}
				if b != nil {
					want[i] += float64(b[i%n])
					size[i] += math.Abs(float64(b[i%n]))
				}
			}
			h.within(fmt.Sprintf("[%d, %d] x [%d, %d], bias %v", t, k, n, k, b != nil), h.get(dst), want, size, 1e-6)
		}
	}
	// What is not finite is seen.
	x := h.normal(3 * 70)
	x[5], x[75] = float32(math.NaN()), float32(math.Inf(1))
	dst := h.b.Alloc(tensor.F32, 3, 2)
	h.b.MatMul(dst, h.put(x, 3, 70), h.b.Pack(bytesOf(h.normal(140)), tensor.F32, 2, 70, tensor.I8), nil)
	for i, v := range h.get(dst) {
		if math.IsNaN(float64(v)) != (i < 4) {
			h.Errorf("element %d is %g", i, v)
		}
	}
}

// quantise4 replaces groups of 32 of each row of k numbers by what their four bits stand for.
func quantise4(v []float32, k int) []float32 {
	out := make([]float32, len(v))
	for i := 0; i < len(v); i += k {
		for g := i; g < i+k; g += 32 {
			group := v[g:min(g+32, i+k)]
			extreme := float32(0)
			for _, x := range group {
				if a, b := math.Abs(float64(x)), math.Abs(float64(extreme)); a > b || a == b && x > 0 {
					extreme = x
				}
			}
			if extreme == 0 {
				continue
			}
			frac, exp := math.Frexp(float64(extreme / -8))
			d := float32(math.Ldexp(math.RoundToEven(frac*32)/32, exp))
			for c, x := range group {
				out[g+c] = float32(min(max(math.RoundToEven(float64(x*(1/d))), -8), 7)) * d
			}
		}
	}
	return out
}

func matmulI4(h *harness) {
	for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {33, 31, 4097}, {13, 65, 65}, {29, 33, 31}, {57, 257, 129}, {2, 32, 64}, {70, 96, 1000}} {
		t, n, k := s[0], s[1], s[2]
		x, w, bias := h.normal(t*k), h.normal(n*k), h.normal(n)
		clear(w[:k])
		m := h.b.Pack(bytesOf(w), tensor.F32, n, k, tensor.I4)
		if errors.Is(h.b.Err(), engine.ErrUnsupported) {
			h.Skip("no products of four bits")
		}
		if m.DType() != tensor.I4 {
			h.Fatalf("dtype %v, want i4", m.DType())
		}
		if n%32 == 0 && k%32 == 0 && m.Bytes() > int64(n*k*9/16) {
			h.Errorf("[%d, %d] takes %d bytes, more than 4.5 bits an element", n, k, m.Bytes())
		}
		dst := h.b.Alloc(tensor.F32, t, n)
		qw := quantise4(w, k)
		for i := range x {
			x[i] = bf16(x[i])
		}
		for _, b := range [][]float32{nil, bias} {
			var bt tensor.Tensor
			if b != nil {
				bt = h.put(b, n)
			}
			h.b.MatMul(dst, h.put(x, t, k), m, bt)
			want, size := product(x, qw, b, t, n, k)
			h.within(fmt.Sprintf("[%d, %d] x [%d, %d], bias %v", t, k, n, k, b != nil), h.get(dst), want, size, 1e-6)
		}
	}
	// What is not finite is seen.
	w := h.normal(2 * 70)
	w[5], w[100] = float32(math.NaN()), float32(math.Inf(1))
	dst := h.b.Alloc(tensor.F32, 1, 2)
	h.b.MatMul(dst, h.put(h.normal(70), 1, 70), h.b.Pack(bytesOf(w), tensor.F32, 2, 70, tensor.I4), nil)
	for i, v := range h.get(dst) {
		if !math.IsNaN(float64(v)) {
			h.Errorf("element %d is %g, want NaN", i, v)
		}
	}
}

func conv2d(h *harness) {
	for _, c := range []struct{ c, hh, w, o, kh, kw, stride, top, left, bottom, right int }{
		{1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
		{3, 9, 7, 5, 3, 3, 1, 1, 1, 1, 1},
		{4, 17, 33, 31, 3, 3, 1, 1, 1, 1, 1},
		{5, 16, 12, 6, 3, 3, 2, 0, 0, 1, 1},
		{33, 6, 5, 3, 1, 1, 1, 0, 0, 0, 0},
		{2, 5, 40, 17, 5, 2, 1, 2, 0, 2, 1},
		{70, 8, 8, 29, 3, 3, 1, 1, 1, 1, 1},
		{3, 11, 13, 4, 4, 4, 3, 2, 3, 1, 0},
	} {
		oh, ow := (c.hh+c.top+c.bottom-c.kh)/c.stride+1, (c.w+c.left+c.right-c.kw)/c.stride+1
		k := c.c * c.kh * c.kw
		x, w, bias := h.normal(c.c*c.hh*c.w), h.normal(c.o*k), h.normal(c.o)
		want, size := make([]float64, c.o*oh*ow), make([]float64, c.o*oh*ow)
		for o := range c.o {
			for oy := range oh {
				for ox := range ow {
					s, m := float64(bias[o]), math.Abs(float64(bias[o]))
					for i := range k {
						y, xx := oy*c.stride+i/c.kw%c.kh-c.top, ox*c.stride+i%c.kw-c.left
						if y < 0 || y >= c.hh || xx < 0 || xx >= c.w {
							continue
						}
						p := float64(w[o*k+i]) * float64(x[(i/(c.kh*c.kw)*c.hh+y)*c.w+xx])
						s += p
						m += math.Abs(p)
					}
					want[(o*oh+oy)*ow+ox], size[(o*oh+oy)*ow+ox] = s, m
				}
			}
		}
		m := h.b.Pack(bytesOf(w), tensor.F32, c.o, k, tensor.F32)
		dst, xt, bt := h.put(h.normal(c.o*oh*ow), c.o, oh, ow), h.put(x, c.c, c.hh, c.w), h.put(bias, c.o)
		opt := tensor.ConvOptions{KH: c.kh, KW: c.kw, Stride: c.stride, Top: c.top, Left: c.left, Bottom: c.bottom, Right: c.right}
		h.b.Conv2D(dst, xt, m, bt, opt)
		h.within(fmt.Sprintf("%+v", c), h.get(dst), want, size, 1e-6)
		h.b.Conv2D(dst, xt, m, nil, opt)
		for i := range want {
			want[i] -= float64(bias[i/(oh*ow)])
		}
		h.within(fmt.Sprintf("%+v without bias", c), h.get(dst), want, size, 1e-6)
		// The same weight still serves products.
		col := h.put(x[:min(k, len(x))], 1, min(k, len(x)))
		if k <= len(x) {
			out := h.b.Alloc(tensor.F32, 1, c.o)
			h.b.MatMul(out, col, m, nil)
			pw, ps := product(x[:k], w, nil, 1, c.o, k)
			h.within("product after convolution", h.get(out), pw, ps, 1e-6)
		}
	}
}
