package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"unmask/engine"
	"unmask/engine/tensor"
)

// timed runs f b.N times on this thread and reports processor time: the machine may be busy.
func timed(b *testing.B, ops, peak float64, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f()
	b.ResetTimer()
	start, ok := threadTime()
	for b.Loop() {
		f()
	}
	end, _ := threadTime()
	if !ok {
		end = start + b.Elapsed()
	}
	each := (end - start).Seconds() / float64(b.N)
	b.ReportMetric(each*1e6, "cpu-us/op")
	if ops > 0 {
		b.ReportMetric(ops/each/1e9, "GOP/s")
	}
	if peak > 0 {
		b.ReportMetric(100*ops/each/peak, "%peak")
	}
}

func randomFloats(n int) []float32 {
	r := rand.New(rand.NewPCG(3, 4))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

func encode(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func open(b testing.TB, kernels string, threads int) *Backend {
	k, err := New(Options{Kernels: kernels, Threads: threads})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { k.Close() })
	return k
}

func (b *Backend) put(v []float32, shape ...int) tensor.Tensor {
	t := b.Alloc(tensor.F32, shape...)
	b.Upload(t, encode(v), tensor.F32)
	return t
}

// BenchmarkMatMul gives the share of the register peak measured in the same run, on one core.
func BenchmarkMatMul(b *testing.B) {
	for _, k := range Kernels() {
		for _, p := range append(Peak(k, 20*time.Millisecond), Speed{DType: tensor.F32}) {
			if p.PerSecond == 0 && k != "portable" {
				continue
			}
			for _, s := range [][3]int{{1, 512, 512}, {8, 512, 512}, {32, 512, 512}, {256, 512, 512}, {256, 1536, 512}, {256, 512, 1536}, {256, 2048, 512}, {256, 2080, 512}, {256, 512, 2048}, {256, 2080, 2080}, {256, 2048, 2048}, {1024, 2048, 2048}} {
				m, n, kk := s[0], s[1], s[2]
				b.Run(fmt.Sprintf("%s/%v/%dx%dx%d", k, p.DType, m, n, kk), func(b *testing.B) {
					be := open(b, k, 1)
					w := be.Pack(encode(randomFloats(n*kk)), tensor.F32, n, kk, p.DType)
					x, dst := be.put(randomFloats(m*kk), m, kk), be.Alloc(tensor.F32, m, n)
					timed(b, 2*float64(m)*float64(n)*float64(kk), p.PerSecond, func() { be.MatMul(dst, x, w, nil) })
				})
			}
		}
	}
}

// BenchmarkOps times what stands beside products in a forward pass of width 512 over 256 positions.
func BenchmarkOps(b *testing.B) {
	const t, d, heads, f, v = 256, 512, 8, 1536, 8192
	for _, k := range Kernels() {
		be := open(b, k, 1)
		x, w := be.put(randomFloats(t*d), t, d), be.put(randomFloats(d), d)
		y := be.Alloc(tensor.F32, t, d)
		q := be.put(randomFloats(t*d), t, heads, d/heads)
		out := be.Alloc(tensor.F32, t, heads, d/heads)
		gate, up := be.put(randomFloats(t*f), t, f), be.put(randomFloats(t*f), t, f)
		hidden := be.Alloc(tensor.F32, t, f)
		logits := be.put(randomFloats(32*v), 32, v)
		img := be.put(randomFloats(128*32*32), 128, 32, 32)
		img2 := be.Alloc(tensor.F32, 128, 32, 32)
		cw := be.Pack(encode(randomFloats(128*128*9)), tensor.F32, 128, 128*9, tensor.F32)
		pos := make([]int32, t)
		for i := range pos {
			pos[i] = int32(i)
		}
		p := &engine.Prediction{}
		p.Resize(32)
		for _, c := range []struct {
			name string
			ops  float64
			run  func()
		}{
			{"rmsnorm", 0, func() { be.RMSNorm(y, x, w, 1e-5) }},
			{"rope", 0, func() { be.RoPE(out, pos, 10000, d/heads) }},
			{"swiglu", 0, func() { be.SwiGLU(hidden, gate, up) }},
			{"add", 0, func() { be.Add(y, x) }},
			{"attention", 4 * t * t * d, func() {
				be.Attention(out, q, q, q, tensor.AttentionOptions{Scale: 0.125, Seqs: []tensor.Seq{{QHi: t, KHi: t}}})
			}},
			{"pick 32 rows", 0, func() { be.Pick(logits, nil, engine.PickOptions{}, p) }},
			{"pick 32 rows guided", 0, func() { be.Pick(logits, logits, engine.PickOptions{Guidance: 2}, p) }},
			{"pick 32 rows drawn", 0, func() { be.Pick(logits, nil, engine.PickOptions{Temperature: 0.9}, p) }},
			{"conv2d", 2 * 128 * 128 * 9 * 32 * 32, func() {
				be.Conv2D(img2, img, cw, nil, tensor.ConvOptions{KH: 3, KW: 3, Stride: 1, Top: 1, Left: 1, Bottom: 1, Right: 1})
			}},
			{"groupnorm", 0, func() { be.GroupNorm(img2, img, nil, nil, 32, 1e-6, true) }},
		} {
			b.Run(k+"/"+c.name, func(b *testing.B) { timed(b, c.ops, 0, c.run) })
		}
		be.Close()
	}
}

// BenchmarkPack times the packing of one weight, as it is done at load.
func BenchmarkPack(b *testing.B) {
	const n, k = 1024, 1024
	raw := encode(randomFloats(n * k))
	for _, set := range Kernels() {
		for _, from := range []tensor.DType{tensor.F32, tensor.BF16} {
			for _, as := range []tensor.DType{tensor.F32, tensor.BF16, tensor.I8, tensor.I4} {
				b.Run(fmt.Sprintf("%s/%v as %v", set, from, as), func(b *testing.B) {
					be := open(b, set, 1)
					timed(b, n*k, 0, func() { be.Pack(raw[:n*k*from.Size()], from, n, k, as) })
				})
			}
		}
	}
}
