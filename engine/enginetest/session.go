// Package enginetest is an [engine.Session] for tests of what stands on top of one: it knows no network, answers from a
// fixed table, and makes the same events for the same job every time. Order, counts and stop behave as in a real run.
// Nothing outside tests may use it.
package enginetest

// size: the scripted session, read from top to bottom.

import (
	"context"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"unmask/engine"
)

// Ids of the pretended vocabulary: words from wordBase, image codes from codeBase.
const (
	maskToken engine.Token = 0
	endToken  engine.Token = 1
	wordBase  engine.Token = 2
	codeBase  engine.Token = 10_000
)

// Session is a scripted [engine.Session]. Set the fields before the first Run.
type Session struct {
	// Delay is the time of one forward pass.
	Delay time.Duration
	// FailAt makes the step of that index (from 1) fail with Err; 0: none does.
	FailAt int
	Err    error
	// Answers maps a prompt to its answer; other prompts are echoed.
	Answers map[string]string
	// LoadErr makes Load fail.
	LoadErr error

	run    sync.Mutex // held during a Run
	mu     sync.Mutex
	words  map[string]engine.Token
	texts  []string
	loaded bool
	closed bool
}

var _ engine.Session = (*Session)(nil)

// Grid is the layout of the pretended image codes, Cell the pixels of a code's side.
var Grid = engine.Grid{Cols: 16, Rows: 16}

// Cell is the side of one image code, pixels.
const Cell = 4

// Spec describes the pretended model.
func Spec() engine.Spec {
	text := engine.Options{Length: 24, Steps: 12, Block: 12, Schedule: "uniform", Sampler: "low_confidence", StopAtEnd: true}
	pic := engine.Options{Steps: 12, Schedule: "cosine", Sampler: "maskgit", Guidance: 2, Previews: true}
	return engine.Spec{
		Name: "Scripted", Family: "mmada", Hash: "5c819ed0", Params: 1, Bytes: 1 << 20, DType: "f32", Device: "cpu",
		Layers: 1, Width: 1, Heads: 1, Vocab: 20_000, MaxLen: 512, Mask: maskToken, End: []engine.Token{endToken},
		Tasks: engine.Tasks,
		Image: &engine.ImageSpec{Grid: Grid, Width: Grid.Cols * Cell, Height: Grid.Rows * Cell, Offset: codeBase, Codebook: 64},
		Defaults: map[engine.Task]engine.Options{
			engine.Chat: text, engine.Infill: text, engine.Describe: text,
			engine.TextToImage: pic, engine.Inpaint: pic, engine.Outpaint: pic, engine.EditImage: pic, engine.Joint: pic,
		},
		Examples: map[engine.Task][]string{
			engine.Chat:        {"What is 27 + 46?", "Name three colours", "Why is the sea teal?"},
			engine.Infill:      {"Dear ___, thank you for the ___."},
			engine.TextToImage: {"a red boat and a moon", "a cactus at noon", "a fish under water"},
			engine.Inpaint:     {"a yellow kite", "a hat on the fish", "a night sky"},
			engine.Describe:    {"Describe this sticker"},
		},
	}
}

// Load implements [engine.Session].
func (s *Session) Load(ctx context.Context, _ engine.ModelRef, progress func(done, total int64)) (engine.Spec, error) {
	if s.LoadErr != nil {
		return engine.Spec{}, s.LoadErr
	}
	for i := range int64(4) {
		if err := s.wait(ctx); err != nil {
			return engine.Spec{}, err
		}
		if progress != nil {
			progress((i+1)<<18, 1<<20)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = true
	return Spec(), nil
}

// Close implements [engine.Session].
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *Session) wait(ctx context.Context) error {
	if s.Delay <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(s.Delay)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (s *Session) token(word string) engine.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.words == nil {
		s.words = map[string]engine.Token{}
	}
	id, ok := s.words[word]
	if !ok {
		id = wordBase + engine.Token(len(s.texts))
		s.words[word] = id
		s.texts = append(s.texts, word)
	}
	return id
}

// split cuts text into words that carry the space before them, as byte-level tokenizers do.
func split(text string) []string {
	var out []string
	for _, r := range text {
		if n := len(out); n == 0 || r == ' ' || r == '\n' || r == '<' || n > 0 && (strings.HasSuffix(out[n-1], "\n") || strings.HasSuffix(out[n-1], ">")) {
			out = append(out, string(r))
			continue
		}
		out[len(out)-1] += string(r)
	}
	return out
}

func hash(parts ...any) float64 {
	h := fnv.New64a()
	for _, p := range parts {
		fmt.Fprint(h, p, "|")
	}
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// plan is a run before its first step.
type plan struct {
	started *engine.Started
	final   []engine.Token // what each position becomes
	text    func(engine.Token) string
}

// Run implements [engine.Session].
func (s *Session) Run(ctx context.Context, job engine.Job) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		s.run.Lock()
		defer s.run.Unlock()
		s.mu.Lock()
		ready := s.loaded && !s.closed
		s.mu.Unlock()
		if !ready {
			yield(nil, engine.ErrNoModel)
			return
		}
		p, err := s.plan(job)
		if err != nil {
			yield(nil, err)
			return
		}
		if !yield(p.started, nil) {
			return
		}
		s.denoise(ctx, p, yield)
	}
}

