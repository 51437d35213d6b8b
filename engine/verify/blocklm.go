package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/weights"
)

// verifyBlockLM checks the bd3lm folder: the block-causal network with and without vectors of the time, its samplers,
// losses and schedules.
func verifyBlockLM(ctx context.Context, f *folder) error {
	plain := filepath.Join(f.dir, "no_adaln")
	b := &blockLM{f: f, nets: map[bool]*network{}}
	var err error
	if b.nets[true], err = openNetwork(ctx, f, f.dir); err != nil {
		return err
	}
	if b.nets[false], err = openNetwork(ctx, f, plain); err != nil {
		return err
	}
	spec := b.nets[true].Spec()
	b.m = &mdlm{f: f, n: b.nets[true], mask: int(spec.Mask), vocab: spec.Vocab}
	b.block, b.length = spec.Block, spec.MaxLen
	f.number("vocab_size", b.m.vocab)
	f.number("mask_index", b.m.mask)
	f.number("block_size", b.block)
	f.number("model_length", b.length)
	if len(spec.End) != 1 {
		return fmt.Errorf("end tokens %v, want one, which begins texts, too", spec.End)
	}
	f.number("bos_id", int(spec.End[0]))
	if err := verifyTensorNames(f); err != nil {
		return err
	}
	if err := verifyPlainNames(f, plain); err != nil {
		return err
	}
	if err := verifyTokenizer(ctx, f, f.dir, "bd3lm"); err != nil {
		return err
	}
	for _, modulated := range []bool{true, false} {
		if err := b.forwards(ctx, modulated); err != nil {
			return err
		}
	}
	if err := b.schedules(); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error {
		if strings.HasPrefix(name, "loss.") {
			return b.loss(ctx, name, raw)
		}
		return b.run(ctx, name, raw)
	})
}

// blockLM replays the runs of the folder.
type blockLM struct {
	f             *folder
	m             *mdlm
	nets          map[bool]*network // by whether blocks are modulated
	block, length int
}

// verifyPlainNames checks the names of the tensors of the checkpoint without modulation.
func verifyPlainNames(f *folder, dir string) error {
	set, err := weights.OpenDir(dir)
	if err != nil {
		return err
	}
	defer set.Close()
	var names []string
	if err := f.decode("tensor_names_no_adaln", &names); err != nil {
		return err
	}
	slices.Sort(names)
	f.add(Check{Name: "tensor_names_no_adaln", Pass: slices.Equal(names, set.Names())})
	return nil
}

// sees is the mask of training, where n noised positions are followed by the same n clean ones: a noised block sees itself
// and the clean blocks before it, a clean one itself and those before it.
func (b *blockLM) sees(n, q, k int) bool {
	qb, kb := q%n/b.block, k%n/b.block
	switch {
	case q < n && k < n:
		return qb == kb
	case q < n:
		return kb < qb
	}
	return k >= n && kb <= qb
}

// together is one pass over noised tokens followed by clean ones: the logits of the noised half.
func (b *blockLM) together(ctx context.Context, n *network, tokens []int) ([]float32, error) {
	half := len(tokens) / 2
	pos := make([]int32, len(tokens))
	var want []int
	for i := range pos {
		pos[i] = int32(i % half)
		if i < half {
			want = append(want, i)
		}
	}
	room := n.Stack.Config.MaxLen
	n.Stack.Config.MaxLen = len(tokens)
	n.Stack.Force(pos, func(q, k int) bool { return b.sees(half, q, k) })
	defer func() {
		n.Stack.Force(nil, nil)
		n.Stack.Config.MaxLen = room
	}()
	return n.forward(ctx, engine.Input{Tokens: toTokens(tokens), Want: want})
}

func (b *blockLM) forwards(ctx context.Context, modulated bool) error {
	n, prefix := b.nets[modulated], "forward."
	if !modulated {
		prefix = "no_adaln.forward."
	}
	rows, err := b.f.rows(prefix + "train.input_ids")
	if err != nil {
		return err
	}
	if len(rows[0])%2 != 0 {
		return fmt.Errorf("%strain.input_ids: %d positions", prefix, len(rows[0]))
	}
	half := len(rows[0]) / 2
	var mask []int
	for q := range 2 * half {
		for k := range 2 * half {
			seen := 0
			if b.sees(half, q, k) {
				seen = 1
			}
			mask = append(mask, seen)
		}
	}
	if modulated {
		b.f.equal("attention_mask.training", mask)
	}
	var logits, block []float32
	for _, row := range rows {
		x, err := b.together(ctx, n, row)
		if err != nil {
			return err
		}
		logits = append(logits, x...)
		block = append(block, n.seen["block0"][:half*n.Spec().Width]...)
	}
	b.f.near(prefix+"train.block0", block)
	b.f.near(prefix+"train.logits", logits)
	for _, kind := range []string{"sample_full.", "sample_two_blocks."} {
		in, err := b.f.tokens(prefix + kind + "input_ids")
		if err != nil {
			return err
		}
		in.Block = b.block
		x, err := n.forward(ctx, in)
		if err != nil {
			return err
		}
		b.f.near(prefix+kind+"block0", n.seen["block0"])
		b.f.near(prefix+kind+"logits", x)
	}
	return nil
}

// blockNoise is the weight of the loss and the share masked at time t of a named schedule.
func blockNoise(name string, t float64) (weight, share float64) {
	const eps = 1e-3
	switch name {
	case "loglinear":
		return -1 / t, t
	case "square":
		return -2 / t, t * t
	case "square_root":
		return -0.5 / t, math.Sqrt(t)
	case "log":
		return -1 / ((1 + t) * math.Log1p(t)), math.Log1p(t) / math.Ln2
	}
	sin, cos := math.Sincos(t * math.Pi / 2)
	share = 1 - (1-eps)*cos
	return -(1 - eps) * sin / (share + eps) * math.Pi / 2, share
}

// schedules checks noise.*, for which the fixture gives no bounds, relatively.
func (b *blockLM) schedules() error {
	times, _, err := b.f.float64s("noise.t")
	if err != nil {
		return err
	}
	for _, name := range []string{"loglinear", "square", "square_root", "log", "cosine"} {
		for part, array := range []string{"noise." + name + ".loss_scaling", "noise." + name + ".move_chance"} {
			want, shape, err := b.f.float64s(array)
			if err != nil {
				return err
			}
			got, ones := make([]float64, len(times)), make([]float64, len(want))
			for i, t := range times {
				weight, share := blockNoise(name, t)
				got[i] = [2]float64{weight, share}[part]
			}
			for i, w := range want {
				if ones[i] = 1; i < len(got) {
					got[i] /= w
				}
			}
			b.f.add(compare(array, got, ones, shape, 1e-4))
		}
	}
	return nil
}
