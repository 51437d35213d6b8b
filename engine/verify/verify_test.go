package verify

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"unmask/engine/cpu"
	"unmask/engine/tensor"
)

// fixtures is the folder of recorded runs: the copies in the project, or the one that UNMASK_GOLDEN names.
func fixtures(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("UNMASK_GOLDEN")
	if root == "" {
		root = filepath.Join("..", "testdata", "golden")
	}
	dir := filepath.Join(root, name)
	if !isFixture(dir) {
		t.Skipf("no fixture %s", dir)
	}
	return dir
}

func verifyFolder(t *testing.T, name string, opt Options) {
	t.Helper()
	r, err := Dir(context.Background(), fixtures(t, name), opt)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		t.Log("\n" + b.String())
	}
	if r.Failed() > 0 || len(r.Checks) == 0 {
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(line, "FAIL") {
				t.Error(strings.TrimSpace(line))
			}
		}
		t.Errorf("%s: %d of %d checks failed", name, r.Failed(), len(r.Checks))
	}
}

// backend makes the device of the tests.
func backend() (tensor.Backend, error) { return cpu.New(cpu.Options{}) }

// TestFolders verifies the copies of the folders that we keep.
func TestFolders(t *testing.T) {
	for _, name := range []string{"llada", "llada_gqa", "llada_bf16", "llada-moe", "dream", "dllm-a2d-qwen3-mdlm", "dllm-a2d-qwen3-bd3lm", "llada2-mini", "fast-dllm", "d1", "mdlm", "bd3lm", "diffusion-lm", "diffusionbert", "diffusionbert_layerwise", "mmada", "magvitv2", "showo-sampling", "diffusion-gemma", "lumina-dimoo", "mmada_losses"} {
		t.Run(name, func(t *testing.T) { verifyFolder(t, name, Options{Backend: backend}) })
	}
}
