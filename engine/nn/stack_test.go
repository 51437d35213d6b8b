package nn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/tensor"
)

// dice is a Loader of random weights: the same name and shape give the same numbers.
type dice struct{ be tensor.Backend }

func (d dice) bytes(name string, n int, scale float64) []byte {
	h := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	r := rand.New(rand.NewPCG(h, 1))
	var b []byte
	for range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(r.NormFloat64()*scale)))
	}
	return b
}

func (d dice) Matrix(name string, n, k int) tensor.Matrix {
	return d.be.Pack(d.bytes(name, n*k, 1.5/math.Sqrt(float64(k))), tensor.F32, n, k, tensor.F32)
}

func (d dice) Tensor(name string, shape ...int) tensor.Tensor {
	n := 1
	for _, s := range shape {
		n *= s
	}
	t := d.be.Alloc(tensor.F32, shape...)
	d.be.Upload(t, d.bytes(name, n, 1), tensor.F32)
	return t
}

func (d dice) Has(string) bool { return true }

const testVocab, testLen = 96, 40

// newStack makes a random network of two layers with grouped heads, biases and head norms.
func newStack(t testing.TB, edit func(*Config)) *Stack {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	l := dice{be}
	const d, h, g, k, f = 32, 4, 2, 8, 48
	s := &Stack{
		Embed: l.Tensor("embed", testVocab, d), Norm: LoadRMSNorm(l, "norm", d, 1e-5),
		Head:   LoadLinear(l, "head", testVocab, d, false),
		Config: Config{Vocab: testVocab, Width: d, Layers: 2, MaxLen: testLen},
	}
	for i := range 2 {
		at := fmt.Sprint("layer", i, ".")
		qn, kn := LoadRMSNorm(l, at+"qn", k, 1e-5), LoadRMSNorm(l, at+"kn", k, 1e-5)
		s.Blocks = append(s.Blocks, Block{
			AttnNorm: LoadRMSNorm(l, at+"an", d, 1e-5), MLPNorm: LoadRMSNorm(l, at+"mn", d, 1e-5),
			Attn: Attention{
				Q: LoadLinear(l, at+"q", h*k, d, true), K: LoadLinear(l, at+"k", g*k, d, true),
				V: LoadLinear(l, at+"v", g*k, d, true), O: LoadLinear(l, at+"o", d, h*k, false),
				QNorm: &qn, KNorm: &kn, Heads: h, KVHeads: g, HeadWidth: k, Theta: 10000, Rot: k,
			},
			MLP: &SwiGLU{Gate: LoadLinear(l, at+"g", f, d, false), Up: LoadLinear(l, at+"u", f, d, false),
				Down: LoadLinear(l, at+"d", d, f, false), Width: f},
		})
	}
	if edit != nil {
		edit(&s.Config)
	}
	s.Bind(be)
	return s
}

func ids(seed uint64, n int) []engine.Token {
	r := rand.New(rand.NewPCG(seed, 2))
	out := make([]engine.Token, n)
	for i := range out {
		out[i] = engine.Token(r.IntN(testVocab))
	}
	return out
}

