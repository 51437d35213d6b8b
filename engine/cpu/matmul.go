package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"unmask/engine"
	"unmask/engine/tensor"
)

// matrix is a weight [N, K] packed into panels of nr columns: [ceil(N/nr)][steps][nr] words, zero padded.
type matrix struct {
	n, k  int
	dt    tensor.DType
	steps int       // words of k, a multiple of stepUnit
	panel int       // floats of memory of one panel
	words []float32 // F32, or the memory of bf16 or i8
	// I8: the value of a column's unit, and what the 128 added to activations adds to a column's sum; padded to panels.
	scales []float32
	sums   []int32
	// strips is the same weight as a left operand, made at the first convolution, which takes its place.
	strips []float32
}

// N implements [tensor.Matrix].
func (m *matrix) N() int { return m.n }

// K implements [tensor.Matrix].
func (m *matrix) K() int { return m.k }

// DType implements [tensor.Matrix].
func (m *matrix) DType() tensor.DType { return m.dt }

// Bytes implements [tensor.Matrix].
func (m *matrix) Bytes() int64 {
	return 4 * int64(len(m.words)+len(m.strips)+len(m.scales)+len(m.sums))
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// Pack implements [tensor.Backend].
func (b *Backend) Pack(src []byte, from tensor.DType, n, k int, as tensor.DType) tensor.Matrix {
	m := &matrix{n: n, k: k, dt: as}
	if n <= 0 || k <= 0 {
		wrong("pack", "[%d, %d]", n, k)
	}
	if as != tensor.F32 && as != tensor.BF16 && as != tensor.I8 {
		b.fail(&engine.UnsupportedError{What: fmt.Sprintf("a product in %v", as), Have: "f32, bf16, i8"})
	}
	size, ok := count([]int{n, k, from.Size()})
	if ok && len(src) != size {
		wrong("pack", "%d bytes for [%d, %d] %v", len(src), n, k, from)
	}
	if b.err != nil {
		return m
	}
	m.layout(b.kern)
	panels := (n + b.kern.nr - 1) / b.kern.nr
	if !b.room(4*int64(panels)*int64(m.panel), "a packed weight") {
		return m
	}
	m.words = alignedFloats(panels * m.panel)
	if as == tensor.I8 {
		m.scales, m.sums = make([]float32, panels*b.kern.nr), make([]int32, panels*b.kern.nr)
	}
	b.job = job{fn: packPanel, m: m, kern: b.kern, src: src, from: from}
	b.pool.run(&b.job, panels)
	b.job = job{}
	return m
}

// layout computes the sizes that depend on the kernel set.
func (m *matrix) layout(k *kernels) {
	switch {
	case m.dt == tensor.F32:
		m.steps = roundUp(m.k, stepUnit)
		m.panel = m.steps * k.nr
	case m.dt == tensor.I8:
		m.steps = roundUp((m.k+k.words-1)/k.words, stepUnit)
		m.panel = m.steps * k.nr * k.words / 4
	case k.pairs:
		m.steps = roundUp((m.k+1)/2, stepUnit)
		m.panel = m.steps * k.nr
	default:
		m.steps = roundUp(m.k, stepUnit)
		m.panel = m.steps * k.nr / 2
	}
}

// packPanel packs panel i of j.src.
func packPanel(j *job, w *worker, i int) {
	m, nr := j.m, j.kern.nr
	row := grow(&w.row, m.k)
	out := m.words[i*m.panel : (i+1)*m.panel]
	halves := unsafe.Slice((*uint16)(unsafe.Pointer(&out[0])), 2*len(out))
	bytes := unsafe.Slice((*int8)(unsafe.Pointer(&out[0])), 4*len(out))
	stride := m.k * j.from.Size()
	for c := range min(nr, m.n-i*nr) {
		at := (i*nr + c) * stride
		widen(row, j.src[at:at+stride], j.from)
		switch {
		case m.dt == tensor.F32:
			for s, v := range row {
				out[s*nr+c] = v
			}
		case m.dt == tensor.I8:
			scale, mul := unitOf(j.kern.maxBits(row))
			n, sum := j.kern.words, int32(0)
			for s, v := range row {
				q := int8(math.RoundToEven(float64(v * mul)))
				bytes[(s/n*nr+c)*n+s%n] = q
				sum += int32(q)
			}
			m.scales[i*nr+c], m.sums[i*nr+c] = scale, 128*sum
		case j.kern.pairs:
			for s, v := range row {
				halves[(s/2*nr+c)*2+s%2] = roundBF16(v)
			}
		default:
			for s, v := range row {
				halves[s*nr+c] = roundBF16(v)
			}
		}
	}
}

// unitOf returns the step of an i8 number that spans the largest magnitude, given by its bits, and the inverse that
// quantises. The step of numbers that are not finite is NaN, so that they are seen in the product.
func unitOf(bits uint32) (unit, inverse float32) {
	largest := math.Float32frombits(bits)
	inverse = 127 / largest
	switch {
	case bits >= 0x7f800000:
		return float32(math.NaN()), 0
	case inverse > math.MaxFloat32: // zeros, or next to it
		return 0, 0
	}
	return largest / 127, inverse
}

// tile is the tile function of products with m.
func (m *matrix) tile(k *kernels) tileFunc {
	switch m.dt {
	case tensor.BF16:
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
	m, ok := w.(*matrix)
	if !ok {
		wrong("matmul", "%T is not of this backend", w)
	}
	rows, k := rowsOf(a)
	if dr, n := rowsOf(d); dr != rows || n != m.n || k != m.k {
		wrong("matmul", "dst %v, x %v, w [%d, %d]", d.shape, a.shape, m.n, m.k)
	}
	bs := optional("matmul", bias, m.n)
	if rows == 0 {
		return
	}
	if m.words == nil {
		m.toPanels(b)
	}
	b.product(d.f, m.n, a.f, rows, m, bs)
}

// strip r of rows activation rows cut into n nearly equal strips is [stripLo(r), stripLo(r+1)).
func stripLo(i, strips, rows int) int { return i * rows / strips }

// product computes dst [rows, ldc] = x [rows, k] times m, plus bias.
func (b *Backend) product(dst []float32, ldc int, x []float32, rows int, m *matrix, bias []float32) {
	strips := (rows + b.kern.mr - 1) / b.kern.mr
	panels := (m.n + b.kern.nr - 1) / b.kern.nr
	words := roundUp(m.steps, chunkWords)
	b.job = job{
		kern: b.kern, m: m, dst: dst, ldc: ldc, x: x, y: bias, rows: rows, strips: strips,
		a: grow(&b.pool.workers[0].packA, rows*words+rows), width: words,
	}
	b.job.z = b.job.a[rows*words:] // the units of rows, I8
	j := &b.job
	j.fn = packStrip
	j.units(b.pool, strips, m.k*b.kern.mr)
	// Panels outside, strips inside: a panel stays in the second-level cache while the strips stream past it. A unit
	// is a few panels by all strips, or by a share of them where there are few panels.
	j.fn = multiply
	j.per = max(1, panels/(4*len(b.pool.workers)))
	j.across = (panels + j.per - 1) / j.per
	j.split = (rows + unitRows - 1) / unitRows
	for j.split < strips && j.split*j.across < 2*len(b.pool.workers) {
		j.split++
	}
	j.units(b.pool, j.across*j.split, j.per*b.kern.nr*m.k*(rows/j.split+1)/4)
	b.job = job{}
}

// packStrip packs strip i of j.x into j.a.
func packStrip(j *job, w *worker, i int) {
	lo, hi := stripLo(i, j.strips, j.rows), stripLo(i+1, j.strips, j.rows)
	j.packLeft(j.a[lo*j.width:hi*j.width], j.x[lo*j.m.k:hi*j.m.k], j.z[lo:hi])
}

// packLeft packs rows as a strip: [chunks][rows][16] words. units receives one a row when the product is I8.
func (j *job) packLeft(dst, x, units []float32) {
	k, rows := j.m.k, len(units)
	step := 4 * rows * chunkWords
	for r := range rows {
		row, to := x[r*k:(r+1)*k], unsafe.Pointer(&dst[r*chunkWords])
		switch j.m.dt {
		case tensor.BF16:
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
			multiplyPanel(j, p, sLo, sHi, k)
		}
	}
}

// multiplyPanel multiplies strips [sLo, sHi) with the steps of panel p from k on, at most kBlock.
func multiplyPanel(j *job, p, sLo, sHi, k int) {
	m, nr := j.m, j.kern.nr
	tile := m.tile(j.kern)
	b := unsafe.Pointer(&m.words[p*m.panel+k*(m.panel/m.steps)])
	steps := min(kBlock, m.steps-k)
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
	for s := sLo; s < sHi; s++ {
		lo, hi := stripLo(s, j.strips, j.rows), stripLo(s+1, j.strips, j.rows)
		acc := j.start(c, nr, p, hi-lo, cols)
		m.tile(j.kern)(hi-lo, m.steps, unsafe.Pointer(&j.a[lo*j.width]), unsafe.Pointer(&m.words[p*m.panel]), unsafe.Pointer(&c[0]), nr, acc)
		j.finish(c, nr, p, lo, hi-lo, cols)
		for r := range hi - lo {
			copy(j.dst[(lo+r)*j.ldc+p*nr:][:cols], c[r*nr:])
		}
	}
}
