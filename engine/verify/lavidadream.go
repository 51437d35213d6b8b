package verify

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/schedule"
)

// verifyLaViDaDream checks the lavida-dream folder: LaViDa's pictures before Dream's network and sampler.
func verifyLaViDaDream(ctx context.Context, f *folder) error {
	e, err := openEyed(ctx, f)
	if err != nil {
		return err
	}
	var eos int
	if err := f.decode("eos_id", &eos); err != nil {
		return err
	}
	if id, ok := e.tok.Special("<|endoftext|>"); !ok || int(id) != eos {
		f.fail("eos_id", fmt.Errorf("%d, want %d", id, eos))
	}
	tokens, err := e.show(ctx, 0)
	if err != nil {
		return err
	}
	logits, err := e.unshifted(ctx, engine.Input{Tokens: tokens})
	if err != nil {
		return err
	}
	f.nearStrided("forward.logits", logits, len(tokens), e.n.Spec().Vocab, 9)
	var effective map[string]struct {
		TopK  int      `json:"top_k"`
		TopP  *float64 `json:"top_p"`
		Temp  float64  `json:"temperature"`
		Eps   float64  `json:"eps"`
		Steps int      `json:"steps"`
	}
	if err := f.decode("effective_generation_config", &effective); err != nil {
		return err
	}
	for _, name := range sortedKeys(effective) {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := lavidaDreamRun{}
		if err := f.decode(name, &r); err != nil {
			f.fail(name, err)
			continue
		}
		g, d := effective[name], &r.dream.Effective
		d.TopK, d.TopP, d.Temp, d.Eps, d.Steps, d.Alg, d.AlgTemp = &g.TopK, g.TopP, g.Temp, g.Eps, g.Steps, r.Alg, r.AlgTemp
		if err := e.dreamRun(ctx, name, &r, tokens); err != nil {
			f.fail(name, err)
		}
	}
	return nil
}

// unshifted is a pass whose logits are the network's own, those of position i at i.
func (e *eyed) unshifted(ctx context.Context, in engine.Input) ([]float32, error) {
	e.n.Stack.Config.Shift = false
	defer func() { e.n.Stack.Config.Shift = true }()
	return e.n.forward(ctx, in)
}

// lavidaDreamRun is what golden.json says of a run.
type lavidaDreamRun struct {
	New      int                `json:"max_new_tokens"`
	Mask     engine.Token       `json:"mask_id"`
	Forwards int                `json:"forwards"`
	Result   []int              `json:"result"`
	Prefix   bool               `json:"prefix_lm"`
	Ratio    *float64           `json:"step_ratio"`
	Schedule string             `json:"schedule"`
	Kwargs   map[string]float64 `json:"schedule_kwargs"`
	Alg      string             `json:"alg"`
	AlgTemp  *float64           `json:"alg_temp"`

	dream dreamRun
}

// plan is the schedule of the run and its steps. With a ratio and no schedule of its own, the run takes the first steps of
// the long table of times and reveals the rest in the last.
func (r *lavidaDreamRun) plan() (schedule.Schedule, int, error) {
	full := r.dream.Effective.Steps
	steps := full
	if r.Ratio != nil {
		steps = int(float64(full) * *r.Ratio)
	}
	if steps < 1 || steps > maxRun || full > maxRun {
		return schedule.Schedule{}, 0, fmt.Errorf("%d of %d steps", steps, full)
	}
	if r.Schedule != "" {
		s, err := lavidaSchedule(r.Schedule, r.Kwargs)
		return s, steps, err
	}
	s := schedule.Timestep(r.dream.Effective.Eps)
	rate := s.Rate
	s.Rate = func(i, _ int) float32 { return rate(i, full) }
	return s, steps, nil
}

func (e *eyed) dreamRun(ctx context.Context, name string, r *lavidaDreamRun, prompt []engine.Token) error {
	f, lo := e.f, len(prompt)
	if r.New < 1 || r.New > maxRun {
		return fmt.Errorf("length %d", r.New)
	}
	seq := textSequence(prompt, r.New, r.Mask)
	if r.Prefix {
		if err := e.firstToken(ctx, name, seq, lo); err != nil {
			return err
		}
	}
	plan, steps, err := r.plan()
	if err != nil {
		return err
	}
	sampler, err := r.dream.sampler()
	if err != nil {
		return err
	}
	net := &replay{Denoiser: e.n, spec: e.n.Spec(), filter: r.dream.filter}
	net.spec.End, net.spec.PromptFirst = nil, r.Prefix
	loop := &denoise.Masked{Model: net, Schedule: &plan, BlockSteps: steps,
		Answer: engine.Span{Lo: lo, Hi: lo + r.New},
		Quirks: denoise.Quirks{EveryStep: true, MaskIsToken: true, AllIDs: true}}
	s := &spoken{name: name, net: net, seq: seq, lo: lo, n: r.New}
	var rec record
	draws := &orderedDraws{f: f, name: name, r: r, net: net, plan: plan, steps: steps}
	if r.dream.Effective.Temp > 0 {
		net.draw = draws.token
	}
	loop.Noise = draws.order
	loop.Sampler = e.confident(name, r, sampler)
	o := engine.Options{Temperature: r.dream.Effective.Temp}
	if r.Prefix {
		o.Cache = engine.CachePrefix
	}
	p, err := follow(ctx, loop, seq, o)
	if err != nil {
		return err
	}
	s.take(&rec, p)
	if r.Alg == "origin" && r.dream.Effective.Temp > 0 {
		for call := range net.fed { // a pass with nothing left draws empty arrays
			if err := draws.pass(call); err != nil {
				return err
			}
		}
	}
	rec.result = rec.states[len(rec.states)-1]
	f.same(name+".forwards", []int{len(net.fed)}, []int{r.Forwards}, []int{1})
	f.same(name+".result (golden.json)", rec.result, r.Result, []int{len(r.Result)})
	f.equal(name+".trajectory", slices.Concat(rec.states[1:]...))
	f.equal(name+".result", rec.result)
	return e.rawLogits(ctx, name, r, p, lo)
}

