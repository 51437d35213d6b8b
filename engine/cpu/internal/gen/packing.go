package main

import "fmt"

// packing: rows of activations into strips. A chunk is 64 bytes; step is the distance of a row's chunks in bytes.
//
// size: one instruction a line.
func (r rowFunc) packing() {
	pack := func(name, sig, doc string, size int, change func()) {
		r.text(name+r.name, sig, doc, size)
		r.i("MOVQ dst+0(FP), DI")
		r.i("MOVQ x_base+8(FP), SI")
		r.i("MOVQ x_len+16(FP), CX")
		r.i("MOVQ step+32(FP), R8")
		if size > 40 {
			r.i("VBROADCASTSS mul+40(FP), %s", r.v(4))
		}
		per := 16 / r.lanes
		whole, rest, part, done := r.label("whole"), r.label("rest"), r.label("part"), r.label("done")
		r.i("MOVQ CX, R9")
		r.i("SHRQ $4, R9")
		r.i("JZ %s", rest)
		r.p("%s:", whole)
		for i := range per {
			r.i("VMOVUPS %d(SI), %s", 4*r.lanes*i, r.v(0))
			change()
			r.i("VMOVUPS %s, %d(DI)", r.v(0), 4*r.lanes*i)
		}
		r.i("ADDQ $64, SI")
		r.i("ADDQ R8, DI")
		r.i("DECQ R9")
		r.i("JNZ %s", whole)
		r.p("%s:", rest)
		// The last chunk is zero padded.
		r.i("ANDQ $15, CX")
		r.i("JZ %s", done)
		r.zero(1)
		for i := range per {
			r.i("VMOVUPS %s, %d(DI)", r.v(1), 4*r.lanes*i)
		}
		r.p("%s:", part)
		r.loop([]string{"SI", "DI"}, func(tail bool) {
			r.load(tail, "SI", 0)
			change()
			r.store(tail, 0, "DI")
		})
		r.p("%s:", done)
		r.ret()
	}
	const sig = "(dst unsafe.Pointer, x []float32, step int)"
	pack("packRow", sig, "copies a row into its chunks.", 40, func() {})
	pack("packInts", "(dst unsafe.Pointer, x []float32, step int, mul float32)", "copies x*mul, rounded to integers, into chunks.", 44, func() {
		r.i("VMULPS %s, %s, %s", r.v(4), r.v(0), r.v(0))
		if r.lanes == 16 {
			r.i("VRNDSCALEPS $8, %s, %s", r.v(0), r.v(0))
		} else {
			r.i("VROUNDPS $8, %s, %s", r.v(0), r.v(0))
		}
	})
	pack("packRound", sig, "copies a row into its chunks, rounded to bf16 values.", 40, func() {
		// x + 0x7fff + (x>>16 & 1), upper half; NaN as it is.
		r.i("VPSRLD $16, %s, %s", r.v(0), r.v(2))
		if r.lanes == 16 {
			r.i("VPANDD %s, %s, %s", c("unit"), r.v(2), r.v(2))
		} else {
			r.i("VPAND %s, %s, %s", c("unit"), r.v(2), r.v(2))
		}
		r.i("VPADDD %s, %s, %s", c("round"), r.v(2), r.v(2))
		r.i("VPADDD %s, %s, %s", r.v(0), r.v(2), r.v(2))
		if r.lanes == 16 {
			r.i("VPANDD %s, %s, %s", c("high"), r.v(2), r.v(2))
			r.i("VCMPPS $3, %s, %s, K2", r.v(0), r.v(0))
			r.i("VMOVAPS %s, K2, %s", r.v(0), r.v(2))
			r.i("VMOVAPS %s, %s", r.v(2), r.v(0))
		} else {
			r.i("VPAND %s, %s, %s", c("high"), r.v(2), r.v(2))
			r.i("VCMPPS $3, %s, %s, %s", r.v(0), r.v(0), r.v(3))
			r.i("VBLENDVPS %s, %s, %s, %s", r.v(3), r.v(0), r.v(2), r.v(0))
		}
	})
}

