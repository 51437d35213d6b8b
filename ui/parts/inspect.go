package parts

import (
	"fmt"
	"strings"

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
		return fmt.Sprintf("position %d   masked", pos)
	}
	line := fmt.Sprintf("%s   position %d   step %d   p %s   margin %s   %s", quote(c.Text), pos, c.Step, figures.Prob(c.Prob), figures.Prob(c.Margin), figures.Nats(c.Entropy))
	var best []string
	for _, a := range c.Top[:min(3, len(c.Top))] {
		if a.Text == "" {
			a.Text = fmt.Sprintf("#%d", a.Token)
		}
		best = append(best, strings.TrimSpace(a.Text)+" "+figures.Prob(a.Prob))
	}
	if len(best) > 0 {
		line += "   best: " + strings.Join(best, ", ")
	}
	return line
}

func quote(s string) string {
	if s == "" {
		return "cell"
	}
	return "“" + strings.ReplaceAll(strings.TrimSpace(s), "\n", "↵") + "”"
}
