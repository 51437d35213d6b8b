package main

// Row functions of attention in bf16, for AVX-512 with BF16: probabilities and values become operands of the matrix unit.

// quick are the registers that hold constants of quickExp.
var quick = []struct {
	name string
	reg  int
}{{"exp2Lo", 20}, {"exp2c4", 21}, {"exp2c3", 22}, {"exp2c2", 23}, {"exp2c1", 24}, {"one", 25}}

func (r rowFunc) quickConstants() {
	for _, k := range quick {
		r.i("VMOVUPS %s, Z%d", c(k.name), k.reg)
	}
}

// quickExp replaces register x by 2^x, to 4e-5 of it: results that are rounded to bf16. n and p are scratch. NaN stays.
func (r rowFunc) quickExp(x, n, p int) {
	r.i("VMAXPS Z%d, Z20, Z%d", x, x) // a NaN in the second source is the result
	r.i("VRNDSCALEPS $8, Z%d, Z%d", x, n)
	r.i("VSUBPS Z%d, Z%d, Z%d", n, x, x)
	r.i("VMOVAPS Z21, Z%d", p)
	for reg := 22; reg <= 25; reg++ {
		r.i("VFMADD213PS Z%d, Z%d, Z%d", reg, x, p)
	}
	r.i("VSCALEFPS Z%d, Z%d, Z%d", n, p, x)
}

// expPack writes the probabilities of a row, before their division by the sum.
//
// size: one instruction a line.
func (r rowFunc) expPack() {
	r.text("expPackAVX512", "(dst unsafe.Pointer, x []float32, step int, m, scale float32) float32",
		"writes exp2((x-m)*scale) as chunks of 32 bf16, step bytes apart, the last one zero padded, and returns the sum.", 52)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ x_base+8(FP), SI")
	r.i("MOVQ x_len+16(FP), CX")
	r.i("MOVQ step+32(FP), R8")
	r.i("VBROADCASTSS m+40(FP), Z18")
	r.i("VBROADCASTSS scale+44(FP), Z19")
	r.quickConstants()
	r.zero(16, 17)
	body := func() {
		for k := range 2 {
			r.i("VSUBPS Z18, Z%d, Z%d", k, k)
			r.i("VMULPS Z19, Z%d, Z%d", k, k)
			r.quickExp(k, 2+k, 4+k)
		}
	}
	add := func() {
		r.i("VADDPS Z0, Z16, Z16")
		r.i("VADDPS Z1, Z17, Z17")
		r.i("%s // vcvtne2ps2bf16 z2, z1, z0", evex(0x72, ppF2, 2, 1, 0))
		r.i("VMOVUPS Z2, (DI)")
	}
	r.i("MOVQ CX, BX")
	r.i("ANDQ $31, BX")
	r.i("SHRQ $5, CX")
	r.i("JZ rest")
	r.p("whole:")
	r.i("VMOVUPS (SI), Z0")
	r.i("VMOVUPS 64(SI), Z1")
	body()
	add()
	r.i("ADDQ $128, SI")
	r.i("ADDQ R8, DI")
	r.i("DECQ CX")
	r.i("JNZ whole")
	r.p("rest:")
	r.i("TESTQ BX, BX")
	r.i("JZ done")
	r.pairMasks()
	r.i("VMOVUPS.Z (SI), K1, Z0")
	r.i("VMOVUPS.Z 64(SI), K2, Z1")
	body()
	r.i("VMOVAPS.Z Z0, K1, Z0")
	r.i("VMOVAPS.Z Z1, K2, Z1")
	add()
	r.p("done:")
	r.i("VADDPS Z17, Z16, Z0")
	r.i("VEXTRACTF64X4 $1, Z0, Y1")
	r.i("VADDPS Y1, Y0, Y0")
	r.i("VEXTRACTF128 $1, Y0, X1")
	r.i("VADDPS X1, X0, X0")
	r.i("VPERMILPS $0x4e, X0, X1")
	r.i("VADDPS X1, X0, X0")
	r.i("VPERMILPS $0xb1, X0, X1")
	r.i("VADDPS X1, X0, X0")
	r.i("VMOVSS X0, ret+48(FP)")
	r.ret()
}

// pairMasks makes K1 and K2 the masks of the first BX of 32 lanes.
func (r rowFunc) pairMasks() {
	r.i("MOVQ BX, CX")
	r.i("MOVQ $1, AX")
	r.i("SHLQ CX, AX")
	r.i("DECQ AX")
	r.i("KMOVW AX, K1")
	r.i("SHRQ $16, AX")
	r.i("KMOVW AX, K2")
}

// pairRows writes the panels of values: two rows become one row of pairs.
func (r rowFunc) pairRows() {
	r.text("pairRowsAVX512", "(dst, src unsafe.Pointer, pairs, stride, cols int)",
		"writes rows 2i and 2i+1 of src, stride floats apart, as row i of 32 pairs of bf16, those from cols <= 32 on zero.", 40)
	r.i("MOVQ dst+0(FP), DI")
	r.i("MOVQ src+8(FP), SI")
	r.i("MOVQ pairs+16(FP), DX")
	r.i("MOVQ stride+24(FP), R8")
	r.i("MOVQ cols+32(FP), BX")
	r.i("SHLQ $2, R8")
	r.i("VMOVUPS pairOrder<>(SB), Z6")
	r.pairMasks()
	r.p("pair:")
	r.i("VMOVUPS.Z (SI), K1, Z0")
	r.i("VMOVUPS.Z 64(SI), K2, Z1")
	r.i("ADDQ R8, SI")
	r.i("VMOVUPS.Z (SI), K1, Z2")
	r.i("VMOVUPS.Z 64(SI), K2, Z3")
	r.i("ADDQ R8, SI")
	r.i("%s // vcvtne2ps2bf16 z4, z2, z0", evex(0x72, ppF2, 4, 2, 0))
	r.i("%s // vcvtne2ps2bf16 z5, z3, z1", evex(0x72, ppF2, 5, 3, 1))
	r.i("VPERMW Z4, Z6, Z4")
	r.i("VPERMW Z5, Z6, Z5")
	r.i("VMOVUPS Z4, (DI)")
	r.i("VMOVUPS Z5, 64(DI)")
	r.i("ADDQ $128, DI")
	r.i("DECQ DX")
	r.i("JNZ pair")
	r.ret()
	r.p("")
	for i := range 8 {
		a, b := 2*i, 2*i+1
		r.p("DATA pairOrder<>+%d(SB)/8, $0x%04x%04x%04x%04x", 8*i, b+16, b, a+16, a)
	}
	r.p("GLOBL pairOrder<>(SB), RODATA|NOPTR, $64")
}
