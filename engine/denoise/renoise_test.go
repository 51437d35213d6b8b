package denoise

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
)

// guesser is a canvas network that has a text in mind. It is the surer of a position the more of its neighbours are right.
type guesser struct {
	text   []engine.Token // of the whole answer
	answer int            // where it begins
	read   []engine.Token
	hide   []bool
	reads  int // calls
	firsts int // passes that nothing was told of
	holds  int
	rng    *rand.Rand
	fail   error
	// entropy, when not nil, is that of every position.
	entropy func(pass, pos int) float32
	pass    int
}

func (g *guesser) Restart() { g.read, g.hide = nil, nil }
func (g *guesser) Hold()    { g.holds++ }

func (g *guesser) Read(_ context.Context, tokens []engine.Token, hide []bool) error {
	g.reads++
	g.read, g.hide = append(g.read, tokens...), append(g.hide, hide...)
	return g.fail
}

func (g *guesser) Refine(_ context.Context, canvas []engine.Token, temperature float64, first bool) (engine.Logits, error) {
	if first {
		g.firsts++
	}
	g.pass++
	return &guess{g: g, canvas: slices.Clone(canvas), from: len(g.read), temperature: temperature, pass: g.pass - 1}, g.fail
}

type guess struct {
	g           *guesser
	canvas      []engine.Token
	from, pass  int
	temperature float64
}

func (l *guess) Floats([]float32, int) error { return errors.New("none") }

func (l *guess) Pick(o engine.PickOptions, p *engine.Prediction) error {
	p.Resize(len(l.canvas))
	for i := range l.canvas {
		right := 0
		for j := max(0, i-1); j < min(len(l.canvas), i+2); j++ {
			if l.canvas[j] == l.g.text[l.from-l.g.answer+j] {
				right++
			}
		}
		want := l.g.text[l.from-l.g.answer+i]
		p.Pos[i], p.Token[i], p.Prob[i] = l.from+i, want, 0.2+0.25*float32(right)
		p.Entropy[i] = float32(4-right) * 0.02 * float32(1+i%3)
		if l.g.entropy != nil {
			p.Entropy[i] = l.g.entropy(l.pass, i)
		}
		if l.g.rng.IntN(4) > right { // a wrong draw
			p.Token[i] = (want + 1) % 50
		}
		p.Top = append(p.Top, []engine.Alternative{{Token: want, Prob: 0.9}})
	}
	return nil
}

const renoiseVocab = 50

func newGuesser(prompt, answer int) *guesser {
	g := &guesser{answer: prompt, rng: rand.New(rand.NewPCG(1, 2))}
	for i := range answer {
		g.text = append(g.text, engine.Token(10+i%20))
	}
	return g
}

func renoise(g *guesser, prompt, answer int) (*Renoise, *engine.Sequence) {
	seq := &engine.Sequence{Spans: []engine.Span{{Hi: prompt + answer}}}
	for i := range prompt + answer {
		seq.Tokens, seq.Fixed = append(seq.Tokens, engine.Token(i%7)), append(seq.Fixed, i < prompt)
	}
	UniformNoise(seq, renoiseVocab, 9)
	return &Renoise{
		Model: g, Sampler: &sample.EntropyBound{Bound: 0.1}, Vocab: renoiseVocab, End: []engine.Token{45}, Pad: 0, TMax: 0.8, TMin: 0.4,
		Stability: 1, Confidence: 0.005, Answer: engine.Span{Lo: prompt, Hi: prompt + answer},
	}, seq
}

