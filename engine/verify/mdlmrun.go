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
