package backendtest

import (
	"fmt"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/tensor"
)

// reference is Pick of one row, in float64, without shortcuts.
type reference struct {
	token                 engine.Token
	prob, margin, entropy float64
	top                   []engine.Token
	probs                 []float64
}

func pickRow(cond, uncond []float32, o engine.PickOptions, pos int) reference {
	n := len(cond)
	l := make([]float64, n)
	m := math.Inf(-1)
	for i := range l {
		v := float64(cond[i])
		if uncond != nil {
			u := uncond[i]
			v = float64(u + float32(1+o.Guidance)*(cond[i]-u))
		}
		if math.IsNaN(v) || !o.Allow.Contains(engine.Token(i)) || slices.Contains(o.Ban, engine.Token(i)) {
			v = math.Inf(-1)
		}
		l[i] = v
		m = max(m, v)
	}
	r := reference{probs: make([]float64, n)}
	var sum float64
	for i, v := range l {
		r.probs[i] = math.Exp(v - m)
		sum += r.probs[i]
	}
	order := make([]int, n)
	for i := range l {
		order[i] = i
		r.probs[i] /= sum
		if p := r.probs[i]; p > 0 {
			r.entropy -= p * math.Log(p)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if l[a] == l[b] {
			return a - b
		}
		if l[a] > l[b] {
			return -1
		}
		return 1
	})
	r.margin = r.probs[order[0]]
	if n > 1 {
		r.margin -= r.probs[order[1]]
	}
	for _, i := range order[:min(o.Top, n)] {
		if !math.IsInf(l[i], -1) {
			r.top = append(r.top, engine.Token(i))
		}
	}
	r.token = engine.Token(order[0])
	if o.Temperature > 0 {
		r.token = draw(l, order, o, pos)
	}
	r.prob = r.probs[r.token]
	return r
}

func draw(l []float64, order []int, o engine.PickOptions, pos int) engine.Token {
	keep := len(order)
	if o.TopP > 0 && o.TopP < 1 {
		var all, sum float64
		for _, i := range order {
			all += math.Exp((l[i] - l[order[0]]) / o.Temperature)
		}
		for k, i := range order {
			if sum += math.Exp((l[i] - l[order[0]]) / o.Temperature); sum >= o.TopP*all {
				keep = k + 1
				break
			}
		}
	}
	if o.TopK > 0 {
		keep = min(keep, o.TopK)
	}
	key := tensor.NoiseKey(o.Seed, pos)
	best, at := math.Inf(-1), order[0]
	for _, i := range order[:keep] {
		if math.IsInf(l[i], -1) {
			continue
		}
		if s := l[i] - l[order[0]] + o.Temperature*tensor.Gumbel(key, engine.Token(i)); s > best || s == best && i < at {
			best, at = s, i
		}
	}
	return engine.Token(at)
}

// check picks with o and compares every row with the reference.
func (h *harness) check(what string, cond, uncond []float32, n, v int, o engine.PickOptions) *engine.Prediction {
	h.Helper()
	p := &engine.Prediction{}
	p.Resize(n)
	for i := range p.Pos {
		p.Pos[i] = 3 * i
	}
	var ut tensor.Tensor
	if uncond != nil {
		ut = h.put(uncond, n, v)
	}
	h.b.Pick(h.put(cond, n, v), ut, o, p)
	if err := h.b.Err(); err != nil {
		h.Fatalf("%s: %v", what, err)
	}
	for i := range n {
		var u []float32
		if uncond != nil {
			u = uncond[i*v : (i+1)*v]
		}
		want := pickRow(cond[i*v:(i+1)*v], u, o, p.Pos[i])
		if p.Token[i] != want.token {
			h.Fatalf("%s: row %d: token %d, want %d", what, i, p.Token[i], want.token)
		}
		h.equal(fmt.Sprintf("%s: row %d: probability, margin", what, i), []float32{p.Prob[i], p.Margin[i]}, []float64{want.prob, want.margin}, 2e-6, 5e-6)
		h.equal(fmt.Sprintf("%s: row %d: entropy", what, i), p.Entropy[i:i+1], []float64{want.entropy}, 2e-5, 2e-5)
		if o.Top == 0 {
			continue
		}
		if len(p.Top) != n || len(p.Top[i]) != len(want.top) {
			h.Fatalf("%s: row %d: %d alternatives, want %d", what, i, len(p.Top[i]), len(want.top))
		}
		for k, a := range p.Top[i] {
			if a.Token != want.top[k] {
				h.Fatalf("%s: row %d: alternative %d is %d, want %d", what, i, k, a.Token, want.top[k])
			}
			h.equal(what+": alternative", []float32{a.Prob}, []float64{want.probs[a.Token]}, 2e-6, 5e-6)
		}
	}
	return p
}

// vocabularies are sizes of rows; peaky scales the logits.
var vocabularies = []int{1, 2, 31, 33, 257, 4097}

