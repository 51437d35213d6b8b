package cpu

import (
	"math"

	"unmask/engine"
	"unmask/engine/tensor"
)

// job is what an operation hands to the workers: fn and its operands. There is one a backend, reused, so that an
// operation allocates nothing. The letters mean what fn says they mean.
type job struct {
	fn func(j *job, w *worker, unit int)

	kern       *kernels
	dst        []float32
	x, y, z    []float32
	a          []float32 // packed strips
	m          *matrix
	up         *matrix // of a gated product, whose gate is m
	rows       int
	width      int
	ldc        int
	strips     int
	per        int // items of a unit
	across     int
	split      int
	heads      int
	groups     int
	eps        float32
	flag       bool
	norm       bool // rows are normalised when they are packed
	add        bool // products are added to dst
	src        []byte
	from       tensor.DType
	ids        []engine.Token
	idx        []int
	count      []int32
	conv       convShape
	table      *ropeTable
	pos        []int32
	attention  tensor.AttentionOptions
	allow      *array
	pick       engine.PickOptions
	prediction *engine.Prediction
}

// inlineWork is the work, in units of roughly a nanosecond, below which waking another worker costs more than it saves.
const inlineWork = 30000

// units runs n units of about cost nanoseconds each, on all workers when that pays.
func (j *job) units(p *pool, n, cost int) {
	if n*cost < inlineWork {
		for i := range n {
			j.fn(j, p.workers[0], i)
		}
		return
	}
	p.run(j, n)
}

// rowUnits runs fn over n rows that cost about cost nanoseconds each, several a unit.
func (b *Backend) rowUnits(n, cost int) {
	j := &b.job
	j.rows = n
	j.per = max(1, min(n, 20000/max(cost, 1)))
	units := (n + j.per - 1) / j.per
	j.kern = b.kern
	j.units(b.pool, units, j.per*cost)
	b.job = job{}
}

// span is the range of rows of unit i.
func (j *job) span(i int) (lo, hi int) { return i * j.per, min((i+1)*j.per, j.rows) }

func bf16Value(f float32) float32 { return math.Float32frombits(uint32(roundBF16(f)) << 16) }
