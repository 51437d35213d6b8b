package cpu

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"unmask/engine"
	"unmask/engine/tensor"
)

// pass is a block of a model, a convolution and a Pick: every operation that shares work between workers.
type pass struct {
	b          *Backend
	x, norm    tensor.Tensor
	qkv, ff, w tensor.Matrix
	image      tensor.Tensor
	conv       tensor.Matrix
	pos        []int32
	seqs       []tensor.Seq
	p          engine.Prediction
}

func newPass(b *Backend, dt tensor.DType) *pass {
	const t, d, f, v = 70, 96, 130, 301
	s := &pass{b: b, x: b.put(randomFloats(t*d), t, d), norm: b.put(randomFloats(d), d)}
	s.qkv = b.Pack(encode(randomFloats(d*d)), tensor.F32, d, d, dt)
	s.ff = b.Pack(encode(randomFloats(f*d)), tensor.F32, f, d, dt)
	s.w = b.Pack(encode(randomFloats(v*f)), tensor.F32, v, f, dt)
	s.image = b.put(randomFloats(4*33*31), 4, 33, 31)
	s.conv = b.Pack(encode(randomFloats(20*4*9)), tensor.F32, 20, 4*9, dt)
	for i := range t {
		s.pos = append(s.pos, int32(i))
	}
	s.seqs = []tensor.Seq{{QHi: 40, KHi: 40}, {QLo: 40, QHi: t, KLo: 40, KHi: t}}
	s.p.Resize(t)
	for i := range t {
		s.p.Pos[i] = i
	}
	return s
}

// run does the pass and returns what it computed, when asked.
func (s *pass) run(keep bool) (out []float32) {
	b := s.b
	m := b.Mark()
	defer b.Release(m)
	t, d := s.x.Shape()[0], s.x.Shape()[1]
	h := b.Alloc(tensor.F32, t, d)
	b.RMSNorm(h, s.x, s.norm, 1e-5)
	q := b.Alloc(tensor.F32, t, d)
	b.MatMul(q, h, s.qkv, nil)
	b.Scale(q, 0.1)
	heads := q.Reshape(t, 4, d/4)
	b.RoPE(heads, s.pos, 10000, d/4)
	a := b.Alloc(tensor.F32, t, 4, d/4)
	b.Attention(a, heads, heads, heads, tensor.AttentionOptions{Scale: 0.2, Seqs: s.seqs, BF16: s.qkv.DType() != tensor.F32})
	b.Add(h, a.Reshape(t, d))
	gate := b.Alloc(tensor.F32, t, s.ff.N())
	b.MatMul(gate, h, s.ff, nil)
	b.SwiGLU(gate, gate, gate)
	logits := b.Alloc(tensor.F32, t, s.w.N())
	b.MatMul(logits, gate, s.w, nil)
	b.Pick(logits, nil, engine.PickOptions{Temperature: 0.7, Seed: 5, Top: 2}, &s.p)
	img := b.Alloc(tensor.F32, 20, 33, 31)
	b.Conv2D(img, s.image, s.conv, nil, tensor.ConvOptions{KH: 3, KW: 3, Stride: 1, Top: 1, Left: 1, Bottom: 1, Right: 1})
	b.GroupNorm(img, img, nil, nil, 5, 1e-6, true)
	if !keep {
		return nil
	}
	for _, x := range []tensor.Tensor{logits, img, a} {
		v := make([]float32, own(x).len())
		b.Download(v, x)
		out = append(out, v...)
	}
	for i := range t {
		out = append(out, float32(s.p.Token[i]), s.p.Prob[i], s.p.Margin[i], s.p.Entropy[i], s.p.Top[i][1].Prob)
	}
	return out
}

// TestThreads checks that the number of workers changes no bit.
func TestThreads(t *testing.T) {
	for _, k := range Kernels() {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.I8, tensor.I4} {
			want := newPass(open(t, k, 1), dt).run(true)
			for _, n := range []int{2, 3, 16} {
				got := newPass(open(t, k, n), dt).run(true)
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%s %v: with %d threads element %d is %g, with one %g", k, dt, n, i, got[i], want[i])
					}
				}
			}
		}
	}
}

// TestAllocations checks that a steady pass allocates nothing but the shapes that callers write.
func TestAllocations(t *testing.T) {
	for _, k := range Kernels() {
		s := newPass(open(t, k, 2), tensor.F32)
		s.run(false)
		s.run(false)
		const shapes = 9 // Alloc and Reshape take their dimensions through an interface
		if n := testing.AllocsPerRun(20, func() { s.run(false) }); n > shapes {
			t.Errorf("%s: %g allocations a pass, want at most %d", k, n, shapes)
		}
	}
}

// TestKernelSetsAgree compares each set with the portable one.
func TestKernelSetsAgree(t *testing.T) {
	want := newPass(open(t, "portable", 1), tensor.F32).run(true)
	for _, k := range Kernels()[1:] {
		got := newPass(open(t, k, 2), tensor.F32).run(true)
		for i := range want {
			if d := math.Abs(float64(got[i] - want[i])); d > 2e-3+1e-3*math.Abs(float64(want[i])) {
				t.Fatalf("%s: element %d is %g, portable has %g", k, i, got[i], want[i])
			}
		}
	}
}

// TestClose checks that the workers end.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	b := open(t, "", 8)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines after Close, %d before New", runtime.NumGoroutine(), before)
}

func TestNew(t *testing.T) {
	if _, err := New(Options{Kernels: "sse9"}); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("an unknown kernel set: %v, want ErrUnsupported", err)
	}
	var param *engine.ParamError
	if _, err := New(Options{Threads: -1}); !errors.As(err, &param) {
		t.Errorf("-1 threads: %v, want a ParamError", err)
	}
	b := open(t, "", 0)
	d := b.Device()
	if d.Kind != "cpu" || d.Name == "" || d.Threads < 1 || !slices.Contains(Kernels(), d.Kernels) {
		t.Errorf("device %+v", d)
	}
}

// TestWorkerPanic checks that a panic of a worker reaches the caller and leaves the backend usable.
func TestWorkerPanic(t *testing.T) {
	b := open(t, "", 4)
	func() {
		defer func() {
			if e := recover(); fmt.Sprint(e) != "boom" {
				t.Errorf("recovered %v, want boom", e)
			}
		}()
		b.job = job{fn: func(_ *job, _ *worker, i int) {
			if i == 7 {
				panic("boom")
			}
		}}
		b.pool.run(&b.job, 20)
	}()
	x := b.put(randomFloats(1000), 1000)
	b.Scale(x, 2)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestPoolRuns checks that every unit of many short jobs runs once.
func TestPoolRuns(t *testing.T) {
	b := open(t, "", 4)
	count := make([]int32, 37)
	for n := range 5000 {
		b.job = job{fn: func(j *job, _ *worker, i int) { j.count[i]++ }, count: count}
		b.pool.run(&b.job, 1+n%len(count))
	}
	for i := range count {
		want := int32(0)
		for n := range 5000 {
			if n%len(count) >= i {
				want++
			}
		}
		if count[i] != want {
			t.Fatalf("unit %d ran %d times, want %d", i, count[i], want)
		}
	}
}

func TestPeak(t *testing.T) {
	for _, k := range Kernels()[1:] {
		for _, s := range Peak(k, 4*time.Millisecond) {
			if s.PerSecond < 1e9 || s.PerSecond > 1e13 {
				t.Errorf("%v", s)
			}
		}
	}
}
