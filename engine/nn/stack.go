package nn

import (
	"context"
	"fmt"

	"unmask/engine"
	"unmask/engine/tensor"
)

// Stack is a transformer from tokens to logits: embedding, blocks, final norm, head. It is the network of every family
// built on LLaMA; families differ in the names of their weights, in biases, norms and feed-forwards.
type Stack struct {
	Embed  tensor.Tensor // [V, D]
	Blocks []Block
	Norm   RMSNorm
	Head   Linear // [V, D]
	Config Config

	be    tensor.Backend
	watch func(name string, x tensor.Tensor)
	pass  pass
	cache cache
	out   logits
}

// Config shapes a [Stack].
type Config struct {
	Vocab, Width, Layers int
	MaxLen               int // longest row
	// Causal limits attention: a query sees the keys whose block number, position / Causal, is not above its own. 0: all
	// keys; 1: ordinary causal attention.
	Causal int
	// Pads says what rows that Input.Hide marks attend to themselves; their outputs are never wanted by a run.
	Pads PadRule
	// SkipPads numbers positions over visible tokens only; pads take position SkipPad. Otherwise every position counts.
	SkipPads bool
	SkipPad  int32
	// Shift makes the logits of position i those that the network gives at i-1 (at 0 for position 0): the convention of
	// models that keep the next-token offset of their autoregressive parent.
	Shift bool
}

// PadRule is what a hidden position attends to.
type PadRule uint8

// The rules. Both give finite numbers that no visible position depends on.
const (
	PadsSeeTokens PadRule = iota // the visible keys: an additive key mask
	PadsSeeAll                   // nothing is allowed, which the finite minimum of PyTorch turns into all keys evenly
)

// pass is the plan of one forward: what is fed, where it goes, what is wanted. Its slices are reused.
type pass struct {
	lens   []int
	ids    []engine.Token
	rows   []int // first fed row of each sequence
	lo     []int // first fed position of each sequence
	want   []int // fed row of every wanted position, row after row
	pos    []int // wanted absolute positions of row 0
	slots  []int
	seqs   []tensor.Seq
	table  []byte // which key each query may see
	shared Shared
}

// Bind makes s ready to run on be; Embed, Blocks, Norm, Head and Config are set.
func (s *Stack) Bind(be tensor.Backend) {
	s.be = be
	s.out.s, s.out.budget = s, headBudget
}

// Watch calls fn with every activation of later passes while their memory is valid: "embed", "block0" and so on, "ln_f"
// (all fed rows, [T, D]). nil ends it. For tests; watching costs the norm of rows that nobody wants.
func (s *Stack) Watch(fn func(name string, x tensor.Tensor)) { s.watch = fn }

// Forward evaluates the network once; see [engine.Denoiser]. Rows are one sequence or two (a guided pass).
func (s *Stack) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.plan(in); err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	be, p := s.be, &s.pass
	s.out.prepare(p)
	mark := be.Mark()
	defer be.Release(mark)
	if err := s.masks(in); err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	t := len(p.ids)
	x := be.Alloc(tensor.F32, t, s.Config.Width)
	h := be.Alloc(tensor.F32, t, s.Config.Width)
	p.shared.Alloc(be, &s.Blocks[0].Attn, t)
	be.Embed(x, s.Embed, p.ids)
	s.see("embed", -1, x)
	for i := range s.Blocks {
		if err := ctx.Err(); err != nil {
			s.cache.drop()
			return nil, err
		}
		s.Blocks[i].Apply(be, x, h, &p.shared, s.cache.layer(i))
		s.see("block", i, x)
	}
	if s.watch != nil {
		s.Norm.Apply(be, h, x)
		s.see("ln_f", -1, h)
	}
	s.out.take(x, p)
	if err := be.Err(); err != nil {
		s.cache.drop()
		return nil, fmt.Errorf("forward: %w", err)
	}
	return &s.out, nil
}

