package cpu

import (
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/tensor"
)

// pickScratch is what one worker needs for one row of logits.
type pickScratch struct {
	logits []float32
	exps   []float32
	order  []engine.Token
	lanes  [32]float32
}

// maxTop bounds PickOptions.Top and TopK here: more is the whole row.
const maxTop = 1 << 16

// Pick implements [tensor.Backend]. NaN logits count as -Inf, +Inf as the largest finite number. A row without any
// candidate gives the lowest allowed id with probability 0. TopP and TopK shape the draw only (Temperature > 0), after
// the temperature: the smallest set of best candidates whose mass reaches TopP, and of these the first TopK, as in
// Dream's generation_utils.py.
func (b *Backend) Pick(cond, uncond tensor.Tensor, o engine.PickOptions, p *engine.Prediction) {
	if b.err != nil {
		return
	}
	c := floats("pick", cond)
	if len(c.shape) != 2 || c.shape[1] == 0 || len(p.Pos) != c.shape[0] {
		wrong("pick", "logits %v for %d positions", c.shape, len(p.Pos))
	}
	n, v := c.shape[0], c.shape[1]
	b.job = job{x: c.f, width: v, prediction: p, pick: o, fn: pickRows}
	if uncond != nil {
		u := floats("pick", uncond)
		sameShape("pick", c, u)
		b.job.y = u.f
	}
	b.job.pick.Top = min(max(o.Top, 0), v, maxTop)
	p.Resize(n)
	if cap(p.Top) < n {
		p.Top = append(p.Top[:cap(p.Top)], make([][]engine.Alternative, n-cap(p.Top))...)
	}
	p.Top = p.Top[:n]
	if b.job.pick.Top == 0 {
		p.Top = p.Top[:0]
	}
	b.rowUnits(n, 2*v+50)
}

func pickRows(j *job, w *worker, i int) {
	lo, hi := j.span(i)
	for r := lo; r < hi; r++ {
		j.pickRow(&w.pick, r)
	}
}

// pickRow fills entry r of the prediction.
func (j *job) pickRow(s *pickScratch, r int) {
	first, last := 0, j.width
	if !j.pick.Allow.All() {
		first, last = max(0, int(j.pick.Allow.Lo)), min(j.width, int(j.pick.Allow.Hi))
	}
	p := j.prediction
	if first >= last {
		p.Token[r], p.Prob[r], p.Margin[r], p.Entropy[r] = engine.Token(max(0, min(first, j.width-1))), 0, 0, 0
		if len(p.Top) > 0 {
			p.Top[r] = p.Top[r][:0]
		}
		return
	}
	n := last - first
	s.logits, s.exps = resize(s.logits, n), resize(s.exps, n)
	j.restrict(s.logits, r, first)
	max1, at, max2 := s.best(j.kern)
	if at < 0 {
		p.Token[r], p.Prob[r], p.Margin[r], p.Entropy[r] = engine.Token(j.firstAllowed(first, last)), 0, 0, 0
		if len(p.Top) > 0 {
			p.Top[r] = p.Top[r][:0]
		}
		return
	}
	sum := j.kern.expSub(s.exps, s.logits, max1, 1)
	p.Margin[r] = float32((1 - float64(exp32(max2-max1))) / sum)
	p.Entropy[r] = float32(max(0, math.Log(sum)-j.kern.dotDev(s.exps, s.logits, max1)/sum))
	chosen := at
	if j.pick.Temperature > 0 {
		chosen = j.draw(s, p.Pos[r], first, max1, at)
	}
	p.Token[r] = engine.Token(first + chosen)
	p.Prob[r] = float32(float64(exp32(s.logits[chosen]-max1)) / sum)
	if k := j.pick.Top; k > 0 {
		p.Top[r] = s.top(p.Top[r][:0], min(k, n), first, max1, sum)
	}
}

func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return alignedFloats(n)
	}
	return s[:n]
}

// restrict writes the guided, restricted logits of row r, candidates [first, first+len(dst)).
func (j *job) restrict(dst []float32, r, first int) {
	cond := j.x[r*j.width+first:][:len(dst)]
	if j.y == nil {
		copy(dst, cond)
	} else {
		g := float32(1 + j.pick.Guidance)
		j.kern.mix(dst, j.y[r*j.width+first:][:len(dst)], cond, g)
	}
	for _, id := range j.pick.Ban {
		if k := int(id) - first; k >= 0 && k < len(dst) {
			dst[k] = float32(math.Inf(-1))
		}
	}
}

