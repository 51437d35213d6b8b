package verify

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/schedule"
	"unmask/engine/token"
)

// How MMaDA's training differs from its answers: a caption is dropped with this chance, and no share of masked words is
// below noiseFloor.
const (
	captionDropout = 0.1
	noiseFloor     = 1e-3
)

// mmadaLosses checks the mmada_losses folder over the checkpoint of its neighbour.
type mmadaLosses struct {
	mmadaPrompts
	n     *network
	m     *trained
	mask  engine.Token
	order []string // parameters of grad_norms
}

// verifyMMaDALosses checks the training losses of MMaDA, their gradients, and UniGRPO's.
func verifyMMaDALosses(ctx context.Context, f *folder) error {
	base := filepath.Join(f.dir, "..", "mmada")
	n, err := openNetwork(ctx, f, base)
	if err != nil {
		return err
	}
	l := &mmadaLosses{mmadaPrompts: mmadaPrompts{f: f}, n: n, mask: n.Spec().Mask}
	if l.m, err = openWeights(base); err != nil {
		return err
	}
	if l.tok, err = token.Open(besides{base}, "mmada"); err != nil {
		return err
	}
	if l.p, err = l.tok.Prompts(); err != nil {
		return err
	}
	l.eos, _ = l.tok.Special("eos")
	f.number("mask_id", int(l.mask))
	f.number("len_tokenizer", l.tok.Size())
	f.number("image_token_offset", l.tok.Size())
	if err := f.decode("max_seq_length", &l.maxText); err != nil {
		return err
	}
	if l.maxText < 2 || l.maxText > maxRun {
		return fmt.Errorf("max_seq_length %d, want 2 to %d", l.maxText, maxRun)
	}
	if err := f.decode("parameter_order", &l.order); err != nil {
		return err
	}
	for _, name := range sortedKeys(f.golden) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		switch {
		case strings.HasPrefix(name, "stage"):
			err = l.stage(ctx, name)
		case strings.HasPrefix(name, "rl_"):
			err = l.policy(ctx, name)
		}
		if err != nil {
			f.fail(name, err)
		}
	}
	return nil
}

// lossRow is one row of a training batch.
type lossRow struct {
	tokens []int
	labels []int // ignored where no loss is taken
	clean  []int // what is under the masks
	pads   []bool
	known  int     // positions from the start that are never masked, of a row of words
	kept   []bool  // positions that are never masked, beside those
	share  float32 // of the maskable positions that is masked
	answer int     // positions of the answer
}

// hide masks the positions of a row of words whose number is below the share, unless they are known.
func (r *lossRow) hide(u []float32, mask engine.Token) {
	for i := range r.tokens {
		if i >= r.known && (r.kept == nil || !r.kept[i]) && u[i] < r.share {
			r.tokens[i] = int(mask)
		}
	}
}

// noiseShare is the share of words that time t masks.
func noiseShare(t float32) float32 {
	s := float32(1-noiseFloor) * t
	return s + noiseFloor
}

// stage is what golden.json says of a stage of training.
type stage struct {
	File     string    `json:"stage_file"`
	Schedule string    `json:"schedule"`
	Draw     []string  `json:"texts_t2i"`
	Words    []string  `json:"texts_lm"`
	Ask      []string  `json:"texts_mmu"`
	Weights  []float64 `json:"coeffs"`
	Chat     bool      `json:"chat"`
	Losses   []float64 `json:"losses"`
}

// draws is the recorded array number i of a batch of b rows.
func (l *mmadaLosses) draws(name string, i, b, width int) ([]float32, error) {
	u, _, err := l.f.floats(fmt.Sprintf("%s.noise.rand.%02d", name, i))
	if err == nil && len(u) != b*width {
		err = fmt.Errorf("%s.noise.rand.%02d: %d numbers, want %d rows of %d", name, i, len(u), b, width)
	}
	return u, err
}