// packPairs writes the rows of the native bf16 tile: a chunk is 32 elements.
func (r rowFunc) packPairs() {
	r.text("packPairsAVX512", "(dst unsafe.Pointer, x []float32, step int)", "copies a row into its chunks as bf16.", 40)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ x_base+8(FP), SI")
	r.i("MOVQ x_len+16(FP), CX")
	r.i("MOVQ step+32(FP), R8")
	r.i("MOVQ CX, BX")
	r.i("ANDQ $31, BX")
	r.i("SHRQ $5, CX")
	r.i("JZ rest")
	r.p("whole:")
	r.i("VMOVUPS (SI), Z0")
	r.i("VMOVUPS 64(SI), Z1")
	// The second source gives the lower half.
	r.i("%s // vcvtne2ps2bf16 z2, z1, z0", evex(0x72, ppF2, 2, 1, 0))
	r.i("VMOVUPS Z2, (DI)")
	r.i("ADDQ $128, SI")
	r.i("ADDQ R8, DI")
	r.i("DECQ CX")
	r.i("JNZ whole")
	r.p("rest:")
	r.i("TESTQ BX, BX")
	r.i("JZ done")
	r.i("MOVQ BX, CX")
	r.i("MOVQ $1, AX")
	r.i("SHLQ CX, AX")
	r.i("DECQ AX")
	r.i("KMOVW AX, K1")
	r.i("SHRQ $16, AX")
	r.i("KMOVW AX, K2")
	r.i("VMOVUPS.Z (SI), K1, Z0")
	r.i("VMOVUPS.Z 64(SI), K2, Z1")
	r.i("%s // vcvtne2ps2bf16 z2, z1, z0", evex(0x72, ppF2, 2, 1, 0))
	r.i("VMOVUPS Z2, (DI)")
	r.p("done:")
	r.ret()
}

// packBytes writes the rows of the native i8 tile: a chunk is 64 elements, x*mul rounded, plus 128. What follows the row
// in its last chunk is left as it is: it meets zeros of the packed weight.
//
// size: one instruction a line.
func (r rowFunc) packBytes() {
	r.text("packBytesAVX512", "(dst unsafe.Pointer, x []float32, step int, mul float32)", "copies a row into its chunks as bytes.", 44)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ x_base+8(FP), SI")
	r.i("MOVQ x_len+16(FP), CX")
	r.i("MOVQ step+32(FP), R8")
	r.i("VBROADCASTSS mul+40(FP), Z4")
	r.i("VMOVDQU %s, X5", c("flip"))
	convert := func(off int) {
		r.i("VMULPS Z4, Z0, Z0")
		r.i("VCVTPS2DQ Z0, Z0")
		r.i("VPMOVSDB Z0, X0")
		r.i("VPXOR X5, X0, X0")
		r.i("VMOVDQU X0, %d(DI)", off)
	}
	r.i("MOVQ CX, BX")
	r.i("SHRQ $6, BX")
	r.i("JZ rest")
	r.p("whole:")
	for q := range 4 {
		r.i("VMOVUPS %d(SI), Z0", 64*q)
		convert(16 * q)
	}
	r.i("ADDQ $256, SI")
	r.i("ADDQ R8, DI")
	r.i("DECQ BX")
	r.i("JNZ whole")
	r.p("rest:")
	r.i("ANDQ $63, CX")
	r.i("MOVQ CX, BX")
	r.p("part:")
	r.i("CMPQ BX, $16")
	r.i("JLT last")
	r.i("VMOVUPS (SI), Z0")
	convert(0)
	r.i("ADDQ $64, SI")
	r.i("ADDQ $16, DI")
	r.i("SUBQ $16, BX")
	r.i("JMP part")
	r.p("last:")
	r.i("TESTQ BX, BX")
	r.i("JZ done")
	r.i("MOVQ BX, CX")
	r.i("MOVL $1, AX")
	r.i("SHLL CX, AX")
	r.i("DECL AX")
	r.i("KMOVW AX, K1")
	r.i("VMOVUPS.Z (SI), K1, Z0")
	convert(0)
	r.p("done:")
	r.ret()

	r.text("finishBytesAVX512", "(rows int, c unsafe.Pointer, ldc int, w, sums, units unsafe.Pointer)",
		"turns a tile of sums of products of bytes into numbers: (c - sums)*units[r]*w, c being i32 before.", 48)
	r.i("MOVQ rows+0(FP), CX")
	r.i("MOVQ c+8(FP), DI")
	r.i("MOVQ ldc+16(FP), R8")
	r.i("MOVQ w+24(FP), SI")
	r.i("MOVQ sums+32(FP), DX")
	r.i("MOVQ units+40(FP), R9")
	r.i("SHLQ $2, R8")
	for half := range 2 {
		r.i("VMOVUPS %d(SI), Z%d", 64*half, 2+half)
		r.i("VMOVUPS %d(DX), Z%d", 64*half, 4+half)
	}
	r.p("row:")
	r.i("VBROADCASTSS (R9), Z6")
	for half := range 2 {
		r.i("VMOVUPS %d(DI), Z%d", 64*half, half)
		r.i("VPSUBD Z%d, Z%d, Z%d", 4+half, half, half)
		r.i("VCVTDQ2PS Z%d, Z%d", half, half)
		r.i("VMULPS Z6, Z%d, Z%d", half, half)
		r.i("VMULPS Z%d, Z%d, Z%d", 2+half, half, half)
		r.i("VMOVUPS Z%d, %d(DI)", half, 64*half)
	}
	r.i("ADDQ R8, DI")
	r.i("ADDQ $4, R9")
	r.i("DECQ CX")
	r.i("JNZ row")
	r.ret()
}

