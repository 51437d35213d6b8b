package gemma

import (
	"fmt"

	"unmask/engine"
	"unmask/engine/tensor"
)

// headBudget bounds the logits that exist at one time, in bytes. All of a canvas would be a quarter of a gigabyte; the head
// works through the positions in chunks instead, and so does the product that makes embeddings of the prediction.
const headBudget = 64 << 20

// logits are the final states of a canvas and the head that turns them into logits on demand. They implement
// [engine.Logits]. Between two passes they also hold what the next one is told of this one.
type logits struct {
	n    *Network
	rows int   // C; 0: there is no prediction
	at   []int // wanted positions of the canvas
	from int   // position of the canvas's first token
	temp float32

	states tensor.Tensor // [C or more, D], normalised
	wanted tensor.Tensor // [wanted or more, D] of them
	buf    tensor.Tensor // [chunk or more, V]
	lo, hi int           // wanted positions that buf holds as the head gave them
	soft   tensor.Tensor // [C or more, D] embeddings of the prediction
	softly []bool        // [C] true where soft is made
	held   bool          // soft stays that of an earlier pass
	keep   int           // see KeepLogits; 0: logits are made when they are asked for
	part   engine.Prediction
}

// forget drops the prediction.
func (l *logits) forget() { l.rows, l.lo, l.hi, l.held = 0, 0, 0, false }

// chunk is how many positions the budget allows at one time.
func (l *logits) chunk() int { return max(1, max(l.keep, headBudget)/(4*l.n.Config.Text.Vocab)) }

// KeepLogits lets passes hold up to bytes of logits at one time, in place of 64 MB, and makes those with the pass itself. For
// measurements.
func (n *Network) KeepLogits(bytes int) { n.out.keep = bytes }

// prepare makes room for a canvas of rows positions, of which those in want are asked for; nil: all. It runs outside of Mark
// and Release.
func (l *logits) prepare(rows int, want []int) {
	be, d := l.n.be, l.n.Config.Text.Width
	l.at = l.at[:0]
	if want == nil {
		for i := range rows {
			l.at = append(l.at, i)
		}
	}
	l.at = append(l.at, want...)
	l.states, l.soft = grow(be, l.states, 0, rows, d), grow(be, l.soft, min(l.rows, rows), rows, d)
	l.wanted = grow(be, l.wanted, 0, max(1, len(l.at)), d)
	l.buf = grow(be, l.buf, 0, min(l.chunk(), rows), l.n.Config.Text.Vocab)
}

// take keeps the states of x [C, D].
func (l *logits) take(x tensor.Tensor, from int, temp float32) {
	be := l.n.be
	l.rows, l.from, l.temp, l.lo, l.hi = x.Shape()[0], from, temp, 0, 0
	be.Copy(l.states.Rows(0, l.rows), x)
	if len(l.at) > 0 {
		be.Gather(l.wanted.Rows(0, len(l.at)), x, l.at)
	}
	if !l.held {
		l.softly = append(l.softly[:0], make([]bool, l.rows)...)
	}
	if l.keep > 0 && len(l.at) > 0 {
		l.seek(0, min(len(l.at), l.chunk()))
	}
}

// head writes the logits of states [n, D] to the first n rows of buf.
func (l *logits) head(states tensor.Tensor) tensor.Tensor {
	be, n := l.n.be, states.Shape()[0]
	out := l.buf.Rows(0, n)
	be.MatMul(out, states, l.n.head, nil)
	if c := l.n.Config.Text.Cap; c != nil {
		be.SoftCap(out, float32(*c))
	}
	return out
}

// seek makes buf hold the logits of wanted positions [lo, hi).
func (l *logits) seek(lo, hi int) tensor.Tensor {
	if l.lo == lo && l.hi == hi {
		return l.buf.Rows(0, hi-lo)
	}
	l.lo, l.hi = lo, hi
	return l.head(l.wanted.Rows(lo, hi))
}

