package weights

import (
	"encoding/binary"
	"math"
)

// quant is a block type of GGUF: how many elements and bytes a block has, and how it is widened.
type quant struct {
	name     string
	elements int
	bytes    int
	dtype    DType // of types that are not quantized
	widen    func(dst []float32, block []byte)
}

// quants are the types by their numbers in ggml.h.
var quants = map[uint32]quant{
	0:  {"F32", 1, 4, F32, nil},
	1:  {"F16", 1, 2, F16, nil},
	30: {"BF16", 1, 2, BF16, nil},
	2:  {"Q4_0", 32, 18, "", widenQ40},
	3:  {"Q4_1", 32, 20, "", widenQ41},
	6:  {"Q5_0", 32, 22, "", widenQ50},
	7:  {"Q5_1", 32, 24, "", widenQ51},
	8:  {"Q8_0", 32, 34, "", widenQ80},
	12: {"Q4_K", 256, 144, "", widenQ4K},
	13: {"Q5_K", 256, 176, "", widenQ5K},
	14: {"Q6_K", 256, 210, "", widenQ6K},
}

// widen returns the tensor as F32. It copies.
func (q *quant) tensor(t Tensor) Tensor {
	n := t.Len()
	out := Tensor{Name: t.Name, DType: F32, Shape: t.Shape, Data: make([]byte, 4*n)}
	values := make([]float32, q.elements)
	for b := range n / q.elements {
		q.widen(values, t.Data[b*q.bytes:(b+1)*q.bytes])
		to := out.Data[4*b*q.elements:]
		for i, x := range values {
			binary.LittleEndian.PutUint32(to[4*i:], math.Float32bits(x))
		}
	}
	return out
}

func half(b []byte) float32 { return Float16(binary.LittleEndian.Uint16(b)) }

func widenQ40(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:18] {
		dst[i] = float32(int(q&15)-8) * d
		dst[i+16] = float32(int(q>>4)-8) * d
	}
}

func widenQ41(dst []float32, b []byte) {
	d, m := half(b), half(b[2:])
	for i, q := range b[4:20] {
		dst[i] = float32(q&15)*d + m
		dst[i+16] = float32(q>>4)*d + m
	}
}

func widenQ50(dst []float32, b []byte) {
	d, h := half(b), binary.LittleEndian.Uint32(b[2:])
	for i, q := range b[6:22] {
		dst[i] = float32(int(q&15|byte(h>>i&1)<<4)-16) * d
		dst[i+16] = float32(int(q>>4|byte(h>>(i+16)&1)<<4)-16) * d
	}
}

func widenQ51(dst []float32, b []byte) {
	d, m, h := half(b), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
	for i, q := range b[8:24] {
		dst[i] = float32(q&15|byte(h>>i&1)<<4)*d + m
		dst[i+16] = float32(q>>4|byte(h>>(i+16)&1)<<4)*d + m
	}
}

func widenQ80(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:34] {
		dst[i] = float32(int8(q)) * d
	}
}

// scaleMin unpacks scale and minimum j of the eight of a Q4_K or Q5_K block, 6 bits each in 12 bytes.
func scaleMin(j int, s []byte) (scale, low float32) {
	if j < 4 {
		return float32(s[j] & 63), float32(s[j+4] & 63)
	}
	return float32(s[j+4]&15 | s[j-4]>>6<<4), float32(s[j+4]>>4 | s[j]>>6<<4)
}

func widenQ4K(dst []float32, b []byte) {
	d, dmin, scales, qs := half(b), half(b[2:]), b[4:16], b[16:144]
	for c := range 4 {
		s1, m1 := scaleMin(2*c, scales)
		s2, m2 := scaleMin(2*c+1, scales)
		for i, q := range qs[32*c : 32*c+32] {
			dst[64*c+i] = d*s1*float32(q&15) - dmin*m1
			dst[64*c+32+i] = d*s2*float32(q>>4) - dmin*m2
		}
	}
}

func widenQ5K(dst []float32, b []byte) {
	d, dmin, scales, high, qs := half(b), half(b[2:]), b[4:16], b[16:48], b[48:176]
	for c := range 4 {
		s1, m1 := scaleMin(2*c, scales)
		s2, m2 := scaleMin(2*c+1, scales)
		for i, q := range qs[32*c : 32*c+32] {
			dst[64*c+i] = d*s1*float32(q&15|high[i]>>(2*c)&1<<4) - dmin*m1
			dst[64*c+32+i] = d*s2*float32(q>>4|high[i]>>(2*c+1)&1<<4) - dmin*m2
		}
	}
}

func widenQ6K(dst []float32, b []byte) {
	d := half(b[208:])
	for h := range 2 {
		low, high, scales := b[64*h:], b[128+32*h:], b[192+8*h:]
		for i := range 32 {
			s := func(k int) float32 { return d * float32(int8(scales[i/16+2*k])) }
			v := func(q, bits byte) float32 { return float32(int(q|bits&3<<4) - 32) }
			dst[128*h+i] = s(0) * v(low[i]&15, high[i])
			dst[128*h+32+i] = s(1) * v(low[i+32]&15, high[i]>>2)
			dst[128*h+64+i] = s(2) * v(low[i]>>4, high[i]>>4)
			dst[128*h+96+i] = s(3) * v(low[i+32]>>4, high[i]>>6)
		}
	}
}
