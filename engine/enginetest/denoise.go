package enginetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"unmask/engine"
)

// denoise yields the steps of p: blocks from left to right, the planned steps shared among them, the surest candidates
// first. Confidence is a function of seed, sampler and position.
func (s *Session) denoise(ctx context.Context, p *plan, yield func(engine.Event, error) bool) {
	// size: the whole scripted loop, read from top to bottom.
	begin := time.Now()
	seq, o := p.started.Sequence.Clone(), p.started.Job.Options
	picture := p.started.Grid.Cols > 0
	blocks := s.blocks(p)
	nfe, index := 0, 0
	for bi, block := range blocks {
		var left []int
		for pos := block.Lo; pos < block.Hi; pos++ {
			if !seq.Fixed[pos] && seq.Tokens[pos] == maskToken {
				left = append(left, pos)
			}
		}
		prob := func(pos int) float32 { return float32(0.05 + 0.95*hash(o.Seed, o.Sampler, p.final[pos], pos)) }
		slices.SortStableFunc(left, func(a, b int) int { return cmp.Compare(prob(b), prob(a)) })
		steps := max(1, o.Steps/len(blocks))
		if bi < o.Steps%len(blocks) {
			steps++
		}
		for i := 0; i < steps && len(left) > 0; i++ {
			if err := s.wait(ctx); err != nil {
				yield(nil, err)
				return
			}
			if s.FailAt > 0 && index+1 == s.FailAt {
				yield(nil, s.Err)
				return
			}
			k := max(1, len(left)/(steps-i))
			step := engine.Step{Index: index, Block: block, Forward: s.Delay, Select: time.Microsecond}
			now := slices.Clone(left[:k])
			slices.Sort(now)
			left = left[k:]
			for _, pos := range now {
				pr := prob(pos)
				step.Changes = append(step.Changes, engine.Change{
					Pos: pos, From: maskToken, To: p.final[pos], Prob: pr, Margin: pr / 2, Entropy: 3 * (1 - pr), Text: p.text(p.final[pos]),
					Top: s.top(p, pos, pr),
				})
			}
			if o.Watch {
				for _, pos := range left {
					pr := prob(pos)
					step.Looks = append(step.Looks, engine.Look{Pos: pos, Token: p.final[pos], Prob: pr, Margin: pr / 2, Entropy: 3 * (1 - pr),
						Text: p.text(p.final[pos]), Top: s.top(p, pos, pr)})
				}
				slices.SortFunc(step.Looks, func(a, b engine.Look) int { return a.Pos - b.Pos })
			}
			seq.Apply(step.Changes)
			nfe++
			if o.Guidance > 0 {
				nfe++
			}
			index++
			step.NFE = nfe
			for pos := range seq.Tokens {
				if !seq.Fixed[pos] && seq.Tokens[pos] == maskToken {
					step.Masked++
				}
			}
			if !yield(step, nil) {
				return
			}
			if picture && o.Previews && !yield(&engine.Preview{Step: step.Index, Image: decode(seq.Tokens)}, nil) {
				return
			}
		}
	}
	yield(s.finish(p, seq, index, nfe, time.Since(begin)), nil)
}

// top are the candidates of a position: what it becomes and, in a text, two other words; none where none are asked for.
func (s *Session) top(p *plan, pos int, prob float32) []engine.Alternative {
	n := p.started.Job.Options.Alternatives
	if n == 0 {
		return nil
	}
	out := []engine.Alternative{{Token: p.final[pos], Text: p.text(p.final[pos]), Prob: prob}}
	if p.started.Grid.Cols > 0 {
		for i := range 3 {
			t := codeBase + (p.final[pos]-codeBase+engine.Token(i)+1)%64
			out = append(out, engine.Alternative{Token: t, Prob: (1 - prob) / float32(4+i)})
		}
	} else {
		for i, w := range []string{" perhaps", " never"} {
			out = append(out, engine.Alternative{Token: s.token(w), Text: w, Prob: (1 - prob) / float32(2+i)})
		}
	}
	return out[:min(n, len(out))]
}

func (s *Session) blocks(p *plan) []engine.Span {
	a, n := p.started.Answer, p.started.Job.Options.Block
	if n <= 0 || p.started.Grid.Cols > 0 {
		return []engine.Span{a}
	}
	var out []engine.Span
	for lo := a.Lo; lo < a.Hi; lo += n {
		out = append(out, engine.Span{Lo: lo, Hi: min(lo+n, a.Hi)})
	}
	return out
}

func (s *Session) finish(p *plan, seq *engine.Sequence, steps, nfe int, wall time.Duration) *engine.Finished {
	f := &engine.Finished{Sequence: seq, Stats: engine.Stats{Steps: steps, NFE: nfe, Wall: wall, Forward: time.Duration(steps) * s.Delay}}
	if p.started.Grid.Cols > 0 {
		f.Image = decode(seq.Tokens)
		for pos := range seq.Tokens {
			if !seq.Fixed[pos] {
				f.Stats.Tokens++
			}
		}
		return f
	}
	var b strings.Builder
	for _, t := range seq.Tokens[p.started.Answer.Lo:p.started.Answer.Hi] {
		if t == endToken {
			break
		}
		b.WriteString(p.text(t))
		f.Stats.Tokens++
	}
	f.Text = b.String()
	if before, after, ok := strings.Cut(f.Text, "</think>"); ok {
		f.Think, f.Text = strings.TrimSpace(strings.TrimPrefix(before, "<think>")), after
	}
	return f
}
