package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/sample"
)

// drawingRun is what golden.json says of a text-to-image run of MMaDA.
type drawingRun struct {
	Prompts      []string  `json:"prompts"`
	Guidance     float64   `json:"guidance_scale"`
	Schedule     string    `json:"schedule"`
	Temperature  float64   `json:"temperature"`
	Steps        int       `json:"timesteps"`
	Greedy       bool      `json:"greedy"`
	Temperatures []float64 `json:"temperatures_used"`
	MaskLen      [][]int   `json:"mask_len"`
	Margin       *float64  `json:"min_log_margin_multinomial"` // how near the closest draw was to a tie
}

// drawingRecord collects what the rows of a run did, row by row and step by step.
type drawingRecord struct {
	ids, masking, lens, codes [][][]int     // [B][steps][n], [n], [1], and [B][1][n]
	probs                     [][][]float32 // [B][steps][n]
	condFirst, condLast       [][]float32   // [B][n*codebook]
	uncondFirst, logProbs     [][]float32
}

// drawing replays one text-to-image run. The greedy runs go through the backend's own choice, the others use the recorded
// draws; both use the product's MaskGIT sampler with MMaDA's count and annealing.
func (m *mmadaRuns) drawing(ctx context.Context, name string) error {
	var r drawingRun
	d := json.NewDecoder(bytes.NewReader(m.f.golden[name]))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return err
	}
	if r.Steps < 1 || r.Steps > maxRun {
		return fmt.Errorf("%d timesteps, want 1 to %d", r.Steps, maxRun)
	}
	cond, err := m.f.batch(name+".input_ids", name+".attention_mask")
	if err != nil {
		return err
	}
	var uncond textBatch
	if r.Guidance != 0 {
		if uncond, err = m.f.batch(name+".uncond_input_ids", name+".uncond_attention_mask"); err != nil {
			return err
		}
		if len(uncond.prompts) != len(cond.prompts) {
			return fmt.Errorf("%d rows, %d without a caption", len(cond.prompts), len(uncond.prompts))
		}
	}
	_, shape, err := m.f.ints(name + ".result")
	if err != nil {
		return err
	}
	var rec drawingRecord
	for row, tokens := range cond.prompts {
		n := shape[len(shape)-1]
		if len(tokens) < n+2 {
			return fmt.Errorf("row %d has %d positions, want more than %d", row, len(tokens), n+1)
		}
		run := drawingRow{m: m, name: name, r: r, row: row, tokens: tokens, lo: len(tokens) - n - 1, n: n}
		if r.Guidance != 0 {
			other := uncond.prompts[row]
			run.prefix = other[:len(other)-n-1]
		}
		if err := run.follow(ctx, &rec); err != nil {
			return err
		}
	}
	m.compareDrawing(name, r, rec)
	return nil
}

func (m *mmadaRuns) compareDrawing(name string, r drawingRun, rec drawingRecord) {
	f := m.f
	f.equal(name+".model_ids", interleave(rec.ids))
	f.equal(name+".mask_len", interleave(rec.lens))
	f.equal(name+".masking", interleave(rec.masking))
	f.equal(name+".result", interleave(rec.codes))
	f.near(name+".selected_probs", interleave(rec.probs))
	f.near(name+".cond_logits_step0", slices.Concat(rec.condFirst...))
	f.near(name+".cond_logits_last", slices.Concat(rec.condLast...))
	f.near(name+".log_probs_step1", slices.Concat(rec.logProbs...))
	if r.Guidance != 0 {
		f.near(name+".uncond_logits_step0", slices.Concat(rec.uncondFirst...))
	}
	var counts, want []int
	for s, per := range r.MaskLen {
		for row, k := range per {
			want = append(want, k)
			if row < len(rec.lens) && s < len(rec.lens[row]) {
				counts = append(counts, rec.lens[row][s]...)
			}
		}
	}
	f.same(name+".mask_len (golden.json)", counts, want, []int{len(want)})
	s := sample.MaskGIT{ChoiceTemperature: r.Temperature, Compounding: true}
	var used []float64
	for i := range r.Steps {
		used = append(used, s.Temperature(i, r.Steps))
	}
	f.add(compare(name+".temperatures_used", used, r.Temperatures, []int{r.Steps}, 1e-12))
}

// drawingRow is one row of a run.
type drawingRow struct {
	m      *mmadaRuns
	name   string
	r      drawingRun
	row    int
	tokens []engine.Token
	lo, n  int            // the picture's positions are [lo, lo+n)
	prefix []engine.Token // of the row without a caption
}

// sequence makes the masks of the picture free.
func (w drawingRow) sequence() *engine.Sequence {
	hi := w.lo + w.n
	s := &engine.Sequence{Tokens: slices.Clone(w.tokens), Fixed: make([]bool, len(w.tokens)), Spans: []engine.Span{
		{Lo: 0, Hi: w.lo}, {Lo: w.lo, Hi: hi, Modality: engine.Image}, {Lo: hi, Hi: len(w.tokens)},
	}}
	for i, t := range s.Tokens {
		s.Fixed[i] = i < w.lo || i >= hi || t != w.m.mask
	}
	return s
}

