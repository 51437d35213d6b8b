// Package toy is a denoiser without weights: a fixed rule from tokens to logits. Tests of loops, samplers and sessions use
// it where a network would only cost time. It keeps the contract of caches and rows as strictly as the networks do.
package toy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/tensor"
)

// Config shapes a [Model]. The zero value of a field takes the default in brackets.
type Config struct {
	Vocab  int          // ids [32]
	Mask   engine.Token // [Vocab-1]
	End    []engine.Token
	MaxLen int // [256]
	Seed   uint64
	// Image, when not nil, makes the model multimodal.
	Image *engine.ImageSpec
	// Likes, when not nil, is the favoured token of a position; it overrides the rule's own choice.
	Likes func(pos int) engine.Token
}

// Model is the rule. At every position it favours one token that depends on the position and on the nearest committed
// token to the left; the fewer masks stand beside the position, the surer it is. A committed token is favoured where it
// stands. Same tokens, same logits.
type Model struct {
	c    Config
	be   tensor.Backend
	kept []int
	out  logits
	// Calls counts forward passes, and Fed the positions fed in all of them.
	Calls, Fed int
}

// New makes a model that keeps its logits on be, which stays the caller's.
func New(be tensor.Backend, c Config) *Model {
	if c.Vocab == 0 {
		c.Vocab = 32
	}
	if c.Mask == 0 {
		c.Mask = engine.Token(c.Vocab - 1)
	}
	if c.MaxLen == 0 {
		c.MaxLen = 256
	}
	return &Model{c: c, be: be}
}

// Spec implements [engine.Denoiser].
func (m *Model) Spec() engine.Spec {
	s := engine.Spec{Name: "toy", Family: "toy", Hash: "toy", DType: "f32", Device: m.be.Device().Name, Layers: 1, Width: 1,
		Heads: 1, Vocab: m.c.Vocab, MaxLen: m.c.MaxLen, Mask: m.c.Mask, End: m.c.End,
		Tasks: []engine.Task{engine.Chat, engine.Infill}}
	if m.c.Image != nil {
		image := *m.c.Image
		s.Image, s.Tasks = &image, []engine.Task{engine.Chat, engine.Infill, engine.TextToImage, engine.Inpaint, engine.Outpaint, engine.Describe, engine.Joint}
	}
	return s
}

// Close implements [engine.Denoiser].
func (m *Model) Close() error { return nil }

// Forward implements [engine.Denoiser].
func (m *Model) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lens := in.Lens
	if len(lens) == 0 {
		lens = []int{len(in.Tokens)}
	}
	sum := 0
	for _, n := range lens {
		if n < 1 || n > m.c.MaxLen {
			return nil, fmt.Errorf("toy: row of %d positions, want 1 to %d", n, m.c.MaxLen)
		}
		sum += n
	}
	if sum != len(in.Tokens) {
		return nil, fmt.Errorf("toy: rows of %v positions, %d tokens", lens, len(in.Tokens))
	}
	active := engine.Span{Lo: 0, Hi: lens[0]}
	switch {
	case in.Active != engine.Span{}:
		if !slices.Equal(m.kept, lens) {
			return nil, errors.New("toy: an active pass without a kept pass over the same rows")
		}
		active = in.Active
	case in.Keep:
		m.kept = slices.Clone(lens)
	}
	m.Calls++
	m.Fed += active.Len() * len(lens)
	want := in.Want
	if want == nil {
		for p := active.Lo; p < active.Hi; p++ {
			want = append(want, p)
		}
	}
	return m.out.fill(m, in, lens, want, active)
}

// logits implements [engine.Logits] over memory of the backend.
type logits struct {
	m    *Model
	pos  []int
	buf  []tensor.Tensor // memory of rows
	rows []tensor.Tensor // [n, V] each
	host [][]float32
}

