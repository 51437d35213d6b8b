package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"unmask/engine"
)

// MaxFile is the largest file that [Set.File] returns, in bytes. Released tokenizers stay under 40 MB.
const MaxFile = 64 << 20

// Format is a row of [Formats].
type Format struct {
	Name string // "safetensors"
	// Sniff returns the file to open among the sorted names of a folder, or "". It looks at names only.
	Sniff func(names []string) string
	// Magic reports whether a file of at least 16 bytes can be of this format.
	Magic func(head []byte) bool
	// Open adds the tensors of the named file, and of the files that it refers to, to s.
	Open func(s *Set, name string) error
}

// Formats lists the checkpoint formats, the preferred first.
var Formats = []Format{
	{Name: "safetensors", Sniff: sniffSafetensors, Magic: magicSafetensors, Open: openSafetensors},
	{Name: "torch", Sniff: sniffTorch, Magic: magicTorch, Open: openTorch},
	{Name: "gguf", Sniff: sniffGGUF, Magic: magicGGUF, Open: openGGUF},
}

// Set is an open checkpoint. Its methods are safe for concurrent use until Close.
type Set struct {
	format   string
	path     string // for messages
	fsys     fs.FS
	open     func(name string) (*blob, error)
	blobs    []*blob
	names    []string
	tensors  map[string]Tensor
	origin   map[string]string // tensor to file
	bytes    int64
	root     string // folder of fsys
	adapters []*Set // laid over this set
	loras    map[string][]lora
	lazy     map[string]func(Tensor) Tensor // makes the tensor from what is stored
	kinds    map[string]string              // names of quantizations
	files    map[string][]byte              // made from metadata; they hide those of fsys

	once sync.Once
	hash string
}

// blob is the content of one file, mapped or read.
type blob struct {
	name  string
	data  []byte
	close func() error
}

// OpenDir opens the checkpoint in folder path, or the one file path, by mapping its files. The files must not be
// truncated while the set is open. A folder with a PEFT adapter opens the model that the adapter names, changed by it.
func OpenDir(path string) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	dir, file := path, ""
	if !info.IsDir() {
		dir, file = filepath.Dir(path), filepath.Base(path)
	}
	if file == "" && isAdapter(dir) {
		return openAdapter(dir)
	}
	s := &Set{path: dir, root: dir, fsys: os.DirFS(dir)}
	s.open = func(name string) (*blob, error) { return mapFile(filepath.Join(dir, name), name) }
	return s.load(file)
}

// OpenFS opens the checkpoint at the root of fsys, such as an embedded folder, by reading its files into memory.
func OpenFS(fsys fs.FS) (*Set, error) {
	s := &Set{path: "embedded", fsys: fsys}
	s.open = func(name string) (*blob, error) {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		return &blob{name: name, data: data, close: func() error { return nil }}, nil
	}
	return s.load("")
}

