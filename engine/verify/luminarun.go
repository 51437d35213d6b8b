package verify

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/nn"
	"unmask/engine/sample"
	"unmask/engine/schedule"
	"unmask/engine/token"
)

// luminaRun is what golden.json says of a drawing or an edit.
type luminaRun struct {
	Prompt      string  `json:"prompt"`
	Uncond      string  `json:"uncond_prompt"`
	Kind        string  `json:"edit_type"`
	Start       int     `json:"code_start"`
	Temperature float64 `json:"temperature"`
	Guidance    float64 `json:"cfg_scale"`
	Image       float64 `json:"cfg_img"`
	Steps       int     `json:"timesteps"`
	Keep        []int   `json:"keep_n"`
	Result      []int   `json:"result"`
	Cache       bool    `json:"use_cache"`
	Ratio       float64 `json:"cache_ratio"`
	Every       int     `json:"refresh_interval"`
	Warmup      float64 `json:"warmup_ratio"`
}

// drawing replays one run of generate_image or generate_i2i. Runs at temperature 0 go through the backend's own choice,
// the others use the recorded draws; both use the product's loop and sampler.
func (l *lumina) drawing(ctx context.Context, name string) error {
	var r luminaRun
	if err := l.f.decodeStrictly(name, &r); err != nil {
		return err
	}
	ids, _, err := l.f.ints(name + ".prompt_ids")
	if err != nil {
		return err
	}
	if r.Steps < 1 || r.Steps > maxRun || r.Start < 2 || r.Start > len(ids)-3 || r.Every < 0 || r.Every > maxRun {
		return fmt.Errorf("%d steps, codes from position %d of %d on, every %d", r.Steps, r.Start, len(ids), r.Every)
	}
	d := &luminaDrawing{l: l, name: name, r: r, tokens: toTokens(ids), hi: len(ids) - 2}
	if err := d.prompts(); err != nil {
		return err
	}
	for i := r.Start; i < d.hi; i++ {
		if d.tokens[i] == l.spec.Mask {
			d.masks++
		}
	}
	return d.follow(ctx)
}

// luminaDrawing is a run under way.
type luminaDrawing struct {
	l        *lumina
	name     string
	r        luminaRun
	tokens   []engine.Token
	hi       int // the picture and its line breaks are [r.Start, hi)
	masks    int
	without  []engine.Token // the row without the words up to the answer
	bare     []engine.Token // the row without the picture
	step     int
	measured map[int][]float32 // guided logits of the masked positions, by step
}

// prompts checks how the rows are written: the recorded texts as ids, the picture in them, and the marks around the answer.
func (d *luminaDrawing) prompts() error {
	l, f, r := d.l, d.l.f, d.r
	given := strings.HasPrefix(d.name, "i2i_")
	system, known := token.LuminaDraw, true
	if given {
		system, known = token.LuminaEdit, r.Kind == "edit"
	}
	if known { // other kinds of edits have sentences that the product does not use
		f.text(d.name+".uncond_prompt", "<system>"+system+"</system><user>"+token.LuminaNone+"</user>", r.Uncond)
	}
	with, without := l.tok.AppendTokens(nil, r.Prompt), l.tok.AppendTokens(nil, r.Uncond)
	if words, ok := strings.CutPrefix(r.Prompt, "<system>"+system+"</system><user>"); ok && known {
		words = strings.TrimSuffix(words, "</user>")
		with, without = l.marks.Prompt(system, words), l.marks.Prompt(system, token.LuminaNone)
	}
	d.bare = with
	rows := map[string][]engine.Token{".uncond_ids": without}
	if given {
		picture := l.marks.Picture(l.codes, l.cols)
		rows = map[string][]engine.Token{".uncond_image_ids": with, ".uncond_text_ids": l.marks.With(without, picture)}
		with, without = l.marks.With(with, picture), rows[".uncond_text_ids"]
	}
	d.without = without
	for _, array := range sortedKeys(rows) {
		f.equal(d.name+array, toInts(rows[array]))
	}
	codes := make([]engine.Token, 0, len(l.codes))
	for _, t := range d.tokens[r.Start:d.hi] {
		if t != l.marks.Newline {
			codes = append(codes, t)
		}
	}
	whole := slices.Concat(with, []engine.Token{l.marks.Answer}, l.marks.Picture(codes, l.cols), []engine.Token{l.marks.EndAnswer})
	f.equal(d.name+".prompt_ids", toInts(whole))
	f.same(d.name+".code_start", []int{len(with) + 2}, []int{r.Start}, []int{1})
	return nil
}

// sequence makes the masks of the picture free.
func (d *luminaDrawing) sequence() *engine.Sequence {
	s := &engine.Sequence{Tokens: slices.Clone(d.tokens), Fixed: make([]bool, len(d.tokens)), Spans: []engine.Span{
		{Lo: 0, Hi: d.r.Start}, {Lo: d.r.Start, Hi: d.hi, Modality: engine.Image}, {Lo: d.hi, Hi: len(d.tokens)},
	}}
	for i, t := range s.Tokens {
		s.Fixed[i] = i < d.r.Start || i >= d.hi || t != d.l.spec.Mask
	}
	return s
}

