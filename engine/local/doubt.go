package local

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"unmask/engine"
)

// mark matches what chat templates write as tokens of their own: <|im_start|>, <role>.
var mark = regexp.MustCompile(`<\|?[a-zA-Z_]+\|?>|</[a-zA-Z_]+>`)

// doubtFiles looks for what makes a checkpoint answer garbage although it loads, as far as its files tell: a mask that is
// not the tokenizer's, a template whose marks the tokenizer does not know, or that never opens an answer.
func (m *model) doubtFiles() []engine.Doubt {
	var out []engine.Doubt
	add := func(item, format string, args ...any) {
		out = append(out, engine.Doubt{Item: item, Reason: fmt.Sprintf(format, args...)})
	}
	name := func(id engine.Token) string {
		if c, ok := m.tok.Content(id); ok {
			return fmt.Sprintf("%q", c)
		}
		return "no token of it"
	}
	id, ok := m.tok.Special("mask")
	_, used := m.tok.Content(m.spec.Mask)
	switch {
	case m.spec.Mask < 0: // canvases of noise have none
	case ok && id != m.spec.Mask:
		add("mask", "the model masks with %d, which the tokenizer calls %s; its mask token is %d, %s", m.spec.Mask, name(m.spec.Mask), id, name(id))
	case !ok && used && !m.tok.IsSpecial(m.spec.Mask):
		add("mask", "the model masks with %d, which the tokenizer has as the ordinary token %s", m.spec.Mask, name(m.spec.Mask))
	}
	if !m.spec.Can(engine.Chat) {
		return out
	}
	ask := []engine.Message{{Role: "user", Text: "Hi"}}
	text, err := m.tok.Template().Render(ask, false)
	if err != nil {
		add("template", "it cannot write a question out: %v", err)
		return out
	}
	var broken []string
	for _, s := range mark.FindAllString(text, -1) {
		if _, ok := m.tok.Special(s); !ok && !slices.Contains(broken, s) {
			broken = append(broken, s)
		}
	}
	if len(broken) > 0 {
		add("template", "it writes %s, which the tokenizer does not know as one token", strings.Join(broken, " "))
	}
	const answer = "Yo"
	whole, err := m.tok.Template().Closed(append(ask, engine.Message{Role: "assistant", Text: answer}), false)
	if at := strings.LastIndex(whole, answer); err == nil && at >= 0 {
		before := noThought.ReplaceAllString(whole[:at], "")
		if !strings.HasPrefix(text, strings.TrimSpace(before)) {
			add("template", "a question alone ends in %q, but before an answer that is there stands %q", ending(text), ending(before))
		}
	}
	return out
}

// noThought matches the empty reasoning that some templates put before an answer.
var noThought = regexp.MustCompile(`<think>\s*</think>\s*`)

// ending is the end of s, for people.
func ending(s string) string {
	if r := []rune(s); len(r) > 40 {
		return "…" + string(r[len(r)-40:])
	}
	return s
}

// probeText is plain English that every language model knows something of.
const probeText = "The capital of France is Paris. The sun rises in the east and sets in the west. One, two, three, four, five, six, seven, eight."

// The bounds of the probe.
const (
	probeEvery  = 4    // every fourth token is masked
	probeBetter = 0.75 // nats a token that another reading must be better by
)

// doubtRuns makes one pass over a known text with a quarter of its tokens masked, and compares how likely the model finds
// the hidden words as its logits are read with how likely it finds them one position on or back. A model whose shift is
// wrong is better there, and one whose mask or weights are wrong knows no more than chance.
func (m *model) doubtRuns(ctx context.Context) ([]engine.Doubt, error) {
	if m.spec.Mask < 0 {
		return nil, nil
	}
	head, tail, err := m.frame()
	if err != nil {
		return nil, nil // the template is in doubt already
	}
	return m.doubtText(ctx, head, m.tok.AppendTokens(nil, probeText), tail)
}

// doubtText is doubtRuns over a text between head and tail.
func (m *model) doubtText(ctx context.Context, head, words, tail []engine.Token) ([]engine.Doubt, error) {
	tokens := slices.Concat(head, words, tail)
	if len(words) < probeEvery+1 || len(tokens) > m.spec.MaxLen {
		return nil, nil
	}
	hidden := map[int]engine.Token{}
	for i := probeEvery - 1; i+1 < len(words); i += probeEvery {
		hidden[len(head)+i] = words[i]
		tokens[len(head)+i] = m.spec.Mask
	}
	in := engine.Input{Tokens: tokens, Block: m.spec.Block}
	if m.spec.Block > 0 && !m.spec.BlocksFromStart {
		in.Origin = len(head)
	}
	l, err := m.denoiser.Forward(ctx, in)
	if err != nil {
		return nil, err
	}
	v := m.spec.Vocab
	logits := make([]float32, len(tokens)*v)
	if err := l.Floats(logits, 0); err != nil {
		return nil, err
	}
	cost := func(off int) float64 {
		sum := 0.0
		for at, id := range hidden {
			sum += surprise(logits[(at+off)*v:(at+off+1)*v], id)
		}
		return sum / float64(len(hidden))
	}
	own, chance := cost(0), math.Log(float64(v))
	if other := min(cost(-1), cost(1)); other < own-probeBetter && other < chance-probeBetter {
		where := "after"
		if cost(-1) == other {
			where = "before"
		}
		return []engine.Doubt{{Item: "shift", Reason: fmt.Sprintf(
			"hidden words of a known text are likelier one position %s their own: %.1f nats a token there, %.1f where they are read", where, other, own)}}, nil
	}
	if own > chance-0.5 {
		return []engine.Doubt{{Item: "knowledge", Reason: fmt.Sprintf(
			"hidden words of a known text are no likelier than chance: %.1f nats a token, chance is %.1f; the weights are random, or the mask or tokenizer is another model's", own, chance)}}, nil
	}
	return nil, nil
}

// surprise is -ln of the probability that logits give token id.
func surprise(logits []float32, id engine.Token) float64 {
	top := math.Inf(-1)
	for _, x := range logits {
		top = max(top, float64(x))
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return math.Log(sum) + top - float64(logits[id])
}
