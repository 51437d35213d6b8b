package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/token"
	"unmask/engine/weights"
)

// spindleFixture replays a folder of DiffusionBERT's.
type spindleFixture struct {
	f        *folder
	n        *network
	freq     []float64
	total    int
	lambda   float64
	cls, sep engine.Token
	mask     engine.Token
	vocab    int
}

// verifyDiffusionBERT checks a folder of DiffusionBERT's: the network, told the time or not, the spindle schedule, its
// reverse process, and its bounds of the likelihood.
func verifyDiffusionBERT(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	s := &spindleFixture{f: f, n: n, mask: n.Spec().Mask, vocab: n.Spec().Vocab}
	f.number("vocab_size", s.vocab)
	if err := s.text(); err != nil {
		return err
	}
	if err := f.decode("num_steps", &s.total); err != nil {
		return err
	}
	if err := f.decode("word_freq_lambda", &s.lambda); err != nil {
		return err
	}
	if s.total < 2 || s.total > maxRun {
		return fmt.Errorf("num_steps: %d", s.total)
	}
	n.Stack.Steps = s.total
	if err := s.frequencies(); err != nil {
		return err
	}
	if err := s.schedule(); err != nil {
		return err
	}
	if err := s.forwards(ctx); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error {
		switch {
		case strings.HasPrefix(name, "elbo_"):
			return s.bound(ctx, name, raw)
		case strings.HasPrefix(name, "loss_"):
			return s.loss(ctx, name, raw)
		}
		return s.run(ctx, name, raw)
	})
}

// text checks names of tensors, special ids and the tokenizer, whose texts stand between [CLS] and [SEP].
func (s *spindleFixture) text() error {
	set, err := weights.OpenDir(s.f.dir)
	if err != nil {
		return err
	}
	defer set.Close()
	var names, have []string
	if err := s.f.decode("tensor_names", &names); err != nil {
		return err
	}
	for _, n := range set.Names() {
		short, trainer := strings.CutPrefix(n, "model.module.")
		if trainer || !strings.Contains(n, "optimizer") {
			have = append(have, short)
		}
	}
	slices.Sort(names)
	slices.Sort(have)
	s.f.add(Check{Name: "tensor_names", Pass: slices.Equal(names, have)})
	tok, err := token.Open(besides{s.f.dir}, "diffusionbert")
	if err != nil {
		return err
	}
	if err := verifySpecial(s.f, tok); err != nil {
		return err
	}
	s.cls, _ = tok.Special("[CLS]")
	s.sep, _ = tok.Special("[SEP]")
	var cases []struct {
		Text    string `json:"text"`
		IDs     []int  `json:"ids"`
		Decoded string `json:"decoded"`
	}
	if err := s.f.decode("tokenizer_cases", &cases); err != nil {
		return err
	}
	for i, c := range cases {
		name := fmt.Sprintf("tokenizer_cases.%d", i)
		inner := tok.AppendTokens(nil, c.Text)
		ids := append(append([]engine.Token{s.cls}, inner...), s.sep)
		s.f.same(name+".ids", toInts(ids), c.IDs, []int{len(c.IDs)})
		s.f.text(name+".decoded", token.Text(tok.AppendText(nil, inner...)), c.Decoded)
	}
	return nil
}