// run returns the logits of every row of in.
func run(t testing.TB, s *Stack, in engine.Input) [][]float32 {
	t.Helper()
	l, err := s.Forward(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]float32, in.Rows())
	for r := range out {
		out[r] = make([]float32, s.out.n*testVocab)
		if err := l.Floats(out[r], r); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func worst(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	w := 0.0
	for i := range a {
		w = max(w, math.Abs(float64(a[i])-float64(b[i])))
	}
	return w
}

func at(row []float32, positions ...int) []float32 {
	var out []float32
	for _, p := range positions {
		out = append(out, row[p*testVocab:(p+1)*testVocab]...)
	}
	return out
}

func TestRowsAreIndependent(t *testing.T) {
	s := newStack(t, nil)
	a, b := ids(1, 17), ids(2, 12)
	want := []int{9, 11, 16}
	one := at(run(t, s, engine.Input{Tokens: a})[0], want...)
	two := at(run(t, s, engine.Input{Tokens: b})[0], 4, 6, 11)
	got := run(t, s, engine.Input{Tokens: slices.Concat(a, b), Lens: []int{17, 12}, Want: want, WantOther: -5})
	if !slices.Equal(got[0], one) || !slices.Equal(got[1], two) {
		t.Errorf("rows together differ from rows alone by %g and %g", worst(got[0], one), worst(got[1], two))
	}
}

func TestHiddenPadsAreAsGoodAsDropped(t *testing.T) {
	s := newStack(t, nil)
	real := ids(3, 14)
	hide := make([]bool, 20)
	for i := range 6 {
		hide[i] = true
	}
	padded := run(t, s, engine.Input{Tokens: slices.Concat(ids(4, 6), real), Hide: hide, Want: []int{6, 12, 19}})[0]
	alone := at(run(t, s, engine.Input{Tokens: real})[0], 0, 6, 13)
	if d := worst(padded, alone); d > 2e-5 {
		t.Errorf("dropping left pads changes logits by %g", d)
	}
	// With positions over visible tokens only, the rotary angles are the same numbers.
	s.Config.SkipPads, s.Config.SkipPad = true, 1
	padded = run(t, s, engine.Input{Tokens: slices.Concat(ids(4, 6), real), Hide: hide, Want: []int{6, 12, 19}})[0]
	if d := worst(padded, alone); d > 2e-6 {
		t.Errorf("with skipped pads: %g", d)
	}
}

// TestActiveEqualsFull: an active pass with unchanged tokens gives the logits of the pass that filled the cache, for one
// row and for two rows of different length; and changed tokens inside the active range count at once.
func TestActiveEqualsFull(t *testing.T) {
	s := newStack(t, nil)
	a, b := ids(5, 20), ids(6, 13)
	in := engine.Input{Tokens: slices.Concat(a, b), Lens: []int{20, 13}, WantOther: -7, Want: []int{8, 9, 10, 11}, Keep: true}
	full := run(t, s, in)
	in.Keep, in.Active = false, engine.Span{Lo: 8, Hi: 12}
	for range 2 {
		if got := run(t, s, in); !slices.Equal(got[0], full[0]) || !slices.Equal(got[1], full[1]) {
			t.Fatalf("active pass differs by %g and %g", worst(got[0], full[0]), worst(got[1], full[1]))
		}
	}
	// In the first layer, values depend on the position's own token alone, so a one-layer network is exact under changes.
	s.Blocks = s.Blocks[:1]
	in.Active, in.Keep = engine.Span{}, true
	run(t, s, in)
	in.Tokens = slices.Clone(in.Tokens)
	in.Tokens[9], in.Tokens[20+3] = 7, 8
	in.Active, in.Keep = engine.Span{Lo: 8, Hi: 12}, false
	got := run(t, s, in)
	in.Active = engine.Span{}
	if want := run(t, s, in); !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) {
		t.Errorf("changed tokens: differs by %g and %g", worst(got[0], want[0]), worst(got[1], want[1]))
	}
}

