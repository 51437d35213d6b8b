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

// blockRun is what golden.json says of a run.
type blockRun struct {
	Steps     int      `json:"num_steps"`
	Strides   int      `json:"num_strides"`
	Context   int      `json:"context_size"`
	Calls     int      `json:"network_calls"`
	Updates   int      `json:"updates"`
	NFE       int      `json:"reported_nfe"`
	AdaLN     bool     `json:"adaln"`
	Same      bool     `json:"same_in_float64"`
	MasksLeft int      `json:"masks_left"`
	Nucleus   float64  `json:"sampling.nucleus_p"`
	Hitting   *bool    `json:"sampling.first_hitting"`
	Cache     bool     `json:"sampling.kv_cache"`
	Low       *float64 `json:"training.sampling_eps_min"`
	High      *float64 `json:"training.sampling_eps_max"`
	Resample  bool     `json:"training.resample"`
	Draws     int      `json:"draws"`
	Loss      float64  `json:"loss"`
	Loss64    float64  `json:"loss_float64"`
}

func decodeBlockRun(raw json.RawMessage) (blockRun, error) {
	r := blockRun{Nucleus: 1}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return r, d.Decode(&r)
}

// blockFollow is a run block by block.
type blockFollow struct {
	*blockLM
	r        blockRun
	hitting  bool
	noise    *noiseArray
	clock    []float64 // draws of the time
	place    []int     // draws of the position
	update   int       // updates so far
	step     int       // of the block
	t        float64
	times    []float64
	windows  [][]engine.Token // before each update
	changed  int
	calls    int
	position int // chosen in this update
}

func (b *blockLM) run(ctx context.Context, name string, raw json.RawMessage) error {
	r, err := decodeBlockRun(raw)
	if err != nil {
		return err
	}
	prefix := "run." + name + "."
	s := &blockFollow{blockLM: b, r: r, hitting: r.Hitting == nil || *r.Hitting}
	if s.noise, err = b.f.recorded(prefix+"uniform", 4); err != nil {
		return err
	}
	if s.hitting {
		if s.clock, _, err = b.f.float64s(prefix + "time_uniform"); err != nil {
			return err
		}
		if s.place, _, err = b.f.ints(prefix + "position_draw"); err != nil {
			return err
		}
	}
	if r.Steps < 1 || r.Steps > maxRun || r.Strides < 1 || r.Strides > maxRun || r.Context < b.block || r.Context%b.block != 0 || b.block < 2 {
		return fmt.Errorf("%d steps, %d strides of %d, context %d", r.Steps, r.Strides, b.block, r.Context)
	}
	mask := engine.Token(b.m.mask)
	var all []engine.Token
	for i := range r.Strides {
		for range b.block {
			all = append(all, mask)
		}
		if i == 0 {
			all[0] = b.m.n.Spec().End[0]
		}
		window := all[max(0, len(all)-r.Context):]
		if err := s.stride(ctx, window); err != nil {
			return err
		}
		if r.Cache {
			s.calls++ // the official code stores a finished block by a pass of its own
		}
	}
	b.f.equal(prefix+"final", toInts(all))
	_, shape, err := b.f.ints(prefix + "window_before_update")
	if err != nil {
		return err
	}
	var windows []int
	for _, w := range s.windows {
		windows = append(windows, toInts(w)...)
		for range shape[len(shape)-1] - len(w) {
			windows = append(windows, -1)
		}
	}
	b.f.equal(prefix+"window_before_update", windows)
	want, shape, err := b.f.float64s(prefix + "t")
	if err != nil {
		return err
	}
	b.f.add(compare(prefix+"t", s.times, want, shape, 1e-6))
	left := count(toInts(all), mask)
	b.f.same(prefix+"counts", []int{s.calls, s.update, s.changed, left}, []int{r.Calls, r.Updates, r.NFE, r.MasksLeft}, []int{4})
	return nil
}

