package verify

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/token"
)

// pictureID stands for a picture in the official ids.
const pictureID = -200

// pictured is what golden.json says of a prompt about a picture.
type pictured struct {
	Prompt     string  `json:"prompt"`
	Question   string  `json:"question"`
	Sizes      [][]int `json:"image_sizes_wh"`
	Resolution [][]int `json:"best_resolution"`
	Pixels     [][]int `json:"pixel_shapes"`
	Embeds     []int   `json:"embeds_shape"`
}

// eyed is a network with prompts about pictures.
type eyed struct {
	f       *folder
	n       *network
	tok     *token.Tokenizer
	prompts []picturePrompt
}

// picturePrompt is a prompt, its picture still the official placeholder, and the picture.
type picturePrompt struct {
	name string
	ids  []int
	img  image.Image
}

// openEyed opens the checkpoint and checks every recorded prompt: its text and ids, what is made of its picture, and the
// rows that enter the first block.
func openEyed(ctx context.Context, f *folder) (*eyed, error) {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return nil, err
	}
	e := &eyed{f: f, n: n}
	if e.tok, err = token.Open(besides{f.dir}, n.Spec().Family); err != nil {
		return nil, err
	}
	f.number("mask_id", int(n.Spec().Mask))
	f.number("vocab_size", n.Spec().Vocab)
	var index int
	if err := f.decode("image_token_index", &index); err != nil {
		return nil, err
	}
	if index != pictureID {
		return nil, fmt.Errorf("image_token_index %d, want %d", index, pictureID)
	}
	for i := 1; f.has(fmt.Sprintf("image%d.u8", i)); i++ {
		if err := e.prompt(ctx, i); err != nil {
			return nil, fmt.Errorf("img%d: %w", i, err)
		}
	}
	return e, nil
}

func (e *eyed) prompt(ctx context.Context, i int) error {
	// size: the stages of a picture on its way into the prompt, one check each.
	f, name := e.f, fmt.Sprintf("img%d", i)
	var p pictured
	if err := f.decode(name, &p); err != nil {
		return err
	}
	img, err := f.picture(fmt.Sprintf("image%d.u8", i))
	if err != nil {
		return err
	}
	ids, _, err := f.ints(name + ".input_ids")
	if err != nil {
		return err
	}
	e.prompts = append(e.prompts, picturePrompt{name, ids, img})
	if p.Question != "" {
		text, err := e.tok.Template().Render([]engine.Message{{Role: "system", Text: token.VisionSystem}, {Role: "user", Text: p.Question}}, false)
		if err != nil {
			return err
		}
		f.text(name+".prompt", text, p.Prompt)
	}
	f.same(name+".input_ids", e.ids(p.Prompt), ids, []int{1, len(ids)})
	f.same(name+".image_sizes_wh", []int{img.Bounds().Dx(), img.Bounds().Dy()}, slices.Concat(p.Sizes...), []int{2})

	seen := map[string][]float32{}
	e.n.Eyes.Watch(func(what string, x []float32) { seen[what] = x })
	defer e.n.Eyes.Watch(nil)
	tokens, err := e.show(ctx, i-1)
	if err != nil {
		return err
	}
	side := 0
	for _, r := range []struct{ array, what string }{
		{"pixels0", "pixels"}, {"vision_features0", "vision"}, {"projected0", "projected"}, {"pooled0", "pooled"},
	} {
		array := name + "." + r.array
		if !f.has(array) {
			continue
		}
		f.near(array, seen[r.what])
		if t, err := f.arrays.Tensor(array); err == nil && r.what == "pixels" && len(t.Shape) == 4 {
			side = t.Shape[3]
		}
	}
	if p.Resolution != nil {
		f.same(name+".best_resolution", []int{int(seen["resolution"][0]), int(seen["resolution"][1])}, slices.Concat(p.Resolution...), []int{2})
	}
	if p.Pixels != nil {
		if side == 0 {
			side = p.Pixels[0][len(p.Pixels[0])-1]
		}
		f.same(name+".pixel_shapes", []int{len(seen["pixels"]) / (3 * side * side), 3, side, side}, slices.Concat(p.Pixels...), []int{4})
	}
	if _, err := e.n.forward(ctx, engine.Input{Tokens: tokens, Want: []int{}}); err != nil {
		return err
	}
	f.near(name+".inputs_embeds", e.n.seen["embed"])
	f.same(name+".embeds_shape", []int{1, len(tokens), e.n.Spec().Width}, p.Embeds, []int{3})
	return nil
}

// ids are the tokens of text, with the official placeholder where a picture stands.
func (e *eyed) ids(text string) []int {
	var out []int
	for i, part := range token.AroundPictures(e.tok, text) {
		if i > 0 {
			out = append(out, pictureID)
		}
		out = append(out, toInts(part)...)
	}
	return out
}

