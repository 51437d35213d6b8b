package trace

import (
	"fmt"

	"unmask/engine"
)

// Checker refuses events that contradict the events before them, so that whoever shows a run may trust its positions and
// tokens. One run each; one goroutine at a time.
type Checker struct {
	format, path string
	tokens       []engine.Token // state, to check steps against; nil before Started
	fixed        []bool
	vocab        int
	steps        int
}

// NewChecker checks the events of one run. format and path name where they come from in its errors.
func NewChecker(format, path string) *Checker { return &Checker{format: format, path: path} }

// Check takes the next event. The error is an [engine.FormatError]. The event's slices are not kept.
func (c *Checker) Check(ev engine.Event) error {
	if s, ok := ev.(*engine.Started); ok {
		if c.tokens != nil {
			return c.bad("started", "comes twice")
		}
		return c.checkStarted(s)
	}
	if c.tokens == nil {
		return c.bad("started", "is missing")
	}
	switch ev := ev.(type) {
	case engine.Step:
		return c.checkStep(&ev)
	case *engine.Finished:
		return c.checkFinished(ev)
	}
	return nil
}

func (c *Checker) bad(item, format string, args ...any) error {
	return &engine.FormatError{Format: c.format, Path: c.path, Item: item, Reason: fmt.Sprintf(format, args...)}
}

// checkStarted refuses a first event whose parts contradict each other.
func (c *Checker) checkStarted(s *engine.Started) error {
	if s == nil || s.Sequence == nil {
		return c.bad("started", "is missing")
	}
	q := s.Sequence
	n := len(q.Tokens)
	if n == 0 || n > maxLength || len(q.Fixed) != n || len(s.Texts) != n && len(s.Texts) != 0 {
		return c.bad("sequence", "%d tokens, %d fixed, %d texts; want as many of each, 1 to %d", n, len(q.Fixed), len(s.Texts), maxLength)
	}
	at := 0
	for _, p := range q.Spans {
		if p.Lo != at || p.Hi <= p.Lo || p.Modality > engine.Image {
			return c.bad("spans", "[%d, %d) of modality %d follows position %d", p.Lo, p.Hi, p.Modality, at)
		}
		at = p.Hi
	}
	if at != n {
		return c.bad("spans", "cover %d of %d positions", at, n)
	}
	if s.Answer.Lo < 0 || s.Answer.Hi < s.Answer.Lo || s.Answer.Hi > n {
		return c.bad("answer", "[%d, %d) is outside the %d positions", s.Answer.Lo, s.Answer.Hi, n)
	}
	if g := s.Grid; g.Cols < 0 || g.Rows < 0 || g.Cols > n || g.Rows > n || g.Cols*g.Rows > n {
		return c.bad("grid", "%d x %d cells of %d positions", g.Cols, g.Rows, n)
	}
	for i, t := range q.Tokens {
		most := s.Spec.Vocab
		if s.Spec.Vectors && q.Fixed[i] {
			most += n // the vectors of pictures
		}
		if t < 0 || s.Spec.Vocab > 0 && int(t) >= most {
			return c.bad("tokens", "token %d at position %d, the vocabulary has %d", t, i, s.Spec.Vocab)
		}
	}
	if f := s.Job.From; f != nil {
		if len(f.Tokens) > n || f.Step < 0 || f.Before < 0 {
			return c.bad("from", "%d tokens after step %d, the sequence has %d positions", len(f.Tokens), f.Step, n)
		}
		for _, p := range f.Pinned {
			if p < 0 || p >= n {
				return c.bad("from", "pins position %d of %d", p, n)
			}
		}
		for _, a := range f.Acts {
			if a.Pos < 0 || a.Pos >= n {
				return c.bad("from", "changes position %d of %d", a.Pos, n)
			}
		}
	}
	c.tokens = append([]engine.Token(nil), q.Tokens...)
	c.vocab = s.Spec.Vocab
	c.fixed = append([]bool(nil), q.Fixed...)
	return nil
}

// checkStep refuses changes that do not fit the sequence as it is then.
func (c *Checker) checkStep(s *engine.Step) error {
	item := fmt.Sprintf("step %d", c.steps+1)
	if n := len(c.tokens); s.Block.Lo < 0 || s.Block.Hi < s.Block.Lo || s.Block.Hi > n || s.Masked < 0 || s.Masked > n {
		return c.bad(item, "block [%d, %d) and %d masked of %d positions", s.Block.Lo, s.Block.Hi, s.Masked, n)
	}
	for _, x := range s.Changes {
		switch {
		case x.Pos < 0 || x.Pos >= len(c.tokens):
			return c.bad(item, "changes position %d of %d", x.Pos, len(c.tokens))
		case c.fixed[x.Pos]:
			return c.bad(item, "changes the fixed position %d", x.Pos)
		case x.From != c.tokens[x.Pos]:
			return c.bad(item, "position %d: token %d is there, not %d", x.Pos, c.tokens[x.Pos], x.From)
		case x.To < 0 || c.vocab > 0 && int(x.To) >= c.vocab:
			return c.bad(item, "position %d: token %d, the vocabulary has %d", x.Pos, x.To, c.vocab)
		case x.Kind > engine.Edit:
			return c.bad(item, "position %d: change of kind %d, want 0 to %d", x.Pos, x.Kind, engine.Edit)
		}
		c.tokens[x.Pos] = x.To
	}
	for _, l := range s.Looks {
		if l.Pos < 0 || l.Pos >= len(c.tokens) {
			return c.bad(item, "looks at position %d of %d", l.Pos, len(c.tokens))
		}
	}
	c.steps++
	return nil
}

// checkFinished compares the last sequence with what the steps made of the first.
func (c *Checker) checkFinished(f *engine.Finished) error {
	if f.Sequence == nil || len(f.Sequence.Tokens) != len(c.tokens) || len(f.Sequence.Fixed) != len(c.tokens) {
		return c.bad("finished", "its sequence has not the %d positions of the first", len(c.tokens))
	}
	for i, t := range f.Sequence.Tokens {
		if t != c.tokens[i] {
			return c.bad("finished", "token %d at position %d, the steps made it %d", t, i, c.tokens[i])
		}
	}
	return nil
}
