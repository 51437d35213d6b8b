// Package flow lays the tokens of an answer out in lines so that nothing jumps while a run goes: finished blocks are never
// laid out again, a token moves only when a token before it on the same line grew, and a line never gives back to the one
// above. The places do not depend on how steps were grouped. When the run is done its lines are filled once, as text is
// read, and every step of it then stands on the places of the last.
package flow

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"unmask/engine"
	"unmask/ui/run"
)

// Options are the measures of a layout, all in the same unit.
type Options struct {
	Width   float32 // of a line
	Line    float32 // height of a line
	Mask    float32 // width of a mask whose token is not known; less where the tokens of the prompt are narrower
	Tick    float32 // width of an end token
	Gap     float32 // between masks
	Header  float32 // height of the line that stands for a folded thought
	Later   bool    // lay out the masks of blocks that have not begun too
	Special func(text string) bool
	Measure func(text string) float32 // width of a text on one line; cached here by text
}

// Kind says what an [Item] shows.
type Kind uint8

// The kinds of item.
const (
	Word  Kind = iota // a token with visible text, known in the newest state
	Mask              // masked in the newest state
	Tick              // an end token, or what follows one
	Blank             // nothing to see: spaces and line breaks
)

// Item is where one position stands.
type Item struct {
	Pos  int
	Kind Kind
	Text string // what to draw: without spaces around it and without line breaks
	X, Y float32
	W    float32
	Line int
}

// Thought is the stretch between <think> and </think>, tags included.
type Thought struct {
	Lo, Hi int  // positions [Lo, Hi)
	Closed bool // </think> has been written
	Y      float32
}

// Flow lays out one run. Items and Height are valid until the next Update.
type Flow struct {
	Items   []Item
	Height  float32
	Rest    int      // masks of later blocks that are not laid out
	Thought *Thought // nil without one

	o      Options
	run    *run.Run
	span   engine.Span
	folded bool
	lines  []int // by position from span.Lo: never falls while the run goes
	done   int   // steps laid out; -1: none
	final  bool  // the run is done and its lines are filled
	mask   float32
	state  run.State
	texts  []string
	widths map[string]float32
}

// New makes a layout without a run.
func New(o Options) *Flow {
	return &Flow{o: o, done: -1, folded: true, widths: map[string]float32{}}
}

// SetRun lays out the positions of span of r, text only; the zero span means r's answer.
func (f *Flow) SetRun(r *run.Run, span engine.Span) {
	f.run, f.span = r, span
	f.reset()
}

// Run is the run laid out, or nil.
func (f *Flow) Run() *run.Run { return f.run }

// Resize changes the width of a line, and reports whether that was new.
func (f *Flow) Resize(width float32) bool {
	if f.o.Width == width {
		return false
	}
	f.o.Width = width
	f.reset()
	return true
}

// SetFolded shows or hides the thought.
func (f *Flow) SetFolded(b bool) {
	if f.folded != b {
		f.folded = b
		f.reset()
	}
}

// Folded reports whether the thought is hidden.
func (f *Flow) Folded() bool { return f.folded }

func (f *Flow) reset() {
	f.done, f.final, f.lines = -1, false, f.lines[:0]
	f.Items, f.Height, f.Rest, f.Thought = f.Items[:0], 0, 0, nil
}

// Update lays out the steps made since the last Update and reports whether the layout may have changed.
func (f *Flow) Update() bool {
	if f.run == nil || f.run.Started() == nil {
		return false
	}
	span := f.span
	if span.Len() == 0 {
		span = f.run.Started().Answer
	}
	if len(f.lines) != span.Len() {
		f.lines = make([]int, span.Len())
		f.done = -1
	}
	n, final := f.run.Len(), f.run.Done()
	if f.done == n && f.final == final {
		return false
	}
	if f.done < 0 {
		f.mask = f.maskWidth()
	}
	if final {
		clear(f.lines)
		f.done, f.final = n, true
		f.run.AtInto(&f.state, n)
		f.layout(span, true)
		return true
	}
	// Steps that came together are laid out one by one: the result must not depend on how they were grouped.
	for f.done < n {
		f.done++
		f.run.AtInto(&f.state, f.done)
		f.layout(span, false)
	}
	return true
}