// firstAllowed is the lowest id of [first, last) that is not banned, or first.
func (j *job) firstAllowed(first, last int) int {
	for id := first; id < last; id++ {
		if !slices.Contains(j.pick.Ban, engine.Token(id)) {
			return id
		}
	}
	return first
}

// best cleans the logits of NaN and +Inf and returns the largest, where it is first, and the second largest. at is -1
// when all are -Inf.
func (s *pickScratch) best(k *kernels) (max1 float32, at int, max2 float32) {
	inf := float32(math.Inf(-1))
	for i := range s.lanes {
		s.lanes[i] = inf
	}
	k.topTwo(s.logits, &s.lanes)
	max1, max2 = inf, inf
	for _, v := range s.lanes {
		if v > max1 {
			max1, max2 = v, max1
		} else if v > max2 {
			max2 = v
		}
	}
	if max1 == inf {
		return inf, -1, inf
	}
	return max1, k.indexOf(s.logits, max1), max2
}

// draw returns the candidate with the largest logit + T*Gumbel among those that TopK and TopP leave. m is the largest
// logit and at its place.
//
// A candidate is scored only if it can win: with u its uniform number, its Gumbel noise is below -ln(1-u), so it needs
// 1-u < exp((l - best)/T).
func (j *job) draw(s *pickScratch, pos, first int, m float32, at int) int {
	t := j.pick.Temperature
	inv := float32(1 / t)
	weights := s.exps
	if t != 1 {
		j.kern.expSub(weights, s.logits, m, inv)
	}
	if keep := j.threshold(s, weights); keep > 0 {
		for i, e := range weights {
			if e < keep {
				weights[i] = 0
			}
		}
	}
	key := tensor.NoiseKey(j.pick.Seed, pos)
	score := func(i int) float64 {
		return float64(s.logits[i]) - float64(m) + t*tensor.Gumbel(key, engine.Token(first+i))
	}
	win, top := at, score(at)
	for i := 0; i < len(weights); i++ {
		// The bound leaves room for rounding; where it overflows every candidate of any weight is scored.
		bound := float32(min(math.Exp(-top/t)*1.001, math.MaxFloat32))
		i += j.kern.candidate(weights[i:], tensor.NoiseShift(key, engine.Token(first+i)), bound)
		if i == len(weights) || i == at {
			continue
		}
		if v := score(i); v > top || v == top && i < win {
			win, top = i, v
		}
	}
	return win
}

// threshold returns the smallest weight that TopK and TopP keep; 0 keeps all. Of equal weights at the edge all stay.
func (j *job) threshold(s *pickScratch, weights []float32) float32 {
	k, top := j.pick.TopK, j.pick.TopP
	byMass := top > 0 && top < 1
	if (k <= 0 || k >= len(weights)) && !byMass {
		return 0
	}
	s.order = s.order[:0]
	for i, e := range weights {
		if e > 0 {
			s.order = append(s.order, engine.Token(i))
		}
	}
	slices.SortFunc(s.order, func(a, b engine.Token) int {
		switch x, y := weights[a], weights[b]; {
		case x > y:
			return -1
		case x < y:
			return 1
		default:
			return int(a - b)
		}
	})
	keep := len(s.order)
	if byMass {
		var all, sum float64
		for _, i := range s.order {
			all += float64(weights[i])
		}
		for n, i := range s.order {
			if sum += float64(weights[i]); sum >= top*all {
				keep = n + 1
				break
			}
		}
	}
	if k > 0 {
		keep = min(keep, k)
	}
	return weights[s.order[keep-1]]
}

// top appends the k most probable candidates, best first.
func (s *pickScratch) top(dst []engine.Alternative, k, first int, m float32, sum float64) []engine.Alternative {
	worst := float32(math.Inf(-1))
	for i, l := range s.logits {
		if math.IsInf(float64(l), -1) || len(dst) == k && l <= worst {
			continue
		}
		at := len(dst)
		for at > 0 && s.logits[int(dst[at-1].Token)-first] < l {
			at--
		}
		if len(dst) < k {
			dst = append(dst, engine.Alternative{})
		}
		copy(dst[at+1:], dst[at:])
		dst[at] = engine.Alternative{Token: engine.Token(first + i)}
		worst = s.logits[int(dst[len(dst)-1].Token)-first]
	}
	for i := range dst {
		l := s.logits[int(dst[i].Token)-first]
		dst[i].Prob = float32(float64(exp32(l-m)) / sum)
	}
	return dst
}
