package main

// candidates: what Pick needs of a row of logits.
func (r rowFunc) candidates() {
	r.text("topTwo"+r.name, "(x []float32, lanes *[32]float32)",
		"makes NaN -Inf and +Inf the largest float, and writes the two largest of each lane to lanes[:16] and lanes[16:].", 32)
	r.args("x")
	r.i("MOVQ lanes+24(FP), DX")
	r.i("VMOVUPS %s, %s", c("negInf"), r.v(0))
	r.i("VMOVUPS %s, %s", c("negInf"), r.v(1))
	r.loop([]string{"DI"}, func(tail bool) {
		r.load(tail, "DI", 2)
		r.i("VMAXPS %s, %s, %s", c("negInf"), r.v(2), r.v(2)) // a NaN in the first source gives the second
		r.i("VMINPS %s, %s, %s", c("maxFloat"), r.v(2), r.v(2))
		r.store(tail, 2, "DI")
		r.fill(tail, 2, 3)
		r.i("VMINPS %s, %s, %s", r.v(0), r.v(2), r.v(3))
		r.i("VMAXPS %s, %s, %s", r.v(3), r.v(1), r.v(1))
		r.i("VMAXPS %s, %s, %s", r.v(2), r.v(0), r.v(0))
	})
	r.i("VMOVUPS %s, (DX)", r.v(0))
	r.i("VMOVUPS %s, 64(DX)", r.v(1))
	r.ret()

	r.text("indexOf"+r.name, "(x []float32, v float32) int", "returns the first index of v in x, or len(x).", 40)
	r.args("x")
	r.i("VBROADCASTSS v+24(FP), %s", r.v(0))
	r.i("MOVQ DI, R9")
	r.loop([]string{"DI"}, func(tail bool) {
		// Lanes beyond the tail read as 0 and may match; the index is then len(x) or more.
		r.load(tail, "DI", 1)
		next := r.label("next")
		if r.lanes == 16 {
			r.i("VCMPPS $0, Z1, Z0, K2")
			r.i("KMOVW K2, AX")
		} else {
			r.i("VCMPPS $0, Y1, Y0, Y1")
			r.i("VMOVMSKPS Y1, AX")
		}
		r.i("TESTL AX, AX")
		r.i("JZ %s", next)
		r.i("BSFL AX, AX")
		r.i("SUBQ R9, DI")
		r.i("SHRQ $2, DI")
		r.i("ADDQ DI, AX")
		r.i("MOVQ x_len+8(FP), CX")
		r.i("CMPQ AX, CX")
		r.i("CMOVQGT CX, AX")
		r.i("MOVQ AX, ret+32(FP)")
		r.ret()
		r.p("%s:", next)
	})
	r.i("MOVQ x_len+8(FP), AX")
	r.i("MOVQ AX, ret+32(FP)")
	r.ret()
}

// nextCandidate writes the search for the next candidate that can win a draw: the generator of tensor.NoiseBits on eight
// ids at a time. 1-u is bounded from below by its first 24 bits.
//
// size: one instruction a line.
func (r rowFunc) nextCandidate() {
	r.text("nextCandidateAVX512", "(e []float32, key uint64, bound float32) int",
		"returns the first i with 1-u(key, i) < e[i]*bound, or a little more, or len(e).", 48)
	r.args("e")
	r.i("MOVQ DI, R9")
	r.i("VBROADCASTSS bound+32(FP), Y0")
	r.i("VPBROADCASTQ key+24(FP), Z1")
	// Z2: key + golden * (id+1) for the eight ids of a step; Z3: its increment.
	r.i("MOVQ $0x9e3779b97f4a7c15, AX")
	r.i("VPBROADCASTQ AX, Z4")
	r.i("VPMULLQ candidateIds<>(SB), Z4, Z2")
	r.i("VPADDQ Z1, Z2, Z2")
	r.i("VPSLLQ $3, Z4, Z3")
	r.i("MOVQ $0xbf58476d1ce4e5b9, AX")
	r.i("VPBROADCASTQ AX, Z4")
	r.i("MOVQ $0x94d049bb133111eb, AX")
	r.i("VPBROADCASTQ AX, Z5")
	r.i("MOVL $0x33800000, AX") // 2^-24
	r.i("VPBROADCASTD AX, Y6")
	r.i("VPTERNLOGQ $0xff, Z7, Z7, Z7")
	eight := isaLoop{rowFunc: r, lanes: 8}
	eight.run(func(tail bool) {
		next := r.label("next")
		if tail {
			r.i("VMOVUPS.Z (DI), K1, Y8")
		} else {
			r.i("VMOVUPS (DI), Y8")
		}
		r.i("VMULPS Y0, Y8, Y8")
		r.i("VPSRLQ $30, Z2, Z9")
		r.i("VPXORQ Z9, Z2, Z9")
		r.i("VPMULLQ Z4, Z9, Z9")
		r.i("VPSRLQ $27, Z9, Z10")
		r.i("VPXORQ Z10, Z9, Z9")
		r.i("VPMULLQ Z5, Z9, Z9")
		r.i("VPSRLQ $31, Z9, Z10")
		r.i("VPXORQ Z10, Z9, Z9")
		r.i("VPXORQ Z7, Z9, Z9") // all bits turned: 1-u
		r.i("VPSRLQ $40, Z9, Z9")
		r.i("VPMOVQD Z9, Y9")
		r.i("VCVTDQ2PS Y9, Y9")
		r.i("VMULPS Y6, Y9, Y9")
		r.i("VPADDQ Z3, Z2, Z2")
		r.i("VCMPPS $1, Y8, Y9, K2") // Y9 < Y8
		r.i("KMOVW K2, AX")
		r.i("TESTL AX, AX")
		r.i("JZ %s", next)
		r.i("BSFL AX, AX")
		r.i("SUBQ R9, DI")
		r.i("SHRQ $2, DI")
		r.i("ADDQ DI, AX")
		r.i("MOVQ AX, ret+40(FP)")
		r.ret()
		r.p("%s:", next)
	})
	r.i("MOVQ e_len+8(FP), AX")
	r.i("MOVQ AX, ret+40(FP)")
	r.ret()
	r.p("")
	for i := range 8 {
		r.p("DATA candidateIds<>+%d(SB)/8, $%d", 8*i, i+1)
	}
	r.p("GLOBL candidateIds<>(SB), RODATA|NOPTR, $64")
}

// isaLoop is loop for eight lanes of a 512-bit set, with the same tail mask.
type isaLoop struct {
	rowFunc
	lanes int
}

func (l isaLoop) run(body func(tail bool)) {
	r := l.rowFunc
	r.lanes, r.shift = l.lanes, 3
	loop, tail, done := r.label("loop"), r.label("tail"), r.label("done")
	r.i("MOVQ CX, BX")
	r.i("ANDQ $7, BX")
	r.i("SHRQ $3, CX")
	r.i("JZ %s", tail)
	r.p("%s:", loop)
	body(false)
	r.i("ADDQ $32, DI")
	r.i("DECQ CX")
	r.i("JNZ %s", loop)
	r.p("%s:", tail)
	r.i("TESTQ BX, BX")
	r.i("JZ %s", done)
	r.i("MOVQ BX, CX")
	r.i("MOVL $1, AX")
	r.i("SHLL CX, AX")
	r.i("DECL AX")
	r.i("KMOVW AX, K1")
	body(true)
	r.p("%s:", done)
}
