package denoise

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"unmask/engine"
)

// headed are the words of the square with a head tied to their embeddings.
type headed struct{ words }

func (h *headed) Words(dst, x []float32) error {
	for i := range len(x) / 2 {
		for id, c := range corners {
			dst[i*len(corners)+id] = 3*(c[0]*x[2*i]+c[1]*x[2*i+1])/3 + 0.1*float32(id)
		}
	}
	return nil
}

// TestWantedGradient compares the gradient with differences of the loss, and the loss with the probability counted out.
func TestWantedGradient(t *testing.T) {
	w := &Wanted{Model: &headed{}, Words: []engine.Token{2, 0}, Free: []bool{true, false, true}}
	r := rand.New(rand.NewPCG(1, 2))
	x, grad, unused := make([]float64, 6), make([]float64, 6), make([]float64, 6)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	const share = 0.6
	loss, err := w.Loss(grad, x, share)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, word := range w.Words {
		none := 1.0
		for _, i := range []int{0, 2} {
			logits := make([]float32, 4)
			_ = w.Model.Words(logits, []float32{float32(x[2*i] / math.Sqrt(share)), float32(x[2*i+1] / math.Sqrt(share))})
			sum := 0.0
			for _, l := range logits {
				sum += math.Exp(float64(l))
			}
			none *= 1 - math.Exp(float64(logits[word]))/sum
		}
		want -= math.Log(1 - none)
	}
	if math.Abs(loss-want) > 1e-6 {
		t.Errorf("loss %.8f, counted out %.8f", loss, want)
	}
	const h = 1e-3 // logits are float32
	for i := range x {
		was := x[i]
		x[i] = was + h
		up, _ := w.Loss(unused, x, share)
		x[i] = was - h
		down, _ := w.Loss(unused, x, share)
		x[i] = was
		if diff := (up - down) / (2 * h); math.Abs(diff-grad[i]) > 2e-3 {
			t.Errorf("gradient %d is %.5f, by differences %.5f", i, grad[i], diff)
		}
	}
	for i := 2; i < 4; i++ {
		if grad[i] != 0 {
			t.Errorf("position 1 is fixed and has gradient %g", grad[i])
		}
	}
	for i := range x { // probabilities that float64 does not hold
		x[i] = 4000 * corners3(i)
	}
	if loss, err = w.Loss(grad, x, share); err != nil || math.IsInf(loss, 0) || math.IsNaN(loss) || loss < 1000 || math.IsNaN(grad[0]) {
		t.Errorf("far away: loss %g, gradient %v, %v", loss, grad, err)
	}
}

// corners3 is coordinate i of word 3 at every position.
func corners3(i int) float64 { return float64(corners[3][i%2]) }

// TestSteerByHand compares two updates with Adagrad's counted by hand: x = 1, mean 0, loss 3x, pull 0.5, sigma 2.
func TestSteerByHand(t *testing.T) {
	x := []float64{1}
	s := &Steer{Classifier: line{}, Pull: 0.5, Updates: 2, Rate: 0.1}
	if err := s.apply(x, []float64{0}, 2, 1, 5, 20); err != nil {
		t.Fatal(err)
	}
	g1 := 3 + 2*0.5*1/2.0
	x1 := 1 - 0.1
	g2 := 3 + 2*0.5*x1/2
	want := x1 - 0.1*g2/math.Sqrt(g1*g1+g2*g2)
	if math.Abs(x[0]-want) > 1e-9 {
		t.Errorf("%.10f, want %.10f", x[0], want)
	}
	y := []float64{1}
	if err := s.apply(y, []float64{0}, 2, 1, 0, 20); err != nil || y[0] != 1 {
		t.Errorf("the last step is moved to %g: %v", y[0], err)
	}
}

// line has loss 3x.
type line struct{}

func (line) Loss(grad, x []float64, _ float64) (float64, error) {
	grad[0] = 3
	return 3 * x[0], nil
}

// drifting predicts that words are what they look like now.
type drifting struct{ headed }

func (d *drifting) Predict(ctx context.Context, dst, x []float32, _ float64) error {
	for i := range len(x) / 2 {
		copy(dst[2*i:], corners[Nearest(d, x[2*i:2*i+2])])
	}
	return ctx.Err()
}

// TestSteeredRuns counts how often a word comes with the classifier and without it; fixed positions stay.
func TestSteeredRuns(t *testing.T) {
	g, err := NewGaussian("sqrt", 200, "40")
	if err != nil {
		t.Fatal(err)
	}
	count := func(steer bool) (n int) {
		for seed := range 40 {
			seq := embeddingSequence()
			net := &drifting{}
			p := &Embedding{Model: net, Schedule: g}
			if steer {
				free := make([]bool, len(seq.Fixed))
				for i, f := range seq.Fixed {
					free[i] = !f
				}
				p.Steer = &Steer{Classifier: &Wanted{Model: net, Words: []engine.Token{2}, Free: free}, Pull: 0.01, Updates: 3, Rate: 0.1}
			}
			for _, err := range p.Steps(t.Context(), seq, engine.Options{Seed: uint64(seed)}) {
				if err != nil {
					t.Fatal(err)
				}
			}
			if seq.Tokens[0] != 3 {
				t.Fatalf("seed %d: the fixed word became %d", seed, seq.Tokens[0])
			}
			for _, id := range seq.Tokens[1:] {
				if id == 2 {
					n++
					break
				}
			}
		}
		return n
	}
	if with, without := count(true), count(false); with < 38 || without > 34 {
		t.Errorf("of 40 texts %d hold the wanted word, without the classifier %d", with, without)
	}
}
