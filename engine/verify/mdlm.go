package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/models/dit"
	"unmask/engine/sample"
	"unmask/engine/weights"
)

// verifyMDLM checks the mdlm folder: the network told a noise level, what SEDD, D3PM and MDLM make of its output, their
// samplers, losses and noise schedules, and that a trainer's checkpoint gives the same weights.
func verifyMDLM(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	m := &mdlm{f: f, n: n, mask: int(n.Spec().Mask), vocab: n.Spec().Vocab}
	f.number("vocab_size", m.vocab)
	f.number("mask_index", m.mask)
	if err := verifyTensorNames(f); err != nil {
		return err
	}
	if err := verifyTokenizer(ctx, f, f.dir, "mdlm"); err != nil {
		return err
	}
	if err := verifyTrainer(ctx, f, m); err != nil {
		return err
	}
	if err := m.forwards(ctx); err != nil {
		return err
	}
	if err := m.parameterizations(ctx); err != nil {
		return err
	}
	if err := m.noises(); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error {
		switch {
		case name == "semi_ar":
			return m.strides(ctx, name, raw)
		case strings.HasPrefix(name, "loss."):
			return m.loss(ctx, name, raw)
		}
		return m.run(ctx, name, raw)
	})
}

// mdlm replays the runs of the folder.
type mdlm struct {
	f           *folder
	n           *network
	mask, vocab int
}

// verifyTrainer checks the trainer's checkpoint: its averaged weights are the released ones, in the order of parameters.
// A model opened from it computes the same.
func verifyTrainer(ctx context.Context, f *folder, m *mdlm) error {
	var order []string
	if err := f.decode("ckpt_parameter_order", &order); err != nil {
		return err
	}
	c, err := dit.ParseConfig(m.n.Config, f.dir)
	if err != nil {
		return err
	}
	f.add(Check{Name: "ckpt_parameter_order", Pass: slices.Equal(order, dit.Parameters(c))})
	released, err := weights.OpenDir(f.dir)
	if err != nil {
		return err
	}
	defer released.Close()
	trainer, err := weights.OpenDir(filepath.Join(f.dir, "last.ckpt"))
	if err != nil {
		return err
	}
	defer trainer.Close()
	differ := 0
	for i, name := range order {
		a, err := released.Tensor("backbone." + name)
		if err != nil {
			return err
		}
		b, err := trainer.Tensor(fmt.Sprintf("ema.shadow_params.%d", i))
		if err != nil {
			return err
		}
		if !slices.Equal(a.Shape, b.Shape) || !bytes.Equal(a.Data, b.Data) {
			differ++
		}
	}
	f.add(Check{Name: "last.ckpt", Err: float64(differ), Pass: differ == 0, Note: fmt.Sprintf("%d averaged tensors", len(order))})
	n, err := openNetwork(ctx, f, filepath.Join(f.dir, "last.ckpt"))
	if err != nil {
		return err
	}
	in := engine.Input{Tokens: []engine.Token{n.Spec().Mask, 0, 1}}
	got, err := n.forward(ctx, in)
	if err != nil {
		return err
	}
	want, err := m.n.forward(ctx, in)
	if err != nil {
		return err
	}
	f.add(Check{Name: "last.ckpt.logits", Pass: slices.Equal(got, want)})
	return nil
}

// row is one pass at noise level sigma: the logits of every position, [L, V].
func (m *mdlm) row(ctx context.Context, tokens []int, sigma float64) ([]float32, []float32, error) {
	told := m.n.Condition(sigma)
	logits, err := m.n.forward(ctx, engine.Input{Tokens: toTokens(tokens)})
	return logits, told, err
}

