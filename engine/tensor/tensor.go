// Package tensor is the arithmetic contract between models and devices.
package tensor

import "fmt"

// DType is the type of a tensor's elements.
type DType uint8

// The element types.
const (
	F32 DType = iota
	BF16
	F16
	I8
	I32
	U8
	// I4 is four bits, in groups that share a scale: a type of products only, which no tensor has.
	I4
)

var dtypeNames = [...]string{"f32", "bf16", "f16", "i8", "i32", "u8", "i4"}
var dtypeSizes = [...]int{4, 2, 2, 1, 4, 1, 0}

// String returns the lower-case name: "bf16".
func (d DType) String() string { return dtypeNames[d] }

// Size is the number of bytes of one element; 0 for I4.
func (d DType) Size() int { return dtypeSizes[d] }

// ParseDType returns the type named s.
func ParseDType(s string) (DType, error) {
	for i, n := range dtypeNames {
		if n == s {
			return DType(i), nil
		}
	}
	return 0, fmt.Errorf("dtype %q is unknown; have f32, bf16, f16, i8, i32, u8, i4", s)
}

// Tensor is dense row-major memory of one [Backend]. Slices of it share its memory. Only its backend may touch it.
type Tensor interface {
	DType() DType
	// Shape is not to be changed by the caller.
	Shape() []int
	// Rows is the sub-tensor of rows [lo, hi) of the first dimension; it shares memory.
	Rows(lo, hi int) Tensor
	// Reshape is the same memory seen in another shape of the same size.
	Reshape(shape ...int) Tensor
}

// Matrix is a weight [N, K] in its backend's own packed layout, made once at load by [Backend.Pack].
type Matrix interface {
	N() int
	K() int
	// DType is the arithmetic of products with it: F32 products are exact f32; BF16 products round both operands to
	// bf16 and add up in f32; I8 products quantise x by rows and w by rows of w, each to 255 steps over its largest
	// magnitude m: q = round(v * (127/m)), ties to even, stands for q * (m/127). A row that is not finite gives NaN. I4
	// products round x to bf16 and quantise w by groups of 32 adjacent k: with m the element of largest magnitude (the positive one of two) and d = -m/8
	// rounded to five significant bits, q = round(v/d), ties to even, in [-8, 7], stands for q * d.
	DType() DType
	// Bytes is the memory that it takes.
	Bytes() int64
}
