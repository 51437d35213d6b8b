package vq

import (
	"testing"

	"unmask/engine"
	"unmask/engine/tensor"
)

// BenchmarkDecode is one picture of 128 x 128 pixels from 8 x 8 codes, at the embedded tokenizer's order of size.
func BenchmarkDecode(b *testing.B) {
	a := Archs{
		Encoder: Arch{Ch: 32, Mult: []int{1, 2, 4, 4}, Blocks: []int{1, 1, 2, 2}, ZChannels: 13},
		Decoder: Arch{Ch: 32, Mult: []int{1, 1, 2, 4, 4}, Blocks: []int{1, 1, 2, 2, 2}, ZChannels: 13},
		Groups:  8, Eps: 1e-6,
	}
	v, err := Open(b.Context(), checkpoint(b, a, shapes(a)), backend(b), tensor.F32)
	if err != nil {
		b.Fatal(err)
	}
	codes := make([]engine.Token, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.DecodeImage(b.Context(), codes, 8, 8); err != nil {
			b.Fatal(err)
		}
	}
}
