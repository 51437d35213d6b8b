package cpu

import (
	"math"
	"slices"
	"testing"
)

// TestQuantiseRow compares the kernels that quantise groups with the Go that defines them, on ordinary and odd numbers.
func TestQuantiseRow(t *testing.T) {
	x := randomFloats(32 * 40)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for g, edge := range [][]float32{{0}, {1, -1}, {-1, 1}, {nan}, {inf}, {-inf, 3}, {1e-45}, {1e-38, -1e-39}, {math.MaxFloat32}, {-math.MaxFloat32}} {
		group := x[32*g : 32*g+32]
		clear(group)
		copy(group[g:], edge)
	}
	for i := range x[32*20 : 32*30] {
		x[32*20+i] *= float32(math.Ldexp(1, i/32*10-60))
	}
	words, scales := make([]uint32, 4*40), make([]float32, 40)
	want, wantScales := make([]uint32, 4*40), make([]float32, 40)
	portable.quantiseRow(want, wantScales, x)
	for _, k := range sets() {
		clear(words)
		k.quantiseRow(words, scales, x)
		for g := range scales {
			if math.Float32bits(scales[g]) != math.Float32bits(wantScales[g]) && (scales[g] == scales[g] || wantScales[g] == wantScales[g]) ||
				!slices.Equal(words[4*g:4*g+4], want[4*g:4*g+4]) {
				t.Errorf("%s: group %d %v: scale %g words %x, want %g %x", k.name, g, x[32*g:32*g+32], scales[g], words[4*g:4*g+4], wantScales[g], want[4*g:4*g+4])
			}
		}
	}
}
