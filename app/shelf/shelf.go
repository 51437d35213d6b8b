// Package shelf keeps which models a person knows, in one small file that the window and the command line share: models.json
// in the data folder. It is written whole beside itself and renamed, so that a crash leaves the old list or the new one.
// Files of models are only ever moved or copied by [Import].
package shelf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/ui/state"
)

// FileName is the name of the list in the data folder.
const FileName = "models.json"

const (
	maxFile   = 4 << 20
	maxModels = 1000
)

// Shelf is the list in a data folder. Its methods may be called from any goroutine; of two programs that write at the same
// time the later wins.
type Shelf struct{ dir string }

// Open is the shelf of a data folder. Nothing is read or made yet.
func Open(dir string) *Shelf { return &Shelf{dir: dir} }

// Path is the file of the list.
func (s *Shelf) Path() string { return filepath.Join(s.dir, FileName) }

// Read returns the list. A missing file is an empty list; a broken one is an [engine.FormatError] and is not touched.
func (s *Shelf) Read() (state.Known, error) {
	var k state.Known
	f, err := os.Open(s.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return k, fmt.Errorf("list of models: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return k, fmt.Errorf("list of models: %w", err)
	}
	return Parse(data, s.Path())
}

// Parse reads the content of a list. path names it in errors.
func Parse(data []byte, path string) (state.Known, error) {
	var k state.Known
	bad := func(item, reason string, err error) (state.Known, error) {
		return state.Known{}, &engine.FormatError{Format: "list of models", Path: path, Item: item, Reason: reason, Err: err}
	}
	if len(data) > maxFile {
		return bad("", fmt.Sprintf("is larger than %d bytes", maxFile), nil)
	}
	if err := json.Unmarshal(data, &k); err != nil {
		return bad("", "", err)
	}
	if len(k.Models) > maxModels {
		return bad("models", fmt.Sprintf("%d, at most %d are kept", len(k.Models), maxModels), nil)
	}
	seen := map[string]bool{}
	for i, m := range k.Models {
		if m.Path == "" || !filepath.IsAbs(m.Path) || strings.ContainsRune(m.Path, 0) {
			return bad(fmt.Sprintf("models[%d]", i), fmt.Sprintf("path %q is not absolute", m.Path), nil)
		}
		if seen[m.ID()] {
			return bad(fmt.Sprintf("models[%d]", i), fmt.Sprintf("%q is there twice", m.Path), nil)
		}
		seen[m.ID()] = true
	}
	for t := range k.Default {
		if !slices.Contains(engine.Tasks, t) {
			return bad("default", fmt.Sprintf("task %q is none of %v", t, engine.Tasks), nil)
		}
	}
	return k, nil
}

// Write replaces the list.
func (s *Shelf) Write(k state.Known) error {
	data, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("list of models: %w", err)
	}
	tmp, err := os.CreateTemp(s.dir, "."+FileName+".*")
	if err != nil {
		return fmt.Errorf("list of models: %w", err)
	}
	_, err = tmp.Write(append(data, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), s.Path())
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // the first error tells more
		return fmt.Errorf("list of models: %w", err)
	}
	return nil
}

// Locate is the path to keep for something that a person pointed at: a folder, or a file of it. A weights file beside a
// config.json stands for its folder, as does any small file; a GGUF stands for itself.
func Locate(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if info.IsDir() || strings.EqualFold(filepath.Ext(abs), ".gguf") {
		return abs, nil
	}
	for _, beside := range []string{"config.json", "adapter_config.json"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(abs), beside)); err == nil {
			return filepath.Dir(abs), nil
		}
	}
	switch strings.ToLower(filepath.Ext(abs)) {
	case ".safetensors", ".bin", ".pt", ".pth", ".th", ".ckpt":
		return filepath.Dir(abs), nil
	}
	return "", &engine.InputError{Item: "file " + filepath.Base(abs), Reason: "is no weights file and lies beside no config.json"}
}
