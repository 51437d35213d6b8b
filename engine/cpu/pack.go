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
	zeros  []float32 // a bias of nothing
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
	if as != tensor.F32 && as != tensor.BF16 && as != tensor.I8 && as != tensor.I4 {
		b.fail(&engine.UnsupportedError{What: fmt.Sprintf("a product in %v", as), Have: "f32, bf16, i8, i4"})
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
		if b.kern.unitI8 != nil {
			m.zeros = make([]float32, panels*b.kern.nr)
		}
	}
	b.job = job{fn: packPanel, m: m, kern: b.kern, src: src, from: from}
	b.pool.run(&b.job, panels)
	b.job = job{}
	return m
}

// layout computes the sizes that depend on the kernel set.
func (m *matrix) layout(k *kernels) {
	unit := stepUnit
	if m.unit(k) != nil {
		unit = chunkWords
	}
	switch {
	case m.dt == tensor.F32:
		m.steps = roundUp(m.k, unit)
		m.panel = m.steps * k.nr
	case m.dt == tensor.I8:
		m.steps = roundUp((m.k+k.words-1)/k.words, unit)
		m.panel = m.steps * k.nr * k.words / 4
	case k.pairs:
		m.steps = roundUp((m.k+1)/2, unit)
		m.panel = m.steps * k.nr
	default:
		m.steps = roundUp(m.k, unit)
		m.panel = m.steps / 2 * k.nr
	}
	if m.dt == tensor.I4 {
		m.panel = (m.k + groupSize - 1) / groupSize * groupBytes(k.nr) / 4
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

// packPanel packs panel i of j.src, 16 columns at a time: their rows become words, and the words change places.
func packPanel(j *job, w *worker, i int) {
	m, nr := j.m, j.kern.nr
	out := m.words[i*m.panel : (i+1)*m.panel]
	switch {
	case m.dt == tensor.I8 && j.kern.words == 1:
		packSingleBytes(j, w, i)
		return
	case m.dt == tensor.I4:
		packGroups(j, w, i)
		return
	}
	steps := m.panel / nr                             // words of a column
	stride := roundUp(steps, chunkWords) + chunkWords // rows a power of two apart would share few cache sets
	words := grow(&w.packB, columnRows*stride)
	for c := 0; c < nr; c += columnRows {
		n := max(0, min(columnRows, m.n-i*nr-c))
		for r := range n {
			j.packWords(words[r*stride:(r+1)*stride], w, i*nr+c+r)
		}
		j.kern.columns(unsafe.Pointer(&out[c]), unsafe.Pointer(&words[0]), steps, stride, n, nr)
	}
}

// wide is row r of j.src in f32, in the worker's memory.
func (j *job) wide(w *worker, r int) []float32 {
	k := j.m.k
	src := j.src[r*k*j.from.Size():][:k*j.from.Size()]
	row := grow(&w.row, k)
	whole := 0
	if j.from == tensor.BF16 && j.kern.widen != nil {
		if whole = k &^ (chunkWords - 1); whole > 0 {
			j.kern.widen(unsafe.Pointer(&row[0]), unsafe.Pointer(&src[0]), whole)
		}
	}
	widen(row[whole:], src[whole*j.from.Size():], j.from)
	return row
}

// packWords writes row r of j.src as words, zero padded.
func (j *job) packWords(dst []float32, w *worker, r int) {
	m := j.m
	src := j.src[r*m.k*j.from.Size():][:m.k*j.from.Size()]
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst))
	clear(dst)
	switch {
	case m.dt == tensor.F32:
		copy(dst, j.wide(w, r))
	case m.dt == tensor.BF16 && j.from == tensor.BF16:
		copy(raw, src)
	case m.dt == tensor.BF16:
		row := j.wide(w, r)
		halves := unsafe.Slice((*uint16)(unsafe.Pointer(&dst[0])), 2*len(dst))
		for s, v := range row {
			halves[s] = roundBF16(v)
		}
	default: // four bytes a word
		row := j.wide(w, r)
		unit, mul := unitOf(j.kern.maxBits(row))
		j.kern.packI8(unsafe.Pointer(&dst[0]), row, 4*chunkWords, mul)
		sum := int32(0)
		for s, v := range raw[:m.k] {
			sum += int32(v) - 128
			raw[s] = v ^ 0x80 // unsigned plus 128 to signed
		}
		clear(raw[m.k:])
		m.scales[r], m.sums[r] = unit, 128*sum
	}
}

// packSingleBytes packs panel i of a weight whose words are single i8.
func packSingleBytes(j *job, w *worker, i int) {
	m, nr := j.m, j.kern.nr
	out := unsafe.Slice((*int8)(unsafe.Pointer(&m.words[i*m.panel])), 4*m.panel)
	for c := range min(nr, m.n-i*nr) {
		row := j.wide(w, i*nr+c)
		unit, mul := unitOf(j.kern.maxBits(row))
		for s, v := range row {
			out[s*nr+c] = int8(math.RoundToEven(float64(v * mul)))
		}
		m.scales[i*nr+c] = unit
	}
}
