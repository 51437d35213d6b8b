package flow

import "unmask/engine"

// pen puts units of glued items on lines.
type pen struct {
	f     *Flow
	span  engine.Span
	x     float32
	line  int     // current line
	extra float32 // height of headers above the current line
	hard  bool    // the line begins after a line break, not after a wrap
	blank bool    // nothing stands on the line
	began bool
}

// place puts one unit on the current line, or on the first later one where it fits. A unit wider than a line is broken
// between its items.
func (n *pen) place(unit []Item, pieces []piece) {
	if len(unit) == 0 {
		return
	}
	if !n.began {
		n.began, n.hard, n.blank = true, true, true
	}
	o := &n.f.o
	for range pieces[0].before {
		n.newline(true)
	}
	lead := pieces[0].space
	if n.blank && !n.hard {
		lead = 0
	}
	total := lead
	line := max(n.line, n.f.lines[unit[0].Pos-n.span.Lo])
	last := line
	for i := range unit {
		total += unit[i].W
		if unit[i].Kind != Blank {
			last = max(last, n.f.lines[unit[i].Pos-n.span.Lo])
		}
	}
	if total-lead <= o.Width {
		line = last // a word stays whole, and none of it goes up
	}
	if line > n.line || n.x+total > o.Width && !n.blank && unit[0].Kind != Blank {
		n.newline(false)
		n.line = max(n.line, line)
		lead = 0
		if unit[0].Kind != Word {
			lead = pieces[0].space
		}
	}
	n.x += lead
	for i := range unit {
		it := &unit[i]
		if n.x+it.W > o.Width && !n.blank && it.Kind != Blank {
			n.newline(false)
		}
		if n.blank && it.Kind != Blank { // spaces before the first token of a line leave room for it
			n.x = min(n.x, max(o.Width-it.W, 0))
		}
		if l := n.f.lines[it.Pos-n.span.Lo]; l > n.line && it.Kind != Blank {
			n.newline(false)
			n.line = l
		}
		it.X, it.Line, it.Y = n.x, n.line, n.extra+float32(n.line)*o.Line
		n.f.lines[it.Pos-n.span.Lo] = n.line
		n.x += it.W + pieces[i].after
		if it.Kind != Blank {
			n.blank = false
		}
		n.f.Items = append(n.f.Items, *it)
		for range pieces[i].breaks {
			n.newline(true)
		}
	}
}

func (n *pen) newline(hard bool) {
	n.line++
	n.x, n.hard, n.blank = 0, hard, true
}

// header leaves room for the line of a folded thought.
func (n *pen) header(t *Thought) {
	if !n.blank && n.began {
		n.newline(true)
	}
	t.Y = n.extra + float32(n.line)*n.f.o.Line
	n.extra += n.f.o.Header
	n.began, n.x, n.hard, n.blank = true, 0, true, true
}

func (n *pen) height() float32 {
	if !n.began {
		return 0
	}
	lines := n.line
	if !n.blank || n.extra == 0 {
		lines++
	}
	return n.extra + float32(lines)*n.f.o.Line
}
