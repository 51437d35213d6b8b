package cpu

import (
	"math"

	"unmask/engine/tensor"
)

// GeGLU implements [tensor.Backend].
func (b *Backend) GeGLU(dst, gate, up tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, g, u := floats("geglu", dst), floats("geglu", gate), floats("geglu", up)
	sameShape("geglu", d, g)
	sameShape("geglu", d, u)
	b.job = job{dst: d.f, x: g.f, y: u.f, fn: func(j *job, _ *worker, i int) {
		lo, hi := j.span(i)
		j.kern.gelu(j.dst[lo:hi], j.x[lo:hi])
		j.kern.scaleMul(j.dst[lo:hi], j.dst[lo:hi], j.y[lo:hi], 1)
	}}
	b.elements(len(d.f), 10)
}

// SoftCap implements [tensor.Backend], in float64: it acts on logits, of which exponentials are taken.
func (b *Backend) SoftCap(x tensor.Tensor, cap float32) {
	if b.err != nil {
		return
	}
	if !(cap > 0) {
		wrong("softcap", "cap %g, want > 0", cap)
	}
	a := floats("softcap", x)
	b.job = job{dst: a.f, eps: cap, fn: func(j *job, _ *worker, i int) {
		lo, hi := j.span(i)
		c := float64(j.eps)
		for i, v := range j.dst[lo:hi] {
			j.dst[lo+i] = float32(c * math.Tanh(float64(v)/c))
		}
	}}
	b.elements(len(a.f), 250)
}

// Softmax implements [tensor.Backend].
func (b *Backend) Softmax(dst, x tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, a := floats("softmax", dst), floats("softmax", x)
	sameShape("softmax", d, a)
	rows, width := rowsOf(a)
	b.job = job{dst: d.f, x: a.f, width: width, fn: func(j *job, _ *worker, i int) {
		lo, hi := j.span(i)
		for r := lo; r < hi; r++ {
			x, out := j.x[r*j.width:(r+1)*j.width], j.dst[r*j.width:(r+1)*j.width]
			sum := j.kern.expSub(out, x, j.kern.maxOf(x), 1)
			j.kern.scale(out, out, float32(1/sum))
		}
	}}
	b.rowUnits(rows, width+20)
}
