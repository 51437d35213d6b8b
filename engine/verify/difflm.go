package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/models/difflm"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// diffusionLM replays the diffusion-lm folder.
type diffusionLM struct {
	f     *folder
	nets  map[string]*difflm.Model // "ema" and "live"
	words []string
}

// verifyDiffusionLM checks the diffusion-lm folder: noise schedules, the network that denoises embeddings, runs of its
// process with DDPM's and DDIM's steps, clamped, truncated and as infilling, and the loss.
func verifyDiffusionLM(ctx context.Context, f *folder) error {
	d := &diffusionLM{f: f, nets: map[string]*difflm.Model{}}
	for name, pattern := range map[string]string{"ema": "ema_*.pt", "live": "model*.pt"} {
		if err := d.open(ctx, name, pattern); err != nil {
			return err
		}
	}
	a := d.nets["ema"].Args
	f.number("vocab_size", a.Vocab)
	f.number("sequence_length", a.ImageSize*a.ImageSize)
	f.number("steps", a.Steps)
	if err := d.vocabulary(); err != nil {
		return err
	}
	if err := d.schedules(); err != nil {
		return err
	}
	for i := 0; f.has(fmt.Sprintf("forward%d.x", i)); i++ {
		if err := d.forward(ctx, fmt.Sprintf("forward%d.", i)); err != nil {
			return err
		}
	}
	if err := d.loss(ctx); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error { return d.run(ctx, name, raw) })
}

func (d *diffusionLM) open(ctx context.Context, name, pattern string) error {
	files, err := filepath.Glob(filepath.Join(d.f.dir, pattern))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no file %s: %w", pattern, err)
	}
	set, err := weights.OpenDir(files[len(files)-1])
	if err != nil {
		return err
	}
	d.f.onClose = append(d.f.onClose, set.Close)
	be, err := d.f.opt.Backend()
	if err != nil {
		return err
	}
	d.f.onClose = append(d.f.onClose, be.Close)
	m, err := difflm.Open(ctx, set, be, tensor.F32)
	if err != nil {
		return err
	}
	d.nets[name] = m
	if name != "ema" {
		return nil
	}
	var names []string
	if err := d.f.decode("tensor_names", &names); err != nil {
		return err
	}
	slices.Sort(names)
	d.f.add(Check{Name: "tensor_names", Pass: slices.Equal(names, set.Names())})
	var table []float32
	for i := range m.Vocab() {
		table = append(table, m.Word(engine.Token(i))...)
	}
	d.f.nearWithin("ema.effective_word_embedding", "ema.effective_word_embedding", table, 0)
	return nil
}

func (d *diffusionLM) vocabulary() error {
	data, err := os.ReadFile(filepath.Join(d.f.dir, "vocab.json"))
	if err != nil {
		return err
	}
	var ids, special map[string]int
	if err := json.Unmarshal(data, &ids); err != nil {
		return err
	}
	d.words = make([]string, d.nets["ema"].Vocab())
	for w, id := range ids {
		if id < 0 || id >= len(d.words) {
			return fmt.Errorf("vocab.json: %q is %d of %d", w, id, len(d.words))
		}
		d.words[id] = w
	}
	if err := d.f.decode("vocab_special", &special); err != nil {
		return err
	}
	for w, id := range special {
		d.f.same("vocab_special."+w, []int{ids[w]}, []int{id}, []int{1})
	}
	return nil
}

// schedules checks every schedule.NAME.STEPS.*, of which the fixture has every so many entries, to float64's precision.
func (d *diffusionLM) schedules() error {
	var every map[string]int
	if err := d.f.decode("schedule_index_stride", &every); err != nil {
		return err
	}
	for _, array := range d.f.names("schedule.") {
		part := strings.Split(array, ".")
		var total int
		if _, err := fmt.Sscan(part[2], &total); err != nil || len(part) != 4 || every[part[2]] < 1 {
			return fmt.Errorf("%s: no such schedule: %w", array, err)
		}
		g, err := denoise.NewGaussian(part[1], total, "")
		if err != nil {
			return err
		}
		all, ok := map[string][]float64{"betas": g.Beta, "alphas_cumprod": g.Bar, "posterior_variance": g.Var,
			"posterior_log_variance_clipped": g.LogVar, "posterior_mean_coef1": g.Clean, "posterior_mean_coef2": g.Noised}[part[3]]
		if !ok {
			return fmt.Errorf("%s: no such part of a schedule", array)
		}
		want, shape, err := d.f.float64s(array)
		if err != nil {
			return err
		}
		var got []float64
		for i := 0; i < len(all); i += every[part[2]] {
			got = append(got, all[i])
		}
		for i, w := range want {
			if i < len(got) && math.Abs(got[i]-w) <= 1e-11*math.Abs(w) {
				want[i] = got[i]
			}
		}
		d.f.add(compare(array, got, want, shape, 1e-15))
	}
	return nil
}

