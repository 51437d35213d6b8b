package cpu

import (
	"math"

	"unmask/engine"
	"unmask/engine/tensor"
)

// cheapPerNano is how many elements a nanosecond the cheap row functions do, roughly.
const cheapPerNano = 4

// elementBlock is how many elements one unit of an element-by-element function takes.
const elementBlock = 16384

// elements runs fn over the elements of dst in blocks. cost is in nanoseconds a 16 elements.
func (b *Backend) elements(n, cost int) {
	j := &b.job
	j.rows, j.per, j.kern = n, elementBlock, b.kern
	j.units(b.pool, (n+elementBlock-1)/elementBlock, elementBlock/16*cost)
	b.job = job{}
}

// SwiGLU implements [tensor.Backend].
func (b *Backend) SwiGLU(dst, gate, up tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, g, u := floats("swiglu", dst), floats("swiglu", gate), floats("swiglu", up)
	sameShape("swiglu", d, g)
	sameShape("swiglu", d, u)
	b.job = job{dst: d.f, x: g.f, y: u.f, fn: swigluUnit}
	b.elements(len(d.f), 8)
}

func swigluUnit(j *job, _ *worker, i int) {
	lo, hi := j.span(i)
	j.kern.swiglu(j.dst[lo:hi], j.x[lo:hi], j.y[lo:hi])
}

// SiLU implements [tensor.Backend].
func (b *Backend) SiLU(dst, x tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, a := floats("silu", dst), floats("silu", x)
	sameShape("silu", d, a)
	b.job = job{dst: d.f, x: a.f, fn: func(j *job, _ *worker, i int) {
		lo, hi := j.span(i)
		j.kern.silu(j.dst[lo:hi], j.x[lo:hi])
	}}
	b.elements(len(d.f), 8)
}

// GELU implements [tensor.Backend].
func (b *Backend) GELU(dst, x tensor.Tensor, exact bool) {
	if b.err != nil {
		return
	}
	d, a := floats("gelu", dst), floats("gelu", x)
	sameShape("gelu", d, a)
	b.job = job{dst: d.f, x: a.f, flag: exact, fn: func(j *job, _ *worker, i int) {
		lo, hi := j.span(i)
		if j.flag {
			for i := lo; i < hi; i++ {
				v := float64(j.x[i])
				j.dst[i] = float32(0.5 * v * (1 + math.Erf(v/math.Sqrt2)))
			}
			return
		}
		j.kern.gelu(j.dst[lo:hi], j.x[lo:hi])
	}}
	cost := 8
	if exact {
		cost = 300
	}
	b.elements(len(d.f), cost)
}

// Add implements [tensor.Backend].
func (b *Backend) Add(dst, x tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, a := floats("add", dst), floats("add", x)
	rows, width := rowsOf(d)
	if xr, xw := rowsOf(a); xr == 1 && xw == width && rows > 1 {
		b.job = job{dst: d.f, x: a.f, width: width, fn: func(j *job, _ *worker, i int) {
			lo, hi := j.span(i)
			for r := lo; r < hi; r++ {
				j.kern.add(j.dst[r*j.width:(r+1)*j.width], j.x)
			}
		}}
		b.rowUnits(rows, width/cheapPerNano+1)
		return
	}
	sameShape("add", d, a)
	b.job = job{dst: d.f, x: a.f, fn: addUnit}
	b.elements(len(d.f), 4)
}

func addUnit(j *job, _ *worker, i int) {
	lo, hi := j.span(i)
	j.kern.add(j.dst[lo:hi], j.x[lo:hi])
}

// Scale implements [tensor.Backend].
func (b *Backend) Scale(dst tensor.Tensor, s float32) {
	if b.err != nil {
		return
	}
	d := floats("scale", dst)
	b.job = job{dst: d.f, eps: s, fn: func(j *job, _ *worker, i int) {
		lo, hi := j.span(i)
		j.kern.scale(j.dst[lo:hi], j.dst[lo:hi], j.eps)
	}}
	b.elements(len(d.f), 3)
}

// Copy implements [tensor.Backend].
func (b *Backend) Copy(dst, src tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, s := own(dst), own(src)
	sameShape("copy", d, s)
	if d.dt != s.dt {
		wrong("copy", "%v to %v", s.dt, d.dt)
	}
	copy(d.raw, s.raw)
}

// rowBytes is the number of bytes of one entry of the first dimension.
func rowBytes(a *array) int {
	n := a.dt.Size()
	for _, d := range a.shape[1:] {
		n *= d
	}
	return n
}

