package weights

import (
	"archive/zip"
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"unmask/engine"
)

// Limits of a torch file.
const (
	maxPickle = 256 << 20 // bytes of data.pkl
	maxDepth  = 16        // of dictionaries in dictionaries
	maxSize   = 1 << 37   // of one dimension
)

var torchSuffixes = []string{".bin", ".pt", ".pth", ".th", ".torch", ".ckpt"}

const torchIndex = "pytorch_model.bin.index.json"

// sniffTorch prefers the usual names, then a lone file of a usual suffix, then the last running average ("ema_*") among
// several, as Diffusion-LM's trainer leaves them.
func sniffTorch(names []string) string {
	for _, n := range []string{torchIndex, "pytorch_model.bin"} {
		if slices.Contains(names, n) {
			return n
		}
	}
	var found []string
	for _, n := range names {
		if slices.ContainsFunc(torchSuffixes, func(s string) bool { return strings.HasSuffix(n, s) }) {
			found = append(found, n)
		}
	}
	if len(found) > 1 { // Diffusion-LM keeps a table of embeddings beside the model
		found = slices.DeleteFunc(found, func(n string) bool { return strings.HasSuffix(n, ".torch") })
	}
	if len(found) != 1 {
		found = slices.DeleteFunc(found, func(n string) bool { return !strings.HasPrefix(n, "ema_") })
	}
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

func magicTorch(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || isLegacy(head)
}

// openTorch reads the zip form of torch.save, a pickle that describes tensors and a stored entry for each storage, and the
// form before torch 1.6, where the storages follow the pickle. The pickle is read by a machine that calls nothing. Tensors
// in nested dictionaries and lists get names joined by dots.
func openTorch(s *Set, name string) error {
	if name == torchIndex {
		return openIndex(s, name, openTorch)
	}
	b, err := s.add(name)
	if err != nil {
		return &engine.FormatError{Format: "torch", Path: s.join(name), Err: err}
	}
	t := &torchFile{file: s.join(name), data: b.data, entries: map[string]*zip.File{}}
	tensors, err := t.read()
	if err != nil {
		return err
	}
	for _, x := range tensors {
		if err := s.put(name, x); err != nil {
			return err
		}
	}
	return nil
}

// torchFile is one file being read.
type torchFile struct {
	file    string
	data    []byte
	entries map[string]*zip.File
	prefix  string            // folder of all entries, with a slash
	legacy  map[string][]byte // storages by key of a file before torch 1.6; nil: the zip form
	tensors []Tensor
	visits  int   // values looked at; a pickle can hold itself
	copied  int64 // bytes of tensors that had to be copied
}

func (t *torchFile) bad(item, format string, args ...any) error {
	return &engine.FormatError{Format: "torch", Path: t.file, Item: item, Reason: fmt.Sprintf(format, args...)}
}

func (t *torchFile) read() ([]Tensor, error) {
	if isLegacy(t.data) {
		return t.readLegacy()
	}
	z, err := zip.NewReader(bytes.NewReader(t.data), int64(len(t.data)))
	if err != nil {
		return nil, &engine.FormatError{Format: "torch", Path: t.file, Err: fmt.Errorf("is neither a zip file, as torch has written since 1.6, nor the form before it: %w", err)}
	}
	for _, f := range z.File {
		if t.entries[f.Name] != nil {
			return nil, t.bad(f.Name, "is in the zip file twice")
		}
		t.entries[f.Name] = f
		if prefix, ok := strings.CutSuffix(f.Name, "data.pkl"); ok && strings.Count(f.Name, "/") == 1 {
			t.prefix = prefix
		}
	}
	if order, err := t.entry("byteorder", 16); err == nil && strings.TrimSpace(string(order)) != "little" {
		return nil, &engine.FormatError{Format: "torch", Path: t.file, Item: "byteorder",
			Err: &engine.UnsupportedError{What: fmt.Sprintf("order %q", order), Have: "little"}}
	}
	code, err := t.entry("data.pkl", maxPickle)
	if err != nil {
		return nil, err
	}
	root, err := unpickle(code)
	if err != nil {
		return nil, &engine.FormatError{Format: "torch", Path: t.file, Item: "data.pkl", Err: err}
	}
	return t.found(root)
}

// found lists the tensors in root, of which there must be one.
func (t *torchFile) found(root any) ([]Tensor, error) {
	if err := t.walk("", root, 0); err != nil {
		return nil, err
	}
	if len(t.tensors) == 0 {
		return nil, t.bad("data.pkl", "holds no tensor")
	}
	return t.tensors, nil
}

// entry returns the bytes of a stored entry, which share the file's.
func (t *torchFile) entry(name string, limit uint64) ([]byte, error) {
	f := t.entries[t.prefix+name]
	if f == nil {
		return nil, t.bad(name, "is missing among the %d entries", len(t.entries))
	}
	if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 {
		return nil, t.bad(name, "is compressed by method %d; torch stores entries as they are", f.Method)
	}
	if f.UncompressedSize64 > limit {
		return nil, t.bad(name, "%d bytes long, at most %d are read", f.UncompressedSize64, limit)
	}
	at, err := f.DataOffset()
	if err != nil {
		return nil, &engine.FormatError{Format: "torch", Path: t.file, Item: name, Err: err}
	}
	size := int64(f.UncompressedSize64)
	if at < 0 || at > int64(len(t.data)) || size > int64(len(t.data))-at {
		return nil, t.bad(name, "[%d, %d) of a file of %d bytes", at, at+size, len(t.data))
	}
	return t.data[at : at+size : at+size], nil
}

// walk lists the tensors in v. Values of other kinds are passed over.
func (t *torchFile) walk(name string, v any, depth int) error {
	if depth > maxDepth {
		return t.bad(name, "nested more than %d deep", maxDepth)
	}
	if t.visits++; t.visits > maxMemo {
		return t.bad(name, "over %d values", maxMemo)
	}
	join := func(key string) string {
		if name == "" {
			return key
		}
		return name + "." + key
	}
	switch v := v.(type) {
	case *pkDict:
		for i, k := range v.keys {
			switch k.(type) {
			case string, int64:
			default:
				continue
			}
			if err := t.walk(join(fmt.Sprint(k)), v.values[i], depth+1); err != nil {
				return err
			}
		}
	case *pkList:
		for i, x := range v.items {
			if err := t.walk(join(strconv.Itoa(i)), x, depth+1); err != nil {
				return err
			}
		}
	case *pkCall:
		switch v.callee {
		case pkGlobal{"torch._utils", "_rebuild_tensor_v2"}, pkGlobal{"torch._utils", "_rebuild_tensor"}:
			return t.tensor(name, v.args)
		case pkGlobal{"torch._utils", "_rebuild_parameter"}:
			if len(v.args) > 0 {
				return t.walk(name, v.args[0], depth+1)
			}
		}
	}
	return nil
}

// storageTypes are the classes of storages by their names in torch.
var storageTypes = map[string]DType{
	"FloatStorage": F32, "DoubleStorage": F64, "HalfStorage": F16, "BFloat16Storage": BF16, "LongStorage": I64,
	"IntStorage": I32, "ShortStorage": I16, "CharStorage": I8, "ByteStorage": U8, "BoolStorage": Bool,
}

// storage resolves a persistent id: ("storage", class, key, device, elements), and the part of the storage before torch 1.6.
func (t *torchFile) storage(name string, v any) ([]byte, DType, error) {
	ref, _ := v.(pkRef)
	id, _ := ref.id.(pkTuple)
	if parts := len(id); parts != 5 && !(parts == 6 && t.legacy != nil) || id[0] != "storage" {
		return nil, "", t.bad(name, "its storage is %T of %d parts, want 5", v, len(id))
	}
	class, _ := id[1].(pkGlobal)
	dt, ok := storageTypes[class.name]
	if !ok {
		return nil, "", &engine.FormatError{Format: "torch", Path: t.file, Item: name,
			Err: &engine.UnsupportedError{What: fmt.Sprintf("storage %q", class.name), Have: "Float, Double, Half, BFloat16, Long, Int, Short, Char, Byte, Bool"}}
	}
	key, ok1 := id[2].(string)
	n, ok2 := id[4].(int64)
	if !ok1 || !ok2 {
		return nil, "", t.bad(name, "its storage has no key or length")
	}
	if t.legacy != nil {
		return t.legacyStorage(name, id, key, dt, n)
	}
	data, err := t.entry("data/"+key, math.MaxInt64)
	if err != nil {
		return nil, "", err
	}
	if n < 0 || n > int64(len(data)) || n*int64(dt.Size()) != int64(len(data)) {
		return nil, "", t.bad(name, "its storage %s has %d bytes, want %d of %s", key, len(data), n, dt)
	}
	return data, dt, nil
}

// tensor adds a tensor of (storage, offset, size, stride, ...). Tensors that are not row-major are copied.
func (t *torchFile) tensor(name string, args pkTuple) error {
	if len(args) < 4 {
		return t.bad(name, "a tensor of %d parts, want at least 4", len(args))
	}
	data, dt, err := t.storage(name, args[0])
	if err != nil {
		return err
	}
	shape, ok1 := integers(args[2])
	stride, ok2 := integers(args[3])
	offset, ok3 := args[1].(int64)
	if !ok1 || !ok2 || !ok3 || len(shape) != len(stride) || len(shape) > maxRank {
		return t.bad(name, "%d sizes and %d strides, at most %d of each", len(shape), len(stride), maxRank)
	}
	have := int64(len(data) / dt.Size())
	empty := slices.Contains(shape, 0)
	count, last, whole := int64(1), offset, true
	for i := len(shape) - 1; i >= 0; i-- {
		n, step := shape[i], stride[i]
		// The bounds also keep the products from overflowing.
		if n < 0 || step < 0 || offset < 0 || n > maxSize || !empty && n > 1 && (n > have/count || step > 0 && n-1 > (have-last)/step) {
			return t.bad(name, "size %v with strides %v from element %d of a storage of %d", shape, stride, offset, have)
		}
		if empty {
			continue
		}
		whole = whole && (n == 1 || step == count)
		count *= n
		last += (n - 1) * step
	}
	if empty {
		count = 0
	}
	if offset < 0 || offset > have || !empty && last >= have {
		return t.bad(name, "elements %d to %d of a storage of %d", offset, last, have)
	}
	x := Tensor{Name: name, DType: dt, Shape: make([]int, len(shape))}
	for i, n := range shape {
		x.Shape[i] = int(n)
	}
	size := int64(dt.Size())
	if whole || empty {
		x.Data = data[offset*size : (offset+count)*size : (offset+count)*size]
	} else {
		if t.copied += count * size; t.copied > 4*int64(len(t.data)) {
			return t.bad(name, "%d bytes of tensors are not row-major, in a file of %d", t.copied, len(t.data))
		}
		x.Data = gather(data, size, offset, count, shape, stride)
	}
	t.tensors = append(t.tensors, x)
	return nil
}

// gather copies a strided tensor to row-major order.
func gather(data []byte, size, offset, count int64, shape, stride []int64) []byte {
	out := make([]byte, 0, count*size)
	index := make([]int64, len(shape))
	at := offset
	for range count {
		out = append(out, data[at*size:(at+1)*size]...)
		for d := len(shape) - 1; d >= 0; d-- {
			index[d]++
			at += stride[d]
			if index[d] < shape[d] {
				break
			}
			at -= index[d] * stride[d]
			index[d] = 0
		}
	}
	return out
}

// integers reads a tuple of integers.
func integers(v any) ([]int64, bool) {
	if c, ok := v.(*pkCall); ok && c.callee == (pkGlobal{"torch", "Size"}) && len(c.args) == 1 {
		v = c.args[0]
	}
	t, ok := v.(pkTuple)
	out := make([]int64, len(t))
	for i, x := range t {
		n, isInt := x.(int64)
		if !isInt {
			return nil, false
		}
		out[i] = n
	}
	return out, ok
}
