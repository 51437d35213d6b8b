package verify

import (
	"fmt"
	"slices"

	"unmask/engine"
	"unmask/engine/schedule"
	"unmask/engine/token"
)

// binomials reads the recorded counts in the order in which they were asked for: block by block, row by row, until a
// block's masks are spent.
func (d *dllmRows) binomials(whole int) error {
	d.counts = make([][]int, len(d.r.Prompts))
	draw := 0
	for lo := 0; lo < whole; lo += d.block {
		for row, prompt := range d.r.Prompts {
			left := min(d.block, whole-lo)
			if d.r.Function == "infill" {
				left = count(toInts(prompt[min(lo, len(prompt)):min(lo+d.block, len(prompt))]), d.mask)
			}
			for i := 0; i < d.steps && left > 0; i++ {
				n, _, err := d.f.ints(fmt.Sprintf("%sdraw.%03d.count", d.prefix, draw))
				if err != nil {
					return err
				}
				draw++
				k := min(n[0], left)
				if k > 0 {
					d.counts[row] = append(d.counts[row], k)
				}
				left -= k
			}
			d.counts[row] = append(d.counts[row], -1)
		}
	}
	return nil
}

// schedule is dLLM's, or the recorded counts of one block after the other.
func (d *dllmRows) schedule(row int) schedule.Schedule {
	s := schedule.Rounded(d.r.Scheduler == "cosine")
	if d.counts == nil {
		return s
	}
	rest := d.counts[row]
	s.Counts = func(masked, steps int) []int {
		for len(rest) > 0 && rest[0] < 0 {
			rest = rest[1:]
		}
		end := slices.Index(rest, -1)
		if end < 0 {
			return nil
		}
		out := rest[:end]
		rest = rest[end:]
		return out
	}
	return s
}

// texts compares the decoded answers, cut at the first end token, where they are recorded.
func (d *dllmRows) texts(finals [][]engine.Token) error {
	if d.r.Text == nil {
		return nil
	}
	tok, err := token.Open(besides{d.f.dir}, d.n.Spec().Family)
	if err != nil {
		return err
	}
	for row, final := range finals {
		if row >= len(d.r.Text) {
			return fmt.Errorf("%d texts for %d rows", len(d.r.Text), len(finals))
		}
		var answer []engine.Token
		prompt := d.r.Prompts[row]
		for i, t := range final {
			given := i < len(prompt) && prompt[i] != d.mask
			if given || i >= len(prompt)+d.added || tok.IsSpecial(t) && t != d.r.EOS {
				continue
			}
			if t == d.r.EOS {
				break
			}
			answer = append(answer, t)
		}
		d.f.text(fmt.Sprintf("%stext[%d]", d.prefix, row), token.Text(tok.AppendText(nil, answer...)), d.r.Text[row])
	}
	return nil
}
