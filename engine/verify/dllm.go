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
	"unmask/engine/token"
)

// verifyDLLM checks the dllm-a2d-qwen3-mdlm folder: the network and dLLM's masked sampler, also as infilling.
func verifyDLLM(ctx context.Context, f *folder) error {
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
	if err := verifyTransfers(f); err != nil {
		return err
	}
	if err := verifyRecipe(f); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error { return verifyDLLMRun(ctx, f, n, name, raw) })
}

// verifyRecipe checks the entries of golden.json that dLLM's fixtures have besides arrays and runs.
func verifyRecipe(f *folder) error {
	var attention string
	if err := f.decode("attention", &attention); err != nil {
		return err
	}
	f.text("attention", attention, "sdpa") // any other treats rows that see nothing in another way
	tok, err := token.Open(besides{f.dir}, "")
	if err != nil {
		return err
	}
	for key, name := range map[string]string{"eos_id": "<|im_end|>", "pad_id": "<|endoftext|>", "bos_id": "<|endoftext|>"} {
		id, ok := tok.Special(name)
		if !ok {
			id = -1
		}
		f.number(key, int(id))
	}
	return nil
}

// verifyTransfers checks how many positions the steps of dLLM's schedules reveal.
func verifyTransfers(f *folder) error {
	var table []struct {
		Scheduler string `json:"scheduler"`
		Masked    int    `json:"masked"`
		Steps     int    `json:"steps"`
		Counts    []int  `json:"counts"`
	}
	if err := f.decode("transfer_schedules", &table); err != nil {
		return err
	}
	var got, want []int
	for _, c := range table {
		if c.Steps < 1 || c.Steps > maxRun || c.Masked > maxRun {
			return fmt.Errorf("transfer_schedules: %d masked in %d steps", c.Masked, c.Steps)
		}
		q := schedule.Rounded(c.Scheduler == "cosine").AppendQuotas(nil, c.Masked, c.Steps)
		got, want = append(append(got, len(q)), q...), append(append(want, len(c.Counts)), c.Counts...)
	}
	f.same("transfer_schedules", got, want, []int{len(want)})
	return nil
}

// dllmRun is what golden.json says of a run of dLLM's samplers.
type dllmRun struct {
	Function   string           `json:"function"` // "sample" or "infill"
	Steps      int              `json:"steps"`
	New        *int             `json:"max_new_tokens"`
	Length     int              `json:"max_length"`
	Block      *int             `json:"block_size"`
	Temp       float64          `json:"temperature"`
	Guidance   float64          `json:"cfg_scale"`
	Keep       []engine.Token   `json:"cfg_keep_tokens"`
	Remasking  string           `json:"remasking"`
	Shift      bool             `json:"right_shift_logits"`
	Suppress   []engine.Token   `json:"suppress_tokens"`
	Begin      []engine.Token   `json:"begin_suppress_tokens"`
	Stochastic bool             `json:"stochastic_transfer"`
	Scheduler  string           `json:"scheduler"`
	Prompts    [][]engine.Token `json:"prompts"`
	EOS        engine.Token     `json:"eos_id"`
	Pad        engine.Token     `json:"pad_id"`
	Masked     [][]int          `json:"masked_after_each_step"`
	Draws      []string         `json:"draws"`
	Text       []string         `json:"text"`
	Same       bool             `json:"same_in_float64"`
	Gap        *float64         `json:"smallest_topk_gap"`
}

func decodeDLLM(raw json.RawMessage) (dllmRun, error) {
	r := dllmRun{Remasking: "low_confidence"}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if r.Steps < 1 || r.Steps > maxRun || len(r.Prompts) == 0 {
		return r, fmt.Errorf("%d steps, %d prompts", r.Steps, len(r.Prompts))
	}
	return r, nil
}

// dllmRows replays the rows of a run.
type dllmRows struct {
	f      *folder
	n      *network
	r      dllmRun
	prefix string
	mask   engine.Token
	width  int // of the canvas
	added  int // masks after each prompt
	block  int
	steps  int     // of a block
	counts [][]int // stochastic: the counts of each row's blocks, one block after the other, parted by -1
}

func verifyDLLMRun(ctx context.Context, f *folder, n *network, name string, raw json.RawMessage) error {
	r, err := decodeDLLM(raw)
	if err != nil {
		return err
	}
	d := &dllmRows{f: f, n: n, r: r, prefix: "run." + name + ".", mask: n.Spec().Mask}
	if err := d.prepare(); err != nil {
		return err
	}
	defer func(shift bool) { n.Stack.Config.Shift = shift }(n.Stack.Config.Shift)
	n.Stack.Config.Shift = r.Shift

	var blocks []int // first positions, relative to each row's own begin
	calls := make([]map[engine.Span][]fastCall, len(r.Prompts))
	finals := make([][]engine.Token, len(r.Prompts))
	for row := range r.Prompts {
		p, net, err := d.follow(ctx, row)
		if err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		// Rows are lined up by the number of the block, so spans count from the row's own begin.
		calls[row] = map[engine.Span][]fastCall{}
		for i, span := range p.blocks {
			lo := span.Lo - d.begin(row)
			if !slices.Contains(blocks, lo) {
				blocks = append(blocks, lo)
			}
			key := engine.Span{Lo: lo, Hi: lo + 1}
			calls[row][key] = append(calls[row][key], fastCall{d.pad(p.states[i]), net.fed[i]})
		}
		finals[row] = d.pad(p.states[len(p.states)-1])
	}
	slices.Sort(blocks)
	var spans []engine.Span
	for _, lo := range blocks {
		spans = append(spans, engine.Span{Lo: lo, Hi: lo + 1})
	}
	states, _ := together(spans, calls, finals)
	f.trajectory(d.prefix+"traj", states)
	var got, want []int
	for i, per := range r.Masked {
		want = append(want, per...)
		for _, row := range states {
			if i < len(row) {
				got = append(got, count(row[i], d.mask))
			}
		}
	}
	f.same(d.prefix+"masked_after_each_step", got, want, []int{len(r.Masked), len(states)})
	return d.texts(finals)
}