// keep is how many positions step i leaves masked: the floor of the cosine of those masked at the start, at least one, and
// none in the last step.
func (d *luminaDrawing) keep(i int) int {
	if i >= d.r.Steps-1 {
		return 0
	}
	cosine := schedule.Schedule{Masked32: schedule.Cosine[float32]}
	return max(1, cosine.Left(d.masks, i, d.r.Steps))
}

// schedule leaves keep positions, or one fewer than are masked where that is less.
func (d *luminaDrawing) schedule() *schedule.Schedule {
	return &schedule.Schedule{Name: "lumina", Counts: func(masked, steps int) []int {
		var counts []int
		for i := range steps {
			left := min(d.keep(i), max(masked-1, 0))
			counts = append(counts, masked-left)
			masked = left
		}
		return counts
	}}
}

func (d *luminaDrawing) follow(ctx context.Context) error {
	l, r, f := d.l, d.r, d.l.f
	sampler := &sample.MaskGIT{ChoiceTemperature: r.Temperature, Constant: true}
	net := d.network()
	var keep []int
	loop := &denoise.Masked{
		Model: net, BlockSteps: r.Steps, Schedule: d.schedule(),
		Guide: denoise.ReplacePrefix(d.without, r.Start-2), GuideImage: denoise.ReplacePrefix(d.bare, r.Start-2),
		Noise: func(step int) engine.Noise {
			u, _ := f.noise(fmt.Sprintf("%s.noise.mask_u.%02d", d.name, step), 2)
			return byRank{u, net}
		},
	}
	loop.Sampler = &spy{Sampler: sampler, seen: func(v engine.View, p *engine.Prediction) {
		keep = append(keep, d.keep(v.Step))
		d.check(v, p, sampler)
	}}
	p, err := follow(ctx, loop, d.sequence(), engine.Options{Steps: r.Steps, Guidance: r.Guidance, GuidanceImage: r.Image})
	if err != nil {
		return err
	}
	var result []int
	for _, t := range p.states[len(p.states)-1][r.Start:d.hi] {
		if t != l.marks.Newline {
			result = append(result, int(t))
		}
	}
	f.equal(d.name+".result", result)
	f.same(d.name+".result (golden.json)", result, r.Result, []int{len(r.Result)})
	f.same(d.name+".keep_n", keep, r.Keep, []int{len(r.Keep)})
	if r.Guidance == 0 { // the rows without words are recorded and not used
		return nil
	}
	rows := 2
	if r.Image != 0 {
		rows = 3
	}
	f.same(d.name+".passes", []int{p.nfe}, []int{rows * len(keep)}, []int{1})
	return nil
}

// byRank is recorded noise, one number for each masked position in order.
type byRank struct {
	u   *noiseArray
	net *replay
}

// Uniform implements [engine.Noise].
func (b byRank) Uniform(pos int) float64 {
	u, err := b.u.at(0)
	i := b.net.rank(pos)
	if err != nil || i >= len(u) {
		return math.NaN()
	}
	return u[i]
}

// rank is how many masked positions of the last pass's first row lie before pos.
func (r *replay) rank(pos int) int {
	n := 0
	for _, t := range r.tokens[:pos] {
		if t == r.spec.Mask {
			n++
		}
	}
	return n
}

// check compares what one step was given and decided.
func (d *luminaDrawing) check(v engine.View, p *engine.Prediction, sampler *sample.MaskGIT) {
	f, at := d.l.f, fmt.Sprintf("%s.step%02d", d.name, d.step)
	sampled, again := make([]int, len(p.Pos)), make([]int, len(p.Pos))
	for i, t := range p.Token {
		sampled[i], again[i] = int(t-d.l.spec.Image.Offset), 1
	}
	var decision engine.Decision
	sampler.Select(v, p, &decision)
	for _, i := range decision.Unmask {
		again[i] = 0
	}
	f.equal(at+".sampled", sampled)
	f.near(at+".conf", p.Prob)
	f.equal(at+".masked", again)
	if f.has(at + ".logits") {
		f.near(at+".logits", d.measured[d.step])
	}
	d.step++
}

