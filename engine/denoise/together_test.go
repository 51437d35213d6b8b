package denoise

import (
	"context"
	"slices"
	"testing"

	"unmask/engine"
)

// document is a caption of words masks and a picture of cells masks, and the two views of it whose tokens are shared.
func document(words, cells int) (whole, caption, picture *engine.Sequence) {
	n := 1 + words + cells
	whole = &engine.Sequence{Tokens: slices.Repeat([]engine.Token{testMask}, n), Fixed: make([]bool, n),
		Spans: []engine.Span{{Hi: 1 + words}, {Lo: 1 + words, Hi: n, Modality: engine.Image}}}
	whole.Tokens[0], whole.Fixed[0] = 1, true
	view := func(modality engine.Modality) *engine.Sequence {
		s := &engine.Sequence{Tokens: whole.Tokens, Fixed: slices.Clone(whole.Fixed), Spans: whole.Spans}
		for i := range n {
			if (i > words) != (modality == engine.Image) {
				s.Fixed[i] = true
			}
		}
		return s
	}
	return whole, view(engine.Text), view(engine.Image)
}

// TestTogether checks the order of turns, the counts over both parts, and that each pass sees what the other has written.
func TestTogether(t *testing.T) {
	whole, caption, picture := document(4, 8)
	started := whole.Clone()
	net := &fake{keep: true, image: &engine.ImageSpec{Offset: 10, Codebook: 8}}
	parts := []Part{
		{Process: &Masked{Model: net, Sampler: sampler(t, "low_confidence", nil)}, Sequence: picture, Options: engine.Options{Steps: 8, Guidance: 1}, Mask: testMask},
		{Process: &Masked{Model: net, Sampler: sampler(t, "low_confidence", nil)}, Sequence: caption, Options: engine.Options{Steps: 4}, Mask: testMask},
	}
	var order []engine.Modality
	masked, nfe := 12, 0
	for step, err := range Together(context.Background(), parts...) {
		if err != nil {
			t.Fatal(err)
		}
		started.Apply(step.Changes)
		if !slices.Equal(started.Tokens, whole.Tokens) {
			t.Fatal("the steps do not make the sequence")
		}
		masked -= len(step.Changes)
		nfe++
		if step.Block.Modality == engine.Image {
			nfe++
		}
		if step.Index != len(order) || step.Masked != masked || step.NFE != nfe {
			t.Errorf("step %d: index %d, %d masked of %d, %d passes of %d", len(order), step.Index, step.Masked, masked, step.NFE, nfe)
		}
		for _, c := range step.Changes {
			if code := c.To >= 10 && c.To < 18; code != (step.Block.Modality == engine.Image) {
				t.Errorf("position %d takes %d", c.Pos, c.To)
			}
		}
		// The tokens of the pass are those that all passes before have made.
		if in := net.inputs[len(order)].Tokens[:13]; countTokens(in, testMask) != masked+len(step.Changes) {
			t.Errorf("pass %d saw %d masks, %d were left", len(order), countTokens(in, testMask), masked+len(step.Changes))
		}
		order = append(order, step.Block.Modality)
	}
	// Twelve passes: two of the picture for each of the caption, the picture's first.
	want := []engine.Modality{}
	for range 4 {
		want = append(want, engine.Image, engine.Text, engine.Image)
	}
	if !slices.Equal(order, want) || masked != 0 {
		t.Errorf("order %v, want %v; %d masked", order, want, masked)
	}
}

func countTokens(list []engine.Token, t engine.Token) (n int) {
	for _, x := range list {
		if x == t {
			n++
		}
	}
	return n
}

// TestTogetherStops checks that a caller may stop, and that an ended context ends both parts.
func TestTogetherStops(t *testing.T) {
	parts := func() (*engine.Sequence, []Part) {
		whole, caption, picture := document(2, 4)
		net := &fake{image: &engine.ImageSpec{Offset: 10, Codebook: 8}}
		m := func() *Masked { return &Masked{Model: net, Sampler: sampler(t, "low_confidence", nil)} }
		return whole, []Part{{m(), picture, engine.Options{Steps: 4}, testMask}, {m(), caption, engine.Options{Steps: 2}, testMask}}
	}
	whole, p := parts()
	for _, err := range Together(t.Context(), p...) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if n := countMasks(whole); n != 5 {
		t.Errorf("%d masks after one step, want 5", n)
	}
	_, p = parts()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, failed := 0, false
	for _, err := range Together(ctx, p...) {
		if failed = err != nil; failed {
			break
		}
		n++
		cancel()
	}
	if !failed || n != 1 {
		t.Errorf("%d steps after the context ended, failed %v", n, failed)
	}
}
