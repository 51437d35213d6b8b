package weights

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

func TestQuants(t *testing.T) {
	s, err := OpenDir(filepath.Join("testdata", "quants.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen := 0
	for _, q := range quants {
		if q.widen == nil {
			continue
		}
		seen++
		blocks, err := s.Tensor(q.name + ".blocks")
		if err != nil {
			t.Error(err)
			continue
		}
		values, err := s.Tensor(q.name + ".values")
		if err != nil {
			t.Fatal(err)
		}
		want, err := values.Floats()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, q.elements)
		for b := range 3 {
			q.widen(got, blocks.Data[b*q.bytes:(b+1)*q.bytes])
			for i, x := range got {
				w := want[b*q.elements+i]
				if d := math.Abs(float64(x - w)); d > 1e-6*math.Abs(float64(w))+1e-9 {
					t.Fatalf("%s: element %d of block %d is %g, want %g", q.name, i, b, x, w)
				}
			}
		}
	}
	if seen != 8 {
		t.Errorf("%d types, want 8", seen)
	}
}

func TestGGUF(t *testing.T) {
	s, err := OpenDir(filepath.Join("testdata", "small.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	real, err := OpenDir(filepath.Join("testdata", "small.gguf.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	if !slices.Equal(s.Names(), real.Names()) {
		t.Fatalf("names %v, want %v", s.Names(), real.Names())
	}
	for _, name := range s.Names() {
		got, err := s.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := real.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := distance(t, got, want); d > 1e-7 || !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("%s %v is off by %g", name, got.Shape, d)
		}
	}
	var config map[string]any
	data, err := s.File("config.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"model_type": "llada", "d_model": 32.0, "n_heads": 4.0, "n_kv_heads": 2.0, "n_layers": 1.0, "mlp_hidden_size": 64.0,
		"vocab_size": 48.0, "max_sequence_length": 64.0, "rope_theta": 500000.0, "mask_token_id": 33.0, "eos_token_id": 32.0, "weight_tying": false} {
		if config[key] != want {
			t.Errorf("config %s is %v, want %v", key, config[key], want)
		}
	}
	if data, err = s.File("tokenizer.json"); err != nil || !strings.Contains(string(data), `"th e"`) || strings.Contains(string(data), "PAD0") {
		t.Errorf("tokenizer.json %.200s, %v", data, err)
	}
	if data, err = s.File("tokenizer_config.json"); err != nil || !strings.Contains(string(data), `"mask_token":"\u003c|mdm_mask|\u003e"`) {
		t.Errorf("tokenizer_config.json %s, %v", data, err)
	}
}

// ggufHead is a header of version 3 with the counts and what follows.
func ggufHead(tensors, keys uint64, rest ...byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	b = binary.LittleEndian.AppendUint64(b, tensors)
	return append(binary.LittleEndian.AppendUint64(b, keys), rest...)
}

func ggufString(s string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(s))), s...)
}

func ggufInfo(name string, kind uint32, offset uint64, dims ...uint64) []byte {
	b := binary.LittleEndian.AppendUint32(ggufString(name), uint32(len(dims)))
	for _, d := range dims {
		b = binary.LittleEndian.AppendUint64(b, d)
	}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b, kind), offset)
}

var brokenGGUF = []struct {
	name string
	data []byte
	want string
}{
	{"short", []byte("GGUF\x03\x00\x00\x00"), "ends inside its header"},
	{"version", []byte("GGUF\x01\x00\x00\x00"), "version 1, want 2 or 3"},
	{"counts", ggufHead(1<<40, 1<<40), "1099511627776 tensors"},
	{"long key", ggufHead(0, 1, binary.LittleEndian.AppendUint64(nil, 1<<50)...), "a string of 1125899906842624 bytes"},
	{"type", ggufHead(0, 1, append(ggufString("k"), 99, 0, 0, 0)...), "type 99, want 0 to 12"},
	{"array", ggufHead(0, 1, slices.Concat(ggufString("k"), []byte{9, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0})...), "an array of"},
	{"twice", ggufHead(0, 2, slices.Concat(ggufString("k"), []byte{7, 0, 0, 0, 1}, ggufString("k"), []byte{7, 0, 0, 0, 1})...), "twice"},
	{"alignment", ggufHead(0, 1, slices.Concat(ggufString("general.alignment"), []byte{4, 0, 0, 0, 0, 0, 0, 0})...), "is 0, want 1"},
	{"quantization", ggufHead(1, 0, ggufInfo("t", 77, 0, 32)...), "type 77"},
	{"dimensions", ggufHead(1, 0, ggufInfo("t", 0, 0, 1, 1, 1, 1, 1)...), "5 dimensions"},
	{"overflow", ggufHead(1, 0, ggufInfo("t", 0, 0, 1<<36, 1<<36, 1<<36)...), "overflows"},
	{"no data", ggufHead(1, 0, ggufInfo("t", 0, 0, 4)...), "needs 4 blocks of 4 bytes from byte 0, the file has 0"},
	{"offset", ggufHead(1, 0, ggufInfo("t", 0, 1<<60, 0)...), "from byte 1152921504606846976"},
	{"block", ggufHead(1, 0, ggufInfo("t", 8, 0, 31)...), "rows of 31 are no multiple of the 32"},
	{"architecture", ggufHead(0, 0), `architecture ""`},
}

func TestBrokenGGUF(t *testing.T) {
	for _, c := range brokenGGUF {
		g := &gguf{file: "x.gguf", data: c.data, meta: map[string]any{}}
		err := g.parse()
		if err == nil {
			err = (&Set{}).fromGGUF("x.gguf", g)
		}
		var fe *engine.FormatError
		if !errors.As(err, &fe) || fe.Path != "x.gguf" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzGGUF(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "small.gguf"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:8000])
	for _, c := range brokenGGUF {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !magicGGUF(data) {
			return
		}
		g := &gguf{file: "x", data: data, meta: map[string]any{}}
		if g.parse() != nil {
			return
		}
		s := &Set{path: "x", tensors: map[string]Tensor{}, origin: map[string]string{}}
		if s.fromGGUF("x", g) != nil {
			return
		}
		for name, make := range s.lazy {
			if x := make(s.tensors[name]); x.Len()*x.DType.Size() != len(x.Data) {
				t.Fatalf("%s %v has %d bytes", name, x.Shape, len(x.Data))
			}
		}
	})
}
