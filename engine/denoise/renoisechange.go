package denoise

import (
	"slices"

	"unmask/engine"
)

// result is what a canvas has become: its most probable tokens, and pads behind the first end token.
func (r *renoiseRun) result() []engine.Token {
	out := slices.Clone(r.now.Best)
	pad := r.ended // of an earlier canvas
	for j, id := range out {
		if pad && !r.fixed[j] {
			out[j] = r.Pad
		} else if r.o.StopAtEnd && slices.Contains(r.End, id) {
			pad, r.ended = true, true
		}
	}
	return out
}

// changes writes the step into the sequence: the result to when the canvas is done, else accepted tokens and noise.
func (r *renoiseRun) changes(to []engine.Token) []engine.Change {
	var out []engine.Change
	for j, was := range r.shown {
		if r.fixed[j] {
			continue
		}
		pos := r.span.Lo + j
		c := engine.Change{Pos: pos, From: r.seq.Tokens[pos], To: r.current[j], Kind: engine.Remask}
		now := r.now.Accepted[j]
		if to != nil {
			c.To, now = to[j], true
		}
		switch {
		case now && !was:
			c.Kind = engine.Unmask
			r.masked--
		case now:
			c.Kind = engine.Edit
		case was:
			r.masked++
		}
		r.shown[j], r.seq.Tokens[pos] = now, c.To
		if c.From == c.To && now == was {
			continue
		}
		if now {
			r.figures(&c, j)
		}
		out = append(out, c)
	}
	return out
}

// figures are the probabilities of a change to what was drawn or is best at canvas position j; pads have none.
func (r *renoiseRun) figures(c *engine.Change, j int) {
	top := r.p.Top[j]
	switch c.To {
	case r.p.Token[j]:
		c.Prob = r.p.Prob[j]
	case top[0].Token:
		c.Prob = top[0].Prob
	default:
		return
	}
	c.Margin, c.Entropy = r.p.Margin[j], r.p.Entropy[j]
	if r.o.Alternatives > 0 {
		c.Top = slices.Clone(top)
	}
}

// padRest pads the canvases that an end token makes superfluous.
func (r *renoiseRun) padRest(changes []engine.Change) []engine.Change {
	for pos := r.span.Hi; pos < r.Answer.Hi; pos++ {
		if r.seq.Fixed[pos] {
			continue
		}
		changes = append(changes, engine.Change{Pos: pos, From: r.seq.Tokens[pos], To: r.Pad})
		r.seq.Tokens[pos] = r.Pad
		r.masked--
	}
	return changes
}
