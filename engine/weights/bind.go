package weights

import (
	"fmt"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/tensor"
)

// maxProblems bounds how many problems a [Binder] lists; a config that promises a million layers gets no longer answer.
const maxProblems = 12

// Binder uploads the tensors of a checkpoint under the names that a model asks for. It keeps going after a problem, so
// that [Binder.Err] can name everything that is missing, misshapen or unused together. Nothing is allocated for a tensor
// before its shape has been compared with the one in the file.
type Binder struct {
	set      *Set
	be       tensor.Backend
	as       tensor.DType // of products: F32 or BF16
	prefix   string
	progress func(done, total int64)

	used    map[string]bool // true once asked for
	counted map[string]bool
	missing []string
	wrong   []string
	more    int // problems beyond maxProblems
	done    int64
	params  int64
	held    int64
}

// NewBinder binds tensors of set to be; products run in as. progress may be nil; it is called with the bytes read so far
// and in all.
func NewBinder(set *Set, be tensor.Backend, as tensor.DType, progress func(done, total int64)) *Binder {
	if progress == nil {
		progress = func(done, total int64) {}
	}
	return &Binder{set: set, be: be, as: as, progress: progress, used: map[string]bool{},
		counted: map[string]bool{}}
}

// Has reports whether the checkpoint holds name.
func (b *Binder) Has(name string) bool { return b.set.Has(name) }

// Failing reports whether so much is wrong that asking for more is pointless.
func (b *Binder) Failing() bool { return b.more > 0 }

// Matrix is tensor name, of shape [n, k] or [n, ...] with k elements a row, packed for products; nil when something is
// wrong with it.
func (b *Binder) Matrix(name string, n, k int) tensor.Matrix {
	t, dt, ok := b.take(name, n, k)
	if !ok {
		return nil
	}
	m := b.be.Pack(t.Data, dt, n, k, b.as)
	b.count(t, m.Bytes())
	return m
}

// MatrixF32 is Matrix for products in F32 whatever the arithmetic is: small and deciding, such as a router.
func (b *Binder) MatrixF32(name string, n, k int) tensor.Matrix {
	t, dt, ok := b.take(name, n, k)
	if !ok {
		return nil
	}
	m := b.be.Pack(t.Data, dt, n, k, tensor.F32)
	b.count(t, m.Bytes())
	return m
}

// Experts cuts tensor name [experts, sum(rows), k], the matrices of many experts stored as one tensor, into the matrices of
// each, packed one at a time; all are nil when something is wrong with it.
func (b *Binder) Experts(name string, experts, k int, rows ...int) [][]tensor.Matrix {
	total := 0
	for _, n := range rows {
		total += n
	}
	out := make([][]tensor.Matrix, experts)
	for e := range out {
		out[e] = make([]tensor.Matrix, len(rows))
	}
	t, dt, ok := b.take(name, experts, total, k)
	if !ok {
		return out
	}
	lo, held := 0, int64(0)
	for e := range out {
		for i, n := range rows {
			hi := lo + n*k*dt.Size()
			out[e][i] = b.be.Pack(part(t.Data, lo, hi), dt, n, k, b.as)
			held += out[e][i].Bytes()
			lo = hi
		}
	}
	b.count(t, held)
	return out
}

// Transposed is the transpose of tensor name [k, n], for products, in parts of at most most rows [rows, k] so that no more
// of it than that is copied at a time. The tensor counts as bound by whoever binds it as it stands. Integer arithmetic is
// raised to BF16: the other operand of such products are probabilities, which few steps do not hold.
func (b *Binder) Transposed(name string, k, n, most int) []tensor.Matrix {
	t, dt, ok := b.take(name, k, n)
	if !ok {
		return nil
	}
	as := b.as
	if as != tensor.F32 {
		as = tensor.BF16
	}
	var out []tensor.Matrix
	size := dt.Size()
	var raw []byte
	if t.Data != nil {
		raw = make([]byte, min(most, n)*k*size)
	}
	for lo := 0; lo < n; lo += most {
		rows := min(most, n-lo)
		if raw != nil {
			transpose(raw, t.Data, k, n, lo, rows, size)
		}
		m := b.be.Pack(part(raw, 0, rows*k*size), dt, rows, k, as)
		b.held += m.Bytes()
		out = append(out, m)
	}
	return out
}

// transpose writes columns [lo, lo+rows) of src [k, n], elements of size bytes, to the rows of dst. It goes in stripes, so
// that neighbours are written while their line of memory is near.
func transpose(dst, src []byte, k, n, lo, rows, size int) {
	const stripe = 32
	for first := 0; first < k; first += stripe {
		last := min(first+stripe, k)
		for c := range rows {
			for r := first; r < last; r++ {
				at := (r*n + lo + c) * size
				copy(dst[(c*k+r)*size:(c*k+r+1)*size], src[at:at+size])
			}
		}
	}
}

// part is data[lo:hi], or nil where a backend holds nothing and no data is read.
func part(data []byte, lo, hi int) []byte {
	if data == nil {
		return nil
	}
	return data[lo:hi]
}