func (s *Session) plan(job engine.Job) (*plan, error) {
	d := Spec().Defaults[job.Task]
	o := &job.Options
	if o.Length == 0 {
		o.Length = d.Length
	}
	if o.Steps == 0 {
		o.Steps = d.Steps
	}
	if o.Sampler == "" {
		o.Sampler = d.Sampler
	}
	if o.Schedule == "" {
		o.Schedule = d.Schedule
	}
	if f := job.From; f != nil && len(f.Tokens) == 0 {
		return nil, &engine.InputError{Item: "state to go on from", Reason: "0 tokens"}
	}
	if o.Steps < 1 || o.Steps > 1024 {
		return nil, &engine.ParamError{Name: "steps", Value: float64(o.Steps), Min: 1, Max: 1024}
	}
	prompt := ""
	if n := len(job.Messages); n > 0 {
		prompt = job.Messages[n-1].Text
	}
	switch job.Task {
	case engine.TextToImage, engine.Inpaint, engine.Outpaint, engine.EditImage, engine.Joint:
		return s.planPicture(job, prompt)
	case engine.Chat, engine.Infill, engine.Describe:
		return s.planText(job, prompt)
	}
	return nil, &engine.UnsupportedError{What: "task " + string(job.Task)}
}

func (s *Session) planText(job engine.Job, prompt string) (*plan, error) {
	answer, ok := s.Answers[prompt]
	if !ok {
		answer = "You said: " + prompt
	}
	if job.Options.Think {
		answer = "<think> Let me see.</think>" + answer
	}
	seq := &engine.Sequence{}
	var texts []string
	for _, w := range split(prompt) {
		seq.Tokens, seq.Fixed, texts = append(seq.Tokens, s.token(w)), append(seq.Fixed, true), append(texts, w)
	}
	final := slices.Clone(seq.Tokens)
	lo := len(final)
	words := split(answer)
	for i := range job.Options.Length {
		seq.Tokens, seq.Fixed, texts = append(seq.Tokens, maskToken), append(seq.Fixed, false), append(texts, "")
		if i < len(words) && i < job.Options.Length-1 {
			final = append(final, s.token(words[i]))
		} else {
			final = append(final, endToken)
		}
	}
	seq.Spans = []engine.Span{{Lo: 0, Hi: len(final)}}
	for _, w := range job.Words {
		for i, x := range split(w.Text) {
			p := lo + w.At + i
			if p < lo || p >= len(final) {
				return nil, &engine.InputError{Item: "fixed words", Reason: fmt.Sprintf("position %d of %d", w.At, len(final)-lo)}
			}
			final[p] = s.token(x)
			seq.Tokens[p], seq.Fixed[p] = final[p], true
		}
	}
	s.resume(job.From, seq, final, texts)
	return &plan{
		started: &engine.Started{Job: job, Spec: Spec(), Sequence: seq, Texts: texts, Answer: engine.Span{Lo: lo, Hi: len(final)}, Steps: job.Options.Steps},
		final:   final,
		text:    s.word,
	}, nil
}

// resume writes the state that a job goes on from over seq, and what stays of it over what the positions become.
func (s *Session) resume(f *engine.From, seq *engine.Sequence, final []engine.Token, texts []string) {
	if f != nil {
		for i, t := range f.Tokens[:min(len(f.Tokens), len(final))] {
			if !seq.Fixed[i] && t != maskToken {
				seq.Tokens[i], final[i] = t, t
			}
		}
		for _, i := range f.Pinned {
			seq.Fixed[i] = true
		}
	}
	for i, t := range seq.Tokens {
		if t != maskToken {
			texts[i] = s.word(t)
		}
	}
}

func (s *Session) word(id engine.Token) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := int(id - wordBase); i >= 0 && i < len(s.texts) {
		return s.texts[i]
	}
	return ""
}