// stride fills the last block of window by the product's loop.
func (s *blockFollow) stride(ctx context.Context, window []engine.Token) error {
	n := s.nets[s.r.AdaLN]
	spec := n.Spec()
	spec.End, spec.Block = nil, s.block
	net := &replay{Denoiser: n, spec: spec}
	state := slices.Clone(window)
	net.draw = func(_, pos int, logits []float32) (int, error) {
		if len(s.windows) == s.update { // the first draw of the update
			if err := s.begin(state, spec.Mask); err != nil {
				return 0, err
			}
		}
		return s.draw(pos-len(window)+s.block, logits)
	}
	seq := &engine.Sequence{Tokens: window, Spans: []engine.Span{{Hi: len(window)}}}
	free := 0
	for _, t := range window {
		seq.Fixed = append(seq.Fixed, t != spec.Mask)
		if t == spec.Mask {
			free++
		}
	}
	loop := &denoise.Masked{Model: net, BlockSteps: s.r.Steps, Quirks: denoise.Quirks{MaskIsToken: true, AllIDs: true},
		Answer: engine.Span{Lo: 0, Hi: len(window)}, Noise: func(int) engine.Noise { return always{} }}
	s.step, s.t = 0, 1
	o := engine.Options{Schedule: "uniform", Block: s.block}
	if s.r.Cache {
		o.Cache = engine.CacheDual
	}
	var sampler engine.Sampler = sample.Ancestral{}
	if s.hitting {
		loop.BlockSteps, sampler = free, &sample.Random{}
		loop.Noise = func(int) engine.Noise { return chosen(s.position) }
	}
	loop.Sampler = sampler
	for step, err := range loop.Steps(ctx, seq, o) {
		if err != nil {
			return err
		}
		for _, c := range step.Changes {
			state[c.Pos] = c.To
		}
		// The official code keeps a prediction while nothing changes.
		if len(step.Changes) > 0 {
			s.changed++
		}
		if s.step == 0 || !s.same() {
			s.calls++
		}
		s.step++
		s.update++
	}
	return nil
}

// same reports whether the update before this one changed nothing.
func (s *blockFollow) same() bool {
	n := len(s.windows)
	return n > 1 && slices.Equal(s.windows[n-1], s.windows[n-2])
}

// begin notes the state before an update and draws its time and, when one position is revealed at a time, its position.
func (s *blockFollow) begin(state []engine.Token, mask engine.Token) error {
	s.windows = append(s.windows, slices.Clone(state))
	var masked []int
	for i, t := range state {
		if t == mask {
			masked = append(masked, i)
		}
	}
	if !s.hitting {
		s.t = 1
		if s.r.Steps > 1 {
			s.t = 1 - float64(s.step)/float64(s.r.Steps-1)
		}
		s.times = append(s.times, s.t)
		return nil
	}
	if s.update >= len(s.clock) || s.update >= len(s.place) || s.place[s.update] < 0 || s.place[s.update] >= len(masked) {
		return fmt.Errorf("update %d: no draw of a time or of one of %d masks", s.update, len(masked))
	}
	s.t *= math.Pow(s.clock[s.update], 1/float64(len(masked)))
	s.times = append(s.times, s.t)
	s.position = masked[s.place[s.update]]
	return nil
}

// draw is one categorical draw at a position of the block, in float64.
func (s *blockFollow) draw(at int, logits []float32) (int, error) {
	u, err := s.noise.at(s.update, 0, at)
	if err != nil || len(u) != len(logits) {
		return 0, fmt.Errorf("noise of %d ids, want %d: %w", len(u), len(logits), err)
	}
	logp, err := s.m.logProbs("subs", logits, []int{s.m.mask}, 0)
	if err != nil {
		return 0, err
	}
	p := make([]float64, len(logp))
	for i, x := range logp {
		p[i] = math.Exp(x)
	}
	nucleus(p, s.r.Nucleus)
	if !s.hitting {
		kept := (s.t - 1/float64(s.r.Steps)) / s.t // of the masks; -Inf at time 0
		for i := range p {
			p[i] *= 1 - kept
		}
		p[s.m.mask] = kept
		for i, x := range p {
			if x != x { // the argmax of PyTorch takes NaN for the largest
				return i, nil
			}
		}
	}
	return drawRatio(p, u), nil
}

// nucleus keeps the most probable ids whose probabilities add up to at most share, at least one, and divides by their sum.
func nucleus(p []float64, share float64) {
	if share == 1 {
		return
	}
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] > p[b]:
			return -1
		case p[a] < p[b]:
			return 1
		}
		return 0
	})
	sum, kept := 0.0, 0.0
	for i, id := range order {
		if sum += p[id]; i > 0 && sum > share {
			p[id] = 0
		}
		kept += p[id]
	}
	for i := range p {
		p[i] /= kept
	}
}

// chosen is noise that puts one position before all others.
type chosen int

// Uniform implements [engine.Noise].
func (c chosen) Uniform(pos int) float64 {
	if pos == int(c) {
		return 0.75
	}
	return 0.25
}
