package cpu

import (
	"unsafe"

	"unmask/engine/tensor"
)

// unitFuncs are the unit functions of one type: strips that pass by one panel, and panels that pass by one strip.
type unitFuncs struct{ down, across func(p *tileRun) }

// A matrix unit multiplies tiles of 16 by 16 results in hardware (AMX of x86). It takes the layouts of the vector kernels:
// strips of 32 rows, [chunks][rows][16 words], and panels of 32 columns, [steps][32 words], with steps padded to chunks.
// One call of a unit function does many blocks: configuring the unit costs as much as a few tiles. What passes by is loaded
// so that it leaves the other operand in the first-level cache, which is worth a third of the speed.

// unitRows32 is the number of rows of a strip of the matrix unit.
const unitRows32 = 32

// tileRun is one call of a unit function: n blocks of up to 32 rows by 32 columns, each over chunks chunks of 16 words.
// The assembly knows its layout. Distances are in bytes.
type tileRun struct {
	config  [64]byte       // shapes of the eight tiles
	a       unsafe.Pointer // strip
	b       unsafe.Pointer // panel
	c       unsafe.Pointer // results, or sums that become results
	aStep   uintptr        // from one block to the next
	bStep   uintptr
	cStep   uintptr
	chunk   uintptr // from one chunk of a to the next: 64 a row
	ldc     uintptr // from one row of c to the next
	chunks  int
	n       int
	lower   int // rows beyond 16, 0 for none
	acc     int // 1: add to c
	rows    int
	out     unsafe.Pointer // I8: where numbers go that sums in c become; nil: they stay sums
	outLDC  uintptr
	outStep uintptr
	weights unsafe.Pointer // I8: of the 32 columns
	sums    unsafe.Pointer
	bias    unsafe.Pointer
	units   unsafe.Pointer // I8: of the rows
	outAt   uintptr        // of the assembly
	unitsAt uintptr
	wStep   uintptr // of weights, sums and bias, from one block to the next
	uStep   uintptr // of units
	wAt     uintptr
	ahead   uintptr        // panels to come, which a call asks the caches for; nothing is read there
	outAdd  int            // I8: 1: add to what is at out
	up      unsafe.Pointer // of a gated product: the panel of the other weight
}

// shape sets the number of rows, 1 to 32.
func (t *tileRun) shape(rows int) {
	if t.rows == rows {
		return
	}
	t.rows, t.lower, t.chunk = rows, max(0, rows-16), uintptr(64*rows)
	c := &t.config
	c[0] = 1 // palette
	upper := byte(min(rows, 16))
	for i, n := range [8]byte{upper, upper, byte(t.lower), byte(t.lower), upper, byte(t.lower), 16, 16} {
		c[48+i] = n
		c[16+2*i] = 0
		if n > 0 {
			c[16+2*i] = 64
		}
	}
}

// unitBlock is how many words of k are taken at a time: a panel of them fits the first-level cache.
const unitBlock = 320

// unit is the unit functions of products with m, or nil.
func (m *matrix) unit(k *kernels) *unitFuncs {
	switch m.dt {
	case tensor.BF16, tensor.I4:
		return k.unitBF16
	case tensor.I8:
		return k.unitI8
	}
	return nil
}

// aheadBytes is how far ahead of a panel that passes by the caches are asked for: what the unit does while memory answers.
const aheadBytes = 16 << 10

// blockOf is the length of the nearly equal blocks that steps words of k are taken in.
func blockOf(steps int) int {
	n := (steps + unitBlock - 1) / unitBlock
	return roundUp((steps+n-1)/n, chunkWords)
}

// unitMultiply does unit i of a product on the matrix unit: j.per panels by one of j.split shares of the strips.
func unitMultiply(j *job, w *worker, i int) {
	m := j.m
	first := i % j.across * j.per
	last := min(first+j.per, (m.n+31)/32)
	share := i / j.across
	lo, hi := min(share*j.strips/j.split*unitRows32, j.rows), min((share+1)*j.strips/j.split*unitRows32, j.rows)
	if last*32 > m.n {
		last--
		j.unitEdge(w, last, lo, hi)
	}
	tall := roundUp(hi-lo, unitRows32) * 32 // sums of a panel
	if m.dt == tensor.I8 && first < last {
		grow(&w.inner, (last-first)*tall)
		w.inner = w.inner[:cap(w.inner)]
	}
	block := blockOf(m.steps)
	for k := 0; k < m.steps && first < last; k += block {
		steps := min(block, m.steps-k)
		if hi-lo <= unitRows32 && m.dt != tensor.I4 {
			j.unitAcross(w, first, last, lo, hi, k, steps)
			continue
		}
		full := lo + (hi-lo)/unitRows32*unitRows32
		for p := first; p < last; p++ {
			right := j.right(&w.packB, j.m, p, k, steps)
			if lo < full {
				j.unitDown(w, right, (p-first)*tall, p, lo, full, k, steps)
			}
			if full < hi {
				j.unitDown(w, right, (p-first)*tall+(full-lo)*32, p, full, hi, k, steps)
			}
		}
	}
}

// unitDown multiplies rows [lo, hi), a strip or some full ones, with words [k, k+steps) of panel p. at is as in unitSums.
func (j *job) unitDown(w *worker, right unsafe.Pointer, at, p, lo, hi, k, steps int) {
	t := &w.run
	rows := min(hi-lo, unitRows32)
	j.unitOperands(t, right, lo, rows, k, steps)
	t.ahead = uintptr(right) + uintptr(4*j.m.panel)
	if j.m.dt == tensor.I4 {
		t.ahead = uintptr(right)
	}
	t.n, t.aStep, t.bStep, t.cStep = (hi-lo)/rows, uintptr(4*rows*j.width), 0, uintptr(4*j.ldc*rows)
	if j.m.dt == tensor.I8 {
		t.cStep = 4 * 32 * 32
	}
	j.unitSums(w, at, p, lo, hi-lo, 32, k, steps)
	t.outStep, t.wStep, t.uStep = uintptr(4*j.ldc*rows), 0, uintptr(4*rows)
	j.m.unit(j.kern).down(t)
}