// Split cuts tensor name [sum(rows), k] into matrices of rows[i] rows each, packed for products; their count is that of
// rows, and all are nil when something is wrong with it.
func (b *Binder) Split(name string, k int, rows ...int) []tensor.Matrix {
	total := 0
	for _, n := range rows {
		total += n
	}
	out := make([]tensor.Matrix, len(rows))
	t, dt, ok := b.take(name, total, k)
	if !ok {
		return out
	}
	lo, held := 0, int64(0)
	for i, n := range rows {
		hi := lo + n*k*dt.Size()
		if data := t.Data; data == nil {
			out[i] = b.be.Pack(nil, dt, n, k, b.as)
		} else {
			out[i] = b.be.Pack(data[lo:hi], dt, n, k, b.as)
		}
		held += out[i].Bytes()
		lo = hi
	}
	b.count(t, held)
	return out
}

// Tensor is tensor name of exactly this shape as F32, or as BF16 where it is stored so, products are not in F32 and it
// has rows: an embedding table. nil when something is wrong with it.
func (b *Binder) Tensor(name string, shape ...int) tensor.Tensor {
	t, dt, ok := b.take(name, shape...)
	if !ok {
		return nil
	}
	as := tensor.F32
	if dt == tensor.BF16 && b.as != tensor.F32 && len(shape) == 2 {
		as = tensor.BF16
	}
	x := b.be.Alloc(as, shape...)
	b.be.Upload(x, t.Data, dt)
	b.count(t, int64(t.Len()*as.Size()))
	return x
}

// Host is tensor name of exactly this shape in host memory, for what a model computes before it makes tensors of it. nil
// when something is wrong with it.
func (b *Binder) Host(name string, shape ...int) []float32 {
	t, _, ok := b.take(name, shape...)
	if !ok {
		return nil
	}
	if t.Data == nil && t.Len() > 0 {
		var err error
		if t, err = b.set.Tensor(name); err != nil {
			b.note(&b.wrong, err.Error())
			return nil
		}
	}
	x, err := t.Floats()
	if err != nil {
		b.note(&b.wrong, err.Error())
		return nil
	}
	b.count(t, int64(4*len(x)))
	return x
}

// As is the arithmetic of products.
func (b *Binder) As() tensor.DType { return b.as }

// Ignore marks the tensors whose name starts with prefix as known and not needed.
func (b *Binder) Ignore(prefix string) {
	for _, n := range b.set.Names() {
		if strings.HasPrefix(n, prefix) {
			b.used[n] = true
		}
	}
}

// Params is the number of parameters bound.
func (b *Binder) Params() int64 { return b.params }

// Bytes is the memory that the bound tensors occupy.
func (b *Binder) Bytes() int64 { return b.held }

// Err reports everything that is wrong: tensors that are missing, have another shape, or were never asked for.
func (b *Binder) Err() error {
	var unused []string
	for _, n := range b.set.Names() {
		if !b.used[n] {
			unused = append(unused, n)
		}
	}
	var parts []string
	add := func(what string, list []string) {
		if len(list) == 0 {
			return
		}
		rest := ""
		if len(list) > maxProblems {
			rest = fmt.Sprintf(" and %d more", len(list)-maxProblems)
			list = list[:maxProblems]
		}
		parts = append(parts, what+" "+strings.Join(list, ", ")+rest)
	}
	add("missing tensors:", b.missing)
	add("wrong:", b.wrong)
	add("unused tensors:", unused)
	if len(parts) > 0 {
		return &engine.FormatError{Format: b.set.Format(), Path: b.set.Path(), Reason: strings.Join(parts, "; ")}
	}
	return b.be.Err()
}

// take finds tensor name and compares its shape. A trailing product of dimensions may be folded into the last of shape.
func (b *Binder) take(name string, shape ...int) (Tensor, tensor.DType, bool) {
	b.used[name] = true
	if !b.set.Has(name) {
		b.note(&b.missing, name)
		return Tensor{}, 0, false
	}
	t, err := b.tensor(name)
	if err != nil {
		b.note(&b.wrong, err.Error())
		return Tensor{}, 0, false
	}
	if !sameShape(t.Shape, shape) {
		b.note(&b.wrong, fmt.Sprintf("%q is %v, want %v", name, t.Shape, shape))
		return Tensor{}, 0, false
	}
	dt, ok := t.Backend()
	if !ok || dt != tensor.F32 && dt != tensor.BF16 && dt != tensor.F16 {
		b.note(&b.wrong, fmt.Sprintf("%q holds %s, want F32, F16 or BF16", name, t.DType))
		return Tensor{}, 0, false
	}
	return t, dt, true
}

// tensor is tensor name, or its header alone where the backend holds nothing.
func (b *Binder) tensor(name string) (Tensor, error) {
	if b.be.Device().Kind != tensor.Nothing {
		return b.set.Tensor(name)
	}
	t, _, _ := b.set.Stored(name)
	if _, quantized := b.set.kinds[name]; quantized {
		t.DType = F32
	}
	return t, nil
}

func (b *Binder) note(list *[]string, problem string) {
	if len(b.missing)+len(b.wrong) >= 4*maxProblems {
		b.more++
		return
	}
	*list = append(*list, problem)
}

func (b *Binder) count(t Tensor, held int64) {
	b.held += held
	if !b.counted[t.Name] { // tied weights are held twice but are parameters once
		b.counted[t.Name] = true
		b.params += int64(t.Len())
		b.done += int64(len(t.Data))
	}
	b.progress(b.done, b.set.Bytes())
}

// sameShape reports whether have equals want, where have may spread want's last dimension over several.
func sameShape(have, want []int) bool {
	if len(have) <= len(want) {
		return slices.Equal(have, want)
	}
	last := len(want) - 1
	n := 1
	for _, d := range have[last:] {
		n *= d
	}
	return slices.Equal(have[:last], want[:last]) && n == want[last]
}