// show makes the network look at the picture of prompt i and returns the prompt with the tokens that stand for it.
func (e *eyed) show(ctx context.Context, i int) ([]engine.Token, error) {
	p := e.prompts[i]
	n, err := e.n.Look(ctx, []image.Image{p.img})
	if err != nil {
		return nil, err
	}
	return place(p.ids, e.n.Spec().Vocab, n[0]), nil
}

// place puts n tokens from vocab on in the place of the picture in ids.
func place(ids []int, vocab, n int) []engine.Token {
	var out []engine.Token
	for _, id := range ids {
		if id != pictureID {
			out = append(out, engine.Token(id))
			continue
		}
		for j := range n {
			out = append(out, engine.Token(vocab+j))
		}
	}
	return out
}

// picture reads an array of bytes [h, w, 3] as a picture.
func (f *folder) picture(name string) (image.Image, error) {
	raw, shape, err := f.ints(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 3 || shape[2] != 3 {
		return nil, fmt.Errorf("%s: shape %v, want [h, w, 3]", name, shape)
	}
	h, w := shape[0], shape[1]
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.SetNRGBA(i%w, i/w, color.NRGBA{R: byte(raw[3*i]), G: byte(raw[3*i+1]), B: byte(raw[3*i+2]), A: 255})
	}
	return img, nil
}

// spoken is a recorded answer: the product's loop over a prompt and n positions from lo on.
type spoken struct {
	name string
	net  *replay
	seq  *engine.Sequence
	lo   int
	n    int // recorded positions from lo on
	// draw, when not nil, is how raw logits become candidates; else the largest wins.
	draw func(call, pos int, logits []float32) (int, error)
}

// record is what the loop did in a recorded answer.
type record struct {
	states     [][]int     // [steps+1][n]
	transfer   [][]int     // [steps][n] 1 where a step revealed
	argmax     [][]int     // [steps][n] of the raw logits
	confidence [][]float64 // [steps][n]; minus infinity where nothing competes
	raw        [][]float32 // [steps][n*V]
	result     []int
}

// watch makes the replay note the raw logits of all recorded positions.
func (s *spoken) watch(r *record) {
	v := s.net.spec.Vocab
	s.net.watch = nil
	for i := range s.n {
		s.net.watch = append(s.net.watch, s.lo+i)
	}
	s.net.look = func(call int, guided []float32, raw [2][]float32) error {
		at := make([]int, s.n)
		for i := range at {
			row := slices.Clone(guided[i*v : (i+1)*v])
			if s.net.tokens[s.lo+i] == s.net.spec.Mask {
				for _, t := range s.net.spec.Ban {
					row[t] = float32(math.Inf(-1))
				}
			}
			at[i], _ = best(row)
			if s.draw != nil {
				var err error
				if at[i], err = s.draw(call, s.lo+i, row); err != nil {
					return err
				}
			}
		}
		r.argmax, r.raw = append(r.argmax, at), append(r.raw, raw[0])
		return nil
	}
}

// powerDraw is LLaDA's draw with the recorded numbers of run name, whose first position is lo.
func (f *folder) powerDraw(name string, temperature float64, lo int) func(call, pos int, logits []float32) (int, error) {
	return func(call, pos int, logits []float32) (int, error) {
		u, err := f.recorded(fmt.Sprintf("%s.noise.uniform64.%02d", name, call), 3)
		if err != nil {
			return 0, err
		}
		return u.draw(logits, temperature, 0, pos-lo)
	}
}

// take completes the record with the path of the loop.
func (s *spoken) take(r *record, p path) {
	for i, state := range p.states {
		r.states = append(r.states, toInts(state[s.lo:s.lo+s.n]))
		if i == 0 {
			continue
		}
		t := make([]int, s.n)
		for j := range t {
			if engine.Token(r.states[i-1][j]) == s.net.spec.Mask && r.states[i][j] != r.states[i-1][j] {
				t[j] = 1
			}
		}
		r.transfer = append(r.transfer, t)
	}
}

// check compares the arrays of a run that are there.
func (s *spoken) check(f *folder, r *record) {
	f.equal(s.name+".trajectory", slices.Concat(r.states[1:]...))
	for array, got := range map[string][][]int{".argmax_raw": r.argmax, ".transfer": r.transfer} {
		if f.has(s.name + array) {
			f.equal(s.name+array, slices.Concat(got...))
		}
	}
	f.confidences(s.name+".confidence64", slices.Concat(r.confidence...))
	f.everyFourth(s.name+".logits_step0", r.raw[0], s.n, s.net.spec.Vocab)
	f.everyFourth(s.name+".logits_last", r.raw[len(r.raw)-1], s.n, s.net.spec.Vocab)
	f.equal(s.name+".result", r.result)
}

