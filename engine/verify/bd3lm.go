package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

// verifyBD3LM checks the dllm-bd3lm-qwen3-bd3lm folder: the block-causal network, its caches, and dLLM's block sampler.
func verifyBD3LM(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	if err := verifyBlockNetwork(ctx, f, n); err != nil {
		return err
	}
	if err := verifyText(ctx, f, n); err != nil {
		return err
	}
	if err := verifyRecipe(f); err != nil {
		return err
	}
	a := &bd3lm{f: f, n: n}
	if err := f.decode("bos_id", &a.bos); err != nil {
		return err
	}
	if err := a.emptyPrompt(ctx); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error { return a.run(ctx, name, raw) })
}

// bd3lmRun is what golden.json says of a run of dLLM's block sampler.
type bd3lmRun struct {
	Function   string         `json:"function"`
	Steps      *int           `json:"steps"`
	BlockSteps *int           `json:"steps_per_block"`
	New        *int           `json:"max_new_tokens"`
	Length     *int           `json:"max_length"`
	Block      *int           `json:"block_size"`
	Temp       float64        `json:"temperature"`
	Guidance   float64        `json:"cfg_scale"`
	Keep       []engine.Token `json:"cfg_keep_tokens"`
	Remasking  string         `json:"remasking"`
	Shift      bool           `json:"right_shift_logits"`
	Stochastic bool           `json:"stochastic_transfer"`
	Scheduler  string         `json:"scheduler"`
	Prompts    [][]int        `json:"prompts"`
	EOS        engine.Token   `json:"eos_id"`
	Pad        engine.Token   `json:"pad_id"`
	Masked     [][]int        `json:"masked_after_each_step"`
	Draws      []string       `json:"draws"`
	Text       []string       `json:"text"`
	Calls      []struct {
		Tokens []int `json:"tokens"`
		Cache  bool  `json:"with_cache"`
	} `json:"model_calls"`
	Same bool     `json:"same_in_float64"`
	Gap  *float64 `json:"smallest_topk_gap"`
}

// bd3lm replays the runs of the folder.
type bd3lm struct {
	f   *folder
	n   *network
	bos engine.Token
}

func (a *bd3lm) run(ctx context.Context, name string, raw json.RawMessage) error {
	r := bd3lmRun{Remasking: "low_confidence"}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return err
	}
	p := &bd3lmPlan{r: r, prefix: "run." + name + "."}
	if err := a.layout(p); err != nil {
		return err
	}
	if err := a.quotas(p); err != nil {
		return err
	}
	if a.f.has(p.prefix + "prompt") {
		a.prompt(p)
	}
	defer func(shift bool) { a.n.Stack.Config.Shift = shift }(a.n.Stack.Config.Shift)
	a.n.Stack.Config.Shift = r.Shift
	states := make([][][]engine.Token, len(p.rows))
	for row := range p.rows {
		s, err := a.follow(ctx, p, row)
		if err != nil {
			return err
		}
		states[row] = s
	}
	a.compare(p, states)
	if a.f.has(p.prefix + "call.000.input_ids") {
		sides := 1
		if r.Guidance > 0 {
			sides = 2
		}
		return verifyBlockCalls(ctx, a.f, a.n, name, p.block, sides)
	}
	return nil
}

// follow runs row through the product's loop and returns its states by call of the batch, from before the first call on.
func (a *bd3lm) follow(ctx context.Context, p *bd3lmPlan, row int) ([][]engine.Token, error) {
	spec, r := a.n.Spec(), p.r
	spec.End, spec.Block = nil, p.block
	net := &replay{Denoiser: &padless{Denoiser: a.n, pad: r.Pad, block: p.block}, spec: spec}
	sampler, err := sample.New(r.Remasking, nil)
	if err != nil {
		return nil, err
	}
	numbers := p.numbers(row)
	if r.Temp > 0 {
		net.draw = func(call, pos int, logits []float32) (int, error) {
			u, err := a.noise(p, numbers[call], 0, row, pos, 3)
			if err != nil || len(u) != len(logits) {
				return 0, fmt.Errorf("noise of %d ids, %d logits: %w", len(u), len(logits), err)
			}
			return drawPower(logits, u, r.Temp), nil
		}
	}
	next := -1
	counts := schedule.Schedule{Name: "recorded", Counts: func(masked, steps int) []int {
		next++
		return p.counts[next][row]
	}}
	m := &denoise.Masked{
		Model: net, Sampler: sampler, Schedule: &counts, Answer: p.answer[row], BlockSteps: 1,
		Quirks: denoise.Quirks{EveryStep: true, MaskIsToken: true, AllIDs: true},
		Guide:  keepTokens(spec.Mask, r.Keep),
	}
	if r.Remasking == "random" {
		kind := 0
		if r.Temp > 0 {
			kind = 1
		}
		m.Noise = func(step int) engine.Noise { return bd3lmNoise{a, p, numbers[step], kind, row} }
	}
	seq := textSequence(p.rows[row], 0, spec.Mask)
	for i := range p.answer[row].Lo {
		seq.Fixed[i] = true // masks of the prompt are never filled
	}
	o := engine.Options{Block: p.block, Temperature: r.Temp, Guidance: r.Guidance, Cache: engine.CacheDual}
	done, err := follow(ctx, m, seq, o)
	if err != nil {
		return nil, err
	}
	return p.spread(row, done.states), nil
}

