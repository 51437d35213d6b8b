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

// verifyLLaDA2 checks the llada2-mini folder: the network, and generation by block diffusion as versions 2.0 and 2.1 do
// it, in the model's own method ("generate") and in dLLM's sampler ("sample").
func verifyLLaDA2(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	if err := verifyLLaDA2Network(ctx, f, n); err != nil {
		return err
	}
	if err := verifyText(ctx, f, n); err != nil {
		return err
	}
	var attention string
	if err := f.decode("attention", &attention); err != nil {
		return err
	}
	f.text("attention", attention, "sdpa")
	tok, err := token.Open(besides{f.dir}, n.Spec().Family)
	if err != nil {
		return err
	}
	eos, _ := tok.Special("eos")
	f.number("eos_id", int(eos))
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error {
		r, err := decodeLLaDA2(raw)
		if err != nil {
			return err
		}
		return (&llada2Rows{f: f, n: n, tok: tok, r: r, prefix: "run." + name + "."}).verify(ctx)
	})
}

// llada2Run is what golden.json says of a run.
type llada2Run struct {
	Version   string           `json:"version"` // "2.0", "2.0-preview", "2.1"
	Function  string           `json:"function"`
	Block     int              `json:"block_length"`
	BlockSize int              `json:"block_size"`
	Length    int              `json:"gen_length"`
	New       *int             `json:"max_new_tokens"`
	MaxLength int              `json:"max_length"`
	Steps     int              `json:"steps"`
	PerBlock  int              `json:"steps_per_block"`
	Least     int              `json:"minimal_topk"`
	Threshold float64          `json:"threshold"`
	Editing   float64          `json:"editing_threshold"`
	Post      int              `json:"max_post_steps"`
	Transfer  int              `json:"num_to_transfer"`
	Temp      float64          `json:"temperature"`
	TopP      *float64         `json:"top_p"`
	TopK      *int             `json:"top_k"`
	EarlyStop bool             `json:"eos_early_stop"`
	EOS       engine.Token     `json:"eos_id"`
	Prompts   [][]engine.Token `json:"prompts"`
	Calls     int              `json:"forward_calls"`
	Widths    []int            `json:"widths"`
	Masked    [][]int          `json:"masked_before_each_call"`
	Draws     []string         `json:"draws"`
	Text      *string          `json:"text"`
	Same      bool             `json:"same_in_float64"`
	Gap       *float64         `json:"smallest_topk_gap"`
}

// decodeLLaDA2 reads a run's settings; what is absent has the default of its function.
func decodeLLaDA2(raw json.RawMessage) (llada2Run, error) {
	r := llada2Run{Block: 32, BlockSize: 32, Length: 2048, Steps: 32, PerBlock: 32, Least: 1, Threshold: 0.95, Editing: 0.9, Post: 16, Transfer: 1}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if len(r.Prompts) == 0 {
		return r, fmt.Errorf("there is no prompt")
	}
	if r.Function == "sample" {
		r.Block, r.Steps, r.Length = r.BlockSize, r.PerBlock, 128
		switch {
		case r.New != nil:
			r.Length = *r.New
		case r.MaxLength > 0:
			r.Length = r.MaxLength - len(r.Prompts[0])
		}
	}
	if r.Block < 1 || r.Block > maxRun || r.Length < 1 || r.Length > maxRun || r.Steps < 1 || r.Steps > maxRun || r.Least < 1 || r.Transfer < 1 {
		return r, fmt.Errorf("block %d, length %d, %d steps, at least %d or %d a step", r.Block, r.Length, r.Steps, r.Least, r.Transfer)
	}
	r.Steps = max(min(r.Steps, r.Length/r.Least), 1)
	return r, nil
}

// sampler makes the product's sampler of the run.
func (r llada2Run) sampler() (engine.Sampler, error) {
	if r.Version == "2.1" {
		return sample.New("edit", engine.Params{"threshold": r.Threshold, "edit": r.Editing, "extra": float64(r.Post), "at_least": 1})
	}
	return sample.New("threshold", engine.Params{"threshold": r.Threshold, "at_least": 1})
}