func (s *Session) planPicture(job engine.Job, prompt string) (*plan, error) {
	n := Grid.Cols * Grid.Rows
	seq := &engine.Sequence{Tokens: make([]engine.Token, n), Fixed: make([]bool, n), Spans: []engine.Span{{Hi: n, Modality: engine.Image}}}
	var source image.Image
	if job.Task != engine.TextToImage && (job.Task != engine.Joint || job.Image != nil) {
		if job.Image == nil {
			return nil, &engine.InputError{Item: "picture", Reason: "none is given"}
		}
		codes := encode(job.Image, job.Frame)
		source = decode(codes)
		hidden := 0
		for i := range n {
			if fixed(job, i) {
				seq.Tokens[i], seq.Fixed[i] = codes[i], true
			} else {
				hidden++
			}
		}
		if hidden == 0 {
			return nil, &engine.InputError{Item: "mask", Reason: "0 of 256 cells are painted"}
		}
	}
	final := make([]engine.Token, n)
	for i := range n {
		final[i] = seq.Tokens[i]
		if !seq.Fixed[i] {
			final[i] = codeBase + engine.Token(scene(prompt, job.Options.Seed, i%Grid.Cols, i/Grid.Cols))
		}
	}
	s.resume(job.From, seq, final, make([]string, n))
	return &plan{
		started: &engine.Started{
			Job: job, Spec: Spec(), Sequence: seq, Texts: make([]string, n), Answer: engine.Span{Hi: n, Modality: engine.Image},
			Grid: Grid, Steps: job.Options.Steps, Source: source,
		},
		final: final,
		text:  func(engine.Token) string { return "" },
	}, nil
}

// fixed reports whether cell i is kept: the image mask covers less than a quarter of it, or it lies in the old picture.
func fixed(job engine.Job, i int) bool {
	if job.Task == engine.Outpaint {
		b, f := job.Image.Bounds(), job.Frame
		x := f.Min.X + (2*(i%Grid.Cols)+1)*f.Dx()/(2*Grid.Cols)
		y := f.Min.Y + (2*(i/Grid.Cols)+1)*f.Dy()/(2*Grid.Rows)
		return image.Pt(x, y).In(b)
	}
	if job.Mask == nil {
		return job.Task != engine.EditImage // which draws every cell anew
	}
	b := job.Mask.Bounds()
	x0, x1 := b.Min.X+i%Grid.Cols*b.Dx()/Grid.Cols, b.Min.X+(i%Grid.Cols+1)*b.Dx()/Grid.Cols
	y0, y1 := b.Min.Y+i/Grid.Cols*b.Dy()/Grid.Rows, b.Min.Y+(i/Grid.Cols+1)*b.Dy()/Grid.Rows
	covered := 0
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			if job.Mask.AlphaAt(x, y).A >= 128 {
				covered++
			}
		}
	}
	return 4*covered < (x1-x0)*(y1-y0) || covered == 0
}

// scene is the code of a cell of a small landscape that depends on prompt and seed.
func scene(prompt string, seed uint64, x, y int) int {
	sun := int(hash(prompt, "sun")*10) + 3
	hill := 10 + 2*math.Sin(float64(x)/3+hash(prompt, seed)*6)
	switch dx, dy := x-sun, y-4; {
	case float64(y) > hill:
		return 16 + int(hash(prompt, "ground")*3)*4 + (x+y)%4
	case dx*dx+dy*dy < 7:
		return 48 + int(hash(prompt, "sun colour")*4)
	default:
		return int(hash(prompt, "sky")*3)*4 + y*4/16
	}
}

func paint(code int) color.NRGBA {
	v := hash("colour", code/4)
	k := 0.55 + 0.15*float64(code%4)
	return color.NRGBA{
		R: uint8(k * 255 * (0.5 + 0.5*math.Cos(6.28*v))), G: uint8(k * 255 * (0.5 + 0.5*math.Cos(6.28*(v-0.33)))),
		B: uint8(k * 255 * (0.5 + 0.5*math.Cos(6.28*(v-0.67)))), A: 255,
	}
}

func decode(tokens []engine.Token) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, Grid.Cols*Cell, Grid.Rows*Cell))
	for i, t := range tokens {
		c := color.NRGBA{R: 40, G: 44, B: 52, A: 255}
		if t >= codeBase {
			c = paint(int(t - codeBase))
		}
		for p := range Cell * Cell {
			img.SetNRGBA(i%Grid.Cols*Cell+p%Cell, i/Grid.Cols*Cell+p/Cell, c)
		}
	}
	return img
}

func encode(img image.Image, frame image.Rectangle) []engine.Token {
	b := img.Bounds()
	if !frame.Empty() {
		b = frame
	}
	out := make([]engine.Token, Grid.Cols*Grid.Rows)
	for i := range out {
		x := b.Min.X + (2*(i%Grid.Cols)+1)*b.Dx()/(2*Grid.Cols)
		y := b.Min.Y + (2*(i/Grid.Cols)+1)*b.Dy()/(2*Grid.Rows)
		r, g, bl, _ := img.At(x, y).RGBA()
		best, dist := 0, math.MaxFloat64
		for c := range 64 {
			p := paint(c)
			dr, dg, db := float64(r>>8)-float64(p.R), float64(g>>8)-float64(p.G), float64(bl>>8)-float64(p.B)
			if d := dr*dr + dg*dg + db*db; d < dist {
				best, dist = c, d
			}
		}
		out[i] = codeBase + engine.Token(best)
	}
	return out
}
