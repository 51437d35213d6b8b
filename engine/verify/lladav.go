package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/nn"
	"unmask/engine/sample"
)

// verifyLLaDAV checks the llada-v folder: what the eyes make of pictures, prompts, and answers about them.
func verifyLLaDAV(ctx context.Context, f *folder) error {
	e, err := openEyed(ctx, f)
	if err != nil {
		return err
	}
	var banned []engine.Token
	if err := f.decode("suppressed_ids", &banned); err != nil {
		return err
	}
	f.same("suppressed_ids", toInts(e.n.Spec().Ban), toInts(banned), []int{len(banned)})
	for _, name := range sortedKeys(f.golden) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !f.has(name + ".trajectory") {
			continue
		}
		if err := e.lladaRun(ctx, name); err != nil {
			f.fail(name, err)
		}
	}
	if err := e.roles(); err != nil {
		return err
	}
	if err := e.lladaLoss(ctx); err != nil {
		f.fail("loss", err)
	}
	return nil
}

// roles checks the ids of the word that opens an answer, from which the official code tells the turns.
func (e *eyed) roles() error {
	var first int
	var ids []int
	if err := e.f.decode("assistant_role_first_token", &first); err != nil {
		return err
	}
	if err := e.f.decode("assistant_role_ids", &ids); err != nil {
		return err
	}
	got := toInts(e.tok.AppendTokens(nil, "assistant"))
	e.f.same("assistant_role_ids", got, ids, []int{len(ids)})
	e.f.same("assistant_role_first_token", got[:1], []int{first}, []int{1})
	return nil
}

// lladavRun is what golden.json says of a run of LLaDA-V's sampler.
type lladavRun struct {
	textRun
	Cache *struct {
		Prompt int     `json:"prompt_interval_steps"`
		Answer int     `json:"gen_interval_steps"`
		Ratio  float64 `json:"transfer_ratio"`
	} `json:"cache"`
	Forwards int      `json:"forwards"`
	StepsRun int      `json:"steps_run"`
	Result   []int    `json:"result"`
	Suffix   string   `json:"generation_suffix"`
	Stop     []string `json:"stopping_criteria"`
}

// sequence is a prompt, the masks of the answer, and the fixed suffix.
func (r *lladavRun) sequence(prompt, suffix []engine.Token) *engine.Sequence {
	seq := textSequence(prompt, r.Length, r.Mask)
	seq.Tokens = append(seq.Tokens, suffix...)
	for range suffix {
		seq.Fixed = append(seq.Fixed, true)
	}
	seq.Spans[0].Hi = len(seq.Tokens)
	return seq
}

