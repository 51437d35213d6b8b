package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/models"
	"unmask/engine/weights"
)

// adapted is the base checkpoint of the d1 folder, changed by one of its adapters.
type adapted struct {
	set *weights.Set
	net *network
}

// verifyD1 checks the d1 folder: adapters over LLaDA, the sampler of d1's evaluation, its estimate of log-probabilities and
// its two losses. Our network always holds merged weights, so that recorded passes of separate adapters are compared with
// the same pass of ours.
func verifyD1(ctx context.Context, f *folder) error {
	var base string
	var names []string
	if err := f.decode("base_checkpoint", &base); err != nil {
		return err
	}
	if err := f.decode("adapters", &names); err != nil {
		return err
	}
	base = filepath.Join(f.dir, filepath.FromSlash(base))
	open := map[string]adapted{}
	for _, name := range names {
		short := strings.TrimPrefix(name, "adapter_")
		a, err := openAdapted(ctx, f, base, filepath.Join(f.dir, filepath.Base(name)))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		open[short] = a
		if err := verifyAdapterNames(f, name); err != nil {
			return err
		}
		if err := verifyAdapted(ctx, f, a, short+"."); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var mask engine.Token
	if err := f.decode("mask_id", &mask); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error {
		adapter := "rl"
		if strings.HasPrefix(name, "eval_") || strings.HasPrefix(name, "sft.") {
			adapter = "sft"
		}
		a, ok := open[adapter]
		if !ok {
			return fmt.Errorf("there is no adapter_%s", adapter)
		}
		if got := a.net.Spec().Mask; got != mask {
			return fmt.Errorf("mask %d, but mask_id is %d", got, mask)
		}
		switch {
		case strings.HasPrefix(name, "eval_"):
			return verifyD1Eval(ctx, f, a.net, name, raw, mask)
		case strings.HasPrefix(name, "grpo.logps"):
			return verifyD1Probabilities(ctx, f, a.net, name, raw)
		case name == "grpo.loss":
			return verifyGRPO(ctx, f, a.net, name, raw)
		case name == "sft.loss":
			return verifyD1SFT(ctx, f, a.net, name, raw)
		}
		return fmt.Errorf("unknown kind of run")
	})
}

// openAdapted opens base with the adapter in dir for products in f32. f closes it.
func openAdapted(ctx context.Context, f *folder, base, dir string) (adapted, error) {
	be, err := f.opt.Backend()
	if err != nil {
		return adapted{}, err
	}
	f.onClose = append(f.onClose, be.Close)
	set, err := weights.OpenAdapted(base, dir)
	if err != nil {
		return adapted{}, err
	}
	m, err := models.Open(ctx, set, be, models.OpenOptions{DType: "f32"})
	if err != nil {
		return adapted{}, err
	}
	f.onClose = append(f.onClose, m.Close)
	return adapted{set, &network{Model: m, be: be}}, nil
}

// verifyAdapterNames checks the names of an adapter's own tensors.
func verifyAdapterNames(f *folder, name string) error {
	set, err := weights.OpenDir(filepath.Join(f.dir, filepath.Base(name), "adapter_model.safetensors"))
	if err != nil {
		return err
	}
	defer set.Close()
	var want []string
	if err := f.decode(name+"_tensor_names", &want); err != nil {
		return err
	}
	slices.Sort(want)
	f.add(Check{Name: name + "_tensor_names", Pass: slices.Equal(want, set.Names())})
	return nil
}

// verifyAdapted checks the merged tensors and the passes of one adapter.
func verifyAdapted(ctx context.Context, f *folder, a adapted, prefix string) error {
	for _, name := range f.names(prefix + "merged.") {
		t, err := a.set.Tensor(strings.TrimPrefix(name, prefix+"merged."))
		if err != nil {
			return err
		}
		got, err := t.Floats()
		if err != nil {
			return err
		}
		f.near(name, got)
	}
	for i := 0; f.has(fmt.Sprintf("%sforward%d.input_ids", prefix, i)); i++ {
		at := fmt.Sprintf("%sforward%d.", prefix, i)
		in, err := f.tokens(at + "input_ids")
		if err != nil {
			return err
		}
		logits, err := a.net.forward(ctx, in)
		if err != nil {
			return err
		}
		f.near(at+"logits_merged", logits)
		f.near(at+"logits_unmerged", logits)
	}
	return nil
}

// verifyD1Eval checks a run of d1's evaluation: LLaDA's sampler with as many steps in every block, at least one.
func verifyD1Eval(ctx context.Context, f *folder, n *network, name string, raw json.RawMessage, mask engine.Token) error {
	r, err := decodeRun(raw)
	if err != nil {
		return err
	}
	if r.Length%r.Block != 0 {
		return fmt.Errorf("length %d in blocks of %d", r.Length, r.Block)
	}
	r.Mask = mask
	if r.Remasking == "" {
		r.Remasking = "low_confidence"
	}
	r.blockSteps = max(1, r.Steps/(r.Length/r.Block))
	return replayLLaDARun(ctx, f, n, name, r)
}

