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
)

// gemmaRun is what golden.json says of a run.
type gemmaRun struct {
	Settings struct {
		New        int            `json:"max_new_tokens"`
		Steps      *int           `json:"max_denoising_steps"`
		Bound      *float64       `json:"entropy_bound"`
		TMin       *float64       `json:"t_min"`
		TMax       *float64       `json:"t_max"`
		Stability  *float64       `json:"stability_threshold"`
		Confidence *float64       `json:"confidence_threshold"`
		EOS        []engine.Token `json:"eos_token_id"`
	} `json:"settings"`
	Seed       int64     `json:"noise_seed"`
	Canvases   int       `json:"canvases"`
	Steps      []int     `json:"steps_per_canvas"`
	PerForward []float64 `json:"tokens_per_forward"`
	Accepted   [][][]int `json:"accepted_per_step"` // canvas, step, row
	Same       bool      `json:"same_in_float64"`
	Note       string    `json:"note"`
	BoundGap   float64   `json:"smallest_bound_gap"`
	SampleGap  float64   `json:"smallest_sample_margin"`
	ArgmaxGap  float64   `json:"smallest_argmax_gap"`
	StopGap    float64   `json:"smallest_confidence_gap"`
}

// gemmaRows replays the rows of a run, each by the product's loop.
type gemmaRows struct {
	*gemmaFolder
	r      gemmaRun
	name   string
	prefix string
	rows   int
	width  int // of the prompt
	length int // of a canvas
	params engine.Params
	steps  int
	end    []engine.Token
	// What the rows did, by array, canvas, step and row.
	ints    map[string][]int
	entropy map[string][]float32
	first   []float32
	last    []float32
	final   []int
	heat    map[int][]float64
	counts  [][][]int
	own     [][]int // steps of each row's own, by canvas
	valid   []int   // tokens before padding
}

func (g *gemmaFolder) run(ctx context.Context, name string, raw json.RawMessage) error {
	d := &gemmaRows{gemmaFolder: g, name: name, prefix: "run." + name + ".", ints: map[string][]int{}, entropy: map[string][]float32{}, heat: map[int][]float64{}}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d.r); err != nil {
		return err
	}
	if err := d.settings(); err != nil {
		return err
	}
	_, shape, err := g.f.ints(d.prefix + "prompt")
	if err != nil {
		return err
	}
	if len(shape) != 2 || shape[0] < 1 || len(d.r.Steps) != d.r.Canvases || len(d.r.Accepted) != d.r.Canvases {
		return fmt.Errorf("prompts %v, %d canvases, of %d the steps and of %d the accepted are there", shape, d.r.Canvases, len(d.r.Steps), len(d.r.Accepted))
	}
	d.rows, d.width = shape[0], shape[1]
	for row := range d.rows {
		if err := d.follow(ctx, row); err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
	}
	return d.compare()
}

// settings completes the run's settings with those of the checkpoint.
func (d *gemmaRows) settings() error {
	spec := d.n.Spec()
	base := spec.Defaults[engine.Chat]
	d.params, d.steps, d.end, d.length = engine.Params{}, base.Steps, spec.End, spec.Block
	for k, v := range base.Params {
		d.params[k] = v
	}
	s := d.r.Settings
	for key, x := range map[string]*float64{"bound": s.Bound, "t_min": s.TMin, "t_max": s.TMax, "stability": s.Stability, "confidence": s.Confidence} {
		if x != nil {
			d.params[key] = *x
		}
	}
	if s.Steps != nil {
		d.steps = *s.Steps
	}
	if s.EOS != nil {
		d.end = s.EOS
	}
	if s.New < 1 || s.New > maxRun || d.steps < 1 || d.steps > maxRun || d.r.Canvases < 1 || d.r.Canvases > (s.New+d.length-1)/d.length {
		return fmt.Errorf("%d new tokens in %d canvases of %d, %d steps each", s.New, d.r.Canvases, d.length, d.steps)
	}
	return nil
}

// array is the name of an array of canvas c.
func (d *gemmaRows) array(c int, name string) string {
	return fmt.Sprintf("%scanvas%d.%s", d.prefix, c, name)
}

