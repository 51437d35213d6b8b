package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

func legacyFile(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "legacy.pt"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestLegacyTorch reads what torch itself writes in the form before 1.6, under every name that such files have.
func TestLegacyTorch(t *testing.T) {
	want := map[string][]float64{
		"state_dict.a": {0, 1, 2, 3, 4, 5}, "state_dict.a.t": {0, 3, 1, 4, 2, 5}, "state_dict.a.row": {3, 4, 5},
		"state_dict.half": {1, -2.5, 65504}, "state_dict.bf": {1, -2.5}, "state_dict.long": {-7}, "state_dict.bool": {1, 0},
		"ema.shadow.0": {1.5}, "ema.shadow.1": {2},
	}
	data := legacyFile(t)
	for _, name := range []string{"pytorch_model.bin", "model.pt", "model.pth", "best.th", "random_emb.torch", "last.ckpt"} {
		dir := t.TempDir()
		write(t, dir, name, data)
		for _, path := range []string{dir, filepath.Join(dir, name)} {
			s, err := OpenDir(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Names()) != len(want) || s.Format() != "torch" {
				t.Errorf("%s: names %v, format %q", name, s.Names(), s.Format())
			}
			for n, values := range want {
				x, err := s.Tensor(n)
				if err != nil {
					t.Error(err)
					continue
				}
				if got, err := x.Float64s(); err != nil || !slices.Equal(got, values) {
					t.Errorf("%s: %s is %v, want %v (%v)", name, n, got, values, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestBrokenLegacyTorch(t *testing.T) {
	data := legacyFile(t)
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"version", func(b []byte) []byte { return bytes.Replace(b, []byte("M\xe9\x03."), []byte("M\xe8\x03."), 1) }, "version 1000, want 1001"},
		{"big-endian", func(b []byte) []byte {
			return bytes.Replace(b, []byte("little_endianq\x02\x88"), []byte("little_endianq\x02\x89"), 1)
		}, "big-endian"},
		{"cut in a storage", func(b []byte) []byte { return b[:len(b)-2] }, "there are"},
		{"cut before a storage", func(b []byte) []byte { return b[:len(b)-60] }, "file"},
		{"cut in a pickle", func(b []byte) []byte { return b[:200] }, "cut off"},
		{"a huge storage", func(b []byte) []byte {
			at := bytes.LastIndex(b, []byte("e.")) + 2 // the list of keys ends the last pickle
			binary.LittleEndian.PutUint64(b[at:], 1<<62)
			return b
		}, "4611686018427387904 elements"},
		{"another storage", func(b []byte) []byte { return bytes.Replace(b, []byte("FloatStorage"), []byte("FloatStorax!"), 1) }, "no type that is read"},
		{"a call", func(b []byte) []byte {
			return bytes.Replace(b, []byte("ccollections\nOrderedDict\n"), []byte("cos\nsystem\n"), 1)
		}, "os.system, which is refused"},
	} {
		_, err := (&torchFile{file: "x.pt", data: c.change(bytes.Clone(data))}).read()
		var fe *engine.FormatError
		if !errors.As(err, &fe) || fe.Path != "x.pt" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestRefusedCalls names the functions that a pickle may not ask for, in both forms.
func TestRefusedCalls(t *testing.T) {
	for _, c := range []struct {
		code, want string
	}{
		{"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "os.system"},
		{"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.", "__builtin__.eval"},
		{"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x01x\x85R.", "builtins.exec"},
		{"\x80\x02csubprocess\nPopen\n)\x81.", "subprocess.Popen"},
	} {
		if _, err := unpickle([]byte(c.code)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q in it", c.code, err, c.want)
		}
	}
	if _, err := unpickle([]byte("\x80\x02comegaconf\nDictConfig\n)\x81.")); err != nil {
		t.Errorf("a class that is not understood: %v", err)
	}
}

func FuzzLegacyTorch(f *testing.F) {
	f.Add(legacyFile(f)[2+len(legacyMagic):])
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, err := (&torchFile{file: "x", data: append([]byte{0x80, 2}, append(bytes.Clone(legacyMagic), data...)...)}).read()
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
