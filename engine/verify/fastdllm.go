package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
)

// verifyFastDLLM checks the runs of Fast-dLLM: no cache, prefix cache and dual cache, by count, by threshold and by
// factor, and the outputs of the first cached passes.
func verifyFastDLLM(ctx context.Context, f *folder) error {
	if err := verifyCachedCalls(ctx, f); err != nil {
		return err
	}
	var checkpoints [2]string
	for i, key := range []string{"checkpoint_for_runs", "checkpoint_for_gqa_runs"} {
		if err := f.decode(key, &checkpoints[i]); err != nil {
			return err
		}
	}
	open := map[string]*network{}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error {
		r, err := decodeRun(raw)
		if err != nil {
			return err
		}
		if !slices.Contains(checkpoints[:], r.Checkpoint) {
			return fmt.Errorf("checkpoint %q is not one of %q", r.Checkpoint, checkpoints)
		}
		n := open[r.Checkpoint]
		if n == nil {
			if n, err = openNetwork(ctx, f, filepath.Join(f.dir, filepath.FromSlash(r.Checkpoint))); err != nil {
				return err
			}
			open[r.Checkpoint] = n
			f.number("mask_id", int(n.Spec().Mask))
		}
		return verifyFastRun(ctx, f, n, name, r)
	})
}

// fastCall is what a run fed and held in one pass.
type fastCall struct {
	state []engine.Token
	fed   [2]int
}

func verifyFastRun(ctx context.Context, f *folder, n *network, name string, r textRun) error {
	prefix := "run." + name + "."
	b, err := f.batch(prefix+"prompt", prefix+"attention_mask")
	if err != nil {
		return err
	}
	quirks := denoise.Quirks{MaskIsToken: true, AllIDs: true, SecondPass: r.Version == "jun" && r.Variant != "plain"}
	var blocks []engine.Span
	calls := make([]map[engine.Span][]fastCall, len(b.prompts))
	finals := make([][]engine.Token, len(b.prompts))
	for row, prompt := range b.prompts {
		p, net, err := followFast(ctx, f, n, prefix, r, row, prompt, quirks)
		if r.Raises != "" && quirks.SecondPass {
			f.refused(name, r, err)
			return nil
		}
		if err != nil {
			return err
		}
		calls[row], blocks = map[engine.Span][]fastCall{}, nil
		for i, span := range p.blocks {
			if len(blocks) == 0 || blocks[len(blocks)-1] != span {
				blocks = append(blocks, span)
			}
			calls[row][span] = append(calls[row][span], fastCall{p.states[i], net.fed[i]})
		}
		finals[row] = p.states[len(p.states)-1]
	}
	if r.Raises != "" {
		f.alone(name, r, finals)
		return nil
	}
	states, ranges := together(blocks, calls, finals)
	f.trajectory(prefix+"traj", states)
	f.masksLeft(prefix, r, states)
	if r.NFE == nil || r.Calls == nil {
		return fmt.Errorf("nfe or forward_calls is missing")
	}
	f.same(prefix+"nfe", []int{len(ranges) / 2, len(ranges) / 2}, []int{*r.NFE, *r.Calls}, []int{2})
	f.same(prefix+"gumbel_draws", []int{len(f.names(prefix + "gumbel_uniform."))}, []int{r.Draws}, []int{1})
	var want []int
	for _, x := range r.Ranges {
		want = append(want, x[0], x[1])
	}
	f.same(prefix+"call_ranges", ranges, want, []int{len(want) / 2, 2})
	return nil
}

// followFast runs one row of a batch.
func followFast(ctx context.Context, f *folder, n *network, prefix string, r textRun, row int, prompt []engine.Token, quirks denoise.Quirks) (path, *replay, error) {
	net := r.network(n)
	if r.Temp != 0 {
		draws := 0 // made before the current pass
		last := -1
		net.draw = func(call, pos int, logits []float32) (int, error) {
			span := net.fed[call]
			if call != last {
				// With the prefix cache a pass over the suffix draws twice and ignores the first draw.
				if r.Variant == "prefix" && net.partial[call] {
					f.ignoredDraw(fmt.Sprintf("%sgumbel_uniform.%03d", prefix, draws), []int{span[1] - span[0], len(logits)})
					draws++
				}
				draws++
				last = call
			}
			u, err := f.recorded(fmt.Sprintf("%sgumbel_uniform.%03d", prefix, draws-1), 3)
			if err != nil {
				return 0, err
			}
			return u.draw(logits, r.Temp, row, pos-span[0])
		}
	}
	m, err := r.loop(net, len(prompt), quirks)
	if err != nil {
		return path{}, nil, err
	}
	if r.Remasking == "random" {
		m.Noise = func(step int) engine.Noise {
			u, _ := f.noise(fmt.Sprintf("%sremask_uniform.%03d", prefix, step), 2)
			return u.order(net.fed[step][0], row)
		}
	}
	p, err := follow(ctx, m, textSequence(prompt, r.Length, r.Mask), r.options())
	return p, net, err
}

// ignoredDraw checks that a draw that the official code makes and does not use is there, for [L, V] of each row.
func (f *folder) ignoredDraw(name string, shape []int) {
	u, err := f.noise(name, 3)
	if u == nil || err != nil {
		f.fail(name, fmt.Errorf("an ignored draw is not recorded: %w", err))
		return
	}
	f.same(name+".shape", u.shape[1:], shape, []int{2})
}

// together lines the rows of a batch up as the official code runs them: a block lasts until every row has filled it, and
// a row that is done waits. It returns states [B][calls+1][L] and the range fed in each call, flattened.
func together(blocks []engine.Span, calls []map[engine.Span][]fastCall, finals [][]engine.Token) (states [][][]int, ranges []int) {
	states = make([][][]int, len(calls))
	for i, block := range blocks {
		longest := 0
		for row := range calls {
			if len(calls[row][block]) > len(calls[longest][block]) {
				longest = row
			}
		}
		for c, call := range calls[longest][block] {
			ranges = append(ranges, call.fed[0], call.fed[1])
			for row := range calls {
				state := waiting(blocks[i+1:], calls[row], finals[row])
				if own := calls[row][block]; c < len(own) {
					state = own[c].state
				}
				states[row] = append(states[row], toInts(state))
			}
		}
	}
	for row := range calls {
		states[row] = append(states[row], toInts(finals[row]))
	}
	return states, ranges
}

// waiting is the state of a row that is done with a block: what it has when its next one begins, or its last state.
func waiting(next []engine.Span, calls map[engine.Span][]fastCall, final []engine.Token) []engine.Token {
	for _, block := range next {
		if own := calls[block]; len(own) > 0 {
			return own[0].state
		}
	}
	return final
}

// refused checks that the loop refuses settings on which the official code throws.
func (f *folder) refused(name string, r textRun, err error) {
	f.add(Check{Name: "run." + name + ".raises", Pass: err != nil, Note: fmt.Sprintf("official: %s; here: %v", r.Raises, err)})
}

// alone checks a batch on which the official code throws because of its other rows: each row by itself must finish.
func (f *folder) alone(name string, r textRun, finals [][]engine.Token) {
	left := 0
	for _, s := range finals {
		left += count(toInts(s), r.Mask)
	}
	f.add(Check{Name: "run." + name + ".raises", Err: float64(left), Pass: left == 0,
		Note: fmt.Sprintf("official: %s; here every row runs by itself", r.Raises)})
}

func toInts(tokens []engine.Token) []int {
	out := make([]int, len(tokens))
	for i, t := range tokens {
		out[i] = int(t)
	}
	return out
}
