package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"unmask/engine"
)

// shape is a LLaDA's sizes.
type shape struct{ width, heads, layers, ff, vocab int }

// maxShape bounds each size of a shape; together they are bounded by the free disk.
const maxShape = 1 << 20

// parseShape reads "D,H,LAYERS,F,V".
func parseShape(v string) (shape, error) {
	f := strings.Split(v, ",")
	if len(f) != 5 {
		return shape{}, fmt.Errorf("%q has %d numbers, want 5: width, heads, layers, feed-forward width, vocabulary", clip(v), len(f))
	}
	var n [5]int
	for i, s := range f {
		x, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || x < 1 || x > maxShape {
			return shape{}, fmt.Errorf("%q is not a whole number in [1, %d]", clip(s), maxShape)
		}
		n[i] = x
	}
	s := shape{n[0], n[1], n[2], n[3], n[4]}
	if s.width%s.heads != 0 || s.width/s.heads%2 != 0 {
		return s, fmt.Errorf("width %d does not divide into %d heads of even width", s.width, s.heads)
	}
	if s.vocab < 8 {
		return s, fmt.Errorf("a vocabulary of %d is less than 8", s.vocab)
	}
	return s, nil
}

// matrix is a tensor of a checkpoint; cols 0 is a vector.
type matrix struct {
	name       string
	rows, cols int
}

func (m matrix) count() int64 { return int64(m.rows) * int64(max(m.cols, 1)) }

// tensors are the tensors of s by their names in LLaDA's release.
func (s shape) tensors() []matrix {
	const root = "model.transformer."
	d, f := s.width, s.ff
	all := []matrix{{root + "wte.weight", s.vocab, d}, {root + "ln_f.weight", d, 0}, {root + "ff_out.weight", s.vocab, d}}
	for i := range s.layers {
		p := fmt.Sprintf("%sblocks.%d.", root, i)
		all = append(all, matrix{p + "attn_norm.weight", d, 0}, matrix{p + "ff_norm.weight", d, 0},
			matrix{p + "q_proj.weight", d, d}, matrix{p + "k_proj.weight", d, d}, matrix{p + "v_proj.weight", d, d}, matrix{p + "attn_out.weight", d, d},
			matrix{p + "ff_proj.weight", f, d}, matrix{p + "up_proj.weight", f, d}, matrix{p + "ff_out.weight", d, f})
	}
	return all
}

func (s shape) params() (n int64) {
	for _, m := range s.tensors() {
		n += m.count()
	}
	return n
}

// write makes a checkpoint with random weights in dir; they are stored in 16 bits unless dtype is "f32".
func (s shape) write(ctx context.Context, dir, dtype string) error {
	bytesEach := 2
	if dtype == "f32" {
		bytesEach = 4
	}
	if need := s.params() * int64(bytesEach); need > 0 {
		if free, ok := freeSpace(dir); ok && need > free {
			return fmt.Errorf("a model of %s parameters needs %s on the disk of %s, %s are free", count(s.params()), size(need), dir, size(free))
		}
	}
	conf, err := json.Marshal(map[string]any{
		"model_type": "llada", "activation_type": "silu", "block_type": "llama", "layer_norm_type": "rms", "rms_norm_eps": 1e-5,
		"rope": true, "rope_theta": 500000.0, "d_model": s.width, "n_heads": s.heads, "n_layers": s.layers, "mlp_hidden_size": s.ff,
		"vocab_size": s.vocab, "embedding_size": s.vocab, "max_sequence_length": 1024, "weight_tying": false,
		"mask_token_id": s.vocab - 1, "eos_token_id": s.vocab - 2, "pad_token_id": s.vocab - 2,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), conf, 0o600); err != nil {
		return err
	}
	return s.writeWeights(ctx, filepath.Join(dir, "model.safetensors"), bytesEach)
}

func (s shape) writeWeights(ctx context.Context, path string, bytesEach int) (err error) {
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	dt := map[int]string{2: "BF16", 4: "F32"}[bytesEach]
	header := map[string]entry{}
	var at int64
	for _, m := range s.tensors() {
		e := entry{DType: dt, Shape: []int{m.rows}}
		if m.cols > 0 {
			e.Shape = append(e.Shape, m.cols)
		}
		e.Offsets = [2]int64{at, at + m.count()*int64(bytesEach)}
		at = e.Offsets[1]
		header[m.name] = e
	}
	h, err := json.Marshal(header)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := binary.Write(w, binary.LittleEndian, uint64(len(h))); err != nil {
		return err
	}
	if _, err := w.Write(h); err != nil {
		return err
	}
	random := randomWeights(bytesEach)
	one := make([]byte, 4)
	binary.LittleEndian.PutUint32(one, math.Float32bits(1))
	one = one[4-bytesEach:]
	for _, m := range s.tensors() {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := m.count() * int64(bytesEach)
		src := random
		if m.cols == 0 { // norms
			src = one
		}
		for left > 0 {
			n, err := w.Write(src[:min(left, int64(len(src)))])
			if err != nil {
				return &engine.FormatError{Format: "safetensors", Path: path, Item: m.name, Reason: "could not be written", Err: err}
			}
			left -= int64(n)
		}
	}
	return w.Flush()
}

// randomWeights is a stretch of normally distributed numbers of standard deviation 0.02. Its length is odd in elements,
// so that rows of a matrix that repeats it differ.
func randomWeights(bytesEach int) []byte {
	const n = 1<<18 + 1
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, n*bytesEach)
	for range n {
		u := math.Float32bits(float32(0.02 * r.NormFloat64()))
		if bytesEach == 2 {
			b = binary.LittleEndian.AppendUint16(b, uint16(u>>16))
		} else {
			b = binary.LittleEndian.AppendUint32(b, u)
		}
	}
	return b
}
