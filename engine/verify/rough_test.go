package verify

import (
	"fmt"
	"path/filepath"
	"testing"

	"unmask/engine/cpu"
	"unmask/engine/tensor"
)

// TestKernelsAndTypes verifies one dense and one sparse network with each kernel set in each arithmetic.
func TestKernelsAndTypes(t *testing.T) {
	for _, kernels := range cpu.Kernels() {
		open := func() (tensor.Backend, error) { return cpu.New(cpu.Options{Kernels: kernels}) }
		for _, dt := range []string{"f32", "bf16", "i8", "i4"} {
			for _, name := range []string{"llada", "llada-moe"} {
				t.Run(fmt.Sprint(kernels, " ", dt, " ", name), func(t *testing.T) {
					dir := filepath.Join("..", "testdata", "golden", name)
					r, err := Dir(t.Context(), dir, Options{Backend: open, DType: dt, Only: "forward"})
					if err != nil {
						t.Fatal(err)
					}
					if len(r.Checks) < 5 {
						t.Fatalf("%d checks", len(r.Checks))
					}
					for _, c := range r.Checks {
						if !c.Pass {
							t.Errorf("%s: err %g, tol %g %s", c.Name, c.Err, c.Tol, c.Note)
						}
					}
				})
			}
		}
	}
}
