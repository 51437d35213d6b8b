package toy

import (
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/cpu"
)

func TestToyKeepsTheContract(t *testing.T) {
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	}()
	m := New(be, Config{Likes: func(p int) engine.Token { return engine.Token(p % 10) }})
	mask := m.Spec().Mask
	tokens := []engine.Token{3, mask, mask, 5, mask}
	var p engine.Prediction
	pick := func(in engine.Input, o engine.PickOptions) {
		t.Helper()
		l, err := m.Forward(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Pick(o, &p); err != nil {
			t.Fatal(err)
		}
	}
	pick(engine.Input{Tokens: tokens, Want: []int{1, 2, 4}}, engine.PickOptions{})
	if !slices.Equal(p.Pos, []int{1, 2, 4}) || !slices.Equal(p.Token, []engine.Token{1, 2, 4}) {
		t.Errorf("candidates %v at %v", p.Token, p.Pos)
	}
	if p.Prob[2] <= p.Prob[0] {
		t.Errorf("a mask without masks beside it is not surer: %v", p.Prob)
	}
	first := slices.Clone(p.Prob)
	pick(engine.Input{Tokens: slices.Concat(tokens, tokens), Lens: []int{5, 5}, Want: []int{1, 2, 4}}, engine.PickOptions{Guidance: 2})
	for i := range first {
		if d := p.Prob[i] - first[i]; d > 1e-6 || d < -1e-6 {
			t.Errorf("equal rows under guidance: %v, alone %v", p.Prob, first)
			break
		}
	}
	if _, err := m.Forward(t.Context(), engine.Input{Tokens: tokens[:3], Active: engine.Span{Lo: 1, Hi: 2}}); err == nil {
		t.Error("active pass without a kept one: no error")
	}
	pick(engine.Input{Tokens: tokens, Keep: true, Want: []int{1}}, engine.PickOptions{})
	pick(engine.Input{Tokens: tokens, Active: engine.Span{Lo: 1, Hi: 3}, Want: []int{1}}, engine.PickOptions{})
	if m.Calls != 4 || m.Fed != 5+10+5+2 {
		t.Errorf("%d calls fed %d positions", m.Calls, m.Fed)
	}
	if _, err := m.Forward(t.Context(), engine.Input{Tokens: tokens, Active: engine.Span{Lo: 1, Hi: 3}, Want: []int{4}}); err == nil {
		t.Error("wanted outside active: no error")
	}
}
