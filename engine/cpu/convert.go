package cpu

import (
	"encoding/binary"
	"math"
	"unsafe"

	"unmask/engine/tensor"
)

// Upload implements [tensor.Backend].
func (b *Backend) Upload(dst tensor.Tensor, src []byte, from tensor.DType) {
	d := own(dst)
	if b.err != nil {
		return
	}
	if len(src) != d.len()*from.Size() {
		wrong("upload", "%d bytes of %v for shape %v", len(src), from, d.shape)
	}
	switch {
	case d.dt == from:
		copy(d.raw, src)
	case d.dt == tensor.F32:
		widen(d.f, src, from)
	default:
		wrong("upload", "%v to %v", from, d.dt)
	}
}

// Download implements [tensor.Backend].
func (b *Backend) Download(dst []float32, src tensor.Tensor) {
	s := own(src)
	if b.err != nil {
		return
	}
	if len(dst) != s.len() {
		wrong("download", "%d floats of shape %v", len(dst), s.shape)
	}
	if s.dt == tensor.F32 {
		copy(dst, s.f)
		return
	}
	widen(dst, s.raw, s.dt)
}

// widen converts little-endian elements to f32.
func widen(dst []float32, src []byte, from tensor.DType) {
	switch from {
	case tensor.F32:
		if littleEndian && len(dst) > 0 {
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst)), src)
			return
		}
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case tensor.BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case tensor.F16:
		for i := range dst {
			dst[i] = halfToFloat(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case tensor.I8:
		for i := range dst {
			dst[i] = float32(int8(src[i]))
		}
	case tensor.U8:
		for i := range dst {
			dst[i] = float32(src[i])
		}
	case tensor.I32:
		for i := range dst {
			dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])))
		}
	default:
		wrong("convert", "%v", from)
	}
}

// littleEndian says that memory and files agree on the order of bytes.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// halfToFloat widens an IEEE 754 half.
func halfToFloat(h uint16) float32 {
	sign, exp, man := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
	default:
		v := float32(man) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	}
}

// roundBF16 rounds to the nearest bf16, ties to even; NaN stays NaN.
func roundBF16(f float32) uint16 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// fromBF16 widens a bf16.
func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