// batches reads an array [B, L, D] as one slice a row.
func (d *diffusionLM) batches(name string) ([][]float64, error) {
	x, shape, err := d.f.float64s(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 3 || shape[1]*shape[2] == 0 || shape[2] != d.nets["ema"].Width() {
		return nil, fmt.Errorf("%s: shape %v", name, shape)
	}
	return slices.Collect(slices.Chunk(x, shape[1]*shape[2])), nil
}

func (d *diffusionLM) forward(ctx context.Context, prefix string) error {
	m := d.nets["ema"]
	rows, err := d.batches(prefix + "x")
	if err != nil {
		return err
	}
	times, _, err := d.f.float64s(prefix + "timesteps")
	if err != nil {
		return err
	}
	if len(times) != len(rows) {
		return fmt.Errorf("%s: %d times for %d rows", prefix, len(times), len(rows))
	}
	seen := map[string][]float32{}
	m.Watch(func(name string, x []float32) { seen[name] = append(seen[name], x...) })
	defer m.Watch(nil)
	for i, row := range rows {
		out := make([]float32, len(row))
		if err := m.Predict(ctx, out, float32s(row), times[i]); err != nil {
			return err
		}
		logits := make([]float32, len(row)/m.Width()*m.Vocab())
		if err := m.Words(logits, out); err != nil {
			return err
		}
		seen["logits_mode1"] = append(seen["logits_mode1"], logits...)
		for at := 0; at < len(out); at += m.Width() {
			for id := range m.Vocab() {
				sum := 0.0
				for j, v := range m.Word(engine.Token(id)) {
					e := float64(v) - float64(out[at+j])
					sum += e * e
				}
				seen["logits_mode2"] = append(seen["logits_mode2"], float32(-math.Sqrt(sum)))
			}
		}
	}
	for _, name := range sortedKeys(seen) {
		if d.f.has(prefix + name) {
			d.f.near(prefix+name, seen[name])
		}
	}
	return nil
}

// embeddings are those of words, one after the other.
func embeddings(m *difflm.Model, words []int) ([]float64, error) {
	var out []float64
	for _, w := range words {
		if w < 0 || w >= m.Vocab() {
			return nil, fmt.Errorf("word %d of %d", w, m.Vocab())
		}
		for _, v := range m.Word(engine.Token(w)) {
			out = append(out, float64(v))
		}
	}
	return out, nil
}

// loss checks the end-to-end loss and the noising that it begins with.
//
// size: the reading of its arrays and one formula.
func (d *diffusionLM) loss(ctx context.Context) error {
	m := d.nets["ema"]
	g, err := denoise.NewGaussian(m.Args.Schedule, m.Args.Steps, "")
	if err != nil {
		return err
	}
	rows, err := d.f.rows("loss.input_ids")
	if err != nil {
		return err
	}
	at, _, err := d.f.ints("loss.t")
	if err != nil {
		return err
	}
	var noises [3][][]float64
	for i, name := range []string{"loss.x_start_noise", "loss.q_noise", "q_sample.noise"} {
		if noises[i], err = d.batches(name); err != nil {
			return err
		}
		if len(noises[i]) != len(rows) || len(at) != len(rows) || len(noises[i][0]) != len(rows[0])*m.Width() {
			return fmt.Errorf("%s: %d rows of %d values, want %d", name, len(noises[i]), len(noises[i][0]), len(rows))
		}
	}
	var mses, losses, sampled []float32
	for i, row := range rows {
		t := at[i]
		if t < 0 || t >= len(g.Bar) {
			return fmt.Errorf("loss.t: %d of %d", t, len(g.Bar))
		}
		mean, err := embeddings(m, row)
		if err != nil {
			return err
		}
		keep, spread := math.Sqrt(g.Bar[t]), math.Sqrt(1-g.Bar[t])
		start, x := make([]float64, len(mean)), make([]float64, len(mean))
		last := 0.0
		for j, e := range mean {
			start[j] = e + math.Sqrt(1-g.Bar[0])*noises[0][i][j]
			x[j] = keep*start[j] + spread*noises[1][i][j]
			sampled = append(sampled, float32(keep*e+spread*noises[2][i][j]))
			last += g.Bar[len(g.Bar)-1] * start[j] * start[j] / float64(len(mean))
		}
		out := make([]float32, len(x))
		if err := m.Predict(ctx, out, float32s(x), float64(t)*1000/float64(g.Total)); err != nil {
			return err
		}
		target, mse := start, 0.0
		if t == 0 {
			target = mean
		}
		for j, v := range out {
			e := target[j] - float64(v)
			mse += e * e / float64(len(out))
		}
		logits, nll := make([]float32, len(row)*m.Vocab()), 0.0
		if err := m.Words(logits, float32s(start)); err != nil {
			return err
		}
		for j, w := range row {
			nll -= logProb(logits[j*m.Vocab():(j+1)*m.Vocab()], w) / float64(len(row))
		}
		mses, losses = append(mses, float32(mse)), append(losses, float32(mse+nll+last))
	}
	d.f.near("loss.mse", mses)
	d.f.near("loss.loss", losses)
	d.f.near("q_sample.x_t", sampled)
	return nil
}
