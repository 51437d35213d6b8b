package nn

import (
	"fmt"

	"unmask/engine"
	"unmask/engine/tensor"
)

// KeepLogits lets passes hold up to bytes of logits a row of a guided pair at one time, in place of 16 MB. The rest are
// made when they are asked for.
func (s *Stack) KeepLogits(bytes int) { s.out.budget = bytes }

// headBudget bounds the logits that exist at one time, in bytes a row of a guided pair. 1,024 positions by 126k ids
// would be half a gigabyte; the head works through the wanted positions in chunks instead.
const headBudget = 16 << 20

// maxRows is how many rows a pass has: the conditional one, and one without the words and one without the picture.
const maxRows = 3

// logits are the final hidden states of the wanted positions and the head that turns them into logits on demand, a chunk
// at a time. The first chunk is made by the forward pass itself.
type logits struct {
	s      *Stack
	n      int // wanted positions
	rows   int // 1, or 2 or 3 when guided
	pos    []int
	hidden tensor.Tensor          // [rows*n or more, D]
	final  tensor.Tensor          // [rows*n, D] of it, normalised
	in     [maxRows]tensor.Tensor // [hi-lo, D] of final
	buf    [maxRows]tensor.Tensor // [chunk or more, V] of each row
	view   [maxRows]tensor.Tensor // [hi-lo, V]
	lo, hi int                    // wanted positions that buf holds
	part   engine.Prediction
	budget int // bytes of buf a row
}

// prepare makes room for the wanted positions of p. It runs before the pass marks scratch memory: what it makes stays.
func (l *logits) prepare(p *pass) {
	be := l.s.be
	l.n, l.rows, l.pos = len(p.pos), len(p.lens), p.pos
	l.lo, l.hi = 0, 0
	if l.n == 0 {
		return
	}
	l.hidden = grow(be, l.hidden, l.rows*l.n, l.s.Config.Width)
	l.final = l.hidden.Rows(0, l.rows*l.n)
	l.open(0, min(l.n, l.chunk()))
}

// take gathers the wanted rows of x [T, D], normalises them and computes the first chunk.
func (l *logits) take(x tensor.Tensor, p *pass) {
	if l.n == 0 {
		return
	}
	l.s.be.Gather(l.final, x, p.want)
	l.s.Norm.Apply(l.s.be, l.final, l.final)
	l.fill()
}

// takeRows is take of rows that are the wanted ones.
func (l *logits) takeRows(x tensor.Tensor) {
	l.s.Norm.Apply(l.s.be, l.final, x)
	l.fill()
}

// chunk is how many positions the budget allows at one time.
func (l *logits) chunk() int { return max(1, l.budget/(4*l.s.Config.Vocab)) }

// open makes the views for wanted positions [lo, hi).
func (l *logits) open(lo, hi int) {
	for r := range l.rows {
		l.buf[r] = grow(l.s.be, l.buf[r], hi-lo, l.s.Config.Vocab)
		l.view[r] = l.buf[r].Rows(0, hi-lo)
		l.in[r] = l.final.Rows(r*l.n+lo, r*l.n+hi)
	}
	l.lo, l.hi = lo, hi
}

// fill computes the logits of the open positions. Of three rows it leaves out those that are mixed first, see mix.
func (l *logits) fill() {
	for r := range l.rows {
		if r == 0 || l.rows < maxRows {
			l.s.Head.Apply(l.s.be, l.view[r], l.in[r])
		}
	}
}

// mix makes view[1] the logits that guidance g and gi of rows 1 and 2 come to: cond + g*(cond-a) + gi*(cond-b) is
// guidance g+gi of the mean of a and b with these weights. The head is linear, so the mean is taken before it.
func (l *logits) mix(g, gi float64) {
	be := l.s.be
	mark := be.Mark()
	n := l.hi - l.lo
	a, b := be.Alloc(tensor.F32, n, l.s.Config.Width), be.Alloc(tensor.F32, n, l.s.Config.Width)
	be.Copy(a, l.in[1])
	be.Copy(b, l.in[2])
	be.Scale(a, float32(g/(g+gi)))
	be.Scale(b, float32(gi/(g+gi)))
	be.Add(a, b)
	l.s.Head.Apply(be, l.view[1], a)
	be.Release(mark)
}

// seek makes buf hold the logits of wanted positions [lo, hi).
func (l *logits) seek(lo, hi int) {
	if l.lo != lo || l.hi != hi {
		l.open(lo, hi)
		l.fill()
	}
}

// Pick implements [engine.Logits].
func (l *logits) Pick(o engine.PickOptions, p *engine.Prediction) error {
	switch {
	case o.GuidanceImage != 0 && l.rows != maxRows:
		return fmt.Errorf("pick: guidance %g by the picture needs a pass of %d rows, have %d", o.GuidanceImage, maxRows, l.rows)
	case o.GuidanceImage == 0 && o.Guidance != 0 && l.rows != 2:
		return fmt.Errorf("pick: guidance %g needs a pass of two rows, have %d", o.Guidance, l.rows)
	case o.Guidance+o.GuidanceImage == 0 && o.Guidance != 0:
		return fmt.Errorf("pick: guidance %g by the words undoes %g by the picture", o.Guidance, o.GuidanceImage)
	}
	words, picture := o.Guidance, o.GuidanceImage
	o.Guidance, o.GuidanceImage = words+picture, 0
	p.Resize(l.n)
	copy(p.Pos, l.pos)
	step := l.chunk()
	for lo := 0; lo < l.n; lo += step {
		hi := min(l.n, lo+step)
		l.seek(lo, hi)
		if picture != 0 {
			l.mix(words, picture)
		}
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
		l.seek(lo, hi)
		if row > 0 && l.rows == maxRows { // fill leaves it out, and mix writes over it
			l.s.Head.Apply(l.s.be, l.view[row], l.in[row])
		}
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
