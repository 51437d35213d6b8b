package cpu

import (
	"fmt"
	"testing"

	"unmask/engine/tensor"
	"unmask/engine/tensor/backendtest"
)

// TestConformance runs the suite for every kernel set that this processor has, and the fastest with several workers too.
func TestConformance(t *testing.T) {
	all := Kernels()
	for i, k := range all {
		conform(t, k, 1)
		if i == len(all)-1 {
			conform(t, k, 3)
		}
	}
}

func conform(t *testing.T, kernels string, threads int) {
	t.Run(fmt.Sprint(kernels, " on ", threads), func(t *testing.T) {
		backendtest.Run(t, func(t testing.TB) tensor.Backend {
			b, err := New(Options{Kernels: kernels, Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			return b
		})
	})
}