// quantiseGroups writes the reverse of unpackGroups for one row: four bits a number, and the scales.
//
// size: one instruction a line.
func (r rowFunc) quantiseGroups() {
	r.text("quantiseGroupsAVX512", "(dst, scales, src unsafe.Pointer, groups int)",
		"writes groups of 32 numbers as 16 bytes each, and their scales as f32; see quantiseGroup.", 32)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ scales+8(FP), DX")
	r.i("MOVQ src+16(FP), SI")
	r.i("MOVQ groups+24(FP), CX")
	r.i("VMOVUPS %s, Z16", c("abs"))
	r.i("VMOVUPS %s, Z17", c("minusEight"))
	r.i("VMOVUPS %s, Z18", c("seven"))
	r.i("VMOVUPS %s, Z19", c("nibble"))
	r.i("VMOVUPS %s, Z20", c("pairUp"))
	r.i("VMOVUPS %s, Z21", c("minusEighth"))
	r.i("VMOVUPS %s, Z22", c("scaleRound"))
	r.i("VMOVUPS %s, Z23", c("scaleKeep"))
	r.i("VMOVUPS %s, Z24", c("unit"))
	r.i("VMOVUPS %s, Z25", c("one"))
	r.i("VMOVUPS %s, Z26", c("infinity"))
	r.i("VPTERNLOGD $0xff, Z27, Z27, Z27") // a NaN
	r.p("group:")
	r.i("VMOVUPS (SI), Z0")
	r.i("VMOVUPS 64(SI), Z1")
	r.i("VPANDD Z16, Z0, Z2")
	r.i("VPANDD Z16, Z1, Z3")
	r.i("VPMAXUD Z3, Z2, Z2")
	for _, shuffle := range []string{"VSHUFI64X2 $0x4e, Z2, Z2, Z3", "VSHUFI64X2 $0xb1, Z2, Z2, Z3", "VPSHUFD $0x4e, Z2, Z3", "VPSHUFD $0xb1, Z2, Z3"} {
		r.i("%s", shuffle)
		r.i("VPMAXUD Z3, Z2, Z2")
	}
	// Z2: the largest magnitude. It keeps its sign unless it is there as a positive number.
	r.i("VCMPPS $0, Z0, Z2, K1")
	r.i("VCMPPS $0, Z1, Z2, K2")
	r.i("KORTESTW K1, K2")
	r.i("VMULPS Z21, Z2, Z3")
	positive := r.label("positive")
	r.i("JNZ %s", positive)
	r.i("VANDPS Z16, Z3, Z3")
	r.p("%s:", positive)
	r.i("VPSRLD $19, Z3, Z4")
	r.i("VPANDD Z24, Z4, Z4")
	r.i("VPADDD Z22, Z4, Z4")
	r.i("VPADDD Z3, Z4, Z4")
	r.i("VPANDD Z23, Z4, Z3") // the scale
	r.i("VDIVPS Z3, Z25, Z5")
	// Zeros, or next to it: the inverse is not finite. NaN where a number is not finite.
	r.i("VPANDD Z16, Z5, Z6")
	r.i("VPCMPUD $1, Z26, Z6, K1") // below infinity
	r.i("VPCMPUD $5, Z26, Z2, K2") // not below it
	r.i("KANDNW K1, K2, K1")
	r.i("VMOVAPS.Z Z3, K1, Z3")
	r.i("VMOVAPS Z27, K2, Z3")
	r.i("VMOVSS X3, (DX)")
	for k := range 2 {
		r.i("VMULPS Z5, Z%d, Z%d", k, k)
		r.i("VCVTPS2DQ.Z Z%d, K1, Z%d", k, k)
		r.i("VPMAXSD Z17, Z%d, Z%d", k, k)
		r.i("VPMINSD Z18, Z%d, Z%d", k, k)
		r.i("VPANDD Z19, Z%d, Z%d", k, k)
		r.i("VPMOVDB Z%d, X%d", k, k)
	}
	r.i("VINSERTI128 $1, X1, Y0, Y0")
	r.i("VPMADDUBSW Y20, Y0, Y0")
	r.i("VPMOVWB Y0, X0")
	r.i("VMOVDQU X0, (DI)")
	r.i("ADDQ $128, SI")
	r.i("ADDQ $16, DI")
	r.i("ADDQ $4, DX")
	r.i("DECQ CX")
	r.i("JNZ group")
	r.ret()

	r.text("widenAVX512", "(dst, src unsafe.Pointer, n int)", "writes n bf16 as f32, n a multiple of 16.", 24)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ src+8(FP), SI")
	r.i("MOVQ n+16(FP), CX")
	r.i("SHRQ $4, CX")
	r.p("next:")
	r.i("VPMOVZXWD (SI), Z0")
	r.i("VPSLLD $16, Z0, Z0")
	r.i("VMOVUPS Z0, (DI)")
	r.i("ADDQ $32, SI")
	r.i("ADDQ $64, DI")
	r.i("DECQ CX")
	r.i("JNZ next")
	r.ret()
}

