package verify

import (
	"context"
	"fmt"
	"math"
	"slices"

	"unmask/engine"
)

// policyRun is what golden.json says of a policy loss of dLLM-RL, the code behind UniGRPO.
type policyRun struct {
	Method    string    `json:"method"`
	Prompts   []string  `json:"prompts"`
	Responses []string  `json:"responses"`
	Order     [][]int   `json:"step_map"` // the step in which each token of a response came
	Reward    []float64 `json:"reward"`
	Start     int       `json:"start_pos"`
	Dropped   int       `json:"dropped"`
	Rows      int       `json:"rows"`
	Loss      float64   `json:"loss"`
	OnPolicy  float64   `json:"loss_on_policy"`
	Training  struct {
		Method string  `json:"method"`
		MaxGen int     `json:"max_gen_length"`
		Lower  float64 `json:"lower_p"`
		Upper  float64 `json:"upper_p"`
		Shrink int     `json:"shrink"`
		Post   *int    `json:"post_num"` // end tokens of a response that count; nil: all
		Times  int     `json:"mask_times_per_sample"`
		Eps    float64 `json:"eps"`
		Beta   float64 `json:"beta"`
		K3     bool    `json:"use_kl_estimator_k3"`
	} `json:"training"`
}

// policyRow is a response that is masked in part: the input, what it was, and the masked tokens that count.
type policyRow struct {
	tokens, clean []int
	counts        []bool
	advantage     float64
}

// policy checks one policy loss: the masks, the log-probabilities at the masked input, the clipped loss with its penalty,
// and the gradients.
func (l *mmadaLosses) policy(ctx context.Context, name string) error {
	var r policyRun
	if err := l.f.decodeStrictly(name, &r); err != nil {
		return err
	}
	if r.Method != r.Training.Method || len(r.Prompts) == 0 || len(r.Responses) != len(r.Prompts) || len(r.Reward) != len(r.Prompts) || r.Training.Times < 1 || r.Training.Times > maxRun {
		return fmt.Errorf("method %q and %q, %d prompts, %d responses, %d rewards", r.Method, r.Training.Method, len(r.Prompts), len(r.Responses), len(r.Reward))
	}
	samples, start := l.samples(r)
	l.f.same(name+".start_pos", []int{start}, []int{r.Start}, []int{1})
	l.f.same(name+".dropped", []int{0}, []int{r.Dropped}, []int{1})
	p := &policyMasks{l: l, name: name, r: r, start: start}
	for i, ids := range samples {
		if err := p.sample(i, ids); err != nil {
			return err
		}
	}
	l.f.same(name+".rows", []int{len(p.rows)}, []int{r.Rows}, []int{1})
	return l.policyLoss(ctx, name, r, p.rows)
}

// samples are prompts and responses side by side: end tokens before the prompts make them equally long, and fill up the
// responses. start is where responses begin.
func (l *mmadaLosses) samples(r policyRun) (rows [][]int, start int) {
	var prompts, responses [][]int
	longest := 0
	for i := range r.Prompts {
		p, a := toInts(l.tok.AppendTokens(nil, r.Prompts[i])), toInts(l.tok.AppendTokens(nil, r.Responses[i]))
		prompts, responses = append(prompts, p), append(responses, a)
		start, longest = max(start, len(p)), max(longest, len(a))
	}
	longest = min(longest, r.Training.MaxGen)
	for i, p := range prompts {
		row := append(slices.Repeat([]int{int(l.eos)}, start-len(p)), p...)
		a := responses[i][:min(len(responses[i]), longest)]
		row = append(row, a...)
		rows = append(rows, append(row, slices.Repeat([]int{int(l.eos)}, longest-len(a))...))
	}
	return rows, start
}

// policyMasks makes the rows of a policy loss, in the order of the recorded draws.
type policyMasks struct {
	l     *mmadaLosses
	name  string
	r     policyRun
	start int
	drawn int
	rows  []policyRow
}

// sample adds the rows of response i.
func (p *policyMasks) sample(i int, ids []int) error {
	tail := p.tail(ids)
	if p.r.Method == "TraceRL" {
		return p.traced(i, ids, tail)
	}
	lower, upper := p.r.Training.Lower, p.r.Training.Upper
	for range p.r.Training.Times {
		t, err := p.l.draws(p.name, p.drawn, 1, 1)
		if err != nil {
			return err
		}
		u, err := p.l.draws(p.name, p.drawn+1, 1, len(ids))
		if err != nil {
			return err
		}
		p.drawn += 2
		share := float32(upper-lower) * t[0]
		share += float32(lower)
		hidden, others := make([]bool, len(ids)), make([]bool, len(ids))
		for j := p.start; j < len(ids); j++ {
			hidden[j] = u[j] < share && !tail[j]
			others[j] = u[j] >= share && !tail[j]
		}
		switch p.r.Method {
		case "random_masking":
			p.add(i, ids, hidden, tail)
		case "coupled": // what is hidden, and then what is not
			p.add(i, ids, hidden, tail)
			p.add(i, ids, others, tail)
		default:
			return fmt.Errorf("no check knows the method %q", p.r.Method)
		}
	}
	return nil
}

// tail marks the end tokens of a response that do not count.
func (p *policyMasks) tail(ids []int) []bool {
	out := make([]bool, len(ids))
	if p.r.Training.Post == nil {
		return out
	}
	n := 0
	for j := p.start; j < len(ids); j++ {
		if ids[j] == int(p.l.eos) {
			n++
			out[j] = n > *p.r.Training.Post
		}
	}
	return out
}

