package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"unmask/engine"
)

// Limits of a GGUF header.
const (
	maxGGUFKeys    = 1 << 16
	maxGGUFTensors = 1 << 20
	maxGGUFString  = 16 << 20 // bytes
)

func sniffGGUF(names []string) string {
	found := ""
	for _, n := range names {
		if strings.HasSuffix(n, ".gguf") {
			if found != "" {
				return "" // which of them is not ours to guess
			}
			found = n
		}
	}
	return found
}

func magicGGUF(head []byte) bool { return bytes.HasPrefix(head, []byte("GGUF")) }

// openGGUF reads a GGUF file of a family that has a row in ggufArchs: its tensors get the names, and its metadata the
// form, of the family's released checkpoint. Quantized tensors are widened when they are asked for.
func openGGUF(s *Set, name string) error {
	b, err := s.add(name)
	if err != nil {
		return &engine.FormatError{Format: "gguf", Path: s.join(name), Err: err}
	}
	g := &gguf{file: s.join(name), data: b.data, meta: map[string]any{}}
	if err := g.parse(); err != nil {
		return err
	}
	return s.fromGGUF(name, g)
}

// gguf is a file being read.
type gguf struct {
	file    string
	data    []byte
	at      int
	meta    map[string]any // bool, uint64, int64, float64, string, []any
	tensors []ggufTensor
}

type ggufTensor struct {
	Tensor // Data as stored; DType is "" where it is quantized
	quant  *quant
}

func (g *gguf) bad(item, format string, args ...any) error {
	return &engine.FormatError{Format: "gguf", Path: g.file, Item: item, Reason: fmt.Sprintf(format, args...)}
}

var errGGUFShort = errors.New("the file ends inside its header")

func (g *gguf) take(n uint64) ([]byte, error) {
	if n > uint64(len(g.data)-g.at) {
		return nil, errGGUFShort
	}
	g.at += int(n)
	return g.data[g.at-int(n) : g.at], nil
}