// maskWidth is the mean width of the prompt's tokens, which the answer's will be like, within half of o.Mask and o.Mask.
func (f *Flow) maskWidth() float32 {
	sum, n := float32(0), 0
	st := f.run.Started()
	for p, t := range st.Texts {
		if t == "" || !st.Sequence.Fixed[p] || f.o.Special != nil && f.o.Special(t) || strings.ContainsRune(t, '\n') {
			continue
		}
		sum += f.measure(strings.TrimSpace(t)) + f.spaces(len(t)-len(strings.TrimLeft(t, " ")))
		n++
	}
	if n < 4 {
		return f.o.Mask
	}
	return min(max(sum/float32(n)-f.o.Gap, f.o.Mask/2), f.o.Mask)
}

// piece is a token's text cut for lines.
type piece struct {
	kind           Kind
	text           string
	space          float32 // before the text
	width, after   float32
	before, breaks int  // line breaks before and after the text
	glued          bool // no break may come before it
	hidden         bool
}

func (f *Flow) layout(span engine.Span, final bool) {
	s := &f.state
	f.Items, f.Rest = f.Items[:0], 0
	f.texts = joined(f.texts[:0], s, span)
	f.Thought = thought(s, span, f.texts)
	hi := span.Hi
	if !f.o.Later && !final {
		for hi > span.Lo && hi > s.Block.Hi && s.Cells[hi-1].Masked {
			hi--
			if s.Cells[hi].Modality == engine.Text {
				f.Rest++
			}
		}
	}
	pen := pen{f: f, span: span}
	var unit []Item
	var pieces []piece
	flush := func() {
		pen.place(unit, pieces)
		unit, pieces = unit[:0], pieces[:0]
	}
	prev := piece{kind: Blank}
	for p := span.Lo; p < hi; p++ {
		if t := f.Thought; t != nil && p >= t.Lo && p < t.Hi && f.folded {
			if p == t.Lo {
				flush()
				pen.header(t)
				prev = piece{kind: Blank}
			}
			continue
		}
		if s.Cells[p].Modality != engine.Text {
			continue
		}
		pc := f.piece(s, p, f.texts[p-span.Lo], final)
		if pc.hidden {
			continue
		}
		pc.glued = pc.kind == Word && prev.kind == Word && pc.space == 0 && prev.after == 0 && pc.before == 0 &&
			prev.breaks == 0 && !wide(pc.text) && !wide(prev.text)
		if !pc.glued {
			flush()
		}
		unit = append(unit, Item{Pos: p, Kind: pc.kind, Text: pc.text, W: pc.width})
		pieces = append(pieces, pc)
		prev = pc
	}
	flush()
	f.Height = pen.height()
}

