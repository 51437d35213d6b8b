// Package gemma is DiffusionGemma: block diffusion on the Gemma 4 mixture of experts, without a mask token. One set of
// weights runs in two modes. The encoder is causal and writes the keys and values of prompt and finished canvases; the
// decoder sees a canvas of tokens from both sides and what the encoder has written, and writes nothing. In between it is
// told of its own last prediction. Pictures enter the encoder as vectors.
//
// Letters: T fed rows, C positions of the canvas, D width, H heads, G key/value heads, K width of a head, E experts, V
// vocabulary.
package gemma

import (
	"context"
	"fmt"
	"slices"

	"unmask/engine"
	"unmask/engine/nn"
	"unmask/engine/tensor"
)

// Network is the network of encoder and decoder. One goroutine at a time.
type Network struct {
	Config *Config
	// Images says what tokens of one picture see of each other; the zero value is what the released generate() does.
	Images ImageMask

	be       tensor.Backend
	embed    tensor.Tensor   // [V, D]
	head     tensor.Matrix   // [V, D], the embedding
	back     []tensor.Matrix // its transpose [D, V] in parts
	scale    float32         // of embeddings, sqrt(D)
	round    bool            // products are not in F32, so attention's need not be
	layers   []layer
	norm     nn.RMSNorm
	pre      nn.RMSNorm // of self-conditioning
	feedback nn.SwiGLU
	widest   int // most positions that a pass of the encoder takes, but for a picture that is longer

	features tensor.Tensor // [seen or more, D]
	seen     int

	tokens []engine.Token // read so far
	hide   []bool         // pads among them
	watch  func(name string, x tensor.Tensor)
	out    logits
}

// ImageMask is a rule for the attention among the tokens of pictures in the encoder.
type ImageMask uint8

// The rules. Everything else is causal, and in sliding layers within the window.
const (
	// ImagesGenerate: tokens of one picture see each other in all layers, also beyond the window. DiffusionGemma's
	// generate() in transformers 5.24.
	ImagesGenerate ImageMask = iota
	// ImagesLocal: they see each other in sliding layers only, no further back than the window. Gemma 4's rule.
	ImagesLocal
	// ImagesCausal: they are tokens like others. The plain forward() of transformers 5.24.
	ImagesCausal
)

// encoderRows bounds the rows of one pass of the encoder, and so its table of who sees whom.
const encoderRows = 512

// Restart forgets everything that was read.
func (n *Network) Restart() {
	n.tokens, n.hide = n.tokens[:0], n.hide[:0]
	for i := range n.layers {
		n.layers[i].kept = 0
	}
	n.out.forget()
}

// Tokens is how many tokens have been read.
func (n *Network) Tokens() int { return len(n.tokens) }

// SetFeatures makes token V+i of later reads stand for row i of rows [n, D] in place of an embedding. It forgets what was
// read.
func (n *Network) SetFeatures(rows []float32) error {
	d := n.Config.Text.Width
	if len(rows)%d != 0 {
		return fmt.Errorf("features: %d numbers in rows of %d", len(rows), d)
	}
	n.Restart()
	if n.seen = len(rows) / d; n.seen == 0 {
		return nil
	}
	n.features = grow(n.be, n.features, 0, n.seen, d)
	upload(n.be, n.features.Rows(0, n.seen), rows)
	return n.be.Err()
}

// Read appends tokens to those that were read: it runs the encoder over them, after which a canvas follows. hide, when not
// nil, has an entry a token; a true one is a pad, which nothing sees though it counts as a position. Read blocks and checks
// ctx between layers; after an error the network has read nothing.
func (n *Network) Read(ctx context.Context, tokens []engine.Token, hide []bool) (err error) {
	defer func() {
		if err != nil {
			n.Restart()
		}
	}()
	if hide != nil && len(hide) != len(tokens) {
		return fmt.Errorf("read: %d pads for %d tokens", len(hide), len(tokens))
	}
	if all := len(n.tokens) + len(tokens); all > n.Config.Text.MaxLen {
		return fmt.Errorf("read: %d positions, the model takes %d", all, n.Config.Text.MaxLen)
	}
	if err := n.check(tokens, n.Config.Text.Vocab+n.seen); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	n.out.forget()
	for lo := 0; lo < len(tokens); {
		hi := n.cut(tokens, lo)
		var pads []bool
		if hide != nil {
			pads = hide[lo:hi]
		}
		if err := n.encode(ctx, tokens[lo:hi], pads); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		lo = hi
	}
	return nil
}