// unitAcross multiplies rows [lo, hi), one strip, with words [k, k+steps) of panels [first, last).
func (j *job) unitAcross(w *worker, first, last, lo, hi, k, steps int) {
	t := &w.run
	j.unitOperands(t, j.right(&w.packB, j.m, first, k, steps), lo, hi-lo, k, steps)
	t.ahead = uintptr(t.b) + aheadBytes
	t.n, t.aStep, t.bStep, t.cStep = last-first, 0, uintptr(4*j.m.panel), 128
	if j.m.dt == tensor.I8 {
		t.cStep = 4 * 32 * 32
	}
	j.unitSums(w, 0, first, lo, hi-lo, (last-first)*32, k, steps)
	t.outStep, t.wStep, t.uStep = 128, 128, 0
	j.m.unit(j.kern).across(t)
}

// unitOperands points t at strip lo and at words of a panel.
func (j *job) unitOperands(t *tileRun, right unsafe.Pointer, lo, rows, k, steps int) {
	t.shape(rows)
	t.a = unsafe.Pointer(&j.a[lo*j.width+k*rows])
	t.b = right
	t.chunks = steps / chunkWords
}

// unitSums says where sums of rows from lo on and columns of panels from p on begin, and where they go. at is the place of
// the first of them in the worker's memory for sums of bytes that take more than one call.
func (j *job) unitSums(w *worker, at, p, lo, rows, cols, k, steps int) {
	t := &w.run
	c := j.dst[lo*j.ldc+p*32:]
	t.c, t.ldc, t.out, t.acc, t.outAdd = unsafe.Pointer(&c[0]), uintptr(4*j.ldc), nil, 0, 0
	if j.m.dt != tensor.I8 {
		if k > 0 || j.begin(c, p, rows, cols) {
			t.acc = 1
		}
		return
	}
	out := t.c
	t.c, t.ldc = unsafe.Pointer(&w.inner[at]), 128
	if k > 0 {
		t.acc = 1
	}
	if k+steps < j.m.steps {
		return
	}
	t.out, t.outLDC = out, uintptr(4*j.ldc)
	if j.add {
		t.outAdd = 1
	}
	t.weights, t.sums, t.units = unsafe.Pointer(&j.m.scales[p*32]), unsafe.Pointer(&j.m.sums[p*32]), unsafe.Pointer(&j.z[lo])
	t.bias = unsafe.Pointer(&j.m.zeros[p*32])
	if j.y != nil {
		t.bias = unsafe.Pointer(&j.y[p*32])
	}
}

// begin puts in c what sums begin with, and reports whether there is anything.
func (j *job) begin(c []float32, p, rows, cols int) bool {
	if !j.add {
		return j.start(c, j.ldc, p, rows, cols)
	}
	if j.y != nil {
		for r := range rows {
			j.kern.add(c[r*j.ldc:][:cols], j.y[p*32:][:cols])
		}
	}
	return true
}

// unitEdge multiplies rows [lo, hi) with a last panel that is wider than what is left of the result, over all words.
func (j *job) unitEdge(w *worker, p, lo, hi int) {
	m, t := j.m, &w.run
	cols := m.n - p*32
	tile := grow(&w.tile, 2*32*32+32)
	out, bias := tile[32*32:], tile[2*32*32:]
	clear(bias)
	if j.y != nil {
		copy(bias, j.y[p*32:])
	}
	right := j.right(&w.packB, m, p, 0, m.steps)
	for ; lo < hi; lo += unitRows32 {
		rows := min(unitRows32, hi-lo)
		j.unitOperands(t, right, lo, rows, 0, m.steps)
		t.c, t.ldc, t.n, t.out, t.acc, t.outAdd = unsafe.Pointer(&tile[0]), 128, 1, nil, 0, 0
		from := tile
		if j.start(tile, 32, p, rows, cols) {
			t.acc = 1
		}
		if m.dt == tensor.I8 {
			from = out
			t.out, t.outLDC = unsafe.Pointer(&out[0]), 128
			t.weights, t.sums, t.units = unsafe.Pointer(&m.scales[p*32]), unsafe.Pointer(&m.sums[p*32]), unsafe.Pointer(&j.z[lo])
			t.bias = unsafe.Pointer(&bias[0])
		}
		m.unit(j.kern).down(t)
		for r := range rows {
			to := j.dst[(lo+r)*j.ldc+p*32:][:cols]
			if j.add {
				j.kern.add(to, from[r*32:][:cols])
			} else {
				copy(to, from[r*32:])
			}
		}
	}
}

// unitPeak is the operand of the loops that measure what the unit can do at most: shapes and one tile of numbers. They are
// not zeros, on which the processor draws less power and runs at a higher clock than any product lets it.
type unitPeak struct {
	config [64]byte
	tile   [512]uint16
}

func newUnitPeak() *unitPeak {
	var t tileRun
	t.shape(unitRows32)
	p := &unitPeak{config: t.config}
	for i := range p.tile {
		p.tile[i] = 0x3f80 | uint16(i*0x9e37)&0x807f // bf16 of magnitude 1 to 2
	}
	return p
}
