package main

import (
	"fmt"
	"math"
)

// isa is an instruction set that row functions are written for.
type isa struct {
	name  string
	reg   string
	lanes int
	shift int // log2 of lanes
}

var sets = []isa{{"AVX512", "Z", 16, 4}, {"AVX2", "Y", 8, 3}}

// constants are laid out as 16 copies each, so that they can be operands of any width.
var constants = []struct {
	name string
	bits uint32
}{
	{"expHi", f32(89)}, // above it e^x is +Inf
	{"expLo", f32(-105)},
	{"log2e", f32(1.44269504088896341)},
	{"ln2Hi", f32(0.693359375)},
	{"ln2Lo", f32(-2.12194440e-4)},
	{"exp0", f32(1.9875691500e-4)},
	{"exp1", f32(1.3981999507e-3)},
	{"exp2", f32(8.3334519073e-3)},
	{"exp3", f32(4.1665795894e-2)},
	{"exp4", f32(1.6666665459e-1)},
	{"exp5", f32(5.0000001201e-1)},
	{"one", f32(1)},
	{"bias", 127},
	{"sign", 0x80000000},
	{"negInf", 0xff800000},
	{"maxFloat", 0x7f7fffff},
	{"floor", f32(-200)},
	{"round", 0x7fff},
	{"unit", 1},
	{"high", 0xffff0000},
	{"abs", 0x7fffffff},
	{"flip", 0x80808080},
	{"minusEight", 0xfffffff8},
	{"seven", 7},
	{"nibble", 15},
	{"pairUp", 0x10011001},
	{"minusEighth", f32(-0.125)},
	{"scaleRound", 0x3ffff},
	{"scaleKeep", 0xfff80000},
	{"infinity", 0x7f800000},
	{"minusLog2e", f32(-1.44269504088896341)},
	{"exp2Lo", f32(-200)},
	{"exp2c4", f32(0.00961812910762848)},
	{"exp2c3", f32(0.0555041086648216)},
	{"exp2c2", f32(0.240226506959101)},
	{"exp2c1", f32(0.693147180559945)},
	{"geluA", f32(2 * 0.7978845608028654)},
	{"geluB", f32(2 * 0.7978845608028654 * 0.044715)},
}

func f32(v float64) uint32 { return math.Float32bits(float32(v)) }

// c is the memory operand of a constant.
func c(name string) string {
	for i, k := range constants {
		if k.name == name {
			return fmt.Sprintf("rowConst<>+%d(SB)", 64*i)
		}
	}
	panic("gen: no constant " + name)
}

// rowFunc writes one function for one instruction set.
type rowFunc struct {
	*file
	isa
}

// writeConstants writes the table of constants, which each file has its own of.
func writeConstants(f *file) {
	f.p("")
	for i, k := range constants {
		for j := 0; j < 16; j += 2 {
			f.p("DATA rowConst<>+%d(SB)/8, $0x%08x%08x", 64*i+4*j, k.bits, k.bits)
		}
	}
	f.p("GLOBL rowConst<>(SB), RODATA|NOPTR, $%d", 64*len(constants))
}

func rows(f *file) {
	writeConstants(f)
	// A sliding window over this gives a mask of the first n lanes.
	for i := range 8 {
		v := "0xffffffffffffffff"
		if i >= 4 {
			v = "0"
		}
		f.p("DATA rowMask<>+%d(SB)/8, $%s", 8*i, v)
	}
	f.p("GLOBL rowMask<>(SB), RODATA|NOPTR, $64")
	for _, s := range sets {
		r := rowFunc{f, s}
		r.reductions()
		r.elementwise()
		r.exponentials()
		r.candidates()
		r.packing()
		r.unpackGroups()
	}
	f.p("")
	for i := range 8 {
		f.p("DATA nibbles<>+%d(SB)/8, $0x%08x%08x", 8*i, f32(float64((2*i+9)%16-8)), f32(float64((2*i+8)%16-8)))
	}
	f.p("GLOBL nibbles<>(SB), RODATA|NOPTR, $64")
	r := rowFunc{f, sets[0]}
	r.packPairs()
	r.packBytes()
	r.quantiseGroups()
	r.expPack()
	r.pairRows()
	r.nextCandidate()
	r.columns()
	r.unroll()
	r.peak("BF16", dpbf16)
}

// v is register n at full width.
func (r rowFunc) v(n int) string { return fmt.Sprintf("%s%d", r.reg, n) }

// maskReg holds the mask of the tail on AVX2.
const maskReg = "Y15"

