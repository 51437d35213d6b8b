package denoise

import (
	"cmp"
	"context"
	"math"
	"slices"

	"unmask/engine"
)

const (
	testVocab = 24
	testMask  = engine.Token(23)
	testEnd   = engine.Token(7)
)

// fake is a denoiser whose logits are a function of the position, the token left of it and the row. It keeps what it was
// fed.
type fake struct {
	image  *engine.ImageSpec
	block  int // Spec.Block
	start  bool
	inputs []engine.Input
	logit  func(pos int, id engine.Token, row []engine.Token) float64
	fail   error
	keep   bool
	out    fakeLogits
}

func (f *fake) Close() error { return nil }

func (f *fake) Spec() engine.Spec {
	return engine.Spec{Vocab: testVocab, Mask: testMask, End: []engine.Token{testEnd}, Image: f.image, MaxLen: 1000, Block: f.block, BlocksFromStart: f.start}
}

func (f *fake) Forward(_ context.Context, in engine.Input) (engine.Logits, error) {
	if f.keep {
		copied := in
		copied.Tokens, copied.Want, copied.Lens = slices.Clone(in.Tokens), slices.Clone(in.Want), slices.Clone(in.Lens)
		f.inputs = append(f.inputs, copied)
	}
	f.out.f, f.out.in = f, in
	return &f.out, f.fail
}

type fakeLogits struct {
	f  *fake
	in engine.Input
	x  [testVocab]float64
}

func (l *fakeLogits) Floats([]float32, int) error { return nil }

func (l *fakeLogits) Pick(o engine.PickOptions, p *engine.Prediction) error {
	p.Resize(len(l.in.Want))
	cond := l.in.Tokens
	var uncond []engine.Token
	if l.in.Rows() == 2 {
		cond, uncond = l.in.Tokens[:l.in.Lens[0]], l.in.Tokens[l.in.Lens[0]:]
	}
	for i, pos := range l.in.Want {
		for id := range testVocab {
			t := engine.Token(id)
			c := l.f.value(pos, t, cond)
			if o.Guidance != 0 {
				u := l.f.value(pos+l.in.WantOther, t, uncond)
				c = u + (1+o.Guidance)*(c-u)
			}
			if !o.Allow.Contains(t) || slices.Contains(o.Ban, t) {
				c = math.Inf(-1)
			}
			l.x[id] = c
		}
		p.Pos[i] = pos
		l.choose(o, p, i)
		if o.Top > 0 {
			p.Top = append(p.Top, l.top(o.Top))
		}
	}
	return nil
}

// top are the n largest of l.x, with their shares of them all.
func (l *fakeLogits) top(n int) []engine.Alternative {
	var all []engine.Alternative
	sum := 0.0
	for id, x := range l.x {
		sum += math.Exp(x)
		if !math.IsInf(x, -1) {
			all = append(all, engine.Alternative{Token: engine.Token(id), Prob: float32(math.Exp(x))})
		}
	}
	slices.SortStableFunc(all, func(a, b engine.Alternative) int { return cmp.Compare(b.Prob, a.Prob) })
	for i := range all {
		all[i].Prob /= float32(sum)
	}
	return all[:min(n, len(all))]
}

// choose fills entry i of p from l.x.
func (l *fakeLogits) choose(o engine.PickOptions, p *engine.Prediction, i int) {
	n := noise{o.Seed + uint64(p.Pos[i])*1000}
	at, top, sum := 0, math.Inf(-1), 0.0
	for id, x := range l.x {
		sum += math.Exp(x)
		if o.Temperature > 0 {
			x -= o.Temperature * math.Log(-math.Log(n.Uniform(id)))
		}
		if x > top {
			at, top = id, x
		}
	}
	first, second, entropy := 0.0, 0.0, 0.0
	for _, x := range l.x {
		q := math.Exp(x) / sum
		if q > 0 {
			entropy -= q * math.Log(q)
		}
		if q > first {
			first, second = q, first
		} else {
			second = max(second, q)
		}
	}
	p.Token[i] = engine.Token(at)
	p.Prob[i], p.Margin[i], p.Entropy[i] = float32(math.Exp(l.x[at])/sum), float32(first-second), float32(entropy)
}

// value is the logit of id at pos of row.
func (f *fake) value(pos int, id engine.Token, row []engine.Token) float64 {
	if f.logit != nil {
		return f.logit(pos, id, row)
	}
	left := uint64(99)
	if pos > 0 {
		left = uint64(row[pos-1])
	}
	return 4 * float64(mix(uint64(pos)*100+left, uint64(id))>>40) / (1 << 24)
}

// answer is a sequence of p fixed prompt tokens and n masks, one text span.
func answer(p, n int) *engine.Sequence {
	s := &engine.Sequence{Spans: []engine.Span{{Lo: 0, Hi: p + n}}}
	for i := range p {
		s.Tokens, s.Fixed = append(s.Tokens, engine.Token(i%5+1)), append(s.Fixed, true)
	}
	for range n {
		s.Tokens, s.Fixed = append(s.Tokens, testMask), append(s.Fixed, false)
	}
	return s
}

// picture is a prompt of p tokens, n codes of which every third is kept, and one closing token.
func picture(p, n int) *engine.Sequence {
	s := answer(p, n+1)
	for i := range n {
		if i%3 == 0 {
			s.Tokens[p+i], s.Fixed[p+i] = engine.Token(12+i%8), true
		}
	}
	s.Tokens[p+n], s.Fixed[p+n] = 6, true
	s.Spans = []engine.Span{{Lo: 0, Hi: p}, {Lo: p, Hi: p + n, Modality: engine.Image}, {Lo: p + n, Hi: p + n + 1}}
	return s
}
