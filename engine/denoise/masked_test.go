package denoise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

func sampler(t testing.TB, name string, params engine.Params) engine.Sampler {
	t.Helper()
	s, err := sample.New(name, params)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// collect runs m to its end.
func collect(t *testing.T, m *Masked, seq *engine.Sequence, o engine.Options) []engine.Step {
	t.Helper()
	var steps []engine.Step
	for step, err := range m.Steps(context.Background(), seq, o) {
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return steps
}

func countMasks(s *engine.Sequence) int {
	n := 0
	for i, t := range s.Tokens {
		if t == testMask && !s.Fixed[i] {
			n++
		}
	}
	return n
}

// checkSteps checks the laws of a finished run.
func checkSteps(t *testing.T, started, final *engine.Sequence, steps []engine.Step, o engine.Options) {
	t.Helper()
	s := started.Clone()
	evaluated, passes := 0, 1
	if o.Guidance != 0 {
		passes = 2
	}
	for i, step := range steps {
		last := -1
		for _, c := range step.Changes {
			if c.Pos <= last {
				t.Fatalf("step %d: position %d after %d", i, c.Pos, last)
			}
			last = c.Pos
			if s.Fixed[c.Pos] {
				t.Fatalf("step %d: fixed position %d changes", i, c.Pos)
			}
			if s.Tokens[c.Pos] != c.From {
				t.Fatalf("step %d: position %d holds %d, the change says %d", i, c.Pos, s.Tokens[c.Pos], c.From)
			}
			if c.Kind == engine.Unmask && (c.From != testMask || c.To == testMask) {
				t.Fatalf("step %d: %v from %d to %d", i, c.Kind, c.From, c.To)
			}
		}
		s.Apply(step.Changes)
		if n := countMasks(s); step.Masked != n {
			t.Fatalf("step %d: says %d masked, a recount %d", i, step.Masked, n)
		}
		if i == 0 || len(steps[i-1].Changes) > 0 || steps[i-1].Block != step.Block {
			evaluated++
		}
		if step.Index != i || step.NFE != evaluated*passes {
			t.Fatalf("step %d: index %d, NFE %d, want %d", i, step.Index, step.NFE, evaluated*passes)
		}
	}
	if !slices.Equal(s.Tokens, final.Tokens) {
		t.Fatal("the steps do not lead from the first to the final sequence")
	}
	if n := countMasks(final); n != 0 {
		t.Fatalf("%d positions are masked at the end", n)
	}
}

// TestLaws runs every sampler with every schedule over text and pictures.
func TestLaws(t *testing.T) {
	image := &engine.ImageSpec{Offset: 12, Codebook: 8}
	for _, e := range sample.All {
		for _, sched := range schedule.All {
			for i, o := range []engine.Options{
				{Steps: 7},
				{Steps: 12, Block: 5, Temperature: 1, Seed: 3},
				{Steps: 40, Block: 8, Guidance: 1.5, EndPenalty: 2},
				{Steps: 1, Cache: engine.CacheDual},
				{Steps: 9, Block: 4, Cache: engine.CachePrefix, Guidance: 1, BanEnd: true},
			} {
				o.Schedule, o.Sampler = sched.Name, e.Name
				for _, seq := range []*engine.Sequence{answer(4, 19), picture(3, 18)} {
					t.Run(fmt.Sprintf("%s/%s/%d/%d", e.Name, sched.Name, i, len(seq.Spans)), func(t *testing.T) {
						f := &fake{}
						if len(seq.Spans) > 1 {
							f.image = image
						}
						m := &Masked{Model: f, Sampler: sampler(t, e.Name, nil)}
						planned, err := m.Passes(seq, o)
						if err != nil {
							t.Fatal(err)
						}
						started := seq.Clone()
						final := seq.Clone()
						steps := collect(t, m, final, o)
						checkSteps(t, started, final, steps, o)
						if n := steps[len(steps)-1].NFE; n > planned && !e.Adaptive {
							t.Errorf("%d passes, %d planned", n, planned)
						}
						again := seq.Clone()
						collect(t, &Masked{Model: f, Sampler: sampler(t, e.Name, nil)}, again, o)
						if !slices.Equal(final.Tokens, again.Tokens) {
							t.Error("the same seed gives two results")
						}
						if len(seq.Spans) > 1 {
							for p := 3; p < 21; p++ {
								if tok := final.Tokens[p]; tok < 12 || tok >= 20 {
									t.Errorf("position %d of the picture holds %d", p, tok)
								}
							}
						}
					})
				}
			}
		}
	}
}

// TestBreak stops at every step; the sequence is then what the steps made of it.
func TestBreak(t *testing.T) {
	o := engine.Options{Steps: 8, Block: 6}
	for stop := range 8 {
		seq := answer(3, 18)
		replay := seq.Clone()
		m := &Masked{Model: &fake{}, Sampler: sampler(t, "margin", nil)}
		for step, err := range m.Steps(context.Background(), seq, o) {
			if err != nil {
				t.Fatal(err)
			}
			replay.Apply(step.Changes)
			if step.Index == stop {
				break
			}
		}
		if !slices.Equal(seq.Tokens, replay.Tokens) {
			t.Errorf("stopped after step %d: the sequence is not the sum of its steps", stop)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f := &fake{keep: true}
	m := &Masked{Model: f, Sampler: sampler(t, "random", nil)}
	var last error
	for step, err := range m.Steps(ctx, answer(2, 10), engine.Options{}) {
		if last != nil {
			t.Fatal("something follows the error")
		}
		if last = err; err == nil && step.Index == 2 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || len(f.inputs) != 3 {
		t.Errorf("%v after %d passes, want %v after 3", last, len(f.inputs), context.Canceled)
	}
}

// TestBlocks checks that no block begins before the one to its left is done, and how steps are shared.
func TestBlocks(t *testing.T) {
	m := &Masked{Model: &fake{}, Sampler: sampler(t, "low_confidence", nil)}
	steps := collect(t, m, answer(4, 16), engine.Options{Steps: 6, Block: 8})
	var sizes []int
	for i, s := range steps {
		want := engine.Span{Lo: 4, Hi: 12}
		if i >= 3 {
			want = engine.Span{Lo: 12, Hi: 20}
		}
		if s.Block != want {
			t.Errorf("step %d: block %v, want %v", i, s.Block, want)
		}
		sizes = append(sizes, len(s.Changes))
	}
	if !slices.Equal(sizes, []int{3, 3, 2, 3, 3, 2}) {
		t.Errorf("sizes %v", sizes)
	}
	// A last block that is shorter, and words fixed inside the answer: blocks stay where the answer puts them.
	seq := answer(4, 10)
	seq.Fixed[4], seq.Tokens[4] = true, 1
	m.Answer = engine.Span{Lo: 4, Hi: 14}
	steps = collect(t, m, seq, engine.Options{Block: 4})
	if b := steps[0].Block; b != (engine.Span{Lo: 4, Hi: 8}) || len(steps) != 9 {
		t.Errorf("first block %v of %d steps", b, len(steps))
	}
}

func TestGuides(t *testing.T) {
	f := &fake{keep: true}
	m := &Masked{Model: f, Sampler: sampler(t, "low_confidence", nil)}
	seq := answer(2, 3)
	collect(t, m, seq, engine.Options{Steps: 3, Guidance: 1})
	in := f.inputs[0]
	if !slices.Equal(in.Tokens, []engine.Token{1, 2, 23, 23, 23, 23, 23, 23, 23, 23}) || in.WantOther != 0 || !slices.Equal(in.Lens, []int{5, 5}) {
		t.Errorf("masked prompt: %v %v %d", in.Tokens, in.Lens, in.WantOther)
	}
	f.inputs = nil
	m.Guide = ReplacePrefix([]engine.Token{9}, 2)
	seq = answer(2, 3)
	collect(t, m, seq, engine.Options{Steps: 3, Guidance: 1})
	in = f.inputs[1]
	if in.WantOther != -1 || !slices.Equal(in.Lens, []int{5, 4}) || in.Tokens[5] != 9 || !slices.Equal(in.Tokens[2:5], in.Tokens[6:9]) {
		t.Errorf("replaced prefix: %v %v %d", in.Tokens, in.Lens, in.WantOther)
	}
}

// TestCaches checks what each pass feeds, by Fast-dLLM's own record: one full pass a block, then the block and the rest,
// or the block alone.
func TestCaches(t *testing.T) {
	for _, c := range []struct {
		mode engine.CacheMode
		want [][2]int
	}{
		{engine.CacheNone, [][2]int{{0, 0}, {0, 0}, {0, 0}, {0, 0}}},
		{engine.CachePrefix, [][2]int{{0, 0}, {7, 15}, {0, 0}, {11, 15}}},
		{engine.CacheDual, [][2]int{{0, 0}, {7, 11}, {0, 0}, {11, 15}}},
	} {
		f := &fake{keep: true}
		m := &Masked{Model: f, Sampler: sampler(t, "low_confidence", nil)}
		collect(t, m, answer(7, 8), engine.Options{Steps: 4, Block: 4, Cache: c.mode})
		for i, in := range f.inputs {
			keep := c.mode != engine.CacheNone && c.want[i] == [2]int{0, 0}
			if in.Active.Lo != c.want[i][0] || in.Active.Hi != c.want[i][1] || in.Keep != keep {
				t.Errorf("%s: pass %d feeds %v, keep %v; want %v, %v", c.mode, i, in.Active, in.Keep, c.want[i], keep)
			}
		}
	}
}

// likes makes a fake that prefers one token a position, more so with smaller pos.
func likes(tokens ...engine.Token) *fake {
	return &fake{logit: func(pos int, id engine.Token, _ []engine.Token) float64 {
		if pos < len(tokens) && tokens[pos] == id {
			return 5 - 0.1*float64(pos)
		}
		return 0
	}}
}

func TestEnd(t *testing.T) {
	run := func(o engine.Options) (*engine.Sequence, []engine.Step) {
		m := &Masked{Model: likes(0, 0, 3, 4, testEnd, 5, 6, 8), Sampler: sampler(t, "low_confidence", nil)}
		seq := answer(2, 6)
		started := seq.Clone()
		steps := collect(t, m, seq, o)
		checkSteps(t, started, seq, steps, o)
		return seq, steps
	}
	seq, steps := run(engine.Options{})
	if want := []engine.Token{1, 2, 3, 4, 7, 5, 6, 8}; !slices.Equal(seq.Tokens, want) || len(steps) != 6 {
		t.Errorf("plain: %v in %d steps", seq.Tokens, len(steps))
	}
	seq, steps = run(engine.Options{StopAtEnd: true})
	if want := []engine.Token{1, 2, 3, 4, 7, 7, 7, 7}; !slices.Equal(seq.Tokens, want) || len(steps) != 3 {
		t.Errorf("stop at end: %v in %d steps", seq.Tokens, len(steps))
	}
	_, steps = run(engine.Options{EndPenalty: 3})
	if c := steps[5].Changes[0]; c.To != testEnd || c.Prob < 0.5 {
		t.Errorf("end penalty: the last change is %+v, want the end token with its own probability", c)
	}
	seq, _ = run(engine.Options{BanEnd: true})
	if slices.Contains(seq.Tokens, testEnd) {
		t.Errorf("end banned: %v", seq.Tokens)
	}
}

func TestSeed(t *testing.T) {
	run := func(name string, o engine.Options) []engine.Token {
		seq := answer(3, 24)
		collect(t, &Masked{Model: &fake{}, Sampler: sampler(t, name, nil)}, seq, o)
		return seq.Tokens
	}
	if !slices.Equal(run("low_confidence", engine.Options{Steps: 6}), run("low_confidence", engine.Options{Steps: 6, Seed: 9})) {
		t.Error("temperature 0: the seed matters")
	}
	if slices.Equal(run("low_confidence", engine.Options{Steps: 6, Temperature: 1}), run("low_confidence", engine.Options{Steps: 6, Seed: 9, Temperature: 1})) {
		t.Error("temperature 1: the seed does not matter")
	}
	if slices.Equal(run("random", engine.Options{Steps: 6}), run("random", engine.Options{Steps: 6, Seed: 9})) {
		t.Error("random: the seed does not matter")
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	short := answer(2, 4)
	short.Fixed = short.Fixed[:3]
	gap := answer(2, 4)
	gap.Spans[0].Lo = 1
	for _, c := range []struct {
		name  string
		model *fake
		seq   *engine.Sequence
		o     engine.Options
	}{
		{"schedule", &fake{}, answer(2, 4), engine.Options{Schedule: "nope"}},
		{"steps", &fake{}, answer(2, 4), engine.Options{Steps: -1}},
		{"many steps", &fake{}, answer(2, 4), engine.Options{Steps: 1 << 40}},
		{"block", &fake{}, answer(2, 4), engine.Options{Block: -1}},
		{"temperature", &fake{}, answer(2, 4), engine.Options{Temperature: math.NaN()}},
		{"guidance", &fake{}, answer(2, 4), engine.Options{Guidance: -2}},
		{"cache", &fake{}, answer(2, 4), engine.Options{Cache: "all"}},
		{"fixed", &fake{}, short, engine.Options{}},
		{"spans", &fake{}, gap, engine.Options{}},
		{"forward", &fake{fail: broken}, answer(2, 4), engine.Options{}},
		{"nan", &fake{logit: func(int, engine.Token, []engine.Token) float64 { return math.NaN() }}, answer(2, 4), engine.Options{}},
	} {
		var got error
		n := 0
		for _, err := range (&Masked{Model: c.model, Sampler: sampler(t, "low_confidence", nil)}).Steps(context.Background(), c.seq, c.o) {
			got = err
			n++
		}
		if got == nil || n != 1 {
			t.Errorf("%s: %v after %d pairs, want an error as the only one", c.name, got, n)
		}
		if c.name == "forward" && !errors.Is(got, broken) {
			t.Errorf("the cause is lost: %v", got)
		}
	}
	// Nothing masked: no pass.
	if steps := collect(t, &Masked{Model: &fake{fail: broken}, Sampler: sampler(t, "random", nil)}, answer(5, 0), engine.Options{}); len(steps) != 0 {
		t.Errorf("%d steps over a sequence without masks", len(steps))
	}
}

// TestAllocations checks that a step allocates nothing but its own changes.
func TestAllocations(t *testing.T) {
	m := &Masked{Model: &fake{}, Sampler: sampler(t, "low_confidence", nil)}
	allocs := func(n int) float64 {
		seq := answer(4, 64)
		return testing.AllocsPerRun(10, func() {
			copy(seq.Tokens, answer(4, 64).Tokens)
			for _, err := range m.Steps(context.Background(), seq, engine.Options{Steps: n, Guidance: 1}) {
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if per := (allocs(64) - allocs(32)) / 32; per > 1.5 {
		t.Errorf("%.2f allocations a step, want its changes only", per)
	}
}
