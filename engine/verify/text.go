package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/sample"
)

// textRun is what golden.json says of a run of LLaDA's sampler or of one of its descendants. Settings that are not listed
// here are refused, so that none is ignored.
type textRun struct {
	Mask       engine.Token `json:"mask_id"`
	Steps      int          `json:"steps"`
	Length     int          `json:"gen_length"`
	Block      int          `json:"block_length"`
	Temp       float64      `json:"temperature"`
	Guidance   float64      `json:"cfg_scale"`
	Remasking  string       `json:"remasking"`
	Threshold  *float64     `json:"threshold"`
	Factor     *float64     `json:"factor"`
	LogitsEOS  bool         `json:"logits_eos_inf"`
	ConfEOS    bool         `json:"confidence_eos_eot_inf"`
	EOS        engine.Token `json:"eos_id_in_this_run"`
	EOT        engine.Token `json:"eot_id_in_this_run"`
	Calls      *int         `json:"forward_calls"`
	NFE        *int         `json:"nfe"`
	MasksLeft  *int         `json:"masks_left"`
	Ranges     [][2]int     `json:"call_ranges"`
	Draws      int          `json:"gumbel_draws"`
	Variant    string       `json:"variant"`
	Version    string       `json:"version"`
	Checkpoint string       `json:"checkpoint"`
	Raises     string       `json:"raises"`
	Model      string       `json:"model"` // what d1's runs call their adapter
	// Facts about the recording that a replay does not need.
	Same        bool     `json:"same_in_float64"`
	SmallestGap *float64 `json:"smallest_topk_gap"`
	ArgmaxGap   *float64 `json:"min_argmax_gap"`
	TopKGap     *float64 `json:"min_topk_gap"`

	blockSteps int // passes of every block, where they are not shared out
}

// decodeRun reads a run's settings.
func decodeRun(raw json.RawMessage) (textRun, error) {
	var r textRun
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if r.Steps < 1 || r.Length < 1 || r.Block < 1 || r.Length > maxRun || r.Steps > maxRun {
		return r, fmt.Errorf("%d steps, length %d, block %d; want 1 to %d each", r.Steps, r.Length, r.Block, maxRun)
	}
	return r, nil
}

// maxRun bounds the steps and the length of a recorded run.
const maxRun = 1 << 16

// sampler makes the sampler that the run used.
func (r textRun) sampler() (engine.Sampler, error) {
	switch {
	case r.Threshold != nil:
		return sample.New("threshold", engine.Params{"threshold": *r.Threshold})
	case r.Factor != nil:
		return sample.New("factor", engine.Params{"factor": *r.Factor, "edge": 1})
	}
	return sample.New(r.Remasking, nil)
}

// options are the product's options for the run.
func (r textRun) options() engine.Options {
	o := engine.Options{
		Length: r.Length, Steps: r.Steps, Block: r.Block, Temperature: r.Temp, Guidance: r.Guidance,
		Schedule: "uniform", Sampler: r.Remasking,
	}
	switch r.Variant {
	case "prefix":
		o.Cache = engine.CachePrefix
	case "dual":
		o.Cache = engine.CacheDual
	}
	if r.LogitsEOS {
		o.Ban = []engine.Token{r.EOS}
	}
	return o
}

// mute is what the official option "confidence_eos_eot_inf" really leaves out of the softmax: at temperature 0 the noisy
// logits are the logits, so both ids; else the end-of-turn alone.
func (r textRun) mute() []engine.Token {
	switch {
	case !r.ConfEOS:
		return nil
	case r.Temp == 0:
		return []engine.Token{r.EOS, r.EOT}
	}
	return []engine.Token{r.EOT}
}

// textBatch is the prompts of a run, without their left pads.
type textBatch struct {
	prompts [][]engine.Token
	pads    []int // left pads of each row
	width   int   // length of a prompt with its pads
}

// batch reads array prompt [B, P] and, where it is recorded, the attention mask of the same shape.
func (f *folder) batch(prompt, mask string) (textBatch, error) {
	ids, shape, err := f.ints(prompt)
	if err != nil {
		return textBatch{}, err
	}
	if len(shape) != 2 || shape[1] == 0 {
		return textBatch{}, fmt.Errorf("%s: shape %v, want [B, P]", prompt, shape)
	}
	b := textBatch{width: shape[1]}
	var seen []int
	if f.has(mask) {
		var s []int
		if seen, s, err = f.ints(mask); err != nil {
			return b, err
		}
		if !slices.Equal(s, shape) {
			return b, fmt.Errorf("%s: shape %v, want %v", mask, s, shape)
		}
	}
	for i := range shape[0] {
		row, pads := ids[i*b.width:(i+1)*b.width], 0
		for seen != nil && pads < b.width && seen[i*b.width+pads] == 0 {
			pads++
		}
		b.pads = append(b.pads, pads)
		b.prompts = append(b.prompts, toTokens(row[pads:]))
	}
	return b, nil
}

