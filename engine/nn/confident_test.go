package nn

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"unmask/engine"
)

// guided is a pass of three rows of different lengths that end alike.
func guided(want ...int) engine.Input {
	tail := ids(3, 7)
	a, b, c := append(ids(1, 9), tail...), append(ids(2, 4), tail...), append(ids(5, 6), tail...)
	return engine.Input{
		Tokens: slices.Concat(a, b, c), Lens: []int{len(a), len(b), len(c)}, Want: want,
		WantOther: len(b) - len(a), WantThird: len(c) - len(a),
	}
}

// TestThreeRows compares a pass of three rows with three passes, and its guided choice with the formula.
func TestThreeRows(t *testing.T) {
	s := newStack(t, nil)
	in := guided(10, 12, 15)
	l, err := s.Forward(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	n := len(in.Want) * testVocab
	row := func(r int) []float32 {
		x := make([]float32, n)
		if err := l.Floats(x, r); err != nil {
			t.Fatal(err)
		}
		return x
	}
	const g, gi = 2.5, 4
	before := row(2)
	var p engine.Prediction
	if err := l.Pick(engine.PickOptions{Guidance: g, GuidanceImage: gi}, &p); err != nil {
		t.Fatal(err)
	}
	raw := [][]float32{row(0), row(1), row(2)}
	if !slices.Equal(before, raw[2]) {
		t.Error("Pick changes what Floats gives")
	}
	for i := range p.Pos {
		best, at, sum := math.Inf(-1), 0, 0.0
		mixed := make([]float64, testVocab)
		for v := range mixed {
			c, a, b := float64(raw[0][i*testVocab+v]), float64(raw[1][i*testVocab+v]), float64(raw[2][i*testVocab+v])
			if mixed[v] = c + g*(c-a) + gi*(c-b); mixed[v] > best {
				best, at = mixed[v], v
			}
		}
		for _, x := range mixed {
			sum += math.Exp(x - best)
		}
		if int(p.Token[i]) != at || math.Abs(float64(p.Prob[i])-1/sum) > 1e-4 {
			t.Errorf("position %d: token %d with %g, want %d with %g", p.Pos[i], p.Token[i], p.Prob[i], at, 1/sum)
		}
	}
	lo := 0
	for r, length := range in.Lens {
		alone := run(t, s, engine.Input{Tokens: in.Tokens[lo : lo+length]})
		var want []float32
		for _, pos := range in.Want {
			want = append(want, at(alone[0], pos+in.Shift(r))...)
		}
		if d := worst(want, raw[r]); d > 1e-4 {
			t.Errorf("row %d is off by %g", r, d)
		}
		lo += length
	}
	for _, o := range []engine.PickOptions{{Guidance: 1}, {Guidance: 1, GuidanceImage: -1}} {
		if err := l.Pick(o, &p); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	two, err := s.Forward(t.Context(), engine.Input{Tokens: ids(1, 8), Lens: []int{4, 4}})
	if err != nil {
		t.Fatal(err)
	}
	if err := two.Pick(engine.PickOptions{Guidance: 1, GuidanceImage: 1}, &p); err == nil {
		t.Error("guidance by a picture without its row: no error")
	}
}

// TestConfident compares ML-Cache with plain passes: exact where everything is computed, and where a part is computed, the
// kept positions keep their logits.
func TestConfident(t *testing.T) {
	s := newStack(t, nil)
	in := guided(9, 10, 12, 15)
	in.Tokens, in.Lens = in.Tokens[:in.Lens[0]+in.Lens[1]], in.Lens[:2]
	change := func(i int) engine.Input { // as a step would
		next := in
		next.Tokens = slices.Clone(in.Tokens)
		for j := range i {
			next.Tokens[10+j] = engine.Token(7 * (j + 1))
			next.Tokens[in.Lens[0]+5+j] = engine.Token(7 * (j + 1))
		}
		return next
	}
	logits := func(d func(context.Context, engine.Input) (engine.Logits, error), in engine.Input) []float32 {
		l, err := d(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		var out []float32
		for r := range in.Rows() {
			x := make([]float32, len(in.Want)*testVocab)
			if err := l.Floats(x, r); err != nil {
				t.Fatal(err)
			}
			out = append(out, x...)
		}
		return out
	}
	for _, c := range []Confident{{Every: 1, Ratio: 0.1}, {Every: 9, Ratio: 1}, {Warmup: 5, Every: 9, Ratio: 0.1}} {
		c.Stack = s
		for i := range 4 {
			if d := worst(logits(c.Forward, change(i)), logits(s.Forward, change(i))); d > 1e-4 {
				t.Errorf("every %d, ratio %g, warmup %d: pass %d is off by %g", c.Every, c.Ratio, c.Warmup, i, d)
			}
		}
	}
	c := Confident{Stack: s, Every: 9, Ratio: 0.4}
	first := logits(c.Forward, change(0))
	chosen := slices.Concat(c.fresh...)
	if len(chosen) < 5 || len(chosen) > len(in.Tokens)/2 {
		t.Fatalf("%d of %d positions are computed anew", len(chosen), len(in.Tokens))
	}
	second := logits(c.Forward, change(3))
	kept, fresh := 0, 0
	for i, pos := range append(slices.Clone(in.Want), in.Want...) {
		row := pos
		if i >= len(in.Want) {
			row = in.Lens[0] + pos + in.WantOther
		}
		same := worst(first[i*testVocab:(i+1)*testVocab], second[i*testVocab:(i+1)*testVocab]) < 1e-6
		if slices.Contains(chosen, row) {
			fresh++
		} else if kept++; !same {
			t.Errorf("position %d was not to be computed and changed", row)
		}
	}
	if kept == 0 || fresh == 0 {
		t.Errorf("%d kept and %d fresh positions among the wanted: the test shows nothing", kept, fresh)
	}
	for _, bad := range []engine.Input{{Tokens: ids(1, 8), Keep: true}, {Tokens: ids(1, 8), Block: 4}, {Tokens: ids(1, 8), Hide: make([]bool, 8)}} {
		if _, err := c.Forward(t.Context(), bad); !errors.Is(err, engine.ErrUnsupported) {
			t.Errorf("%+v: error %v", bad, err)
		}
	}
	if _, err := c.Forward(t.Context(), engine.Input{Tokens: ids(1, 8)}); err == nil {
		t.Error("rows of another length: no error")
	}
}

func TestQuantile(t *testing.T) {
	x := []float32{4, 1, 3, 2, 0}
	for _, c := range []struct{ q, want float32 }{{0, 0}, {1, 4}, {0.5, 2}, {0.1, 0.4}, {0.9, 3.6}, {0.25, 1}} {
		if got := quantile(x, c.q); math.Abs(float64(got-c.want)) > 1e-6 {
			t.Errorf("quantile %g: %g, want %g", c.q, got, c.want)
		}
	}
	if x[0] != 4 {
		t.Error("the numbers were sorted in place")
	}
}