// unpackGroups writes weights of four bits as pairs of bf16: two registers of columns, groups of 32 of k. The products of
// values and scales are exact in bf16.
func (r rowFunc) unpackGroups() {
	r.text("unpackGroups"+r.name, "(dst, src unsafe.Pointer, groups int)",
		fmt.Sprintf("writes groups of %d columns as pairs of bf16.", 2*r.lanes), 24)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ src+8(FP), SI")
	r.i("MOVQ groups+16(FP), CX")
	if r.lanes == 16 {
		r.i("VMOVUPS nibbles<>(SB), Z8")
	}
	// wide makes value i of the words in register 2 an f32 in register d.
	wide := func(i, d int) {
		if r.lanes == 8 {
			r.i("VPSLLD $%d, Y2, Y%d", 28-4*i, d)
			r.i("VPSRAD $28, Y%d, Y%d", d, d)
			r.i("VCVTDQ2PS Y%d, Y%d", d, d)
			return
		}
		from := 2
		if i > 0 {
			r.i("VPSRLD $%d, Z2, Z%d", 4*i, d)
			from = d
		}
		r.i("VPERMPS Z8, Z%d, Z%d", from, d)
	}
	r.p("group:")
	for half := range 2 {
		r.i("VPMOVZXWD %d(SI), %s", 2*r.lanes*half, r.v(half))
		r.i("VPSLLD $16, %s, %s", r.v(half), r.v(half))
	}
	for row := range 4 {
		for half := range 2 {
			r.i("VMOVUPS %d(SI), %s", 4*r.lanes*(1+2*row+half), r.v(2))
			for i := range 4 {
				low, high := 3+2*(i%2), 4+2*(i%2)
				wide(2*i, low)
				wide(2*i+1, high)
				r.i("VMULPS %s, %s, %s", r.v(half), r.v(low), r.v(low))
				r.i("VMULPS %s, %s, %s", r.v(half), r.v(high), r.v(high))
				r.i("VPSRLD $16, %s, %s", r.v(low), r.v(low))
				r.i("VORPS %s, %s, %s", r.v(low), r.v(high), r.v(high))
				r.i("VMOVUPS %s, %d(DI)", r.v(high), 4*r.lanes*(2*(4*row+i)+half))
			}
		}
	}
	r.i("ADDQ $%d, SI", 2*r.lanes*18)
	r.i("ADDQ $%d, DI", 2*r.lanes*4*16)
	r.i("DECQ CX")
	r.i("JNZ group")
	r.ret()
}

