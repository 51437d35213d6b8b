package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/models/difflm"
)

// diffusionLMRun is what golden.json says of a run.
type diffusionLMRun struct {
	Model   string   `json:"model"`
	Loop    string   `json:"loop"`
	Batch   int      `json:"batch"`
	Spacing string   `json:"timestep_respacing"`
	Small   bool     `json:"sigma_small"`
	Clamp   bool     `json:"clamp"`
	Map     []int    `json:"timestep_map"`
	Draws   []string `json:"noise_draws"`
	Head    []string `json:"words_by_logits"`
	Near    []string `json:"words_by_nearest_l2"`
	Clip    bool     `json:"clip_denoised"`
	TopP    float64  `json:"top_p"`
	Eta     float64  `json:"eta"`
	Greedy  bool     `json:"greedy"`
}

// size: the hooks of one process and what it is compared with.
func (d *diffusionLM) run(ctx context.Context, name string, raw json.RawMessage) error {
	var r diffusionLMRun
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	m := d.nets[r.Model]
	if m == nil || r.Batch < 1 || r.Batch > maxRun {
		return fmt.Errorf("model %q, %d rows", r.Model, r.Batch)
	}
	g, err := denoise.NewGaussian(m.Args.Schedule, m.Args.Steps, r.Spacing)
	if err != nil {
		return err
	}
	prefix := "run." + name + "."
	d.f.same(prefix+"timestep_map", g.Map, r.Map, []int{len(r.Map)})
	infill := strings.HasSuffix(r.Loop, "infill")
	if infill && r.Batch != 1 {
		return fmt.Errorf("infilling of %d rows", r.Batch)
	}
	steps, l := len(g.Beta), m.Args.ImageSize*m.Args.ImageSize
	samples, predicted := make([][]float32, steps), make([][]float32, steps)
	var head, near []string
	var words []int
	byStep := make([][]int, steps)
	for row := range r.Batch {
		p := &denoise.Embedding{Model: m, Schedule: g, Clamp: r.Clamp, Clip: r.Clip, Large: !r.Small, Greedy: r.Greedy,
			DDIM: strings.HasPrefix(r.Loop, "ddim"), Eta: r.Eta, Limit: r.TopP}
		draw := 0
		p.Normal = func(dst []float64) error {
			all, shape, err := d.f.float64s(fmt.Sprintf("%snoise.%03d", prefix, draw))
			draw++
			if err != nil {
				return err
			}
			rows := 1
			if len(shape) == 3 {
				rows = shape[0]
			}
			if rows != 1 && rows != r.Batch || len(all) != rows*len(dst) {
				return fmt.Errorf("noise %d: shape %v for %d numbers", draw-1, shape, len(dst))
			}
			copy(dst, all[min(row, rows-1)*len(dst):])
			return nil
		}
		seq := &engine.Sequence{Tokens: make([]engine.Token, l), Fixed: make([]bool, l), Spans: []engine.Span{{Hi: l}}}
		if infill {
			if err := d.known(seq); err != nil {
				return err
			}
		}
		var final []float64
		var lookErr error
		p.Look = func(step int, sample, clean []float64) {
			samples[step] = append(samples[step], float32s(sample)...)
			predicted[step] = append(predicted[step], float32s(clean)...)
			ids, err := d.best(m, clean)
			byStep[step] = append(byStep[step], ids...)
			lookErr = err
			final = slices.Clone(sample)
		}
		for step, err := range p.Steps(ctx, seq, engine.Options{}) {
			if err != nil || lookErr != nil {
				return fmt.Errorf("step %d: %w %w", step.Index, err, lookErr)
			}
		}
		ids, err := d.best(m, final)
		if err != nil {
			return err
		}
		words = append(words, ids...)
		head = append(head, d.text(ids))
		var nearest []int
		for at := 0; at < len(final); at += m.Width() {
			nearest = append(nearest, int(denoise.Nearest(m, float32s(final[at:at+m.Width()]))))
		}
		near = append(near, d.text(nearest))
		d.f.same(rowName(prefix+"noise_draws", row, r.Batch), []int{draw}, []int{len(r.Draws)}, []int{1})
	}
	d.f.near(prefix+"samples", slices.Concat(samples...))
	d.f.near(prefix+"pred_xstart", slices.Concat(predicted...))
	d.f.equal(prefix+"pred_word_ids", slices.Concat(byStep...))
	d.f.equal(prefix+"word_ids", words)
	d.f.text(prefix+"words_by_logits", strings.Join(head, "\n"), strings.Join(r.Head, "\n"))
	d.f.text(prefix+"words_by_nearest_l2", strings.Join(near, "\n"), strings.Join(r.Near, "\n"))
	return nil
}

// known fixes the words of the infilling runs that are given.
func (d *diffusionLM) known(seq *engine.Sequence) error {
	ids, _, err := d.f.ints("infill.known_ids")
	if err != nil {
		return err
	}
	free, _, err := d.f.ints("infill.to_fill")
	if err != nil {
		return err
	}
	if len(ids) != len(seq.Tokens) || len(free) != len(ids) {
		return fmt.Errorf("infill: %d known, %d to fill of %d", len(ids), len(free), len(seq.Tokens))
	}
	for i, f := range free {
		seq.Tokens[i], seq.Fixed[i] = engine.Token(ids[i]), f == 0
	}
	return nil
}

// best are the words that the head finds likeliest for embeddings x.
func (d *diffusionLM) best(m *difflm.Model, x []float64) ([]int, error) {
	logits := make([]float32, len(x)/m.Width()*m.Vocab())
	if err := m.Words(logits, float32s(x)); err != nil {
		return nil, err
	}
	var out []int
	for row := range slices.Chunk(logits, m.Vocab()) {
		at, _ := best(row)
		out = append(out, at)
	}
	return out, nil
}

func (d *diffusionLM) text(ids []int) string {
	var w []string
	for _, id := range ids {
		w = append(w, d.words[id])
	}
	return strings.Join(w, " ")
}
