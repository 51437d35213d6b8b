package cpu

import (
	"unsafe"

	"unmask/engine/tensor"
)

// convShape is the geometry of a convolution: input planes of ih by iw, output planes of oh by ow.
type convShape struct {
	tensor.ConvOptions
	channels, ih, iw, oh, ow int
}

// convPanels is how many panels of output pixels share one pass over the weights.
const convPanels = 4

// steps is how many rows of the unrolled input are built at a time: whole channels and whole chunks of the packed
// weights, about 512, so that a block of it and a strip of weights stay in the second- and first-level caches.
func (c *convShape) steps() int {
	const most = 512
	unit := c.KH * c.KW
	for unit%chunkWords != 0 {
		unit *= 2
	}
	return max(1, most/unit) * unit
}

// toStrips lays the weight out as a left operand, which takes the place of the panels.
func (m *matrix) toStrips(b *Backend) {
	width := roundUp(m.k, chunkWords)
	out := alignedFloats(m.n * width)
	row := make([]float32, m.k)
	n := (m.n + b.kern.mr - 1) / b.kern.mr
	for s := range n {
		lo, hi := stripLo(s, n, m.n), stripLo(s+1, n, m.n)
		for r := lo; r < hi; r++ {
			m.row(row, r, b.kern)
			for c := 0; c*chunkWords < m.k; c++ {
				copy(out[lo*width+(c*(hi-lo)+r-lo)*chunkWords:][:chunkWords], row[c*chunkWords:])
			}
		}
	}
	m.strips, m.words = out, nil
}

// toPanels undoes toStrips.
func (m *matrix) toPanels(b *Backend) {
	width := roundUp(m.k, chunkWords)
	rows := alignedFloats(m.n * m.k)
	n := (m.n + b.kern.mr - 1) / b.kern.mr
	for s := range n {
		lo, hi := stripLo(s, n, m.n), stripLo(s+1, n, m.n)
		for r := lo; r < hi; r++ {
			for k := range m.k {
				rows[r*m.k+k] = m.strips[lo*width+(k/chunkWords*(hi-lo)+r-lo)*chunkWords+k%chunkWords]
			}
		}
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&rows[0])), 4*len(rows))
	*m = *b.Pack(raw, tensor.F32, m.n, m.k, m.dt).(*matrix)
}

// row unpacks row r of the weight from its panels.
func (m *matrix) row(dst []float32, r int, k *kernels) {
	panel := m.words[r/k.nr*m.panel:][:m.panel]
	halves := unsafe.Slice((*uint16)(unsafe.Pointer(&panel[0])), 2*len(panel))
	bytes := unsafe.Slice((*int8)(unsafe.Pointer(&panel[0])), 4*len(panel))
	c := r % k.nr
	for s := range dst {
		switch {
		case m.dt == tensor.F32:
			dst[s] = panel[s*k.nr+c]
		case m.dt == tensor.I4:
			m.groupRow(dst, r, k.nr)
			return
		case m.dt == tensor.I8:
			dst[s] = float32(bytes[(s/k.words*k.nr+c)*k.words+s%k.words]) * m.scales[r]
		default:
			dst[s] = fromBF16(halves[(s/2*k.nr+c)*2+s%2])
		}
	}
}

// Conv2D implements [tensor.Backend]. Weights are the left operand and the unrolled input is the right one, a few panels
// of pixels at a time, so that the result is in place. The first convolution lays w out for this; a product with the
// same w would lay it back. With a BF16 weight both operands are rounded to bf16 and multiplied in f32; an I8 weight is
// multiplied as the f32 that it stands for.
func (b *Backend) Conv2D(dst, x tensor.Tensor, w tensor.Matrix, bias tensor.Tensor, o tensor.ConvOptions) {
	if b.err != nil {
		return
	}
	d, a := floats("conv2d", dst), floats("conv2d", x)
	m, ok := w.(*matrix)
	if !ok {
		wrong("conv2d", "%T is not of this backend", w)
	}
	if len(d.shape) != 3 || len(a.shape) != 3 || o.KH < 1 || o.KW < 1 || o.Stride < 1 || min(o.Top, o.Left, o.Bottom, o.Right) < 0 {
		wrong("conv2d", "dst %v, x %v, options %+v", d.shape, a.shape, o)
	}
	c := convShape{ConvOptions: o, channels: a.shape[0], ih: a.shape[1], iw: a.shape[2], oh: d.shape[1], ow: d.shape[2]}
	if d.shape[0] != m.n || m.k != c.channels*o.KH*o.KW ||
		c.oh != (c.ih+o.Top+o.Bottom-o.KH)/o.Stride+1 || c.ow != (c.iw+o.Left+o.Right-o.KW)/o.Stride+1 {
		wrong("conv2d", "dst %v, x %v, w [%d, %d], options %+v", d.shape, a.shape, m.n, m.k, o)
	}
	bs := optional("conv2d", bias, m.n)
	if m.strips == nil {
		m.toStrips(b)
	}
	panels := (c.oh*c.ow + b.kern.nr - 1) / b.kern.nr
	b.job = job{kern: b.kern, m: m, dst: d.f, x: a.f, y: bs, conv: c, fn: convolve}
	j := &b.job
	j.per = min(convPanels, max(1, panels/(2*len(b.pool.workers))))
	j.rows = panels
	j.units(b.pool, (panels+j.per-1)/j.per, j.per*b.kern.nr*m.k*(m.n+8)/16)
	b.job = job{}
}