func (s *Stack) see(name string, i int, x tensor.Tensor) {
	if s.watch == nil {
		return
	}
	if i >= 0 {
		name = fmt.Sprintf("%s%d", name, i)
	}
	s.watch(name, x)
}

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
	p.ids, p.rows, p.lo, p.slots, p.seqs = p.ids[:0], p.rows[:0], p.lo[:0], p.slots[:0], p.seqs[:0]
	p.shared.Pos = p.shared.Pos[:0]
	base := 0
	for r, n := range p.lens {
		lo, hi, until := 0, n, n
		if cached {
			shift := r * in.WantOther
			lo, hi = in.Active.Lo+shift, in.Active.Hi+shift
			if in.Until > 0 {
				until = in.Until + shift
			}
			if lo < 0 || lo >= hi || hi > until || until > n {
				return fmt.Errorf("row %d: active [%d, %d) until %d is outside its %d positions", r, lo, hi, until, n)
			}
		}
		first := len(p.ids)
		p.rows, p.lo = append(p.rows, first), append(p.lo, lo)
		p.ids = append(p.ids, in.Tokens[base+lo:base+hi]...)
		s.positions(in.Hide, base, lo, hi)
		seq := tensor.Seq{QLo: first, QHi: len(p.ids), KLo: first, KHi: len(p.ids)}
		if cached {
			seq.KLo, seq.KHi = base, base+until
		}
		p.seqs = append(p.seqs, seq)
		if cached || in.Keep {
			for i := lo; i < hi; i++ {
				p.slots = append(p.slots, base+i)
			}
		}
		base += n
	}
	p.shared.Opts.Seqs = p.seqs
	p.shared.FromCache = cached
	p.shared.Slots = nil
	if len(p.slots) > 0 {
		p.shared.Slots = p.slots
	}
	return s.wanted(in)
}

// lengths checks the rows and token ids of in.
func (s *Stack) lengths(in engine.Input) error {
	p := &s.pass
	p.lens = append(p.lens[:0], in.Lens...)
	if len(in.Lens) == 0 {
		p.lens = append(p.lens, len(in.Tokens))
	}
	if len(p.lens) > 2 {
		return fmt.Errorf("%d rows; a pass has one, or two when guided", len(p.lens))
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
		if id < 0 || int(id) >= s.Config.Vocab {
			return fmt.Errorf("token %d at %d is outside the vocabulary of %d", id, i, s.Config.Vocab)
		}
	}
	return nil
}

// positions appends the rotary positions of fed positions [lo, hi) of the row that starts at base.
func (s *Stack) positions(hide []bool, base, lo, hi int) {
	pos := s.pass.shared.Pos
	if hide == nil || !s.Config.SkipPads {
		for i := lo; i < hi; i++ {
			pos = append(pos, int32(i))
		}
		s.pass.shared.Pos = pos
		return
	}
	next := int32(0)
	for i := range hi {
		at := next
		if hide[base+i] {
			at = s.Config.SkipPad
		} else {
			next++
		}
		if i >= lo {
			pos = append(pos, at)
		}
	}
	s.pass.shared.Pos = pos
}

// wanted turns Want into fed rows.
func (s *Stack) wanted(in engine.Input) error {
	p := &s.pass
	p.pos, p.want = p.pos[:0], p.want[:0]
	if in.Want == nil {
		for i := range p.seqs[0].QHi - p.seqs[0].QLo {
			p.pos = append(p.pos, p.lo[0]+i)
		}
	} else {
		p.pos = append(p.pos, in.Want...)
	}
	for r := range p.lens {
		fed := p.seqs[r].QHi - p.seqs[r].QLo
		for i, w := range p.pos {
			if i > 0 && w <= p.pos[i-1] {
				return fmt.Errorf("wanted positions are not ascending: %d after %d", w, p.pos[i-1])
			}
			at := w + r*in.WantOther
			if s.Config.Shift && at > 0 {
				at--
			}
			at -= p.lo[r]
			if at < 0 || at >= fed {
				return fmt.Errorf("row %d: wanted position %d is not among the fed [%d, %d)",
					r, w+r*in.WantOther, p.lo[r], p.lo[r]+fed)
			}
			p.want = append(p.want, p.rows[r]+at)
		}
	}
	return nil
}

// masks sets what queries may see beyond their sequence: hidden pads and block-causal attention.
func (s *Stack) masks(in engine.Input) error {
	o := &s.pass.shared.Opts
	o.Hide, o.Allow = in.Hide, nil
	pairs := in.Hide != nil && s.Config.Pads == PadsSeeAll
	if s.Config.Causal == 0 && !pairs {
		return nil
	}
	if s.pass.shared.FromCache {
		// The fed block is the last one that the cached keys up to Until reach, so it sees them all.
		return nil
	}
	t, widest := len(s.pass.ids), 0
	for _, q := range s.pass.seqs {
		widest = max(widest, q.KHi-q.KLo)
	}
	s.pass.table = zeroed(s.pass.table, t*widest)
	table := s.pass.table
	for _, q := range s.pass.seqs {
		for i := q.QLo; i < q.QHi; i++ {
			row := table[i*widest:]
			for j := range q.KHi - q.KLo {
				ok := s.Config.Causal == 0 || j/s.Config.Causal <= (i-q.QLo)/s.Config.Causal
				if in.Hide != nil && (in.Hide[q.KLo+j] || pairs && in.Hide[i]) {
					ok = false
				}
				if ok {
					row[j] = 1
				}
			}
		}
	}
	o.Hide = nil
	o.Allow = s.be.Alloc(tensor.U8, t, widest)
	s.be.Upload(o.Allow, table, tensor.U8)
	return s.be.Err()
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
