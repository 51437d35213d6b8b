package nn

import (
	"fmt"

	"unmask/engine"
	"unmask/engine/tensor"
)

// pass is the plan of one forward: what is fed, where it goes, what is wanted. Its slices are reused.
type pass struct {
	lens    []int
	row     []part // of each sequence
	ids     []engine.Token
	want    []int   // fed row of every wanted position, row after row
	wantPos []int32 // their rotary positions
	pos     []int   // wanted absolute positions of row 0
	slots   []int   // cache row of each fed row
	seqs    []tensor.Seq
	table   []byte // which key each query may see
	shared  Shared
	places  []engine.Token // shared.Pos as rows of a table

	at   []int // fed rows that are features
	from []int // the feature of each
}

// part is what a pass does with one row: positions [lo, hi) are fed as rows from first on, and attend to positions
// [0, until) of keys that begin at key. block and origin are engine.Input's.
type part struct{ base, lo, hi, first, key, until, block, origin int }

// number is the block that position i lies in.
func (x part) number(i int) int {
	d := i - x.origin
	n := d / x.block
	if d < 0 && d%x.block != 0 {
		n--
	}
	return n
}

// end is where the block of position i ends.
func (x part) end(i int) int { return x.origin + (x.number(i)+1)*x.block }

// plan checks in and fills s.pass and the cache's row table.
func (s *Stack) plan(in engine.Input) error {
	p := &s.pass
	if err := s.lengths(in); err != nil {
		return err
	}
	cached := in.Active != engine.Span{}
	if cached && !s.cache.holds(p.lens) {
		return fmt.Errorf("an active pass needs a pass with Keep over rows of the same lengths before it; have %v, kept %v",
			p.lens, s.cache.lens)
	}
	if !cached && in.Keep {
		s.cache.fit(s, p.lens)
	}
	p.ids, p.row, p.slots = p.ids[:0], p.row[:0], p.slots[:0]
	p.shared.Pos = p.shared.Pos[:0]
	base := 0
	for r, n := range p.lens {
		x, err := s.part(in, r, base)
		if err != nil {
			return err
		}
		p.row = append(p.row, x)
		p.ids = append(p.ids, in.Tokens[base+x.lo:base+x.hi]...)
		s.positions(in.Hide, x)
		if cached || in.Keep {
			for i := x.lo; i < x.hi; i++ {
				p.slots = append(p.slots, base+i)
			}
		}
		base += n
	}
	p.shared.FromCache = cached
	p.shared.Slots = nil
	if len(p.slots) > 0 {
		p.shared.Slots = p.slots
	}
	return s.wanted(in)
}

// part is row r of in, whose tokens begin at base.
func (s *Stack) part(in engine.Input, r, base int) (part, error) {
	n, first, shift := s.pass.lens[r], len(s.pass.ids), in.Shift(r)
	if in.Block < 0 {
		return part{}, fmt.Errorf("block length %d", in.Block)
	}
	x := part{base: base, hi: n, first: first, key: first, until: n, block: in.Block, origin: in.Origin + shift}
	if in.Active == (engine.Span{}) {
		return x, nil
	}
	x.lo, x.hi, x.key = in.Active.Lo+shift, in.Active.Hi+shift, base
	if in.Until > 0 {
		x.until = in.Until + shift
	}
	if x.lo < 0 || x.lo >= x.hi || x.hi > x.until || x.until > n {
		return x, fmt.Errorf("row %d: active [%d, %d) until %d is outside its %d positions", r, x.lo, x.hi, x.until, n)
	}
	if s.Config.Shift && x.lo > 0 {
		x.lo-- // the logits of position lo are the output at lo-1
	}
	if in.Block > 0 {
		x.until = min(x.until, x.end(x.hi-1))
	}
	return x, nil
}

// lengths checks the rows and token ids of in.
func (s *Stack) lengths(in engine.Input) error {
	p := &s.pass
	p.lens = append(p.lens[:0], in.Lens...)
	if len(in.Lens) == 0 {
		p.lens = append(p.lens, len(in.Tokens))
	}
	if len(p.lens) > maxRows {
		return fmt.Errorf("%d rows; a pass has one, or two or %d when guided", len(p.lens), maxRows)
	}
	sum := 0
	for r, n := range p.lens {
		if n < 1 || n > s.Config.MaxLen {
			return fmt.Errorf("row %d has %d positions; the model takes 1 to %d", r, n, s.Config.MaxLen)
		}
		sum += n
	}
	if sum != len(in.Tokens) {
		return fmt.Errorf("rows of %v positions, %d tokens", p.lens, len(in.Tokens))
	}
	if in.Hide != nil && len(in.Hide) != sum {
		return fmt.Errorf("hide has %d entries for %d tokens", len(in.Hide), sum)
	}
	for i, id := range in.Tokens {
		if id < 0 || int(id) >= s.Config.Vocab+s.seen {
			return fmt.Errorf("token %d at %d is outside the vocabulary of %d with %d features", id, i, s.Config.Vocab, s.seen)
		}
	}
	return nil
}

