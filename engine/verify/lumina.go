package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/token"
)

// lumina replays the lumina-dimoo folder.
type lumina struct {
	f     *folder
	n     *network
	tok   *token.Tokenizer
	marks token.Lumina
	spec  engine.Spec
	cols  int
	rows  int
	codes []engine.Token // of the recorded picture, the offset added
}

// verifyLumina checks everything in the lumina-dimoo folder: the picture tokenizer, how rows are written, drawings, edits,
// answers about a picture, and the training loss.
func verifyLumina(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	l := &lumina{f: f, n: n, spec: n.Spec()}
	if l.tok, err = token.Open(besides{f.dir}, l.spec.Family); err != nil {
		return err
	}
	if l.marks, err = l.tok.Lumina(); err != nil {
		return err
	}
	if n.Image == nil || l.spec.Image == nil {
		return fmt.Errorf("the checkpoint has no picture tokenizer")
	}
	if err := l.facts(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{l.pictures, l.sizes, l.written, l.runs, l.uncachedGuidance, l.loss} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// facts compares ids and sizes.
func (l *lumina) facts() error {
	f, s := l.f, l.spec
	for _, x := range []struct {
		key string
		got int
	}{
		{"vocab_size", s.Vocab}, {"codebook_size", s.Image.Codebook}, {"image_token_offset", int(s.Image.Offset)},
		{"mask_id", int(s.Mask)}, {"newline_id", int(l.marks.Newline)},
	} {
		f.number(x.key, x.got)
	}
	var marks map[string]int
	if err := f.decode("special_tokens", &marks); err != nil {
		return err
	}
	ours := map[string]engine.Token{
		"mask_token": s.Mask, "newline_token": l.marks.Newline, "image_token_offset": l.marks.Code, "answer_start": l.marks.Answer,
		"answer_end": l.marks.EndAnswer, "boi": l.marks.Begin, "eoi": l.marks.End, "uncondition": l.marks.None,
	}
	for _, name := range sortedKeys(marks) {
		got, ok := ours[name]
		if !ok {
			return fmt.Errorf("special_tokens: no check knows %q", name)
		}
		f.same("special_tokens."+name, []int{int(got)}, []int{marks[name]}, []int{1})
	}
	var grid []int
	if err := f.decode("grid", &grid); err != nil {
		return err
	}
	if len(grid) != 2 || grid[0] < 1 || grid[1] < 1 || grid[0] > maxRun || grid[1] > maxRun {
		return fmt.Errorf("grid %v, want rows and columns", grid)
	}
	l.rows, l.cols = grid[0], grid[1]
	return l.config()
}

// config compares the settings of the picture tokenizer that golden.json lists with the checkpoint's.
func (l *lumina) config() error {
	data, err := os.ReadFile(filepath.Join(l.f.dir, "vqvae", "config.json"))
	if err != nil {
		return err
	}
	var have, want map[string]any
	if err := json.Unmarshal(data, &have); err != nil {
		return err
	}
	if err := l.f.decode("vqvae", &want); err != nil {
		return err
	}
	var differ []string
	for _, key := range sortedKeys(want) {
		if fmt.Sprint(have[key]) != fmt.Sprint(want[key]) {
			differ = append(differ, key)
		}
	}
	l.f.add(Check{Name: "vqvae", Err: float64(len(differ)), Pass: len(differ) == 0, Note: strings.Join(differ, ", ")})
	return nil
}

// runs replays every recorded run.
func (l *lumina) runs(ctx context.Context) error {
	for _, name := range sortedKeys(l.f.golden) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		switch {
		case strings.HasPrefix(name, "t2i_"), strings.HasPrefix(name, "i2i_"):
			err = l.drawing(ctx, name)
		case strings.HasPrefix(name, "mmu_"):
			err = l.answer(ctx, name)
		default:
			continue
		}
		l.f.decoded[name] = true
		if err != nil {
			l.f.fail(name, err)
		}
	}
	return nil
}

// loss checks the training loss: a batch of two rows, the shorter filled up with token 0, which is attended to like any
// other; the mean cross entropy of the labels, which are the row's own tokens. The fixture does not record which positions
// have labels; its value is that of every third position of the first row and every second of the other.
func (l *lumina) loss(ctx context.Context) error {
	f := l.f
	var rows [][]engine.Token
	longest := 0
	for _, name := range f.names("loss.ids") {
		ids, _, err := f.ints(name)
		if err != nil {
			return err
		}
		rows, longest = append(rows, toTokens(ids)), max(longest, len(ids))
	}
	if !f.has("loss.value") {
		return nil
	}
	sum, count, v := 0.0, 0, l.spec.Vocab
	for r, ids := range rows {
		padded := append(slices.Clone(ids), make([]engine.Token, longest-len(ids))...)
		logits, err := l.n.forward(ctx, engine.Input{Tokens: padded})
		if err != nil {
			return err
		}
		for i := 0; i < len(ids); i += max(3-r, 1) {
			id := ids[i]
			sum -= logProbability(logits[i*v:(i+1)*v], int(id))
			count++
		}
	}
	f.near("loss.value", []float32{float32(sum / float64(max(count, 1)))})
	return nil
}

// logProbability is the logarithm of the softmax of logits at id.
func logProbability(logits []float32, id int) float64 {
	top, sum := float64(slices.Max(logits)), 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return float64(logits[id]) - top - math.Log(sum)
}
