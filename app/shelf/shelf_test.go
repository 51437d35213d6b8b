package shelf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"unmask/engine"
	"unmask/ui/state"
)

func list1() state.Known {
	return state.Known{Models: []state.KnownModel{{Path: "/a/b", DType: "i8", Adapters: []state.Adapter{{Path: "/l", Off: true}}, Added: time.Unix(5, 0).UTC()}, {Path: "/c"}},
		Default: map[engine.Task]string{engine.Chat: "/c", engine.Infill: ""}}
}

func TestTheListComesBack(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "data"))
	if k, err := s.Read(); err != nil || len(k.Models) != 0 {
		t.Fatalf("an empty shelf: %+v, %v", k, err)
	}
	if err := s.Write(list1()); err != nil {
		t.Fatal(err)
	}
	if k, err := s.Read(); err != nil || !reflect.DeepEqual(k, list1()) {
		t.Errorf("%+v, %v", k, err)
	}
	// A program that was killed while it wrote leaves a file beside the list, which nobody reads.
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.Path()), "."+FileName+".123"), []byte(`{"models": [{"pa`), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := s.Read(); err != nil || len(k.Models) != 2 {
		t.Errorf("after a crash: %+v, %v", k, err)
	}
}

func TestBrokenLists(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"models": [`, "unexpected end"},
		{`{"models": [{"path": "relative"}]}`, `"relative" is not absolute`},
		{`{"models": [{"path": "/a"}, {"path": "/a"}]}`, "twice"},
		{`{"models": [], "default": {"sing": "/a"}}`, `"sing"`},
		{`{"models": [` + strings.TrimSuffix(strings.Repeat(`{"path": "/a"},`, 1001), ",") + `]}`, "1001, at most 1000"},
		{strings.Repeat(" ", maxFile+1), "larger than"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir).Read()
		var f *engine.FormatError
		if !errors.As(err, &f) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), FileName) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"models": [{"path": "/a", "adapters": [{"path": "/b"}]}], "default": {"chat": ""}}`))
	f.Add([]byte(`{"models": null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := Parse(data, "x")
		if err == nil && len(k.Models) > maxModels {
			t.Error("too many")
		}
	})
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "model")
	write(t, filepath.Join(model, "config.json"), "{}")
	weights := write(t, filepath.Join(model, "model.safetensors"), "x")
	alone := write(t, filepath.Join(dir, "alone", "last.ckpt"), "x")
	gguf := write(t, filepath.Join(dir, "q4.gguf"), "x")
	notes := write(t, filepath.Join(dir, "notes.txt"), "x")
	for _, c := range []struct{ path, want string }{
		{model, model}, {weights, model}, {filepath.Join(model, "config.json"), model}, {alone, filepath.Dir(alone)}, {gguf, gguf}, {notes, ""}, {filepath.Join(dir, "gone"), ""},
	} {
		got, err := Locate(c.path)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v, want %q", c.path, got, err, c.want)
		}
	}
}

func TestImport(t *testing.T) {
	for _, move := range []bool{false, true} {
		dir := t.TempDir()
		from := filepath.Join(dir, "model")
		write(t, filepath.Join(from, "config.json"), "{}")
		write(t, filepath.Join(from, "vq", "model.safetensors"), strings.Repeat("x", 1000))
		s := Open(filepath.Join(dir, "data"))
		var last int64
		to, err := s.Import(t.Context(), from, move, func(done, total int64) {
			if done < last || done > total || total != 1002 {
				t.Errorf("%d of %d after %d", done, total, last)
			}
			last = done
		})
		if err != nil || last != 1002 || !strings.HasPrefix(to, filepath.Join(dir, "data")) {
			t.Fatalf("move %t: %q, %d bytes, %v", move, to, last, err)
		}
		if b, err := os.ReadFile(filepath.Join(to, "vq", "model.safetensors")); err != nil || len(b) != 1000 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if _, err := os.Stat(from); (err == nil) == move {
			t.Errorf("move %t: the source: %v", move, err)
		}
		write(t, filepath.Join(from, "config.json"), "{}")
		if _, err := s.Import(t.Context(), from, move, func(int64, int64) {}); err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("a name that is taken: %v", err)
		}
	}
}

func TestStoppedImportLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "model")
	for i := range 4 {
		write(t, filepath.Join(from, fmt.Sprint(i)), "xxxx")
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := Open(filepath.Join(dir, "data"))
	_, err := s.Import(ctx, from, false, func(done, _ int64) {
		if done > 4 {
			cancel()
		}
	})
	left, _ := os.ReadDir(filepath.Join(dir, "data", "models"))
	kept, _ := os.ReadDir(from)
	if !errors.Is(err, context.Canceled) || len(left) != 0 || len(kept) != 4 {
		t.Errorf("%v; %d left of the copy, %d of the source", err, len(left), len(kept))
	}
}

func TestLinksAreCopiedAndNotMoved(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "model")
	blob := write(t, filepath.Join(dir, "blobs", "abc"), "weights")
	write(t, filepath.Join(from, "config.json"), "{}")
	if err := os.Symlink(blob, filepath.Join(from, "model.safetensors")); err != nil {
		t.Skipf("SKIPPED: this file system makes no links: %v", err)
	}
	s := Open(filepath.Join(dir, "data"))
	if _, err := s.Import(t.Context(), from, true, func(int64, int64) {}); err == nil || !strings.Contains(err.Error(), "links") {
		t.Errorf("moved: %v", err)
	}
	to, err := s.Import(t.Context(), from, false, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(filepath.Join(to, "model.safetensors")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}
