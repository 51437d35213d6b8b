package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"unmask/engine"
	"unmask/engine/models/gemma"
	"unmask/engine/tensor"
	"unmask/engine/token"
	"unmask/engine/weights"
)

// gemmaFolder is the diffusion-gemma folder under verification.
type gemmaFolder struct {
	f    *folder
	n    *network
	net  *gemma.Network
	eyes *gemma.Eyes
	tok  *token.Tokenizer
	seen map[string][]float32 // activations of the last pass
}

// verifyGemma checks the diffusion-gemma folder: encoder, decoder, self-conditioning, cache, pictures, tokenizer and whole
// runs of the sampler.
func verifyGemma(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	if n.Canvas == nil {
		return fmt.Errorf("config.json names the family %s", n.Spec().Family)
	}
	g := &gemmaFolder{f: f, n: n, net: n.Canvas, eyes: n.Sight}
	if g.tok, err = token.Open(besides{f.dir}, n.Spec().Family); err != nil {
		return err
	}
	g.net.Watch(func(name string, x tensor.Tensor) { g.seen[name] = download(n.be, x) })
	for _, part := range []func(context.Context) error{
		g.sizes, g.files, g.rotary, g.passes, g.commit, g.edges, g.padded, g.pictures, g.images, g.processor, g.tokenizer,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	g.net.Watch(nil)
	g.net.Images = gemma.ImagesGenerate
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error { return g.run(ctx, name, raw) })
}

// sizes checks golden.json's "sizes" against what config.json was read as.
func (g *gemmaFolder) sizes(context.Context) error {
	var want map[string]any
	if err := g.f.decode("sizes", &want); err != nil {
		return err
	}
	t, v := &g.net.Config.Text, g.net.Config.Vision
	if v == nil || t.Cap == nil || t.Rope.Full.Partial == nil {
		return fmt.Errorf("config.json lacks vision, softcap, or the rotated part of full layers")
	}
	kv, dim := t.Layer(t.Layers - 1) // always a full layer
	var pattern strings.Builder
	for _, kind := range t.Types {
		pattern.WriteByte(kind[0])
	}
	got := map[string]any{
		"H": t.Width, "I": t.FF, "MI": t.ExpertWidth, "E": t.Experts, "K": t.TopK, "V": t.Vocab, "heads": t.Heads, "kv": t.KV,
		"hd": t.HeadDim, "ghd": dim, "gkv": kv, "layers": pattern.String(), "W": t.Window, "canvas": g.net.Config.Canvas,
		"softcap": *t.Cap, "eps": t.Eps, "prf": *t.Rope.Full.Partial, "gtheta": t.Rope.Full.Theta, "theta": t.Rope.Sliding.Theta,
		"VH": v.Width, "VI": v.FF, "vhd": v.HeadDim, "vheads": v.Heads, "vlayers": v.Layers, "ps": v.Patch, "vpos": v.Positions, "vtheta": v.Rope.Theta,
	}
	for _, key := range sortedKeys(want) {
		g.f.text("sizes."+key, fmt.Sprint(got[key]), fmt.Sprint(want[key]))
	}
	return nil
}