// follow runs one row.
func (d *gemmaRows) follow(ctx context.Context, row int) error {
	seq, lo, kept, err := d.sequence(ctx, row)
	if err != nil {
		return err
	}
	pad, ok := d.tok.Special("pad")
	if !ok {
		return fmt.Errorf("there is no token for padding")
	}
	draws := &gemmaDraws{Network: d.net, d: d, row: row, canvas: -1}
	p := &denoise.Renoise{
		Model: draws, Sampler: &sample.EntropyBound{Bound: d.params["bound"]}, Vocab: d.n.Spec().Vocab, End: d.end, Pad: pad, TMax: d.params["t_max"], TMin: d.params["t_min"],
		Stability: int(d.params["stability"]), Confidence: d.params["confidence"],
		Answer: engine.Span{Lo: lo, Hi: len(seq.Tokens)}, Kept: kept,
		Fresh: func(c, step int) ([]engine.Token, error) { return d.recorded(d.array(c, "renoise"), step, row) },
	}
	if p.Hide, err = d.pads(row, lo); err != nil {
		return err
	}
	if d.rows > 1 {
		p.Batch = func(c, step int) bool { return c < d.r.Canvases && step < d.r.Steps[c] }
	}
	own := make([]int, d.r.Canvases)
	var lookErr error
	p.Look = func(x *denoise.RenoisePass) {
		if x.Canvas >= d.r.Canvases || lookErr != nil {
			lookErr = fmt.Errorf("canvas %d of %d", x.Canvas, d.r.Canvases)
			return
		}
		lookErr = d.note(x, row, own)
	}
	canvases := (d.r.Settings.New + d.length - 1) / d.length
	for _, err := range p.Steps(ctx, seq, engine.Options{Block: d.length, Steps: d.steps * canvases, StopAtEnd: true}) {
		if err != nil {
			return err
		}
		if lookErr != nil {
			return lookErr
		}
	}
	d.own = append(d.own, own)
	return d.finish(seq.Tokens[lo:lo+d.r.Canvases*d.length], pad)
}

// sequence is the prompt of a row, what the network has read already before it, and the noise that its canvases begin as.
// The answer begins at lo.
func (d *gemmaRows) sequence(ctx context.Context, row int) (seq *engine.Sequence, lo, kept int, err error) {
	prompt, err := d.gemmaFolder.row(d.prefix+"prompt", row)
	if err != nil {
		return nil, 0, 0, err
	}
	if d.name == "image" {
		if prompt, err = d.withPictures(prompt); err != nil {
			return nil, 0, 0, err
		}
	}
	if d.name == "turn2" {
		before, err := d.gemmaFolder.row("run.turn1.prompt", row) // all that the cache holds which turn1 returns
		if err == nil {
			err = d.gemmaFolder.read(ctx, before, nil, true)
		}
		if err != nil {
			return nil, 0, 0, err
		}
		kept = len(before)
		prompt = slices.Concat(before, prompt)
	}
	seq = &engine.Sequence{Tokens: prompt, Fixed: make([]bool, len(prompt))}
	lo = len(prompt)
	for i := range prompt {
		seq.Fixed[i] = true
	}
	canvases := (d.r.Settings.New + d.length - 1) / d.length
	for c := range canvases {
		start := make([]engine.Token, d.length)
		if c < d.r.Canvases { // others are never begun
			if start, err = d.start(c, row); err != nil {
				return nil, 0, 0, err
			}
		}
		seq.Tokens = append(seq.Tokens, start...)
		seq.Fixed = append(seq.Fixed, make([]bool, d.length)...)
	}
	seq.Spans = []engine.Span{{Hi: len(seq.Tokens)}}
	return seq, lo, kept, nil
}

// start is what canvas c begins as: the noise drawn, but for a first canvas that is given.
func (d *gemmaRows) start(c, row int) ([]engine.Token, error) {
	begin, err := d.gemmaFolder.row(d.array(c, "init"), row)
	if given := d.prefix + "decoder_input_ids"; err == nil && c == 0 && d.f.has(given) {
		begin, err = d.gemmaFolder.row(given, row)
	}
	if err != nil || len(begin) != d.length {
		return nil, fmt.Errorf("%d tokens to begin a canvas of %d with: %w", len(begin), d.length, err)
	}
	current, err := d.recorded(d.array(c, "current"), 0, row)
	d.f.same(fmt.Sprintf("%s.start.%d", d.array(c, "current"), row), toInts(begin), toInts(current), []int{d.length})
	return begin, err
}

