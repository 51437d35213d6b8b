package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

// verifyLaViDa checks the lavida folder: what the eyes make of pictures, prompts, schedules, answers, likelihood and loss.
func verifyLaViDa(ctx context.Context, f *folder) error {
	e, err := openEyed(ctx, f)
	if err != nil {
		return err
	}
	if err := verifySchedules(f); err != nil {
		return err
	}
	for _, name := range sortedKeys(f.golden) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !f.has(name + ".trajectory") {
			continue
		}
		if err := e.lavidaRun(ctx, name); err != nil {
			f.fail(name, err)
		}
	}
	for name, check := range map[string]func(context.Context) error{"loglik": e.loglik, "loss": e.lavidaLoss} {
		if err := check(ctx); err != nil {
			f.fail(name, err)
		}
	}
	// What the official code does with a setting and a function that no run uses.
	var ran, raises string
	if err := f.decode("schedule_cosine", &ran); err != nil {
		return err
	}
	f.text("schedule_cosine", "ran", ran)
	if err := f.decode("log_likelyhood_inference", &raises); err != nil {
		return err
	}
	f.add(Check{Name: "log_likelyhood_inference", Pass: strings.HasPrefix(raises, "raises"), Note: "official " + raises})
	return nil
}

// lavidaSchedule is the product's schedule for a setting of the official code.
func lavidaSchedule(name string, kwargs map[string]float64) (schedule.Schedule, error) {
	switch name {
	case "":
		return schedule.Find("uniform")
	case "shift":
		s, ok := kwargs["shift"]
		if !ok {
			s = 3
		}
		if !(s > 0) {
			return schedule.Schedule{}, fmt.Errorf("shift %g", s)
		}
		return schedule.Shifted(s), nil
	case "logit_normal":
		return schedule.LogitNormal(), nil
	case "cosine":
		return schedule.HalfCosine(), nil
	case "linear":
		return schedule.Even(), nil
	}
	return schedule.Schedule{}, &engine.UnsupportedError{What: fmt.Sprintf("schedule %q", name), Have: "shift, logit_normal, cosine, linear"}
}

func verifySchedules(f *folder) error {
	var list []struct {
		Masked   int                `json:"masked"`
		Steps    int                `json:"steps"`
		Schedule string             `json:"schedule"`
		Kwargs   map[string]float64 `json:"kwargs"`
		Counts   []int              `json:"counts"`
	}
	if err := f.decode("schedules", &list); err != nil {
		return err
	}
	for i, c := range list {
		name := fmt.Sprintf("schedules.%d", i)
		s, err := lavidaSchedule(c.Schedule, c.Kwargs)
		if err != nil || c.Masked < 0 || c.Masked > maxRun || c.Steps < 1 || c.Steps > maxRun {
			f.fail(name, fmt.Errorf("%d masks, %d steps: %w", c.Masked, c.Steps, err))
			continue
		}
		f.same(name, s.AppendQuotas(nil, c.Masked, c.Steps), c.Counts, []int{len(c.Counts)})
	}
	return nil
}

// lavidaRun is what golden.json says of a run of LaViDa's sampler.
type lavidaRun struct {
	Temp     float64            `json:"temperature"`
	New      int                `json:"max_new_tokens"`
	Block    int                `json:"block_length"`
	Mask     engine.Token       `json:"mask_id"`
	Forwards int                `json:"forwards"`
	Result   []int              `json:"result"`
	Prefix   bool               `json:"prefix_lm"`
	Ratio    *float64           `json:"step_ratio"`
	PerBlock *int               `json:"step_per_block"`
	Schedule string             `json:"schedule"`
	Kwargs   map[string]float64 `json:"schedule_kwargs"`
	Order    string             `json:"remasking"`
	Draft    [][]int            `json:"draft_tokens"`
	// Facts about the recording that a replay does not need.
	TopKGap   *float64 `json:"min_topk_gap"`
	ArgmaxGap *float64 `json:"min_argmax_gap"`
}

