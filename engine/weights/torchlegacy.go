package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"unmask/engine"
)

// legacyMagic is torch's number of the form before 1.6, as a pickle behind its two bytes of the protocol.
var legacyMagic = []byte("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")

// legacyProtocol is torch's own version of that form.
const legacyProtocol = 1001

// isLegacy reports whether data begins as a file of torch before 1.6.
func isLegacy(data []byte) bool {
	return len(data) > 2 && data[0] == 0x80 && bytes.HasPrefix(data[2:], legacyMagic)
}

// readLegacy reads a file of torch before 1.6: pickles of a magic number, a version, facts about the machine, the object
// and the keys of its storages, and then each storage, its number of elements first.
func (t *torchFile) readLegacy() ([]Tensor, error) {
	at := 2 + len(legacyMagic)
	next := func(item string) (any, []pkRef, error) {
		p := &pickle{data: t.data[:min(len(t.data), at+maxPickle)], at: at, memo: map[uint64]any{}}
		v, err := p.run()
		if err != nil {
			return nil, nil, &engine.FormatError{Format: "torch", Path: t.file, Item: item, Err: err}
		}
		at = p.at
		return v, p.refs, nil
	}
	version, _, err := next("protocol")
	if err != nil {
		return nil, err
	}
	if version != int64(legacyProtocol) {
		return nil, t.bad("protocol", "version %v, want %d", version, legacyProtocol)
	}
	facts, _, err := next("sys_info")
	if err != nil {
		return nil, err
	}
	if little, ok := entryOf(facts, "little_endian").(bool); ok && !little {
		return nil, &engine.FormatError{Format: "torch", Path: t.file, Item: "sys_info",
			Err: &engine.UnsupportedError{What: "big-endian numbers", Have: "little-endian ones"}}
	}
	root, refs, err := next("object")
	if err != nil {
		return nil, err
	}
	keys, _, err := next("keys")
	if err != nil {
		return nil, err
	}
	list, ok := keys.(*pkList)
	if !ok {
		return nil, t.bad("keys", "are %T, want a list", keys)
	}
	if err := t.legacyStorages(list.items, refs, at); err != nil {
		return nil, err
	}
	return t.found(root)
}

// entryOf is the value of a key in a dictionary, or nil.
func entryOf(v any, key string) any {
	d, ok := v.(*pkDict)
	if !ok {
		return nil
	}
	for i, k := range d.keys {
		if k == key {
			return d.values[i]
		}
	}
	return nil
}

// legacyStorages finds the storages from byte at on. Their types are said by the references to them.
func (t *torchFile) legacyStorages(keys []any, refs []pkRef, at int) error {
	types := map[string]DType{}
	for _, r := range refs {
		id, _ := r.id.(pkTuple)
		if len(id) < 5 {
			continue
		}
		class, _ := id[1].(pkGlobal)
		if key, ok := id[2].(string); ok {
			types[key] = storageTypes[class.name]
		}
	}
	t.legacy = map[string][]byte{}
	for i, k := range keys {
		key, _ := k.(string)
		item := fmt.Sprintf("storage %q", key)
		dt, ok := types[key]
		if !ok || dt == "" {
			return t.bad(item, "number %d, is of no type that is read", i)
		}
		if len(t.data)-at < 8 {
			return t.bad(item, "the file of %d bytes ends before it", len(t.data))
		}
		n := binary.LittleEndian.Uint64(t.data[at:])
		at += 8
		if left := uint64(len(t.data)-at) / uint64(dt.Size()); n > left {
			return t.bad(item, "%d elements of %s, there are %d in the file", n, dt, left)
		}
		size := int(n) * dt.Size()
		if _, twice := t.legacy[key]; twice {
			return t.bad(item, "stands in the file twice")
		}
		t.legacy[key] = t.data[at : at+size : at+size]
		at += size
	}
	return nil
}

// legacyStorage is the storage that id names, of n elements, or the part of it that id's last entry cuts out.
func (t *torchFile) legacyStorage(name string, id pkTuple, key string, dt DType, n int64) ([]byte, DType, error) {
	data, ok := t.legacy[key]
	if !ok {
		return nil, "", t.bad(name, "there is no storage %q among %d", key, len(t.legacy))
	}
	if n < 0 || n > int64(len(data)) || n*int64(dt.Size()) > int64(len(data)) {
		return nil, "", t.bad(name, "its storage %s has %d bytes, want %d of %s", key, len(data), n, dt)
	}
	if len(id) < 6 || id[5] == nil {
		return data, dt, nil
	}
	view, _ := id[5].(pkTuple) // key, offset, elements
	if len(view) != 3 {
		return nil, "", t.bad(name, "a part of a storage is %T, want three entries", id[5])
	}
	lo, ok1 := view[1].(int64)
	count, ok2 := view[2].(int64)
	have := int64(len(data) / dt.Size())
	if !ok1 || !ok2 || lo < 0 || count < 0 || lo > have || count > have-lo {
		return nil, "", t.bad(name, "elements %v and %v on of a storage of %d", view[1], view[2], have)
	}
	size := int64(dt.Size())
	return data[lo*size : (lo+count)*size : (lo+count)*size], dt, nil
}
