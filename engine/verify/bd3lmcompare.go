package verify

import (
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/token"
)

// compare compares the states of all rows with what was recorded.
func (a *bd3lm) compare(p *bd3lmPlan, states [][][]engine.Token) {
	calls := a.stop(p, states)
	mask := a.n.Spec().Mask
	var traj, masked, want []int
	for c := range calls {
		for row := range states {
			line := a.canvas(p, row, c, states[row][c])
			traj = append(traj, line...)
			masked = append(masked, count(line, mask))
		}
	}
	a.f.equal(p.prefix+"traj", traj)
	for _, per := range p.r.Masked {
		want = append(want, per...)
	}
	a.f.same(p.prefix+"masked_after_each_step", masked, want, []int{len(p.r.Masked), len(states)})
	if len(p.r.Calls) > 0 {
		a.modelCalls(p, calls)
	}
	a.texts(p, states, calls)
}

// stop is how many states there are until every row has the end token in a finished block. The canvas has no column beyond
// that block.
func (a *bd3lm) stop(p *bd3lmPlan, states [][][]engine.Token) int {
	call := 1
	for b, n := range p.calls {
		call += n
		p.width = p.left[0] + min(p.answer[0].Lo+(b+1)*p.block, p.answer[0].Hi)
		all := true
		for row, s := range states {
			lo := p.answer[row].Lo
			all = all && slices.Contains(s[call-1][lo:min(lo+(b+1)*p.block, p.answer[row].Hi)], p.r.EOS)
		}
		if all {
			break
		}
	}
	return call
}

// canvas is a row as it was recorded: with its pads on the left, end tokens after it, and -1 in blocks that do not exist
// yet.
func (a *bd3lm) canvas(p *bd3lmPlan, row, call int, state []engine.Token) []int {
	var line []int
	for range p.left[row] {
		line = append(line, int(p.r.Pad))
	}
	line = append(line, toInts(state)...)
	for len(line) < p.width {
		line = append(line, int(p.r.EOS))
	}
	line = line[:p.width]
	begun := p.left[row] + p.answer[row].Lo
	for b, seen := 0, 0; b < len(p.calls) && (call > seen); b++ {
		begun += p.block
		seen += p.calls[b]
	}
	for i := begun; i < len(line); i++ {
		line[i] = -1
	}
	return line
}

// modelCalls compares the passes that were made: one over the prefix at the start of each block, then one a step. Ours
// begins a block with one pass over prefix and block together.
func (a *bd3lm) modelCalls(p *bd3lmPlan, states int) {
	sides := 1
	if p.r.Guidance > 0 {
		sides = 2
	}
	var got, want []int
	left := states - 1
	for b := 0; b < len(p.calls) && left > 0; b++ {
		prefix := p.left[0] + p.answer[0].Lo + b*p.block
		for range sides {
			got = append(got, prefix, 0)
		}
		for range p.calls[b] * sides {
			got = append(got, min(p.block, p.answer[0].Len()-b*p.block), 1)
		}
		left -= p.calls[b]
	}
	for _, c := range p.r.Calls {
		cache := 0
		if c.Cache {
			cache = 1
		}
		want = append(want, c.Tokens[len(c.Tokens)-1], cache)
	}
	a.f.same(p.prefix+"model_calls", got, want, []int{len(p.r.Calls), 2})
}

// texts compares the decoded answers, cut at the first end token, without special tokens.
func (a *bd3lm) texts(p *bd3lmPlan, states [][][]engine.Token, calls int) {
	if p.r.Text == nil {
		return
	}
	tok, err := token.Open(besides{a.f.dir}, a.n.Spec().Family)
	if err != nil {
		a.f.fail(p.prefix+"text", err)
		return
	}
	var got []string
	for row, s := range states {
		var answer []engine.Token
		line := a.canvas(p, row, calls-1, s[calls-1])[p.left[row]:]
		for i, t := range line {
			if i < p.answer[row].Lo || i < len(p.rows[row]) && p.rows[row][i] != a.n.Spec().Mask {
				continue // given
			}
			if engine.Token(t) == p.r.EOS || t < 0 {
				break
			}
			if !tok.IsSpecial(engine.Token(t)) {
				answer = append(answer, engine.Token(t))
			}
		}
		got = append(got, token.Text(tok.AppendText(nil, answer...)))
	}
	a.f.text(p.prefix+"text", strings.Join(got, "\x00"), strings.Join(p.r.Text, "\x00"))
}