// columns writes the transposition that makes panels: 16 source rows become columns.
func (r rowFunc) columns() {
	r.text("columnsAVX512", "(dst, src unsafe.Pointer, steps, stride, rows, step int)",
		"writes dst[s][r] = src[r][s] for rows <= 16 source rows, stride floats apart; rows of dst are step floats apart and 16 are written, the last 16-rows of them zero.", 48)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ src+8(FP), SI")
	r.i("MOVQ steps+16(FP), R10")
	r.i("MOVQ stride+24(FP), AX")
	r.i("MOVQ rows+32(FP), CX")
	r.i("MOVQ step+40(FP), R8")
	r.i("SHLQ $2, R8")
	r.i("VPBROADCASTD AX, Z1")
	r.i("VPMULLD columnIds<>(SB), Z1, Z1")
	r.i("MOVL $1, AX")
	r.i("SHLL CX, AX")
	r.i("DECL AX")
	r.i("KMOVW AX, K1")
	r.i("TESTQ R10, R10")
	r.i("JZ done")
	r.p("step:")
	r.i("VPXORD Z0, Z0, Z0")
	r.i("KMOVW K1, K2")
	r.i("VGATHERDPS (SI)(Z1*4), K2, Z0")
	r.i("VMOVUPS Z0, (DI)")
	r.i("ADDQ $4, SI")
	r.i("ADDQ R8, DI")
	r.i("DECQ R10")
	r.i("JNZ step")
	r.p("done:")
	r.ret()
	r.p("")
	for i := range 8 {
		r.p("DATA columnIds<>+%d(SB)/8, $0x%08x%08x", 8*i, 2*i+1, 2*i)
	}
	r.p("GLOBL columnIds<>(SB), RODATA|NOPTR, $64")
}

// unroll writes the copy of one tap of a convolution to the panels of the unrolled input.
func (r rowFunc) unroll() {
	r.text("unrollAVX512", "(dst, src unsafe.Pointer, n, dstStep, srcStep, offset int, load, store uint64)",
		"writes lanes store of 32 floats at dst, n times, dstStep and srcStep floats apart: src[offset+lane] where load has the lane, else 0.", 64)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ src+8(FP), SI")
	r.i("MOVQ n+16(FP), CX")
	r.i("MOVQ dstStep+24(FP), R8")
	r.i("MOVQ srcStep+32(FP), R9")
	r.i("MOVQ offset+40(FP), AX")
	r.i("LEAQ (SI)(AX*4), SI")
	r.i("SHLQ $2, R8")
	r.i("SHLQ $2, R9")
	for i, m := range []string{"load+48", "store+56"} {
		r.i("MOVQ %s(FP), AX", m)
		r.i("KMOVW AX, K%d", 1+2*i)
		r.i("SHRQ $16, AX")
		r.i("KMOVW AX, K%d", 2+2*i)
	}
	r.p("channel:")
	r.i("VMOVUPS.Z (SI), K1, Z0")
	r.i("VMOVUPS.Z 64(SI), K2, Z1")
	r.i("VMOVUPS Z0, K3, (DI)")
	r.i("VMOVUPS Z1, K4, 64(DI)")
	r.i("ADDQ R8, DI")
	r.i("ADDQ R9, SI")
	r.i("DECQ CX")
	r.i("JNZ channel")
	r.ret()
}

// peak writes loops that do nothing but multiply and add in registers: the speed that tiles are measured against.
func (r rowFunc) peak(name string, dot func(f *file, d, a, b int)) {
	loop := func(fn, doc string, regs int, reg string, body func(d int)) {
		r.text(fn, "(n int)", doc, 8)
		r.i("MOVQ n+0(FP), CX")
		for i := range regs {
			r.i("VXORPS %s%d, %s%d, %s%d", reg, i, reg, i, reg, i)
		}
		r.i("PCALIGN $32")
		l := r.label("loop")
		r.p("%s:", l)
		for i := range regs - 4 {
			body(i)
		}
		r.i("DECQ CX")
		r.i("JNZ %s", l)
		r.ret()
	}
	loop("peakF32AVX512", "does n times 28 multiply-adds of 16 f32.", 32, "Z", func(d int) { r.i("VFMADD231PS Z30, Z31, Z%d", d) })
	loop("peakF32AVX2", "does n times 12 multiply-adds of 8 f32.", 16, "Y", func(d int) { r.i("VFMADD231PS Y14, Y15, Y%d", d) })
	loop("peakI8AVX512", "does n times 28 multiply-adds of 64 i8.", 32, "Z", func(d int) { r.i("VPDPBUSD Z30, Z31, Z%d", d) })
	loop(fmt.Sprintf("peak%sAVX512", name), "does n times 28 multiply-adds of 32 bf16.", 32, "Z", func(d int) { dot(r.file, d, 30, 31) })
}
