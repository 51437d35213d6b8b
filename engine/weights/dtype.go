package weights

import (
	"encoding/binary"
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/tensor"
)

// DType is the element type of a stored tensor, by its safetensors name: "F32", "BF16", "I64", "BOOL", ...
type DType string

// The element types of the safetensors format that are whole bytes.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	F8E4 DType = "F8_E4M3"
	F8E5 DType = "F8_E5M2"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

var dtypeSizes = map[DType]int{
	F64: 8, F32: 4, F16: 2, BF16: 2, F8E4: 1, F8E5: 1,
	I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, Bool: 1,
}

// Size is the number of bytes of one element, or 0 for an unknown type.
func (d DType) Size() int { return dtypeSizes[d] }

// Tensor is one stored tensor. Data belongs to its [Set] and is valid until the set is closed; it is never written.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte // little-endian, row-major, not necessarily aligned
}

// Len is the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Backend returns the backend's name for t's element type; ok is false for the types that no backend takes.
func (t Tensor) Backend() (d tensor.DType, ok bool) {
	switch t.DType {
	case F32:
		return tensor.F32, true
	case BF16:
		return tensor.BF16, true
	case F16:
		return tensor.F16, true
	case I8:
		return tensor.I8, true
	case I32:
		return tensor.I32, true
	case U8, Bool:
		return tensor.U8, true
	}
	return 0, false
}

// Float64s returns the elements of t as float64, exactly but for 64-bit integers beyond 2^53. It copies.
func (t Tensor) Float64s() ([]float64, error) {
	out := make([]float64, t.Len())
	read, err := t.reader()
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i] = read(i)
	}
	return out, nil
}

// Floats returns the elements of t as float32, rounded to nearest. It copies.
func (t Tensor) Floats() ([]float32, error) {
	out := make([]float32, t.Len())
	if t.DType == F32 {
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
		return out, nil
	}
	read, err := t.reader()
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i] = float32(read(i))
	}
	return out, nil
}

// Ints returns the elements of an integer or boolean tensor. It copies.
func (t Tensor) Ints() ([]int64, error) {
	out := make([]int64, t.Len())
	le := binary.LittleEndian
	for i := range out {
		switch t.DType {
		case I64, U64:
			out[i] = int64(le.Uint64(t.Data[8*i:]))
		case I32:
			out[i] = int64(int32(le.Uint32(t.Data[4*i:])))
		case U32:
			out[i] = int64(le.Uint32(t.Data[4*i:]))
		case I16:
			out[i] = int64(int16(le.Uint16(t.Data[2*i:])))
		case U16:
			out[i] = int64(le.Uint16(t.Data[2*i:]))
		case I8:
			out[i] = int64(int8(t.Data[i]))
		case U8, Bool:
			out[i] = int64(t.Data[i])
		default:
			return nil, fmt.Errorf("tensor %q holds %s, not integers", t.Name, t.DType)
		}
	}
	return out, nil
}

func (t Tensor) reader() (func(i int) float64, error) {
	d, le := t.Data, binary.LittleEndian
	switch t.DType {
	case F64:
		return func(i int) float64 { return math.Float64frombits(le.Uint64(d[8*i:])) }, nil
	case F32:
		return func(i int) float64 { return float64(math.Float32frombits(le.Uint32(d[4*i:]))) }, nil
	case BF16:
		return func(i int) float64 { return float64(math.Float32frombits(uint32(le.Uint16(d[2*i:])) << 16)) }, nil
	case F16:
		return func(i int) float64 { return float64(Float16(le.Uint16(d[2*i:]))) }, nil
	case F8E4, F8E5:
		return nil, &engine.UnsupportedError{What: fmt.Sprintf("tensor %q: type %s", t.Name, t.DType), Have: "F64, F32, F16, BF16 and the integers"}
	}
	ints, err := t.Ints()
	if err != nil {
		return nil, err
	}
	return func(i int) float64 { return float64(ints[i]) }, nil
}

// Float16 widens the IEEE 754 half-precision number with bits h.
func Float16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero and subnormal: frac * 2^-24
		f := float32(frac) * 0x1p-24
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
