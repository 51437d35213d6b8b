package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"unmask/engine"
)

// copyOf writes the fixture name into a folder of the same name, after change had its way with its two files.
func copyOf(t testing.TB, name string, change func(golden map[string]any, arrays []byte) []byte) string {
	t.Helper()
	src, dir := filepath.Join("..", "testdata", "golden", name), filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(src, goldenJSON))
	if err != nil {
		t.Fatal(err)
	}
	arrays, err := os.ReadFile(filepath.Join(src, goldenArrays))
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]any
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	arrays = change(golden, arrays)
	if text, err = json.Marshal(golden); err != nil {
		t.Fatal(err)
	}
	write(t, dir, goldenJSON, text)
	write(t, dir, goldenArrays, arrays)
	return dir
}

func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// rename replaces name in the header of a safetensors file by other, which is as long.
func rename(t testing.TB, arrays []byte, name, other string) []byte {
	t.Helper()
	if len(name) != len(other) || bytes.Count(arrays, []byte(`"`+name+`"`)) != 1 {
		t.Fatalf("cannot rename %q to %q", name, other)
	}
	return bytes.Replace(arrays, []byte(`"`+name+`"`), []byte(`"`+other+`"`), 1)
}

// data is the offset of array name in a safetensors file.
func data(t testing.TB, arrays []byte, name string) int {
	t.Helper()
	n := binary.LittleEndian.Uint64(arrays)
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(arrays[8:8+n], &raw); err != nil {
		t.Fatal(err)
	}
	delete(raw, "__metadata__")
	text, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	a, ok := header[name]
	if !ok {
		t.Fatalf("no array %q", name)
	}
	return 8 + int(n) + a.Offsets[0]
}

// TestFindsFaults spoils one thing of a good fixture at a time: exactly the checks that look at it must fail.
//
// size: the table of faults is most of it.
func TestFindsFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(golden map[string]any, arrays []byte) []byte
		want   string // part of the failing check's line
	}{
		{"nothing", func(_ map[string]any, a []byte) []byte { return a }, ""},
		{"a drawn token", func(_ map[string]any, a []byte) []byte {
			a[data(t, a, "sample.T1.0.ids")] ^= 1
			return a
		}, "sample.T1.0.ids"},
		{"one masked position", func(_ map[string]any, a []byte) []byte {
			a[data(t, a, "topk.T0.5.k8.masked")+5] ^= 1
			return a
		}, "topk.T0.5.k8.masked"},
		{"a schedule", func(_ map[string]any, a []byte) []byte {
			a[data(t, a, "schedule.cosine")+4*9+2] ^= 1
			return a
		}, "schedule.cosine"},
		{"an array of another name", func(_ map[string]any, a []byte) []byte {
			return rename(t, a, "schedule.pow3.5", "schedule.pox3.5")
		}, "no check reads this array"},
		{"a count", func(g map[string]any, a []byte) []byte {
			g["mask_count_table"].([]any)[7].(map[string]any)["float32"].([]any)[3] = 99.0
			return a
		}, "mask_count_table"},
		{"no tolerance", func(g map[string]any, a []byte) []byte {
			delete(g["tolerances"].(map[string]any), "schedule.linear")
			return a
		}, "no tolerance"},
		{"an entry that nobody knows", func(g map[string]any, a []byte) []byte {
			g["another"] = 1
			return a
		}, "no check reads this entry"},
		{"a run that nobody knows", func(g map[string]any, a []byte) []byte {
			g["runs"] = map[string]any{"greedy": map[string]any{"steps": 3}}
			return a
		}, "no check covers this run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, "showo-sampling", c.change)
			r, err := Dir(context.Background(), dir, Options{Backend: backend})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := r.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			failed := 0
			for line := range strings.Lines(b.String()) {
				if strings.HasPrefix(line, "FAIL") {
					failed++
					if c.want == "" || !strings.Contains(line, c.want) && !strings.Contains(line, "no check") {
						t.Errorf("unexpected: %s", line)
					}
				}
			}
			if c.want != "" && failed == 0 {
				t.Error("the fault is not found")
			}
			if c.want != "" && !strings.Contains(b.String(), c.want) {
				t.Errorf("no line says %q", c.want)
			}
			if err := r.WriteJSON(&b); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFindsWrongRuns spoils settings of recorded LLaDA runs: the trajectory must no longer come out.
func TestFindsWrongRuns(t *testing.T) {
	for _, c := range []struct {
		run, key string
		value    any
	}{
		{"greedy_two_blocks", "steps", 6},
		{"greedy_two_blocks", "block_length", 16},
		{"greedy_cfg", "cfg_scale", 0.25},
		{"random_remask", "remasking", "low_confidence"},
		{"temp_low_conf", "temperature", 0.1},
		{"logits_eos_inf", "logits_eos_inf", false},
		{"greedy_one_block", "mystery", 1},
	} {
		dir := copyOf(t, "llada", func(g map[string]any, a []byte) []byte {
			runs := g["runs"].(map[string]any)
			runs[c.run].(map[string]any)[c.key] = c.value
			for name := range maps.Clone(runs) {
				if name != c.run {
					delete(runs, name)
				}
			}
			return a
		})
		for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
			text, err := os.ReadFile(filepath.Join("..", "testdata", "golden", "llada", name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, name, text)
		}
		r, err := Dir(context.Background(), dir, Options{Backend: backend, Only: "run." + c.run})
		if err != nil {
			t.Fatal(err)
		}
		if r.Failed() == 0 {
			t.Errorf("%s with %s = %v passes %d checks", c.run, c.key, c.value, len(r.Checks))
		}
	}
}

func TestUnknown(t *testing.T) {
	if _, err := Dir(context.Background(), t.TempDir(), Options{}); err == nil {
		t.Error("an empty folder: no error")
	}
	dir := copyOf(t, "showo-sampling", func(g map[string]any, a []byte) []byte {
		g["system"] = "other"
		return a
	})
	if _, err := Dir(context.Background(), dir, Options{}); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("an unknown system: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dir(ctx, filepath.Join("..", "testdata", "golden", "showo-sampling"), Options{Backend: backend}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	folders, err := Folders(filepath.Join("..", "testdata", "golden"))
	if err != nil || len(folders) < 7 {
		t.Errorf("%d folders: %v", len(folders), err)
	}
}

// FuzzGolden gives Dir spoiled files: it may report anything but must come back.
func FuzzGolden(f *testing.F) {
	src := filepath.Join("..", "testdata", "golden", "showo-sampling")
	text, err := os.ReadFile(filepath.Join(src, goldenJSON))
	if err != nil {
		f.Fatal(err)
	}
	arrays, err := os.ReadFile(filepath.Join(src, goldenArrays))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"system":"showo-sampling","shape":[1,2,3],"tolerances":{}}`), arrays[:64])
	f.Add([]byte(`{"system":"llada","runs":{"a":{"steps":99999999999}}}`), arrays)
	f.Add(text, arrays)
	f.Fuzz(func(t *testing.T, text, arrays []byte) {
		dir := t.TempDir()
		write(t, dir, goldenJSON, text)
		write(t, dir, goldenArrays, arrays)
		r, err := Dir(context.Background(), dir, Options{Backend: backend, Only: "x"})
		if err == nil {
			_ = r.WriteJSON(&bytes.Buffer{})
		}
	})
}
