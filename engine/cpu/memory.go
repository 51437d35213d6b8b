package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"unmask/engine"
	"unmask/engine/tensor"
)

// array is the tensor of this backend.
type array struct {
	b     *Backend
	dt    tensor.DType
	shape []int
	dims  [4]int
	f     []float32 // the elements when dt is F32
	raw   []byte    // the same memory, any type
}

// maxDims is the largest number of dimensions of a tensor here.
const maxDims = len(array{}.dims)

// DType implements [tensor.Tensor].
func (a *array) DType() tensor.DType { return a.dt }

// Shape implements [tensor.Tensor].
func (a *array) Shape() []int { return a.shape }

// Rows implements [tensor.Tensor]. A slice made between Mark and Release lives until Release.
func (a *array) Rows(lo, hi int) tensor.Tensor {
	if len(a.shape) == 0 || lo < 0 || lo > hi || hi > a.shape[0] {
		wrong("rows", "[%d, %d) of shape %v", lo, hi, a.shape)
	}
	v := a.b.mem.header()
	v.dt = a.dt
	v.setShape(a.shape)
	v.shape[0] = hi - lo
	if a.raw == nil {
		return v
	}
	stride := 1
	for _, n := range a.shape[1:] {
		stride *= n
	}
	v.setMemory(a.raw[lo*stride*a.dt.Size() : hi*stride*a.dt.Size()])
	return v
}

// Reshape implements [tensor.Tensor]. A view made between Mark and Release lives until Release.
func (a *array) Reshape(shape ...int) tensor.Tensor {
	n, ok := count(shape)
	if have := a.len(); !ok || n != have {
		wrong("reshape", "%v of %d elements to %v", a.shape, have, shape)
	}
	v := a.b.mem.header()
	v.dt = a.dt
	v.setShape(shape)
	v.setMemory(a.raw)
	return v
}

func (a *array) len() int {
	n := 1
	for _, d := range a.shape {
		n *= d
	}
	return n
}

func (a *array) setShape(shape []int) {
	if len(shape) == 0 || len(shape) > maxDims {
		wrong("shape", "%v has %d dimensions, want 1 to %d", shape, len(shape), maxDims)
	}
	copy(a.dims[:], shape)
	a.shape = a.dims[:len(shape)]
}

func (a *array) setMemory(raw []byte) {
	a.raw, a.f = raw, nil
	if a.dt == tensor.F32 && len(raw) > 0 {
		a.f = unsafe.Slice((*float32)(unsafe.Pointer(&raw[0])), len(raw)/4)
	}
}

// count multiplies a shape; false means negative or too large to address.
func count(shape []int) (int, bool) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > maxBytes/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// maxBytes is the largest number of elements that is not refused outright: 2^42, or 2^28 where an int has 32 bits.
const maxBytes = math.MaxInt >> (3 + 18*(^uint(0)>>63))

// memory is a stack of scratch chunks and of the headers that point into them.
type memory struct {
	b       *Backend
	marks   []mark
	chunks  [][]float32
	chunk   int // the chunk in use
	used    int // floats used of it
	headers []*array
	live    int // headers in use
}

type mark struct{ chunk, used, live int }

// minChunk is the size of the first scratch chunk, floats.
const minChunk = 1 << 18

// header returns an empty array, from the stack between Mark and Release.
func (m *memory) header() *array {
	if len(m.marks) == 0 {
		return &array{b: m.b}
	}
	if m.live == len(m.headers) {
		m.headers = append(m.headers, new(array))
	}
	a := m.headers[m.live]
	m.live++
	*a = array{b: m.b}
	return a
}

// take returns n zeroed floats of scratch; n is a multiple of a cache line.
func (m *memory) take(n int) []float32 {
	for m.chunk < len(m.chunks) && m.used+n > len(m.chunks[m.chunk]) {
		m.chunk++
		m.used = 0
	}
	if m.chunk == len(m.chunks) {
		m.chunks = append(m.chunks, alignedFloats(m.growth(n)))
		m.used = 0
	}
	s := m.chunks[m.chunk][m.used : m.used+n : m.used+n]
	m.used += n
	clear(s)
	return s
}

// fits reports whether n floats need no new chunk.
func (m *memory) fits(n int) bool {
	used := m.used
	for i := m.chunk; i < len(m.chunks); i++ {
		if used+n <= len(m.chunks[i]) {
			return true
		}
		used = 0
	}
	return false
}

// growth is the size of a new chunk for n floats.
func (m *memory) growth(n int) int { return max(n, minChunk, m.size()/2) }

// size is the number of floats in all chunks.
func (m *memory) size() int {
	n := 0
	for _, c := range m.chunks {
		n += len(c)
	}
	return n
}

