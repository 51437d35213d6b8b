package verify

import (
	"fmt"

	"unmask/engine"
	"unmask/engine/schedule"
)

// bd3lmPlan is a run laid out: what each row holds and how many positions each call unmasks.
type bd3lmPlan struct {
	r      bd3lmRun
	prefix string
	rows   [][]engine.Token // prompt and masks of each row, without pads
	answer []engine.Span    // of each row
	block  int
	counts [][][]int // [block][row], counts of the block's steps
	calls  []int     // of each block, in the batch
	width  int       // columns of the recorded canvas
	left   []int     // left pads of each row
}

// prompt compares the recorded prompts, filled with -1, with those of the settings.
func (a *bd3lm) prompt(p *bd3lmPlan) {
	width := 0
	for _, row := range p.r.Prompts {
		width = max(width, len(row))
	}
	var got []int
	for _, row := range p.r.Prompts {
		got = append(got, row...)
		for range width - len(row) {
			got = append(got, -1)
		}
	}
	a.f.equal(p.prefix+"prompt", got)
}

// layout makes the rows of p.
func (a *bd3lm) layout(p *bd3lmPlan) error {
	r := p.r
	longest := 0
	for _, prompt := range r.Prompts {
		longest = max(longest, len(prompt))
	}
	fresh := 128
	switch {
	case r.Function != "sample":
		return fmt.Errorf("function %q", r.Function)
	case r.New != nil:
		fresh = *r.New
	case r.Length != nil:
		fresh = *r.Length - longest
	}
	p.block = 32
	if r.Block != nil {
		p.block = *r.Block
	}
	if fresh < 0 || fresh > maxRun || p.block < 1 || p.block > maxRun || len(r.Prompts) == 0 {
		return fmt.Errorf("%d prompts, %d new tokens in blocks of %d", len(r.Prompts), fresh, p.block)
	}
	mask := a.n.Spec().Mask
	for _, prompt := range r.Prompts {
		row := toTokens(prompt)
		if len(row) == 0 {
			row = append(row, a.bos)
		}
		span := engine.Span{Lo: len(row), Hi: len(row) + fresh}
		for range fresh {
			row = append(row, mask)
		}
		p.rows, p.answer = append(p.rows, row), append(p.answer, span)
	}
	p.left = make([]int, len(p.rows))
	start := 0
	for _, s := range p.answer {
		start = max(start, ceil(s.Lo, p.block)*p.block)
	}
	for i, s := range p.answer {
		p.left[i] = start - s.Lo
	}
	p.width = start + fresh
	return nil
}

// quotas fills counts and calls. Recorded binomial draws come block by block, row by row.
func (a *bd3lm) quotas(p *bd3lmPlan) error {
	blocks := max(ceil(p.answer[0].Len(), p.block), 1)
	steps := 128
	if p.r.Steps != nil {
		steps = *p.r.Steps
	}
	steps = ceil(steps, blocks)
	if p.r.BlockSteps != nil {
		steps = *p.r.BlockSteps
	}
	if steps < 1 || steps > maxRun {
		return fmt.Errorf("%d steps a block", steps)
	}
	s := schedule.Rounded(p.r.Scheduler == "cosine")
	draw := 0
	for b := range blocks {
		var rows [][]int
		calls := 0
		for i, row := range p.rows {
			masked, answer := 0, p.answer[i]
			for j := answer.Lo + b*p.block; j < min(answer.Lo+(b+1)*p.block, answer.Hi); j++ {
				if row[j] == a.n.Spec().Mask {
					masked++
				}
			}
			counts := s.AppendQuotas(nil, masked, steps)
			if p.r.Stochastic {
				var err error
				if counts, err = a.binomial(p, &draw, masked, steps); err != nil {
					return err
				}
			}
			rows = append(rows, counts)
			calls = max(calls, len(counts))
		}
		p.counts, p.calls = append(p.counts, rows), append(p.calls, calls)
	}
	return nil
}

// binomial reads the recorded counts of one row of a block.
func (a *bd3lm) binomial(p *bd3lmPlan, draw *int, masked, steps int) ([]int, error) {
	var counts []int
	for i := 0; i < steps && masked > 0; i++ {
		v, _, err := a.f.ints(fmt.Sprintf("%sdraw.%03d.count", p.prefix, *draw))
		if err != nil || len(v) != 1 {
			return nil, fmt.Errorf("draw %d: %v: %w", *draw, v, err)
		}
		*draw++
		if n := min(v[0], masked); n > 0 {
			counts = append(counts, n)
			masked -= n
		}
	}
	return counts, nil
}

// numbers are the calls of the batch in which row takes its steps.
func (p *bd3lmPlan) numbers(row int) []int {
	var out []int
	call := 0
	for b, rows := range p.counts {
		for i := range p.calls[b] {
			if i < len(rows[row]) {
				out = append(out, call)
			}
			call++
		}
	}
	return out
}

// spread repeats the states of row over calls in which it waits for others.
func (p *bd3lmPlan) spread(row int, states [][]engine.Token) [][]engine.Token {
	out := [][]engine.Token{states[0]}
	at := 0
	for b, rows := range p.counts {
		for i := range p.calls[b] {
			if i < len(rows[row]) && at+1 < len(states) {
				at++
			}
			out = append(out, states[at])
		}
	}
	return out
}