// piece cuts the text of position p.
func (f *Flow) piece(s *run.State, p int, text string, final bool) piece {
	c := &s.Cells[p]
	switch {
	case c.Masked:
		return piece{kind: Mask, width: f.mask, space: f.o.Gap / 2, after: f.o.Gap / 2}
	case s.IsEnd(p) || c.AfterEnd && (text == "" || f.o.Special != nil && f.o.Special(text)):
		return piece{kind: Tick, width: f.o.Tick, space: f.o.Gap / 2, after: f.o.Gap / 2, hidden: final}
	case f.o.Special != nil && f.o.Special(text):
		return piece{kind: Blank, hidden: true}
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\t", "    ")
	pc := piece{kind: Word}
	body := strings.TrimLeft(text, " \n")
	lead := text[:len(text)-len(body)]
	pc.text = strings.TrimRight(body, " \n")
	trail := body[len(pc.text):]
	pc.before = min(strings.Count(lead, "\n"), 2)
	if i := strings.LastIndexByte(lead, '\n'); i >= 0 {
		lead = lead[i+1:]
	}
	pc.breaks = min(strings.Count(trail, "\n"), 2)
	pc.text = strings.ReplaceAll(pc.text, "\n", " ")
	pc.space = f.spaces(len(lead))
	if pc.text == "" {
		pc.kind, pc.breaks = Blank, 0
		return pc
	}
	pc.width = f.measure(pc.text)
	if pc.breaks == 0 {
		pc.after = f.spaces(len(trail))
	}
	return pc
}

func (f *Flow) spaces(n int) float32 {
	if n == 0 {
		return 0
	}
	// Measured between letters, as a lone space has no width in some renderers.
	return float32(n) * (f.measure("n n") - f.measure("nn"))
}

func (f *Flow) measure(text string) float32 {
	w, ok := f.widths[text]
	if !ok {
		if len(f.widths) > 1<<15 {
			clear(f.widths)
		}
		w = f.o.Measure(text)
		f.widths[text] = w
	}
	return w
}

// joined appends the texts of span to dst; a character whose bytes are spread over committed tokens goes to the first.
func joined(dst []string, s *run.State, span engine.Span) []string {
	for p := span.Lo; p < span.Hi; p++ {
		dst = append(dst, s.Cells[p].Text)
	}
	for i := range dst {
		t := dst[i]
		cut := incomplete(t)
		if cut < 0 {
			continue
		}
		need := t[cut:]
		for j := i + 1; j < len(dst) && j < i+4 && !s.Cells[span.Lo+j].Masked; j++ {
			k := 0
			for k < len(dst[j]) && k < utf8.UTFMax && !utf8.RuneStart(dst[j][k]) {
				k++
			}
			if k == 0 {
				break
			}
			need += dst[j][:k]
			dst[j] = dst[j][k:]
			if utf8.ValidString(need) {
				break
			}
		}
		dst[i] = t[:cut] + need
	}
	for i := range dst {
		dst[i] = strings.ToValidUTF8(dst[i], "\uFFFD")
	}
	return dst
}

// incomplete is where a character begins whose last bytes are missing at the end of t, or -1.
func incomplete(t string) int {
	for i := len(t) - 1; i >= 0 && i >= len(t)-3; i-- {
		if utf8.RuneStart(t[i]) {
			if t[i] >= utf8.RuneSelf && !utf8.FullRuneInString(t[i:]) {
				return i
			}
			return -1
		}
	}
	return -1
}

// wide reports whether lines may break around t: scripts written without spaces.
func wide(t string) bool {
	r, _ := utf8.DecodeRuneInString(t)
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai)
}

// thought finds the tags in the committed texts of span.
func thought(s *run.State, span engine.Span, texts []string) *Thought {
	var b strings.Builder
	starts := make([]int, 0, len(texts))
	for i, t := range texts {
		starts = append(starts, b.Len())
		if s.Cells[span.Lo+i].Masked {
			t = "\x00"
		}
		b.WriteString(t)
	}
	all := b.String()
	open := strings.Index(all, "<think>")
	if open < 0 {
		return nil
	}
	at := func(off int) int { // position that holds byte off
		lo := 0
		for lo+1 < len(starts) && starts[lo+1] <= off {
			lo++
		}
		return span.Lo + lo
	}
	t := &Thought{Lo: at(open), Hi: span.Hi}
	if end := strings.Index(all[open:], "</think>"); end >= 0 {
		t.Hi, t.Closed = at(open+end+len("</think>")-1)+1, true
	}
	return t
}

// Visible is what is drawn of a token's text: no spaces around it, no line breaks, valid UTF-8.
func Visible(text string) string {
	text = strings.Trim(strings.ReplaceAll(text, "\r", ""), " \n\t")
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\n", " "), "\uFFFD")
}
