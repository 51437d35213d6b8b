package verify

// size: the checks of one fixture folder.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/models/dit"
	"unmask/engine/weights"
)

// verifyMDLM checks the mdlm folder: the network told a noise level, what SEDD, D3PM and MDLM make of its output, their
// samplers, losses and noise schedules, and that a trainer's checkpoint gives the same weights.
func verifyMDLM(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	m := &mdlm{f: f, n: n, mask: int(n.Spec().Mask), vocab: n.Spec().Vocab}
	f.number("vocab_size", m.vocab)
	f.number("mask_index", m.mask)
	if err := verifyTensorNames(f); err != nil {
		return err
	}
	if err := verifyTokenizer(ctx, f, f.dir, "mdlm"); err != nil {
		return err
	}
	if err := verifyTrainer(ctx, f, m); err != nil {
		return err
	}
	if err := m.forwards(ctx); err != nil {
		return err
	}
	if err := m.parameterizations(ctx); err != nil {
		return err
	}
	if err := m.noises(); err != nil {
		return err
	}
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error {
		switch {
		case name == "semi_ar":
			return m.strides(ctx, name, raw)
		case strings.HasPrefix(name, "loss."):
			return m.loss(ctx, name, raw)
		}
		return m.run(ctx, name, raw)
	})
}

// mdlm replays the runs of the folder.
type mdlm struct {
	f           *folder
	n           *network
	mask, vocab int
}

// verifyTrainer checks the trainer's checkpoint: its averaged weights are the released ones, in the order of parameters.
// A model opened from it computes the same.
func verifyTrainer(ctx context.Context, f *folder, m *mdlm) error {
	var order []string
	if err := f.decode("ckpt_parameter_order", &order); err != nil {
		return err
	}
	c, err := dit.ParseConfig(m.n.Config, f.dir)
	if err != nil {
		return err
	}
	f.add(Check{Name: "ckpt_parameter_order", Pass: slices.Equal(order, dit.Parameters(c))})
	released, err := weights.OpenDir(f.dir)
	if err != nil {
		return err
	}
	defer released.Close()
	trainer, err := weights.OpenDir(filepath.Join(f.dir, "last.ckpt"))
	if err != nil {
		return err
	}
	defer trainer.Close()
	differ := 0
	for i, name := range order {
		a, err := released.Tensor("backbone." + name)
		if err != nil {
			return err
		}
		b, err := trainer.Tensor(fmt.Sprintf("ema.shadow_params.%d", i))
		if err != nil {
			return err
		}
		if !slices.Equal(a.Shape, b.Shape) || !bytes.Equal(a.Data, b.Data) {
			differ++
		}
	}
	f.add(Check{Name: "last.ckpt", Err: float64(differ), Pass: differ == 0, Note: fmt.Sprintf("%d averaged tensors", len(order))})
	n, err := openNetwork(ctx, f, filepath.Join(f.dir, "last.ckpt"))
	if err != nil {
		return err
	}
	in := engine.Input{Tokens: []engine.Token{n.Spec().Mask, 0, 1}}
	got, err := n.forward(ctx, in)
	if err != nil {
		return err
	}
	want, err := m.n.forward(ctx, in)
	if err != nil {
		return err
	}
	f.add(Check{Name: "last.ckpt.logits", Pass: slices.Equal(got, want)})
	return nil
}

// row is one pass at noise level sigma: the logits of every position, [L, V].
func (m *mdlm) row(ctx context.Context, tokens []int, sigma float64) ([]float32, []float32, error) {
	told := m.n.Condition(sigma)
	logits, err := m.n.forward(ctx, engine.Input{Tokens: toTokens(tokens)})
	return logits, told, err
}

