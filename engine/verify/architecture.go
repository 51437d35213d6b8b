package verify

import (
	"fmt"
	"path/filepath"
	"reflect"
)

// verifyArchitecture checks that architecture.json, which the image tokenizer is built from, says what the fixture was
// made with, and that the codebook follows from it.
func verifyArchitecture(f *folder, codebook int) error {
	var built map[string]any
	if err := readJSON(filepath.Join(f.dir, "architecture.json"), &built); err != nil {
		return err
	}
	for _, half := range []string{"encoder", "decoder"} {
		var made map[string]any
		if err := f.decode(half, &made); err != nil {
			return err
		}
		f.add(Check{Name: half, Pass: reflect.DeepEqual(any(made), built[half])})
		if bits, ok := made["z_channels"].(float64); !ok || bits < 1 || bits > 30 || 1<<int(bits) != codebook {
			return fmt.Errorf("%s: z_channels %v, but the codebook has %d codes", half, made["z_channels"], codebook)
		}
	}
	return nil
}
