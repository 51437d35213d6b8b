package cpu

import (
	"math"

	"unmask/engine/tensor"
)

// ropeTable holds cosines and sines of positions [0, n) for one (theta, rot): [n][cos rot/2, sin rot/2].
type ropeTable struct {
	theta  float64
	rot    int
	values []float32
}

// maxRopeTable is the number of positions that a table may cover; beyond it angles are computed where they are used.
const maxRopeTable = 1 << 17

// fill writes cosines and sines of one position.
func (t *ropeTable) fill(dst []float32, pos int32) {
	half := t.rot / 2
	for i := range half {
		s, c := math.Sincos(float64(pos) * math.Pow(t.theta, -2*float64(i)/float64(t.rot)))
		dst[i], dst[half+i] = float32(c), float32(s)
	}
}

// ropeFor returns the table for theta and rot, covering positions up to last where it may.
func (b *Backend) ropeFor(theta float64, rot int, last int32) *ropeTable {
	var t *ropeTable
	for _, have := range b.rope {
		if have.theta == theta && have.rot == rot {
			t = have
		}
	}
	if t == nil {
		t = &ropeTable{theta: theta, rot: rot}
		b.rope = append(b.rope, t)
	}
	have, want := len(t.values)/rot, min(int(last)+1, maxRopeTable)
	if want <= have {
		return t
	}
	want = min(max(want, 2*have), maxRopeTable)
	values := make([]float32, want*rot)
	copy(values, t.values)
	for p := have; p < want; p++ {
		t.fill(values[p*rot:(p+1)*rot], int32(p))
	}
	t.values = values
	return t
}

// RoPE implements [tensor.Backend]. With rot < K the pairs are i and i+rot/2 and the angle is pos * theta^(-2i/rot).
func (b *Backend) RoPE(x tensor.Tensor, pos []int32, theta float64, rot int) {
	b.rotate("rope", x, pos, theta, rot, rot/2)
}

// RoPEPart implements [tensor.Backend]. theta^(-2i/K) is (theta^(rot/K))^(-2i/rot), so that it shares RoPE's tables.
func (b *Backend) RoPEPart(x tensor.Tensor, pos []int32, theta float64, rot int) {
	shape := x.Shape()
	if len(shape) != 3 || shape[2]%2 != 0 {
		wrong("rope part", "x %v", shape)
	}
	k := shape[2]
	b.rotate("rope part", x, pos, math.Pow(theta, float64(rot)/float64(k)), rot, k/2)
}

// rotate turns entry i < rot/2 of every head with the entry that lies apart behind it.
func (b *Backend) rotate(name string, x tensor.Tensor, pos []int32, theta float64, rot, apart int) {
	if b.err != nil {
		return
	}
	a := floats(name, x)
	if len(a.shape) != 3 || a.shape[0] != len(pos) || rot < 2 || rot%2 != 0 || rot > a.shape[2] {
		wrong(name, "x %v, %d positions, rot %d", a.shape, len(pos), rot)
	}
	last := int32(0)
	for _, p := range pos {
		last = max(last, p)
	}
	t := b.ropeFor(theta, rot, last)
	b.job = job{dst: a.f, y: t.values, table: t, pos: pos, heads: a.shape[1], width: a.shape[2], split: apart, fn: ropeRows}
	b.rowUnits(len(pos), a.shape[1]*rot)
}

func ropeRows(j *job, w *worker, i int) {
	lo, hi := j.span(i)
	rot := j.table.rot
	half := rot / 2
	for r := lo; r < hi; r++ {
		p := j.pos[r]
		var t []float32
		if p >= 0 && int(p) < len(j.y)/rot {
			t = j.y[int(p)*rot : (int(p)+1)*rot]
		} else {
			t = grow(&w.row, rot)
			j.table.fill(t, p)
		}
		for h := range j.heads {
			at := (r*j.heads + h) * j.width
			j.kern.rotate(j.dst[at:at+half], j.dst[at+j.split:at+j.split+half], t[:half], t[half:])
		}
	}
}
