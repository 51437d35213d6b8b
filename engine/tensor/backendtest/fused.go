package backendtest

import (
	"errors"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/tensor"
)

// normalised is RMSNorm of rows of k numbers.
func normalised(x, gain []float32, k int, eps float64) []float32 {
	out := make([]float32, len(x))
	for i := 0; i < len(x); i += k {
		var s float64
		for _, v := range x[i : i+k] {
			s += float64(v) * float64(v)
		}
		s = 1 / math.Sqrt(s/float64(k)+eps)
		for c, v := range x[i : i+k] {
			out[i+c] = float32(float64(v) * s * float64(gain[c]))
		}
	}
	return out
}

// roughly is what rounding both operands of a product may change of a sum, as a share of its absolute terms: none in f32,
// 2^-8 in bf16, and half a step of 127, twice, of the largest term in i8.
var roughly = map[tensor.DType]float64{tensor.F32: 2e-6, tensor.BF16: 8e-3, tensor.I8: 3e-2, tensor.I4: 8e-3}

// matmuls checks products that share their input, with all that may happen before and after.
func matmuls(h *harness) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.I8, tensor.I4} {
		for _, s := range [][3]int{{1, 32, 64}, {3, 5, 7}, {33, 65, 100}, {34, 65, 1400}, {9, 33, 2600}} {
			t, n, k := s[0], s[1], s[2]
			x, gain, bias, was := h.normal(t*k), h.normal(k), h.normal(n), h.normal(t*n)
			w := [2][]float32{h.normal(n * k), h.normal((n + 1) * k)}
			ms := []tensor.Matrix{h.b.Pack(bytesOf(w[0]), tensor.F32, n, k, dt), h.b.Pack(bytesOf(w[1]), tensor.F32, n+1, k, dt)}
			if errors.Is(h.b.Err(), engine.ErrUnsupported) {
				return
			}
			if dt == tensor.I4 {
				w[0], w[1] = quantise4(w[0], k), quantise4(w[1], k)
			}
			was1 := h.normal(t * (n + 1))
			for _, o := range []tensor.ProductOptions{{}, {Add: true}, {Normalise: true, Gain: h.put(gain, k), Eps: 1e-5}, {Normalise: true, Gain: h.put(gain, k), Eps: 1e-5, Add: true}} {
				dst := []tensor.Tensor{h.put(was, t, n), h.put(was1, t, n+1)}
				h.b.MatMuls(dst, h.put(x, t, k), ms, []tensor.Tensor{h.put(bias, n), nil}, o)
				in := x
				if o.Normalise {
					in = normalised(x, gain, k, 1e-5)
				}
				for i, b := range [][]float32{bias, nil} {
					want, size := product(in, w[i], b, t, n+i, k)
					if o.Add {
						for e := range want {
							want[e] += float64([][]float32{was, was1}[i][e])
							size[e] += math.Abs(float64([][]float32{was, was1}[i][e]))
						}
					}
					h.within(fmt.Sprintf("%v [%d, %d] x [%d, %d] %+v", dt, t, k, n+i, k, o), h.get(dst[i]), want, size, roughly[dt])
				}
			}
		}
	}
}

// gatedProduct checks the feed-forward of LLaMA.
func gatedProduct(h *harness) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.I8, tensor.I4} {
		for _, s := range [][4]int{{1, 32, 64, 32}, {3, 5, 7, 9}, {33, 65, 100, 70}, {34, 40, 1400, 65}, {300, 64, 64, 64}} {
			t, n, k, f := s[0], s[1], s[2], s[3]
			x, gain, was := h.normal(t*k), h.normal(k), h.normal(t*n)
			gate, up, down := h.normal(f*k), h.normal(f*k), h.normal(n*f)
			for i := range gate {
				gate[i] /= float32(math.Sqrt(float64(k))) // of the size that activations have
			}
			pack := func(w []float32, n, k int) tensor.Matrix { return h.b.Pack(bytesOf(w), tensor.F32, n, k, dt) }
			g, u, d := pack(gate, f, k), pack(up, f, k), pack(down, n, f)
			if errors.Is(h.b.Err(), engine.ErrUnsupported) {
				return
			}
			if dt == tensor.I4 {
				gate, up, down = quantise4(gate, k), quantise4(up, k), quantise4(down, f)
			}
			for _, o := range []tensor.ProductOptions{{}, {Normalise: true, Gain: h.put(gain, k), Eps: 1e-5, Add: true}} {
				dst := h.put(was, t, n)
				h.b.GatedProduct(dst, h.put(x, t, k), g, u, d, o)
				in := x
				if o.Normalise {
					in = normalised(x, gain, k, 1e-5)
				}
				gs, _ := product(in, gate, nil, t, f, k)
				us, usize := product(in, up, nil, t, f, k)
				hidden, size := make([]float32, t*f), make([]float32, t*f)
				for i, v := range gs {
					hidden[i] = float32(v / (1 + math.Exp(-v)) * us[i])
					size[i] = float32((math.Abs(v) + 1) * usize[i])
				}
				want, _ := product(hidden, down, nil, t, n, f)
				_, most := product(size, down, nil, t, n, f)
				if o.Add {
					for e := range want {
						want[e] += float64(was[e])
					}
				}
				h.within(fmt.Sprintf("%v %v %+v", dt, s, o), h.get(dst), want, most, roughly[dt])
			}
		}
	}
}
