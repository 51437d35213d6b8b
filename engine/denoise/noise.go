package denoise

// mix is the output function of SplitMix64 over seed and x: a number that depends on both and looks random.
func mix(seed, x uint64) uint64 {
	z := seed + 0x9e3779b97f4a7c15*(x+1)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// noise implements [engine.Noise] as a function of a step's seed and the position.
type noise struct{ seed uint64 }

// Uniform implements [engine.Noise].
func (n *noise) Uniform(pos int) float64 {
	return (float64(mix(n.seed, uint64(pos))>>11) + 0.5) / (1 << 53)
}