func (w drawingRow) follow(ctx context.Context, rec *drawingRecord) error {
	seq := w.sequence()
	sampler := &sample.MaskGIT{ChoiceTemperature: w.r.Temperature, Compounding: true, WholePicture: true}
	net := w.network(rec)
	var masking, lens [][]int
	var probs [][]float32
	loop := &denoise.Masked{
		Model: net, Quirks: denoise.Quirks{EveryStep: true}, Guide: denoise.ReplacePrefix(w.prefix, w.lo),
		Noise: func(step int) engine.Noise {
			u, _ := w.m.f.noise(fmt.Sprintf("%s.noise.gumbel_u.%02d", w.name, step), 2)
			return u.order(w.lo, w.row)
		},
	}
	loop.Sampler = &spy{Sampler: sampler, seen: func(v engine.View, p *engine.Prediction) {
		// The official step masks at least one position again, even the last; the last full draw is the result all the same.
		var d engine.Decision
		sampler.Commit(v, p, &d)
		again, chosen := make([]int, w.n), make([]float32, w.n)
		for i := range chosen {
			chosen[i] = 2 // known
		}
		for i, pos := range p.Pos {
			again[pos-w.lo], chosen[pos-w.lo] = 1, p.Prob[i]
		}
		for _, i := range d.Unmask {
			again[p.Pos[i]-w.lo] = 0
		}
		masking, probs = append(masking, again), append(probs, chosen)
		lens = append(lens, []int{sampler.Masks(v)})
	}}
	o := engine.Options{Steps: w.r.Steps, Schedule: w.r.Schedule, Guidance: w.r.Guidance}
	p, err := follow(ctx, loop, seq, o)
	if err != nil {
		return err
	}
	var ids [][]int
	for _, s := range p.states {
		ids = append(ids, toInts(s[w.lo:w.lo+w.n]))
	}
	codes := slices.Clone(ids[len(ids)-1])
	for i := range codes {
		codes[i] -= int(w.m.offset)
	}
	rec.ids, rec.codes = append(rec.ids, ids[:len(ids)-1]), append(rec.codes, [][]int{codes})
	rec.masking, rec.lens, rec.probs = append(rec.masking, masking), append(rec.lens, lens), append(rec.probs, probs)
	return w.given(ids[0])
}

// given compares the tokens of an inpainting run with the recorded picture.
func (w drawingRow) given(ids []int) error {
	const array = "inpaint.image_tokens"
	if !strings.Contains(w.name, "inpaint") {
		return nil
	}
	all, _, err := w.m.f.ints(array)
	if err != nil {
		return err
	}
	if (w.row+1)*w.n > len(all) {
		return fmt.Errorf("%s: %d tokens for row %d of %d", array, len(all), w.row, w.n)
	}
	w.m.f.same(rowName(w.name+"."+array, w.row, 2), ids, all[w.row*w.n:(w.row+1)*w.n], []int{w.n})
	return nil
}

// network replays the draws of this row, and keeps the logits that were recorded.
func (w drawingRow) network(rec *drawingRecord) *replay {
	net := &replay{Denoiser: w.m.n, spec: w.m.spec()}
	for i := range w.n {
		net.watch = append(net.watch, w.lo+i)
	}
	codes := func(x []float32) []float32 {
		v, lo := net.spec.Vocab, int(w.m.offset)
		var out []float32
		for i := range w.n {
			out = append(out, x[i*v+lo:i*v+lo+w.m.codebook]...)
		}
		return out
	}
	net.look = func(call int, guided []float32, raw [2][]float32) error {
		if call == 0 {
			rec.condFirst = append(rec.condFirst, codes(raw[0]))
			if raw[1] != nil {
				rec.uncondFirst = append(rec.uncondFirst, codes(raw[1]))
			}
		}
		if call == 1 {
			rec.logProbs = append(rec.logProbs, logSoftmax(codes(guided), w.m.codebook))
		}
		if call == w.r.Steps-1 {
			rec.condLast = append(rec.condLast, codes(raw[0]))
		}
		return nil
	}
	if w.r.Greedy {
		return net
	}
	net.draw = func(call, pos int, logits []float32) (int, error) {
		e, err := w.m.f.recorded(fmt.Sprintf("%s.noise.exponential.%02d", w.name, call), 2)
		if err != nil {
			return 0, err
		}
		x, err := e.at(w.row*w.n + pos - w.lo)
		if err != nil || len(x) != w.m.codebook {
			return 0, fmt.Errorf("noise of %d codes, want %d: %w", len(x), w.m.codebook, err)
		}
		lo := int(w.m.offset)
		return lo + drawMultinomial(logits[lo:lo+w.m.codebook], x), nil
	}
	return net
}

// logSoftmax of each row of v logits.
func logSoftmax(logits []float32, v int) []float32 {
	out := make([]float32, 0, len(logits))
	for lo := 0; lo < len(logits); lo += v {
		row := logits[lo : lo+v]
		top, sum := float64(slices.Max(row)), 0.0
		for _, x := range row {
			sum += math.Exp(float64(x) - top)
		}
		for _, x := range row {
			out = append(out, float32(float64(x)-top-math.Log(sum)))
		}
	}
	return out
}
