package run

import (
	"slices"

	"unmask/engine"
)

// Belief is what the model believed of a position, and when.
type Belief struct {
	engine.Look
	Step    int  // of the pass; 0: the run began with the token
	Written bool // the step wrote the candidate; else it left the position as it was
}

// Belief is the newest that is known of position pos at step n: what a step believed when it wrote there, or, in a watched
// run, when it looked. ok is false where no step up to n has said anything.
func (r *Run) Belief(pos, n int) (b Belief, ok bool) {
	for i := min(max(n, 0), len(r.steps)) - 1; i >= 0; i-- {
		s := &r.steps[i]
		if j, ok := slices.BinarySearchFunc(s.Looks, pos, func(l engine.Look, p int) int { return l.Pos - p }); ok {
			return Belief{Look: s.Looks[j], Step: i + 1}, true
		}
		if j, ok := slices.BinarySearchFunc(s.Changes, pos, func(c engine.Change, p int) int { return c.Pos - p }); ok {
			c := &s.Changes[j]
			if c.Kind == engine.Remask {
				continue // what it believed before still says most
			}
			return Belief{Look: engine.Look{Pos: pos, Token: c.To, Prob: c.Prob, Margin: c.Margin, Entropy: c.Entropy, Text: c.Text, Top: c.Top}, Step: i + 1, Written: true}, true
		}
	}
	return Belief{}, false
}

// Differ counts the positions of the answer at which the newest states of two runs hold other tokens, of the positions
// that are free in r; positions that only one of them has count too.
func (r *Run) Differ(other *Run) (differ, of int) {
	a, b := &r.last, &other.last
	for p := a.Answer.Lo; p < max(a.Answer.Hi, b.Answer.Hi); p++ {
		switch {
		case p >= len(a.Cells) || p >= len(b.Cells):
			differ++
			of++
		default:
			of++
			if a.Cells[p].Masked != b.Cells[p].Masked || a.Cells[p].Token != b.Cells[p].Token {
				differ++
			}
		}
	}
	return differ, of
}