// files checks golden.json's lists of the checkpoint's tensors and of the recorded arrays.
func (g *gemmaFolder) files(context.Context) error {
	set, err := weights.OpenDir(g.f.dir)
	if err != nil {
		return err
	}
	defer set.Close()
	var tensors map[string][]int
	if err := g.f.decode("tensors", &tensors); err != nil {
		return err
	}
	var arrays map[string]struct {
		kind  string
		shape []int
	}
	var raw map[string][2]json.RawMessage
	if err := g.f.decode("arrays", &raw); err != nil {
		return err
	}
	arrays = map[string]struct {
		kind  string
		shape []int
	}{}
	for name, x := range raw {
		a := arrays[name]
		if json.Unmarshal(x[0], &a.kind) != nil || json.Unmarshal(x[1], &a.shape) != nil {
			return fmt.Errorf("golden.json: arrays: %q is not a type and a shape", name)
		}
		arrays[name] = a
	}
	var wrong []string
	for _, name := range sortedKeys(tensors) {
		if t, err := set.Tensor(name); err != nil || !slices.Equal(t.Shape, tensors[name]) {
			wrong = append(wrong, name)
		}
	}
	g.f.add(Check{Name: "tensors", Err: float64(len(wrong)), Pass: len(wrong) == 0 && len(tensors) == len(set.Names()), Note: strings.Join(wrong, ", ")})
	wrong = nil
	for _, name := range sortedKeys(arrays) {
		if t, err := g.f.arrays.Tensor(name); err != nil || !slices.Equal(t.Shape, arrays[name].shape) {
			wrong = append(wrong, name)
		}
	}
	g.f.add(Check{Name: "arrays", Err: float64(len(wrong)), Pass: len(wrong) == 0 && len(arrays) == len(g.f.arrays.Names()), Note: strings.Join(wrong, ", ")})
	return nil
}

// rotary checks the tables of both kinds of layers.
func (g *gemmaFolder) rotary(context.Context) error {
	at, _, err := g.f.ints("rope.positions")
	if err != nil {
		return err
	}
	pos := make([]int32, len(at))
	for i, p := range at {
		pos[i] = int32(p)
	}
	for i, kind := range g.net.Config.Text.Types {
		short, _, _ := strings.Cut(kind, "_")
		if prefix := "rope." + short + "."; !g.f.used[prefix+"cos"] {
			cos, sin := g.net.Rotary(i, pos)
			g.f.near(prefix+"cos", cos)
			g.f.near(prefix+"sin", sin)
		}
	}
	return nil
}

// read runs the encoder over ids.
func (g *gemmaFolder) read(ctx context.Context, ids []engine.Token, hide []bool, restart bool) error {
	if restart {
		g.net.Restart()
	}
	g.seen = map[string][]float32{}
	return g.net.Read(ctx, ids, hide)
}

// refine runs the decoder over a canvas and returns its logits, which the next one is told of divided by temperature.
func (g *gemmaFolder) refine(ctx context.Context, canvas []engine.Token, temperature float64, first bool) ([]float32, error) {
	g.seen = map[string][]float32{}
	l, err := g.net.Refine(ctx, canvas, temperature, first)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(canvas)*g.net.Config.Text.Vocab)
	return out, l.Floats(out, 0)
}

// row reads row r of an array of ids [rows, L].
func (g *gemmaFolder) row(name string, r int) ([]engine.Token, error) {
	ids, shape, err := g.f.ints(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || r >= shape[0] {
		return nil, fmt.Errorf("%s: shape %v, row %d wanted", name, shape, r)
	}
	return toTokens(ids[r*shape[1] : (r+1)*shape[1]]), nil
}

// routers matches "router3.probs" and its like, caches "cache3.key".
var (
	routers = regexp.MustCompile(`^router(\d+)\.(probs|topk|weights)$`)
	caches  = regexp.MustCompile(`^cache(\d+)\.(key|value)$`)
)

// compare checks every array of prefix that shows an activation of the last pass, a router or the cache.
func (g *gemmaFolder) compare(prefix string) error {
	for _, array := range g.f.names(prefix) {
		name := array[len(prefix):]
		if m := routers.FindStringSubmatch(name); m != nil {
			if err := g.router(array, m[1], m[2]); err != nil {
				return err
			}
			continue
		}
		if m := caches.FindStringSubmatch(name); m != nil {
			if err := g.cache(array, m[1], m[2]); err != nil {
				return err
			}
			continue
		}
		if name == "encoder_norm" || name == "decoder_norm" {
			name = "norm"
		}
		if got, ok := g.seen[name]; ok {
			g.f.near(array, got)
		}
	}
	return nil
}

// layer reads a layer's number.
func (g *gemmaFolder) layer(text string) (int, error) {
	i, err := strconv.Atoi(text)
	if err != nil || i >= g.net.Config.Text.Layers {
		return 0, fmt.Errorf("layer %s of %d", text, g.net.Config.Text.Layers)
	}
	return i, nil
}

// router checks what a router gave in the last pass: probabilities, the experts chosen, best first, and their weights.
func (g *gemmaFolder) router(array, layer, what string) error {
	i, err := g.layer(layer)
	if err != nil {
		return err
	}
	e, k := g.net.Config.Text.Experts, g.net.Config.Text.TopK
	scores, served := g.seen["router"+layer], g.net.Served(i)
	var probs, shares []float32
	var chosen []int
	for at := 0; at+e <= len(scores); at += e {
		var p []float32
		for _, x := range softmax(scores[at : at+e]) {
			p = append(p, float32(x))
		}
		probs = append(probs, p...)
		var order []int
		for x, w := range served[at : at+e] {
			if w != 0 {
				order = append(order, x)
			}
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if p[a] > p[b] {
				return -1
			}
			return 1
		})
		if len(order) != k {
			return fmt.Errorf("%s: %d experts serve a token, want %d", array, len(order), k)
		}
		for _, x := range order {
			chosen, shares = append(chosen, x), append(shares, served[at+x])
		}
	}
	switch what {
	case "probs":
		g.f.near(array, probs)
	case "topk":
		g.f.equal(array, chosen)
	case "weights":
		g.f.near(array, shares)
	}
	return nil
}

