package cpu

import (
	"math"
	"unsafe"

	"unmask/engine/tensor"
)

// Attention implements [tensor.Backend]. Scores exist for one strip of queries at a time, in the worker's own memory.
func (b *Backend) Attention(dst, q, k, v tensor.Tensor, o tensor.AttentionOptions) {
	if b.err != nil {
		return
	}
	d, qa, ka, va := floats("attention", dst), floats("attention", q), floats("attention", k), floats("attention", v)
	sameShape("attention", d, qa)
	sameShape("attention", ka, va)
	if len(qa.shape) != 3 || len(ka.shape) != 3 || qa.shape[2] != ka.shape[2] || ka.shape[1] == 0 || qa.shape[1]%ka.shape[1] != 0 {
		wrong("attention", "q %v, k %v", qa.shape, ka.shape)
	}
	if !(o.Scale > 0) {
		wrong("attention", "scale %g, want > 0", o.Scale)
	}
	if o.Hide != nil && len(o.Hide) != ka.shape[0] {
		wrong("attention", "%d hide flags for %d keys", len(o.Hide), ka.shape[0])
	}
	queries, keys := 0, 0
	for _, s := range o.Seqs {
		if s.QLo < 0 || s.QLo > s.QHi || s.QHi > qa.shape[0] || s.KLo < 0 || s.KLo > s.KHi || s.KHi > ka.shape[0] {
			wrong("attention", "sequence %+v of q %v, k %v", s, qa.shape, ka.shape)
		}
		queries += s.QHi - s.QLo
		keys = max(keys, s.KHi-s.KLo)
	}
	var allow *array
	if o.Allow != nil {
		allow = own(o.Allow)
		if allow.dt != tensor.U8 || len(allow.shape) != 2 || allow.shape[0] != queries || allow.shape[1] != keys {
			wrong("attention", "allow %v %v, want u8 [%d %d]", allow.dt, allow.shape, queries, keys)
		}
	}
	if queries == 0 {
		return
	}
	groups := ka.shape[1]
	split := 1
	for split < 64 && split*groups*len(o.Seqs) < 2*len(b.pool.workers) {
		split++
	}
	b.job = job{
		kern: b.kern, dst: d.f, x: qa.f, y: ka.f, z: va.f, heads: qa.shape[1], groups: groups, width: qa.shape[2],
		split: split, attention: o, allow: allow, fn: attend,
	}
	if o.BF16 && b.kern.unitBF16 != nil {
		b.job.fn = attendUnit
	}
	b.job.units(b.pool, len(o.Seqs)*groups*split, queries*keys/len(o.Seqs)*qa.shape[1]/groups*qa.shape[2]/split/16)
	b.job = job{}
}

// attend does one unit: the heads of one key/value group, over one share of the queries of one sequence.
func attend(j *job, w *worker, i int) {
	share, g := i%j.split, i/j.split%j.groups
	at := i / j.split / j.groups
	seq := j.attention.Seqs[at]
	allowRow := 0
	for _, s := range j.attention.Seqs[:at] {
		allowRow += s.QHi - s.QLo
	}
	n, keys, nr, mr := seq.QHi-seq.QLo, seq.KHi-seq.KLo, j.kern.nr, j.kern.mr
	lo, hi := share*n/j.split, (share+1)*n/j.split
	if lo == hi {
		return
	}
	if keys == 0 {
		j.attendNothing(seq, g, lo, hi)
		return
	}
	a := headOperands(j, w, seq, g)
	// Scratch: scores [mr][keys rounded up], then the packed strip of queries or probabilities.
	ld := roundUp(keys, max(nr, chunkWords))
	tile := grow(&w.tile, mr*ld+mr*nr)
	a.scores, a.out, a.ld = tile[:mr*ld], tile[mr*ld:], ld
	a.left = grow(&w.packA, mr*max(roundUp(j.width, chunkWords), ld))
	strips := (hi - lo + mr - 1) / mr
	for h := g * j.heads / j.groups; h < (g+1)*j.heads/j.groups; h++ {
		for s := range strips {
			sLo, sHi := lo+stripLo(s, strips, hi-lo), lo+stripLo(s+1, strips, hi-lo)
			a.strip(j, h, seq.QLo+sLo, allowRow+sLo, sHi-sLo, seq)
		}
	}
}

// attendNothing clears the results of queries [lo, hi) of seq, for the heads of group g.
func (j *job) attendNothing(seq tensor.Seq, g, lo, hi int) {
	for h := g * j.heads / j.groups; h < (g+1)*j.heads/j.groups; h++ {
		for r := seq.QLo + lo; r < seq.QLo+hi; r++ {
			clear(j.dst[(r*j.heads+h)*j.width:][:j.width])
		}
	}
}

// columnRows is how many rows kernels.columns turns into columns.
const columnRows = 16

