package parts

import (
	"fmt"
	"strings"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/state"
)

// Inspect says in one line what is known of a position at the step that a view shows: token, position, step, probability,
// margin, entropy and the best candidates.
func Inspect(v *state.View, pos int) string {
	s := v.State()
	if pos < 0 || pos >= len(s.Cells) {
		return ""
	}
	c := &s.Cells[pos]
	switch {
	case c.Fixed:
		return fmt.Sprintf("position %d   fixed   %s", pos, quote(c.Text))
	case c.Masked:
		b, ok := v.Run.Belief(pos, v.Step())
		if !ok || b.Written {
			return fmt.Sprintf("position %d   masked", pos)
		}
		return fmt.Sprintf("position %d   masked   step %d believed %s   p %s   margin %s   %s%s", pos, b.Step, quote(b.Text), figures.Prob(b.Prob), figures.Prob(b.Margin), figures.Nats(b.Entropy), three(b.Top))
	}
	if c.Step == 0 {
		from := ""
		if f := v.Run.Started().Job.From; f != nil {
			from = fmt.Sprintf("   taken over at step %d", f.Step)
		}
		return fmt.Sprintf("%s   position %d%s", quote(c.Text), pos, from)
	}
	line := fmt.Sprintf("%s   position %d   step %d   p %s   margin %s   %s", quote(c.Text), pos, c.Step, figures.Prob(c.Prob), figures.Prob(c.Margin), figures.Nats(c.Entropy))
	return line + three(c.Top)
}

// three writes the three best candidates.
func three(top []engine.Alternative) string {
	var best []string
	for _, a := range top[:min(3, len(top))] {
		if a.Text == "" {
			a.Text = fmt.Sprintf("#%d", a.Token)
		}
		best = append(best, strings.TrimSpace(a.Text)+" "+figures.Prob(a.Prob))
	}
	if len(best) == 0 {
		return ""
	}
	return "   best: " + strings.Join(best, ", ")
}

func quote(s string) string {
	if s == "" {
		return "cell"
	}
	return "“" + strings.ReplaceAll(strings.TrimSpace(s), "\n", "↵") + "”"
}