// cache checks the keys or values of a layer, which are recorded head by head.
func (g *gemmaFolder) cache(array, layer, what string) error {
	i, err := g.layer(layer)
	if err != nil {
		return err
	}
	x, values := g.net.Cached(i)
	if what == "value" {
		x = values
	}
	t, err := g.f.arrays.Tensor(array)
	if err != nil {
		return err
	}
	if len(t.Shape) != 4 || t.Shape[1] < 1 || t.Shape[3] < 1 || len(x)%(t.Shape[1]*t.Shape[3]) != 0 {
		return fmt.Errorf("%s: shape %v, %d numbers are cached", array, t.Shape, len(x))
	}
	heads, d := t.Shape[1], t.Shape[3]
	rows := len(x) / heads / d
	out := make([]float32, 0, len(x))
	for h := range heads {
		for r := range rows {
			out = append(out, x[(r*heads+h)*d:][:d]...)
		}
	}
	g.f.near(array, out)
	return nil
}

// tokenizer checks the tokenizer_cases: ids, the entries they stand for, and the texts they make with and without special
// tokens.
func (g *gemmaFolder) tokenizer(context.Context) error {
	var cases []struct {
		Text    string   `json:"text"`
		IDs     []int    `json:"ids"`
		Tokens  []string `json:"tokens"`
		Decoded string   `json:"decoded"`
		Plain   string   `json:"decoded_skip_special"`
		WithBOS []int    `json:"ids_with_bos"`
	}
	if err := g.f.decode("tokenizer_cases", &cases); err != nil {
		return err
	}
	bos, _ := g.tok.Special("bos")
	for i, c := range cases {
		name := fmt.Sprintf("tokenizer_cases.%d", i)
		ids := g.tok.AppendTokens(nil, c.Text)
		var entries []string
		var words []engine.Token
		for _, id := range ids {
			entry, _ := g.tok.Content(id)
			entries = append(entries, entry)
			if !g.tok.IsSpecial(id) {
				words = append(words, id)
			}
		}
		g.f.same(name+".ids", toInts(ids), c.IDs, []int{len(c.IDs)})
		g.f.text(name+".tokens", strings.Join(entries, "\x00"), strings.Join(c.Tokens, "\x00"))
		g.f.text(name+".decoded", token.Text(g.tok.AppendText(nil, ids...)), c.Decoded)
		g.f.text(name+".decoded_skip_special", token.Text(g.tok.AppendText(nil, words...)), c.Plain)
		g.f.same(name+".ids_with_bos", append([]int{int(bos)}, toInts(ids)...), c.WithBOS, []int{len(c.WithBOS)})
	}
	return nil
}
