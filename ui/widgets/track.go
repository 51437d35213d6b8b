package widgets

import (
	"fmt"
	"math"

	"unmask/engine"
	"unmask/ui/run"
)

// track maps the steps of a run to the pixels or units of a time line.
type track struct {
	width float32
	steps int // planned
}

// x is where the state after step n stands: the right edge of its bar.
func (t track) x(n int) float32 {
	if t.steps <= 0 {
		return 0
	}
	return t.width * float32(min(max(n, 0), t.steps)) / float32(t.steps)
}

// step is the state nearest to x, in [0, steps].
func (t track) step(x float32) int {
	if t.width <= 0 || t.steps <= 0 {
		return 0
	}
	n := int(math.Round(float64(x / t.width * float32(t.steps))))
	return min(max(n, 0), t.steps)
}

// bar sums up the steps [Lo, Hi) (0 is the first step) that share a bar.
type bar struct {
	lo, hi   int
	changed  float32 // mean of tokens changed
	mean     float32 // mean probability
	remasked bool
	made     bool
}

// bars bins steps so that each bar is at least three units wide.
func (t track) bars(infos []run.StepInfo) []bar {
	n := min(t.steps, max(int(t.width/3), 1))
	out := make([]bar, n)
	for i := range out {
		b := &out[i]
		b.lo, b.hi = i*t.steps/n, (i+1)*t.steps/n
		k, w := 0, 0
		for _, in := range infos[min(b.lo, len(infos)):min(b.hi, len(infos))] {
			k++
			b.changed += float32(in.Changed)
			if in.Unmasked+in.Edited > 0 {
				b.mean += in.Mean
				w++
			}
			b.remasked = b.remasked || in.Remasked > 0
		}
		if k > 0 {
			b.made = true
			b.changed /= float32(k)
		}
		if w > 0 {
			b.mean /= float32(w)
		}
	}
	return out
}

// height is the length of a bar for c changed tokens, before scaling: linear, a root above 32.
func height(c float32) float32 {
	if c <= 32 {
		return c
	}
	return 32 * float32(math.Sqrt(float64(c/32)))
}

// blockEdge is where a block begins on a time line.
type blockEdge struct {
	step int // steps made before it
	name string
}

// blockEdges lists the blocks of r: those begun as they were, those ahead by even shares of the steps planned.
func blockEdges(r *run.Run) []blockEdge {
	st := r.Started()
	if st == nil {
		return nil
	}
	var out []blockEdge
	for _, in := range r.Infos() {
		if in.BlockEdge {
			out = append(out, blockEdge{in.Step - 1, fmt.Sprintf("block %d", len(out)+1)})
		}
	}
	total := 1
	if b := st.Job.Options.Block; b > 0 && st.Answer.Len() > b {
		total = (st.Answer.Len() + b - 1) / b
	}
	if total < len(out) || r.Done() {
		total = max(len(out), 1)
	}
	for i := len(out); i < total; i++ {
		out = append(out, blockEdge{i * r.Planned() / total, fmt.Sprintf("block %d", i+1)})
	}
	if len(out) == 1 {
		out[0].name = "one block of " + count(st)
	}
	return out
}

func count(st *engine.Started) string {
	n, image := 0, true
	for p := st.Answer.Lo; p < st.Answer.Hi && p < len(st.Sequence.Fixed); p++ {
		if !st.Sequence.Fixed[p] {
			n++
		}
	}
	for _, s := range st.Sequence.Spans {
		if s.Modality == engine.Text && s.Lo < st.Answer.Hi && st.Answer.Lo < s.Hi {
			image = false
		}
	}
	if image {
		return fmt.Sprintf("%d cells", n)
	}
	return fmt.Sprintf("%d tokens", n)
}