// Gather implements [tensor.Backend].
func (b *Backend) Gather(dst, src tensor.Tensor, idx []int) {
	if b.err != nil {
		return
	}
	d, s := own(dst), own(src)
	n := rowBytes(s)
	if d.dt != s.dt || rowBytes(d) != n || d.shape[0] != len(idx) {
		wrong("gather", "%d rows of %v %v to %v %v", len(idx), s.dt, s.shape, d.dt, d.shape)
	}
	for i, r := range idx {
		if r < 0 || r >= s.shape[0] {
			wrong("gather", "row %d of %d", r, s.shape[0])
		}
		copy(d.raw[i*n:(i+1)*n], s.raw[r*n:])
	}
}

// Scatter implements [tensor.Backend].
func (b *Backend) Scatter(dst, src tensor.Tensor, idx []int) {
	if b.err != nil {
		return
	}
	d, s := own(dst), own(src)
	n := rowBytes(s)
	if d.dt != s.dt || rowBytes(d) != n || s.shape[0] != len(idx) {
		wrong("scatter", "%d rows of %v %v to %v %v", len(idx), s.dt, s.shape, d.dt, d.shape)
	}
	for i, r := range idx {
		if r < 0 || r >= d.shape[0] {
			wrong("scatter", "row %d of %d", r, d.shape[0])
		}
		copy(d.raw[r*n:(r+1)*n], s.raw[i*n:(i+1)*n])
	}
}

// Embed implements [tensor.Backend]. The table is F32, BF16 or F16. An id outside it is the caller's bug and panics.
func (b *Backend) Embed(dst, table tensor.Tensor, ids []engine.Token) {
	if b.err != nil {
		return
	}
	d, t := floats("embed", dst), own(table)
	width := t.shape[len(t.shape)-1]
	if rows, w := rowsOf(d); len(t.shape) != 2 || rows != len(ids) || w != width {
		wrong("embed", "%d ids, table %v, dst %v", len(ids), t.shape, d.shape)
	}
	n := rowBytes(t)
	for i, id := range ids {
		if id < 0 || int(id) >= t.shape[0] {
			wrong("embed", "id %d of %d", id, t.shape[0])
		}
		out := d.f[i*width : (i+1)*width]
		if t.dt == tensor.F32 {
			copy(out, t.f[int(id)*width:])
			continue
		}
		widen(out, t.raw[int(id)*n:(int(id)+1)*n], t.dt)
	}
}

// Transpose implements [tensor.Backend].
func (b *Backend) Transpose(dst, x tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, a := floats("transpose", dst), floats("transpose", x)
	if len(a.shape) != 2 || len(d.shape) != 2 || d.shape[0] != a.shape[1] || d.shape[1] != a.shape[0] {
		wrong("transpose", "%v to %v", a.shape, d.shape)
	}
	const edge = 16 // blocks of 16 by 16 keep both sides in the first-level cache
	b.job = job{dst: d.f, x: a.f, width: a.shape[1], ldc: a.shape[0], fn: func(j *job, _ *worker, i int) {
		blo, bhi := j.span(i)
		for r0 := blo * edge; r0 < min(bhi*edge, j.ldc); r0 += edge {
			for c0 := 0; c0 < j.width; c0 += edge {
				for r := r0; r < min(r0+edge, j.ldc); r++ {
					for c := c0; c < min(c0+edge, j.width); c++ {
						j.dst[c*j.ldc+r] = j.x[r*j.width+c]
					}
				}
			}
		}
	}}
	b.rowUnits((a.shape[0]+edge-1)/edge, edge*a.shape[1])
}

// Upsample2 implements [tensor.Backend].
func (b *Backend) Upsample2(dst, x tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, a := floats("upsample2", dst), floats("upsample2", x)
	if len(a.shape) != 3 || len(d.shape) != 3 || d.shape[0] != a.shape[0] || d.shape[1] != 2*a.shape[1] || d.shape[2] != 2*a.shape[2] {
		wrong("upsample2", "%v to %v", a.shape, d.shape)
	}
	width := a.shape[2]
	b.job = job{dst: d.f, x: a.f, width: width, fn: func(j *job, _ *worker, i int) {
		lo, hi := j.span(i)
		n := j.width
		for r := lo; r < hi; r++ {
			one := j.dst[4*r*n : (4*r+2)*n]
			for c, v := range j.x[r*n : (r+1)*n] {
				one[2*c], one[2*c+1] = v, v
			}
			copy(j.dst[(4*r+2)*n:(4*r+4)*n], one)
		}
	}}
	b.rowUnits(a.shape[0]*a.shape[1], 2*width)
}