// pad gives a state of row its left pads back, which are the prompt's own.
func (b textBatch) pad(ids []int, row int, state []engine.Token) []int {
	out := slices.Clone(ids[row*b.width : row*b.width+b.pads[row]])
	for _, t := range state {
		out = append(out, int(t))
	}
	return out
}

// sequence is a prompt and n masks. Masks of the prompt are free, as in the published samplers.
func textSequence(prompt []engine.Token, n int, mask engine.Token) *engine.Sequence {
	s := &engine.Sequence{Spans: []engine.Span{{Lo: 0, Hi: len(prompt) + n}}}
	for _, t := range prompt {
		s.Tokens, s.Fixed = append(s.Tokens, t), append(s.Fixed, t != mask)
	}
	for range n {
		s.Tokens, s.Fixed = append(s.Tokens, mask), append(s.Fixed, false)
	}
	return s
}

// loop makes the product's loop for a run over the given prompt length.
func (r textRun) loop(net *replay, prompt int, quirks denoise.Quirks) (*denoise.Masked, error) {
	s, err := r.sampler()
	if err != nil {
		return nil, err
	}
	return &denoise.Masked{
		Model: net, Sampler: s, Quirks: quirks, BlockSteps: r.blockSteps,
		Answer: engine.Span{Lo: prompt, Hi: prompt + r.Length},
	}, nil
}

// network prepares the replay of a run on m.
func (r textRun) network(m engine.Denoiser) *replay {
	spec := m.Spec()
	spec.Mask, spec.End, spec.Image = r.Mask, nil, nil
	return &replay{Denoiser: m, spec: spec, mute: r.mute()}
}

// noiseArray is recorded noise of shape [draws, B, L] or [draws, B, L, V].
type noiseArray struct {
	name  string
	u     []float64
	shape []int
}

func (f *folder) noise(name string, dims int) (*noiseArray, error) {
	if !f.has(name) {
		return nil, nil
	}
	u, shape, err := f.float64s(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != dims {
		return nil, fmt.Errorf("%s: shape %v, want %d dimensions", name, shape, dims)
	}
	return &noiseArray{name, u, shape}, nil
}

// at is the innermost slice at the given index of the leading dimensions.
func (n *noiseArray) at(index ...int) ([]float64, error) {
	lo := 0
	for d, i := range index {
		if i < 0 || i >= n.shape[d] {
			return nil, fmt.Errorf("%s: index %v of shape %v", n.name, index, n.shape)
		}
		lo = lo*n.shape[d] + i
	}
	size := 1
	for _, d := range n.shape[len(index):] {
		size *= d
	}
	return n.u[lo*size : (lo+1)*size], nil
}

// draw is the draw of LLaDA's sampler with the noise [V] at index.
func (n *noiseArray) draw(logits []float32, temperature float64, index ...int) (int, error) {
	u, err := n.at(index...)
	if err != nil || len(u) != len(logits) {
		return 0, fmt.Errorf("noise of %d ids, %d logits: %w", len(u), len(logits), err)
	}
	return drawPower(logits, u, temperature), nil
}

// order is the noise [L] at index for positions from first on. What is not recorded gives NaN, which no sampler chooses.
func (n *noiseArray) order(first int, index ...int) engine.Noise {
	if n == nil {
		return slice{}
	}
	u, err := n.at(index...)
	if err != nil {
		return slice{}
	}
	return slice{first, u}
}

// recorded reads array name, which must be there.
func (f *folder) recorded(name string, dims int) (*noiseArray, error) {
	n, err := f.noise(name, dims)
	if err == nil && n == nil {
		err = fmt.Errorf("%s is not recorded", name)
	}
	return n, err
}

// slice is recorded noise of positions [from, from+len(u)).
type slice struct {
	from int
	u    []float64
}

// Uniform implements [engine.Noise]. A position that was not recorded gives NaN, which no sampler chooses.
func (s slice) Uniform(pos int) float64 {
	if pos < s.from || pos >= s.from+len(s.u) {
		return math.NaN()
	}
	return s.u[pos-s.from]
}

func toTokens(ids []int) []engine.Token {
	out := make([]engine.Token, len(ids))
	for i, id := range ids {
		out[i] = engine.Token(id)
	}
	return out
}

func count(tokens []int, t engine.Token) int {
	n := 0
	for _, x := range tokens {
		if engine.Token(x) == t {
			n++
		}
	}
	return n
}

// verifyRuns checks every entry of golden.json's "runs" with fn, which is given the run's name and settings.
func (f *folder) verifyRuns(ctx context.Context, fn func(name string, raw json.RawMessage) error) error {
	var runs map[string]json.RawMessage
	if err := f.decode("runs", &runs); err != nil {
		return err
	}
	for _, name := range sortedKeys(runs) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(name, runs[name]); err != nil {
			f.fail("run."+name, err)
		}
		f.covered[name] = true // a failed run has its check, too
	}
	return nil
}
