package cpu

import (
	"math"
	"unsafe"

	"unmask/engine/tensor"
)

// unitOperands are the keys and values of one group as operands of the matrix unit, and a worker's scratch.
type unitOperands struct {
	k, v           []float32 // panels of 32 keys, [kWords][32] words each; panels of 32 columns, [vWords][32] words each
	kWords, vWords int       // words of a head's width and of the keys, whole chunks
	keys           int
	scores         []float32 // [32][ld]
	ld             int
	left           []float32 // a strip of queries or probabilities
	out            []float32 // [32][outLD]
	outLD          int
}

// attendUnit is attend on the matrix unit: both products of bf16, 32 queries at a time.
func attendUnit(j *job, w *worker, i int) {
	share, g := i%j.split, i/j.split%j.groups
	at := i / j.split / j.groups
	seq := j.attention.Seqs[at]
	allowRow := 0
	for _, s := range j.attention.Seqs[:at] {
		allowRow += s.QHi - s.QLo
	}
	strips := (seq.QHi - seq.QLo + unitRows32 - 1) / unitRows32
	lo, hi := share*strips/j.split*unitRows32, min((share+1)*strips/j.split*unitRows32, seq.QHi-seq.QLo)
	if lo >= hi {
		return
	}
	if seq.KHi == seq.KLo {
		j.attendNothing(seq, g, lo, hi)
		return
	}
	a := j.unitHead(w, seq, g)
	for h := g * j.heads / j.groups; h < (g+1)*j.heads/j.groups; h++ {
		for s := lo; s < hi; s += unitRows32 {
			a.strip(j, w, h, seq.QLo+s, allowRow+s, min(unitRows32, hi-s), seq.KLo)
		}
	}
}

// unitHead packs keys and values of group g and cuts the scratch memory.
func (j *job) unitHead(w *worker, seq tensor.Seq, g int) unitOperands {
	keys, width := seq.KHi-seq.KLo, j.width
	a := unitOperands{keys: keys, kWords: roundUp((width+1)/2, chunkWords), vWords: roundUp((keys+1)/2, chunkWords)}
	kPanels, vPanels := (keys+31)/32, (width+31)/32
	kSize, vSize := kPanels*a.kWords*32, vPanels*a.vWords*32
	mem := grow(&w.packB, kSize+vSize)
	a.k, a.v = mem[:kSize], mem[kSize:]
	// Rows of scores a power of two apart would share few cache sets.
	a.ld, a.outLD = kPanels*32+chunkWords, vPanels*32
	tile := grow(&w.tile, unitRows32*(a.ld+a.outLD))
	a.scores, a.out = tile[:unitRows32*a.ld], tile[unitRows32*a.ld:]
	a.left = grow(&w.packA, unitRows32*max(a.kWords, a.vWords))

	from := j.groups * width
	k, v := j.y[(seq.KLo*j.groups+g)*width:], j.z[(seq.KLo*j.groups+g)*width:]
	stride := a.kWords + chunkWords
	rows := grow(&w.row, columnRows*stride)
	for t := 0; t < kPanels*32; t += columnRows {
		n := max(0, min(columnRows, keys-t))
		for r := range n {
			j.kern.packBF16(unsafe.Pointer(&rows[r*stride]), k[(t+r)*from:][:width], 4*chunkWords)
		}
		j.kern.columns(unsafe.Pointer(&a.k[t/32*a.kWords*32+t%32]), unsafe.Pointer(&rows[0]), a.kWords, stride, n, 32)
	}
	for p := range vPanels {
		out := a.v[p*a.vWords*32:][:a.vWords*32]
		cols := min(32, width-p*32)
		if keys > 1 {
			j.kern.pairRows(unsafe.Pointer(&out[0]), unsafe.Pointer(&v[p*32]), keys/2, from, cols)
		}
		clear(out[keys/2*32:])
		if keys%2 == 1 {
			for c, x := range v[(keys-1)*from+p*32:][:cols] {
				out[keys/2*32+c] = math.Float32frombits(uint32(roundBF16(x)))
			}
		}
	}
	return a
}

// strip computes rows queries of head h from row q on.
func (a *unitOperands) strip(j *job, w *worker, h, q, allowRow, rows, kLo int) {
	width, stride := j.width, j.heads*j.width
	t := &w.run
	t.shape(rows)
	t.acc, t.out, t.aStep, t.cStep = 0, nil, 0, 128
	t.a, t.ahead = unsafe.Pointer(&a.left[0]), uintptr(unsafe.Pointer(&a.k[0]))
	for r := range rows {
		j.kern.packBF16(unsafe.Pointer(&a.left[r*chunkWords]), j.x[(q+r)*stride+h*width:][:width], 4*rows*chunkWords)
	}
	t.b, t.bStep, t.chunks, t.n = unsafe.Pointer(&a.k[0]), uintptr(4*32*a.kWords), a.kWords/chunkWords, (a.keys+31)/32
	t.c, t.ldc = unsafe.Pointer(&a.scores[0]), uintptr(4*a.ld)
	j.kern.unitBF16.across(t)

	var inverse [unitRows32]float32
	scale := j.attention.Scale * math.Log2E
	for r := range rows {
		s := a.scores[r*a.ld:][:a.keys]
		mask(s, j, kLo, allowRow+r)
		m := j.kern.maxOf(s)
		if math.IsInf(float64(m), -1) {
			m = even(s)
		}
		inverse[r] = 1 / j.kern.expPack(unsafe.Pointer(&a.left[r*chunkWords]), s, 4*rows*chunkWords, m, scale)
	}
	t.b, t.bStep, t.chunks, t.n = unsafe.Pointer(&a.v[0]), uintptr(4*32*a.vWords), a.vWords/chunkWords, (width+31)/32
	t.c, t.ldc = unsafe.Pointer(&a.out[0]), uintptr(4*a.outLD)
	j.kern.unitBF16.across(t)
	for r := range rows {
		j.kern.scale(j.dst[(q+r)*stride+h*width:][:width], a.out[r*a.outLD:][:width], inverse[r])
	}
}

// even makes scores without any visible key equal, unless one is NaN, and returns the largest.
func even(s []float32) float32 {
	for i, v := range s {
		if v != v {
			return 0
		}
		s[i] = 0
	}
	return 0
}