// convolve computes the panels of unit i for all output channels.
func convolve(j *job, w *worker, i int) {
	lo, hi := j.span(i)
	m, nr, c := j.m, j.kern.nr, &j.conv
	plane := c.oh * c.ow
	width := roundUp(m.k, chunkWords)
	strips := (m.n + j.kern.mr - 1) / j.kern.mr
	if j.y != nil {
		for o, v := range j.y {
			row := j.dst[o*plane+lo*nr : o*plane+min(hi*nr, plane)]
			for p := range row {
				row[p] = v
			}
		}
	}
	block := c.steps()
	right := grow(&w.packB, (hi-lo)*block*nr)
	tile := grow(&w.tile, j.kern.mr*nr)
	for k := 0; k < m.k; k += block {
		steps := min(block, m.k-k)
		padded := roundUp(steps, stepUnit)
		for p := lo; p < hi; p++ {
			out := right[(p-lo)*block*nr:][:padded*nr]
			if c.Stride == 1 && j.kern.unroll != nil {
				c.unrollChannels(j.kern, out, j.x, p*nr, k, steps)
			} else {
				c.unroll(out, j.x, p*nr, nr, k, steps)
			}
			if m.dt == tensor.BF16 {
				for i, v := range out {
					out[i] = bf16Value(v)
				}
			}
		}
		acc := k > 0 || j.y != nil
		for s := range strips {
			sLo, sHi := stripLo(s, strips, m.n), stripLo(s+1, strips, m.n)
			left := unsafe.Pointer(&m.strips[sLo*width+k*(sHi-sLo)])
			for p := lo; p < hi; p++ {
				to, ld, cols := j.dst[sLo*plane+p*nr:], plane, min(nr, plane-p*nr)
				if cols < nr {
					to, ld = tile, nr
					for r := range sHi - sLo {
						copy(tile[r*nr:][:cols], j.dst[(sLo+r)*plane+p*nr:])
					}
				}
				j.kern.f32(sHi-sLo, padded, left, unsafe.Pointer(&right[(p-lo)*block*nr]), unsafe.Pointer(&to[0]), ld, acc)
				if cols < nr {
					for r := range sHi - sLo {
						copy(j.dst[(sLo+r)*plane+p*nr:][:cols], tile[r*nr:])
					}
				}
			}
		}
	}
}

// unrollChannels is unroll for stride 1, a tap of all channels at a time. k and steps are whole channels.
func (c *convShape) unrollChannels(kern *kernels, dst, x []float32, p, k, steps int) {
	nr, taps := kern.nr, c.KH*c.KW
	if p+nr > c.oh*c.ow {
		clear(dst)
	} else {
		clear(dst[steps*nr:])
	}
	for i := 0; i < nr && p+i < c.oh*c.ow; {
		oy, ox := (p+i)/c.ow, (p+i)%c.ow
		n := min(nr-i, c.ow-ox)
		for t := range taps {
			iy, from := oy+t/c.KW-c.Top, ox+t%c.KW-c.Left // from is where lane i reads
			load := uint64(0)
			if iy >= 0 && iy < c.ih {
				load = lanes(i+min(max(0, -from), n), i+max(0, min(n, c.iw-from)))
			}
			offset := (k/taps*c.ih+iy)*c.iw + from - i
			kern.unroll(unsafe.Pointer(&dst[t*nr]), unsafe.Pointer(&x[0]), steps/taps, taps*nr, c.ih*c.iw, offset, load, lanes(i, i+n))
		}
		i += n
	}
}

// lanes has the bits [lo, hi).
func lanes(lo, hi int) uint64 {
	if lo >= hi {
		return 0
	}
	return (1<<hi - 1) &^ (1<<lo - 1)
}

// unroll writes rows k..k+steps of the unrolled input for nr output pixels from p on: [steps][nr], zero padded.
func (c *convShape) unroll(dst, x []float32, p, nr, k, steps int) {
	clear(dst)
	for s := range steps {
		kw := (k + s) % c.KW
		kh := (k + s) / c.KW % c.KH
		plane := x[(k+s)/(c.KW*c.KH)*c.ih*c.iw:]
		out := dst[s*nr : (s+1)*nr]
		for i := 0; i < nr && p+i < c.oh*c.ow; {
			oy, ox := (p+i)/c.ow, (p+i)%c.ow
			n := min(nr-i, c.ow-ox)
			if iy := oy*c.Stride + kh - c.Top; iy >= 0 && iy < c.ih {
				c.unrollRow(out[i:i+n], plane[iy*c.iw:(iy+1)*c.iw], ox*c.Stride+kw-c.Left)
			}
			i += n
		}
	}
}

// unrollRow writes row[from], row[from+stride], ... to dst; what lies outside row is left as it is.
func (c *convShape) unrollRow(dst, row []float32, from int) {
	if c.Stride == 1 {
		if from < 0 {
			dst = dst[min(-from, len(dst)):]
			from = 0
		}
		if from < len(row) {
			copy(dst, row[from:])
		}
		return
	}
	for i := range dst {
		if at := from + i*c.Stride; at >= 0 && at < len(row) {
			dst[i] = row[at]
		}
	}
}
