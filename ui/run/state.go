package run

import (
	"slices"

	"unmask/engine"
)

// Cell is one position after a step.
type Cell struct {
	Token    engine.Token
	Text     string // of Token; "" while masked and for image codes
	Modality engine.Modality
	Fixed    bool // no step may write here
	Masked   bool // hidden; a set of positions, never a token id
	AfterEnd bool // behind a committed end token of the answer

	Prob    float32 // of Token when it was written, in [0, 1]; 1 where fixed
	Margin  float32 // first minus second probability, then
	Entropy float32 // nats, then
	Step    int     // step of the last change; 0: none yet
	Kind    engine.ChangeKind
	Rank    int // how many positions were written before this one; -1 where none was or masked
	// Was and WasText are what stood here before the last change; meaningful when Step > 0.
	Was     engine.Token
	WasText string
	Top     []engine.Alternative // best candidates at the last change, shared with the run
}

// State is the sequence after Step steps.
type State struct {
	Step   int
	Cells  []Cell // [L]
	Answer engine.Span
	Grid   engine.Grid // of the image span; zero without one
	Image  engine.Span // positions of the picture's cells, row-major; empty without a grid
	Block  engine.Span // active block of the last step; before the first step the answer
	Masked int         // positions masked now
	Ranked int         // writes so far
	ends   []engine.Token
}

// Clone returns a copy of s; only the candidates lists are shared.
func (s *State) Clone() State {
	c := *s
	c.Cells = slices.Clone(s.Cells)
	return c
}

// Answered lists the committed texts of the answer in order, end tokens and what follows them left out, masks as "".
func (s *State) Answered() []string {
	var out []string
	for p := s.Answer.Lo; p < s.Answer.Hi; p++ {
		c := &s.Cells[p]
		if c.Modality != engine.Text {
			continue
		}
		if !c.Masked && !c.Fixed && slices.Contains(s.ends, c.Token) {
			break
		}
		out = append(out, c.Text)
	}
	return out
}

// IsEnd reports whether position p holds a committed end token that the run wrote.
func (s *State) IsEnd(p int) bool {
	c := &s.Cells[p]
	return !c.Masked && !c.Fixed && c.Modality == engine.Text && slices.Contains(s.ends, c.Token)
}

// At is the state after n steps; n is clamped to [0, Len]. It costs one copy of the cells and at most 16 steps, and
// shares nothing that changes with r.
func (r *Run) At(n int) State {
	var s State
	r.AtInto(&s, n)
	return s
}

// AtInto is At with the memory of dst reused. Before the run started dst becomes empty.
func (r *Run) AtInto(dst *State, n int) {
	n = min(max(n, 0), len(r.steps))
	if r.started == nil {
		*dst = State{Cells: dst.Cells[:0]}
		return
	}
	from := &r.checkpoints[n/checkpointEvery]
	if n == len(r.steps) {
		from = &r.last
	}
	cells := append(dst.Cells[:0], from.Cells...)
	*dst = *from
	dst.Cells = cells
	for i := from.Step; i < n; i++ {
		dst.apply(i+1, &r.steps[i])
	}
}

func initial(e *engine.Started) State {
	q := e.Sequence
	s := State{Cells: make([]Cell, len(q.Tokens)), Answer: e.Answer, Block: e.Answer, Grid: e.Grid, ends: e.Spec.End}
	for _, sp := range q.Spans {
		for p := sp.Lo; p < sp.Hi; p++ {
			s.Cells[p].Modality = sp.Modality
		}
		if sp.Modality == engine.Image && sp.Len() == e.Grid.Cols*e.Grid.Rows && sp.Len() > 0 {
			// The answer's picture when there is one, else the last picture of the prompt.
			if s.Image.Len() == 0 || !overlaps(s.Image, e.Answer) || overlaps(sp, e.Answer) {
				s.Image = sp
			}
		}
	}
	if s.Image.Len() == 0 {
		s.Grid = engine.Grid{}
	}
	for p := range s.Cells {
		c := &s.Cells[p]
		c.Token, c.Fixed, c.Rank = q.Tokens[p], q.Fixed[p], -1
		// A model without a mask token (Spec.Mask < 0) starts from noise: every position it may write counts as masked.
		c.Masked = !c.Fixed && (e.Spec.Mask < 0 || c.Token == e.Spec.Mask)
		if c.Masked {
			s.Masked++
			continue
		}
		c.Prob = 1
		if len(e.Texts) > 0 {
			c.Text = e.Texts[p]
		}
	}
	return s
}

func overlaps(a, b engine.Span) bool { return a.Lo < b.Hi && b.Lo < a.Hi }

// apply makes s the state after step n. Positions are in range: Add checked them.
func (s *State) apply(n int, st *engine.Step) {
	s.Step, s.Block = n, st.Block
	ends := false
	for i := range st.Changes {
		ch := &st.Changes[i]
		c := &s.Cells[ch.Pos]
		ends = ends || slices.Contains(s.ends, ch.To) || slices.Contains(s.ends, ch.From)
		c.Was, c.WasText = c.Token, c.Text
		was := c.Masked
		c.Token, c.Text, c.Kind, c.Step, c.Top = ch.To, ch.Text, ch.Kind, n, ch.Top
		c.Prob, c.Margin, c.Entropy = ch.Prob, ch.Margin, ch.Entropy
		c.Masked = ch.Kind == engine.Remask
		switch {
		case c.Masked:
			c.Text, c.Rank = "", -1
			if !was {
				s.Masked++
			}
		default:
			c.Rank = s.Ranked
			s.Ranked++
			if was {
				s.Masked--
			}
		}
	}
	if ends {
		s.markAfterEnd()
	}
}

func (s *State) markAfterEnd() {
	after := false
	for p := s.Answer.Lo; p < s.Answer.Hi; p++ {
		c := &s.Cells[p]
		c.AfterEnd = after && !c.Fixed && c.Modality == engine.Text
		after = after || s.IsEnd(p)
	}
}
