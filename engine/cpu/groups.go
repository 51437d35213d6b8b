package cpu

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"unmask/engine/tensor"
)

// Weights of four bits (tensor.I4) lie in groups of groupSize of a row's k. A panel is [ceil(k/groupSize)] of:
// a scale of bf16 for each of nr columns, then [4][nr] words of eight values of adjacent k, the first in the low bits.
// A product unpacks a block of a panel to pairs of bf16, in the worker's memory, and then is a product of bf16: scales
// have five significant bits, so that every number that a weight stands for is exact in bf16.

// groupSize is the number of weights of a row that share a scale.
const groupSize = 32

// groupBytes is what a group of nr columns takes.
func groupBytes(nr int) int { return nr * (2 + groupSize/2) }

// quantiseGroup writes x, a group or the beginning of one, as four words of eight values, and returns the scale: an eighth
// of the number of largest magnitude, the positive one of two, sign turned, rounded to five significant bits; NaN where a
// number is not finite.
func quantiseGroup(dst []uint32, x []float32) float32 {
	clear(dst)
	var most uint32
	for _, v := range x {
		most = max(most, math.Float32bits(v)&0x7fffffff)
	}
	if most >= 0x7f800000 {
		return float32(math.NaN())
	}
	extreme := math.Float32frombits(most)
	if !slices.Contains(x, extreme) {
		extreme = -extreme
	}
	u := math.Float32bits(extreme * -0.125)
	d := math.Float32frombits((u + 0x3ffff + u>>19&1) &^ 0x7ffff)
	inverse := 1 / d
	if most == 0 || inverse-inverse != 0 { // zeros, or next to it
		return 0
	}
	const magic = 3 << 22 // added to a small number it leaves its integer in the low bits, ties to even
	for r := 0; 8*r < len(x); r++ {
		word := uint32(0)
		for i, v := range x[8*r : min(8*r+8, len(x))] {
			q := int32(math.Float32bits(float32(v*inverse)+magic)) - 0x4b400000
			word |= uint32(min(max(q, -8), 7)&15) << (4 * i & 31)
		}
		dst[r] = word
	}
	return d
}

// quantiseRow writes row x in groups: four words and a scale each.
func (k *kernels) quantiseRow(words []uint32, scales, x []float32) {
	whole := 0
	if k.quantiseI4 != nil {
		if whole = len(x) / groupSize; whole > 0 {
			k.quantiseI4(unsafe.Pointer(&words[0]), unsafe.Pointer(&scales[0]), unsafe.Pointer(&x[0]), whole)
		}
	}
	for g := whole; g*groupSize < len(x); g++ {
		scales[g] = quantiseGroup(words[4*g:4*g+4], x[g*groupSize:min(len(x), (g+1)*groupSize)])
	}
}

// packGroups packs panel i of j.src in groups.
func packGroups(j *job, w *worker, i int) {
	m, nr := j.m, j.kern.nr
	groups := (m.k + groupSize - 1) / groupSize
	mem := grow(&w.packC, 5*groups)
	scales, words := mem[:groups], unsafe.Slice((*uint32)(unsafe.Pointer(&mem[groups])), 4*groups)
	out := unsafe.Slice((*byte)(unsafe.Pointer(&m.words[i*m.panel])), 4*m.panel)
	size := groupBytes(nr)
	for c := range min(nr, m.n-i*nr) {
		j.kern.quantiseRow(words, scales, j.wide(w, i*nr+c))
		for g, scale := range scales {
			to := out[g*size:][:size]
			binary.NativeEndian.PutUint16(to[2*c:], uint16(math.Float32bits(scale)>>16))
			for r, v := range words[4*g : 4*g+4] {
				binary.NativeEndian.PutUint32(to[2*nr+4*(r*nr+c):], v)
			}
		}
	}
}

// groupRow unpacks row r of a weight in groups.
func (m *matrix) groupRow(dst []float32, r, nr int) {
	panel := unsafe.Slice((*byte)(unsafe.Pointer(&m.words[r/nr*m.panel])), 4*m.panel)
	for s := range dst {
		g := panel[s/groupSize*groupBytes(nr):]
		c := r % nr
		word := binary.NativeEndian.Uint32(g[2*nr+4*(s%groupSize/8*nr+c):])
		dst[s] = groupValue(word, s%8) * fromBF16(binary.NativeEndian.Uint16(g[2*c:]))
	}
}

// groupValue is value i of a word of eight, -8 to 7.
func groupValue(word uint32, i int) float32 { return float32(int32(word<<(28-4*i)) >> 28) }

// unpackGroupsPortable writes groups of 16 columns as pairs of bf16, [16 a group][16] words.
func unpackGroupsPortable(dst, src unsafe.Pointer, groups int) {
	const nr = nrPortable
	out := unsafe.Slice((*uint32)(dst), groups*groupSize/2*nr)
	in := unsafe.Slice((*byte)(src), groups*groupBytes(nr))
	for g := range groups {
		from, to := in[g*groupBytes(nr):], out[g*groupSize/2*nr:]
		for c := range nr {
			scale := fromBF16(binary.NativeEndian.Uint16(from[2*c:]))
			for r := range 4 {
				word := binary.NativeEndian.Uint32(from[2*nr+4*(r*nr+c):])
				for i := range 4 {
					low, high := groupValue(word, 2*i)*scale, groupValue(word, 2*i+1)*scale
					to[(4*r+i)*nr+c] = math.Float32bits(high)&^0xffff | math.Float32bits(low)>>16
				}
			}
		}
	}
}

// right returns words [k, k+steps) of panel p of m, unpacked to buf if need be, as a tile function takes them. k is a multiple of groupSize words or 0.
func (j *job) right(buf *[]float32, m *matrix, p, k, steps int) unsafe.Pointer {
	if m.dt != tensor.I4 {
		return unsafe.Pointer(&m.words[p*m.panel+k*(m.panel/m.steps)])
	}
	nr := j.kern.nr
	per := groupSize // words of a step of the tile function in a group
	if j.kern.pairs {
		per = groupSize / 2
	}
	groups := (steps + per - 1) / per
	out := grow(buf, groups*groupSize/2*nr)
	j.kern.unpackI4(unsafe.Pointer(&out[0]), unsafe.Pointer(&m.words[p*m.panel+k/per*(groupBytes(nr)/4)]), groups)
	return unsafe.Pointer(&out[0])
}
