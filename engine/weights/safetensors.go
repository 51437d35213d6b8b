package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"unmask/engine"
)

// Limits of a safetensors header. The first is that of the reference library.
const (
	maxHeader = 100 << 20
	maxRank   = 16
)

const (
	safetensorsSuffix = ".safetensors"
	indexSuffix       = ".safetensors.index.json"
)

// sniffSafetensors prefers an index, then the usual single names, then a lone file of the suffix.
func sniffSafetensors(names []string) string {
	var index, single []string
	for _, n := range names {
		switch {
		case n == "model.safetensors":
			return n
		case strings.HasSuffix(n, indexSuffix):
			index = append(index, n)
		case strings.HasSuffix(n, safetensorsSuffix) && n != "golden.safetensors":
			single = append(single, n)
		}
	}
	if len(index) > 0 {
		return index[0]
	}
	if len(single) > 0 {
		return single[0]
	}
	return ""
}

func magicSafetensors(head []byte) bool {
	n := binary.LittleEndian.Uint64(head)
	return n >= 2 && n <= maxHeader && head[8] == '{'
}

func openSafetensors(s *Set, name string) error {
	if strings.HasSuffix(name, indexSuffix) {
		return openIndex(s, name, openShard)
	}
	return openShard(s, name)
}

// openIndex opens every shard that the index names with open and checks that each holds what the index says.
func openIndex(s *Set, name string, open func(s *Set, name string) error) error {
	bad := func(item, reason string) error {
		return &engine.FormatError{Format: "index of shards", Path: s.join(name), Item: item, Reason: reason}
	}
	data, err := s.File(name)
	if err != nil {
		return err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return &engine.FormatError{Format: "index of shards", Path: s.join(name), Err: err}
	}
	if len(index.WeightMap) == 0 {
		return bad("weight_map", "names no tensor")
	}
	shards := map[string]bool{}
	for tensor, file := range index.WeightMap {
		if file == "" || file != path.Base(file) || strings.ContainsAny(file, `/\`) || file == ".." {
			return bad(tensor, fmt.Sprintf("file %q is not a plain name", file))
		}
		shards[file] = true
	}
	files := make([]string, 0, len(shards))
	for f := range shards {
		files = append(files, f)
	}
	slices.Sort(files)
	for i, f := range files {
		if err := open(s, f); err != nil {
			return fmt.Errorf("shard %d of %d: %w", i+1, len(files), err)
		}
	}
	for tensor, file := range index.WeightMap {
		if got := s.origin[tensor]; got != file {
			return bad(tensor, fmt.Sprintf("should be in %s, is in %q", file, got))
		}
	}
	return nil
}

// openShard maps one file and lists its tensors.
func openShard(s *Set, name string) error {
	b, err := s.add(name)
	if err != nil {
		return &engine.FormatError{Format: "safetensors", Path: s.join(name), Err: err}
	}
	tensors, err := parseSafetensors(b.data, s.join(name))
	if err != nil {
		return err
	}
	for _, t := range tensors {
		if err := s.put(name, t); err != nil {
			return err
		}
	}
	return nil
}

// parseSafetensors lists the tensors of a whole file, by offset. They share data.
func parseSafetensors(data []byte, file string) ([]Tensor, error) {
	p := &headerParser{file: file, seen: map[string]bool{}}
	if len(data) < 8 {
		return nil, p.bad("", fmt.Sprintf("%d bytes long, want at least 8", len(data)))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return nil, p.bad("header", fmt.Sprintf("%d bytes long, at most %d are allowed", n, maxHeader))
	}
	if n > uint64(len(data)-8) {
		return nil, p.bad("header", fmt.Sprintf("%d bytes long, the file has %d after its length", n, len(data)-8))
	}
	header, body := data[8:8+n], data[8+n:]
	if err := p.parse(header); err != nil {
		return nil, err
	}
	slices.SortFunc(p.items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.lo, b.lo), cmp.Compare(a.hi, b.hi), cmp.Compare(a.Name, b.Name))
	})
	at := uint64(0)
	out := make([]Tensor, 0, len(p.items))
	for _, it := range p.items {
		if it.lo != at {
			return nil, p.bad(it.Name, fmt.Sprintf("starts at byte %d, the tensor before it ends at %d", it.lo, at))
		}
		if it.hi > uint64(len(body)) {
			return nil, p.bad(it.Name, fmt.Sprintf("ends at byte %d, the file has %d", it.hi, len(body)))
		}
		at = it.hi
		it.Data = body[it.lo:it.hi:it.hi]
		out = append(out, it.Tensor)
	}
	if at != uint64(len(body)) {
		return nil, p.bad("", fmt.Sprintf("tensors end at byte %d, the file has %d", at, len(body)))
	}
	return out, nil
}

type item struct {
	Tensor
	lo, hi uint64
}

// headerParser reads the JSON header key by key, because a map would swallow duplicate names.
type headerParser struct {
	file  string
	seen  map[string]bool
	items []item
}

func (p *headerParser) bad(item, reason string) error {
	return &engine.FormatError{Format: "safetensors", Path: p.file, Item: item, Reason: reason}
}

func (p *headerParser) parse(header []byte) error {
	dec := json.NewDecoder(bytes.NewReader(header))
	tok, err := dec.Token()
	if err != nil || tok != json.Delim('{') {
		return &engine.FormatError{Format: "safetensors", Path: p.file, Item: "header", Reason: "is no JSON object", Err: err}
	}
	for dec.More() {
		tok, err := dec.Token()
		name, _ := tok.(string)
		if err != nil {
			return &engine.FormatError{Format: "safetensors", Path: p.file, Item: "header", Err: err}
		}
		if p.seen[name] {
			return p.bad(name, "named twice in the header")
		}
		p.seen[name] = true
		if name == "__metadata__" {
			var meta map[string]string
			if err := dec.Decode(&meta); err != nil {
				return &engine.FormatError{Format: "safetensors", Path: p.file, Item: name, Err: err}
			}
			continue
		}
		var info struct {
			DType   DType    `json:"dtype"`
			Shape   []uint64 `json:"shape"`
			Offsets []uint64 `json:"data_offsets"`
		}
		if err := dec.Decode(&info); err != nil {
			return &engine.FormatError{Format: "safetensors", Path: p.file, Item: name, Err: err}
		}
		it, err := p.check(name, info.DType, info.Shape, info.Offsets)
		if err != nil {
			return err
		}
		p.items = append(p.items, it)
	}
	if _, err := dec.Token(); err != nil {
		return &engine.FormatError{Format: "safetensors", Path: p.file, Item: "header", Err: err}
	}
	if rest := bytes.TrimRight(header[dec.InputOffset():], " \t\r\n\x00"); len(rest) > 0 {
		return p.bad("header", fmt.Sprintf("%d bytes follow the object at byte %d", len(rest), dec.InputOffset()))
	}
	return nil
}

// check compares type, shape and offsets of one header entry with each other.
func (p *headerParser) check(name string, dt DType, shape, off []uint64) (item, error) {
	size := uint64(dt.Size())
	if size == 0 {
		return item{}, &engine.FormatError{Format: "safetensors", Path: p.file, Item: name,
			Err: &engine.UnsupportedError{What: fmt.Sprintf("type %q", string(dt)), Have: "F64 F32 F16 BF16 F8 I64 I32 I16 I8 U64 U32 U16 U8 BOOL"}}
	}
	if len(shape) > maxRank {
		return item{}, p.bad(name, fmt.Sprintf("has %d dimensions, at most %d are allowed", len(shape), maxRank))
	}
	if len(off) != 2 || off[0] > off[1] {
		return item{}, p.bad(name, fmt.Sprintf("data_offsets are %v, want [begin, end]", off))
	}
	want, dims := size, make([]int, len(shape))
	for i, d := range shape {
		if d > math.MaxInt32*64 || d != 0 && want > math.MaxInt64/d {
			return item{}, p.bad(name, fmt.Sprintf("shape %v overflows", shape))
		}
		want *= d
		dims[i] = int(d)
	}
	if have := off[1] - off[0]; have != want {
		return item{}, p.bad(name, fmt.Sprintf("%s %v needs %d bytes, its offsets give %d", dt, shape, want, have))
	}
	return item{Tensor{Name: name, DType: dt, Shape: dims}, off[0], off[1]}, nil
}