// recorded is row r of step i of an array [steps, rows, C].
func (d *gemmaRows) recorded(name string, i, r int) ([]engine.Token, error) {
	ids, shape, err := d.f.ints(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 3 || i >= shape[0] || r >= shape[1] {
		return nil, fmt.Errorf("%s: step %d, row %d of %v", name, i, r, shape)
	}
	at := (i*shape[1] + r) * shape[2]
	return toTokens(ids[at : at+shape[2]]), nil
}

// pads are the pads of a row's prompt; nil: none.
func (d *gemmaRows) pads(row, lo int) ([]bool, error) {
	name := d.prefix + "attention_mask"
	if !d.f.has(name) {
		return nil, nil
	}
	hide, err := d.f.hide(name)
	if err != nil || len(hide) != d.rows*d.width || lo != d.width {
		return nil, fmt.Errorf("%s: %d entries for %d rows of %d: %w", name, len(hide), d.rows, d.width, err)
	}
	return hide[row*d.width : (row+1)*d.width], nil
}

// note keeps what a pass computed.
func (d *gemmaRows) note(x *denoise.RenoisePass, row int, own []int) error {
	put := func(name string, v ...int) {
		key := fmt.Sprintf("%s/%d/%d", d.array(x.Canvas, name), x.Step, row)
		d.ints[key] = append(d.ints[key], v...)
	}
	count := 0
	for _, a := range x.Accepted {
		if a {
			count++
		}
		put("accepted", flag(a))
	}
	put("sampled", toInts(x.Prediction.Token)...)
	put("argmax", toInts(x.Best)...)
	put("current", toInts(x.Current)...)
	put("finished", flag(x.Stopped))
	put("count", count)
	key := fmt.Sprintf("%s/%d/%d", d.array(x.Canvas, "entropy"), x.Step, row)
	d.entropy[key] = slices.Clone(x.Prediction.Entropy)
	if row == 0 {
		d.heat[x.Canvas] = append(d.heat[x.Canvas], x.Temperature)
	}
	if before := fmt.Sprintf("%s/%d/%d", d.array(x.Canvas, "finished"), x.Step-1, row); x.Step == 0 || d.ints[before][0] == 0 {
		own[x.Canvas] = x.Step + 1
	}
	first := x.Canvas == 0 && x.Step == 0 && d.f.has(d.prefix+"first.logits")
	last := x.Canvas == d.r.Canvases-1 && x.Step == d.r.Steps[x.Canvas]-1
	if !first && !last {
		return nil
	}
	out := make([]float32, d.length*d.n.Spec().Vocab)
	if err := x.Logits.Floats(out, 0); err != nil {
		return err
	}
	if first {
		d.first = append(d.first, out...)
	}
	if last {
		d.last = append(d.last, out...)
	}
	return nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// finish keeps the result of a row.
func (d *gemmaRows) finish(answer []engine.Token, pad engine.Token) error {
	prompt, err := d.gemmaFolder.row(d.prefix+"prompt", len(d.own)-1)
	d.final = append(append(d.final, toInts(prompt)...), toInts(answer)...)
	n := 0
	for _, id := range answer {
		if id != pad {
			n++
		}
	}
	d.valid = append(d.valid, n)
	return err
}

// compare checks everything recorded of the run.
func (d *gemmaRows) compare() error {
	for c, steps := range d.r.Steps {
		most := 0
		for _, own := range d.own {
			most = max(most, own[c])
		}
		d.f.same(fmt.Sprintf("%scanvas%d.steps", d.prefix, c), []int{most}, []int{steps}, []int{1})
		for _, name := range []string{"accepted", "sampled", "argmax", "finished"} {
			d.f.equal(d.array(c, name), d.gather(c, steps, name))
		}
		start := []int{}
		for row := range d.rows {
			x, err := d.recorded(d.array(c, "current"), 0, row)
			if err != nil {
				return err
			}
			start = append(start, toInts(x)...)
		}
		d.f.equal(d.array(c, "current"), append(start, d.gather(c, steps, "current")...))
		d.f.same(d.array(c, "accepted_per_step"), d.gather(c, steps, "count"), slices.Concat(d.r.Accepted[c]...), []int{steps, d.rows})
		var entropy []float32
		for i := range steps {
			for row := range d.rows {
				entropy = append(entropy, d.entropy[fmt.Sprintf("%s/%d/%d", d.array(c, "entropy"), i, row)]...)
			}
		}
		d.f.near(d.array(c, "entropy"), entropy)
		heat, shape, err := d.f.float64s(d.array(c, "temperature"))
		if err != nil {
			return err
		}
		d.f.add(compare(d.array(c, "temperature"), d.heat[c], heat, shape, 0))
	}
	d.f.nearIf(d.prefix+"first.logits", d.first)
	d.f.nearIf(d.prefix+"last.logits", d.last)
	d.f.equal(d.prefix+"sequences", d.final)
	return d.rates()
}

// gather joins what was noted of an array, step by step, row by row.
func (d *gemmaRows) gather(c, steps int, name string) []int {
	var out []int
	for i := range steps {
		for row := range d.rows {
			out = append(out, d.ints[fmt.Sprintf("%s/%d/%d", d.array(c, name), i, row)]...)
		}
	}
	return out
}

// rates checks tokens_per_forward: tokens that are no padding by passes before a row was done, canvases behind an end token
// left out.
func (d *gemmaRows) rates() error {
	var got []float64
	for row, own := range d.own {
		passes := 0
		answer := d.final[(row+1)*(len(d.final)/d.rows)-d.r.Canvases*d.length : (row+1)*(len(d.final)/d.rows)]
		for c, n := range own {
			passes += n
			if slices.ContainsFunc(answer[c*d.length:(c+1)*d.length], func(id int) bool { return slices.Contains(d.end, engine.Token(id)) }) {
				break
			}
		}
		got = append(got, float64(float32(d.valid[row])/float32(passes)))
	}
	d.f.add(compare(d.prefix+"tokens_per_forward", got, d.r.PerForward, []int{d.rows}, 0))
	return nil
}
