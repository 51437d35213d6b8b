package verify

import (
	"context"
	"encoding/json"
	"fmt"

	"unmask/engine"
	"unmask/engine/nn"
	"unmask/engine/token"
)

// verifyLLaDAMoE checks the llada-moe folder: the sparse network, and LLaDA's sampler over it.
func verifyLLaDAMoE(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	if err := verifyForwards(ctx, f, n); err != nil {
		return err
	}
	if err := verifyText(ctx, f, n); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error { return verifyLLaDARun(ctx, f, n, name, raw) })
}

// verifyText checks the tokenizer, the special ids and the names of tensors of a family beyond LLaDA.
func verifyText(ctx context.Context, f *folder, n *network) error {
	family := n.Spec().Family
	tok, err := token.Open(besides{f.dir}, family)
	if err != nil {
		return err
	}
	if err := verifySpecial(f, tok); err != nil {
		return err
	}
	f.number("mask_id", int(n.Spec().Mask))
	if err := verifyTensorNames(f); err != nil {
		return err
	}
	return verifyTokenizer(ctx, f, f.dir, family)
}

// verifyForwards checks forwardN.* and padded.* of a family whose pads are hidden keys. The recorded logits are the
// network's own, before any shift.
func verifyForwards(ctx context.Context, f *folder, n *network) error {
	config := n.Stack.Config
	defer func() { n.Stack.Config = config }()
	n.Stack.Config.Shift = false
	for i := 0; f.has(fmt.Sprintf("forward%d.input_ids", i)); i++ {
		if err := verifyForward(ctx, f, n, fmt.Sprintf("forward%d.", i), nil, 0); err != nil {
			return err
		}
	}
	if !f.has("padded.input_ids") {
		return nil
	}
	pads, err := f.hide("padded.attention_mask")
	if err != nil {
		return err
	}
	if err := verifyForward(ctx, f, n, "padded.", pads, 0); err != nil {
		return err
	}
	if f.has("padded.position_ids") {
		f.equal("padded.position_ids", positions(n))
	}
	return nil
}

// verifyForward checks one pass over prefix+"input_ids": its activations and logits.
func verifyForward(ctx context.Context, f *folder, n *network, prefix string, hide []bool, block int) error {
	in, err := f.tokens(prefix + "input_ids")
	if err != nil {
		return err
	}
	in.Hide, in.Block = hide, block
	logits, err := n.forward(ctx, in)
	if err != nil {
		return err
	}
	f.activations(prefix, n, nil)
	f.near(prefix+"logits", logits)
	return nil
}

// positions are the rotary positions of the last pass.
func positions(n *network) []int {
	var out []int
	for _, p := range n.Stack.Positions() {
		out = append(out, int(p))
	}
	return out
}

// verifyBlockNetwork checks the passes of the bd3lm folder: block-causal ones with left pads, one without a mask, and one
// in the layout of training, a noised copy before a clean one.
func verifyBlockNetwork(ctx context.Context, f *folder, n *network) error {
	config := n.Stack.Config
	defer func() { n.Stack.Config = config }()
	var blocks []int
	if err := f.decode("forward_block_size", &blocks); err != nil {
		return err
	}
	n.Stack.Config.Pads, n.Stack.Config.SkipPads, n.Stack.Config.SkipPad = nn.PadsSeeNothing, true, 0
	for i, block := range blocks {
		if block < 1 {
			return fmt.Errorf("forward_block_size: %d", block)
		}
		prefix := fmt.Sprintf("forward%d.", i)
		hide, err := verifyBlockMask(f, prefix+"attention_mask", block)
		if err != nil {
			return err
		}
		if err := verifyForward(ctx, f, n, prefix, hide, block); err != nil {
			return err
		}
		f.equal(prefix+"position_ids", positions(n))
	}
	if err := verifyForward(ctx, f, n, "bidirectional.", nil, 0); err != nil {
		return err
	}
	return verifyForced(ctx, f, n, "training_layout.")
}