// confident is sampler, with the confidences of every step that reveals something compared.
func (e *eyed) confident(name string, r *lavidaDreamRun, sampler engine.Sampler) engine.Sampler {
	next := 0
	return &spy{Sampler: sampler, seen: func(v engine.View, p *engine.Prediction) {
		array := fmt.Sprintf("%s.confidence.%02d", name, next)
		if v.Quota == 0 || r.Alg == "origin" || !e.f.has(array) {
			return
		}
		next++
		e.f.near(array, r.confidence(p))
	}}
}

// confidence is what a step orders by, in the order of positions.
func (r *lavidaDreamRun) confidence(p *engine.Prediction) []float32 {
	switch r.Alg {
	case "topk_margin":
		return slices.Clone(p.Margin)
	case "entropy":
		out := slices.Clone(p.Entropy)
		for i := range out {
			out[i] = -out[i]
		}
		return out
	}
	return slices.Clone(p.Prob)
}

// firstToken takes the first token of the answer from the prompt's pass, as the official code does where the prompt does
// not see the answer: that pass predicts it.
func (e *eyed) firstToken(ctx context.Context, name string, seq *engine.Sequence, lo int) error {
	logits, err := e.unshifted(ctx, engine.Input{Tokens: seq.Tokens[:lo], Want: []int{lo - 1}})
	if err != nil {
		return err
	}
	e.f.near(name+".prefill_logits_last", logits)
	at, _ := best(logits)
	seq.Tokens[lo], seq.Fixed[lo] = engine.Token(at), true
	return nil
}

// rawLogits compares the network's own logits in the first and the last pass. Without a prefix they begin one position
// before the answer.
func (e *eyed) rawLogits(ctx context.Context, name string, r *lavidaDreamRun, p path, lo int) error {
	v := e.n.Spec().Vocab
	for array, state := range map[string][]engine.Token{
		".raw_logits_step0": p.states[0], ".raw_logits_last": p.states[len(p.states)-2],
	} {
		in := engine.Input{Tokens: state}
		first := lo - 1
		if r.Prefix {
			in.Block, in.Origin, first = len(state), lo, lo
		}
		for i := first; i < len(state); i++ {
			in.Want = append(in.Want, i)
		}
		logits, err := e.unshifted(ctx, in)
		if err != nil {
			return err
		}
		usual := 1
		if strings.HasSuffix(array, "last") {
			usual = 3
		}
		e.f.nearStrided(name+array, logits, len(logits)/v, v, usual)
	}
	return nil
}

// orderedDraws gives the recorded random numbers in the order in which the official code draws them: in every pass that
// reveals something, one array for the tokens and, where places are drawn too, one for these.
type orderedDraws struct {
	f     *folder
	name  string
	r     *lavidaDreamRun
	net   *replay
	plan  schedule.Schedule
	steps int

	call, next int // pass of the arrays below, and number of the next exponential array
	tokens     *noiseArray
	places     *noiseArray
}

// pass reads the arrays of pass call, whose positions are those that the network was last asked for.
func (d *orderedDraws) pass(call int) error {
	if d.tokens != nil && d.call == call {
		return nil
	}
	d.call = call
	read := func(kind string, dims int) (*noiseArray, error) {
		a, err := d.f.recorded(fmt.Sprintf("%s.noise.%s.%02d", d.name, kind, d.next), dims)
		return a, err
	}
	var err error
	if d.r.Alg == "origin" {
		d.next = call
		if d.places, err = read("rand", 1); err != nil {
			return err
		}
		d.tokens, err = read("exponential", 2)
		return err
	}
	if d.tokens, err = read("exponential", 2); err != nil {
		return err
	}
	d.next++
	if a := d.r.AlgTemp; a != nil && *a > 0 {
		d.places, err = read("exponential", 1)
		d.next++
	}
	return err
}

// token draws as torch.multinomial does over what the filter left. With "origin" only revealed positions draw.
func (d *orderedDraws) token(call, pos int, logits []float32) (int, error) {
	if err := d.pass(call); err != nil {
		return 0, err
	}
	at := slices.Index(d.net.out.want, pos)
	if d.r.Alg == "origin" {
		chance := d.plan.Chance(call, d.steps)
		if at >= len(d.places.u) {
			return 0, fmt.Errorf("%s: %d numbers, want one for position %d", d.places.name, len(d.places.u), at)
		}
		if d.places.u[at] >= float64(chance) {
			at, _ := best(logits)
			return at, nil // stays masked
		}
		shown := 0
		for _, u := range d.places.u[:at] {
			if u < float64(chance) {
				shown++
			}
		}
		at = shown
	}
	e, err := d.tokens.at(at)
	if err != nil || len(e) != len(logits) {
		return 0, fmt.Errorf("noise of %d ids, %d logits: %w", len(e), len(logits), err)
	}
	return drawMultinomial(logits, e), nil
}

// order is the recorded noise of which positions go first.
func (d *orderedDraws) order(step int) engine.Noise {
	out := byPosition{}
	if d.places == nil || d.call != step {
		return out
	}
	for i, pos := range d.net.out.want {
		if i >= len(d.places.u) {
			break
		}
		out[pos] = d.places.u[i]
		if d.r.Alg != "origin" {
			out[pos] = math.Exp(-d.places.u[i]) // the uniform number with this exponential one, -ln u
		}
	}
	return out
}
