// Package backendtest is the conformance suite of [tensor.Backend]: every operation against a float64 reference, at odd
// sizes, with the bounds that models and samplers rely on. A backend's own test is one call of [Run].
package backendtest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"unmask/engine/tensor"
)

// New makes a fresh backend for one test; the suite closes it.
type New func(t testing.TB) tensor.Backend

// Run checks every operation of the backend.
func Run(t *testing.T, open New) {
	for _, c := range []struct {
		name string
		run  func(h *harness)
	}{
		{"memory", memory},
		{"convert", convert},
		{"embed", embed},
		{"matmul", matmul},
		{"matmul rows", matmulRows},
		{"matmul bf16", matmulBF16},
		{"matmul i8", matmulI8},
		{"matmul i4", matmulI4},
		{"matmuls", matmuls},
		{"gated product", gatedProduct},
		{"rmsnorm", rmsNorm},
		{"layernorm", layerNorm},
		{"rope", rope},
		{"rope part", ropePart},
		{"attention", attention},
		{"attention masks", attentionMasks},
		{"swiglu", swiglu},
		{"silu", silu},
		{"gelu", gelu},
		{"geglu", geglu},
		{"softcap", softCap},
		{"softmax", softmax},
		{"add", add},
		{"scale", scale},
		{"rows", rows},
		{"conv2d", conv2d},
		{"groupnorm", groupNorm},
		{"upsample", upsample},
		{"transpose", transpose},
		{"pick", pick},
		{"pick guidance", pickGuidance},
		{"pick edges", pickEdges},
		{"pick noise", pickNoise},
		{"pick top", pickTop},
		{"wrong shapes", wrongShapes},
		{"closed", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t)
			h := &harness{T: t, b: b, rng: rand.New(rand.NewPCG(1, 2))}
			c.run(h)
			if err := b.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// sizes are lengths that no vector or tile divides, and their neighbours that some do.
var sizes = []int{1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129}

type harness struct {
	*testing.T
	b   tensor.Backend
	rng *rand.Rand
}

// normal returns n normal numbers.
func (h *harness) normal(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(h.rng.NormFloat64())
	}
	return v
}

// put uploads v as a tensor of the shape.
func (h *harness) put(v []float32, shape ...int) tensor.Tensor {
	t := h.b.Alloc(tensor.F32, shape...)
	h.b.Upload(t, bytesOf(v), tensor.F32)
	return t
}

// get downloads x.
func (h *harness) get(x tensor.Tensor) []float32 {
	n := 1
	for _, d := range x.Shape() {
		n *= d
	}
	v := make([]float32, n)
	h.b.Sync()
	h.b.Download(v, x)
	if err := h.b.Err(); err != nil {
		h.Helper()
		h.Fatalf("backend: %v", err)
	}
	return v
}

// equal compares elements: |got - want| <= abs + rel*|want|.
func (h *harness) equal(what string, got []float32, want []float64, abs, rel float64) {
	h.Helper()
	if len(got) != len(want) {
		h.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	worst, at := 0.0, -1
	for i, w := range want {
		g := float64(got[i])
		if math.IsNaN(w) && math.IsNaN(g) || g == w {
			continue
		}
		over := math.Abs(g-w) / (abs + rel*math.Abs(w))
		if math.IsNaN(over) {
			over = math.Inf(1)
		}
		if over > worst {
			worst, at = over, i
		}
	}
	if worst > 1 {
		h.Errorf("%s: element %d of %d is %g, want %g (%.3g times the bound)", what, at, len(got), got[at], want[at], worst)
	}
}

// same compares bits.
func (h *harness) same(what string, got, want []float32) {
	h.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			h.Fatalf("%s: element %d is %g, want exactly %g", what, i, got[i], want[i])
		}
	}
}

// bytesOf encodes v as little-endian f32.
func bytesOf(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

// bf16Of rounds v to bf16, ties to even, and encodes it.
func bf16Of(v []float32) []byte {
	out := make([]byte, 0, 2*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint16(out, uint16(math.Float32bits(bf16(x))>>16))
	}
	return out
}

// bf16 rounds to the nearest bf16, ties to even.
func bf16(f float32) float32 {
	u := math.Float32bits(f)
	return math.Float32frombits((u + 0x7fff + u>>16&1) &^ 0xffff)
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// panics reports whether f panics.
func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
