package denoise

import (
	"slices"
	"testing"

	"unmask/engine"
)

// reviser remasks one committed position in each step but the last, and edits one.
type reviser struct{ steps int }

func (reviser) ReviewsCommitted() bool { return true }

func (s reviser) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	edited := false
	for i := range p.Pos {
		switch {
		case !v.Committed[i] && len(d.Unmask) < v.Quota+1:
			d.Unmask = append(d.Unmask, i)
		case v.Committed[i] && v.Step < v.Steps-1 && len(d.Remask) == 0:
			d.Remask = append(d.Remask, i)
		case v.Committed[i] && !edited && v.Current[i] != p.Token[i]:
			d.Edit, edited = append(d.Edit, i), true
		}
	}
}

func TestRevision(t *testing.T) {
	o := engine.Options{Steps: 6, Alternatives: 1}
	seq := answer(3, 12)
	started := seq.Clone()
	steps := collect(t, &Masked{Model: &fake{}, Sampler: reviser{}}, seq, o)
	checkSteps(t, started, seq, steps, o)
	kinds := map[engine.ChangeKind]int{}
	for _, s := range steps {
		for _, c := range s.Changes {
			kinds[c.Kind]++
			if c.Kind != engine.Remask && len(c.Top) != 1 {
				t.Errorf("%v: %d alternatives", c.Kind, len(c.Top))
			}
		}
	}
	if kinds[engine.Remask] != 4 || kinds[engine.Edit] == 0 {
		t.Errorf("kinds %v", kinds)
	}
}

// TestPolish checks that a block goes on editing after its last mask until nothing changes, and no longer than allowed.
func TestPolish(t *testing.T) {
	// The favourite of a position is one more than the token to its left, so that an early guess is wrong until what is
	// left of it is right; the right end is surest at first.
	chain := func() *fake {
		return &fake{logit: func(pos int, id engine.Token, row []engine.Token) float64 {
			left := row[pos-1]
			if left == testMask {
				left = 0
			}
			if id == (left+1)%testMask {
				return 5 + 0.1*float64(pos)
			}
			return 0
		}}
	}
	for _, c := range []struct {
		params engine.Params
		right  bool
	}{
		{engine.Params{"threshold": 0.1, "edit": 0.1, "extra": 16}, true},
		{engine.Params{"threshold": 0.1, "edit": 0.1, "extra": 2}, false},
		{engine.Params{"threshold": 0.1, "edit": 1, "extra": 16}, false},
	} {
		seq := answer(2, 6)
		started := seq.Clone()
		steps := collect(t, &Masked{Model: chain(), Sampler: sampler(t, "edit", c.params)}, seq, engine.Options{})
		checkSteps(t, started, seq, steps, engine.Options{})
		if want := []engine.Token{1, 2, 3, 4, 5, 6, 7, 8}; slices.Equal(seq.Tokens, want) != c.right {
			t.Errorf("%v: %v after %d steps", c.params, seq.Tokens, len(steps))
		}
		if extra := int(c.params["extra"]); len(steps) > 1+extra {
			t.Errorf("%v: %d steps", c.params, len(steps))
		}
	}
}

// TestUnchanged checks that a step after one that changed nothing makes no pass, and draws anew all the same.
func TestUnchanged(t *testing.T) {
	f := &fake{keep: true}
	seq := answer(2, 6)
	// One position in sixty steps: most coins fall the other way.
	m := &Masked{Model: f, Sampler: sampler(t, "ancestral", nil), BlockSteps: 60}
	steps := collect(t, m, seq, engine.Options{Steps: 60, Temperature: 1})
	idle := 0
	for _, s := range steps {
		if len(s.Changes) == 0 {
			idle++
		}
	}
	last := steps[len(steps)-1]
	if idle == 0 || len(f.inputs) != last.NFE || last.NFE >= len(steps) {
		t.Errorf("%d steps, %d of them without a change, %d passes, NFE %d", len(steps), idle, len(f.inputs), last.NFE)
	}
}