// TestRenoiseLaws checks what holds of every run: steps make the sequence, the masked are counted, and a run that is stopped
// anywhere leaves what its steps made.
func TestRenoiseLaws(t *testing.T) {
	for _, c := range []struct{ prompt, answer, block, steps int }{{0, 5, 0, 4}, {3, 12, 12, 6}, {3, 12, 5, 9}, {7, 8, 4, 2}, {1, 1, 1, 1}} {
		for stop := range 12 {
			g := newGuesser(c.prompt, c.answer)
			p, seq := renoise(g, c.prompt, c.answer)
			o := engine.Options{Steps: c.steps, Block: c.block, Seed: 5, StopAtEnd: true}
			most, err := p.Passes(seq, o)
			if err != nil {
				t.Fatal(err)
			}
			state := seq.Clone()
			noise := make([]bool, len(seq.Tokens))
			for i := range noise {
				noise[i] = !seq.Fixed[i]
			}
			n := 0
			for step, err := range p.Steps(context.Background(), seq, o) {
				if err != nil {
					t.Fatal(err)
				}
				if step.Index != n || step.NFE != n+1 {
					t.Errorf("%+v: step %d has index %d and %d passes", c, n, step.Index, step.NFE)
				}
				last := -1
				for _, ch := range step.Changes {
					if ch.Pos <= last || state.Fixed[ch.Pos] || state.Tokens[ch.Pos] != ch.From || ch.To < 0 || ch.To >= renoiseVocab {
						t.Fatalf("%+v: change %+v", c, ch)
					}
					if ch.Kind == engine.Unmask != noise[ch.Pos] && ch.Kind != engine.Remask {
						t.Fatalf("%+v: %v of a position that is noise: %v", c, ch.Kind, noise[ch.Pos])
					}
					last, noise[ch.Pos] = ch.Pos, ch.Kind == engine.Remask
				}
				state.Apply(step.Changes)
				masked := 0
				for _, m := range noise {
					if m {
						masked++
					}
				}
				if step.Masked != masked {
					t.Errorf("%+v: %d masked, counted %d", c, step.Masked, masked)
				}
				if n++; n == stop {
					break
				}
			}
			if !slices.Equal(state.Tokens, seq.Tokens) {
				t.Errorf("%+v: the steps do not make the sequence", c)
			}
			if n > most {
				t.Errorf("%+v: %d steps, at most %d were planned", c, n, most)
			}
			if n < stop && !slices.Equal(seq.Tokens[c.prompt:], g.text) {
				t.Errorf("%+v: %v, want the most probable %v", c, seq.Tokens[c.prompt:], g.text)
			}
		}
	}
}

// TestRenoiseStops checks when a canvas is done: its best tokens must have stayed, as often as asked for, and the mean
// entropy must be below the threshold.
func TestRenoiseStops(t *testing.T) {
	falls := func(pass, _ int) float32 { return 0.4 / float32(int(1)<<pass) } // 0.4, 0.2, 0.1, ...
	for _, c := range []struct {
		stability  int
		confidence float64
		want       int
	}{
		{1, 1, 2}, {0, 1, 1}, {3, 1, 4}, {0, 0.15, 3}, {1, 0.15, 3}, {5, 0.15, 6}, {1, 0, 10}, {0, 1e-9, 10},
	} {
		g := newGuesser(2, 6)
		g.entropy = falls
		p, seq := renoise(g, 2, 6)
		p.Stability, p.Confidence = c.stability, c.confidence
		n := 0
		for _, err := range p.Steps(context.Background(), seq, engine.Options{Steps: 10}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != c.want {
			t.Errorf("%+v: %d steps", c, n)
		}
	}
}

// TestRenoiseTemperature checks that the first pass has the highest temperature and the last not the lowest.
func TestRenoiseTemperature(t *testing.T) {
	p, seq := renoise(newGuesser(0, 4), 0, 4)
	p.Confidence = 0
	var got []float32
	p.Look = func(x *RenoisePass) { got = append(got, float32(x.Temperature)) }
	for _, err := range p.Steps(context.Background(), seq, engine.Options{Steps: 4}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []float32{0.8, 0.7, 0.6, 0.5}
	if !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }) {
		t.Errorf("temperatures %v, want %v", got, want)
	}
}

// TestRenoiseEnds checks that everything behind an end token becomes padding and that the run then ends.
func TestRenoiseEnds(t *testing.T) {
	for _, stop := range []bool{true, false} {
		g := newGuesser(3, 12)
		g.text[5] = 45
		p, seq := renoise(g, 3, 12)
		var last engine.Step
		for step, err := range p.Steps(context.Background(), seq, engine.Options{Steps: 9, Block: 4, StopAtEnd: stop}) {
			if err != nil {
				t.Fatal(err)
			}
			last = step
		}
		want := slices.Clone(g.text)
		if stop {
			clear(want[6:])
		}
		if !slices.Equal(seq.Tokens[3:], want) || last.Masked != 0 {
			t.Errorf("stop %v: %v with %d masked, want %v", stop, seq.Tokens[3:], last.Masked, want)
		}
		if reads := 3; !stop && g.reads != reads || stop && g.reads != 2 {
			t.Errorf("stop %v: %d texts were read", stop, g.reads)
		}
	}
}