// noise reads what was drawn in call: kind 0 is the first draw of a call. Block diffusion draws over the block alone.
func (a *bd3lm) noise(p *bd3lmPlan, call, kind, row, pos, dims int) ([]float64, error) {
	per := 0
	if p.r.Temp > 0 {
		per++
	}
	if p.r.Remasking == "random" {
		per++
	}
	n, err := a.f.noise(fmt.Sprintf("%sdraw.%03d.uniform", p.prefix, call*per+kind), dims)
	if err != nil || n == nil {
		return nil, fmt.Errorf("call %d has no recorded draw %d: %w", call, kind, err)
	}
	pos = (pos - p.answer[row].Lo) % p.block
	if dims == 3 {
		return n.at(row, pos)
	}
	x, err := n.at(row)
	if err != nil || pos >= len(x) {
		return nil, fmt.Errorf("position %d of %d: %w", pos, len(x), err)
	}
	return x[pos : pos+1], nil
}

// bd3lmNoise is the recorded noise of the order in one call.
type bd3lmNoise struct {
	a               *bd3lm
	p               *bd3lmPlan
	call, kind, row int
}

// Uniform implements [engine.Noise].
func (n bd3lmNoise) Uniform(pos int) float64 {
	u, err := n.a.noise(n.p, n.call, n.kind, n.row, pos, 2)
	if err != nil {
		return byPosition(nil).Uniform(pos)
	}
	return u[0]
}

// keepTokens is [denoise.MaskFixed] but for the tokens of keep.
func keepTokens(mask engine.Token, keep []engine.Token) denoise.Guide {
	return func(dst []engine.Token, seq *engine.Sequence) []engine.Token {
		for i, t := range seq.Tokens {
			if seq.Fixed[i] && !slices.Contains(keep, t) {
				t = mask
			}
			dst = append(dst, t)
		}
		return dst
	}
}

// padless hides every token of the prefix that equals the pad, as dllm's block sampler does, also generated ones.
type padless struct {
	engine.Denoiser
	pad   engine.Token
	block int
}

// Forward implements [engine.Denoiser].
func (h *padless) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	if len(in.Want) > 0 {
		n := len(in.Tokens) / in.Rows()
		lo := in.Origin + (in.Want[0]-in.Origin)/h.block*h.block
		in.Hide = make([]bool, len(in.Tokens))
		for i, t := range in.Tokens[:lo] {
			for r := range in.Rows() {
				in.Hide[r*n+i] = t == h.pad
			}
		}
	}
	return h.Denoiser.Forward(ctx, in)
}

// emptyPrompt runs what the official code cannot: block diffusion from nothing.
func (a *bd3lm) emptyPrompt(ctx context.Context) error {
	var raises string
	if err := a.f.decode("empty_prompt_error", &raises); err != nil {
		return err
	}
	sampler, err := sample.New("low_confidence", nil)
	if err != nil {
		return err
	}
	seq := textSequence(nil, 8, a.n.Spec().Mask)
	_, err = follow(ctx, &denoise.Masked{Model: a.n, Sampler: sampler}, seq, engine.Options{Block: 4, Cache: engine.CacheDual})
	c := Check{Name: "empty_prompt_error", Pass: err == nil, Note: "the official code raises; this one starts from nothing"}
	if err != nil {
		c.Note = err.Error()
	}
	a.f.add(c)
	return nil
}
