package verify

import (
	"context"
	"encoding/json"
	"fmt"
)

// loss checks BD3-LM's training loss, whose time is drawn by block from a range, with blocks that are noised again until
// the share masked lies in it.
//
// size: the reading of its arrays and one formula.
func (b *blockLM) loss(ctx context.Context, name string, raw json.RawMessage) error {
	r, err := decodeBlockRun(raw)
	if err != nil {
		return err
	}
	rows, err := b.f.rows("loss.x0")
	if err != nil {
		return err
	}
	counted, _, err := b.f.float64s("loss.attention_mask")
	if err != nil {
		return err
	}
	times, shape, err := b.f.float64s(name + ".t_uniform")
	if err != nil {
		return err
	}
	l := len(rows[0])
	if len(shape) != 2 || shape[0] != len(rows) || shape[1]*b.block != l || len(counted) != len(rows)*l {
		return fmt.Errorf("times %v for %d rows of %d", shape, len(rows), l)
	}
	low, high := 1e-3, 1.0
	if r.Low != nil && r.High != nil {
		low, high = *r.Low, *r.High
	}
	share := make([]float64, len(counted))
	for i := range share {
		block := i / b.block
		t := (times[block] + float64(block)) / float64(len(times))
		share[i] = float64(float32(t*(high-low) + low))
	}
	masked, err := b.noised(name, share, low, high, r)
	if err != nil {
		return err
	}
	var nlls []float32
	sum, tokens := 0.0, 0.0
	for i, x0 := range rows {
		both := append([]int(nil), x0...)
		counted[i*l] = 0 // the token that begins every text is neither noised nor counted
		for j := range x0 {
			if j > 0 && masked[i*l+j] {
				both[j] = b.m.mask
			}
		}
		logits, err := b.together(ctx, b.nets[true], append(both, x0...))
		if err != nil {
			return err
		}
		logp, err := b.m.logProbs("subs", logits, both[:l], 0)
		if err != nil {
			return err
		}
		for j, x := range x0 {
			weight, _ := blockNoise("loglinear", share[i*l+j])
			v := weight * logp[j*b.m.vocab+x] * counted[i*l+j]
			nlls = append(nlls, float32(v))
			sum += v
			tokens += counted[i*l+j]
		}
	}
	b.f.near(name+".nlls", nlls)
	b.f.scalar(name+".loss", sum/tokens, r.Loss64)
	b.f.scalar(name+".loss_float32", sum/tokens, r.Loss)
	return nil
}

// noised says which positions are masked. A block whose share masked is outside [low, high] takes the next draw, as long
// as there are such blocks.
func (b *blockLM) noised(name string, share []float64, low, high float64, r blockRun) ([]bool, error) {
	masked := make([]bool, len(share))
	again := make([]bool, len(share)/b.block)
	for i := range again {
		again[i] = true
	}
	for draw := 0; ; draw++ {
		u, _, err := b.f.float64s(fmt.Sprintf("%s.mask_uniform.%02d", name, draw))
		if err != nil {
			return nil, err
		}
		if len(u) != len(share) {
			return nil, fmt.Errorf("draw %d: %d values, want %d", draw, len(u), len(share))
		}
		more := false
		for block := range again {
			n := 0
			for i := block * b.block; i < (block+1)*b.block; i++ {
				if again[block] {
					masked[i] = u[i] <= share[i]
				}
				if masked[i] {
					n++
				}
			}
			part := float64(n) / float64(b.block)
			again[block] = r.Resample && (part < low || part > high)
			more = more || again[block]
		}
		if !more {
			// The first draw of all is that of the times.
			b.f.same(name+".draws", []int{draw + 2}, []int{r.Draws}, []int{1})
			return masked, nil
		}
	}
}