func pick(h *harness) {
	for _, v := range vocabularies {
		for _, peaky := range []float32{0, 0.1, 3, 30} {
			const n = 9
			l := h.normal(n * v)
			for i := range l {
				l[i] *= peaky
			}
			what := fmt.Sprintf("%d ids x %g", v, peaky)
			h.check(what, l, nil, n, v, engine.PickOptions{})
			h.check(what+" restricted", l, nil, n, v, engine.PickOptions{Allow: engine.IDRange{Lo: engine.Token(v / 3), Hi: engine.Token(v/3 + (v+1)/2)}, Ban: []engine.Token{engine.Token(v + 5), -1}})
			if v > 2 {
				h.check(what+" banned", l, nil, n, v, engine.PickOptions{Ban: []engine.Token{0, engine.Token(v - 1)}})
			}
		}
	}
	h.check("no rows", nil, nil, 0, 5, engine.PickOptions{})
}

func pickGuidance(h *harness) {
	for _, g := range []float64{0, 0.5, 3, -1} {
		const n, v = 5, 131
		h.check(fmt.Sprint("guidance ", g), h.normal(n*v), h.normal(n*v), n, v, engine.PickOptions{Guidance: g, Top: 3, Temperature: 0.5, Seed: 9})
	}
}

func pickEdges(h *harness) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	h.check("ties: the lower id wins", []float32{1, 5, 5, 5, 0}, nil, 1, 5, engine.PickOptions{Top: 4})
	h.check("tie of all", make([]float32, 40), nil, 1, 40, engine.PickOptions{})
	h.check("nan", []float32{nan, 1, nan, 2, nan}, nil, 1, 5, engine.PickOptions{Top: 5})
	h.check("-inf", []float32{-inf, 1, -inf}, nil, 1, 3, engine.PickOptions{Temperature: 1, Top: 3})
	h.check("huge", []float32{3e38, -3e38, 1, 3e38}, nil, 1, 4, engine.PickOptions{Temperature: 1})
	p := &engine.Prediction{}
	p.Resize(3)
	h.b.Pick(h.put([]float32{nan, nan, nan, -inf, -inf, -inf, 1, inf, 2}, 3, 3), nil, engine.PickOptions{Ban: []engine.Token{0}, Temperature: 1, Top: 2}, p)
	if err := h.b.Err(); err != nil {
		h.Fatal(err)
	}
	for i := range 2 {
		if p.Token[i] != 1 || p.Prob[i] != 0 || p.Margin[i] != 0 || p.Entropy[i] != 0 || len(p.Top[i]) != 0 {
			h.Errorf("a row without candidates gives token %d, %g, %g, %g, %v; want the lowest allowed id and zeros", p.Token[i], p.Prob[i], p.Margin[i], p.Entropy[i], p.Top[i])
		}
	}
	if p.Token[2] != 1 || p.Prob[2] != 1 {
		h.Errorf("+inf gives token %d with probability %g, want 1 with 1", p.Token[2], p.Prob[2])
	}
	// An allowed range outside the vocabulary has no candidate.
	h.b.Pick(h.put(h.normal(9), 3, 3), nil, engine.PickOptions{Allow: engine.IDRange{Lo: 7, Hi: 9}}, p)
	if h.b.Err() != nil || p.Prob[0] != 0 || p.Token[0] < 0 || p.Token[0] > 2 {
		h.Errorf("range outside: token %d, probability %g, %v", p.Token[0], p.Prob[0], h.b.Err())
	}
}

func pickNoise(h *harness) {
	for _, v := range vocabularies {
		for i, temperature := range []float64{1, 0.7, 0.01, 5} {
			const n = 17
			l := h.normal(n * v)
			for i := range l {
				l[i] *= 2
			}
			o := engine.PickOptions{Temperature: temperature, Seed: uint64(v + i)}
			what := fmt.Sprintf("%d ids at %g", v, temperature)
			h.check(what, l, nil, n, v, o)
			o.TopK = 5
			h.check(what+" top-k", l, nil, n, v, o)
			o.TopP = 0.8
			h.check(what+" top-k and top-p", l, nil, n, v, o)
			o.TopK = 0
			h.check(what+" top-p", l, nil, n, v, o)
		}
	}
	// The draw follows the softmax at the temperature: chi-squared with 7 degrees of freedom, 24.3 at 0.1 %.
	const n, v = 8000, 8
	row := h.normal(v)
	l := make([]float32, 0, n*v)
	for range n {
		l = append(l, row...)
	}
	p := h.check("law", l, nil, n, v, engine.PickOptions{Temperature: 0.8, Seed: 42})
	count, want := make([]float64, v), make([]float64, v)
	var sum float64
	for i, x := range row {
		want[i] = math.Exp(float64(x) / 0.8)
		sum += want[i]
	}
	for _, t := range p.Token {
		count[t]++
	}
	var chi float64
	for i := range want {
		e := want[i] / sum * n
		chi += (count[i] - e) * (count[i] - e) / e
	}
	if chi > 24.3 {
		h.Errorf("the draw is off its law: chi-squared %.1f, drawn %v", chi, count)
	}
}

func pickTop(h *harness) {
	for _, v := range vocabularies {
		for _, k := range []int{1, 5, 64} {
			h.check(fmt.Sprintf("%d of %d", k, v), h.normal(3*v), nil, 3, v, engine.PickOptions{Top: k})
		}
	}
}