// confidences compares array name, where -1 or -9 stands for the minus infinity of a position that does not compete.
func (f *folder) confidences(name string, got []float64) {
	want, shape, err := f.float64s(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	tol, err := f.bound(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	want = slices.Clone(want)
	for i, x := range want {
		if x == -1 || x == -9 {
			want[i] = math.Inf(-1)
		}
	}
	f.add(compare(name, got, want, shape, tol))
}

// everyFourth compares logits of n positions with array name, which holds all of them or every fourth.
func (f *folder) everyFourth(name string, logits []float32, n, v int) {
	t, err := f.arrays.Tensor(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	if len(t.Shape) != 3 || t.Shape[1] != n && t.Shape[1] != (n+3)/4 {
		f.fail(name, fmt.Errorf("shape %v for %d positions", t.Shape, n))
		return
	}
	f.near(name, strideRows(logits, v, 1+3*min(1, n-t.Shape[1])))
}

// nearStrided compares logits [batch, n, v] with array name, which holds every s-th of the n rows of each of the batch: s
// is the usual one where the array's shape allows it, else that of the allowed ones which fits best.
func (f *folder) nearStrided(name string, logits []float32, n, v, usual int) {
	t, err := f.arrays.Tensor(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	if len(t.Shape) < 2 || n < 1 || v < 1 || len(logits)%(n*v) != 0 {
		f.fail(name, fmt.Errorf("shape %v for rows of %d positions", t.Shape, n))
		return
	}
	want, _, err := f.floats(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	best, least := 0, math.Inf(1)
	for s := 1; s <= n; s++ {
		if (n+s-1)/s != t.Shape[len(t.Shape)-2] {
			continue
		}
		if got := stridedBatch(logits, n, v, s); len(got) == len(want) {
			if d := furthest(got, want); s == usual || best != usual && d < least {
				best, least = s, d
			}
		}
	}
	if best == 0 {
		f.fail(name, fmt.Errorf("no step makes %v of rows of %d positions", t.Shape, n))
		return
	}
	f.near(name, stridedBatch(logits, n, v, best))
}

// stridedBatch keeps every by-th row of v numbers of each n rows.
func stridedBatch(x []float32, n, v, by int) []float32 {
	var out []float32
	for lo := 0; lo < len(x); lo += n * v {
		out = append(out, strideRows(x[lo:lo+n*v], v, by)...)
	}
	return out
}

// furthest is the largest difference of two slices of one length.
func furthest(a, b []float32) float64 {
	worst := 0.0
	for i, x := range a {
		worst = max(worst, math.Abs(float64(x-b[i])))
	}
	return worst
}

// strideRows keeps every by-th row of v numbers.
func strideRows(x []float32, v, by int) []float32 {
	var out []float32
	for i := 0; i*v < len(x); i += by {
		out = append(out, x[i*v:(i+1)*v]...)
	}
	return out
}

// competing are the confidences of a prediction by position; minus infinity where nothing competes.
func (s *spoken) competing(p *engine.Prediction, score func(i int) float64) []float64 {
	c := make([]float64, s.n)
	for i := range c {
		c[i] = math.Inf(-1)
	}
	for i, pos := range p.Pos {
		if j := pos - s.lo; j >= 0 && j < s.n {
			c[j] = score(i)
		}
	}
	return c
}

// about finds the prompt that a run is about, which golden.json does not say: the one whose first pass gives the recorded
// logits. sequence makes the run's sequence from a prompt. The network looks at that prompt's picture afterwards.
func (e *eyed) about(ctx context.Context, name string, sequence func(prompt []engine.Token) *engine.Sequence, n int) (*engine.Sequence, int, error) {
	want, _, err := e.f.floats(name + ".logits_step0")
	if err != nil {
		return nil, 0, err
	}
	v := e.n.Spec().Vocab
	rows := len(want) / v
	bestAt, least := -1, math.Inf(1)
	for i := range e.prompts {
		tokens, err := e.show(ctx, i)
		if err != nil {
			return nil, 0, err
		}
		seq := sequence(tokens)
		in := engine.Input{Tokens: seq.Tokens}
		if e.n.Spec().PromptFirst && strings.HasPrefix(name, "prefix") {
			in.Block, in.Origin = len(seq.Tokens), len(tokens)
		}
		for j := range n {
			if rows == n || j%4 == 0 {
				in.Want = append(in.Want, len(tokens)+j)
			}
		}
		got, err := e.n.forward(ctx, in)
		if err != nil {
			return nil, 0, err
		}
		if len(got) != len(want) {
			return nil, 0, fmt.Errorf("%d logits at the first step, want %d", len(got), len(want))
		}
		worst := 0.0
		for j, x := range got {
			worst = max(worst, math.Abs(float64(x-want[j])))
		}
		if worst < least {
			bestAt, least = i, worst
		}
	}
	tokens, err := e.show(ctx, bestAt)
	if err != nil {
		return nil, 0, err
	}
	return sequence(tokens), len(tokens), nil
}
