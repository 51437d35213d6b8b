package cpu

import (
	"strings"
	"unsafe"

	"unmask/engine"
)

// kernels is a kernel set. A tile function multiplies rows of a packed strip with one packed panel:
//
//	c[r][j] (+)= sum over s < steps of a[s][r] * b[s][j],  r < rows <= mr, j < nr
//
// a is [ceil(steps/16)][rows][16] words, b is [steps][nr] words, c has rows of ldc floats and nr columns that may all be
// written. A word is one f32; see bf16 and i8 for others. acc adds to c instead of
// overwriting it. steps is a multiple of stepUnit and nr of 16. Row functions take slices of equal length and any alignment.
type kernels struct {
	name   string
	mr, nr int

	f32 tileFunc
	// bf16: b is words of two bf16 of adjacent k, [ceil(k/2)][nr]. a is f32 that are bf16 values, and steps counts k; or,
	// when pairs is set, a is words like b's and steps counts those.
	bf16  tileFunc
	pairs bool

	// i8: a: integers as f32, b: i8 [steps][nr]; or, when words is 4, a: four u8 (value + 128) a word, b: four i8 a word,
	// c: i32, of which finishI8 makes floats, a tile in place: (c - sums)*units[r]*w.
	i8       tileFunc
	words    int                                                          // elements of k in a word of i8
	maxBits  func(x []float32) uint32                                     // the largest bits of |x|
	packI8   func(dst unsafe.Pointer, x []float32, step int, mul float32) // as packF32, of x*mul rounded
	finishI8 func(rows int, c unsafe.Pointer, ldc int, w, sums, units unsafe.Pointer)

	// unitBF16 and unitI8 do products of pairs and of words of four on a matrix unit, where there is one. Panels then have
	// 32 columns and steps padded to chunks.
	unitBF16, unitI8 *unitFuncs
	// unitGate does products of pairs with two weights and writes silu(first)*second as chunks of bf16.
	unitGate func(p *tileRun)

	// unpackI4 writes groups of weights of four bits as panels of bf16 take them.
	unpackI4 func(dst, src unsafe.Pointer, groups int)
	// quantiseI4 writes whole groups of a row as four words each, and their scales; widen writes n bf16, a multiple of 16, as
	// f32. nil: slower code does it.
	quantiseI4 func(dst, scales, src unsafe.Pointer, groups int)
	widen      func(dst, src unsafe.Pointer, n int)

	// packF32 and packBF16 copy a row of activations to chunks of 16 words, step bytes apart, the last one zero padded.
	packF32, packBF16 func(dst unsafe.Pointer, x []float32, step int)
	// expPack writes exp2((x-m)*scale) as packBF16 would, and returns the sum. pairRows writes rows 2i and 2i+1 of src as
	// row i of 32 pairs of bf16, those from cols on zero. Of sets with a matrix unit.
	expPack  func(dst unsafe.Pointer, x []float32, step int, m, scale float32) float32
	pairRows func(dst, src unsafe.Pointer, pairs, stride, cols int)

	// columns writes dst[s][r] = src[r][s] for s < steps and r < rows <= 16; source rows are stride floats apart,
	// rows of dst step floats, and 16 of each are written, zeros from rows on.
	columns func(dst, src unsafe.Pointer, steps, stride, rows, step int)

	// unroll, where it is not nil, writes lanes store of nr floats at dst, n times, dstStep and srcStep floats apart:
	// src[offset+lane] where load has the lane, else 0. It reads what load names only.
	unroll func(dst, src unsafe.Pointer, n, dstStep, srcStep, offset int, load, store uint64)

	sum      func(x []float32) float64
	sumSqDev func(x []float32, mean float32) float64       // sum of (x-mean)^2
	dotDev   func(e, l []float32, m float32) float64       // sum of e*max(l-m, -200)
	maxOf    func(x []float32) float32                     // largest element; NaN is skipped; -Inf when there is none
	scaleMul func(dst, x, w []float32, s float32)          // dst = x*s*w
	affine   func(dst, x []float32, sub, mul, add float32) // dst = (x-sub)*mul + add
	add      func(dst, x []float32)                        // dst += x
	scale    func(dst, x []float32, s float32)             // dst = x*s
	mix      func(dst, u, c []float32, g float32)          // dst = u + g*(c-u)
	swiglu   func(dst, gate, up []float32)                 // dst = silu(gate)*up
	silu     func(dst, x []float32)                        // dst = x*sigmoid(x)
	gelu     func(dst, x []float32)                        // the tanh form
	rotate   func(x, y, cos, sin []float32)                // (x, y) = (x cos - y sin, y cos + x sin)
	// expSub writes e = exp((x-m)*scale) to dst and returns the sum of e.
	expSub func(dst, x []float32, m, scale float32) float64

	// topTwo makes NaN -Inf and +Inf the largest float in x. It writes the largest and second largest element of each
	// of up to 16 classes of x to lanes[:16] and lanes[16:]; entries of classes that it does not use stay.
	topTwo  func(x []float32, lanes *[32]float32)
	indexOf func(x []float32, v float32) int // first index of v, or len(x)
	// candidate returns the first i whose 1-u is below e[i]*bound, u being the noise of key and id i, or len(e). It may
	// return an i that misses by a rounding, never pass one over.
	candidate func(e []float32, key uint64, bound float32) int
}

type tileFunc func(rows, steps int, a, b, c unsafe.Pointer, ldc int, acc bool)

const (
	chunkWords = 16 // words of a row that lie together in a packed strip
	stepUnit   = 2  // tiles unroll by this; packed operands are zero padded to it
)

// Kernels lists the names of the kernel sets that this processor can run, slowest first.
func Kernels() []string {
	var names []string
	for _, k := range sets() {
		names = append(names, k.name)
	}
	return names
}

// choose returns the named set, or the fastest when name is empty.
func choose(name string) (*kernels, error) {
	all := sets()
	if name == "" {
		return all[len(all)-1], nil
	}
	for _, k := range all {
		if k.name == name {
			return k, nil
		}
	}
	return nil, &engine.UnsupportedError{
		What: "kernel set " + strings.ToLower(name) + " on this processor",
		Have: strings.Join(Kernels(), ", "),
	}
}