// blockSteps is the number of steps of a block.
func (r *lavidaRun) blockSteps() int {
	if r.PerBlock != nil {
		return min(*r.PerBlock, r.Block)
	}
	steps := r.New
	if r.Ratio != nil {
		steps = int(float64(r.New) * *r.Ratio)
	}
	return steps / (r.New / r.Block)
}

// sampler is the product's sampler of the run and what it orders by.
func (r *lavidaRun) sampler() (engine.Sampler, func(v engine.View, p *engine.Prediction, i int) float64, error) {
	names := map[string]string{"": "low_confidence", "low_confidence": "low_confidence", "random": "random", "entrophy": "entropy", "margin": "margin"}
	name, ok := names[r.Order]
	if !ok {
		return nil, nil, &engine.UnsupportedError{What: fmt.Sprintf("remasking %q", r.Order), Have: "low_confidence, random, entrophy, margin"}
	}
	s, err := sample.New(name, nil)
	return s, func(v engine.View, p *engine.Prediction, i int) float64 {
		switch name {
		case "random":
			return v.Noise.Uniform(p.Pos[i])
		case "entropy":
			return -float64(p.Entropy[i])
		case "margin":
			return float64(p.Margin[i])
		}
		return float64(p.Prob[i])
	}, err
}

// sequence is a prompt and the answer's masks, with the draft where there is one.
func (r *lavidaRun) sequence(prompt []engine.Token) *engine.Sequence {
	seq := textSequence(prompt, r.New, r.Mask)
	for i, id := range slices.Concat(r.Draft...) {
		if at := len(prompt) + i; at < len(seq.Tokens) && engine.Token(id) != r.Mask {
			seq.Tokens[at], seq.Fixed[at] = engine.Token(id), true
		}
	}
	return seq
}

func (e *eyed) lavidaRun(ctx context.Context, name string) error {
	var r lavidaRun
	if err := e.f.decodeStrictly(name, &r); err != nil {
		return err
	}
	if r.New < 1 || r.New > maxRun || r.Block < 1 || r.New < r.Block || r.blockSteps() < 1 || r.blockSteps() > maxRun {
		return fmt.Errorf("length %d, block %d, %d steps a block", r.New, r.Block, r.blockSteps())
	}
	seq, lo, err := e.about(ctx, name, r.sequence, r.New)
	if err != nil {
		return err
	}
	if r.Prefix {
		if err := e.kept(ctx, name, seq.Tokens[:lo]); err != nil {
			return err
		}
	}
	var rec record
	s := &spoken{name: name, net: &replay{Denoiser: e.n, spec: e.n.Spec()}, seq: seq, lo: lo, n: r.New}
	s.net.spec.Mask, s.net.spec.End, s.net.spec.PromptFirst = r.Mask, nil, r.Prefix
	s.watch(&rec)
	if r.Temp != 0 {
		s.net.draw = e.f.powerDraw(name, r.Temp, lo)
	}
	sampler, score, err := r.sampler()
	if err != nil {
		return err
	}
	plan, err := lavidaSchedule(r.Schedule, r.Kwargs)
	if err != nil {
		return err
	}
	loop := &denoise.Masked{Model: s.net, Quirks: lladaQuirks, Answer: engine.Span{Lo: lo, Hi: lo + r.New},
		Schedule: &plan, BlockSteps: r.blockSteps()}
	loop.Noise = func(step int) engine.Noise {
		u, _ := e.f.noise(fmt.Sprintf("%s.noise.remask_u.%02d", name, step), 2)
		return u.order(lo, 0)
	}
	loop.Sampler = &spy{Sampler: sampler, seen: func(v engine.View, p *engine.Prediction) {
		rec.confidence = append(rec.confidence, s.competing(p, func(i int) float64 { return score(v, p, i) }))
	}}
	o := engine.Options{Block: r.Block, Temperature: r.Temp}
	if r.Prefix {
		o.Cache = engine.CachePrefix
	}
	p, err := follow(ctx, loop, seq, o)
	if err != nil {
		return err
	}
	s.take(&rec, p)
	rec.result = rec.states[len(rec.states)-1]
	e.f.same(name+".forwards", []int{len(s.net.fed)}, []int{r.Forwards}, []int{1})
	e.f.same(name+".result (golden.json)", rec.result, r.Result, []int{len(r.Result)})
	s.check(e.f, &rec)
	return nil
}