// TestBlockPassIsExact: with block-causal attention a pass over one block, with the kept keys up to its end, equals
// the whole pass, which is what block diffusion relies on.
func TestBlockPassIsExact(t *testing.T) {
	s := newStack(t, nil)
	for _, origin := range []int{0, 5, 6} { // the last two cut the first block short
		tokens := ids(7, 18)
		in := engine.Input{Tokens: tokens, Keep: true, Block: 4, Origin: origin}
		full := run(t, s, in)[0]
		lo := 8 + origin%4
		in.Keep, in.Active = false, engine.Span{Lo: lo, Hi: lo + 4}
		want := at(full, lo, lo+1, lo+2, lo+3)
		if block := run(t, s, in)[0]; !slices.Equal(block, want) {
			t.Errorf("origin %d: block pass differs by %g", origin, worst(block, want))
		}
		// What follows the block must not matter, and what comes before it is padded where the official code pads.
		pad := (4 - origin%4) % 4
		hide := make([]bool, pad+lo+4)
		for i := range pad {
			hide[i] = true
		}
		s.Config.Pads, s.Config.SkipPads = PadsSeeNothing, true
		short := run(t, s, engine.Input{Tokens: slices.Concat(ids(8, pad), tokens[:lo+4]), Hide: hide, Block: 4})[0]
		if d := worst(at(short, pad+lo, pad+lo+1, pad+lo+2, pad+lo+3), want); d > 1e-5 {
			t.Errorf("origin %d: padded and without what follows: %g", origin, d)
		}
		s.Config.Pads, s.Config.SkipPads = PadsSeeTokens, false
	}
	tokens := ids(7, 16)
	full := run(t, s, engine.Input{Tokens: tokens, Block: 4})[0]
	if d := worst(run(t, newStack(t, nil), engine.Input{Tokens: tokens})[0], full); d < 1e-3 {
		t.Errorf("block-causal attention changes nothing (%g)", d)
	}
}

func TestShift(t *testing.T) {
	s := newStack(t, nil)
	tokens := ids(8, 9)
	plain := run(t, s, engine.Input{Tokens: tokens})[0]
	s.Config.Shift = true
	got := run(t, s, engine.Input{Tokens: tokens, Want: []int{0, 1, 8}})[0]
	if want := at(plain, 0, 0, 7); !slices.Equal(got, want) {
		t.Errorf("shifted logits differ by %g", worst(got, want))
	}
}

