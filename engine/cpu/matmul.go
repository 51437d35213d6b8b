package cpu

import (
	"unsafe"

	"unmask/engine/tensor"
)

// tile is the tile function of products with m.
func (m *matrix) tile(k *kernels) tileFunc {
	switch m.dt {
	case tensor.BF16, tensor.I4:
		return k.bf16
	case tensor.I8:
		return k.i8
	}
	return k.f32
}

// MatMul implements [tensor.Backend].
func (b *Backend) MatMul(dst, x tensor.Tensor, w tensor.Matrix, bias tensor.Tensor) {
	if b.err != nil {
		return
	}
	d, a := floats("matmul", dst), floats("matmul", x)
	m := b.operand("matmul", w)
	rows, k := rowsOf(a)
	if dr, n := rowsOf(d); dr != rows || n != m.n || k != m.k {
		wrong("matmul", "dst %v, x %v, w [%d, %d]", d.shape, a.shape, m.n, m.k)
	}
	bs := optional("matmul", bias, m.n)
	if rows == 0 {
		return
	}
	b.product(d.f, m.n, a.f, rows, m, bs)
	b.job = job{}
}

// strip r of rows activation rows cut into n nearly equal strips is [stripLo(r), stripLo(r+1)).
func stripLo(i, strips, rows int) int { return i * rows / strips }

// stripLo is where strip i of the job's rows begins: nearly equal strips, or full ones and a rest on the matrix unit.
func (j *job) stripLo(i int) int {
	if j.m.unit(j.kern) != nil {
		return min(i*unitRows32, j.rows)
	}
	return stripLo(i, j.strips, j.rows)
}

// product computes dst [rows, ldc] = x [rows, k] times m, plus bias.
func (b *Backend) product(dst []float32, ldc int, x []float32, rows int, m *matrix, bias []float32) {
	b.pack(x, rows, m, tensor.ProductOptions{}, nil)
	b.multiply(dst, ldc, m, bias, false)
}

// pack packs the rows of x as the left operand of products with m and its like, normalised as o says, with gain.
func (b *Backend) pack(x []float32, rows int, m *matrix, o tensor.ProductOptions, gain []float32) {
	mr := b.kern.mr
	if m.unit(b.kern) != nil {
		mr = unitRows32
	}
	strips := (rows + mr - 1) / mr
	words := roundUp(m.steps, chunkWords)
	b.job = job{
		kern: b.kern, m: m, x: x, y: gain, eps: o.Eps, norm: o.Normalise, rows: rows, strips: strips,
		a: grow(&b.pool.workers[0].packA, rows*words+rows), width: words, fn: packStrip,
	}
	b.job.z = b.job.a[rows*words:] // the units of rows, I8
	b.job.units(b.pool, strips, m.k*mr)
}

// multiply computes dst [rows, ldc] (+)= what pack packed times m, plus bias. m has the layout of the matrix it was packed
// for. Only a matrix unit adds.
func (b *Backend) multiply(dst []float32, ldc int, m *matrix, bias []float32, add bool) {
	j := &b.job
	j.fn = multiply
	if m.unit(b.kern) != nil {
		j.fn = unitMultiply
	}
	j.m, j.dst, j.ldc, j.y, j.add = m, dst, ldc, bias, add
	j.share(b, (m.n+b.kern.nr-1)/b.kern.nr)
	j.units(b.pool, j.across*j.split, j.per*b.kern.nr*m.k*(j.rows/j.split+1)/4)
}

// share cuts a product into units. Panels outside, strips inside: a panel stays in a near cache while the strips stream
// past it. A unit is a few panels by all strips, or by a share of them where there are few panels.
func (j *job) share(b *Backend, panels int) {
	j.per = max(1, panels/(4*len(b.pool.workers)))
	j.across = (panels + j.per - 1) / j.per
	j.split = (j.rows + unitRows - 1) / unitRows
	for j.split < j.strips && j.split*j.across < 2*len(b.pool.workers) {
		j.split++
	}
}

// packStrip packs strip i of j.x into j.a.
func packStrip(j *job, w *worker, i int) {
	lo, hi := j.stripLo(i), j.stripLo(i+1)
	j.packLeft(w, j.a[lo*j.width:hi*j.width], j.x[lo*j.m.k:hi*j.m.k], j.z[lo:hi])
}