// TestRenoiseReads checks that the network reads the prompt and every finished canvas once, and that a text read already is
// not read again.
func TestRenoiseReads(t *testing.T) {
	g := newGuesser(5, 8)
	p, seq := renoise(g, 5, 8)
	p.Hide = []bool{true, false, false, false, false}
	for _, err := range p.Steps(context.Background(), seq, engine.Options{Steps: 6, Block: 4}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(g.read, seq.Tokens[:9]) || !g.hide[0] || slices.Contains(g.hide[1:], true) || g.firsts != 2 {
		t.Errorf("read %v, hidden %v, %d first passes", g.read, g.hide, g.firsts)
	}
	g = newGuesser(5, 4)
	p, seq = renoise(g, 5, 4)
	g.read, p.Kept = seq.Tokens[:3], 3
	for _, err := range p.Steps(context.Background(), seq, engine.Options{Steps: 2}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(g.read, seq.Tokens[:5]) {
		t.Errorf("read %v", g.read)
	}
}

// TestRenoiseFixed checks that fixed positions of a canvas are shown to the network as they are and never written.
func TestRenoiseFixed(t *testing.T) {
	g := newGuesser(2, 8)
	g.text[2] = 45
	p, seq := renoise(g, 2, 8)
	for _, i := range []int{3, 7, 8} {
		seq.Fixed[i], seq.Tokens[i] = true, engine.Token(30+i)
	}
	p.Look = func(x *RenoisePass) {
		for _, i := range []int{3, 7, 8} {
			if lo := 2 + 4*x.Canvas; i >= lo && i < lo+4 && x.Current[i-lo] != engine.Token(30+i) {
				t.Errorf("canvas %d shows %d at position %d", x.Canvas, x.Current[i-lo], i)
			}
		}
	}
	last := engine.Step{Masked: -1}
	for step, err := range p.Steps(context.Background(), seq, engine.Options{Steps: 8, Block: 4, StopAtEnd: true}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range step.Changes {
			if seq.Fixed[c.Pos] {
				t.Errorf("position %d is written", c.Pos)
			}
		}
		last = step
	}
	if want := []engine.Token{10, 33, 45, 0, 0, 37, 38, 0}; !slices.Equal(seq.Tokens[2:], want) || last.Masked != 0 {
		t.Errorf("%v with %d masked, want %v", seq.Tokens[2:], last.Masked, want)
	}
}

// TestRenoiseBatch checks that a row of a batch goes on unchanged while others do, and behind its end token.
func TestRenoiseBatch(t *testing.T) {
	g := newGuesser(2, 8)
	g.text[1] = 45
	g.entropy = func(int, int) float32 { return 0 }
	p, seq := renoise(g, 2, 8)
	p.Batch = func(c, step int) bool { return c < 2 && step < 5 }
	var current [][]engine.Token
	p.Look = func(x *RenoisePass) { current = append(current, slices.Clone(x.Current)) }
	n := 0
	for step, err := range p.Steps(context.Background(), seq, engine.Options{Steps: 20, Block: 4, StopAtEnd: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if n%5 > 1 && len(step.Changes) > 0 { // a canvas is done after two
			t.Errorf("step %d changes %d positions", n, len(step.Changes))
		}
		n++
	}
	if n != 10 || g.holds != 2 || !slices.Equal(current[1], current[4]) {
		t.Errorf("%d steps, held %d times, canvases %v", n, g.holds, current)
	}
	if want := []engine.Token{10, 45, 0, 0, 0, 0, 0, 0}; !slices.Equal(seq.Tokens[2:], want) {
		t.Errorf("%v, want %v", seq.Tokens[2:], want)
	}
}

// TestRenoiseRefuses checks settings that would not do what they say, errors of the network and a run that is cancelled.
func TestRenoiseRefuses(t *testing.T) {
	for name, spoil := range map[string]func(p *Renoise, seq *engine.Sequence, o *engine.Options){
		"temperature":  func(_ *Renoise, _ *engine.Sequence, o *engine.Options) { o.Temperature = 1 },
		"guidance":     func(_ *Renoise, _ *engine.Sequence, o *engine.Options) { o.Guidance = 1 },
		"temperatures": func(p *Renoise, _ *engine.Sequence, _ *engine.Options) { p.TMin = p.TMax },
		"answer":       func(p *Renoise, _ *engine.Sequence, _ *engine.Options) { p.Answer.Hi++ },
		"kept":         func(p *Renoise, _ *engine.Sequence, _ *engine.Options) { p.Kept = 4 },
		"pads":         func(p *Renoise, _ *engine.Sequence, _ *engine.Options) { p.Hide = make([]bool, 2) },
		"a broken network": func(p *Renoise, _ *engine.Sequence, _ *engine.Options) {
			p.Model.(*guesser).fail = errors.New("broken")
		},
		"noise of one size": func(p *Renoise, _ *engine.Sequence, _ *engine.Options) {
			p.Fresh = func(int, int) ([]engine.Token, error) { return nil, nil }
		},
	} {
		g := newGuesser(3, 4)
		p, seq := renoise(g, 3, 4)
		o := engine.Options{Steps: 2}
		spoil(p, seq, &o)
		var last error
		for _, err := range p.Steps(context.Background(), seq, o) {
			last = err
		}
		if last == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p, seq := renoise(newGuesser(3, 4), 3, 4)
	p.Confidence = 0
	n := 0
	var last error
	for _, err := range p.Steps(ctx, seq, engine.Options{Steps: 9}) {
		if n++; n == 2 {
			cancel()
		}
		last = err
	}
	if n != 3 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d steps, error %v", n, last)
	}
}
