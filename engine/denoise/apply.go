package denoise

import (
	"cmp"
	"slices"

	"unmask/engine"
)

// apply writes decision d into the sequence and returns the changes by position.
func (r *run) apply(p *engine.Prediction, d *engine.Decision) []engine.Change {
	n := len(d.Unmask) + len(d.Remask) + len(d.Edit)
	if n == 0 {
		return nil
	}
	changes := make([]engine.Change, 0, n)
	for _, i := range d.Unmask {
		r.turn(p, i) // what this step has written may have made it the end of a sequence to avoid
		changes = r.change(changes, p, i, p.Token[i], engine.Unmask)
	}
	for _, i := range d.Remask {
		changes = r.change(changes, p, i, r.spec.Mask, engine.Remask)
	}
	for _, i := range d.Edit {
		r.turn(p, i)
		kind := engine.Edit
		if p.Token[i] == r.spec.Mask { // only where the mask is a candidate
			kind = engine.Remask
		}
		changes = r.change(changes, p, i, p.Token[i], kind)
	}
	slices.SortFunc(changes, func(a, b engine.Change) int { return cmp.Compare(a.Pos, b.Pos) })
	return changes
}

// change makes index i of p hold token to, unless it does already.
func (r *run) change(changes []engine.Change, p *engine.Prediction, i int, to engine.Token, kind engine.ChangeKind) []engine.Change {
	pos := p.Pos[i]
	from := r.seq.Tokens[pos]
	if from == to {
		return changes
	}
	c := engine.Change{Pos: pos, From: from, To: to, Kind: kind}
	switch kind {
	case engine.Unmask:
		r.masked--
	case engine.Remask:
		r.masked++
	}
	if kind != engine.Remask {
		c.Prob, c.Margin, c.Entropy = p.Prob[i], p.Margin[i], p.Entropy[i]
		c.Top = r.top(p, i)
	}
	r.seq.Tokens[pos] = to
	return append(changes, c)
}

// stop ends the run when the answer has an end token with no mask before it, and writes that token over the masks after
// it, which are all in the answer's span and of probability 0 in the changes.
func (r *run) stop(b *block, changes []engine.Change) []engine.Change {
	at := -1
	for p := b.answer.Lo; p < b.answer.Hi && at < 0; p++ {
		t := r.seq.Tokens[p]
		if r.isMasked(p, t) {
			return changes
		}
		if !r.seq.Fixed[p] && slices.Contains(r.end, t) {
			at = p
		}
	}
	if at < 0 {
		return changes
	}
	r.ended = true
	end := r.seq.Tokens[at]
	// What this step has masked again after the end keeps its token: it has ended, too.
	changes = slices.DeleteFunc(changes, func(c engine.Change) bool {
		if c.Kind != engine.Remask || c.Pos <= at {
			return false
		}
		r.seq.Tokens[c.Pos] = c.From
		r.masked--
		return true
	})
	for p := at + 1; p < b.answer.Hi; p++ {
		if t := r.seq.Tokens[p]; r.isMasked(p, t) {
			r.seq.Tokens[p] = end
			r.masked--
			changes = append(changes, engine.Change{Pos: p, From: t, To: end})
		}
	}
	slices.SortFunc(changes, func(a, b engine.Change) int { return cmp.Compare(a.Pos, b.Pos) })
	return changes
}
