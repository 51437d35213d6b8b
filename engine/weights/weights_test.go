package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"unmask/engine"
)

// file builds a safetensors file from a header and body.
func file(header string, body []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), body...)
}

func twoTensors() []byte {
	body := make([]byte, 0, 20)
	for _, f := range []float32{1, -2.5, 3} {
		body = binary.LittleEndian.AppendUint32(body, math.Float32bits(f))
	}
	body = append(body, 0x80, 0x3f, 0x20, 0xc0) // bf16 1, -2.5
	return file(`{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,1],"data_offsets":[12,16]},`+
		`"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}  `, body)
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOpenSingle(t *testing.T) {
	dir := t.TempDir()
	data := twoTensors()
	write(t, dir, "model.safetensors", data)
	write(t, dir, "config.json", []byte(`{}`))
	fromDir, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	fromFS, err := OpenFS(fstest.MapFS{"model.safetensors": {Data: data}, "config.json": {Data: []byte(`{}`)}})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	for _, s := range []*Set{fromDir, fromFS} {
		if got := s.Names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("names %v", got)
		}
		if s.Hash() != hex.EncodeToString(sum[:]) {
			t.Errorf("hash %s", s.Hash())
		}
		if s.Bytes() != 16 {
			t.Errorf("bytes %d, want 16", s.Bytes())
		}
		a, err := s.Tensor("a")
		if err != nil {
			t.Fatal(err)
		}
		if f, err := a.Floats(); err != nil || !slices.Equal(f, []float32{1, -2.5, 3}) {
			t.Errorf("a = %v, %v", f, err)
		}
		b, err := s.Tensor("b")
		if err != nil {
			t.Fatal(err)
		}
		if f, err := b.Float64s(); err != nil || !slices.Equal(f, []float64{1, -2.5}) || !slices.Equal(b.Shape, []int{2, 1}) {
			t.Errorf("b = %v %v, %v", f, b.Shape, err)
		}
		if _, err := s.Tensor("c"); err == nil || !strings.Contains(err.Error(), `"c"`) {
			t.Errorf("missing tensor: %v", err)
		}
		if _, err := s.File("config.json"); err != nil {
			t.Error(err)
		}
		if _, err := s.File("tokenizer.json"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing file: %v", err)
		}
		if _, err := s.File("../secret"); err == nil {
			t.Error("a path out of the folder was read")
		}
		if _, err := s.Sub("vq"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing folder: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenShards(t *testing.T) {
	dir := t.TempDir()
	one := file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, []byte{1, 2})
	two := file(`{"b":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`, []byte{255, 255, 255, 255, 255, 255, 255, 255})
	write(t, dir, "model-1.safetensors", one)
	write(t, dir, "model-2.safetensors", two)
	index := func(s string) { write(t, dir, "model.safetensors.index.json", []byte(s)) }
	index(`{"metadata":{"total_size":10},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}`)
	s, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := s.Tensor("b")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := b.Ints(); err != nil || !slices.Equal(v, []int64{-1}) {
		t.Errorf("b = %v, %v", v, err)
	}
	if len(s.Hash()) != 64 {
		t.Errorf("hash %q", s.Hash())
	}
	for _, c := range []struct{ index, want string }{
		{`{"weight_map":{"a":"model-1.safetensors","b":"model-3.safetensors"}}`, "model-3.safetensors"},
		{`{"weight_map":{"a":"model-1.safetensors","b":"../model-2.safetensors"}}`, "not a plain name"},
		{`{"weight_map":{"a":"model-2.safetensors","b":"model-1.safetensors"}}`, "should be in"},
		{`{"weight_map":{"a":"model-1.safetensors","c":"model-2.safetensors"}}`, `should be in model-2.safetensors, is in ""`},
		{`{"weight_map":{}}`, "names no tensor"},
		{`{"weight_map":`, "unexpected end"},
	} {
		index(c.index)
		if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("index %s: error %v, want %q", c.index, err, c.want)
		}
	}
	write(t, dir, "model-2.safetensors", one)
	index(`{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}`)
	if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "stored twice") {
		t.Errorf("doubled tensor: %v", err)
	}
}

// broken lists files that must be refused, each with words of the message.
var broken = []struct {
	name string
	data []byte
	want string
}{
	{"empty header", []byte{1, 2, 3}, "3 bytes long, want at least 8"},
	{"header past the end", binary.LittleEndian.AppendUint64(nil, 100), "100 bytes long, the file has 0"},
	{"huge header", binary.LittleEndian.AppendUint64(nil, 1<<60), "at most"},
	{"no json", file(`{"a`, nil), "header"},
	{"array", file(`[1]`, nil), "no JSON object"},
	{"two objects", file(`{} {}`, nil), "follow"},
	{"duplicate", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, []byte{1, 2}), "named twice"},
	{"type", file(`{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,1]}}`, []byte{1}), "X9"},
	{"size", file(`{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}}`, make([]byte, 20)), "needs 24 bytes, its offsets give 20"},
	{"negative", file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, make([]byte, 4)), "shape"},
	{"overflow", file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}`, nil), "overflows"},
	{"rank", file(`{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}`, []byte{1}), "17 dimensions, at most 16"},
	{"offsets", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, []byte{1}), "want [begin, end]"},
	{"overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, make([]byte, 3)), "starts at byte 1, the tensor before it ends at 2"},
	{"hole", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}`, make([]byte, 5)), "starts at byte 3"},
	{"truncated", file(`{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, make([]byte, 8)), "ends at byte 9, the file has 8"},
	{"trailing", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, make([]byte, 8)), "end at byte 1, the file has 8"},
	{"metadata", file(`{"__metadata__":{"a":1}}`, nil), "__metadata__"},
}

func TestBroken(t *testing.T) {
	for _, c := range broken {
		_, err := parseSafetensors(c.data, "x.safetensors")
		var fe *engine.FormatError
		if !errors.As(err, &fe) || fe.Path != "x.safetensors" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	dir := t.TempDir()
	if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "safetensors") {
		t.Errorf("empty folder: %v", err)
	}
	write(t, dir, "model.safetensors", nil)
	if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "model.safetensors") {
		t.Errorf("empty file: %v", err)
	}
	if _, err := OpenDir(write(t, dir, "x", []byte("GIF89a, not weights"))); err == nil || !strings.Contains(err.Error(), "47 49 46") {
		t.Errorf("wrong magic: %v", err)
	}
	if _, err := OpenDir(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent folder: %v", err)
	}
}

func TestFloat16(t *testing.T) {
	for h, want := range map[uint16]float32{0: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: 0x1p-24, 0x03ff: 1023 * 0x1p-24,
		0x0400: 0x1p-14, 0x3555: 0.33325195, 0x7c00: float32(math.Inf(1)), 0xfc00: float32(math.Inf(-1))} {
		if got := Float16(h); got != want {
			t.Errorf("Float16(%#04x) = %g, want %g", h, got, want)
		}
	}
	if v := Float16(0x8000); !math.Signbit(float64(v)) || v != 0 {
		t.Errorf("Float16(0x8000) = %g, want -0", v)
	}
	if v := Float16(0x7e00); v == v {
		t.Errorf("Float16(0x7e00) = %g, want NaN", v)
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(twoTensors())
	for _, c := range broken {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, err := parseSafetensors(data, "f")
		if err != nil {
			return
		}
		for _, x := range tensors {
			if x.Len()*x.DType.Size() != len(x.Data) {
				t.Fatalf("%s %v has %d bytes", x.Name, x.Shape, len(x.Data))
			}
		}
	})
}
