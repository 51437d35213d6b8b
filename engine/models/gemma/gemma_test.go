package gemma

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

var golden = filepath.Join("..", "..", "testdata", "golden", "diffusion-gemma")

// open binds the small checkpoint of the fixture.
func open(t *testing.T, as tensor.DType) (*Network, *Eyes, *weights.Binder) {
	t.Helper()
	be, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = be.Close() })
	set, err := weights.OpenDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() })
	b := weights.NewBinder(set, be, as, nil)
	n, eyes, _, err := Open(t.Context(), set, b, be)
	if err != nil {
		t.Fatal(err)
	}
	return n, eyes, b
}

// logits of a canvas behind what n has read.
func (n *Network) all(t *testing.T, canvas []engine.Token, first bool) []float32 {
	t.Helper()
	l, err := n.Refine(t.Context(), canvas, 0.8, first)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, len(canvas)*n.Config.Text.Vocab)
	if err := l.Floats(out, 0); err != nil {
		t.Fatal(err)
	}
	return out
}

func words(n, from int) []engine.Token {
	out := make([]engine.Token, n)
	for i := range out {
		out[i] = engine.Token((from + 31*i) % 440)
	}
	return out
}

func far(a, b []float32) float64 {
	worst := 0.0
	for i := range a {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst
}

// TestPasses checks that a text may be read in one go or in any number, long beyond the window, with a picture that is
// longer than a pass and may not be cut.
func TestPasses(t *testing.T) {
	n, _, _ := open(t, tensor.F32)
	text := words(70, 5)
	features := make([]float32, 20*n.Config.Text.Width)
	for i := range features {
		features[i] = float32(i%13)/13 - 0.5
	}
	if err := n.SetFeatures(features); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		text[9+i] = engine.Token(n.Config.Text.Vocab + i)
	}
	canvas := words(12, 9)
	for _, rule := range []ImageMask{ImagesGenerate, ImagesLocal, ImagesCausal} {
		n.Images, n.widest = rule, 512
		n.Restart()
		if err := n.Read(t.Context(), text, nil); err != nil {
			t.Fatal(err)
		}
		want := n.all(t, canvas, true)
		for _, widest := range []int{1, 7, 16, 33} {
			n.widest = widest
			n.Restart()
			for _, part := range [][]engine.Token{text[:41], text[41:]} {
				if err := n.Read(t.Context(), part, nil); err != nil {
					t.Fatal(err)
				}
			}
			if d := far(n.all(t, canvas, true), want); d > 2e-3 {
				t.Errorf("rule %d, %d rows a pass: logits are %g apart", rule, widest, d)
			}
		}
	}
}

