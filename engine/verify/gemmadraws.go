package verify

import (
	"context"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/models/gemma"
)

// gemmaDraws is the network with the recorded draws in place of the backend's own.
type gemmaDraws struct {
	*gemma.Network
	d            *gemmaRows
	row          int
	canvas, step int
}

// Refine implements [denoise.Canvas].
func (w *gemmaDraws) Refine(ctx context.Context, canvas []engine.Token, temperature float64, first bool) (engine.Logits, error) {
	if w.step++; first {
		w.canvas, w.step = w.canvas+1, 0
	}
	l, err := w.Network.Refine(ctx, canvas, temperature, first)
	if err != nil {
		return nil, err
	}
	return &gemmaDrawn{Logits: l, w: w, n: len(canvas), temperature: float32(temperature)}, nil
}

// gemmaDrawn are logits of which candidates are drawn by recorded numbers. Everything else is the backend's.
type gemmaDrawn struct {
	engine.Logits
	w           *gemmaDraws
	n           int
	temperature float32
}

// Pick implements [engine.Logits].
func (l *gemmaDrawn) Pick(o engine.PickOptions, p *engine.Prediction) error {
	o.Temperature = 0
	if err := l.Logits.Pick(o, p); err != nil {
		return err
	}
	v := l.w.d.n.Spec().Vocab
	x := make([]float32, l.n*v)
	if err := l.Logits.Floats(x, 0); err != nil {
		return err
	}
	noise, err := l.w.d.f.recorded(l.w.d.array(l.w.canvas, "exp_noise"), 4)
	if err != nil {
		return err
	}
	for i := range l.n {
		e, err := noise.at(l.w.step, l.w.row, i)
		if err != nil || len(e) != v {
			return fmt.Errorf("%d numbers for a draw of %d: %w", len(e), v, err)
		}
		z := x[i*v : (i+1)*v]
		for j := range z {
			z[j] /= l.temperature
		}
		at := drawMultinomial(z, e)
		p.Token[i] = engine.Token(at)
		p.Prob[i] = float32(math.Exp(float64(z[at])) / sumExp(z))
	}
	return nil
}

// sumExp is the sum of the exponentials of z, which are small enough.
func sumExp(z []float32) float64 {
	sum := 0.0
	for _, x := range z {
		sum += math.Exp(float64(x))
	}
	return sum
}
