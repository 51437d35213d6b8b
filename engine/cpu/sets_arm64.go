package cpu

import "sync"

// sets returns the kernel sets of this processor, slowest first. Every arm64 has the vector unit that neon needs; its
// row functions are the portable ones.
var sets = sync.OnceValue(func() []*kernels {
	k := portable
	k.name = "neon"
	k.mr = 6
	k.f32, k.bf16 = tileF32NEON, tileWideNEON
	return []*kernels{&portable, &k}
})

var peaks map[string][]peak