// Pick implements [engine.Logits], of the logits divided by the temperature of the pass.
func (l *logits) Pick(o engine.PickOptions, p *engine.Prediction) error {
	if o.Guidance != 0 {
		return &engine.UnsupportedError{What: fmt.Sprintf("guidance %g with a canvas", o.Guidance), Have: "none"}
	}
	be, n, step := l.n.be, len(l.at), l.chunk()
	p.Resize(n)
	for i, at := range l.at {
		p.Pos[i] = l.from + at
	}
	for lo := 0; lo < n; lo += step {
		hi := min(n, lo+step)
		x := l.seek(lo, hi)
		be.Scale(x, 1/l.temp)
		l.lo, l.hi = 0, 0 // buf is no more as the head gave it
		l.part = engine.Prediction{
			Pos: p.Pos[lo:hi], Token: p.Token[lo:hi], Prob: p.Prob[lo:hi], Margin: p.Margin[lo:hi], Entropy: p.Entropy[lo:hi],
		}
		be.Pick(x, nil, o, &l.part)
		p.Top = append(p.Top, l.part.Top...)
		if n == l.rows {
			l.soften(lo, x)
		}
	}
	return be.Err()
}

// soften makes the embeddings of canvas positions from lo on out of their logits x [n, V], which it overwrites: the mean of
// all embeddings by the probabilities, scaled.
func (l *logits) soften(lo int, x tensor.Tensor) {
	be, n, d := l.n.be, x.Shape()[0], l.n.Config.Text.Width
	if l.softly[lo] {
		return
	}
	mark := be.Mark()
	defer be.Release(mark)
	be.Softmax(x, x)
	across := be.Alloc(tensor.F32, d, n)
	row := 0
	for _, m := range l.n.back {
		part := be.Alloc(tensor.F32, n, m.N())
		be.MatMul(part, x, m, nil)
		be.Transpose(across.Rows(row, row+m.N()), part)
		row += m.N()
	}
	out := l.soft.Rows(lo, lo+n)
	be.Transpose(out, across)
	be.Scale(out, l.n.scale)
	for i := range n {
		l.softly[lo+i] = true
	}
}

// Tell makes the next pass that is not a first one be told of the prediction that logits [C*V], divided by a temperature
// already, stand for.
func (n *Network) Tell(logits []float32) error {
	l, v := &n.out, n.Config.Text.Vocab
	rows := len(logits) / v
	if rows < 1 || rows*v != len(logits) || rows > n.Config.Text.MaxLen {
		return fmt.Errorf("tell: %d logits of %d ids", len(logits), v)
	}
	l.prepare(rows, nil)
	l.rows, l.held, l.lo, l.hi = rows, false, 0, 0
	l.softly = append(l.softly[:0], make([]bool, rows)...)
	for lo, step := 0, l.chunk(); lo < rows; lo += step {
		hi := min(rows, lo+step)
		x := l.buf.Rows(0, hi-lo)
		upload(n.be, x, logits[lo*v:hi*v])
		l.soften(lo, x)
	}
	return n.be.Err()
}

// complete makes what Pick has not yet made of soft.
func (l *logits) complete() {
	for lo, step := 0, l.chunk(); lo < l.rows; lo += step {
		if l.softly[lo] {
			continue
		}
		x := l.head(l.states.Rows(lo, min(l.rows, lo+step)))
		l.n.be.Scale(x, 1/l.temp)
		l.lo, l.hi = 0, 0
		l.soften(lo, x)
	}
}

// Floats implements [engine.Logits]: the logits as the network gives them.
func (l *logits) Floats(dst []float32, row int) error {
	v, n, step := l.n.Config.Text.Vocab, len(l.at), l.chunk()
	if row != 0 {
		return fmt.Errorf("logits: row %d of 1", row)
	}
	if len(dst) != n*v {
		return fmt.Errorf("logits: %d floats for %d positions of %d ids", len(dst), n, v)
	}
	for lo := 0; lo < n; lo += step {
		hi := min(n, lo+step)
		l.n.be.Download(dst[lo*v:hi*v], l.seek(lo, hi))
	}
	return l.n.be.Err()
}
