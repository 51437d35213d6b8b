package denoise

import (
	"slices"

	"unmask/engine"
)

// maxAvoidTop bounds the candidates that are looked at to avoid a sequence.
const maxAvoidTop = 64

// avoids prepares the run to keep sequences out: single tokens are banned, longer ones need other candidates to turn to.
func (r *run) avoids(all [][]engine.Token) {
	need := 1
	for _, w := range all {
		switch len(w) {
		case 0:
		case 1:
			r.pick.Ban = append(r.pick.Ban, w[0])
		default:
			r.avoid = append(r.avoid, w)
			need += len(w) // a sequence forbids at most its tokens at one position
		}
	}
	if len(r.avoid) > 0 {
		r.pick.Top = max(r.pick.Top, min(need, maxAvoidTop))
	}
}

// dodge turns every candidate that would write out a sequence to avoid into the best one that does not.
func (r *run) dodge(p *engine.Prediction) {
	for i := range p.Pos {
		r.turn(p, i)
	}
}

// turn does what dodge does at index i. Where every candidate kept is forbidden the last one stays.
func (r *run) turn(p *engine.Prediction, i int) {
	if len(r.avoid) == 0 || i >= len(p.Top) || !r.completes(p.Pos[i], p.Token[i]) {
		return
	}
	for _, a := range p.Top[i] {
		p.Token[i], p.Prob[i] = a.Token, a.Prob
		if !r.completes(p.Pos[i], a.Token) {
			return
		}
	}
}

// completes reports whether token t at position pos completes a sequence to avoid.
func (r *run) completes(pos int, t engine.Token) bool {
	for _, w := range r.avoid {
		for j, x := range w {
			if x != t || pos < j || pos-j+len(w) > len(r.seq.Tokens) {
				continue
			}
			same := true
			for k, y := range w {
				same = same && (k == j || r.seq.Tokens[pos-j+k] == y)
			}
			if same {
				return true
			}
		}
	}
	return false
}

// top are the candidates to keep of index i: no more than were asked for.
func (r *run) top(p *engine.Prediction, i int) []engine.Alternative {
	if i >= len(p.Top) || r.o.Alternatives == 0 {
		return nil
	}
	return slices.Clone(p.Top[i][:min(r.o.Alternatives, len(p.Top[i]))])
}

// looks lists what was believed of the positions that decision d left as they were.
func (r *run) looks(p *engine.Prediction, d *engine.Decision) []engine.Look {
	touched := make([]bool, len(p.Pos))
	for _, list := range [][]int{d.Unmask, d.Remask, d.Edit} {
		for _, i := range list {
			touched[i] = true
		}
	}
	var out []engine.Look
	for i, pos := range p.Pos {
		if !touched[i] {
			out = append(out, engine.Look{Pos: pos, Token: p.Token[i], Prob: p.Prob[i], Margin: p.Margin[i], Entropy: p.Entropy[i], Top: r.top(p, i)})
		}
	}
	return out
}