// verifyBlockMask reads a recorded mask [1, 1, L, L], returns which positions are pads, and checks that the rest follows
// from them: a query sees the visible keys of its own block and of those before it, and pads see nothing.
func verifyBlockMask(f *folder, name string, block int) ([]bool, error) {
	mask, shape, err := f.ints(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 4 || shape[2] != shape[3] || shape[0]*shape[1] != 1 {
		return nil, fmt.Errorf("%s: shape %v, want [1, 1, L, L]", name, shape)
	}
	l := shape[2]
	hide := make([]bool, l)
	for i := range hide {
		hide[i] = mask[i*l+i] == 0
	}
	want := make([]int, l*l)
	for q := range l {
		for k := range l {
			if !hide[q] && !hide[k] && k/block <= q/block {
				want[q*l+k] = 1
			}
		}
	}
	f.same(name, want, mask, shape)
	return hide, nil
}

// verifyForced checks a pass under the recorded positions and mask.
func verifyForced(ctx context.Context, f *folder, n *network, prefix string) error {
	pos, _, err := f.ints(prefix + "position_ids")
	if err != nil {
		return err
	}
	mask, shape, err := f.ints(prefix + "attention_mask")
	if err != nil {
		return err
	}
	l := len(pos)
	if len(mask) != l*l {
		return fmt.Errorf("%sattention_mask: shape %v for %d positions", prefix, shape, l)
	}
	at := make([]int32, l)
	for i, p := range pos {
		at[i] = int32(p)
	}
	n.Stack.Force(at, func(q, k int) bool { return mask[q*l+k] != 0 })
	defer n.Stack.Force(nil, nil)
	return verifyForward(ctx, f, n, prefix, nil, 0)
}

// prefix is what a call without cache was given.
type prefix struct {
	tokens []engine.Token
	hide   []bool
}

// verifyBlockCalls checks run.<run>.call.NNN.* of the bd3lm folder: passes over a prefix, which fill the cache, and passes
// over one block that read it. sides is 2 when guided: calls then alternate between conditional and unconditional.
func verifyBlockCalls(ctx context.Context, f *folder, n *network, run string, block, sides int) error {
	config := n.Stack.Config
	defer func() { n.Stack.Config = config }()
	n.Stack.Config.Pads, n.Stack.Config.SkipPads, n.Stack.Config.SkipPad = nn.PadsSeeNothing, true, 0
	kept := make([]prefix, sides)
	for i := 0; ; i++ {
		call := fmt.Sprintf("run.%s.call.%03d.", run, i)
		if !f.has(call + "input_ids") {
			return nil
		}
		in, err := f.tokens(call + "input_ids")
		if err != nil {
			return err
		}
		mask, shape, err := f.ints(call + "attention_mask")
		if err != nil {
			return err
		}
		l := len(in.Tokens)
		if len(shape) != 4 || shape[2] != l || shape[3] < l {
			return fmt.Errorf("%sattention_mask: shape %v for %d tokens", call, shape, l)
		}
		side := &kept[i%sides]
		if shape[3] == l {
			hide, err := verifyBlockMask(f, call+"attention_mask", block)
			if err != nil {
				return err
			}
			*side = prefix{tokens: in.Tokens, hide: hide}
			if err := verifyForward(ctx, f, n, call, hide, block); err != nil {
				return err
			}
			f.equal(call+"position_ids", positions(n))
			continue
		}
		if err := verifyBlockCall(ctx, f, n, call, side, block, in.Tokens, mask, shape); err != nil {
			return err
		}
	}
}

// verifyBlockCall checks a pass over block after its prefix. The cache is filled by a pass whose block holds other tokens:
// under block-causal attention the prefix cannot know.
func verifyBlockCall(ctx context.Context, f *folder, n *network, call string, p *prefix, length int, block []engine.Token, mask, shape []int) error {
	l, lo := len(block), len(p.tokens)
	if shape[3] != lo+l {
		return fmt.Errorf("%sattention_mask: shape %v for %d tokens after %d", call, shape, l, lo)
	}
	in := engine.Input{
		Tokens: append(append([]engine.Token(nil), p.tokens...), make([]engine.Token, l)...),
		Hide:   append(append([]bool(nil), p.hide...), make([]bool, l)...),
		Keep:   true,
		Block:  length,
	}
	if _, err := n.forward(ctx, in); err != nil {
		return err
	}
	copy(in.Tokens[lo:], block)
	in.Keep, in.Active = false, engine.Span{Lo: lo, Hi: lo + l}
	logits, err := n.forward(ctx, in)
	if err != nil {
		return err
	}
	want := make([]int, 0, len(mask))
	for range l {
		for _, h := range in.Hide {
			seen := 1
			if h {
				seen = 0
			}
			want = append(want, seen)
		}
	}
	f.same(call+"attention_mask", want, mask, shape)
	f.equal(call+"position_ids", positions(n))
	f.near(call+"logits", logits)
	return nil
}

// verifyLLaDA2Network checks the passes of the llada2-mini folder: block-causal ones, with attention, routers and shared
// experts, and one without a mask.
func verifyLLaDA2Network(ctx context.Context, f *folder, n *network) error {
	var blocks []int
	if err := f.decode("forward_block_size", &blocks); err != nil {
		return err
	}
	for i, block := range blocks {
		if block < 1 {
			return fmt.Errorf("forward_block_size: %d", block)
		}
		prefix := fmt.Sprintf("forward%d.", i)
		if err := verifyForward(ctx, f, n, prefix, nil, block); err != nil {
			return err
		}
		for layer := range n.Blocks {
			m, ok := n.Blocks[layer].MLP.(*nn.MoE)
			router := fmt.Sprintf("%srouter%d.", prefix, layer)
			if !ok || !f.has(router+"logits") {
				continue
			}
			f.near(router+"logits", n.seen[fmt.Sprintf("router%d", layer)])
			if err := verifyRouting(f, m, router); err != nil {
				return err
			}
		}
	}
	return verifyForward(ctx, f, n, "no_mask.", nil, 0)
}

// verifyRouting compares the experts that each token was given to, as a set, and their weights.
func verifyRouting(f *folder, m *nn.MoE, router string) error {
	experts, shape, err := f.ints(router + "experts")
	if err != nil {
		return err
	}
	n := len(m.Experts)
	all := m.Weights()
	if len(shape) != 2 || shape[0]*n != len(all) {
		return fmt.Errorf("%sexperts: shape %v for weights of %d tokens", router, shape, len(all)/n)
	}
	weights := make([]float32, len(experts))
	var got []int
	for i, e := range experts {
		if e < 0 || e >= n {
			return fmt.Errorf("%sexperts: expert %d of %d", router, e, n)
		}
		weights[i] = all[i/shape[1]*n+e] // 0, and so wrong, for an expert that we did not choose
	}
	want := make([]int, shape[0])
	for t := range shape[0] {
		chosen := 0
		for _, w := range all[t*n : (t+1)*n] {
			if w != 0 {
				chosen++
			}
		}
		got, want[t] = append(got, chosen), shape[1]
	}
	f.same(router+"experts", got, want, shape[:1])
	f.near(router+"weights", weights)
	return nil
}