// loop runs body over n elements (in CX) a register at a time; the last, partial one is masked. ptrs advance.
func (r rowFunc) loop(ptrs []string, body func(tail bool)) {
	loop, tail, done := r.label("loop"), r.label("tail"), r.label("done")
	r.i("MOVQ CX, BX")
	r.i("ANDQ $%d, BX", r.lanes-1)
	r.i("SHRQ $%d, CX", r.shift)
	r.i("JZ %s", tail)
	r.i("PCALIGN $16")
	r.p("%s:", loop)
	body(false)
	for _, p := range ptrs {
		r.i("ADDQ $%d, %s", 4*r.lanes, p)
	}
	r.i("DECQ CX")
	r.i("JNZ %s", loop)
	r.p("%s:", tail)
	r.i("TESTQ BX, BX")
	r.i("JZ %s", done)
	if r.lanes == 16 {
		r.i("MOVQ BX, CX")
		r.i("MOVL $1, AX")
		r.i("SHLL CX, AX")
		r.i("DECL AX")
		r.i("KMOVW AX, K1")
	} else {
		r.i("LEAQ rowMask<>+32(SB), AX")
		r.i("SHLQ $2, BX")
		r.i("SUBQ BX, AX")
		r.i("VMOVDQU (AX), %s", maskReg)
	}
	body(true)
	r.p("%s:", done)
}

// load reads a register; lanes beyond the tail are zero.
func (r rowFunc) load(tail bool, ptr string, d int) {
	switch {
	case !tail:
		r.i("VMOVUPS (%s), %s", ptr, r.v(d))
	case r.lanes == 16:
		r.i("VMOVUPS.Z (%s), K1, %s", ptr, r.v(d))
	default:
		r.i("VMASKMOVPS (%s), %s, %s", ptr, maskReg, r.v(d))
	}
}

// store writes a register, the tail's lanes only.
func (r rowFunc) store(tail bool, s int, ptr string) {
	switch {
	case !tail:
		r.i("VMOVUPS %s, (%s)", r.v(s), ptr)
	case r.lanes == 16:
		r.i("VMOVUPS %s, K1, (%s)", r.v(s), ptr)
	default:
		r.i("VMASKMOVPS %s, %s, (%s)", r.v(s), maskReg, ptr)
	}
}

// keep zeroes the lanes of d beyond the tail.
func (r rowFunc) keep(tail bool, d int) {
	switch {
	case !tail:
	case r.lanes == 16:
		r.i("VMOVAPS.Z %s, K1, %s", r.v(d), r.v(d))
	default:
		r.i("VANDPS %s, %s, %s", maskReg, r.v(d), r.v(d))
	}
}

// fill puts -Inf into the lanes of d beyond the tail; t is scratch.
func (r rowFunc) fill(tail bool, d, t int) {
	switch {
	case !tail:
	case r.lanes == 16:
		r.i("VMOVUPS %s, %s", c("negInf"), r.v(t))
		r.i("VMOVAPS %s, K1, %s", r.v(d), r.v(t))
		r.i("VMOVAPS %s, %s", r.v(t), r.v(d))
	default:
		r.i("VMOVUPS %s, %s", c("negInf"), r.v(t))
		r.i("VBLENDVPS %s, %s, %s, %s", maskReg, r.v(d), r.v(t), r.v(d))
	}
}

// args loads slice bases and the first slice's length: names in order, registers DI, SI, DX, R8.
func (r rowFunc) args(names ...string) {
	for i, n := range names {
		r.i("MOVQ %s_base+%d(FP), %s", n, 24*i, ptrRegs[i])
	}
	r.i("MOVQ %s_len+8(FP), CX", names[0])
}

var ptrRegs = []string{"DI", "SI", "DX", "R8"}

// ret ends a function without a result in a register.
func (r rowFunc) ret() {
	r.i("VZEROUPPER")
	r.i("RET")
}

// widenAdd adds the lanes of d, as f64, to accumulators a and a+1; t is scratch.
func (r rowFunc) widenAdd(d, a, t int) {
	if r.lanes == 16 {
		r.i("VCVTPS2PD Y%d, Z%d", d, t)
		r.i("VADDPD Z%d, Z%d, Z%d", t, a, a)
		r.i("VEXTRACTF64X4 $1, Z%d, Y%d", d, t)
		r.i("VCVTPS2PD Y%d, Z%d", t, t)
		r.i("VADDPD Z%d, Z%d, Z%d", t, a+1, a+1)
		return
	}
	r.i("VCVTPS2PD X%d, Y%d", d, t)
	r.i("VADDPD Y%d, Y%d, Y%d", t, a, a)
	r.i("VEXTRACTF128 $1, Y%d, X%d", d, t)
	r.i("VCVTPS2PD X%d, Y%d", t, t)
	r.i("VADDPD Y%d, Y%d, Y%d", t, a+1, a+1)
}

// sumDouble leaves the sum of accumulators a and a+1 in X<a>.
func (r rowFunc) sumDouble(a, t int) {
	r.i("VADDPD %s, %s, %s", r.v(a+1), r.v(a), r.v(a))
	if r.lanes == 16 {
		r.i("VEXTRACTF64X4 $1, Z%d, Y%d", a, t)
		r.i("VADDPD Y%d, Y%d, Y%d", t, a, a)
	}
	r.i("VEXTRACTF128 $1, Y%d, X%d", a, t)
	r.i("VADDPD X%d, X%d, X%d", t, a, a)
	r.i("VPERMILPD $1, X%d, X%d", a, t)
	r.i("VADDSD X%d, X%d, X%d", t, a, a)
}