// check refuses tokens outside [0, most).
func (n *Network) check(tokens []engine.Token, most int) error {
	for i, id := range tokens {
		if id < 0 || int(id) >= most {
			return fmt.Errorf("token %d at %d is outside the vocabulary of %d with %d features", id, i, n.Config.Text.Vocab, most-n.Config.Text.Vocab)
		}
	}
	return nil
}

// cut is the end of the pass that begins at token lo. A picture, whose tokens see each other, is not cut.
func (n *Network) cut(tokens []engine.Token, lo int) int {
	hi := min(lo+n.widest, len(tokens))
	for hi < len(tokens) && n.isFeature(tokens[hi]) && n.isFeature(tokens[hi-1]) {
		hi++
	}
	return hi
}

func (n *Network) isFeature(id engine.Token) bool { return int(id) >= n.Config.Text.Vocab }

// encode runs the encoder over tokens.
func (n *Network) encode(ctx context.Context, tokens []engine.Token, pads []bool) error {
	be, before := n.be, len(n.tokens)
	n.tokens = append(n.tokens, tokens...)
	if pads == nil {
		pads = make([]bool, len(tokens))
	}
	n.hide = append(n.hide, pads...)
	n.room(len(tokens))
	mark := be.Mark()
	defer be.Release(mark)
	x := be.Alloc(tensor.F32, len(tokens), n.Config.Text.Width)
	n.embedding(x, tokens)
	n.see("embed", x)
	p := n.pass(before, len(tokens))
	n.tables(p)
	for i := range n.layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := &n.layers[i]
		n.apply(l, i, x, p, l.encoder)
		l.keep(be, len(tokens))
	}
	if n.watch != nil {
		n.norm.Apply(be, x, x)
		n.see("norm", x)
	}
	return be.Err()
}

// embedding fills x [T, D] with scaled embeddings, and features as they are.
func (n *Network) embedding(x tensor.Tensor, tokens []engine.Token) {
	words := slices.Clone(tokens)
	var at, from []int
	for i, id := range tokens {
		if n.isFeature(id) {
			at, from, words[i] = append(at, i), append(from, int(id)-n.Config.Text.Vocab), 0
		}
	}
	n.be.Embed(x, n.embed, words)
	n.be.Scale(x, n.scale)
	if len(at) == 0 {
		return
	}
	rows := n.be.Alloc(tensor.F32, len(at), n.Config.Text.Width)
	n.be.Gather(rows, n.features, from)
	n.be.Scatter(x, rows, at)
}

// Refine runs the decoder over a canvas that stands behind everything read. Unless first, the decoder is told of what it
// predicted in the Refine before, whose logits were divided by that pass's temperature. Pick of the result sees the logits
// divided by temperature, above 0; Floats gives them as they are. Positions count from the first token read. Refine blocks and checks
// ctx between layers.
func (n *Network) Refine(ctx context.Context, canvas []engine.Token, temperature float64, first bool) (engine.Logits, error) {
	return n.refine(ctx, canvas, nil, temperature, first)
}