// operands are the packed keys and values of one group, and a worker's scratch.
type operands struct {
	k, v         []float32
	kStep, vStep int // steps of a panel of k and of v
	keys         int
	scores, out  []float32
	left         []float32
	ld           int
}

// headOperands packs keys (transposed) and values of group g as right operands.
func headOperands(j *job, w *worker, seq tensor.Seq, g int) operands {
	keys, nr, width := seq.KHi-seq.KLo, j.kern.nr, j.width
	a := operands{keys: keys, kStep: roundUp(width, stepUnit), vStep: roundUp(keys, stepUnit)}
	kPanels, vPanels := (keys+nr-1)/nr, (width+nr-1)/nr
	mem := grow(&w.packB, kPanels*a.kStep*nr+vPanels*a.vStep*nr)
	a.k, a.v = mem[:kPanels*a.kStep*nr], mem[kPanels*a.kStep*nr:]
	stride := j.groups * width
	k, v := j.y[(seq.KLo*j.groups+g)*width:], j.z[(seq.KLo*j.groups+g)*width:]
	// Keys become columns, 16 at a time. Their padding to a multiple of stepUnit meets zeros of the packed queries,
	// but must not be NaN.
	for t := 0; t < kPanels*nr; t += columnRows {
		out := a.k[t/nr*a.kStep*nr+t%nr:]
		n := max(0, min(columnRows, keys-t))
		j.kern.columns(unsafe.Pointer(&out[0]), unsafe.Pointer(&k[min(t, keys-1)*stride]), width, stride, n, nr)
		for s := width; s < a.kStep; s++ {
			clear(out[s*nr:][:columnRows])
		}
	}
	for p := range vPanels {
		out := a.v[p*a.vStep*nr:][:a.vStep*nr]
		cols := min(nr, width-p*nr)
		for t := range keys {
			clear(out[t*nr+copy(out[t*nr:][:cols], v[t*stride+p*nr:]) : (t+1)*nr])
		}
		clear(out[keys*nr:])
	}
	return a
}

// strip computes rows queries of head h from row q on.
func (a *operands) strip(j *job, h, q, allowRow, rows int, seq tensor.Seq) {
	nr, width := j.kern.nr, j.width
	stride := j.heads * width
	// Queries to a packed strip.
	for r := range rows {
		j.kern.packF32(unsafe.Pointer(&a.left[r*chunkWords]), j.x[(q+r)*stride+h*width:][:width], 4*rows*chunkWords)
	}
	for p := 0; p*nr < a.keys; p++ {
		j.kern.f32(rows, a.kStep, unsafe.Pointer(&a.left[0]), unsafe.Pointer(&a.k[p*a.kStep*nr]),
			unsafe.Pointer(&a.scores[p*nr]), a.ld, false)
	}
	var inverse [64]float32
	for r := range rows {
		s := a.scores[r*a.ld:][:a.keys]
		mask(s, j, seq.KLo, allowRow+r)
		inverse[r] = softmaxRow(j.kern, s, j.attention.Scale)
		j.kern.packF32(unsafe.Pointer(&a.left[r*chunkWords]), s, 4*rows*chunkWords)
	}
	for p := 0; p*nr < width; p++ {
		out, ld := j.dst[q*stride+h*width+p*nr:], stride
		cols := min(nr, width-p*nr)
		if cols < nr {
			out, ld = a.out, nr
		}
		j.kern.f32(rows, a.vStep, unsafe.Pointer(&a.left[0]), unsafe.Pointer(&a.v[p*a.vStep*nr]),
			unsafe.Pointer(&out[0]), ld, false)
		for r := range rows {
			to := j.dst[(q+r)*stride+h*width+p*nr:][:cols]
			j.kern.scale(to, out[r*ld:r*ld+cols], inverse[r])
		}
	}
}

// mask puts -Inf where a key is hidden from the query.
func mask(s []float32, j *job, kLo, allowRow int) {
	inf := float32(math.Inf(-1))
	if hide := j.attention.Hide; hide != nil {
		for i, h := range hide[kLo : kLo+len(s)] {
			if h {
				s[i] = inf
			}
		}
	}
	if j.allow != nil {
		for i, ok := range j.allow.raw[allowRow*j.allow.shape[1]:][:len(s)] {
			if ok == 0 {
				s[i] = inf
			}
		}
	}
}

// softmaxRow turns scores into exponentials and returns the factor that makes them probabilities. A row without any
// visible key becomes even.
func softmaxRow(k *kernels, s []float32, scale float32) float32 {
	m := k.maxOf(s)
	if math.IsInf(float64(m), -1) {
		nan := false
		for i, v := range s {
			nan = nan || v != v
			s[i] = 1
		}
		if nan {
			return float32(math.NaN())
		}
		return 1 / float32(len(s))
	}
	return float32(1 / k.expSub(s, s, m, scale))
}
