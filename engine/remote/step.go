package remote

import (
	"encoding/binary"
	"math"
	"time"

	"unmask/engine"
)

// The binary form of a step: index, block (lo, hi, modality), masked, nfe, forward, select, count of changes; a change is
// pos, from, to, kind, prob, margin, entropy, text, count of alternatives; an alternative is token, prob, text. After the
// changes the count of looks; a look is pos, token, prob, margin, entropy, text, count of alternatives. Whole numbers
// are varints, floats their 4 bytes, texts a length and bytes that need not be UTF-8. It is a fifth of the JSON and keeps
// floats that are no numbers.

// leastChange is the fewest bytes that a change has, to check counts against what is left.
const (
	leastChange      = 3 + 1 + 12 + 1 + 1
	leastAlternative = 1 + 4 + 1
	leastLook        = 2 + 12 + 1 + 1
)

func appendStep(b []byte, s engine.Step) []byte {
	for _, v := range []int64{
		int64(s.Index), int64(s.Block.Lo), int64(s.Block.Hi), int64(s.Block.Modality), int64(s.Masked), int64(s.NFE),
		int64(s.Forward), int64(s.Select), int64(len(s.Changes)),
	} {
		b = binary.AppendVarint(b, v)
	}
	for i := range s.Changes {
		c := &s.Changes[i]
		for _, v := range []int64{int64(c.Pos), int64(c.From), int64(c.To), int64(c.Kind)} {
			b = binary.AppendVarint(b, v)
		}
		for _, v := range []float32{c.Prob, c.Margin, c.Entropy} {
			b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
		}
		b = appendTop(appendText(b, c.Text), c.Top)
	}
	b = binary.AppendVarint(b, int64(len(s.Looks)))
	for i := range s.Looks {
		l := &s.Looks[i]
		for _, v := range []int64{int64(l.Pos), int64(l.Token)} {
			b = binary.AppendVarint(b, v)
		}
		for _, v := range []float32{l.Prob, l.Margin, l.Entropy} {
			b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
		}
		b = appendTop(appendText(b, l.Text), l.Top)
	}
	return b
}

func appendTop(b []byte, top []engine.Alternative) []byte {
	b = binary.AppendVarint(b, int64(len(top)))
	for _, a := range top {
		b = binary.AppendVarint(b, int64(a.Token))
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(a.Prob))
		b = appendText(b, a.Text)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

// fields takes the binary form apart. The first failure is kept, and everything after it is zero.
type fields struct {
	b   []byte
	err error
}

func (f *fields) fail(item, format string, args ...any) {
	if f.err == nil {
		f.err = bad(item, format, args...)
	}
	f.b = nil
}

// number is a varint in [lo, hi].
func (f *fields) number(item string, lo, hi int64) int64 {
	if f.err != nil {
		return 0
	}
	v, n := binary.Varint(f.b)
	if n <= 0 {
		f.fail(item, "is cut off")
		return 0
	}
	f.b = f.b[n:]
	if v < lo || v > hi {
		f.fail(item, "%d, want %d to %d", v, lo, hi)
		return 0
	}
	return v
}

// count is a number of items of at least `least` bytes each.
func (f *fields) count(item string, least int) int {
	return int(f.number(item, 0, int64(len(f.b)/least)))
}

func (f *fields) float(item string) float32 {
	if len(f.b) < 4 {
		f.fail(item, "is cut off")
		return 0
	}
	v := math.Float32frombits(binary.BigEndian.Uint32(f.b))
	f.b = f.b[4:]
	return v
}

func (f *fields) text(item string) string {
	n := int(f.number(item, 0, int64(len(f.b))))
	if n > len(f.b) {
		f.fail(item, "%d bytes, %d are left", n, len(f.b))
		return ""
	}
	s := string(f.b[:n])
	f.b = f.b[n:]
	return s
}

// top reads what appendTop wrote.
func (f *fields) top() []engine.Alternative {
	n := f.count("alternatives", leastAlternative)
	if n == 0 {
		return nil
	}
	top := make([]engine.Alternative, n)
	for j := range top {
		top[j].Token = engine.Token(f.number("alternative", math.MinInt32, math.MaxInt32))
		top[j].Prob = f.float("alternative")
		top[j].Text = f.text("alternative")
	}
	return top
}

// parseStep reads what appendStep wrote. Positions and tokens are not compared with a sequence here.
func parseStep(b []byte) (engine.Step, error) {
	const most = math.MaxInt32
	f := &fields{b: b}
	s := engine.Step{Index: int(f.number("index", 0, most))}
	s.Block = engine.Span{Lo: int(f.number("block", 0, most)), Hi: int(f.number("block", 0, most)), Modality: engine.Modality(f.number("modality", 0, int64(engine.Image)))}
	s.Masked, s.NFE = int(f.number("masked", 0, most)), int(f.number("nfe", 0, most))
	s.Forward, s.Select = time.Duration(f.number("forward", math.MinInt64, math.MaxInt64)), time.Duration(f.number("select", math.MinInt64, math.MaxInt64))
	if n := f.count("changes", leastChange); n > 0 {
		s.Changes = make([]engine.Change, n)
	}
	for i := range s.Changes {
		c := &s.Changes[i]
		c.Pos = int(f.number("position", 0, most))
		c.From, c.To = engine.Token(f.number("from", math.MinInt32, most)), engine.Token(f.number("to", math.MinInt32, most))
		c.Kind = engine.ChangeKind(f.number("kind", 0, int64(engine.Edit)))
		c.Prob, c.Margin, c.Entropy = f.float("prob"), f.float("margin"), f.float("entropy")
		c.Text = f.text("text")
		c.Top = f.top()
		if f.err != nil {
			return engine.Step{}, f.err
		}
	}
	if n := f.count("looks", leastLook); n > 0 {
		s.Looks = make([]engine.Look, n)
	}
	for i := range s.Looks {
		l := &s.Looks[i]
		l.Pos, l.Token = int(f.number("position", 0, most)), engine.Token(f.number("token", math.MinInt32, most))
		l.Prob, l.Margin, l.Entropy = f.float("prob"), f.float("margin"), f.float("entropy")
		l.Text = f.text("text")
		l.Top = f.top()
		if f.err != nil {
			return engine.Step{}, f.err
		}
	}
	if f.err == nil && len(f.b) > 0 {
		f.fail("step", "has %d bytes too many", len(f.b))
	}
	return s, f.err
}
