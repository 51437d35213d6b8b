package cpu

import (
	"testing"

	"unmask/engine/tensor"
	"unmask/engine/tensor/backendtest"
)

// TestConformance runs the suite for every kernel set that this processor has, with one worker and with several.
func TestConformance(t *testing.T) {
	for _, k := range Kernels() {
		for _, threads := range []int{1, 3} {
			t.Run(k, func(t *testing.T) {
				backendtest.Run(t, func(t testing.TB) tensor.Backend {
					b, err := New(Options{Kernels: k, Threads: threads})
					if err != nil {
						t.Fatal(err)
					}
					return b
				})
			})
		}
	}
}
