package tensor

import (
	"math"

	"unmask/engine"
)

// Uniform is the noise of every backend's Pick: a number in (0, 1) that depends on seed, absolute position and token id
// only. It is SplitMix64's finaliser (Steele, Lea and Flood, 2014) over a key of [NoiseKey] and the id; 52 bits, so that
// both ends stay open in float64.
func Uniform(key uint64, id engine.Token) float64 {
	return (float64(NoiseBits(key, id)>>12) + 0.5) * (1.0 / (1 << 52))
}

// NoiseKey joins a seed and a position. One key serves all ids of a position.
func NoiseKey(seed uint64, pos int) uint64 {
	return mix64(mix64(seed) + uint64(pos)*0x9e3779b97f4a7c15)
}

// NoiseBits is the 64-bit number behind [Uniform].
func NoiseBits(key uint64, id engine.Token) uint64 {
	return mix64(key + (uint64(uint32(id))+1)*0x9e3779b97f4a7c15)
}

// NoiseShift is the key under which id 0 has the noise that id `by` has under key: the noise of a part of a row.
func NoiseShift(key uint64, by engine.Token) uint64 {
	return key + uint64(uint32(by))*0x9e3779b97f4a7c15
}

// Gumbel is standard Gumbel noise, -ln(-ln u) of [Uniform].
func Gumbel(key uint64, id engine.Token) float64 {
	return -math.Log(-math.Log(Uniform(key, id)))
}

func mix64(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