// positions appends the rotary positions of the fed positions of x.
func (s *Stack) positions(hide []bool, x part) {
	pos := s.pass.shared.Pos
	defer func() { s.pass.shared.Pos = pos }()
	if s.forcePos != nil {
		pos = append(pos, s.forcePos[x.lo:x.hi]...)
		return
	}
	if hide == nil || !s.Config.SkipPads {
		for i := x.lo; i < x.hi; i++ {
			pos = append(pos, int32(i))
		}
		return
	}
	next := int32(0)
	for i := range x.hi {
		at := next
		if hide[x.base+i] {
			at = s.Config.SkipPad
		} else {
			next++
		}
		if i >= x.lo {
			pos = append(pos, at)
		}
	}
}

// wanted turns Want into fed rows.
func (s *Stack) wanted(in engine.Input) error {
	p := &s.pass
	p.pos, p.want = p.pos[:0], p.want[:0]
	if in.Want == nil {
		all := engine.Span{Hi: p.row[0].hi}
		if in.Active != (engine.Span{}) {
			all = in.Active
		}
		for i := all.Lo; i < all.Hi; i++ {
			p.pos = append(p.pos, i)
		}
	} else {
		p.pos = append(p.pos, in.Want...)
	}
	for r, x := range p.row {
		for i, w := range p.pos {
			if i > 0 && w <= p.pos[i-1] {
				return fmt.Errorf("wanted positions are not ascending: %d after %d", w, p.pos[i-1])
			}
			at := w + in.Shift(r)
			if s.Config.Shift && at > 0 {
				at--
			}
			if at < x.lo || at >= x.hi {
				return fmt.Errorf("row %d: wanted position %d is not among the fed [%d, %d)", r, w+in.Shift(r), x.lo, x.hi)
			}
			p.want = append(p.want, x.first+at-x.lo)
		}
	}
	return nil
}

// masks sets which keys each fed row sees. Where a whole sequence sees the same keys, sequences and hidden keys say it all;
// else a table does. It allocates scratch memory for the table.
func (s *Stack) masks(in engine.Input) {
	p := &s.pass
	o := &p.shared.Opts
	o.Hide, o.Allow = in.Hide, nil
	p.seqs = p.seqs[:0]
	for _, x := range p.row {
		s.sequences(in.Hide, x)
	}
	o.Seqs = p.seqs
	if !s.needsTable(in.Hide) {
		return
	}
	t, widest := len(p.ids), 0
	for _, q := range p.seqs {
		widest = max(widest, q.KHi-q.KLo)
	}
	p.table = zeroed(p.table, t*widest)
	for _, x := range p.row {
		for q := x.lo; q < x.hi; q++ {
			row := p.table[(x.first+q-x.lo)*widest:]
			for k := range min(x.until, widest) {
				if s.sees(in.Hide, x, q, k) {
					row[k] = 1
				}
			}
		}
	}
	o.Hide = nil
	o.Allow = s.be.Alloc(tensor.U8, t, widest)
	s.be.Upload(o.Allow, p.table, tensor.U8)
}

// sequences appends the sequence of row x, cut where rows that see nothing begin and end.
func (s *Stack) sequences(hide []bool, x part) {
	p := &s.pass
	for lo := x.lo; lo < x.hi; {
		blind := s.blind(hide, x, lo)
		hi := lo + 1
		for hi < x.hi && s.blind(hide, x, hi) == blind {
			hi++
		}
		q := tensor.Seq{QLo: x.first + lo - x.lo, QHi: x.first + hi - x.lo, KLo: x.key, KHi: x.key + x.until}
		if blind {
			q.KHi = q.KLo
		}
		p.seqs = append(p.seqs, q)
		lo = hi
	}
}

// blind reports whether position q of row x attends to nothing and gets zero.
func (s *Stack) blind(hide []bool, x part, q int) bool {
	if s.forceSee != nil {
		for k := range x.until {
			if s.forceSee(q, k) {
				return false
			}
		}
		return true
	}
	return hide != nil && s.Config.Pads == PadsSeeNothing && hide[x.base+q]
}

// needsTable reports whether rows of one sequence see different keys.
func (s *Stack) needsTable(hide []bool) bool {
	if s.forceSee != nil || hide != nil && s.Config.Pads == PadsSeeAll {
		return true
	}
	for _, x := range s.pass.row {
		if x.block > 0 && (x.number(x.lo) != x.number(x.hi-1) || x.until > x.end(x.lo)) {
			return true
		}
	}
	return false
}

// sees reports whether position q of row x attends to position k.
func (s *Stack) sees(hide []bool, x part, q, k int) bool {
	if s.forceSee != nil {
		return s.forceSee(q, k)
	}
	if x.block > 0 && x.number(k) > x.number(q) {
		return false
	}
	if hide == nil {
		return true
	}
	return !hide[x.base+k] && (!hide[x.base+q] || s.Config.Pads != PadsSeeAll)
}

// zeroed is n zero bytes in b's memory where it is large enough.
func zeroed(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	b = b[:n]
	clear(b)
	return b
}
