package verify

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"unmask/engine"
)

// ignored is the label of a position that no loss is taken of.
const ignored = -100

// lesson is a conversation about a picture as training sees it: ids with the picture's tokens in place, labels, and how
// the picture lies: features of the whole, then columns and rows of the grid.
type lesson struct {
	tokens []engine.Token
	labels []int
	layout []float32
}

// expand shows the network the picture that makes want positions of ids and puts its tokens into ids; labels get ignored ones.
func (e *eyed) expand(ctx context.Context, ids, labels []int, want int) (lesson, error) {
	if len(labels) != len(ids) {
		return lesson{}, fmt.Errorf("%d labels of %d ids", len(labels), len(ids))
	}
	var layout []float32
	e.n.Eyes.Watch(func(what string, x []float32) {
		if what == "layout" {
			layout = x
		}
	})
	defer e.n.Eyes.Watch(nil)
	for _, i := range []int{1, 0, 2} { // the second picture, where it fits
		if i >= len(e.prompts) {
			continue
		}
		p := e.prompts[i]
		n, err := e.n.Look(ctx, []image.Image{p.img})
		if err != nil {
			return lesson{}, err
		}
		if n[0]-1+len(ids) != want {
			continue
		}
		t := lesson{layout: layout, tokens: place(ids, e.n.Spec().Vocab, n[0])}
		for i, id := range ids {
			if id != pictureID {
				t.labels = append(t.labels, labels[i])
				continue
			}
			t.labels = append(t.labels, slices.Repeat([]int{ignored}, n[0])...)
		}
		return t, nil
	}
	return lesson{}, fmt.Errorf("no picture makes %d positions of %d ids", want, len(ids))
}

// crossEntropy is -ln softmax(row)[id].
func crossEntropy(row []float32, id int) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, x := range row {
		top = max(top, float64(x))
	}
	for _, x := range row {
		sum += math.Exp(float64(x) - top)
	}
	return math.Log(sum) + top - float64(row[id])
}

// hide masks the answer positions whose number in u is below p. It returns the tokens, what is hidden, and how many
// positions the answers have.
func (t lesson) hide(u []float32, p float32, mask engine.Token) (noisy []engine.Token, hidden []int, count int) {
	noisy = slices.Clone(t.tokens)
	for i, l := range t.labels {
		if l == ignored {
			continue
		}
		count++
		if u[i] < p {
			noisy[i] = mask
			hidden = append(hidden, i)
		}
	}
	return noisy, hidden, count
}

// lesson reads the conversation of loss.* and the turn of each of its positions, and compares what follows from its text.
func (e *eyed) lesson(ctx context.Context, text string) (lesson, []int, error) {
	f := e.f
	ids, _, err := f.ints("loss.input_ids")
	if err != nil {
		return lesson{}, nil, err
	}
	f.same("loss.input_ids", e.ids(text), ids, []int{len(ids)})
	labels, _, err := f.ints("loss.labels")
	if err != nil {
		return lesson{}, nil, err
	}
	f.same("loss.labels", e.answers(ids), labels, []int{len(ids)})
	turns, _, err := f.ints("loss.conversation_ids")
	if err != nil {
		return lesson{}, nil, err
	}
	t, err := e.expand(ctx, ids, labels, len(turns))
	if err != nil {
		return lesson{}, nil, err
	}
	f.equal("loss.expanded_labels", t.labels)
	return t, turns, nil
}

// lladaLoss checks loss.* of llada-v: answers are masked with chance p = (1-eps)t + eps, a token attends to its own turn
// and those before it, and the sum of the masked tokens' losses over p is divided by the answers' length.
func (e *eyed) lladaLoss(ctx context.Context) error {
	f := e.f
	var said struct {
		Text string  `json:"text"`
		Loss float64 `json:"loss"`
	}
	if err := f.decode("loss", &said); err != nil {
		return err
	}
	t, turns, err := e.lesson(ctx, said.Text)
	if err != nil {
		return err
	}
	progress, _, err := f.floats("loss.noise.rand.00")
	if err != nil {
		return err
	}
	u, _, err := f.floats("loss.noise.rand.01")
	if err != nil {
		return err
	}
	const eps = 1e-3
	p := (1-eps)*progress[0] + eps
	noisy, scored, count := t.hide(u, p, e.n.Spec().Mask)
	pos := make([]int32, len(noisy))
	for i := range pos {
		pos[i] = int32(i)
	}
	e.n.Stack.Force(pos, func(q, k int) bool { return turns[k] <= turns[q] })
	defer e.n.Stack.Force(nil, nil)
	logits, err := e.n.forward(ctx, engine.Input{Tokens: noisy})
	if err != nil {
		return err
	}
	v := e.n.Spec().Vocab
	f.near("loss.inputs_embeds", e.clean(ctx, t.tokens))
	f.nearStrided("loss.logits", logits, len(noisy), v, 20)
	sum := 0.0
	var slopes []slope
	for _, i := range scored {
		slopes = append(slopes, slope{at: i, id: t.labels[i], by: 1 / (float64(p) * float64(count))})
		sum += crossEntropy(logits[i*v:(i+1)*v], t.labels[i]) / float64(p)
	}
	if err := e.gradients(ctx, t, [][]engine.Token{noisy}, [][]slope{slopes}, func(q, k int) bool { return turns[k] <= turns[q] }); err != nil {
		f.fail("loss.grad", err)
	}
	loss := float32(sum / float64(count))
	f.near("loss.loss", []float32{loss})
	f.add(compare("loss.loss (golden.json)", []float64{float64(loss)}, []float64{said.Loss}, []int{1}, f.tolerance("loss.loss")))
	return nil
}

// clean is the rows that enter the first block for tokens.
func (e *eyed) clean(ctx context.Context, tokens []engine.Token) []float32 {
	if _, err := e.n.forward(ctx, engine.Input{Tokens: tokens, Want: []int{}}); err != nil {
		return nil
	}
	return e.n.seen["embed"]
}

// tolerance is the bound of array name; 0 where there is none.
func (f *folder) tolerance(name string) float64 {
	tol, err := f.bound(name)
	if err != nil {
		return 0
	}
	return tol
}

// answers are the labels of a conversation: its assistant turns, headers and ends included.
func (e *eyed) answers(ids []int) []int {
	open := toInts(e.tok.AppendTokens(nil, "<|start_header_id|>assistant<|end_header_id|>"))
	end, _ := e.tok.Special("<|eot_id|>")
	out := slices.Repeat([]int{ignored}, len(ids))
	inside := false
	for i, id := range ids {
		if i+len(open) <= len(ids) && slices.Equal(ids[i:i+len(open)], open) {
			inside = true
		}
		if inside {
			out[i] = id
		}
		if engine.Token(id) == end {
			inside = false
		}
	}
	return out
}
