package models

import (
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"unmask/engine/weights"
)

// stored16 is a checkpoint of F32 tensors with every tensor stored in bf16, as releases are.
func stored16(t *testing.T, dir string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = &fstest.MapFile{Data: data}
	}
	delete(out, "golden.safetensors")
	data := out["model.safetensors"].Data
	n := binary.LittleEndian.Uint64(data)
	var header map[string]map[string]any
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	for name, h := range header {
		if name == "__metadata__" {
			continue
		}
		at := h["data_offsets"].([]any)
		h["dtype"], h["data_offsets"] = "BF16", []int{int(at[0].(float64)) / 2, int(at[1].(float64)) / 2}
	}
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	body := data[8+n:]
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	file = append(file, head...)
	for i := 0; i < len(body); i += 4 {
		file = append(file, body[i+2], body[i+3])
	}
	out["model.safetensors"] = &fstest.MapFile{Data: file}
	return out
}

// TestLook16 looks at a picture with weights stored in 16 bits: products in bf16 stay near those in f32.
func TestLook16(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 60, 40))
	for y := range 40 {
		for x := range 60 {
			img.SetNRGBA(x, y, color.NRGBA{byte(4 * x), byte(6 * y), byte(x * y), 255})
		}
	}
	for _, name := range []string{"llada-v", "lavida", "lavida-dream"} {
		var seen [2][]float32
		files := stored16(t, filepath.Join(golden, name))
		for i, as := range []string{"f32", "bf16"} {
			set, err := weights.OpenFS(files)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Open(t.Context(), set, backend(t), OpenOptions{DType: as})
			if err != nil {
				t.Fatal(err)
			}
			if seen[i], err = m.Eyes.Look(t.Context(), img); err != nil {
				t.Fatal(err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		if len(seen[0]) != len(seen[1]) || len(seen[0]) == 0 {
			t.Fatalf("%s: %d and %d features", name, len(seen[0]), len(seen[1]))
		}
		var worst, most float64
		for i, x := range seen[0] {
			worst = max(worst, math.Abs(float64(x-seen[1][i])))
			most = max(most, math.Abs(float64(x)))
		}
		if worst == 0 || worst > most/20 {
			t.Errorf("%s: bf16 products move features by %g, want above 0 and up to %g", name, worst, most/20)
		}
	}
}