// load finds the format, or takes the given file, and reads the headers.
func (s *Set) load(file string) (*Set, error) {
	s.tensors, s.origin = map[string]Tensor{}, map[string]string{}
	var row *Format
	var err error
	if file != "" {
		row, err = s.byMagic(file)
	} else {
		row, file, err = s.byName()
	}
	if err == nil {
		s.format = row.Name
		err = row.Open(s, file)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.names = make([]string, 0, len(s.tensors))
	for n, t := range s.tensors {
		s.names = append(s.names, n)
		s.bytes += int64(len(t.Data))
	}
	slices.Sort(s.names)
	return s, nil
}

func (s *Set) byName() (*Format, string, error) {
	entries, err := fs.ReadDir(s.fsys, ".")
	if err != nil {
		return nil, "", fmt.Errorf("open checkpoint %s: %w", s.path, err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	for i := range Formats {
		if f := Formats[i].Sniff(names); f != "" {
			return &Formats[i], f, nil
		}
	}
	return nil, "", &engine.FormatError{Format: "checkpoint", Path: s.path,
		Reason: fmt.Sprintf("none of its %d files holds weights; want one of %s", len(names), formatNames())}
}

func (s *Set) byMagic(file string) (*Format, error) {
	if strings.HasSuffix(file, ".index.json") {
		for i := range Formats {
			if Formats[i].Sniff([]string{file}) == file {
				return &Formats[i], nil
			}
		}
	}
	f, err := s.fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := f.Read(head)
	if n < len(head) {
		return nil, &engine.FormatError{Format: "checkpoint", Path: s.join(file), Err: err,
			Reason: fmt.Sprintf("%d bytes long, want at least %d", n, len(head))}
	}
	for i := range Formats {
		if Formats[i].Magic(head) {
			return &Formats[i], nil
		}
	}
	return nil, &engine.FormatError{Format: "checkpoint", Path: s.join(file),
		Reason: fmt.Sprintf("starts with % x, which is none of %s", head[:8], formatNames())}
}

func formatNames() string {
	var names []string
	for _, f := range Formats {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func (s *Set) join(file string) string { return filepath.Join(s.path, file) }

// add opens the file name and keeps it until Close.
func (s *Set) add(name string) (*blob, error) {
	b, err := s.open(name)
	if err != nil {
		return nil, err
	}
	s.blobs = append(s.blobs, b)
	return b, nil
}

// put adds a tensor that was found in file. Its data has been checked against its shape.
func (s *Set) put(file string, t Tensor) error {
	if other, ok := s.origin[t.Name]; ok {
		return &engine.FormatError{Format: s.format, Path: s.join(file), Item: t.Name,
			Reason: fmt.Sprintf("stored twice, in %s and %s", other, file)}
	}
	s.tensors[t.Name], s.origin[t.Name] = t, file
	return nil
}

// Format is the name of the checkpoint's row in [Formats].
func (s *Set) Format() string { return s.format }

// Path is where the checkpoint was opened, for messages.
func (s *Set) Path() string { return s.path }

// Names returns the names of all tensors, sorted. The slice is not to be changed.
func (s *Set) Names() []string { return s.names }

// Has reports whether the set holds a tensor of that name.
func (s *Set) Has(name string) bool { _, ok := s.tensors[name]; return ok }

// Tensor returns the named tensor. One that is quantized, or changed by an adapter, is computed by the call and belongs to
// the caller.
func (s *Set) Tensor(name string) (Tensor, error) {
	t, ok := s.tensors[name]
	if !ok {
		return Tensor{}, &engine.FormatError{Format: s.format, Path: s.path, Item: name,
			Reason: fmt.Sprintf("no such tensor among %d", len(s.names))}
	}
	if make, ok := s.lazy[name]; ok {
		t = make(t)
	}
	for _, l := range s.loras[name] {
		var err error
		if t, err = l.apply(t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// Stored is the named tensor as it lies in its file, without a copy: its Data is nil, and where it is quantized its DType is the
// name of the quantization, "Q4_K". An adapter's changes are not in it.
func (s *Set) Stored(name string) (t Tensor, bytes int64, ok bool) {
	t, ok = s.tensors[name]
	bytes = int64(len(t.Data))
	if k, is := s.kinds[name]; is {
		t.DType = DType(k)
	}
	t.Data = nil
	return t, bytes, ok
}

// Files is how many files hold weights of the set, those of adapters among them.
func (s *Set) Files() int {
	n := len(s.blobs)
	for _, a := range s.adapters {
		n += a.Files()
	}
	return n
}

// File returns the content of a small file beside the weights: config.json, tokenizer.json. Files over [MaxFile] bytes
// are refused; a missing one gives an error that is fs.ErrNotExist.
func (s *Set) File(name string) ([]byte, error) {
	if data, ok := s.files[name]; ok {
		return data, nil
	}
	return readSmall(s.fsys, name, s.path)
}

// Rename makes the set hold the tensors that names lists, each key by the name of its value, and no others. A value that the
// set does not hold is left out. It is not safe for concurrent use, and nobody may have asked for a tensor before.
func (s *Set) Rename(names map[string]string) {
	tensors, lazy, loras := map[string]Tensor{}, map[string]func(Tensor) Tensor{}, map[string][]lora{}
	s.names, s.bytes = s.names[:0], 0
	for name, old := range names {
		t, ok := s.tensors[old]
		if !ok {
			continue
		}
		t.Name = name
		tensors[name] = t
		if f, ok := s.lazy[old]; ok {
			lazy[name] = f
		}
		if l, ok := s.loras[old]; ok {
			loras[name] = l
		}
		s.names = append(s.names, name)
		s.bytes += int64(len(t.Data))
	}
	slices.Sort(s.names)
	s.tensors, s.lazy, s.loras = tensors, lazy, loras
}

// Sub opens the checkpoint in a folder of this one, such as "vq". A missing folder gives fs.ErrNotExist. The caller
// closes it.
func (s *Set) Sub(name string) (*Set, error) {
	if _, err := fs.Stat(s.fsys, name); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", s.path, err)
	}
	if s.root != "" {
		return OpenDir(filepath.Join(s.root, filepath.FromSlash(name)))
	}
	sub, err := fs.Sub(s.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", s.path, err)
	}
	return OpenFS(sub)
}

// Hash is the sha256 of the weights in hex, computed on the first call: of the one file, or of the lines "hash  name"
// of all files in order of their names, as sha256sum prints them.
func (s *Set) Hash() string {
	s.once.Do(func() {
		blobs := slices.Clone(s.blobs)
		for _, a := range s.adapters {
			blobs = append(blobs, a.blobs...)
		}
		slices.SortFunc(blobs, func(a, b *blob) int { return strings.Compare(a.name, b.name) })
		var list strings.Builder
		for _, b := range blobs {
			sum := sha256.Sum256(b.data)
			s.hash = hex.EncodeToString(sum[:])
			fmt.Fprintf(&list, "%s  %s\n", s.hash, b.name)
		}
		if len(blobs) != 1 {
			sum := sha256.Sum256([]byte(list.String()))
			s.hash = hex.EncodeToString(sum[:])
		}
	})
	return s.hash
}

// Bytes is the size of all tensors.
func (s *Set) Bytes() int64 { return s.bytes }

// Close unmaps the files. Tensors of the set must not be used after it.
func (s *Set) Close() error {
	var errs []error
	for _, b := range s.blobs {
		errs = append(errs, b.close())
	}
	for _, a := range s.adapters {
		errs = append(errs, a.Close())
	}
	s.blobs, s.tensors, s.names, s.adapters = nil, nil, nil, nil
	return errors.Join(errs...)
}
