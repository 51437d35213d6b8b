package nn

import (
	"fmt"

	"unmask/engine"
	"unmask/engine/tensor"
)

// headBudget bounds the logits that exist at one time, in bytes a row of a guided pair. 1,024 positions by 126k ids
// would be half a gigabyte; the head works through the wanted positions in chunks instead.
const headBudget = 16 << 20

// logits are the final hidden states of the wanted positions and the head that turns them into logits on demand, a chunk
// at a time. The first chunk is made by the forward pass itself.
type logits struct {
	s      *Stack
	n      int // wanted positions
	rows   int // 1, or 2 when guided
	pos    []int
	hidden tensor.Tensor    // [rows*n or more, D], normalised
	buf    [2]tensor.Tensor // [chunk or more, V] of row 0 and row 1
	view   [2]tensor.Tensor // [hi-lo, V]
	lo, hi int              // wanted positions that buf holds
	part   engine.Prediction
}

// take gathers the wanted rows of x [T, D], normalises them and computes the first chunk.
func (l *logits) take(x tensor.Tensor, p *pass, rows int) {
	be, d := l.s.be, l.s.Config.Width
	l.n, l.rows, l.pos = len(p.pos), rows, p.pos
	l.lo, l.hi = 0, 0
	if l.n == 0 {
		return
	}
	l.hidden = grow(be, l.hidden, rows*l.n, d)
	h := l.hidden.Rows(0, rows*l.n)
	be.Gather(h, x, p.want)
	l.s.Norm.Apply(be, h, h)
	l.fill(0, min(l.n, l.chunk()))
}

// chunk is how many positions the budget allows at one time.
func (l *logits) chunk() int { return max(1, headBudget/(4*l.s.Config.Vocab)) }

// fill makes buf hold the logits of wanted positions [lo, hi).
func (l *logits) fill(lo, hi int) {
	if l.lo == lo && l.hi == hi {
		return
	}
	for r := range l.rows {
		l.buf[r] = grow(l.s.be, l.buf[r], hi-lo, l.s.Config.Vocab)
		l.view[r] = l.buf[r].Rows(0, hi-lo)
		l.s.Head.Apply(l.s.be, l.view[r], l.hidden.Rows(r*l.n+lo, r*l.n+hi))
	}
	l.lo, l.hi = lo, hi
}

// Pick implements [engine.Logits].
func (l *logits) Pick(o engine.PickOptions, p *engine.Prediction) error {
	if o.Guidance != 0 && l.rows != 2 {
		return fmt.Errorf("pick: guidance %g needs a pass of two rows, have %d", o.Guidance, l.rows)
	}
	p.Resize(l.n)
	copy(p.Pos, l.pos)
	step := l.chunk()
	for lo := 0; lo < l.n; lo += step {
		hi := min(l.n, lo+step)
		l.fill(lo, hi)
		var uncond tensor.Tensor
		if o.Guidance != 0 {
			uncond = l.view[1]
		}
		if lo == 0 && hi == l.n {
			l.s.be.Pick(l.view[0], uncond, o, p)
			break
		}
		l.part = engine.Prediction{
			Pos: p.Pos[lo:hi], Token: p.Token[lo:hi], Prob: p.Prob[lo:hi],
			Margin: p.Margin[lo:hi], Entropy: p.Entropy[lo:hi],
		}
		l.s.be.Pick(l.view[0], uncond, o, &l.part)
		p.Top = append(p.Top, l.part.Top...)
	}
	return l.s.be.Err()
}

// Floats implements [engine.Logits].
func (l *logits) Floats(dst []float32, row int) error {
	v := l.s.Config.Vocab
	if row < 0 || row >= l.rows {
		return fmt.Errorf("logits: row %d of %d", row, l.rows)
	}
	if len(dst) != l.n*v {
		return fmt.Errorf("logits: %d floats for %d positions of %d ids", len(dst), l.n, v)
	}
	step := l.chunk()
	for lo := 0; lo < l.n; lo += step {
		hi := min(l.n, lo+step)
		l.fill(lo, hi)
		l.s.be.Download(dst[lo*v:hi*v], l.view[row])
	}
	return l.s.be.Err()
}

// grow returns t, or memory for at least twice t's rows when t has fewer than rows.
func grow(be tensor.Backend, t tensor.Tensor, rows, width int) tensor.Tensor {
	have := 0
	if t != nil {
		have = t.Shape()[0]
	}
	if have >= rows {
		return t
	}
	return be.Alloc(tensor.F32, max(rows, 2*have), width)
}
