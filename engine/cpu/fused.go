package cpu

import (
	"unsafe"

	"unmask/engine/tensor"
)

// MatMuls implements [tensor.Backend]: x is normalised and packed once for all weights of one type.
func (b *Backend) MatMuls(dst []tensor.Tensor, x tensor.Tensor, w []tensor.Matrix, bias []tensor.Tensor, o tensor.ProductOptions) {
	if b.err != nil {
		return
	}
	a := floats("matmuls", x)
	rows, k := rowsOf(a)
	if len(dst) != len(w) || bias != nil && len(bias) != len(w) {
		wrong("matmuls", "%d results, %d weights, %d biases", len(dst), len(w), len(bias))
	}
	gain := optional("matmuls", o.Gain, k)
	var packed *matrix
	for i := range w {
		m := b.operand("matmuls", w[i])
		d := floats("matmuls", dst[i])
		if dr, n := rowsOf(d); dr != rows || n != m.n || k != m.k {
			wrong("matmuls", "dst %v, x %v, w [%d, %d]", d.shape, a.shape, m.n, m.k)
		}
		var bs []float32
		if bias != nil {
			bs = optional("matmuls", bias[i], m.n)
		}
		if rows == 0 {
			continue
		}
		if packed == nil || packed.dt != m.dt {
			b.pack(a.f, rows, m, o, gain)
			packed = m
		}
		b.into(d, m, bs, o.Add)
	}
	b.job = job{}
}

// into writes or adds the product of what is packed with m to d.
func (b *Backend) into(d *array, m *matrix, bias []float32, add bool) {
	if !add || m.unit(b.kern) != nil {
		b.multiply(d.f, m.n, m, bias, add)
		return
	}
	sums := grow(&b.pool.workers[0].inner, len(d.f))
	b.multiply(sums, m.n, m, bias, false)
	packed := b.job
	b.job = job{dst: d.f, x: sums, fn: addUnit}
	b.elements(len(d.f), 4)
	b.job = packed
}

// operand returns the weight behind w, laid out for products.
func (b *Backend) operand(op string, w tensor.Matrix) *matrix {
	m, ok := w.(*matrix)
	if !ok {
		wrong(op, "%T is not of this backend", w)
	}
	if m.words == nil {
		m.toPanels(b)
	}
	return m
}

// GatedProduct implements [tensor.Backend].
func (b *Backend) GatedProduct(dst, x tensor.Tensor, gate, up, down tensor.Matrix, o tensor.ProductOptions) {
	if b.err != nil {
		return
	}
	d, a := floats("gated product", dst), floats("gated product", x)
	g, u, m := b.operand("gated product", gate), b.operand("gated product", up), b.operand("gated product", down)
	rows, k := rowsOf(a)
	if dr, n := rowsOf(d); dr != rows || n != m.n || k != g.k || k != u.k || g.n != u.n || m.k != g.n {
		wrong("gated product", "dst %v, x %v, gate [%d, %d], up [%d, %d], down [%d, %d]", d.shape, a.shape, g.n, g.k, u.n, u.k, m.n, m.k)
	}
	gain := optional("gated product", o.Gain, k)
	if rows == 0 {
		return
	}
	b.pack(a.f, rows, g, o, gain)
	if g.dt == u.dt && g.dt == m.dt && g.unit(b.kern) != nil && g.dt != tensor.I8 {
		b.gateUnits(g, u, m, rows)
	} else {
		b.gateRows(a.f, g, u, m, rows, o, gain)
	}
	b.into(d, m, nil, o.Add)
	b.job = job{}
}

// gateRows packs silu(x g^T)*(x u^T) as the left operand of m, by way of numbers.
func (b *Backend) gateRows(x []float32, g, u, m *matrix, rows int, o tensor.ProductOptions, gain []float32) {
	hidden := grow(&b.pool.workers[0].hidden, 2*rows*g.n)
	gs, us := hidden[:rows*g.n], hidden[rows*g.n:]
	b.multiply(gs, g.n, g, nil, false)
	if u.dt != g.dt {
		b.pack(x, rows, u, o, gain)
	}
	b.multiply(us, u.n, u, nil, false)
	b.job = job{dst: gs, x: gs, y: us, fn: swigluUnit}
	b.elements(len(gs), 8)
	b.pack(gs, rows, m, tensor.ProductOptions{}, nil)
}

// gateUnits makes silu(x g^T)*(x u^T) of what is packed, as the left operand of m, on the matrix unit: a column of blocks of
// it is a chunk of that operand.
func (b *Backend) gateUnits(g, u, m *matrix, rows int) {
	j := &b.job
	words := m.steps
	j.m, j.up, j.ldc, j.dst = g, u, words, grow(&b.pool.workers[0].hidden, rows*words)
	j.y, j.fn = nil, gateUnit
	j.share(b, words/chunkWords)
	j.units(b.pool, j.across*j.split, 2*j.per*32*g.k*(rows/j.split+1)/4)
	j.a, j.width = j.dst, words
}

// gateUnit does unit i of a gated product: j.per panels of both weights by one of j.split shares of the strips.
func gateUnit(j *job, w *worker, i int) {
	g, t := j.m, &w.run
	first := i % j.across * j.per
	last := min(first+j.per, j.ldc/chunkWords)
	share := i / j.across
	lo, hi := min(share*j.strips/j.split*unitRows32, j.rows), min((share+1)*j.strips/j.split*unitRows32, j.rows)
	full := lo + (hi-lo)/unitRows32*unitRows32
	c := grow(&w.inner, roundUp(max(hi-lo, 1), unitRows32)*32)
	block := blockOf(g.steps)
	for p := first; p < last; p++ {
		for half := range 2 {
			for k := 0; k < g.steps; k += block {
				steps := min(block, g.steps-k)
				// Weights of four bits are unpacked twice, for either half: the blocks of both would not fit the cache.
				gate, up := j.right(&w.packB, g, p, k, steps), j.right(&w.packC, j.up, p, k, steps)
				t.b, t.up = unsafe.Add(gate, 64*half), unsafe.Add(up, 64*half)
				t.ahead = uintptr(t.b) + uintptr(4*g.panel)
				if half == 1 {
					t.ahead = uintptr(t.up) + uintptr(4*g.panel)
				}
				if g.dt == tensor.I4 {
					t.ahead = uintptr(t.b)
				}
				if lo < full {
					j.gateBlocks(t, c, p, half, lo, lo, full, k, steps)
				}
				if full < hi {
					j.gateBlocks(t, c, p, half, lo, full, hi, k, steps)
				}
			}
		}
	}
}

// gateBlocks does words [k, k+steps) of rows [lo, hi), a strip or some full ones. Their sums are at row lo-base of c.
func (j *job) gateBlocks(t *tileRun, c []float32, p, half, base, lo, hi, k, steps int) {
	rows := min(hi-lo, unitRows32)
	t.shape(rows)
	t.a, t.chunks, t.n = unsafe.Pointer(&j.a[lo*j.width+k*rows]), steps/chunkWords, (hi-lo)/rows
	t.aStep, t.bStep, t.cStep = uintptr(4*rows*j.width), 0, 4*32*32
	t.c, t.ldc, t.acc, t.out = unsafe.Pointer(&c[(lo-base)*32]), 128, 0, nil
	if k > 0 {
		t.acc = 1
	}
	if k+steps == j.m.steps {
		t.out, t.outStep = unsafe.Pointer(&j.dst[lo*j.ldc+p*rows*chunkWords+8*half]), uintptr(4*rows*j.ldc)
	}
	j.kern.unitGate(t)
}
