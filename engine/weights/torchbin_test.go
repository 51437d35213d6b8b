package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

func TestTorch(t *testing.T) {
	s, err := OpenDir(filepath.Join("testdata", "small.pt"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := map[string]struct {
		shape  []int
		values []float64
	}{
		"state_dict.a":     {[]int{2, 3}, []float64{0, 1, 2, 3, 4, 5}},
		"state_dict.a.t":   {[]int{3, 2}, []float64{0, 3, 1, 4, 2, 5}},
		"state_dict.a.row": {[]int{3}, []float64{3, 4, 5}},
		"state_dict.half":  {[]int{3}, []float64{1, -2.5, 65504}},
		"state_dict.bf":    {[]int{2, 1}, []float64{1, -2.5}},
		"state_dict.long":  {[]int{}, []float64{-7}},
		"state_dict.bool":  {[]int{2}, []float64{1, 0}},
		"state_dict.empty": {[]int{0, 4}, []float64{}},
		"state_dict.flip":  {[]int{2, 2, 3}, []float64{1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22}},
		"ema.shadow.0":     {[]int{1}, []float64{1.5}},
		"ema.shadow.1":     {[]int{1}, []float64{2}},
	}
	if len(s.Names()) != len(want) {
		t.Errorf("names %v", s.Names())
	}
	for name, w := range want {
		x, err := s.Tensor(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := x.Float64s(); err != nil || !slices.Equal(got, w.values) || !slices.Equal(x.Shape, w.shape) {
			t.Errorf("%s is %v %v, want %v %v (%v)", name, x.Shape, got, w.shape, w.values, err)
		}
	}
	if s.Format() != "torch" || len(s.Hash()) != 64 {
		t.Errorf("format %q, hash %q", s.Format(), s.Hash())
	}
}

// torchZip packs a pickle and one storage of 16 bytes as torch does.
func torchZip(t testing.TB, code string, method uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range [][2]string{{"m/data.pkl", code}, {"m/byteorder", "little"}, {"m/data/0", "0123456789abcdef"}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f[0], Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tensorCode is the pickle of {"x": tensor} with a storage of n floats, as torch writes it.
func tensorCode(class, key string, n, offset, size, stride int) string {
	return "\x80\x02}X\x01\x00\x00\x00xctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n" + class + "\nX\x01\x00\x00\x00" + key +
		"X\x03\x00\x00\x00cpuK" + string(rune(n)) + "tQK" + string(rune(offset)) + "K" + string(rune(size)) + "\x85K" + string(rune(stride)) +
		"\x85\x89ccollections\nOrderedDict\n)RtRs."
}

var brokenTorch = []struct {
	name, code string
	want       string
}{
	{"cut off", "\x80\x02}", "cut off"},
	{"opcode", "\x80\x02\xf0.", "0xf0"},
	{"instance", "\x80\x02(cos\nsystem\nX\x02\x00\x00\x00lso.", "opcode 0x6f"},
	{"no tensor", "\x80\x02}.", "holds no tensor"},
	{"a call is not made", "\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "os.system, which is refused"},
	{"empty stack", "\x80\x02a.", "stack is empty"},
	{"no mark", "\x80\x02u.", "no mark"},
	{"memo", "\x80\x02h\x07.", "remembered as 7"},
	{"protocol", "\x80\x09.", "protocol 9"},
	{"long string", "\x80\x02X\xff\xff\xff\xff.", "cut off"},
	{"storage class", tensorCode("QUInt8Storage", "0", 4, 0, 4, 1), "QUInt8Storage"},
	{"storage key", tensorCode("FloatStorage", "7", 4, 0, 4, 1), `"data/7": is missing among the 3 entries`},
	{"storage length", tensorCode("FloatStorage", "0", 5, 0, 4, 1), "has 16 bytes, want 5 of F32"},
	{"offset", tensorCode("FloatStorage", "0", 4, 1, 4, 1), "elements 1 to 4 of a storage of 4"},
	{"stride", tensorCode("FloatStorage", "0", 4, 0, 2, 4), "elements 0 to 4 of a storage of 4"},
	{"expanded", tensorCode("FloatStorage", "0", 4, 0, 100, 0), "size [100] with strides [0]"},
	{"itself", "\x80\x02]q\x00(h\x00h\x00h\x00h\x00h\x00h\x00h\x00h\x00e.", "nested more than"},
}

func TestBrokenTorch(t *testing.T) {
	read := func(data []byte) error {
		f := &torchFile{file: "x.pt", data: data, entries: map[string]*zip.File{}}
		_, err := f.read()
		return err
	}
	if err := read(torchZip(t, tensorCode("FloatStorage", "0", 4, 0, 4, 1), zip.Store)); err != nil {
		t.Errorf("a sound file: %v", err)
	}
	for _, c := range brokenTorch {
		err := read(torchZip(t, c.code, zip.Store))
		var fe *engine.FormatError
		if !errors.As(err, &fe) || fe.Path != "x.pt" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if err := read(torchZip(t, "\x80\x02}.", zip.Deflate)); err == nil || !strings.Contains(err.Error(), "compressed by method 8") {
		t.Errorf("compressed: %v", err)
	}
	if err := read([]byte("PK\x03\x04 no zip file")); err == nil || !strings.Contains(err.Error(), "neither a zip file") {
		t.Errorf("no zip: %v", err)
	}
}

func TestTorchIndex(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pytorch_model-1.bin", torchZip(t, tensorCode("FloatStorage", "0", 4, 0, 4, 1), zip.Store))
	write(t, dir, torchIndex, []byte(`{"weight_map":{"x":"pytorch_model-1.bin"}}`))
	for _, path := range []string{dir, filepath.Join(dir, torchIndex)} {
		s, err := OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(s.Names()) != "[x]" {
			t.Errorf("names %v", s.Names())
		}
		s.Close()
	}
}

func FuzzPickle(f *testing.F) {
	for _, c := range brokenTorch {
		f.Add([]byte(c.code))
	}
	f.Add([]byte(tensorCode("FloatStorage", "0", 4, 0, 4, 1)))
	f.Fuzz(func(t *testing.T, code []byte) {
		x := &torchFile{file: "x", data: torchZip(t, string(code), zip.Store), entries: map[string]*zip.File{}}
		tensors, err := x.read()
		if err != nil {
			return
		}
		for _, x := range tensors {
			if len(x.Data) != x.Len()*x.DType.Size() {
				t.Fatalf("%v has %d bytes", x.Shape, len(x.Data))
			}
		}
	})
}

func FuzzTorch(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "small.pt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(_ *testing.T, data []byte) {
		x := &torchFile{file: "x", data: data, entries: map[string]*zip.File{}}
		_, _ = x.read()
	})
}

func TestSniffTorch(t *testing.T) {
	for _, c := range []struct {
		want  string
		names []string
	}{
		{"pytorch_model.bin", []string{"a.pt", "pytorch_model.bin"}},
		{"last.ckpt", []string{"config.json", "last.ckpt"}},
		{"", []string{"a.pt", "b.pt"}},
		{"ema_0.9999_200000.pt", []string{"ema_0.9999_100000.pt", "ema_0.9999_200000.pt", "model200000.pt"}},
		{"", []string{"vocab.json"}},
	} {
		if got := sniffTorch(c.names); got != c.want {
			t.Errorf("%q: %q, want %q", c.names, got, c.want)
		}
	}
}
