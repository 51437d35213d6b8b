//go:build unix

package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"unmask/engine"
)

// TestTruncatedWhileMapped cuts checkpoints short while they are being read: an error that names the file, not a crash,
// and the session goes on.
func TestTruncatedWhileMapped(t *testing.T) {
	for _, dtype := range []string{"f32", "i8", "i4"} {
		for name, file := range map[string]string{"llada": "model.safetensors", "dream": "model-00002-of-00002.safetensors"} {
			dir := filepath.Join(t.TempDir(), name)
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(golden, name))); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, file)
			s := session(t, nil)
			_, err := s.Load(t.Context(), engine.ModelRef{Path: dir, DType: dtype}, func(done, total int64) {
				if done < total/2 {
					if err := os.Truncate(path, 0); err != nil {
						t.Error(err)
					}
				}
			})
			var changed *engine.FormatError
			if err == nil || !errors.As(err, &changed) || !strings.Contains(err.Error(), "changed") {
				t.Errorf("%s %s: error %v, want one that says that a file has changed", name, dtype, err)
			}
			if _, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, "llada"), DType: dtype}, nil); err != nil {
				t.Errorf("%s %s: the session is not usable after: %v", name, dtype, err)
			}
		}
	}
}