// schedule asks for a number of positions that does not depend on how many are masked: an even share of the block in each
// step (2.0), or always the same (2.1).
func (r llada2Run) schedule() schedule.Schedule {
	return schedule.Schedule{Name: "block", Counts: func(masked, steps int) []int {
		var out []int
		if r.Version == "2.1" {
			for range masked {
				out = append(out, r.Transfer)
			}
			return out
		}
		for i := range r.Steps {
			n := r.Block / r.Steps
			if i < r.Block%r.Steps {
				n++
			}
			out = append(out, n)
		}
		return out
	}}
}

// temperature is that of the draw; 0 draws nothing. The preview sampled at 1 where 0 was asked for.
func (r llada2Run) temperature() float64 {
	if r.Version == "2.0-preview" && r.Temp == 0 {
		return 1
	}
	return r.Temp
}

// filter divides by the temperature, keeps the best k and then the nucleus. The confidence is the probability after it.
func (r llada2Run) filter(row []float32) {
	t := r.temperature()
	if t != 1 {
		for i := range row {
			row[i] /= float32(t)
		}
	}
	if r.TopK != nil && *r.TopK > 0 {
		keepBest(row, *r.TopK)
	}
	if r.TopP != nil && *r.TopP < 1 {
		keepNucleus(row, *r.TopP)
	}
}

// llada2Rows replays the rows of a run.
type llada2Rows struct {
	f      *folder
	n      *network
	tok    *token.Tokenizer
	r      llada2Run
	prefix string
}

func (d *llada2Rows) verify(ctx context.Context) error {
	prompt := len(d.r.Prompts[0])
	var given []int
	for _, p := range d.r.Prompts {
		if len(p) != prompt {
			return fmt.Errorf("prompts of %d and %d tokens", prompt, len(p))
		}
		given = append(given, toInts(p)...)
	}
	d.f.equal(d.prefix+"prompt", given)
	var blocks []engine.Span
	calls := make([]map[engine.Span][]fastCall, len(d.r.Prompts))
	finals := make([][]engine.Token, len(d.r.Prompts))
	for row := range d.r.Prompts {
		var err error
		if calls[row], blocks, finals[row], err = d.follow(ctx, row); err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
	}
	states, ranges := together(blocks, calls, finals)
	d.compare(states, ranges)
	d.output(states, prompt)
	return nil
}

// follow runs one row, block by block, and returns its calls, the blocks it entered and its last state.
func (d *llada2Rows) follow(ctx context.Context, row int) (map[engine.Span][]fastCall, []engine.Span, []engine.Token, error) {
	prompt := d.r.Prompts[row]
	width := ceil(len(prompt)+d.r.Length, d.r.Block) * d.r.Block
	mask := d.n.Spec().Mask
	seq := textSequence(prompt, width-len(prompt), mask)
	for i := range prompt {
		seq.Fixed[i] = true
	}
	calls := map[engine.Span][]fastCall{}
	var blocks []engine.Span
	for lo := len(prompt) / d.r.Block * d.r.Block; lo < width; lo += d.r.Block {
		span := engine.Span{Lo: lo, Hi: lo + d.r.Block}
		blocks = append(blocks, span)
		steps, err := d.block(ctx, row, span, seq)
		if err != nil {
			return nil, nil, nil, err
		}
		calls[span] = steps
		if d.ends(seq.Tokens[len(prompt):span.Hi], mask) {
			break
		}
	}
	return calls, blocks, seq.Tokens, nil
}

