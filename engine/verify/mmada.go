package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"unmask/engine"
)

// verifyMMaDA checks the mmada folder: network, prompts, pictures, and answers about pictures and text.
func verifyMMaDA(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	if err := verifyMMaDANetwork(ctx, f, n); err != nil {
		return err
	}
	if err := verifyMMaDAPrompts(ctx, f); err != nil {
		return err
	}
	m := &mmadaRuns{f: f, n: n}
	if err := m.settings(); err != nil {
		return err
	}
	for _, name := range sortedKeys(f.golden) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		m.f.decoded[name] = m.f.decoded[name] || !slices.Contains(mmadaEntries, name) // an unknown one fails below
		switch {
		case slices.Contains(mmadaEntries, name):
			continue
		case name == "mmu_generate_with_attention_mask":
			err = m.refusesMask(ctx, name)
		case strings.HasPrefix(name, "t2i_"):
			err = m.drawing(ctx, name)
		case strings.HasPrefix(name, "mmu_"), strings.HasPrefix(name, "text_"):
			err = m.answer(ctx, name)
		default:
			err = fmt.Errorf("golden.json: no check knows this entry")
		}
		if err != nil {
			f.fail(name, err)
		}
	}
	return nil
}

// mmadaEntries are the entries of golden.json that are not runs. Those about prompts are checked with the prompts.
var mmadaEntries = []string{
	"chat", "config", "float64_integer_disagreements", "image_token_offset", "len_text_tokenizer", "mask_token_id",
	"multinomial_equals_argmax_p_over_exponential", "pad_id", "prompts", "seeds", "special_ids", "tokenized", "tolerances", "versions",
}

// mmadaRuns replays the runs of the mmada folder.
type mmadaRuns struct {
	f        *folder
	n        *network
	mask     engine.Token
	offset   engine.Token
	codebook int
}

func (m *mmadaRuns) settings() error {
	var config struct {
		Codebook int `json:"codebook_size"`
	}
	if err := json.Unmarshal(m.n.Config, &config); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	m.codebook = config.Codebook
	if err := m.f.decode("mask_token_id", &m.mask); err != nil {
		return err
	}
	return m.f.decode("image_token_offset", &m.offset)
}

// spec is the network's, with picture codes whether or not their tokenizer is there.
func (m *mmadaRuns) spec() engine.Spec {
	s := m.n.Spec()
	s.Mask, s.End = m.mask, nil
	s.Image = &engine.ImageSpec{Offset: m.offset, Codebook: m.codebook}
	return s
}

// refusesMask checks what the official code trips over: an attention mask for the prompt alone over the longer sequence.
func (m *mmadaRuns) refusesMask(ctx context.Context, name string) error {
	var official string
	if err := m.f.decode(name, &official); err != nil {
		return err
	}
	in := engine.Input{Tokens: make([]engine.Token, 60), Hide: make([]bool, 52)}
	_, err := m.n.Forward(ctx, in)
	m.f.add(Check{Name: name, Pass: err != nil, Note: fmt.Sprintf("official %s; here: %v", official, err)})
	return nil
}

// answer replays one run of mmu_generate or of the text mode, which are LLaDA's sampler over the whole vocabulary.
func (m *mmadaRuns) answer(ctx context.Context, name string) error {
	r, err := decodeRun(m.f.golden[name])
	if err != nil {
		return err
	}
	b, err := m.f.batch(name+".prompt", "")
	if err != nil {
		return err
	}
	var a answerRecord
	a.first = make([][]float32, len(b.prompts))
	for row, prompt := range b.prompts {
		if err := m.answerRow(ctx, name, r, row, prompt, &a); err != nil {
			return err
		}
	}
	m.f.equal(name+".trajectory", interleave(a.states))
	m.f.equal(name+".argmax", interleave(a.argmax))
	m.confidence(name, interleave(a.confidence))
	stride, err := m.stride(name+".logits_step0", r.Length)
	if err != nil {
		return err
	}
	v := m.n.Spec().Vocab
	var first []float32
	for _, row := range a.first {
		for i := 0; i < r.Length; i += stride {
			first = append(first, row[i*v:(i+1)*v]...)
		}
	}
	m.f.near(name+".logits_step0", first)
	return nil
}