// rows reads an array of ids [B, L].
func (f *folder) rows(name string) ([][]int, error) {
	ids, shape, err := f.ints(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || shape[1] == 0 {
		return nil, fmt.Errorf("%s: shape %v, want [B, L]", name, shape)
	}
	return slices.Collect(slices.Chunk(ids, shape[1])), nil
}

// each runs fn with every row of array name, and the noise levels of array sigma.
func (m *mdlm) each(name, sigma string, fn func(i int, row []int, sigma float64) error) error {
	rows, err := m.f.rows(name)
	if err != nil {
		return err
	}
	levels, _, err := m.f.float64s(sigma)
	if err != nil {
		return err
	}
	if len(levels) != len(rows) {
		return fmt.Errorf("%s: %d levels for %d rows", sigma, len(levels), len(rows))
	}
	for i, row := range rows {
		if err := fn(i, row, levels[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *mdlm) forwards(ctx context.Context) error {
	for i := 0; m.f.has(fmt.Sprintf("forward%d.indices", i)); i++ {
		prefix := fmt.Sprintf("forward%d.", i)
		got := map[string][]float32{}
		err := m.each(prefix+"indices", prefix+"sigma", func(_ int, row []int, sigma float64) error {
			logits, told, err := m.row(ctx, row, sigma)
			if err != nil {
				return err
			}
			got["backbone_output"] = append(got["backbone_output"], logits...)
			got["sigma_map"] = append(got["sigma_map"], told...)
			for _, name := range []string{"embed", "block0"} {
				got[name] = append(got[name], m.n.seen[name]...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, name := range sortedKeys(got) {
			m.f.near(prefix+name, got[name])
		}
	}
	return nil
}

// logProbs turns a row's logits [L, V] into what a parameterization gives: the log-probabilities of the clean token
// ("subs", "d3pm", "d3pm_masked"), or the log-scores of "sedd".
func (m *mdlm) logProbs(kind string, logits []float32, tokens []int, sigma float64) ([]float64, error) {
	const never = -1000000
	out := make([]float64, len(logits))
	for i, x := range logits {
		out[i] = float64(x)
	}
	for pos, t := range tokens {
		row := out[pos*m.vocab : (pos+1)*m.vocab]
		if t < 0 || t >= m.vocab {
			return nil, fmt.Errorf("token %d of %d", t, m.vocab)
		}
		if kind == "sedd" {
			for i := range row {
				row[i] -= math.Log(math.Expm1(sigma)) + math.Log(float64(m.vocab-1))
			}
			row[t] = 0
			continue
		}
		if kind != "d3pm" {
			row[m.mask] += never
		}
		sum := softmaxInPlace(slices.Clone(row))
		for i := range row {
			row[i] -= sum
		}
		if kind == "subs" && t != m.mask {
			for i := range row {
				row[i] = never
			}
			row[t] = 0
		}
	}
	return out, nil
}

// parameterizations checks param.*: all columns by the arrays' bounds, and those of tokens, which the mask's huge column
// would let pass, by that of a log-probability.
func (m *mdlm) parameterizations(ctx context.Context) error {
	for _, kind := range []string{"subs", "sedd", "d3pm", "d3pm_masked"} {
		name := "param." + kind
		if !m.f.has(name + ".output") {
			continue
		}
		var got []float32
		err := m.each("param.indices", name+".sigma", func(_ int, row []int, sigma float64) error {
			told := sigma
			if kind != "sedd" && kind != "d3pm" {
				told = 0
			}
			logits, _, err := m.row(ctx, row, told)
			if err != nil {
				return err
			}
			out, err := m.logProbs(kind, logits, row, sigma)
			for _, x := range out {
				got = append(got, float32(x))
			}
			return err
		})
		if err != nil {
			return err
		}
		m.f.near(name+".output", got)
		m.f.tokensNear(name+".output", got, m.vocab, m.mask, 1e-4)
	}
	return nil
}

// tokensNear compares got with array name within tol in every column but the mask's.
func (f *folder) tokensNear(name string, got []float32, vocab, mask int, tol float64) {
	want, shape, err := f.float64s(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	wide := make([]float64, len(got))
	for i, x := range got {
		if wide[i] = float64(x); i%vocab == mask && i < len(want) {
			want[i] = wide[i]
		}
	}
	f.add(compare(name+"[tokens]", wide, want, shape, tol))
}
