package verify

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"unmask/engine"
	"unmask/engine/tensor"
)

// showoFilters checks top-k and top-p by what the backend draws: over many seeds, every token that the filter keeps and
// no other.
func showoFilters(ctx context.Context, f *folder) error {
	logits, shape, err := f.floats("in.logits")
	if err != nil {
		return err
	}
	if f.opt.Backend == nil {
		return fmt.Errorf("the filters need a backend")
	}
	backend, err := f.opt.Backend()
	if err != nil {
		return err
	}
	f.onClose = append(f.onClose, backend.Close)
	rows, n, v := shape[0], shape[1], shape[2]
	for _, name := range f.names("topk_filter.") {
		if err := ctx.Err(); err != nil {
			return err
		}
		threshold, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(name, "topk_filter."), ".kept"), 64)
		if err != nil {
			continue
		}
		k := int(math.Ceil((1 - threshold) * float64(v)))
		// Which tokens top-k keeps depends on their order alone, so the ranks stand in for the logits: nearly even, so
		// that every one is drawn.
		f.equal(name, drawnTokens(backend, flatten(logits, v), v, engine.PickOptions{Temperature: 1, TopK: k}, 600))
	}
	first := make([]float32, 0, rows*v)
	for b := range rows {
		first = append(first, logits[b*n*v:b*n*v+v]...)
	}
	for _, name := range f.names("topk_topp.") {
		var k int
		var p float64
		if _, err := fmt.Sscanf(name, "topk_topp.k%d_p%g.kept", &k, &p); err != nil {
			continue
		}
		// Show-o filters by rank first and takes the nucleus of what is left; the product, as Dream, the other way about.
		rest := slices.Clone(first)
		if k > 0 {
			for i, kept := range drawnTokens(backend, flatten(first, v), v, engine.PickOptions{Temperature: 1, TopK: k}, 600) {
				if kept == 0 {
					rest[i] = float32(math.Inf(-1))
				}
			}
		}
		f.equal(name, drawnTokens(backend, rest, v, engine.PickOptions{Temperature: 1, TopP: p}, 6000))
	}
	return nil
}

// flatten replaces each row of v logits by its ranks times 0.01.
func flatten(logits []float32, v int) []float32 {
	out := make([]float32, len(logits))
	order := make([]int, v)
	for lo := 0; lo < len(logits); lo += v {
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch x, y := logits[lo+a], logits[lo+b]; {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		for rank, i := range order {
			out[lo+i] = 0.01 * float32(rank)
		}
	}
	return out
}

// drawnTokens picks from each row of v logits with seeds seeds and returns 1 for the tokens that came up.
func drawnTokens(b tensor.Backend, logits []float32, v int, o engine.PickOptions, seeds uint64) []int {
	n := len(logits) / v
	mark := b.Mark()
	defer b.Release(mark)
	x := b.Alloc(tensor.F32, n, v)
	raw := make([]byte, 0, 4*len(logits))
	for _, f := range logits {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	b.Upload(x, raw, tensor.F32)
	out := make([]int, len(logits))
	var p engine.Prediction
	for o.Seed = range seeds {
		p.Resize(n)
		for i := range n {
			p.Pos[i] = i
		}
		b.Pick(x, nil, o, &p)
		for i, t := range p.Token {
			out[i*v+int(t)] = 1
		}
	}
	return out
}