// add adds a row whose hidden tokens count and whose tail is masked too; none where nothing is hidden.
func (p *policyMasks) add(i int, ids []int, hidden, tail []bool) {
	if !slices.Contains(hidden, true) {
		return
	}
	row := policyRow{tokens: slices.Clone(ids), clean: ids, counts: hidden, advantage: float64(float32(p.r.Reward[i]))}
	for j := range ids {
		if hidden[j] || tail[j] {
			row.tokens[j] = int(p.l.mask)
		}
	}
	p.rows = append(p.rows, row)
}

// traced adds a row for every few steps of a response's making: their tokens count, and they and all later ones are masked.
func (p *policyMasks) traced(i int, ids []int, tail []bool) error {
	if i >= len(p.r.Order) || len(p.r.Order[i]) < len(ids)-p.start || p.r.Training.Shrink < 1 {
		return fmt.Errorf("response %d has no step for each of its %d tokens", i, len(ids)-p.start)
	}
	order := p.r.Order[i]
	steps := slices.Clone(order)
	slices.Sort(steps)
	steps = slices.Compact(steps)
	group := func(j int) int {
		at, _ := slices.BinarySearch(steps, order[j-p.start])
		return at / p.r.Training.Shrink
	}
	for g := 0; g*p.r.Training.Shrink < len(steps); g++ {
		row := policyRow{tokens: slices.Clone(ids), clean: ids, counts: make([]bool, len(ids)), advantage: float64(float32(p.r.Reward[i]))}
		for j := p.start; j < len(ids); j++ {
			row.counts[j] = group(j) == g && !tail[j]
			if group(j) >= g {
				row.tokens[j] = int(p.l.mask)
			}
		}
		if slices.Contains(row.counts, true) {
			p.rows = append(p.rows, row)
		}
	}
	return nil
}

// policyLoss compares rows, log-probabilities, loss and gradients.
func (l *mmadaLosses) policyLoss(ctx context.Context, name string, r policyRun, rows []policyRow) error {
	// size: the arrays of the fixture and their formulas, in its order.
	f, v := l.f, l.n.Spec().Vocab
	var ids, labels, counts []int
	var advantages, logps []float32
	for _, row := range rows {
		ids, labels, advantages = append(ids, row.tokens...), append(labels, row.clean...), append(advantages, float32(row.advantage))
		logits, err := l.n.forward(ctx, engine.Input{Tokens: toTokens(row.tokens)})
		if err != nil {
			return err
		}
		for i, id := range row.clean {
			on := 0
			if row.counts[i] {
				on = 1
			}
			counts = append(counts, on)
			logps = append(logps, float32(-crossEntropy(logits[i*v:(i+1)*v], id)))
		}
	}
	f.equal(name+".input_ids", ids)
	f.equal(name+".labels", labels)
	f.equal(name+".p_mask", counts)
	f.near(name+".advantage", advantages)
	f.near(name+".logp_model", logps)
	offset, _, err := f.floats(name + ".noise.old_logp_offset.00")
	if err != nil {
		return err
	}
	if len(offset) != len(logps) {
		return fmt.Errorf("%d offsets of %d log-probabilities", len(offset), len(logps))
	}
	old := make([]float32, len(logps))
	for i := range old {
		old[i] = logps[i] + offset[i]
	}
	f.near(name+".logp_old", old)
	loss, slopes := r.loss(rows, logps, old)
	f.near(name+".loss", []float32{float32(loss)})
	f.add(compare(name+".loss (golden.json)", []float64{loss}, []float64{r.Loss}, []int{1}, f.tolerance(name+".loss")))
	on, _ := r.loss(rows, logps, logps)
	f.near(name+".loss_on_policy", []float32{float32(on)})
	f.add(compare(name+".loss_on_policy (golden.json)", []float64{on}, []float64{r.OnPolicy}, []int{1}, f.tolerance(name+".loss_on_policy")))
	for i, row := range rows {
		t := &tape{}
		y, err := l.m.forward(t, row.tokens)
		if err != nil {
			return err
		}
		y.descend(slopes[i])
		t.backward()
	}
	l.gradients(name)
	return nil
}

// loss is the clipped policy loss: the mean over rows of the mean over counted tokens, and beta times the mean over rows of
// the summed divergence from the old policy. slopes are the derivatives by the negative log-probabilities.
func (r policyRun) loss(rows []policyRow, logps, old []float32) (float64, [][]slope) {
	const bound = 10 // of a difference of log-probabilities
	total, at := 0.0, 0
	slopes := make([][]slope, len(rows))
	for i, row := range rows {
		n := 0
		for _, on := range row.counts {
			if on {
				n++
			}
		}
		for j, on := range row.counts {
			if on {
				d := float64(logps[at+j]) - float64(old[at+j])
				ratio := math.Exp(min(max(d, -bound), bound))
				cut := min(max(ratio, 1-r.Training.Eps), 1+r.Training.Eps)
				gain := min(ratio*row.advantage, cut*row.advantage)
				div, by := d, 1.0
				if r.Training.K3 {
					back := math.Exp(min(max(-d, -bound), bound))
					div, by = back-1+d, 1-back
				}
				total += -gain/float64(n) + r.Training.Beta*div
				by *= r.Training.Beta
				if ratio*row.advantage <= cut*row.advantage {
					by -= ratio * row.advantage / float64(n)
				}
				slopes[i] = append(slopes[i], slope{at: j, id: row.clean[j], by: -by / float64(len(rows))})
			}
		}
		at += len(row.counts)
	}
	return total / float64(max(len(rows), 1)), slopes
}
