package verify

import (
	"context"
	"slices"
	"strings"

	"unmask/engine"
)

// slope is the derivative of a loss by the negative log-probability of id at a position.
type slope struct {
	at, id int
	by     float64
}

// gradients compares loss.grad.*: the derivatives of a loss over rows by the final norm, by the vector that ends the rows
// of a picture, and by the last bias of the projector. A feature of a picture is the bias plus what does not depend on it,
// also after bilinear interpolation, whose weights add up to 1.
func (e *eyed) gradients(ctx context.Context, t lesson, rows [][]engine.Token, slopes [][]slope, see func(q, k int) bool) error {
	m, err := openWeights(e.f.dir)
	if err != nil {
		return err
	}
	d := m.c.DModel
	newline, bias := make([]float64, d), make([]float64, d)
	v := e.n.Spec().Vocab
	for i, row := range rows {
		if _, err := e.n.forward(ctx, engine.Input{Tokens: row, Want: []int{}}); err != nil {
			return err
		}
		x := newNode(len(row), d)
		for j, f := range e.n.seen["embed"] {
			x.v[j] = float64(f)
		}
		tp := &tape{see: see}
		y := m.above(tp, x)
		y.descend(slopes[i])
		tp.backward()
		whole, cols := int(t.layout[0]), int(t.layout[1])
		for j, id := range row {
			if int(id) < v {
				continue
			}
			n := int(id) - v - whole // place in the grid, whose rows are one longer than its columns
			if n >= 0 && n%(cols+1) == cols {
				axpy(newline, 1, x.g[j*d:(j+1)*d])
			} else {
				axpy(bias, 1, x.g[j*d:(j+1)*d])
			}
		}
	}
	for _, name := range e.f.names("loss.grad.") {
		switch strings.TrimPrefix(name, "loss.grad.") {
		case "image_newline":
			e.f.near(name, narrow(newline))
		case "projector2_bias":
			e.f.near(name, narrow(bias))
		case "norm", "ln_f":
			e.f.near(name, narrow(m.named(root+"ln_f.weight").g))
		}
	}
	return nil
}

// descend sets the derivatives of logits y.
func (y *node) descend(list []slope) {
	for _, s := range list {
		p := slices.Clone(y.v[s.at*y.cols : (s.at+1)*y.cols])
		softmaxInPlace(p)
		p[s.id]--
		axpy(y.g[s.at*y.cols:(s.at+1)*y.cols], s.by, p)
	}
}

// narrow is x in float32.
func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}