// frequencies reads the counts of words, which lie beside the checkpoint.
func (s *spindleFixture) frequencies() error {
	files, err := filepath.Glob(filepath.Join(s.f.dir, "word_freq", "*.pt"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("word_freq: %d files, want one: %w", len(files), err)
	}
	set, err := weights.OpenDir(files[0])
	if err != nil {
		return err
	}
	defer set.Close()
	if len(set.Names()) != 1 {
		return fmt.Errorf("%s: %d tensors, want one", files[0], len(set.Names()))
	}
	t, err := set.Tensor(set.Names()[0])
	if err != nil {
		return err
	}
	counts, err := t.Ints()
	if err != nil {
		return err
	}
	if len(counts) != s.vocab {
		return fmt.Errorf("%s: %d words, want %d", files[0], len(counts), s.vocab)
	}
	var whole []int
	for _, c := range counts {
		if c < 0 {
			return fmt.Errorf("%s: a count of %d", files[0], c)
		}
		whole = append(whole, int(c))
	}
	s.f.equal("word_freq_counts", whole)
	s.freq = denoise.Frequencies(whole)
	s.f.nearWithin("word_freq_normalised", "word_freq_normalised", float32s(s.freq), 1e-6)
	return nil
}

// float32s rounds x.
func float32s(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// process is the product's process, a pass of which goes back stride steps.
func (s *spindleFixture) process(stride int) *denoise.Spindle {
	return &denoise.Spindle{Model: s.n, Total: s.total, Stride: stride, Freq: s.freq, Lambda: s.lambda}
}

func (s *spindleFixture) schedule() error {
	p := s.process(1)
	var kept, weight []float32
	for t := range s.total + 1 {
		a, b := p.Share(t)
		kept, weight = append(kept, float32(a)), append(weight, float32(b))
	}
	s.f.nearWithin("schedule.alpha_bar", "schedule.alpha_bar", kept, 1e-7)
	s.f.near("schedule.lambda_t", weight)
	words, err := s.f.rows("forward_process.x0")
	if err != nil {
		return err
	}
	w := s.surprise(words[0], nil)
	s.f.nearWithin("forward_process.word_freq_logits", "forward_process.word_freq_logits", float32s(w), 1e-6)
	var keep, masked []float32
	for t := range s.total + 1 {
		for i, x := range words[0] {
			one := make([]float64, s.vocab)
			one[x] = 1
			q := p.Noised(one, t, w[i])
			keep, masked = append(keep, float32(q[x])), append(masked, float32(q[s.mask]))
		}
	}
	s.f.nearWithin("forward_process.keep_prob", "forward_process.keep_prob", keep, 1e-6)
	s.f.nearWithin("forward_process.mask_prob", "forward_process.mask_prob", masked, 1e-6)
	return nil
}

// surprise is the frequency of each word minus their mean over the words that count; it is 0 for the others.
func (s *spindleFixture) surprise(words []int, counted []float64) []float64 {
	out, mean, n := make([]float64, len(words)), 0.0, 0.0
	for i, x := range words {
		if counted == nil || counted[i] != 0 {
			mean += s.freq[x]
			n++
		}
	}
	for i, x := range words {
		if counted == nil || counted[i] != 0 {
			out[i] = s.freq[x] - mean/n
		}
	}
	return out
}

// tell sets the step that a network with a time input is told.
func (s *spindleFixture) tell(t int) {
	if s.n.Condition != nil {
		s.n.Condition(float64(t))
	}
}

func (s *spindleFixture) forwards(ctx context.Context) error {
	for i := 0; s.f.has(fmt.Sprintf("forward%d.input_ids", i)); i++ {
		s.tell(5)
		if err := verifyForward(ctx, s.f, s.n, fmt.Sprintf("forward%d.", i), nil, 0); err != nil {
			return err
		}
	}
	rows, err := s.f.rows("padded.input_ids")
	if err != nil {
		return err
	}
	counted, _, err := s.f.float64s("padded.attention_mask")
	if err != nil {
		return err
	}
	s.tell(3)
	var got []float32
	for i, row := range rows {
		logits, err := s.inner(ctx, row, counted[i*len(row):(i+1)*len(row)])
		if err != nil {
			return err
		}
		got = append(got, logits...)
	}
	s.f.near("padded.logits", got)
	return nil
}

// inner is a pass over words between [CLS] and [SEP], of which those that do not count and [SEP] are hidden, as in
// training: the logits of the words.
func (s *spindleFixture) inner(ctx context.Context, words []int, counted []float64) ([]float32, error) {
	in := engine.Input{Tokens: []engine.Token{s.cls}, Hide: []bool{false}}
	for i, x := range words {
		in.Tokens = append(in.Tokens, engine.Token(x))
		in.Hide = append(in.Hide, counted[i] == 0)
		in.Want = append(in.Want, i+1)
	}
	in.Tokens, in.Hide = append(in.Tokens, s.sep), append(in.Hide, true)
	return s.n.forward(ctx, in)
}

// spindleRun is what golden.json says of a run.
type spindleRun struct {
	Time   string  `json:"timestep"`
	Steps  []int   `json:"timesteps"`
	Length int     `json:"length"`
	Stride int     `json:"step_size"`
	TopK   int     `json:"topk"`
	TopP   float64 `json:"topp"`
	Temp   float64 `json:"temperature"`
	Best   bool    `json:"use_maximum_likelihood_decoding"`
	Raises string  `json:"raises"`
}

// size: the hooks of one process.
func (s *spindleFixture) run(ctx context.Context, name string, raw json.RawMessage) error {
	r := spindleRun{Temp: 1}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if r.Stride < 1 || r.Length < 1 || r.Length > maxRun {
		return fmt.Errorf("stride %d, length %d", r.Stride, r.Length)
	}
	prefix := "run." + name + "."
	p := s.process(r.Stride)
	p.Best = r.Best
	o := engine.Options{Temperature: r.Temp, TopK: r.TopK, TopP: r.TopP}
	seq, first := s.sequence(r, nil)
	if r.Raises != "" {
		var err error
		for _, err = range p.Steps(ctx, seq, o) {
		}
		s.f.add(Check{Name: prefix + "raises", Pass: err != nil, Note: fmt.Sprintf("official: %s; here: %v", r.Raises, err)})
		return nil
	}
	traj, shape, err := s.f.ints(prefix + "traj")
	if err != nil {
		return err
	}
	if len(shape) != 3 || shape[1] != 1 || shape[2] != r.Length || shape[0] != s.total/r.Stride+1 {
		return fmt.Errorf("trajectory %v, want [%d, 1, %d]", shape, s.total/r.Stride+1, r.Length)
	}
	seq, first = s.sequence(r, traj[:r.Length])
	var noise *noiseArray
	if r.TopK != 1 {
		if noise, err = s.f.recorded(prefix+"exp_noise", 3); err != nil {
			return err
		}
	}
	var told []int
	p.Tell = func(t int) {
		told = append(told, t)
		switch r.Time {
		case "token":
			seq.Tokens[1] = engine.Token(110 + t)
		case "layerwise":
			s.tell(t - 1)
		}
	}
	p.Draw = func(step, pos int, logits []float64) (int, error) {
		e := slices.Repeat([]float64{1}, len(logits))
		if noise != nil {
			if e, err = noise.at(step, pos-first); err != nil || len(e) != len(logits) {
				return 0, fmt.Errorf("noise of %d words, want %d: %w", len(e), len(logits), err)
			}
		}
		at := 0
		softmaxInPlace(logits)
		for i, x := range logits {
			if x/e[i] > logits[at]/e[at] {
				at = i
			}
		}
		return at, nil
	}
	last := s.total/r.Stride - 1
	p.Look = func(step int, logits []float64) {
		for i, part := range map[int]string{0: "step0", last: "last_step"} {
			if i == step {
				s.f.near(prefix+part+".posterior_logits", float32s(logits))
			}
		}
	}
	states := toInts(seq.Tokens[first : first+r.Length])
	for step, err := range p.Steps(ctx, seq, o) {
		if err != nil {
			return fmt.Errorf("step %d: %w", step.Index, err)
		}
		states = append(states, toInts(seq.Tokens[first:first+r.Length])...)
	}
	s.f.equal(prefix+"traj", states)
	s.f.same(prefix+"timesteps", told, r.Steps, []int{len(r.Steps)})
	return nil
}

// sequence is the start of a run, words or masks between [CLS], where the time is a token that too, and [SEP].
func (s *spindleFixture) sequence(r spindleRun, start []int) (*engine.Sequence, int) {
	seq := &engine.Sequence{Tokens: []engine.Token{s.cls}, Fixed: []bool{true}}
	if r.Time == "token" {
		seq.Tokens, seq.Fixed = append(seq.Tokens, s.cls), append(seq.Fixed, true)
	}
	first := len(seq.Tokens)
	for i := range r.Length {
		t := s.mask
		if start != nil {
			t = engine.Token(start[i])
		}
		seq.Tokens, seq.Fixed = append(seq.Tokens, t), append(seq.Fixed, false)
	}
	seq.Tokens, seq.Fixed = append(seq.Tokens, s.sep), append(seq.Fixed, true)
	seq.Spans = []engine.Span{{Hi: len(seq.Tokens)}}
	return seq, first
}