// block runs the product's loop over one block. With early stop version 2.0 leaves a block once everything before an end
// token is filled.
func (d *llada2Rows) block(ctx context.Context, row int, span engine.Span, seq *engine.Sequence) ([]fastCall, error) {
	sampler, err := d.r.sampler()
	if err != nil {
		return nil, err
	}
	net := &replay{Denoiser: d.n, spec: d.n.Spec()}
	net.spec.End, net.spec.Block = nil, d.r.Block
	if d.r.temperature() > 0 {
		net.filter = d.r.filter
		net.draw = func(call, pos int, logits []float32) (int, error) {
			// Rows run together: the number of the draw is that of the block's first call and the calls since.
			i := slices.Index(d.r.Widths, span.Hi) + call
			e, err := d.f.recorded(fmt.Sprintf("%sdraw.%03d.exp", d.prefix, i), 2)
			if err != nil {
				return 0, err
			}
			x, err := e.at(row*d.r.Block + pos - span.Lo)
			if err != nil || len(x) != len(logits) {
				return 0, fmt.Errorf("noise of %d ids, %d logits: %w", len(x), len(logits), err)
			}
			return drawMultinomial(logits, x), nil
		}
	}
	sched := d.r.schedule()
	m := &denoise.Masked{Model: net, Sampler: sampler, Schedule: &sched, Answer: span, Quirks: denoise.Quirks{MaskIsToken: true}}
	var calls []fastCall
	before, answer := slices.Clone(seq.Tokens), len(d.r.Prompts[row])
	for _, err := range m.Steps(ctx, seq, engine.Options{Block: d.r.Block}) {
		if err != nil {
			return nil, err
		}
		calls = append(calls, fastCall{state: before, fed: [2]int{0, span.Hi}})
		before = slices.Clone(seq.Tokens)
		if d.r.Version != "2.1" && d.r.EarlyStop && d.filledToEnd(seq.Tokens[max(answer, span.Lo):], net.spec.Mask) {
			break
		}
	}
	return calls, nil
}

// filledToEnd reports whether a block, and what follows it, has an end token and no mask before it.
func (d *llada2Rows) filledToEnd(answer []engine.Token, mask engine.Token) bool {
	at := slices.Index(answer, d.r.EOS)
	return at >= 0 && !slices.Contains(answer[:at], mask)
}

// ends reports whether generation stops after a block; answer reaches to its end.
func (d *llada2Rows) ends(answer []engine.Token, mask engine.Token) bool {
	has := slices.Contains(answer, d.r.EOS)
	if d.r.Version == "2.1" {
		return d.r.EarlyStop && has && !slices.Contains(answer, mask)
	}
	return d.r.Function == "generate" && has
}

// compare checks what each call was given, or the states between calls, and the counts.
func (d *llada2Rows) compare(states [][][]int, ranges []int) {
	n := len(ranges) / 2
	d.f.same(d.prefix+"forward_calls", []int{n}, []int{d.r.Calls}, []int{1})
	var widths, masked, want, windows []int
	widest := 0
	for i := range n {
		widths = append(widths, ranges[2*i+1])
		widest = max(widest, ranges[2*i+1])
	}
	for i := range n {
		hi := widths[i]
		for _, row := range states {
			masked = append(masked, count(row[i][hi-d.r.Block:hi], d.n.Spec().Mask))
			window := slices.Clone(row[i][:hi])
			for len(window) < widest {
				window = append(window, -1)
			}
			windows = append(windows, window...)
		}
	}
	d.f.same(d.prefix+"widths", widths, d.r.Widths, []int{len(d.r.Widths)})
	for _, per := range d.r.Masked {
		want = append(want, per...)
	}
	d.f.same(d.prefix+"masked_before_each_call", masked, want, []int{len(d.r.Masked), len(states)})
	if d.r.Function == "generate" {
		d.f.equal(d.prefix+"calls", windows)
	} else {
		d.f.trajectory(d.prefix+"traj", states)
	}
}

// output checks what the function returns: the answer up to its first end token, or the sampler's whole canvas.
func (d *llada2Rows) output(states [][][]int, prompt int) {
	var got []int
	for _, row := range states {
		final := row[len(row)-1]
		if d.r.Function == "generate" {
			answer := final[prompt : prompt+d.r.Length]
			if i := slices.Index(answer, int(d.r.EOS)); i >= 0 {
				answer = answer[:i+1]
			}
			if d.r.Version == "2.0-preview" && d.r.EarlyStop {
				answer = final[:prompt+len(answer)]
			}
			final = answer
		}
		got = append(got, final...)
	}
	d.f.equal(d.prefix+"output", got)
	if d.r.Text == nil {
		return
	}
	var words []engine.Token
	for _, t := range toTokens(got) {
		if !d.tok.IsSpecial(t) {
			words = append(words, t)
		}
	}
	d.f.text(d.prefix+"text", token.Text(d.tok.AppendText(nil, words...)), *d.r.Text)
}