// masked masks codes as training does: a share by the schedule, at least one. The published code compares the order of
// the random numbers with the count, not their ranks.
func (l *mmadaLosses) masked(name string, s stage, codes [][]int) (shown, labels [][]int, err error) {
	b, n := len(s.Draw), len(codes[0])
	t, err := l.draws(name, 0, b, 1)
	if err != nil {
		return nil, nil, err
	}
	u, err := l.draws(name, 1, b, n)
	if err != nil {
		return nil, nil, err
	}
	shape, err := schedule.Find(s.Schedule)
	if err != nil || shape.Masked32 == nil {
		return nil, nil, fmt.Errorf("schedule %q: %w", s.Schedule, err)
	}
	var shares []float32
	for i := range b {
		share := min(max(shape.Masked32(t[i]), 0), 1)
		shares = append(shares, share)
		count := max(int(math.RoundToEven(float64(float32(n)*share))), 1)
		order := make([]int, n)
		for j := range order {
			order[j] = j
		}
		slices.SortStableFunc(order, func(x, y int) int {
			switch a, b := u[i*n+x], u[i*n+y]; {
			case a < b:
				return -1
			case a > b:
				return 1
			}
			return 0
		})
		row, label := slices.Clone(codes[i]), slices.Repeat([]int{ignored}, n)
		for j, at := range order {
			if at < count {
				row[j], label[j] = int(l.mask), codes[i][j]
			}
		}
		shown, labels = append(shown, row), append(labels, label)
	}
	l.f.near(name+".mask_prob_t2i", shares)
	return shown, labels, nil
}

// batch makes the rows of a stage: pictures to draw, words, pictures asked about.
func (l *mmadaLosses) batch(name string, s stage) (draw, words, ask []lossRow, err error) {
	// size: the three kinds of rows one after the other, each with the numbers drawn for it.
	codes, err := l.rows(name + ".codes")
	if err != nil {
		return nil, nil, nil, err
	}
	if len(codes) < len(s.Draw)+len(s.Ask) || len(s.Draw) == 0 || len(s.Words) == 0 || len(s.Ask) == 0 || len(codes[0]) == 0 {
		return nil, nil, nil, fmt.Errorf("%d pictures for %d captions and %d questions; %d texts", len(codes), len(s.Draw), len(s.Ask), len(s.Words))
	}
	for _, row := range codes {
		for i := range row {
			row[i] += l.tok.Size()
		}
	}
	shown, labels, err := l.masked(name, s, codes)
	if err != nil {
		return nil, nil, nil, err
	}
	drop, err := l.draws(name, 2, len(s.Draw), 1)
	if err != nil {
		return nil, nil, nil, err
	}
	for i, text := range s.Draw {
		if drop[i] < captionDropout {
			text = ""
		}
		row, seen := l.drawing(text, shown[i])
		r := lossRow{tokens: row, labels: toInts(l.p.TextToImage(toTokens(row[:l.maxText+1]), toTokens(labels[i])))}
		for j, on := range seen {
			if r.pads = append(r.pads, on == 0); on == 0 {
				r.labels[j] = ignored
			}
		}
		draw = append(draw, r)
	}
	length := len(draw[0].tokens)
	if words, err = l.wordRows(name, s, length); err != nil {
		return nil, nil, nil, err
	}
	t, err := l.draws(name, 5, len(s.Ask), 1)
	if err != nil {
		return nil, nil, nil, err
	}
	u, err := l.draws(name, 6, len(s.Ask), length)
	if err != nil {
		return nil, nil, nil, err
	}
	for i, text := range s.Ask {
		r := l.question(text, codes[len(s.Draw)+i], s.Chat)
		if len(r.tokens) != length {
			return nil, nil, nil, fmt.Errorf("a question of %d positions, a drawing of %d", len(r.tokens), length)
		}
		r.share = noiseShare(t[i])
		r.hide(u[i*length:(i+1)*length], l.mask)
		ask = append(ask, r)
	}
	return draw, words, ask, nil
}

// wordRows makes the rows of words, which are draws 3 and 4.
func (l *mmadaLosses) wordRows(name string, s stage, length int) ([]lossRow, error) {
	t, err := l.draws(name, 3, len(s.Words), 1)
	if err != nil {
		return nil, err
	}
	u, err := l.draws(name, 4, len(s.Words), length)
	if err != nil {
		return nil, err
	}
	var rows []lossRow
	for i, text := range s.Words {
		row := l.p.PadRight(l.p.Begin(l.tok.AppendTokens(nil, text)), length)
		r := lossRow{tokens: toInts(row), labels: toInts(row), clean: toInts(row), share: noiseShare(t[i])}
		if s.Chat {
			r.known = l.headerEnd(row)
		}
		r.answer = length - r.known
		r.hide(u[i*length:(i+1)*length], l.mask)
		rows = append(rows, r)
	}
	return rows, nil
}

