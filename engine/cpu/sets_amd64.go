package cpu

import (
	"math"
	"sync"
	"time"

	"golang.org/x/sys/cpu"

	"unmask/engine/tensor"
)

//go:generate go run ./internal/gen

// sets returns the kernel sets of this processor, slowest first.
var sets = sync.OnceValue(func() []*kernels {
	all := []*kernels{&portable}
	x := &cpu.X86
	if x.HasAVX2 && x.HasFMA {
		all = append(all, &avx2)
	}
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
		k := avx512
		if x.HasAVX512VNNI {
			k.i8, k.packI8, k.finishI8, k.words = tileI8AVX512, packBytesAVX512, finishBytesAVX512, 4
		}
		all = append(all, &k)
		if x.HasAVX512BF16 {
			// Products of bf16 alone differ.
			n := k
			n.name = "avx512bf16"
			n.bf16, n.packBF16, n.pairs = tileBF16AVX512, packPairsAVX512, true
			if nativeBF16Pays() {
				all = append(all, &n)
			} else {
				all = append(all[:len(all)-1], &n, &k)
			}
			if x.HasAVX512VNNI && hasAMX() {
				u := n
				u.name = "amx"
				u.unitBF16 = &unitFuncs{productBF16DownAMX, productBF16AcrossAMX}
				u.expPack, u.pairRows = expPackAVX512, pairRowsAVX512
				u.unitGate = productGateAMX
				u.unitI8 = &unitFuncs{productI8DownAMX, productI8AcrossAMX}
				all = append(all, &u)
			}
		}
	}
	return all
})

// nativeBF16Pays reports whether VDPBF16PS outruns f32 multiply-adds here. On Zen 4 it does twice their work in the same
// time; on Sapphire Rapids half of it, where the unit for bf16 is AMX.
var nativeBF16Pays = sync.OnceValue(func() bool {
	const slices, n = 5, 2000
	best := func(run func(n int)) time.Duration {
		least := time.Duration(math.MaxInt64)
		for range slices {
			start := time.Now()
			run(n)
			least = min(least, time.Since(start))
		}
		return least
	}
	return 4*best(peakBF16AVX512) < 6*best(peakF32AVX512) // twice the work in less than 1.5 times the time
})

var avx2 = kernels{
	name:      "avx2",
	mr:        6,
	nr:        16,
	f32:       tileF32AVX2,
	bf16:      tileWideAVX2,
	i8:        tileByteAVX2,
	words:     1,
	maxBits:   maxBitsAVX2,
	packI8:    packIntsAVX2,
	unpackI4:  unpackGroupsAVX2,
	packF32:   packRowAVX2,
	packBF16:  packRoundAVX2,
	columns:   columnsPortable,
	sum:       sumAVX2,
	sumSqDev:  sumSqDevAVX2,
	dotDev:    dotDevAVX2,
	maxOf:     maxOfAVX2,
	topTwo:    topTwoAVX2,
	indexOf:   indexOfAVX2,
	candidate: candidatePortable,
	scaleMul:  scaleMulAVX2,
	affine:    affineAVX2,
	add:       addAVX2,
	scale:     scaleAVX2,
	mix:       mixAVX2,
	swiglu:    swigluAVX2,
	silu:      siluAVX2,
	gelu:      geluAVX2,
	rotate:    rotateAVX2,
	expSub:    expSubAVX2,
}

var avx512 = kernels{
	name:       "avx512",
	mr:         14,
	nr:         32,
	f32:        tileF32AVX512,
	bf16:       tileWideAVX512,
	i8:         tileByteAVX512,
	words:      1,
	maxBits:    maxBitsAVX512,
	packI8:     packIntsAVX512,
	unpackI4:   unpackGroupsAVX512,
	quantiseI4: quantiseGroupsAVX512,
	widen:      widenAVX512,
	packF32:    packRowAVX512,
	packBF16:   packRoundAVX512,
	columns:    columnsAVX512,
	unroll:     unrollAVX512,
	sum:        sumAVX512,
	sumSqDev:   sumSqDevAVX512,
	dotDev:     dotDevAVX512,
	maxOf:      maxOfAVX512,
	topTwo:     topTwoAVX512,
	indexOf:    indexOfAVX512,
	candidate:  nextCandidateAVX512,
	scaleMul:   scaleMulAVX512,
	affine:     affineAVX512,
	add:        addAVX512,
	scale:      scaleAVX512,
	mix:        mixAVX512,
	swiglu:     swigluAVX512,
	silu:       siluAVX512,
	gelu:       geluAVX512,
	rotate:     rotateAVX512,
	expSub:     expSubAVX512,
}

// I8 is measured where the processor has VNNI; see Peak.
var peaks = map[string][]peak{
	"avx2":   {{tensor.F32, 12 * 8 * 2, peakF32AVX2}},
	"avx512": {{tensor.F32, 28 * 16 * 2, peakF32AVX512}, {tensor.I8, 28 * 64 * 2, peakI8AVX512}},
	"avx512bf16": {
		{tensor.F32, 28 * 16 * 2, peakF32AVX512},
		{tensor.BF16, 28 * 32 * 2, peakBF16AVX512},
		{tensor.I8, 28 * 64 * 2, peakI8AVX512},
	},
	"amx": {
		{tensor.F32, 28 * 16 * 2, peakF32AVX512},
		{tensor.BF16, 4 * 16 * 16 * 32 * 2, func(n int) { peakBF16AMX(n, newUnitPeak()) }},
		{tensor.I8, 4 * 16 * 16 * 64 * 2, func(n int) { peakI8AMX(n, newUnitPeak()) }},
	},
}