func (g *gguf) u32() (uint32, error) {
	b, err := g.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (g *gguf) u64() (uint64, error) {
	b, err := g.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (g *gguf) string() (string, error) {
	n, err := g.u64()
	if err != nil {
		return "", err
	}
	if n > maxGGUFString {
		return "", fmt.Errorf("a string of %d bytes, at most %d are read", n, maxGGUFString)
	}
	b, err := g.take(n)
	return string(b), err
}

func (g *gguf) parse() error {
	wrap := func(item string, err error) error {
		return &engine.FormatError{Format: "gguf", Path: g.file, Item: item, Err: err}
	}
	if _, err := g.take(4); err != nil { // the magic
		return wrap("header", err)
	}
	version, err := g.u32()
	if err != nil {
		return wrap("header", err)
	}
	if version < 2 || version > 3 {
		return g.bad("header", "version %d, want 2 or 3", version)
	}
	tensors, err := g.u64()
	if err != nil {
		return wrap("header", err)
	}
	keys, err := g.u64()
	if err != nil {
		return wrap("header", err)
	}
	if tensors > maxGGUFTensors || keys > maxGGUFKeys {
		return g.bad("header", "%d tensors and %d keys, at most %d and %d", tensors, keys, maxGGUFTensors, maxGGUFKeys)
	}
	for range keys {
		key, err := g.string()
		if err != nil {
			return wrap("metadata", err)
		}
		kind, err := g.u32()
		if err != nil {
			return wrap(key, err)
		}
		v, err := g.value(kind, 0)
		if err != nil {
			return wrap(key, err)
		}
		if _, ok := g.meta[key]; ok {
			return g.bad(key, "stands in the metadata twice")
		}
		g.meta[key] = v
	}
	return g.infos(int(tensors))
}

// value reads a metadata value of a GGUF type.
func (g *gguf) value(kind uint32, depth int) (any, error) {
	switch kind {
	case 8:
		return g.string()
	case 9:
		if depth > 2 {
			return nil, errors.New("arrays nested more than 2 deep")
		}
		item, err := g.u32()
		if err != nil {
			return nil, err
		}
		n, err := g.u64()
		if err != nil {
			return nil, err
		}
		if n > uint64(len(g.data)-g.at) { // every item has at least a byte
			return nil, fmt.Errorf("an array of %d items in %d bytes", n, len(g.data)-g.at)
		}
		var out []any
		for range n {
			v, err := g.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	size := map[uint32]uint64{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}[kind]
	if size == 0 {
		return nil, fmt.Errorf("value of type %d, want 0 to 12", kind)
	}
	b, err := g.take(size)
	if err != nil {
		return nil, err
	}
	var raw [8]byte
	copy(raw[:], b)
	u := binary.LittleEndian.Uint64(raw[:])
	switch kind {
	case 1:
		return int64(int8(u)), nil
	case 3:
		return int64(int16(u)), nil
	case 5:
		return int64(int32(u)), nil
	case 11:
		return int64(u), nil
	case 6:
		return float64(math.Float32frombits(uint32(u))), nil
	case 12:
		return math.Float64frombits(u), nil
	case 7:
		return u != 0, nil
	}
	return u, nil
}

// infos reads the list of tensors and finds their data.
func (g *gguf) infos(n int) error {
	type info struct {
		name   string
		dims   []int
		kind   uint32
		offset uint64
	}
	var list []info
	for i := range n {
		var t info
		var err error
		if t.name, err = g.string(); err != nil {
			return g.bad(fmt.Sprintf("tensor %d", i), "%v", err)
		}
		dims, err := g.u32()
		if err != nil || dims > 4 {
			return g.bad(t.name, "has %d dimensions, at most 4 are allowed (%v)", dims, err)
		}
		t.dims = make([]int, dims)
		for d := range dims {
			v, err := g.u64()
			if err != nil || v > math.MaxInt32*64 {
				return g.bad(t.name, "dimension %d is %d (%v)", d, v, err)
			}
			t.dims[dims-1-d] = int(v) // the fastest comes first in the file
		}
		if t.kind, err = g.u32(); err == nil {
			t.offset, err = g.u64()
		}
		if err != nil {
			return g.bad(t.name, "%v", err)
		}
		list = append(list, t)
	}
	align := uint64(32)
	if v, ok := g.meta["general.alignment"].(uint64); ok {
		align = v
	}
	if align < 1 || align > 1<<20 {
		return g.bad("general.alignment", "is %d, want 1 to %d", align, 1<<20)
	}
	start := (uint64(g.at) + align - 1) / align * align
	if start > uint64(len(g.data)) {
		start = uint64(len(g.data))
	}
	body := g.data[start:]
	for _, t := range list {
		x, err := g.tensor(t.name, t.dims, t.kind, t.offset, body)
		if err != nil {
			return err
		}
		g.tensors = append(g.tensors, x)
	}
	return nil
}

// tensor checks one tensor's place.
func (g *gguf) tensor(name string, dims []int, kind uint32, offset uint64, body []byte) (ggufTensor, error) {
	q, ok := quants[kind]
	if !ok {
		return ggufTensor{}, &engine.FormatError{Format: "gguf", Path: g.file, Item: name,
			Err: &engine.UnsupportedError{What: fmt.Sprintf("type %d", kind), Have: "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K"}}
	}
	count := uint64(1)
	for _, d := range dims {
		if d != 0 && count > math.MaxInt64/2/uint64(d) {
			return ggufTensor{}, g.bad(name, "shape %v overflows", dims)
		}
		count *= uint64(d)
	}
	if len(dims) > 0 && dims[len(dims)-1]%q.elements != 0 {
		return ggufTensor{}, g.bad(name, "rows of %d are no multiple of the %d of a %s block", dims[len(dims)-1], q.elements, q.name)
	}
	blocks := count / uint64(q.elements)
	if blocks > uint64(len(body)) || offset > uint64(len(body)) || blocks*uint64(q.bytes) > uint64(len(body))-offset {
		return ggufTensor{}, g.bad(name, "%s %v needs %d blocks of %d bytes from byte %d, the file has %d", q.name, dims, blocks, q.bytes, offset, len(body))
	}
	size := blocks * uint64(q.bytes)
	t := ggufTensor{Tensor: Tensor{Name: name, DType: q.dtype, Shape: dims, Data: body[offset : offset+size : offset+size]}}
	if q.widen != nil {
		t.quant = &q
	}
	return t, nil
}