func (l *logits) fill(m *Model, in engine.Input, lens, want []int, active engine.Span) (engine.Logits, error) {
	l.m, l.pos = m, append(l.pos[:0], want...)
	l.rows, l.host = l.rows[:0], l.host[:0]
	base := 0
	for r, n := range lens {
		row := in.Tokens[base : base+n]
		var hide []bool
		if in.Hide != nil {
			hide = in.Hide[base : base+n]
		}
		host := make([]float32, len(want)*m.c.Vocab)
		for i, p := range want {
			if !active.Contains(p) {
				return nil, fmt.Errorf("toy: wanted position %d is not in [%d, %d)", p, active.Lo, active.Hi)
			}
			at := p + r*in.WantOther
			if at < 0 || at >= n {
				return nil, fmt.Errorf("toy: wanted position %d of row %d has %d", at, r, n)
			}
			m.logits(host[i*m.c.Vocab:(i+1)*m.c.Vocab], row, hide, at, p)
		}
		l.host = append(l.host, host)
		if len(want) > 0 {
			if len(l.buf) <= r {
				l.buf = append(l.buf, nil)
			}
			if b := l.buf[r]; b == nil || b.Shape()[0] < len(want) {
				l.buf[r] = m.be.Alloc(tensor.F32, max(len(want), 64), m.c.Vocab)
			}
			t := l.buf[r].Rows(0, len(want))
			m.be.Upload(t, bytesOf(host), tensor.F32)
			l.rows = append(l.rows, t)
		}
		base += n
	}
	return l, m.be.Err()
}

// logits writes the V logits of position at of row, named p in row 0.
func (m *Model) logits(dst []float32, row []engine.Token, hide []bool, at, p int) {
	left, masks := engine.Token(-1), 0
	for j := at - 1; j >= 0; j-- {
		if row[j] != m.c.Mask && (hide == nil || !hide[j]) {
			left = row[j]
			break
		}
	}
	for _, j := range []int{at - 1, at + 1} {
		if j >= 0 && j < len(row) && row[j] == m.c.Mask {
			masks++
		}
	}
	for v := range dst {
		dst[v] = 2 * unit(m.c.Seed, uint64(p), uint64(v), uint64(left+1))
	}
	like := row[at]
	if like == m.c.Mask {
		like = engine.Token(hash(m.c.Seed, uint64(p), uint64(left+1), 7) % uint64(m.c.Vocab-1))
		if like >= m.c.Mask {
			like++
		}
		if m.c.Likes != nil {
			like = m.c.Likes(p)
		}
	}
	dst[like] += 4 + 2*unit(m.c.Seed, uint64(p), 1, 2) - float32(masks)
}

// Pick implements [engine.Logits].
func (l *logits) Pick(o engine.PickOptions, p *engine.Prediction) error {
	p.Resize(len(l.pos))
	copy(p.Pos, l.pos)
	if len(l.pos) == 0 {
		return nil
	}
	var uncond tensor.Tensor
	if o.Guidance != 0 {
		if len(l.rows) != 2 {
			return fmt.Errorf("toy: guidance %g over %d rows", o.Guidance, len(l.rows))
		}
		uncond = l.rows[1]
	}
	l.m.be.Pick(l.rows[0], uncond, o, p)
	return l.m.be.Err()
}

// Floats implements [engine.Logits].
func (l *logits) Floats(dst []float32, row int) error {
	if row < 0 || row >= len(l.host) || len(dst) != len(l.host[row]) {
		return fmt.Errorf("toy: row %d of %d into %d floats", row, len(l.host), len(dst))
	}
	copy(dst, l.host[row])
	return nil
}

// hash mixes its arguments (splitmix64 steps).
func hash(xs ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, x := range xs {
		h ^= x + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// unit is hash in [0, 1).
func unit(xs ...uint64) float32 { return float32(hash(xs...)>>40) * 0x1p-24 }

func bytesOf(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, f := range x {
		u := math.Float32bits(f)
		b = append(b, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
	}
	return b
}