func (n *Network) refine(ctx context.Context, canvas []engine.Token, want []int, temperature float64, first bool) (engine.Logits, error) {
	be, t := n.be, &n.Config.Text
	if all := len(n.tokens) + len(canvas); len(canvas) < 1 || all > t.MaxLen {
		return nil, fmt.Errorf("canvas: %d positions after %d, the model takes 1 to %d in all", len(canvas), len(n.tokens), t.MaxLen)
	}
	if err := n.check(canvas, t.Vocab); err != nil {
		return nil, fmt.Errorf("canvas: %w", err)
	}
	if !(temperature > 0) {
		return nil, &engine.ParamError{Name: "temperature", Value: temperature, Reason: "want above 0"}
	}
	if !first && n.out.rows != len(canvas) {
		return nil, fmt.Errorf("canvas: %d positions, the last prediction has %d", len(canvas), n.out.rows)
	}
	if first {
		n.out.held = false
	} else {
		n.out.complete()
	}
	n.out.prepare(len(canvas), want)
	n.room(len(canvas))
	mark := be.Mark()
	defer be.Release(mark)
	x := be.Alloc(tensor.F32, len(canvas), t.Width)
	be.Embed(x, n.embed, canvas)
	be.Scale(x, n.scale)
	n.see("embed", x)
	if !first {
		h := be.Alloc(tensor.F32, len(canvas), t.Width)
		n.see("soft", n.out.soft.Rows(0, len(canvas)))
		n.pre.Apply(be, h, n.out.soft.Rows(0, len(canvas)))
		n.feedback.Apply(be, h)
		be.Add(x, h)
	}
	be.RMSNorm(x, x, nil, float32(t.Eps))
	n.see("input", x)
	p := n.pass(len(n.tokens), len(canvas))
	for i := range n.layers {
		if err := ctx.Err(); err != nil {
			n.out.forget()
			return nil, err
		}
		n.apply(&n.layers[i], i, x, p, n.layers[i].decoder)
	}
	n.norm.Apply(be, x, x)
	n.see("norm", x)
	n.out.take(x, len(n.tokens), float32(temperature))
	if err := be.Err(); err != nil {
		n.out.forget()
		return nil, err
	}
	return &n.out, nil
}

// Hold makes the decoder be told, in the next pass and all later ones of this canvas, of the prediction that it made last.
func (n *Network) Hold() { n.out.complete(); n.out.held = true }

// Work is the memory in bytes that a run over length positions takes beside the weights: cached keys and values, the rows of
// a pass, and the logits that exist at one time.
func (n *Network) Work(length int) int64 {
	t := &n.Config.Text
	cells := 0
	for i, kind := range t.Types {
		rows := length
		if kind == sliding {
			rows = min(length, t.Window-1+max(n.Config.Canvas, n.widest))
		}
		kv, dim := t.Layer(i)
		cells += 2 * rows * kv * dim
	}
	fed := min(length, max(n.Config.Canvas, n.widest))
	cells += fed * (8*t.Width + 3*t.Heads*t.HeadDim)
	cells += min(n.Config.Canvas, n.out.chunk()) * t.Vocab
	return 4 * int64(cells)
}

// Forward implements [engine.Denoiser] for one row: its Active range, or the whole row, is a canvas, which the tokens before
// it precede as a prompt. Nothing is known of an earlier prediction.
func (n *Network) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	if in.Rows() != 1 || in.Block != 0 || in.Hide != nil {
		return nil, &engine.UnsupportedError{What: "a pass of two rows, of blocks or with pads over a canvas", Have: "one row"}
	}
	a := in.Active
	if a == (engine.Span{}) {
		a.Hi = len(in.Tokens)
	}
	if a.Lo < 0 || a.Lo >= a.Hi || a.Hi > len(in.Tokens) {
		return nil, fmt.Errorf("forward: canvas [%d, %d) of %d positions", a.Lo, a.Hi, len(in.Tokens))
	}
	for i, w := range in.Want {
		if !a.Contains(w) || i > 0 && w <= in.Want[i-1] {
			return nil, fmt.Errorf("forward: wanted position %d is not on the canvas [%d, %d), or not ascending", w, a.Lo, a.Hi)
		}
	}
	if !slices.Equal(n.tokens, in.Tokens[:a.Lo]) {
		n.Restart()
		if err := n.Read(ctx, in.Tokens[:a.Lo], nil); err != nil {
			return nil, fmt.Errorf("forward: %w", err)
		}
	}
	var want []int
	if in.Want != nil {
		want = []int{}
		for _, w := range in.Want {
			want = append(want, w-a.Lo)
		}
	}
	l, err := n.refine(ctx, in.Tokens[a.Lo:a.Hi], want, 1, true)
	if err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	return l, nil
}