func (r rowFunc) zero(regs ...int) {
	for _, d := range regs {
		r.i("VXORPS %s, %s, %s", r.v(d), r.v(d), r.v(d))
	}
}

// reductions: sums in f64, the largest element.
//
// size: one instruction a line.
func (r rowFunc) reductions() {
	r.text("sum"+r.name, "(x []float32) float64", "returns the sum of x.", 32)
	r.args("x")
	r.zero(0, 1)
	r.loop([]string{"DI"}, func(tail bool) {
		r.load(tail, "DI", 2)
		r.widenAdd(2, 0, 3)
	})
	r.sumDouble(0, 2)
	r.i("VMOVSD X0, ret+24(FP)")
	r.ret()

	r.text("sumSqDev"+r.name, "(x []float32, mean float32) float64", "returns the sum of (x-mean)^2.", 40)
	r.args("x")
	r.i("VBROADCASTSS mean+24(FP), %s", r.v(4))
	r.zero(0, 1)
	r.loop([]string{"DI"}, func(tail bool) {
		r.load(tail, "DI", 2)
		r.i("VSUBPS %s, %s, %s", r.v(4), r.v(2), r.v(2))
		r.i("VMULPS %s, %s, %s", r.v(2), r.v(2), r.v(2))
		r.keep(tail, 2)
		r.widenAdd(2, 0, 3)
	})
	r.sumDouble(0, 2)
	r.i("VMOVSD X0, ret+32(FP)")
	r.ret()

	r.text("maxOf"+r.name, "(x []float32) float32", "returns the largest element; NaN is skipped.", 28)
	r.args("x")
	r.i("VMOVUPS %s, %s", c("negInf"), r.v(0))
	r.loop([]string{"DI"}, func(tail bool) {
		r.load(tail, "DI", 1)
		r.fill(tail, 1, 2)
		r.i("VMAXPS %s, %s, %s", r.v(0), r.v(1), r.v(0)) // a NaN in the first source gives the second
	})
	if r.lanes == 16 {
		r.i("VEXTRACTF64X4 $1, Z0, Y1")
		r.i("VMAXPS Y1, Y0, Y0")
	}
	r.i("VEXTRACTF128 $1, Y0, X1")
	r.i("VMAXPS X1, X0, X0")
	r.i("VPERMILPS $0x4e, X0, X1")
	r.i("VMAXPS X1, X0, X0")
	r.i("VPERMILPS $0xb1, X0, X1")
	r.i("VMAXPS X1, X0, X0")
	r.i("VMOVSS X0, ret+24(FP)")
	r.ret()

	r.text("maxBits"+r.name, "(x []float32) uint32", "returns the largest bits of |x|, which order as the numbers do, infinities and NaN last.", 28)
	r.args("x")
	r.zero(0)
	r.loop([]string{"DI"}, func(tail bool) {
		r.load(tail, "DI", 1)
		r.i("VANDPS %s, %s, %s", c("abs"), r.v(1), r.v(1))
		r.i("VPMAXUD %s, %s, %s", r.v(1), r.v(0), r.v(0))
	})
	if r.lanes == 16 {
		r.i("VEXTRACTI64X4 $1, Z0, Y1")
		r.i("VPMAXUD Y1, Y0, Y0")
	}
	r.i("VEXTRACTI128 $1, Y0, X1")
	r.i("VPMAXUD X1, X0, X0")
	r.i("VPSHUFD $0x4e, X0, X1")
	r.i("VPMAXUD X1, X0, X0")
	r.i("VPSHUFD $0xb1, X0, X1")
	r.i("VPMAXUD X1, X0, X0")
	r.i("VMOVD X0, AX")
	r.i("MOVL AX, ret+24(FP)")
	r.ret()

	r.text("dotDev"+r.name, "(e, l []float32, m float32) float64", "returns the sum of e*max(l-m, -200).", 64)
	r.args("e", "l")
	r.i("VBROADCASTSS m+48(FP), %s", r.v(4))
	r.zero(0, 1)
	r.loop([]string{"DI", "SI"}, func(tail bool) {
		r.load(tail, "DI", 2)
		r.load(tail, "SI", 3)
		r.i("VSUBPS %s, %s, %s", r.v(4), r.v(3), r.v(3))
		r.i("VMAXPS %s, %s, %s", c("floor"), r.v(3), r.v(3))
		r.i("VMULPS %s, %s, %s", r.v(3), r.v(2), r.v(2))
		r.widenAdd(2, 0, 3)
	})
	r.sumDouble(0, 2)
	r.i("VMOVSD X0, ret+56(FP)")
	r.ret()
}
