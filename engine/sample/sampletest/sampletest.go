// Package sampletest is the conformance suite of samplers: the laws that every row of sample.All obeys.
package sampletest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
)

// Noise is a table of uniform numbers; position p has number p mod len.
type Noise []float64

// Uniform implements [engine.Noise].
func (n Noise) Uniform(pos int) float64 { return n[pos%len(n)] }

// Case is one random situation of a sampler.
type Case struct {
	View       engine.View
	Prediction engine.Prediction
}

// Random makes a case with up to 40 positions. reviews says whether committed positions are predicted too.
func Random(r *rand.Rand, reviews bool) Case {
	n := 1 + r.IntN(40)
	var c Case
	c.Prediction.Resize(n)
	noise := make(Noise, 64)
	for i := range noise {
		noise[i] = (float64(r.Uint64()>>11) + 0.5) / (1 << 53)
	}
	c.View = engine.View{
		Noise: noise, Committed: make([]bool, n), Current: make([]engine.Token, n),
		Steps: 1 + r.IntN(8), Block: engine.Span{Lo: 3, Hi: 3 + 2*n},
	}
	c.View.Step = r.IntN(c.View.Steps)
	for i := range n {
		c.Prediction.Pos[i] = 3 + 2*i
		c.Prediction.Token[i] = engine.Token(r.IntN(50))
		c.Prediction.Prob[i] = float32(r.IntN(21)) / 20 // coarse, so that ties happen
		c.Prediction.Margin[i] = c.Prediction.Prob[i] * r.Float32()
		c.Prediction.Entropy[i] = 3 * r.Float32()
		c.View.Committed[i] = reviews && r.IntN(3) == 0
		if c.View.Committed[i] {
			c.View.Current[i] = engine.Token(r.IntN(50))
		} else {
			c.View.Masked++
		}
	}
	c.View.Initial = c.View.Masked + r.IntN(5)
	if c.View.Masked > 0 {
		c.View.Quota = 1 + r.IntN(c.View.Masked)
	}
	if c.View.Step == c.View.Steps-1 {
		c.View.Quota = c.View.Masked
	}
	c.View.Rate = r.Float64()
	c.View.Left = c.View.Masked - c.View.Quota + r.IntN(6)
	return c
}

// Run checks the laws of e with its default parameters and with each parameter at the ends of its range.
func Run(t *testing.T, e sample.Entry) {
	t.Helper()
	sets := []engine.Params{nil}
	for _, p := range e.Params {
		for _, v := range []float64{p.Min, p.Max} {
			sets = append(sets, engine.Params{p.Name: v})
		}
	}
	for _, params := range sets {
		full, err := e.Fill(params)
		if err != nil {
			t.Fatalf("%v: %v", params, err)
		}
		s, err := e.New(full)
		if err != nil {
			t.Fatalf("%v: %v", params, err)
		}
		if c, ok := s.(engine.Counter); e.Adaptive != (ok && c.CountsItself()) {
			t.Fatalf("%v: Adaptive is %v, the sampler says %v", params, e.Adaptive, !e.Adaptive)
		}
		reviewer, ok := s.(engine.Reviewer)
		reviews := ok && reviewer.ReviewsCommitted()
		r := rand.New(rand.NewPCG(1, 2))
		var d, again engine.Decision
		for range 300 {
			c := Random(r, reviews)
			before := clone(&c.Prediction)
			d.Reset()
			s.Select(c.View, &c.Prediction, &d)
			checkDecision(t, e, c, d)
			if !same(before, &c.Prediction) {
				t.Fatalf("%v: the prediction was changed", params)
			}
			again.Reset()
			s.Select(c.View, &c.Prediction, &again)
			if !slices.Equal(d.Unmask, again.Unmask) || !slices.Equal(d.Remask, again.Remask) || !slices.Equal(d.Edit, again.Edit) {
				t.Fatalf("%v: two calls decide differently: %v, %v", params, d, again)
			}
			checkNaN(t, s, c, r)
		}
		c := Random(r, reviews)
		if n := testing.AllocsPerRun(100, func() {
			d.Reset()
			s.Select(c.View, &c.Prediction, &d)
		}); n > 0 {
			t.Errorf("%v: %g allocations a step, want none", params, n)
		}
	}
}

func checkDecision(t *testing.T, e sample.Entry, c Case, d engine.Decision) {
	t.Helper()
	seen := make(map[int]bool)
	for _, list := range []struct {
		name      string
		indices   []int
		committed bool
	}{{"unmask", d.Unmask, false}, {"remask", d.Remask, true}, {"edit", d.Edit, true}} {
		for _, i := range list.indices {
			if i < 0 || i >= len(c.Prediction.Pos) {
				t.Fatalf("%s: index %d of %d", list.name, i, len(c.Prediction.Pos))
			}
			if seen[i] {
				t.Fatalf("%s: index %d twice", list.name, i)
			}
			seen[i] = true
			if c.View.Committed[i] != list.committed {
				t.Fatalf("%s: index %d, committed %v", list.name, i, c.View.Committed[i])
			}
		}
	}
	last := c.View.Step == c.View.Steps-1
	switch {
	case last && !e.Adaptive && (len(d.Unmask) != c.View.Masked || len(d.Remask) != 0):
		t.Fatalf("last step: %d of %d unmasked, %d remasked", len(d.Unmask), c.View.Masked, len(d.Remask))
	case c.View.Masked > 1 && len(d.Unmask) == 0 && e.Name != "ancestral": // the last one may wait for the last step
		t.Fatalf("nothing unmasked of %d masked", c.View.Masked)
	case !e.Adaptive && e.Name != "maskgit" && len(d.Unmask)-len(d.Remask) != c.View.Quota:
		t.Fatalf("%d unmasked, %d remasked; quota %d", len(d.Unmask), len(d.Remask), c.View.Quota)
	}
}

// checkNaN spoils half of the probabilities and checks that they are not chosen.
func checkNaN(t *testing.T, s engine.Sampler, c Case, r *rand.Rand) {
	t.Helper()
	nan := float32(math.NaN())
	for i := range c.Prediction.Prob {
		if r.IntN(2) == 0 {
			c.Prediction.Prob[i], c.Prediction.Margin[i], c.Prediction.Entropy[i] = nan, nan, nan
		}
	}
	var d engine.Decision
	s.Select(c.View, &c.Prediction, &d)
	for _, list := range [][]int{d.Unmask, d.Edit} {
		for _, i := range list {
			if p := c.Prediction.Prob[i]; p != p {
				t.Fatalf("index %d is chosen with probability NaN", i)
			}
		}
	}
}

func clone(p *engine.Prediction) *engine.Prediction {
	return &engine.Prediction{
		Pos: slices.Clone(p.Pos), Token: slices.Clone(p.Token), Prob: slices.Clone(p.Prob),
		Margin: slices.Clone(p.Margin), Entropy: slices.Clone(p.Entropy),
	}
}

func same(a, b *engine.Prediction) bool {
	return slices.Equal(a.Pos, b.Pos) && slices.Equal(a.Token, b.Token) && slices.Equal(a.Prob, b.Prob) &&
		slices.Equal(a.Margin, b.Margin) && slices.Equal(a.Entropy, b.Entropy)
}
