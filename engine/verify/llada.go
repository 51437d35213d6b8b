package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/token"
	"unmask/engine/weights"
)

// lladaQuirks are the habits of LLaDA's generate.py, which MMaDA's text modes copy.
var lladaQuirks = denoise.Quirks{EveryStep: true, EarlierMasks: true, MaskIsToken: true, AllIDs: true}

// verifyLLaDA checks a folder of LLaDA's: the network, every run of the sampler, the likelihood and the tokenizer.
func verifyLLaDA(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	if err := verifyLLaDANetwork(ctx, f, n); err != nil {
		return err
	}
	if err := verifyVocabulary(f, n); err != nil {
		return err
	}
	if err := verifyTokenizer(ctx, f, f.dir, "llada"); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error {
		var kind struct {
			MC *int `json:"mc_num"`
		}
		if err := json.Unmarshal(raw, &kind); err != nil {
			return err
		}
		if kind.MC != nil {
			return verifyLikelihood(ctx, f, n, name, raw)
		}
		return verifyLLaDARun(ctx, f, n, name, raw)
	})
}

// verifyVocabulary checks the special ids and the names of the checkpoint's tensors.
func verifyVocabulary(f *folder, n *network) error {
	tok, err := token.Open(besides{f.dir}, "llada")
	if err != nil {
		return err
	}
	if err := verifySpecial(f, tok); err != nil {
		return err
	}
	f.number("mask_id", int(n.Spec().Mask))
	for key, role := range map[string]string{"eos_id": "eos", "eot_id": "eot"} {
		id, ok := tok.Special(role)
		if !ok {
			id = -1
		}
		f.number(key, int(id))
	}
	return verifyTensorNames(f)
}

// verifyTensorNames checks the names of the checkpoint's tensors.
func verifyTensorNames(f *folder) error {
	set, err := weights.OpenDir(f.dir)
	if err != nil {
		return err
	}
	defer set.Close()
	var names []string
	if err := f.decode("tensor_names", &names); err != nil {
		return err
	}
	slices.Sort(names)
	f.add(Check{Name: "tensor_names", Pass: slices.Equal(names, set.Names())})
	return nil
}

// verifySpecial checks the ids of the special tokens.
func verifySpecial(f *folder, tok *token.Tokenizer) error {
	var special map[string]int
	if err := f.decode("special_ids", &special); err != nil {
		return err
	}
	var got, want []int
	for _, name := range sortedKeys(special) {
		id, ok := tok.Special(name)
		if !ok {
			id = -1
		}
		got, want = append(got, int(id)), append(want, special[name])
	}
	f.same("special_ids", got, want, []int{len(want)})
	return nil
}

func verifyLLaDARun(ctx context.Context, f *folder, n *network, name string, raw json.RawMessage) error {
	r, err := decodeRun(raw)
	if err != nil {
		return err
	}
	return replayLLaDARun(ctx, f, n, name, r)
}

// replayLLaDARun checks a run of LLaDA's sampler.
func replayLLaDARun(ctx context.Context, f *folder, n *network, name string, r textRun) error {
	prefix := "run." + name + "."
	b, err := f.batch(prefix+"prompt", prefix+"attention_mask")
	if err != nil {
		return err
	}
	ids, _, err := f.ints(prefix + "prompt")
	if err != nil {
		return err
	}
	tokenNoise, err := f.noise(prefix+"gumbel_uniform", 4)
	if err != nil {
		return err
	}
	orderNoise, err := f.noise(prefix+"remask_uniform", 3)
	if err != nil {
		return err
	}
	states := make([][][]int, len(b.prompts)) // [B][S+1][L]
	for row, prompt := range b.prompts {
		net := r.network(n)
		if tokenNoise != nil {
			net.draw = func(call, pos int, logits []float32) (int, error) {
				return tokenNoise.draw(logits, r.Temp, call, row, pos+b.pads[row])
			}
		} else if r.Temp != 0 {
			return fmt.Errorf("temperature %g without recorded noise", r.Temp)
		}
		m, err := r.loop(net, len(prompt), lladaQuirks)
		if err != nil {
			return err
		}
		if orderNoise != nil {
			m.Noise = func(step int) engine.Noise { return orderNoise.order(-b.pads[row], step, row) }
		}
		p, err := follow(ctx, m, textSequence(prompt, r.Length, r.Mask), r.options())
		if err != nil {
			return err
		}
		for _, s := range p.states {
			states[row] = append(states[row], b.pad(ids, row, s))
		}
		if r.Calls != nil {
			f.same(rowName(prefix+"forward_calls", row, len(b.prompts)), []int{len(net.fed)}, []int{*r.Calls}, []int{1})
		}
	}
	f.trajectory(prefix+"traj", states)
	f.masksLeft(prefix, r, states)
	return nil
}

// trajectory compares states [B][S+1][L] with array name [S+1, B, L].
func (f *folder) trajectory(name string, states [][][]int) {
	var got []int
	for s := range states[0] {
		for row := range states {
			if s < len(states[row]) {
				got = append(got, states[row][s]...)
			}
		}
	}
	f.equal(name, got)
}

// masksLeft compares how many masks are in the final states of all rows.
func (f *folder) masksLeft(prefix string, r textRun, states [][][]int) {
	if r.MasksLeft == nil {
		return
	}
	left := 0
	for _, row := range states {
		left += count(row[len(row)-1], r.Mask)
	}
	f.same(prefix+"masks_left", []int{left}, []int{*r.MasksLeft}, []int{1})
}

// rowName is name, with the row when there are several.
func rowName(name string, row, rows int) string {
	if rows > 1 {
		name += fmt.Sprintf("[%d]", row)
	}
	return name
}