// question is a row with a picture and what is asked of it, padded with end tokens; in a chat the answer is what follows
// the last header.
func (l *mmadaLosses) question(text string, codes []int, chat bool) lossRow {
	ids := l.p.Begin(l.tok.AppendTokens(nil, text))
	row := l.p.PadRight(append(slices.Clone(ids[:min(len(ids), l.maxText-1)]), l.eos), l.maxText)
	whole := toInts(l.p.Question(toTokens(codes), row))
	r := lossRow{tokens: whole, labels: slices.Clone(whole), clean: slices.Clone(whole), known: len(whole) - len(row)}
	for i := range r.known {
		r.labels[i] = ignored
	}
	if chat {
		r.known += l.headerEnd(row)
	}
	r.answer = len(whole) - r.known
	return r
}

// stage checks one stage: how its batch is made and masked, its losses, and their gradients.
func (l *mmadaLosses) stage(ctx context.Context, name string) error {
	f := l.f
	var s stage
	if err := f.decodeStrictly(name, &s); err != nil {
		return err
	}
	draw, words, ask, err := l.batch(name, s)
	if err != nil {
		return err
	}
	if len(s.Weights) != 3 || len(s.Losses) != 3 {
		return fmt.Errorf("weights %v, losses %v, want three of each", s.Weights, s.Losses)
	}
	l.compareRows(name, s, draw, words, ask)
	b := &lossBatch{l: l}
	t2i := b.drawings(draw, s.Weights[0])
	lm, err := b.words(ctx, words, s.Weights[1], s.Chat)
	if err != nil {
		return err
	}
	mmu, err := b.words(ctx, ask, s.Weights[2], true)
	if err != nil {
		return err
	}
	if b.err != nil {
		return b.err
	}
	losses := []float64{t2i, lm, mmu}
	total := 0.0
	for i, what := range []string{"t2i", "lm", "mmu"} {
		array := name + ".loss_" + what
		f.near(array, []float32{float32(losses[i])})
		f.add(compare(array+" (golden.json)", []float64{losses[i]}, []float64{s.Losses[i]}, []int{1}, f.tolerance(array)))
		total += s.Weights[i] * losses[i]
	}
	f.near(name+".loss_total", []float32{float32(total)})
	if name == "stage2" && f.has("forward_t2i.loss") { // the same rows
		f.near("forward_t2i.loss", []float32{float32(t2i)})
	}
	f.nearStrided(name+".logits_row0_pos", narrow(b.first.v), b.first.rows, b.first.cols, 7)
	l.gradients(name)
	if name == "stage4" && f.has("r2i.input_ids") {
		return l.reasoned(ctx, s, losses)
	}
	return nil
}

// compareRows compares the rows of a batch.
func (l *mmadaLosses) compareRows(name string, s stage, draw, words, ask []lossRow) {
	f := l.f
	var ids, labels, seen, prompt []int
	for _, r := range slices.Concat(draw, words, ask) {
		ids, labels = append(ids, r.tokens...), append(labels, r.labels...)
	}
	f.equal(name+".input_ids", ids)
	f.equal(name+".labels", labels)
	for _, r := range draw {
		for _, pad := range r.pads {
			on := 1
			if pad {
				on = 0
			}
			seen = append(seen, on)
		}
	}
	f.equal(name+".t2i_mask", seen)
	for _, r := range ask {
		prompt = append(prompt, ones(len(r.tokens), r.known)...)
	}
	f.equal(name+".mmu_prompt_mask", prompt)
	for what, rows := range map[string][]lossRow{"lm": words, "mmu": ask} {
		f.near(name+".p_mask_"+what, sharesOf(rows))
		if what == "mmu" || s.Chat {
			f.equal(name+".answer_lengths_"+what, answersOf(rows))
		}
	}
}

// sharesOf are the masked shares of rows, once for every position.
func sharesOf(rows []lossRow) []float32 {
	var out []float32
	for _, r := range rows {
		out = append(out, slices.Repeat([]float32{r.share}, len(r.tokens))...)
	}
	return out
}

// answersOf are the lengths of the answers of rows, once for every position.
func answersOf(rows []lossRow) []int {
	var out []int
	for _, r := range rows {
		out = append(out, slices.Repeat([]int{r.answer}, len(r.tokens))...)
	}
	return out
}
