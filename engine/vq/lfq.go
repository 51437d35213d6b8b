package vq

import (
	"math"

	"unmask/engine"
)

// codes reduces latents z [bits, cells], channel-major, to one code a cell: bit c is set where z_c is above 0, and channel
// 0 is the most significant bit. The sign is read from z + (sign - z) in f32, as the published straight-through quantiser
// does; for |z| beyond 2^24 that sum is 0 and the bit is lost.
func codes(dst []engine.Token, z []float32, bits int) {
	n := len(dst)
	for i := range dst {
		code := engine.Token(0)
		for c := range bits {
			code <<= 1
			if StraightThrough(z[c*n+i]) > 0 {
				code |= 1
			}
		}
		dst[i] = code
	}
}

// StraightThrough is the quantiser's output for a latent: z + (sign(z) - z) in f32, where the sign of 0 is -1.
func StraightThrough(z float32) float32 {
	sign := float32(-1)
	if z > 0 {
		sign = 1
	}
	d := sign - z
	return z + d
}

// Codes reduces latents z [bits, cells] to codes; direct reads the sign of z itself instead of [StraightThrough].
func Codes(z []float32, bits int, direct bool) []engine.Token {
	dst := make([]engine.Token, len(z)/bits)
	if !direct {
		codes(dst, z, bits)
		return dst
	}
	n := len(dst)
	for i := range dst {
		for c := range bits {
			dst[i] <<= 1
			if z[c*n+i] > 0 {
				dst[i] |= 1
			}
		}
	}
	return dst
}

// Latents writes the corner of the cube that each code names to dst [bits, cells]: -1 or +1 a channel. A negative code is
// a masked cell and gets 0, the centre of the cube: it leans to no colour and spoils the cells beside it less than any
// real code does. Codes beyond 2^bits - 1 are taken as that one, as the published
// decoder clamps them.
func Latents(dst []float32, list []engine.Token, bits int) {
	n := len(list)
	top := engine.Token(1)<<bits - 1
	for i, code := range list {
		masked := code < 0
		code = min(code, top)
		for c := range bits {
			v := float32(-1)
			switch {
			case masked:
				v = 0
			case code>>(bits-1-c)&1 == 1:
				v = 1
			}
			dst[c*n+i] = v
		}
	}
}

func invSqrt(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }
