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
	Norm   Norm
	Head   Linear // [V, D]
	Config Config
	// Position, when not nil, is added to the embeddings by position, and EmbedNorm then normalises them.
	Position  tensor.Tensor // [MaxLen, D]
	EmbedNorm Norm
	// Steps is the number of denoising steps that a network with a time input was trained with; 0: it has no such number.
	Steps int
	// Condition, when not nil, sets the noise level sigma that the network is told, which starts at 0, and returns the
	// vector that it becomes. It is for networks with a time input.
	Condition func(sigma float64) []float32

	be    tensor.Backend
	watch func(name string, x tensor.Tensor)

	forcePos []int32
	forceSee func(q, k int) bool

	features tensor.Tensor // [n or more, D]
	seen     int           // rows of features in use

	kept     []kept        // of [Lazy], by layer
	keptRoom int           // rows
	held     tensor.Tensor // of [Confident], [rows or more, D]

	pass  pass
	cache cache
	out   logits
}

// Config shapes a [Stack].
type Config struct {
	Vocab, Width, Layers int
	MaxLen               int // longest row
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

// The rules. All give finite numbers that no visible position depends on.
const (
	PadsSeeTokens  PadRule = iota // the visible keys: an additive key mask
	PadsSeeAll                    // nothing is allowed, which the finite minimum of PyTorch turns into all keys evenly
	PadsSeeNothing                // nothing; the attention output of a pad is zero
)

// Bind makes s ready to run on be; Embed, Blocks, Norm, Head and Config are set.
func (s *Stack) Bind(be tensor.Backend) {
	s.be = be
	s.out.s, s.out.budget = s, headBudget
}

// Force gives the rows of later passes positions and visibility of their own: pos[i] is the rotary position of row
// position i, and see reports whether query position q attends to key position k. A position that sees nothing gets zero.
// nil, nil ends it. For tests of masks that no run uses, such as those of training.
func (s *Stack) Force(pos []int32, see func(q, k int) bool) { s.forcePos, s.forceSee = pos, see }

// Positions are the rotary positions of the rows that the last pass fed. For tests.
func (s *Stack) Positions() []int32 { return s.pass.shared.Pos }

// Watch calls fn with every activation of later passes while their memory is valid: "embed", "block0" and so on, "ln_f"
// (all fed rows, [T, D]), "attention0" before it is added, "key0" before rotation, "value0", "router0" and "shared0" of sparse blocks. nil ends it. For tests; watching costs the norm of rows that nobody wants.
func (s *Stack) Watch(fn func(name string, x tensor.Tensor)) {
	s.watch = fn
	for i := range s.Blocks {
		m, ok := s.Blocks[i].MLP.(*MoE)
		switch {
		case !ok:
		case fn == nil:
			m.Watch(nil)
		default:
			m.Watch(func(name string, x tensor.Tensor) { s.see(name, i, x) })
		}
	}
}

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
	s.masks(in)
	t := len(p.ids)
	x := be.Alloc(tensor.F32, t, s.Config.Width)
	h := be.Alloc(tensor.F32, t, s.Config.Width)
	p.shared.Alloc(be, &s.Blocks[0].Attn, t)
	s.embed(x)
	s.place(x, h)
	s.see("embed", -1, x)
	for i := range s.Blocks {
		if err := ctx.Err(); err != nil {
			s.cache.drop()
			return nil, err
		}
		if p.shared.see = nil; s.watch != nil {
			p.shared.see = func(name string, x tensor.Tensor) { s.see(name, i, x) }
		}
		if i == len(s.Blocks)-1 && s.narrow() {
			s.out.takeRows(s.applyLast(x, s.cache.layer(i)))
			return s.finish()
		}
		s.Blocks[i].Apply(be, x, h, &p.shared, s.cache.layer(i))
		s.see("block", i, x)
	}
	if s.watch != nil {
		s.Norm.Apply(be, h, x)
		s.see("ln_f", -1, h)
	}
	s.out.take(x, p)
	return s.finish()
}

// finish returns the logits of a pass, or what failed.
func (s *Stack) finish() (engine.Logits, error) {
	if err := s.be.Err(); err != nil {
		s.cache.drop()
		return nil, fmt.Errorf("forward: %w", err)
	}
	return &s.out, nil
}

// place adds the positions' embeddings to x and normalises, where the network does so; h is scratch.
func (s *Stack) place(x, h tensor.Tensor) {
	if s.Position == nil {
		return
	}
	p := &s.pass
	p.places = p.places[:0]
	for _, i := range p.shared.Pos {
		p.places = append(p.places, engine.Token(i))
	}
	s.be.Embed(h, s.Position, p.places)
	s.be.Add(x, h)
	s.EmbedNorm.Apply(s.be, x, x)
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
