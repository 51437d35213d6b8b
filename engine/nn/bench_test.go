package nn

import (
	"context"
	"fmt"
	"testing"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/tensor"
)

// benchStack is a random network of the embedded model's order of size.
func benchStack(b *testing.B, as tensor.DType) *Stack {
	b.Helper()
	be, err := cpu.New(cpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = be.Close() })
	const d, h, f, v, layers = 256, 4, 672, 4700, 8
	l := packed{dice{be}, as}
	s := &Stack{
		Embed: l.Tensor("embed", v, d), Norm: LoadRMSNorm(l, "norm", d, 1e-5), Head: LoadLinear(l, "head", v, d, false),
		Config: Config{Vocab: v, Width: d, Layers: layers, MaxLen: 1024},
	}
	for i := range layers {
		at := fmt.Sprint("layer", i, ".")
		s.Blocks = append(s.Blocks, Block{
			AttnNorm: LoadRMSNorm(l, at+"an", d, 1e-5), MLPNorm: LoadRMSNorm(l, at+"mn", d, 1e-5),
			Attn: Attention{
				Q: LoadLinear(l, at+"q", d, d, false), K: LoadLinear(l, at+"k", d, d, false),
				V: LoadLinear(l, at+"v", d, d, false), O: LoadLinear(l, at+"o", d, d, false),
				Heads: h, KVHeads: h, HeadWidth: d / h, Theta: 10000, Rot: d / h,
			},
			MLP: &SwiGLU{Gate: LoadLinear(l, at+"g", f, d, false), Up: LoadLinear(l, at+"u", f, d, false),
				Down: LoadLinear(l, at+"d", d, f, false), Width: f},
		})
	}
	s.Bind(be)
	return s
}

// packed is dice whose matrices are packed for products in as.
type packed struct {
	dice
	as tensor.DType
}

func (p packed) Matrix(name string, n, k int) tensor.Matrix {
	return p.be.Pack(p.bytes(name, n*k, 0.1), tensor.F32, n, k, p.as)
}

// BenchmarkForward is one pass of a small network over a picture's sequence, alone and guided, and over one block of it
// from the cache.
func BenchmarkForward(b *testing.B) {
	tokens := make([]engine.Token, 290)
	for i := range tokens {
		tokens[i] = engine.Token(i * 7 % 4700)
	}
	want := make([]int, 256)
	for i := range want {
		want[i] = 30 + i
	}
	for _, as := range []tensor.DType{tensor.F32, tensor.BF16} {
		s := benchStack(b, as)
		for _, c := range []struct {
			name string
			in   engine.Input
		}{
			{"full", engine.Input{Tokens: tokens, Want: want, Keep: true}},
			{"block32", engine.Input{Tokens: tokens, Want: want[:32], Active: engine.Span{Lo: 30, Hi: 62}}},
			{"guided", engine.Input{Tokens: append(append([]engine.Token(nil), tokens...), tokens[20:]...), Lens: []int{290, 270}, Want: want, WantOther: -20}},
		} {
			b.Run(as.String()+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Forward(context.Background(), c.in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