// TestHeadInChunks: working through the head in chunks changes neither logits nor candidates.
func TestHeadInChunks(t *testing.T) {
	s := newStack(t, nil)
	in := engine.Input{Tokens: slices.Concat(ids(9, 11), ids(10, 11)), Lens: []int{11, 11}}
	o := engine.PickOptions{Temperature: 0.7, Guidance: 1.5, Seed: 3, Top: 2}
	pick := func() (p engine.Prediction) {
		l, err := s.Forward(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Pick(o, &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	whole, logits := pick(), run(t, s, in)
	s.out.budget = 3 * 4 * testVocab
	parts := pick()
	if !slices.Equal(whole.Token, parts.Token) || !slices.Equal(whole.Prob, parts.Prob) || !slices.Equal(whole.Pos, parts.Pos) ||
		!slices.Equal(whole.Entropy, parts.Entropy) || !slices.Equal(whole.Margin, parts.Margin) {
		t.Errorf("candidates differ: %v and %v", whole.Token, parts.Token)
	}
	if len(parts.Top) != 11 || !slices.Equal(parts.Top[10], whole.Top[10]) {
		t.Errorf("alternatives differ: %v and %v", parts.Top, whole.Top)
	}
	if got := run(t, s, in); !slices.Equal(got[0], logits[0]) || !slices.Equal(got[1], logits[1]) {
		t.Error("logits differ")
	}
}

func TestForwardRefusesBadInput(t *testing.T) {
	s := newStack(t, nil)
	ok := ids(11, 8)
	for _, c := range []struct {
		name string
		in   engine.Input
		want string
	}{
		{"no tokens", engine.Input{}, "0 positions"},
		{"too long", engine.Input{Tokens: ids(1, testLen+1)}, "1 to 40"},
		{"lengths", engine.Input{Tokens: ok, Lens: []int{4, 5}}, "8 tokens"},
		{"four rows", engine.Input{Tokens: ok, Lens: []int{2, 2, 2, 2}}, "4 rows"},
		{"negative length", engine.Input{Tokens: ok, Lens: []int{9, -1}}, "-1 positions"},
		{"token", engine.Input{Tokens: []engine.Token{1, testVocab}}, "vocabulary of 96"},
		{"negative token", engine.Input{Tokens: []engine.Token{-1}}, "vocabulary of 96"},
		{"want", engine.Input{Tokens: ok, Want: []int{8}}, "wanted position 8"},
		{"want order", engine.Input{Tokens: ok, Want: []int{3, 3}}, "not ascending"},
		{"want of row 1", engine.Input{Tokens: ok, Lens: []int{6, 2}, Want: []int{5}}, "row 1"},
		{"block", engine.Input{Tokens: ok, Block: -1}, "block length -1"},
		{"hide", engine.Input{Tokens: ok, Hide: make([]bool, 7)}, "7 entries"},
		{"no cache", engine.Input{Tokens: ok, Active: engine.Span{Lo: 1, Hi: 2}}, "Keep"},
	} {
		if _, err := s.Forward(t.Context(), c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
	run(t, s, engine.Input{Tokens: ok, Keep: true})
	for _, in := range []engine.Input{
		{Tokens: ok, Active: engine.Span{Lo: 5, Hi: 9}},
		{Tokens: ok, Active: engine.Span{Lo: 5, Hi: 5}},
		{Tokens: ok, Active: engine.Span{Lo: -1, Hi: 5}},
		{Tokens: ok, Active: engine.Span{Lo: 2, Hi: 5}, Until: 4},
		{Tokens: ok, Active: engine.Span{Lo: 2, Hi: 5}, Until: 9},
		{Tokens: ok, Active: engine.Span{Lo: 2, Hi: 5}, Want: []int{5}},
		{Tokens: ok[:7], Active: engine.Span{Lo: 2, Hi: 5}},
	} {
		if _, err := s.Forward(t.Context(), in); err == nil {
			t.Errorf("active %+v until %d want %v of %d tokens: no error", in.Active, in.Until, in.Want, len(in.Tokens))
		}
	}
	if l, err := s.Forward(t.Context(), engine.Input{Tokens: ok}); err != nil {
		t.Errorf("after refusals: %v", err)
	} else if err := l.Pick(engine.PickOptions{Guidance: 1}, new(engine.Prediction)); err == nil {
		t.Error("guidance over one row: no error")
	}
}

// countdown is done after n looks.
type countdown struct {
	context.Context
	n int
}

func (c *countdown) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// TestCancelBetweenLayers: a pass cancelled half way is an error, and its half-filled cache is not served.
func TestCancelBetweenLayers(t *testing.T) {
	s := newStack(t, nil)
	in := engine.Input{Tokens: ids(12, 8), Keep: true}
	for n := range 3 {
		if _, err := s.Forward(&countdown{t.Context(), n}, in); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at look %d: %v", n, err)
		}
		if _, err := s.Forward(t.Context(), engine.Input{Tokens: in.Tokens, Active: engine.Span{Lo: 1, Hi: 3}}); err == nil {
			t.Errorf("cancelled at look %d: the cache is served", n)
		}
	}
	if _, err := s.Forward(&countdown{t.Context(), 3}, in); err != nil {
		t.Error(err)
	}
}

// TestNothingAllocatedPerStep: a steady loop of passes, kept and active, allocates a few views and what a backend
// hands to its workers, and nothing that grows.
func TestNothingAllocatedPerStep(t *testing.T) {
	s := newStack(t, nil)
	tokens := slices.Concat(ids(13, 20), ids(14, 20))
	full := engine.Input{Tokens: tokens, Lens: []int{20, 20}, Want: []int{3, 7, 9}, Keep: true}
	active := engine.Input{Tokens: tokens, Lens: []int{20, 20}, Want: []int{3, 7}, Active: engine.Span{Lo: 2, Hi: 8}}
	var p engine.Prediction
	step := func() {
		for _, in := range []engine.Input{full, active, active} {
			l, err := s.Forward(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Pick(engine.PickOptions{Guidance: 1, Temperature: 0.5}, &p); err != nil {
				t.Fatal(err)
			}
		}
	}
	step()
	step()
	if n := testing.AllocsPerRun(20, step); n > 3*24 {
		t.Errorf("%g allocations in three passes", n)
	}
}