// rows reads an array of ids [B, L].
func (f *folder) rows(name string) ([][]int, error) {
	ids, shape, err := f.ints(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || shape[1] == 0 {
		return nil, fmt.Errorf("%s: shape %v, want [B, L]", name, shape)
	}
	return slices.Collect(slices.Chunk(ids, shape[1])), nil
}

// each runs fn with every row of array name, and the noise levels of array sigma.
func (m *mdlm) each(name, sigma string, fn func(i int, row []int, sigma float64) error) error {
	rows, err := m.f.rows(name)
	if err != nil {
		return err
	}
	levels, _, err := m.f.float64s(sigma)
	if err != nil {
		return err
	}
	if len(levels) != len(rows) {
		return fmt.Errorf("%s: %d levels for %d rows", sigma, len(levels), len(rows))
	}
	for i, row := range rows {
		if err := fn(i, row, levels[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *mdlm) forwards(ctx context.Context) error {
	for i := 0; m.f.has(fmt.Sprintf("forward%d.indices", i)); i++ {
		prefix := fmt.Sprintf("forward%d.", i)
		got := map[string][]float32{}
		err := m.each(prefix+"indices", prefix+"sigma", func(_ int, row []int, sigma float64) error {
			logits, told, err := m.row(ctx, row, sigma)
			if err != nil {
				return err
			}
			got["backbone_output"] = append(got["backbone_output"], logits...)
			got["sigma_map"] = append(got["sigma_map"], told...)
			for _, name := range []string{"embed", "block0"} {
				got[name] = append(got[name], m.n.seen[name]...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, name := range sortedKeys(got) {
			m.f.near(prefix+name, got[name])
		}
	}
	return nil
}

// logProbs turns a row's logits [L, V] into what a parameterization gives: the log-probabilities of the clean token
// ("subs", "d3pm", "d3pm_masked"), or the log-scores of "sedd".
func (m *mdlm) logProbs(kind string, logits []float32, tokens []int, sigma float64) ([]float64, error) {
	const never = -1000000
	out := make([]float64, len(logits))
	for i, x := range logits {
		out[i] = float64(x)
	}
	for pos, t := range tokens {
		row := out[pos*m.vocab : (pos+1)*m.vocab]
		if t < 0 || t >= m.vocab {
			return nil, fmt.Errorf("token %d of %d", t, m.vocab)
		}
		if kind == "sedd" {
			for i := range row {
				row[i] -= math.Log(math.Expm1(sigma)) + math.Log(float64(m.vocab-1))
			}
			row[t] = 0
			continue
		}
		if kind != "d3pm" {
			row[m.mask] += never
		}
		sum := softmaxInPlace(slices.Clone(row))
		for i := range row {
			row[i] -= sum
		}
		if kind == "subs" && t != m.mask {
			for i := range row {
				row[i] = never
			}
			row[t] = 0
		}
	}
	return out, nil
}

// parameterizations checks param.*: all columns by the arrays' bounds, and those of tokens, which the mask's huge column
// would let pass, by that of a log-probability.
func (m *mdlm) parameterizations(ctx context.Context) error {
	for _, kind := range []string{"subs", "sedd", "d3pm", "d3pm_masked"} {
		name := "param." + kind
		if !m.f.has(name + ".output") {
			continue
		}
		var got []float32
		err := m.each("param.indices", name+".sigma", func(_ int, row []int, sigma float64) error {
			told := sigma
			if kind != "sedd" && kind != "d3pm" {
				told = 0
			}
			logits, _, err := m.row(ctx, row, told)
			if err != nil {
				return err
			}
			out, err := m.logProbs(kind, logits, row, sigma)
			for _, x := range out {
				got = append(got, float32(x))
			}
			return err
		})
		if err != nil {
			return err
		}
		m.f.near(name+".output", got)
		m.f.tokensNear(name+".output", got, m.vocab, m.mask, 1e-4)
	}
	return nil
}

// tokensNear compares got with array name within tol in every column but the mask's.
func (f *folder) tokensNear(name string, got []float32, vocab, mask int, tol float64) {
	want, shape, err := f.float64s(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	wide := make([]float64, len(got))
	for i, x := range got {
		if wide[i] = float64(x); i%vocab == mask && i < len(want) {
			want[i] = wide[i]
		}
	}
	f.add(compare(name+"[tokens]", wide, want, shape, tol))
}

// mdlmRun is what golden.json says of a run.
type mdlmRun struct {
	Steps      int     `json:"num_steps"`
	Eps        float64 `json:"eps"`
	Calls      int     `json:"network_calls"`
	Same       bool    `json:"same_in_float64"`
	Predictor  string  `json:"sampling.predictor"`
	Timed      bool    `json:"time_conditioning"`
	Remove     *bool   `json:"sampling.noise_removal"`
	Kind       string  `json:"parameterization"`
	Batch      int     `json:"loader.eval_batch_size"`
	T          int     `json:"T"`
	Noise      string  `json:"noise.type"`
	Importance bool    `json:"training.importance_sampling"`
	Change     bool    `json:"training.change_of_variables"`
	Loss       float64 `json:"loss"`
	Loss64     float64 `json:"loss_float64"`
}

func decodeMDLM(raw json.RawMessage) (mdlmRun, error) {
	r := mdlmRun{Predictor: "ddpm_cache", Kind: "subs", Noise: "loglinear"}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&r)
	if err == nil && (r.Steps < 0 || r.Steps > maxRun) {
		err = fmt.Errorf("%d steps", r.Steps)
	}
	return r, err
}

// run follows a run through the product's loop. One draw of the official sampler says both whether a position is unmasked
// and with what: the loop is given it as the candidate, and a mask uses up the turn.
func (m *mdlm) run(ctx context.Context, name string, raw json.RawMessage) error {
	r, err := decodeMDLM(raw)
	if err != nil {
		return err
	}
	if r.Steps < 1 {
		return fmt.Errorf("%d steps", r.Steps)
	}
	noise, err := m.f.recorded("run."+name+".uniform", 4)
	if err != nil {
		return err
	}
	_, shape, err := m.f.ints("run." + name + ".traj")
	if err != nil {
		return err
	}
	if len(shape) != 3 {
		return fmt.Errorf("trajectory %v, want [states, B, L]", shape)
	}
	remove := r.Remove == nil || *r.Remove
	states, calls := make([][][]int, shape[1]), 0
	for row := range shape[1] {
		passes := r.Steps
		if remove {
			passes++
		}
		s := &stepped{mdlm: m, r: r, noise: noise, row: row}
		p, err := s.follow(ctx, m.masks(nil, shape[2]), passes)
		if err != nil {
			return err
		}
		for i, state := range p.states {
			if remove && i == r.Steps {
				continue // the state between the last update and the removal of noise is not recorded
			}
			states[row] = append(states[row], toInts(state))
		}
		n := 0
		for i := range r.Steps {
			if i == 0 || r.Predictor != "ddpm_cache" || !slices.Equal(p.states[i-1], p.states[i]) {
				n++
			}
		}
		if remove {
			n++
		}
		calls = max(calls, n)
	}
	m.f.trajectory("run."+name+".traj", states)
	m.f.same("run."+name+".network_calls", []int{calls}, []int{r.Calls}, []int{1})
	return nil
}

// masks is a sequence of n positions that begins with kept ones.
func (m *mdlm) masks(kept []engine.Token, n int) *engine.Sequence {
	return textSequence(kept, n-len(kept), engine.Token(m.mask))
}

// stepped is a run under the loop, with the network told the time of every step.
type stepped struct {
	*mdlm
	r     mdlmRun
	noise *noiseArray
	row   int
	step  int // of the next pass
	first int // draw of step 0
	dt    float64
}

// follow runs seq in the given number of passes, of which those beyond the run's steps remove the noise that is left.
func (s *stepped) follow(ctx context.Context, seq *engine.Sequence, passes int) (path, error) {
	spec := s.n.Spec()
	spec.End, spec.Block = nil, 0
	if s.dt == 0 {
		s.dt = (1 - s.r.Eps) / float64(s.r.Steps)
	}
	net := &replay{Denoiser: &told{s.n, s}, spec: spec}
	state := slices.Clone(seq.Tokens)
	net.draw = func(_, pos int, logits []float32) (int, error) { return s.draw(pos, int(state[pos]), logits) }
	var sampler engine.Sampler = sample.Ancestral{}
	if s.r.Kind == "d3pm" {
		sampler = &everywhere{last: s.r.Steps}
	}
	watched := &spy{Sampler: sampler, seen: func(engine.View, *engine.Prediction) { s.step++ }}
	loop := &denoise.Masked{Model: net, Sampler: watched, BlockSteps: passes,
		Quirks: denoise.Quirks{EveryStep: true, MaskIsToken: true, AllIDs: true},
		Noise:  func(int) engine.Noise { return always{} }}
	final := seq.Clone()
	p := path{states: [][]engine.Token{slices.Clone(state)}}
	for step, err := range loop.Steps(ctx, final, engine.Options{Schedule: "uniform"}) {
		if err != nil {
			return p, err
		}
		for _, c := range step.Changes {
			state[c.Pos] = c.To
		}
		p.states = append(p.states, slices.Clone(state))
	}
	return p, nil
}

// told tells the network the noise level of the run's step before each pass.
type told struct {
	*network
	s *stepped
}

// Forward implements [engine.Denoiser].
func (t *told) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	sigma := 0.0
	if t.s.r.Timed {
		sigma, _ = noiseLevel(t.s.r.Noise, t.s.time(t.s.step))
	}
	t.Condition(sigma)
	return t.network.Forward(ctx, in)
}

// always is a coin that always falls.
type always struct{}

// Uniform implements [engine.Noise].
func (always) Uniform(int) float64 { return 0 }

// everywhere is the ancestral sampler of a model that may change committed tokens when the last noise is removed.
type everywhere struct {
	sample.Ancestral
	last int
	step int
}

// ReviewsCommitted implements [engine.Reviewer].
func (*everywhere) ReviewsCommitted() bool { return true }

// Select implements [engine.Sampler].
func (e *everywhere) Select(v engine.View, p *engine.Prediction, d *engine.Decision) {
	e.Ancestral.Select(v, p, d)
	if e.step++; e.step > e.last {
		for i, c := range v.Committed {
			if c && p.Token[i] != v.Current[i] {
				d.Edit = append(d.Edit, i)
			}
		}
	}
}
