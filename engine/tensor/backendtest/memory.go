package backendtest

import (
	"math"

	"unmask/engine/tensor"
)

func memory(h *harness) {
	keep := h.put([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
	h.same("rows", h.get(keep.Rows(1, 3)), []float32{3, 4, 5, 6})
	h.same("reshape", h.get(keep.Reshape(2, 3).Rows(1, 2)), []float32{4, 5, 6})
	if s := keep.Rows(1, 1).Shape(); s[0] != 0 || s[1] != 2 {
		h.Errorf("an empty slice has shape %v, want [0 2]", s)
	}
	outer := h.b.Mark()
	a := h.put(h.normal(1000), 1000)
	inner := h.b.Mark()
	big := h.b.Alloc(tensor.F32, 3, 1<<20)
	h.b.Scale(big, 2)
	h.b.Release(inner)
	again := h.b.Alloc(tensor.F32, 1<<21)
	for i, v := range h.get(again) {
		if v != 0 {
			h.Fatalf("element %d of new memory is %g, want 0", i, v)
		}
	}
	want := h.get(a)
	h.b.Add(a, h.put(make([]float32, 1000), 1000))
	h.same("scratch that is still held", h.get(a), want)
	h.b.Release(outer)
	h.same("memory outside marks", h.get(keep), []float32{1, 2, 3, 4, 5, 6})
	for range 3 {
		m := h.b.Mark()
		x := h.b.Alloc(tensor.F32, 100, 100)
		h.b.Add(x, x)
		for _, v := range h.get(x) {
			if v != 0 {
				h.Fatalf("scratch is not zeroed: %g", v)
			}
		}
		h.b.Upload(x, bytesOf(h.normal(10000)), tensor.F32)
		h.b.Release(m)
	}
	if !panics(func() { keep.Rows(2, 4) }) || !panics(func() { keep.Reshape(7) }) {
		h.Error("slices outside a tensor did not panic")
	}
	// More than any machine has is an error that is kept, not a crash; of scratch too.
	defer h.b.Release(h.b.Mark())
	h.b.Alloc(tensor.F32, 1<<20, 1<<20)
	if h.b.Err() == nil {
		h.Error("a scratch tensor of 4 TiB gave no error")
	}
	h.b.Alloc(tensor.F32, math.MaxInt32, math.MaxInt32)
	if h.b.Err() == nil {
		h.Error("an impossible tensor gave no error")
	}
	h.b.Add(keep, keep) // does nothing
}

func convert(h *harness) {
	up := func(src []byte, from tensor.DType, n int) []float32 {
		x := h.b.Alloc(tensor.F32, n)
		h.b.Upload(x, src, from)
		return h.get(x)
	}
	inf := float32(math.Inf(1))
	h.same("f32", up(bytesOf([]float32{1, -2, 1e-45, inf}), tensor.F32, 4), []float32{1, -2, 1e-45, inf})
	h.same("bf16", up([]byte{0x80, 0x3f, 0x20, 0xc1, 0x80, 0x7f}, tensor.BF16, 3), []float32{1, -10, inf})
	h.same("f16", up([]byte{0, 0x3c, 1, 0, 0, 0xfc, 0xff, 0x7b, 0, 0x80}, tensor.F16, 5),
		[]float32{1, 1.0 / (1 << 24), -inf, 65504, float32(math.Copysign(0, -1))})
	h.same("u8", up([]byte{0, 255}, tensor.U8, 2), []float32{0, 255})
	h.same("i32", up([]byte{0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0}, tensor.I32, 2), []float32{-1, 7})
	x := h.b.Alloc(tensor.BF16, 2)
	h.b.Upload(x, []byte{0x80, 0x3f, 0x20, 0xc1}, tensor.BF16)
	h.same("bf16 kept", h.get(x), []float32{1, -10})
}

func wrongShapes(h *harness) {
	a, b := h.put(h.normal(6), 2, 3), h.put(h.normal(6), 3, 2)
	m := h.b.Pack(bytesOf(h.normal(6)), tensor.F32, 2, 3, tensor.F32)
	for name, f := range map[string]func(){
		"add":        func() { h.b.Add(a, b) },
		"matmul k":   func() { h.b.MatMul(h.b.Alloc(tensor.F32, 3, 2), b, m, nil) },
		"matmul n":   func() { h.b.MatMul(a, a, m, nil) },
		"pack":       func() { h.b.Pack(make([]byte, 23), tensor.F32, 2, 3, tensor.F32) },
		"rmsnorm":    func() { h.b.RMSNorm(a, a, b, 1e-5) },
		"swiglu":     func() { h.b.SwiGLU(a, a, b) },
		"upload":     func() { h.b.Upload(a, make([]byte, 20), tensor.F32) },
		"download":   func() { h.b.Download(make([]float32, 5), a) },
		"transpose":  func() { h.b.Transpose(a, a) },
		"upsample":   func() { h.b.Upsample2(a, b) },
		"groupnorm":  func() { h.b.GroupNorm(a, a, nil, nil, 1, 1e-6, false) },
		"type":       func() { h.b.Add(h.b.Alloc(tensor.BF16, 2, 3), a) },
		"dimensions": func() { h.b.Alloc(tensor.F32) },
	} {
		if !panics(f) {
			h.Errorf("%s: wrong shapes did not panic", name)
		}
	}
	h.same("after the panics", h.get(a), h.get(a))
	h.b.Add(a, a) // still works
	h.get(a)
}

func closed(h *harness) {
	a := h.put(h.normal(6), 2, 3)
	if err := h.b.Close(); err != nil {
		h.Fatalf("close: %v", err)
	}
	if h.b.Err() == nil {
		h.Error("a closed backend gives no error")
	}
	h.b.Add(a, a)
	h.b.Alloc(tensor.F32, 4)
}