// probabilities is how d1 estimates the log-probabilities of completions.
type probabilities struct {
	Model      string  `json:"model"`
	MaskPrompt float64 `json:"p_mask_prompt"`
	Guidance   float64 `json:"cfg_scale"`
	Keep       int     `json:"logits_to_keep"`
	Iterations int     `json:"iterations"`
	// Of the loss alone.
	Beta    float64 `json:"beta"`
	Epsilon float64 `json:"epsilon"`
	Index   int     `json:"iteration_index"`
	Loss    float64 `json:"loss"`
	Loss64  float64 `json:"loss_float64"`
	KL      float64 `json:"kl"`
	Clipped float64 `json:"clip_ratio"`
}

// estimate is the log-probability of every completion token of sequences [B, L], whose completions are all masks, and whose
// prompt tokens are masked where u [iterations, B, L] is below the chance: [iterations, B, Keep]. noisy is what the network
// saw.
func (p probabilities) estimate(ctx context.Context, n *network, sequences []int, u []float64, b, l int) (noisy []int, logps []float32, err error) {
	prompt := l - p.Keep
	if b < 1 || prompt < 0 || p.Keep < 1 || len(sequences) != b*l || len(u)%(b*l) != 0 {
		return nil, nil, fmt.Errorf("%d tokens in %d rows, %d kept, %d draws", len(sequences), b, p.Keep, len(u))
	}
	mask := n.Spec().Mask
	v := n.Spec().Vocab
	for lo := 0; lo < len(u); lo += l {
		row := sequences[lo%(b*l):][:l]
		state, seq := make([]engine.Token, l), &engine.Sequence{Fixed: make([]bool, l)}
		in := engine.Input{}
		for i, t := range row {
			state[i] = engine.Token(t)
			if seq.Fixed[i] = i < prompt; i >= prompt || u[lo+i] < p.MaskPrompt {
				state[i] = mask
			}
			if i >= prompt {
				in.Want = append(in.Want, i)
			}
		}
		noisy = append(noisy, toInts(state)...)
		in.Tokens = state
		if p.Guidance != 0 {
			seq.Tokens = state
			in.Tokens = denoise.MaskFixed(mask)(slices.Clone(state), seq)
			in.Lens = []int{l, l}
		}
		net := &replay{Denoiser: n, spec: n.Spec()}
		if _, err := net.Forward(ctx, in); err != nil {
			return nil, nil, err
		}
		logits, _, err := net.out.guided(engine.PickOptions{Guidance: p.Guidance})
		if err != nil {
			return nil, nil, err
		}
		for i, pos := range in.Want {
			t := row[pos]
			if t < 0 || t >= v {
				return nil, nil, fmt.Errorf("token %d of %d", t, v)
			}
			logps = append(logps, float32(logProb(logits[i*v:(i+1)*v], t)))
		}
	}
	return noisy, logps, nil
}

// logProb is the logarithm of the probability of id at, in float64.
func logProb(logits []float32, at int) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, l := range logits {
		top = max(top, float64(l))
	}
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return float64(logits[at]) - top - math.Log(sum)
}

// sequences reads prefix+"sequences" [B, L] and prefix+"uniform" [iterations, B, L].
func (f *folder) sequences(prefix string) (ids []int, u []float64, b, l int, err error) {
	ids, shape, err := f.ints(prefix + "sequences")
	if err != nil {
		return
	}
	u, draws, err := f.float64s(prefix + "uniform")
	if err != nil {
		return
	}
	if len(shape) != 2 || len(draws) != 3 || !slices.Equal(shape, draws[1:]) {
		return nil, nil, 0, 0, fmt.Errorf("%ssequences: shape %v, draws %v", prefix, shape, draws)
	}
	return ids, u, shape[0], shape[1], nil
}

func verifyD1Probabilities(ctx context.Context, f *folder, n *network, name string, raw json.RawMessage) error {
	var p probabilities
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	ids, u, b, l, err := f.sequences(name + ".")
	if err != nil {
		return err
	}
	if p.Iterations*b*l != len(u) {
		return fmt.Errorf("%d iterations, draws for %d", p.Iterations, len(u)/(b*l))
	}
	noisy, logps, err := p.estimate(ctx, n, ids, u, b, l)
	if err != nil {
		return err
	}
	f.equal(name+".noisy", noisy)
	f.near(name+".per_token_logps", logps)
	return nil
}
