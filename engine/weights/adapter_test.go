package weights

import (
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const golden = "../testdata/golden"

// besideBase copies an adapter into a folder beside one with the base model, under the name that its config gives.
func besideBase(t *testing.T, adapter string, edit func(config map[string]any)) string {
	t.Helper()
	root := t.TempDir()
	copyDir(t, filepath.Join(golden, "llada"), filepath.Join(root, "LLaDA-8B-Instruct"))
	dir := filepath.Join(root, adapter)
	copyDir(t, filepath.Join(golden, "d1", adapter), dir)
	data, err := os.ReadFile(filepath.Join(dir, adapterConfig))
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(c)
	}
	if data, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	write(t, dir, adapterConfig, data)
	return dir
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, onlySmall{os.DirFS(from)}); err != nil {
		t.Fatal(err)
	}
}

// onlySmall hides the recorded arrays, which no checkpoint has.
type onlySmall struct{ fs.FS }

func (f onlySmall) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(f.FS, name)
	var keep []fs.DirEntry
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), "golden.") {
			keep = append(keep, e)
		}
	}
	return keep, err
}

// TestAdapter compares with the weights that peft merged.
func TestAdapter(t *testing.T) {
	merged, err := OpenDir(filepath.Join(golden, "d1", "merged.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer merged.Close()
	compared := 0
	for short, adapter := range map[string]string{"sft": "adapter_sft", "rl": "adapter_rl"} {
		s, err := OpenDir(besideBase(t, adapter, nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range merged.Names() {
			target, ok := strings.CutPrefix(name, short+".merged.")
			if !ok {
				continue
			}
			want, err := merged.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Tensor(target)
			if err != nil {
				t.Fatal(err)
			}
			compared++
			if d := distance(t, got, want); d > 1e-6 {
				t.Errorf("%s: off by %g", name, d)
			}
		}
		base, err := OpenDir(filepath.Join(golden, "llada"))
		if err != nil {
			t.Fatal(err)
		}
		if s.Hash() == base.Hash() || len(s.Names()) != len(base.Names()) || s.Bytes() != base.Bytes() {
			t.Errorf("hash %s, %d tensors, %d bytes", s.Hash(), len(s.Names()), s.Bytes())
		}
		if _, err := s.File("config.json"); err != nil {
			t.Error(err)
		}
		base.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if compared != 5 {
		t.Errorf("%d tensors compared, want 5", compared)
	}
}

func distance(t *testing.T, a, b Tensor) float64 {
	t.Helper()
	x, err := a.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	if len(x) != len(y) {
		t.Fatalf("%d and %d values", len(x), len(y))
	}
	worst := 0.0
	for i := range x {
		worst = max(worst, math.Abs(x[i]-y[i]))
	}
	return worst
}

func TestBrokenAdapter(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"peft_type", "IA3", `type "IA3"`},
		{"use_dora", true, "use_dora true"},
		{"r", 5, "[8 64] and [64 8], want rank 5"},
		{"base_model_name_or_path", "nowhere/else", `"nowhere/else" is no folder`},
		{"base_model_name_or_path", "", "is missing"},
		{"rank_pattern", map[string]int{`blocks.1.k_proj`: 3}, "want rank 3"},
	} {
		_, err := OpenDir(besideBase(t, "adapter_sft", func(config map[string]any) { config[c.key] = c.value }))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v: error %v, want %q", c.key, c.value, err, c.want)
		}
	}
	dir := besideBase(t, "adapter_sft", nil)
	for _, c := range []struct{ header, want string }{
		{`{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "does not begin with"},
		{`{"base_model.model.a.lora_A.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "no such tensor"},
		{`{"base_model.model.model.transformer.ln_f.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, `is [1], "model.transformer.ln_f.weight" of the model is [64]`},
	} {
		write(t, dir, adapterWeights, file(c.header, []byte{1}))
		if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.header, err, c.want)
		}
	}
}

func TestApplyLoRA(t *testing.T) {
	f32 := func(shape []int, v ...float32) Tensor {
		x := Tensor{DType: F32, Shape: shape}
		for _, e := range v {
			b := math.Float32bits(e)
			x.Data = append(x.Data, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
		}
		return x
	}
	w := f32([]int{2, 3}, 1, 2, 3, 4, 5, 6)
	l := lora{a: f32([]int{1, 2}, 1, 10), b: f32([]int{3, 1}, 1, 2, 3), scale: 0.5, transpose: true}
	if n, k := l.shape(); n != 2 || k != 3 {
		t.Errorf("changes [%d %d]", n, k)
	}
	got, err := l.apply(w)
	if err != nil {
		t.Fatal(err)
	}
	values, err := got.Floats()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{1.5, 3, 4.5, 9, 15, 21} {
		if values[i] != want {
			t.Errorf("element %d is %g, want %g", i, values[i], want)
		}
	}
	bf := Tensor{DType: BF16, Shape: []int{3, 2}, Data: make([]byte, 12)}
	l = lora{a: f32([]int{1, 2}, 1, 1.0/3), b: f32([]int{3, 1}, 1, 2, 257), scale: 1}
	if got, err = l.apply(bf); err != nil || got.DType != BF16 {
		t.Fatal(got.DType, err)
	}
	if values, err = got.Floats(); err != nil || values[0] != 1 || values[4] != 256 || values[1] != 0.33398438 {
		t.Errorf("rounded to %v, %v", values, err)
	}
}

// TestAdaptersAddUp lays two adapters over one model: the change of a tensor is the sum of both changes.
func TestAdaptersAddUp(t *testing.T) {
	base := filepath.Join(golden, "llada")
	sft, rl := filepath.Join(golden, "d1", "adapter_sft"), filepath.Join(golden, "d1", "adapter_rl")
	var got [4][]float32
	for i, dirs := range [][]string{nil, {sft}, {rl}, {sft, rl}} {
		s, err := OpenAdapted(base, dirs...)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		x, err := s.Tensor("model.transformer.blocks.0.q_proj.weight")
		if err != nil {
			t.Fatal(err)
		}
		if got[i], err = x.Floats(); err != nil {
			t.Fatal(err)
		}
	}
	moved := 0
	for i, both := range got[3] {
		want := float64(got[1][i]) + float64(got[2][i]) - float64(got[0][i])
		if math.Abs(float64(both)-want) > 1e-6 {
			t.Fatalf("element %d: %g, want %g", i, both, want)
		}
		if got[1][i] != got[0][i] && got[2][i] != got[0][i] {
			moved++
		}
	}
	if moved < len(got[3])/2 {
		t.Errorf("both adapters change only %d of %d elements", moved, len(got[3]))
	}
}
