package compare

import (
	"math"

	"unmask/engine"
	"unmask/ui/run"
)

// answer lists the tokens of the answer of s; -1 where a position is still masked.
func answer(s *run.State) []engine.Token {
	out := make([]engine.Token, 0, s.Answer.Len())
	for p := s.Answer.Lo; p < s.Answer.Hi && p < len(s.Cells); p++ {
		if c := &s.Cells[p]; c.Masked {
			out = append(out, -1)
		} else {
			out = append(out, c.Token)
		}
	}
	return out
}

// agreement is the share of positions, unmasked in both, that hold the same token; NaN where there is none.
func agreement(a, b []engine.Token) float64 {
	same, both := 0, 0
	for i := range min(len(a), len(b)) {
		if a[i] < 0 || b[i] < 0 {
			continue
		}
		both++
		if a[i] == b[i] {
			same++
		}
	}
	if both == 0 {
		return math.NaN()
	}
	return float64(same) / float64(both)
}

// differing lists the indices at which a holds another token than b, both unmasked.
func differing(a, b []engine.Token) (out []int) {
	for i := range min(len(a), len(b)) {
		if a[i] >= 0 && b[i] >= 0 && a[i] != b[i] {
			out = append(out, i)
		}
	}
	return out
}

// likelihood is the mean ln p of the tokens that the run has written, each with the probability that it had then: how
// likely the model finds its own answer, token by token. NaN where nothing was written.
func likelihood(s *run.State) float64 {
	sum, n := 0.0, 0
	for p := s.Answer.Lo; p < s.Answer.Hi && p < len(s.Cells); p++ {
		c := &s.Cells[p]
		if c.Masked || c.Fixed || c.Step == 0 || c.AfterEnd {
			continue
		}
		sum += math.Log(max(float64(c.Prob), 1e-12))
		n++
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// linked is the step of a run of n steps that belongs to step of a run of m steps, by progress.
func linked(step, m, n int) int {
	if m <= 0 {
		return 0
	}
	return int(math.Round(float64(step) / float64(m) * float64(n)))
}

// linkedByTime is the last step of r that was done when the first step steps of lead were.
func linkedByTime(lead *run.Run, step int, r *run.Run) int {
	t := lead.Elapsed(step)
	n := 0
	for n < r.Len() && r.Elapsed(n+1) <= t {
		n++
	}
	return n
}