// TestForward checks a pass through the common door, wholly and for some positions, and that reading goes on where the
// prompt is the same.
func TestForward(t *testing.T) {
	n, _, _ := open(t, tensor.F32)
	tokens := words(30, 3)
	if err := n.Read(t.Context(), tokens[:18], nil); err != nil {
		t.Fatal(err)
	}
	want := n.all(t, tokens[18:], true)
	v := n.Config.Text.Vocab
	for _, positions := range [][]int{nil, {18, 23, 29}, {}} {
		l, err := n.Forward(t.Context(), engine.Input{Tokens: tokens, Active: engine.Span{Lo: 18, Hi: 30}, Want: positions})
		if err != nil {
			t.Fatal(err)
		}
		all := positions
		if all == nil {
			for i := 18; i < 30; i++ {
				all = append(all, i)
			}
		}
		got := make([]float32, len(all)*v)
		if err := l.Floats(got, 0); err != nil {
			t.Fatal(err)
		}
		var p engine.Prediction
		if err := l.Pick(engine.PickOptions{Top: 1}, &p); err != nil {
			t.Fatal(err)
		}
		for i, pos := range all {
			if d := far(got[i*v:(i+1)*v], want[(pos-18)*v:]); d > 1e-4 || p.Pos[i] != pos || p.Top[i][0].Token != p.Token[i] {
				t.Errorf("position %d: logits are %g apart, predicted %d", pos, d, p.Pos[i])
			}
		}
	}
	for _, bad := range []engine.Input{
		{Tokens: tokens, Lens: []int{15, 15}}, {Tokens: tokens, Block: 4}, {Tokens: tokens, Active: engine.Span{Lo: 20, Hi: 31}},
		{Tokens: tokens, Active: engine.Span{Lo: 18, Hi: 30}, Want: []int{3}}, {Tokens: []engine.Token{engine.Token(v)}}, {},
	} {
		if _, err := n.Forward(t.Context(), bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestTold checks that the prediction that a pass is told of is the same whether it was picked from or not, and that it
// changes the next one.
func TestTold(t *testing.T) {
	n, _, _ := open(t, tensor.F32)
	canvas := words(12, 9)
	if err := n.Read(t.Context(), words(5, 1), nil); err != nil {
		t.Fatal(err)
	}
	first := n.all(t, canvas, true)
	second := n.all(t, canvas, false)
	if far(first, second) < 0.1 {
		t.Error("the prediction before changes nothing")
	}
	l, err := n.Refine(t.Context(), canvas, 0.8, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Pick(engine.PickOptions{Temperature: 1, Seed: 3}, &engine.Prediction{}); err != nil {
		t.Fatal(err)
	}
	if d := far(n.all(t, canvas, false), second); d != 0 {
		t.Errorf("what is picked changes the next pass by %g", d)
	}
	for i := range first {
		first[i] /= 0.8
	}
	if err := n.Tell(first); err != nil {
		t.Fatal(err)
	}
	if d := far(n.all(t, canvas, false), second); d > 1e-3 {
		t.Errorf("the same logits given are %g apart", d)
	}
	n.Restart()
	if _, err := n.Refine(t.Context(), canvas, 1, false); err == nil {
		t.Error("a pass that is told of nothing")
	}
	if err := n.Tell(first[:7]); err == nil {
		t.Error("seven logits are taken")
	}
}

// TestHeld runs the network with weights held in fewer bits, which takes less memory and gives numbers.
func TestHeld(t *testing.T) {
	var before int64 = math.MaxInt64
	for _, as := range []tensor.DType{tensor.F32, tensor.BF16, tensor.I8, tensor.I4} {
		n, eyes, b := open(t, as)
		if as != tensor.I4 && b.Bytes() >= before { // small groups of four bits are padded
			t.Errorf("%v takes %d bytes, %d before", as, b.Bytes(), before)
		}
		before = b.Bytes()
		features, err := eyes.Features(t.Context(), &Patches{Cols: 6, Rows: 3, Pixels: make([]float32, 18*48)})
		if err != nil || len(features) != 2*n.Config.Text.Width {
			t.Fatalf("%d features, %v", len(features), err)
		}
		if err := n.SetFeatures(features); err != nil {
			t.Fatal(err)
		}
		if err := n.Read(t.Context(), append(words(9, 2), engine.Token(n.Config.Text.Vocab), engine.Token(n.Config.Text.Vocab+1)), nil); err != nil {
			t.Fatal(err)
		}
		for _, x := range append(n.all(t, words(12, 4), true), n.all(t, words(12, 4), false)...) {
			if math.IsNaN(float64(x)) || math.Abs(float64(x)) > 30 {
				t.Fatalf("%v: logit %g", as, x)
			}
		}
	}
}

// TestReadStops checks that a cancelled read leaves nothing half read.
func TestReadStops(t *testing.T) {
	n, _, _ := open(t, tensor.F32)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Read(ctx, words(5, 1), nil); !errors.Is(err, context.Canceled) || n.Tokens() != 0 {
		t.Errorf("%d tokens after %v", n.Tokens(), err)
	}
	if err := n.Read(t.Context(), []engine.Token{-1}, nil); err == nil {
		t.Error("token -1 is read")
	}
	if err := n.Read(t.Context(), make([]engine.Token, 2), []bool{true}); err == nil {
		t.Error("one pad for two tokens")
	}
}

// TestSpellings reads the configuration as it is released and as it is saved again.
func TestSpellings(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(golden, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	released, err := ParseConfig(data, "x")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	text := all["text_config"].(map[string]any)
	kv, dim := released.Text.Layer(released.Text.Layers - 1)
	delete(text, "global_head_dim")
	delete(text, "num_global_key_value_heads")
	text["per_layer_config"] = map[string]any{fmt.Sprint(released.Text.Layers - 1): map[string]any{"head_dim": dim, "num_key_value_heads": kv}}
	all["vision_config"].(map[string]any)["rope_parameters"] = map[string]any{"rope_theta": 100.0, "rope_type": "axial"}
	again, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := ParseConfig(again, "x")
	if err != nil {
		t.Fatal(err)
	}
	for i := range released.Text.Layers {
		a, b := released.Text, saved.Text
		kv, dim := a.Layer(i)
		if kv2, dim2 := b.Layer(i); kv != kv2 || dim != dim2 {
			t.Errorf("layer %d: %d heads of %d, saved again %d of %d", i, kv, dim, kv2, dim2)
		}
	}
	for _, key := range []string{"layer_types", "rope_parameters", "sliding_window", "final_logit_softcapping"} {
		delete(text, key)
	}
	text["num_hidden_layers"], text["per_layer_config"] = 13, nil
	if again, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	bare, err := ParseConfig(again, "x")
	if err != nil {
		t.Fatal(err)
	}
	x := bare.Text
	var wide []int
	for i, kind := range x.Types {
		if kind == full {
			wide = append(wide, i)
		}
	}
	if _, dim := x.Layer(5); dim != 512 || !slices.Equal(wide, []int{5, 11, 12}) || x.Window != 512 || *x.Cap != 30 || x.rot(512) != 128 || x.Rope.Sliding.Theta != 10000 {
		t.Errorf("left out: heads of %d, full layers %v, %+v", dim, wide, x)
	}
}

// TestRefused reads configurations that are broken or of networks that this is not.
func TestRefused(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(golden, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"tie_word_embeddings": true,\n  "top_k`, `"tie_word_embeddings": true,\n  "top_k`, ""},
		{`"canvas_length": 12`, `"canvas_length": 0`, "canvas_length"},
		{`"num_experts": 8`, `"num_experts": 0`, "num_experts"},
		{`"num_experts": 8`, `"num_experts": 1`, "top_k_experts"},
		{`"num_key_value_heads": 2`, `"num_key_value_heads": 3`, "on 3 of keys"},
		{`"global_head_dim": 32`, `"global_head_dim": 33`, "33 wide"},
		{`"sliding_attention",`, `"linear_attention",`, "linear_attention"},
		{`"rope_type": "proportional"`, `"rope_type": "yarn"`, "yarn"},
		{`"partial_rotary_factor": 0.25`, `"partial_rotary_factor": 7`, "partial_rotary_factor"},
		{`"use_bidirectional_attention": "vision"`, `"use_bidirectional_attention": "all"`, "all"},
		{`"rms_norm_eps": 1e-06`, `"rms_norm_eps": -1`, "rms_norm_eps"},
		{`"use_clipped_linears": false`, `"use_clipped_linears": true`, "clipped"},
		{`"hidden_size": 48`, `"hidden_size": "wide"`, "config.json"},
	} {
		text := strings.Replace(string(data), c.old, c.new, 1)
		if _, err := ParseConfig([]byte(text), "x"); c.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.new, err, c.want)
		}
	}
}

// FuzzConfig feeds configurations; what is accepted must be safe to allocate by.
func FuzzConfig(f *testing.F) {
	data, err := os.ReadFile(filepath.Join(golden, "config.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"text_config":{"per_layer_config":{"0":{"head_dim":-1}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data, "x")
		if err != nil {
			return
		}
		for i := range c.Text.Layers {
			kv, dim := c.Text.Layer(i)
			if c.Text.Heads%kv != 0 || dim > maxSide || c.Text.Types[i] == full && c.Text.rot(dim) > dim {
				t.Fatalf("layer %d: %d heads of %d", i, kv, dim)
			}
		}
		if v := c.Vision; v != nil && (v.Heads%v.KV != 0 || v.Patch < 1 || v.Pool < 1) {
			t.Fatalf("accepted %+v", v)
		}
	})
}

// FuzzTargetSize checks that a picture of any size becomes whole cells, few enough.
func FuzzTargetSize(f *testing.F) {
	f.Add(640, 480, 280)
	f.Add(1, 100000, 70)
	f.Add(1<<30, 1, 1)
	f.Fuzz(func(t *testing.T, w, h, soft int) {
		if w > 1<<40 || h > 1<<40 || soft > maxSoft {
			return
		}
		tw, th, err := TargetSize(w, h, 16, 3, soft)
		if err != nil {
			return
		}
		if tw < 48 || th < 48 || tw%48 != 0 || th%48 != 0 || (tw/48)*(th/48) > soft {
			t.Fatalf("%d x %d with %d cells: %d x %d", w, h, soft, tw, th)
		}
	})
}