// decodeStrictly decodes golden.json's entry name and refuses settings that into does not list, so that none is ignored.
func (f *folder) decodeStrictly(name string, into any) error {
	f.decoded[name] = true
	d := json.NewDecoder(bytes.NewReader(f.golden[name]))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func (e *eyed) lladaRun(ctx context.Context, name string) error {
	// size: the settings of a recorded run, in the order of its file.
	var r lladavRun
	if err := e.f.decodeStrictly(name, &r); err != nil {
		return err
	}
	if r.Steps < 1 || r.Length < 1 || r.Block < 1 || r.Length > maxRun || r.Steps > maxRun {
		return fmt.Errorf("%d steps, length %d, block %d; want 1 to %d each", r.Steps, r.Length, r.Block, maxRun)
	}
	suffix := e.tok.AppendTokens(nil, r.Suffix)
	n := r.Length + len(suffix)
	seq, lo, err := e.about(ctx, name, func(prompt []engine.Token) *engine.Sequence { return r.sequence(prompt, suffix) }, n)
	if err != nil {
		return err
	}
	var rec record
	s := &spoken{name: name, net: &replay{Denoiser: e.n, spec: e.n.Spec()}, seq: seq, lo: lo, n: n}
	s.net.spec.Mask, s.net.spec.End = r.Mask, nil
	if s.net.spec.End, err = e.stops(r.Stop); err != nil {
		return err
	}
	s.watch(&rec)
	if r.Temp != 0 {
		s.draw = e.f.powerDraw(name, r.Temp, lo)
		s.net.draw = s.draw
	}
	if r.Cache != nil {
		s.net.Denoiser = e.lazy(name, &r, lo)
	}
	sampler, err := sample.New(r.Remasking, nil)
	if err != nil {
		return err
	}
	loop := &denoise.Masked{Model: s.net, Quirks: lladaQuirks, Answer: engine.Span{Lo: lo, Hi: lo + r.Length}}
	if r.Remasking == "random" {
		loop.Noise = func(step int) engine.Noise {
			u, _ := e.f.noise(fmt.Sprintf("%s.noise.remask_u.%02d", name, step), 2)
			return u.order(0, 0)
		}
	}
	loop.Sampler = &spy{Sampler: sampler, seen: func(v engine.View, p *engine.Prediction) {
		rec.confidence = append(rec.confidence, s.competing(p, func(i int) float64 {
			if r.Remasking == "random" {
				return v.Noise.Uniform(p.Pos[i])
			}
			return float64(p.Prob[i])
		}))
	}}
	o := r.options()
	o.StopAtEnd = r.Stop != nil
	p, err := follow(ctx, loop, seq, o)
	if err != nil {
		return err
	}
	s.take(&rec, p)
	e.asRecorded(&r, &rec, suffix, s.net.spec.End)
	e.f.same(name+".forwards", []int{len(s.net.fed)}, []int{r.Forwards}, []int{1})
	e.f.same(name+".steps_run", []int{len(p.states) - 1}, []int{r.StepsRun}, []int{1})
	e.f.same(name+".result (golden.json)", rec.result, r.Result, []int{len(r.Result)})
	s.check(e.f, &rec)
	return nil
}

// stops are the tokens that stop strings are.
func (e *eyed) stops(words []string) ([]engine.Token, error) {
	var out []engine.Token
	for _, word := range words {
		id, ok := e.tok.Special(word)
		if !ok {
			return nil, fmt.Errorf("stop string %q is no token", word)
		}
		out = append(out, id)
	}
	return out, nil
}

// asRecorded writes states as the official code shows them: it keeps the suffix aside as embeddings until the end, and
// cuts off what lies behind a stop string instead of filling it. The result is the last state.
func (e *eyed) asRecorded(r *lladavRun, rec *record, suffix, stop []engine.Token) {
	last := len(rec.states) - 1
	rec.result = slices.Clone(rec.states[last])
	for _, state := range rec.states {
		for i := range suffix {
			state[r.Length+i] = int(r.Mask)
		}
	}
	at := slices.IndexFunc(rec.result, func(id int) bool { return slices.Contains(stop, engine.Token(id)) })
	if at < 0 {
		return
	}
	for i := at + 1; i < len(rec.result); i++ {
		if rec.states[last-1][i] == int(r.Mask) && rec.states[last][i] == rec.result[at] {
			rec.states[last][i], rec.transfer[last-1][i] = int(r.Mask), 0
		}
	}
	rec.result = rec.result[:at]
}

// lazy is the network with dLLM-Cache, whose choices are the recorded ones: listed layer by layer, pass by pass.
func (e *eyed) lazy(name string, r *lladavRun, lo int) engine.Denoiser {
	l := &nn.Lazy{Stack: e.n.Stack, Answer: lo, PromptEvery: r.Cache.Prompt, AnswerEvery: r.Cache.Answer, Ratio: r.Cache.Ratio}
	next := 0
	l.Choose = func(layer, row, n int) []int {
		list, shape, err := e.f.ints(fmt.Sprintf("%s.noise.cache_transfer_index.%02d", name, next))
		if err != nil || len(shape) != 2 || row >= shape[0] {
			return nil // the numbers then show it
		}
		if row == shape[0]-1 {
			next++
		}
		return list[row*shape[1] : (row+1)*shape[1]]
	}
	return lazily{e.n, l}
}

// lazily is a network whose passes go through [nn.Lazy].
type lazily struct {
	engine.Denoiser
	l *nn.Lazy
}

// Forward implements [engine.Denoiser].
func (z lazily) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	return z.l.Forward(ctx, in)
}