// prepare checks the prompts and works out the sizes of the run.
func (d *dllmRows) prepare() error {
	longest := 0
	for _, p := range d.r.Prompts {
		longest = max(longest, len(p))
	}
	if longest > maxRun {
		return fmt.Errorf("a prompt of %d tokens", longest)
	}
	if longest > 0 {
		var given []int
		for _, p := range d.r.Prompts {
			row := toInts(p)
			for len(row) < longest {
				row = append(row, -1)
			}
			given = append(given, row...)
		}
		d.f.equal(d.prefix+"prompt", given)
	}
	if d.r.Shift && longest == 0 { // something must stand left of the first mask
		var bos engine.Token
		if err := d.f.decode("bos_id", &bos); err != nil {
			return err
		}
		d.r.Prompts, longest = [][]engine.Token{{bos}}, 1
	}
	switch {
	case d.r.Function == "infill":
	case d.r.Function != "sample":
		return fmt.Errorf("function %q", d.r.Function)
	case d.r.New != nil:
		d.added = *d.r.New
	default:
		d.added = d.r.Length - longest
	}
	if d.added < 0 || d.added > maxRun {
		return fmt.Errorf("%d new tokens", d.added)
	}
	d.width = longest + d.added
	whole := d.added
	if d.r.Function == "infill" {
		whole = longest
	}
	d.block = 128
	if d.r.Function == "infill" {
		d.block = max(whole, 1)
	}
	if d.r.Block != nil {
		d.block = *d.r.Block
	}
	if d.block < 1 {
		return fmt.Errorf("block size %d", d.block)
	}
	d.steps = ceil(d.r.Steps, max(ceil(whole, d.block), 1))
	if d.r.Stochastic {
		return d.binomials(whole)
	}
	return nil
}

func ceil(a, b int) int { return (a + b - 1) / b }

// begin is where the blocks of a row begin.
func (d *dllmRows) begin(row int) int {
	if d.r.Function == "infill" {
		return 0
	}
	return len(d.r.Prompts[row])
}

// pad fills a row's state up to the canvas, which is made of end tokens.
func (d *dllmRows) pad(state []engine.Token) []engine.Token {
	for len(state) < d.width {
		state = append(state[:len(state):len(state)], d.r.EOS)
	}
	return state
}

func (d *dllmRows) follow(ctx context.Context, row int) (path, *replay, error) {
	prompt, begin := d.r.Prompts[row], d.begin(row)
	seq := textSequence(prompt, d.added, d.mask)
	net := &replay{Denoiser: d.n, spec: d.n.Spec(), mute: d.r.Begin}
	net.spec.End = nil
	sampler, err := sample.New(d.r.Remasking, nil)
	if err != nil {
		return path{}, nil, err
	}
	sched := d.schedule(row)
	m := &denoise.Masked{
		Model: net, Sampler: sampler, Schedule: &sched, BlockSteps: d.steps,
		Answer: engine.Span{Lo: begin, Hi: len(seq.Tokens)},
		Quirks: denoise.Quirks{EveryStep: true, EarlierMasks: d.r.Function == "sample", MaskIsToken: true, AllIDs: true},
		Guide: func(dst []engine.Token, s *engine.Sequence) []engine.Token {
			for i, t := range s.Tokens {
				if s.Fixed[i] && !slices.Contains(d.r.Keep, t) {
					t = d.mask
				}
				dst = append(dst, t)
			}
			return dst
		},
	}
	perPass := 1 // draws
	if d.r.Temp > 0 && d.r.Remasking == "random" {
		perPass = 2
	}
	if d.r.Temp > 0 {
		net.draw = func(call, pos int, logits []float32) (int, error) {
			u, err := d.f.noise(fmt.Sprintf("%sdraw.%03d.uniform", d.prefix, call*perPass), 3)
			if u == nil || err != nil {
				return 0, fmt.Errorf("pass %d: the draw is not recorded: %w", call, err)
			}
			x, err := u.at(row, pos)
			if err != nil || len(x) != len(logits) {
				return 0, fmt.Errorf("noise of %d ids, %d logits: %w", len(x), len(logits), err)
			}
			return drawPower(logits, x, d.r.Temp), nil
		}
	}
	if d.r.Remasking == "random" {
		m.Noise = func(step int) engine.Noise {
			u, err := d.f.noise(fmt.Sprintf("%sdraw.%03d.uniform", d.prefix, step*perPass+perPass-1), 2)
			if u == nil || err != nil {
				return slice{}
			}
			x, err := u.at(row)
			if err != nil {
				return slice{}
			}
			return slice{0, x}
		}
	}
	o := engine.Options{Block: d.block, Temperature: d.r.Temp, Guidance: d.r.Guidance, Ban: d.r.Suppress}
	p, err := follow(ctx, m, seq, o)
	return p, net, err
}