// packLeft packs rows as a strip: [chunks][rows][16] words. units receives one a row when the product is I8.
func (j *job) packLeft(w *worker, dst, x, units []float32) {
	k, rows := j.m.k, len(units)
	step := 4 * rows * chunkWords
	for r := range rows {
		row, to := x[r*k:(r+1)*k], unsafe.Pointer(&dst[r*chunkWords])
		if j.norm {
			out := grow(&w.norm, k)
			j.normalise(out, row)
			row = out
		}
		switch j.m.dt {
		case tensor.BF16, tensor.I4:
			j.kern.packBF16(to, row, step)
		case tensor.I8:
			unit, mul := unitOf(j.kern.maxBits(row))
			units[r] = unit
			j.kern.packI8(to, row, step, mul)
		default:
			j.kern.packF32(to, row, step)
		}
	}
}

// finish turns a tile of sums, rows from lo on and panel p, into results: bytes become numbers, and get their bias.
func (j *job) finish(c []float32, ldc, p, lo, rows, cols int) {
	if j.m.dt != tensor.I8 {
		return
	}
	nr, m := j.kern.nr, j.m
	at := p * nr
	if j.kern.finishI8 != nil {
		j.kern.finishI8(rows, unsafe.Pointer(&c[0]), ldc, unsafe.Pointer(&m.scales[at]), unsafe.Pointer(&m.sums[at]), unsafe.Pointer(&j.z[lo]))
	} else {
		for r := range rows {
			j.kern.scaleMul(c[r*ldc:][:cols], c[r*ldc:][:cols], m.scales[at:at+cols], j.z[lo+r])
		}
	}
	if j.y != nil {
		for r := range rows {
			j.kern.add(c[r*ldc:][:cols], j.y[at:at+cols])
		}
	}
}

// start puts the bias where sums begin and reports whether it did: not for bytes, which get it in the end.
func (j *job) start(c []float32, ldc, p, rows, cols int) bool {
	if j.y == nil || j.m.dt == tensor.I8 {
		return false
	}
	for r := range rows {
		copy(c[r*ldc:][:cols], j.y[p*j.kern.nr:])
	}
	return true
}

const (
	// kBlock is how many steps are taken at a time, and unitRows how many rows: the packed activations of a block of
	// both stay in the second-level cache while the panels of a unit pass, and one panel's steps nearly fit the first.
	kBlock   = 512
	unitRows = 256
)

// multiply does unit i of a product: j.per panels by one of j.split shares of the strips.
func multiply(j *job, w *worker, i int) {
	nr := j.kern.nr
	first := i % j.across * j.per
	last := min(first+j.per, (j.m.n+nr-1)/nr)
	share := i / j.across
	sLo, sHi := share*j.strips/j.split, (share+1)*j.strips/j.split
	if j.m.n < last*nr {
		last--
		multiplyEdge(j, w, last, sLo, sHi)
	}
	for k := 0; k < j.m.steps; k += kBlock {
		for p := first; p < last; p++ {
			multiplyPanel(j, w, p, sLo, sHi, k)
		}
	}
}

// multiplyPanel multiplies strips [sLo, sHi) with the steps of panel p from k on, at most kBlock.
func multiplyPanel(j *job, w *worker, p, sLo, sHi, k int) {
	m, nr := j.m, j.kern.nr
	tile := m.tile(j.kern)
	steps := min(kBlock, m.steps-k)
	b := j.right(&w.packB, j.m, p, k, steps)
	for s := sLo; s < sHi; s++ {
		lo, hi := stripLo(s, j.strips, j.rows), stripLo(s+1, j.strips, j.rows)
		c := j.dst[lo*j.ldc+p*nr:]
		acc := k > 0 || j.start(c, j.ldc, p, hi-lo, nr)
		a := unsafe.Pointer(&j.a[lo*j.width+k*(hi-lo)])
		tile(hi-lo, steps, a, b, unsafe.Pointer(&c[0]), j.ldc, acc)
		if k+steps == m.steps {
			j.finish(c, j.ldc, p, lo, hi-lo, nr)
		}
	}
}

// multiplyEdge is multiplyPanel for a last panel that is wider than what is left of the result.
func multiplyEdge(j *job, w *worker, p, sLo, sHi int) {
	m, nr := j.m, j.kern.nr
	cols := m.n - p*nr
	c := grow(&w.tile, j.kern.mr*nr)
	right := j.right(&w.packB, j.m, p, 0, m.steps)
	for s := sLo; s < sHi; s++ {
		lo, hi := stripLo(s, j.strips, j.rows), stripLo(s+1, j.strips, j.rows)
		acc := j.start(c, nr, p, hi-lo, cols)
		m.tile(j.kern)(hi-lo, m.steps, unsafe.Pointer(&j.a[lo*j.width]), right, unsafe.Pointer(&c[0]), nr, acc)
		j.finish(c, nr, p, lo, hi-lo, cols)
		for r := range hi - lo {
			copy(j.dst[(lo+r)*j.ldc+p*nr:][:cols], c[r*nr:])
		}
	}
}
