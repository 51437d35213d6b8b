package verify

import (
	"context"
	"testing"

	"unmask/engine/cpu"
	"unmask/engine/tensor"
)

func cpuBackend() (tensor.Backend, error) { return cpu.New(cpu.Options{}) }

// verifyPart runs one part of a system's checks: all of them pass, and there are at least want.
func verifyPart(t *testing.T, name string, want int, part func(ctx context.Context, f *folder) error) {
	t.Helper()
	f, err := openFolder(fixtures(t, name), Options{Backend: cpuBackend})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := part(context.Background(), f); err != nil {
		t.Error(err)
	}
	for _, c := range f.checks {
		switch {
		case !c.Pass:
			t.Errorf("FAIL %s: error %g, tolerance %g: %s", c.Name, c.Err, c.Tol, c.Note)
		case testing.Verbose():
			t.Logf("pass %-40s error %-10.3g tolerance %.3g", c.Name, c.Err, c.Tol)
		}
	}
	if len(f.checks) < want {
		t.Errorf("%d checks, want at least %d", len(f.checks), want)
	}
}

func networkPart(check func(context.Context, *folder, *network) error) func(context.Context, *folder) error {
	return func(ctx context.Context, f *folder) error {
		n, err := openNetwork(ctx, f, f.dir)
		if err != nil {
			return err
		}
		return check(ctx, f, n)
	}
}

func TestLLaDANetwork(t *testing.T) {
	for _, name := range []string{"llada", "llada_gqa", "llada_bf16"} {
		t.Run(name, func(t *testing.T) { verifyPart(t, name, 12, networkPart(verifyLLaDANetwork)) })
	}
}

func TestMMaDANetwork(t *testing.T) { verifyPart(t, "mmada", 5, networkPart(verifyMMaDANetwork)) }

func TestCachedCalls(t *testing.T) { verifyPart(t, "fast-dllm", 8, verifyCachedCalls) }

func TestMAGVIT(t *testing.T) {
	verifyPart(t, "magvitv2", 60, func(ctx context.Context, f *folder) error {
		if err := verifyMAGVIT(ctx, f); err != nil {
			return err
		}
		f.checkCovered()
		return nil
	})
}

func TestFamilyNetworks(t *testing.T) {
	for _, c := range []struct {
		name string
		want int
	}{{"dream", 13}, {"dllm-a2d-qwen3-mdlm", 7}, {"llada-moe", 17}} {
		t.Run(c.name, func(t *testing.T) { verifyPart(t, c.name, c.want, networkPart(verifyForwards)) })
	}
	t.Run("llada2-mini", func(t *testing.T) { verifyPart(t, "llada2-mini", 19, networkPart(verifyLLaDA2Network)) })
	t.Run("dllm-a2d-qwen3-bd3lm", func(t *testing.T) {
		verifyPart(t, "dllm-a2d-qwen3-bd3lm", 40, networkPart(func(ctx context.Context, f *folder, n *network) error {
			if err := verifyBlockNetwork(ctx, f, n); err != nil {
				return err
			}
			for _, r := range []struct {
				run          string
				block, sides int
			}{{"plain", 4, 1}, {"aligned_prompt", 8, 1}, {"cfg", 4, 2}} {
				if err := verifyBlockCalls(ctx, f, n, r.run, r.block, r.sides); err != nil {
					return err
				}
			}
			return nil
		}))
	})
}