// kept checks the prompt's pass of a run with a prefix: the logits of its last position, and keys before rotation and
// values of every fifth.
func (e *eyed) kept(ctx context.Context, name string, prompt []engine.Token) error {
	f, n := e.f, e.n
	logits, err := n.forward(ctx, engine.Input{Tokens: prompt, Want: []int{len(prompt) - 1}})
	if err != nil {
		return err
	}
	if array := name + ".prefix_logits_last"; f.has(array) {
		f.near(array, logits)
	}
	for i := range n.Blocks {
		a := &n.Blocks[i].Attn
		for part, what := range map[string]string{"k": "key", "v": "value"} {
			array := fmt.Sprintf("%s.kv.layer%d.%s", name, i, part)
			if !f.has(array) {
				continue
			}
			rows := n.seen[fmt.Sprintf("%s%d", what, i)]
			var got []float32
			for h := range a.KVHeads {
				for t := 0; t < len(prompt); t += 5 {
					at := (t*a.KVHeads + h) * a.HeadWidth
					got = append(got, rows[at:at+a.HeadWidth]...)
				}
			}
			f.near(array, got)
		}
	}
	return nil
}

// loglik checks the Monte-Carlo estimate of an answer's likelihood, which is LLaDA's over a prompt with a picture.
func (e *eyed) loglik(ctx context.Context) error {
	f := e.f
	run := likelihood{Mask: e.n.Spec().Mask}
	if err := f.decode("loglik", &run); err != nil {
		return err
	}
	answer, _, err := f.ints("loglik.answer")
	if err != nil {
		return err
	}
	var counts, perm []int
	for i := 0; f.has(fmt.Sprintf("loglik.noise.randint.%02d", i)); i++ {
		k, _, err := f.ints(fmt.Sprintf("loglik.noise.randint.%02d", i))
		if err != nil {
			return err
		}
		counts = append(counts, k...)
	}
	for i := 0; f.has(fmt.Sprintf("loglik.noise.randperm.%02d", i)); i++ {
		p, _, err := f.ints(fmt.Sprintf("loglik.noise.randperm.%02d", i))
		if err != nil {
			return err
		}
		perm = append(perm, p...)
	}
	b, a := run.Batch, len(answer)
	if b < 1 || a < 1 || len(counts)*b != run.Draws || len(perm) != run.Draws*a {
		return fmt.Errorf("%d counts and %d places for %d draws of %d tokens in batches of %d", len(counts), len(perm), run.Draws, a, b)
	}
	if len(e.prompts) < 2 {
		return fmt.Errorf("%d prompts, the estimate is about the second", len(e.prompts))
	}
	tokens, err := e.show(ctx, 1)
	if err != nil {
		return err
	}
	prompt := toInts(tokens)
	noisy, share, masked := likelihoodRows(prompt, answer, counts, perm, b, run.Mask)
	sum, err := run.loss(ctx, e.n, prompt, answer, noisy, share, masked)
	if err != nil {
		return err
	}
	value := float32(-sum / float64(b) / float64(len(counts)))
	f.near("loglik.value", []float32{value})
	f.add(compare("loglik.value (golden.json)", []float64{float64(value)}, []float64{run.Value}, []int{1}, f.tolerance("loglik.value")))
	return nil
}