// Alloc implements [tensor.Backend].
func (b *Backend) Alloc(dt tensor.DType, shape ...int) tensor.Tensor {
	a := b.mem.header()
	a.dt = dt
	a.setShape(shape)
	n, ok := count(shape)
	if !ok {
		b.fail(&engine.MemoryError{What: fmt.Sprintf("a tensor of shape %v", a.shape), Need: math.MaxInt64, Have: freeMemory()})
	}
	if b.err != nil {
		return a
	}
	size := n * dt.Size()
	floats := (size + 3) / 4
	var mem []float32
	switch {
	case floats == 0:
	case len(b.mem.marks) > 0:
		n := roundUp(floats, lineFloats)
		if !b.mem.fits(n) && !b.room(4*int64(b.mem.growth(n)), "scratch memory") {
			return a
		}
		mem = b.mem.take(n)
	case !b.room(int64(size), "a tensor"):
		return a
	default:
		mem = alignedFloats(floats)
	}
	if len(mem) > 0 {
		a.setMemory(unsafe.Slice((*byte)(unsafe.Pointer(&mem[0])), size))
	}
	return a
}

// room reports whether size bytes can be had, and fails when the system says that they cannot.
func (b *Backend) room(size int64, what string) bool {
	const checkFrom = 64 << 20 // asking the system costs more than smaller tensors do
	if size < checkFrom {
		return true
	}
	free := freeMemory()
	if free == 0 {
		free = unknownMemory
	}
	if size > free {
		b.fail(&engine.MemoryError{What: what, Need: size, Have: free})
		return false
	}
	return true
}

// unknownMemory bounds a tensor where the system does not say what is free.
const unknownMemory = math.MaxInt >> (1 + 26*(^uint(0)>>63)) // 64 GiB, or 1 GiB where an int has 32 bits

// Mark implements [tensor.Backend].
func (b *Backend) Mark() int {
	m := &b.mem
	m.marks = append(m.marks, mark{m.chunk, m.used, m.live})
	return len(m.marks) - 1
}

// Release implements [tensor.Backend].
func (b *Backend) Release(at int) {
	m := &b.mem
	if b.closed {
		return
	}
	if at < 0 || at >= len(m.marks) {
		wrong("release", "mark %d of %d", at, len(m.marks))
	}
	k := m.marks[at]
	m.marks = m.marks[:at]
	m.chunk, m.used, m.live = k.chunk, k.used, k.live
	if at == 0 && len(m.chunks) > 1 {
		// One chunk of the whole size next time, so that a steady loop neither allocates nor wastes chunk ends.
		m.chunks = append(m.chunks[:0], alignedFloats(m.size()))
		m.chunk, m.used = 0, 0
	}
}

// lineFloats is a cache line in floats.
const lineFloats = 16

// alignedFloats returns n zeroed floats that start on a cache line.
func alignedFloats(n int) []float32 {
	s := make([]float32, n+lineFloats-1)
	adviseHuge(s)
	off := 0
	if r := uintptr(unsafe.Pointer(&s[0])) % (4 * lineFloats); r != 0 {
		off = int(4*lineFloats-r) / 4
	}
	return s[off : off+n : off+n]
}

// own returns the array behind t.
func own(t tensor.Tensor) *array {
	a, ok := t.(*array)
	if !ok {
		wrong("tensor", "%T is not of this backend", t)
	}
	return a
}

// floats returns the array behind t and panics unless its type is F32.
func floats(op string, t tensor.Tensor) *array {
	a := own(t)
	if a.dt != tensor.F32 {
		wrong(op, "tensor of type %v, want f32", a.dt)
	}
	return a
}

// optional returns the n elements of t, or nil when t is nil.
func optional(op string, t tensor.Tensor, n int) []float32 {
	if t == nil {
		return nil
	}
	a := floats(op, t)
	if a.len() != n {
		wrong(op, "shape %v, want %d elements", a.shape, n)
	}
	return a.f
}

// rowsOf splits a shape into rows of the last dimension.
func rowsOf(a *array) (rows, width int) {
	width = a.shape[len(a.shape)-1]
	rows = 1
	for _, n := range a.shape[:len(a.shape)-1] {
		rows *= n
	}
	return rows, width
}

// sameShape panics unless both have the same shape.
func sameShape(op string, a, b *array) {
	if len(a.shape) != len(b.shape) {
		wrong(op, "shapes %v and %v differ", a.shape, b.shape)
	}
	for i := range a.shape {
		if a.shape[i] != b.shape[i] {
			wrong(op, "shapes %v and %v differ", a.shape, b.shape)
		}
	}
}