// answerRecord collects what a run of several rows did, row by row and step by step.
type answerRecord struct {
	states, argmax [][][]int     // [B][steps(+1)][gen]
	confidence     [][][]float64 // [B][steps][gen]; -1 where nothing competes
	first          [][]float32   // [B][gen*V] guided logits of the first step
}

func (m *mmadaRuns) answerRow(ctx context.Context, name string, r textRun, row int, prompt []engine.Token, a *answerRecord) error {
	net := r.network(m.n)
	net.spec = m.spec()
	for i := range r.Length {
		net.watch = append(net.watch, len(prompt)+i)
	}
	var argmax [][]int
	net.look = func(call int, guided []float32, _ [2][]float32) error {
		if call == 0 {
			a.first[row] = guided
		}
		at, v := make([]int, r.Length), net.spec.Vocab
		for i := range at {
			at[i], _ = best(guided[i*v : (i+1)*v])
		}
		argmax = append(argmax, at)
		return nil
	}
	if r.Temp != 0 {
		net.draw = func(call, pos int, logits []float32) (int, error) {
			u, err := m.f.recorded(fmt.Sprintf("%s.noise.uniform64.%02d", name, call), 3)
			if err != nil {
				return 0, err
			}
			return u.draw(logits, r.Temp, row, pos-len(prompt))
		}
	}
	loop, err := r.loop(net, len(prompt), lladaQuirks)
	if err != nil {
		return err
	}
	if r.Remasking == "random" {
		loop.Noise = func(step int) engine.Noise {
			u, _ := m.f.noise(fmt.Sprintf("%s.noise.remask_u.%02d", name, step), 2)
			return u.order(0, row)
		}
	}
	var confidence [][]float64
	loop.Sampler = &spy{Sampler: loop.Sampler, seen: func(view engine.View, p *engine.Prediction) {
		confidence = append(confidence, r.confidences(view, p, len(prompt)))
	}}
	p, err := follow(ctx, loop, textSequence(prompt, r.Length, r.Mask), r.options())
	if err != nil {
		return err
	}
	var states [][]int
	for _, s := range p.states {
		states = append(states, toInts(s[len(prompt):]))
	}
	a.states, a.argmax = append(a.states, states), append(a.argmax, argmax)
	a.confidence = append(a.confidence, confidence)
	return nil
}

// confidences are what a step orders positions by, over the answer from position first on; -1 where none competes.
func (r textRun) confidences(view engine.View, p *engine.Prediction, first int) []float64 {
	c := make([]float64, r.Length)
	for i := range c {
		c[i] = -1
	}
	for i, pos := range p.Pos {
		c[pos-first] = float64(p.Prob[i])
		if r.Remasking == "random" {
			c[pos-first] = view.Noise.Uniform(pos)
		}
	}
	return c
}

// confidence compares confidences; any negative number stands for a position that does not compete.
func (m *mmadaRuns) confidence(name string, got []float64) {
	array := name + ".confidence64"
	want, shape, err := m.f.float64s(array)
	if err != nil {
		m.f.fail(array, err)
		return
	}
	want = slices.Clone(want)
	for i, x := range want {
		if x < 0 {
			want[i] = -1
		}
	}
	tol, err := m.f.bound(array)
	if err != nil {
		m.f.fail(array, err)
		return
	}
	m.f.add(compare(array, got, want, shape, tol))
}

// stride is 1 when array name holds all n positions of a row, and 4 when it holds every fourth.
func (m *mmadaRuns) stride(name string, n int) (int, error) {
	t, err := m.f.arrays.Tensor(name)
	if err != nil {
		return 0, err
	}
	switch {
	case len(t.Shape) == 3 && t.Shape[1] == n:
		return 1, nil
	case len(t.Shape) == 3 && t.Shape[1] == (n+3)/4:
		return 4, nil
	}
	return 0, fmt.Errorf("%s: shape %v for %d positions", name, t.Shape, n)
}

// interleave turns [B][S][L] into the order [S, B, L].
func interleave[T any](rows [][][]T) []T {
	var out []T
	if len(rows) == 0 {
		return out
	}
	for s := range rows[0] {
		for _, row := range rows {
			if s < len(row) {
				out = append(out, row[s]...)
			}
		}
	}
	return out
}