// network replays the draws and keeps the guided logits of the masked positions.
func (d *luminaDrawing) network() *replay {
	l, r := d.l, d.r
	spec := l.spec
	spec.End = nil
	net := &replay{Denoiser: l.n, spec: spec}
	if r.Cache {
		net.Denoiser = confidently{l.n, &nn.Confident{
			Stack: l.n.Stack, Codes: engine.IDRange{Lo: spec.Image.Offset, Hi: spec.Image.Offset + engine.Token(spec.Image.Codebook)},
			Warmup: int(float64(r.Steps) * r.Warmup), Every: max(r.Every, 1), Ratio: 1 - r.Ratio,
		}}
	}
	v, lo, n := spec.Vocab, int(spec.Image.Offset), spec.Image.Codebook
	for i := r.Start; i < d.hi; i++ {
		net.watch = append(net.watch, i)
	}
	d.measured = map[int][]float32{}
	net.look = func(call int, guided []float32, _ [2][]float32) error {
		for i, pos := range net.watch {
			if net.tokens[pos] == spec.Mask {
				d.measured[call] = append(d.measured[call], guided[i*v+lo:i*v+lo+n]...)
			}
		}
		return nil
	}
	if r.Temperature == 0 {
		return net
	}
	net.draw = func(call, pos int, logits []float32) (int, error) {
		u, err := l.f.recorded(fmt.Sprintf("%s.noise.sample_u.%02d", d.name, call), 3)
		if err != nil {
			return 0, err
		}
		x, err := u.at(0, net.rank(pos))
		if err != nil || len(x) != n {
			return 0, fmt.Errorf("noise of %d codes, want %d: %w", len(x), n, err)
		}
		best, top := 0, float32(math.Inf(-1))
		for i, logit := range logits[lo : lo+n] {
			if y := logit/float32(r.Temperature) + gumbelAdd(float32(x[i])); y > top {
				best, top = i, y
			}
		}
		return lo + best, nil
	}
	return net
}

// confidently is a network whose passes go through [nn.Confident].
type confidently struct {
	engine.Denoiser
	c *nn.Confident
}

// Forward implements [engine.Denoiser].
func (z confidently) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	return z.c.Forward(ctx, in)
}

// luminaText is what golden.json says of an answer about a picture.
type luminaText struct {
	textRun
	Prompt string  `json:"prompt"`
	Start  int     `json:"code_start"`
	Error  *string `json:"error"`
}

// answer replays one run of generate_text_understanding, LLaDA's sampler over the whole vocabulary.
func (l *lumina) answer(ctx context.Context, name string) error {
	f := l.f
	r := luminaText{textRun: textRun{Mask: l.spec.Mask, Remasking: "low_confidence"}}
	if err := f.decodeStrictly(name, &r); err != nil {
		return err
	}
	ids, _, err := f.ints(name + ".prompt_ids")
	if err != nil {
		return err
	}
	if r.Error != nil || r.Steps < 1 || r.Steps > maxRun || r.Block < 1 || r.Start < 1 || r.Length < 1 || r.Length > len(ids) || r.Start+r.Length+1 != len(ids) {
		return fmt.Errorf("%d steps, blocks of %d, %d tokens from position %d of %d on", r.Steps, r.Block, r.Length, r.Start, len(ids))
	}
	words, ok := strings.CutPrefix(r.Prompt, "<system>"+token.LuminaUnderstand+"</system><user>")
	f.add(Check{Name: name + ".prompt", Pass: ok})
	picture := l.marks.Picture(l.codes, l.cols)
	if strings.Contains(name, "script_tokens") {
		picture = l.twice()
	}
	prompt := l.marks.With(l.marks.Prompt(token.LuminaUnderstand, strings.TrimSuffix(words, "</user>")), picture)
	whole := slices.Concat(prompt, []engine.Token{l.marks.Answer}, slices.Repeat([]engine.Token{r.Mask}, r.Length), []engine.Token{l.marks.EndAnswer})
	f.equal(name+".prompt_ids", toInts(whole))
	f.same(name+".code_start", []int{len(prompt) + 1}, []int{r.Start}, []int{1})
	return l.follow(ctx, name, r, toTokens(ids))
}

func (l *lumina) follow(ctx context.Context, name string, r luminaText, tokens []engine.Token) error {
	seq := textSequence(tokens[:r.Start], r.Length, r.Mask)
	seq.Tokens, seq.Fixed = append(seq.Tokens, tokens[r.Start+r.Length:]...), append(seq.Fixed, true)
	seq.Spans[0].Hi = len(seq.Tokens)
	net := r.network(l.n)
	s := &spoken{name: name, net: net, seq: seq, lo: r.Start, n: r.Length}
	var rec record
	s.watch(&rec)
	if r.Temp != 0 {
		net.draw = l.f.powerDraw(name, r.Temp, r.Start)
	}
	loop, err := r.loop(net, r.Start, lladaQuirks)
	if err != nil {
		return err
	}
	loop.Sampler = &spy{Sampler: loop.Sampler, seen: func(_ engine.View, p *engine.Prediction) {
		rec.confidence = append(rec.confidence, s.competing(p, func(i int) float64 { return float64(p.Prob[i]) }))
	}}
	p, err := follow(ctx, loop, seq, r.options())
	if err != nil {
		return err
	}
	s.take(&rec, p)
	l.f.equal(name+".trajectory", slices.Concat(rec.states...))
	l.f.confidences(name+".confidence64", slices.Concat(rec.confidence...))
	l.f.everyFourth(name+".logits_step0", rec.raw[0], r.Length, net.spec.Vocab)
	return nil
}
