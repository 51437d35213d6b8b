package main

import "fmt"

// Tiles of the matrix unit (AMX): 32 rows by 32 columns in four accumulators of 16 by 16. The Go assembler does not know
// these instructions, so they are encoded here: VEX.128, map 0F38, W0.
//
// Registers: T0 T1 the upper rows, T2 T3 the lower ones, T4 T5 the left operand, T6 T7 the panel.

// VEX prefixes.
const (
	vexNone = iota
	vex66
	vexF3
	vexF2
)

// Numbers of general registers in encodings.
const (
	regAX  = 0
	regDX  = 2
	regBX  = 3
	regR8  = 8
	regR9  = 9
	regR10 = 10
	regR11 = 11
	regR12 = 12
	regR13 = 13
)

// raw writes bytes, and what they mean as a comment.
func (f *file) raw(comment string, code ...byte) {
	s := ""
	for len(code) >= 4 {
		s += fmt.Sprintf("LONG $0x%02x%02x%02x%02x; ", code[3], code[2], code[1], code[0])
		code = code[4:]
	}
	for _, c := range code {
		s += fmt.Sprintf("BYTE $0x%02x; ", c)
	}
	f.i("%s// %s", s, comment)
}

// vex is the prefix and opcode: r, x and b are the high bits of the three register fields, v the second source.
func vex(pp, opcode, r, x, b, v int) []byte {
	high := func(n int) int { return (^n >> 3) & 1 }
	return []byte{0xc4, byte(high(r)<<7 | high(x)<<6 | high(b)<<5 | 2), byte((^v&15)<<3 | pp), byte(opcode)}
}

// tileMemory writes a load or store of tile t at base + row*index + disp.
func (f *file) tileMemory(name string, pp, t, base, index, disp int) {
	code := append(vex(pp, 0x4b, t, index, base, 0), byte(2<<6|t<<3|4), byte((index&7)<<3|base&7),
		byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
	f.raw(fmt.Sprintf("%s t%d, %d(r%d)(r%d*1)", name, t, disp, base, index), code...)
}

func (f *file) tileLoad(t, base, index, disp int) {
	f.tileMemory("tileloadd", vexF2, t, base, index, disp)
}

// tileStream is tileLoad of what does not come again soon: it leaves the first-level cache to the other operand.
func (f *file) tileStream(t, base, index, disp int) {
	f.tileMemory("tileloaddt1", vex66, t, base, index, disp)
}

func (f *file) tileStore(t, base, index, disp int) {
	f.tileMemory("tilestored", vexF3, t, base, index, disp)
}

func (f *file) tileZero(t int) {
	f.raw(fmt.Sprintf("tilezero t%d", t), append(vex(vexF2, 0x49, t, 0, 0, 0), byte(0xc0|t<<3))...)
}

// tileConfig loads the shapes of the tiles from the 64 bytes at AX.
func (f *file) tileConfig() {
	f.raw("ldtilecfg (ax)", append(vex(vexNone, 0x49, 0, 0, regAX, 0), 0)...)
}

func (f *file) tileRelease() {
	f.raw("tilerelease", append(vex(vexNone, 0x49, 0, 0, 0, 0), 0xc0)...)
}

// dot is a product of tiles: d += a*b.
type dot struct {
	name       string
	pp, opcode int
}

var (
	dotBF16  = dot{"tdpbf16ps", vexF3, 0x5c}
	dotBytes = dot{"tdpbusd", vex66, 0x5e}
)

func (f *file) tileDot(k dot, d, a, b int) {
	f.raw(fmt.Sprintf("%s t%d, t%d, t%d", k.name, d, a, b), append(vex(k.pp, k.opcode, d, 0, 0, b), byte(0xc0|d<<3|a))...)
}

// Offsets in the Go struct tileRun.
const (
	runA       = 64
	runB       = 72
	runC       = 80
	runAStep   = 88
	runBStep   = 96
	runCStep   = 104
	runChunk   = 112
	runLDC     = 120
	runChunks  = 128
	runN       = 136
	runLower   = 144
	runAcc     = 152
	runRows    = 160
	runOut     = 168
	runOutLDC  = 176
	runOutStep = 184
	runWeights = 192
	runSums    = 200
	runBias    = 208
	runUnits   = 216
	runOutAt   = 224
	runUnitsAt = 232
	runWStep   = 240
	runUStep   = 248
	runWAt     = 256
	runAhead   = 264
	runOutAdd  = 272
	runUp      = 280
)

// amx writes the products of the matrix unit and its peaks.
func amx(f *file) {
	writeConstants(f)
	for _, k := range []struct {
		name, doc    string
		left, panels func(t, base, index, disp int)
		fetch        int
	}{
		{"Down", "strips that pass by one panel", f.tileStream, f.tileLoad, 8},
		{"Across", "panels that pass by one strip", f.tileLoad, f.tileStream, 32},
	} {
		m := matrixProduct{file: f, left: k.left, panels: k.panels, fetch: k.fetch}
		m.dot, m.rows = dotBF16, 2
		m.write("productBF16"+k.name+"AMX", k.doc+": pairs of bf16, sums in f32")
		m.dot, m.rows, m.finish = dotBytes, 4, true
		m.write("productI8"+k.name+"AMX", k.doc+": words of four bytes, sums in i32, which become numbers")
	}
	gate := matrixProduct{file: f, left: f.tileStream, panels: f.tileLoad, fetch: 8, dot: dotBF16, gate: true}
	gate.write("productGateAMX", "strips that pass by half a panel each of two weights, pairs of bf16; silu of the one sums times the other go to chunks of bf16")
	for _, k := range []struct {
		name string
		dot  dot
	}{{"peakBF16AMX", dotBF16}, {"peakI8AMX", dotBytes}} {
		f.text(k.name, "(n int, p *unitPeak)", "does n times four multiply-adds of whole tiles.", 16)
		f.i("MOVQ n+0(FP), CX")
		f.i("MOVQ p+8(FP), AX")
		f.tileConfig()
		f.i("MOVQ $64, R10")
		for t := range 8 {
			if t < 4 {
				f.tileZero(t)
			} else {
				f.tileLoad(t, regAX, regR10, 64)
			}
		}
		f.p("loop:")
		for t := range 4 {
			f.tileDot(k.dot, t, 4+t/2, 6+t%2)
		}
		f.i("DECQ CX")
		f.i("JNZ loop")
		f.tileRelease()
		f.i("RET")
	}
}

// matrixProduct is a product of n blocks of up to 32 by 32.
type matrixProduct struct {
	*file
	dot          dot
	left, panels func(t, base, index, disp int) // loads of either operand
	fetch        int                            // lines of panels to come that a step asks for
	rows         int                            // rows of the result that a step asks for
	finish       bool
	gate         bool // the right half of a block comes from another weight
}

// fetches asks the second-level cache for lines [lo, hi) of a step's share of panels to come.
func (f matrixProduct) fetches(lo, hi int) {
	for i := lo; i < hi; i++ {
		f.i("PREFETCHT1 %d(R14)", 64*i)
	}
}

// write writes one function. The tiles are configured, used and released inside the
// call: their state belongs to the thread, and a goroutine keeps its thread while it is in here.
//
// size: one instruction a line.
func (f matrixProduct) write(name, doc string) {
	k := f.dot
	f.text(name, "(p *tileRun)", "does the products of p, "+doc+".", 8)
	f.i("MOVQ p+0(FP), AX")
	f.tileConfig()
	f.i("MOVQ %d(AX), SI", runA)
	f.i("MOVQ %d(AX), DI", runB)
	f.i("MOVQ %d(AX), DX", runC)
	f.i("MOVQ %d(AX), R8", runChunk)
	f.i("MOVQ %d(AX), R9", runLDC)
	f.i("MOVQ $64, R10")
	f.i("MOVQ $128, R11")
	f.i("MOVQ %d(AX), R15", runN)
	f.i("MOVQ %d(AX), R14", runAhead)
	if f.gate {
		f.row().quickConstants()
		f.i("VMOVUPS %s, Z26", c("minusLog2e"))
	}
	if f.finish || f.gate {
		// The cursors are no pointers to Go, because they end beyond what they point into.
		f.i("MOVQ %d(AX), BX", runOut)
		f.i("MOVQ BX, %d(AX)", runOutAt)
		f.i("MOVQ %d(AX), BX", runUnits)
		f.i("MOVQ BX, %d(AX)", runUnitsAt)
		f.i("MOVQ $0, %d(AX)", runWAt)
	}
	f.p("block:")
	f.i("MOVQ SI, BX")
	f.i("MOVQ DI, R12")
	f.i("MOVQ %d(AX), CX", runChunks)
	f.i("CMPQ %d(AX), $0", runLower)
	f.i("JEQ upper")
	for _, both := range []bool{true, false} {
		half := "both"
		rows := 2
		if !both {
			half, rows = "upper", 1
			f.p("upper:")
		}
		f.i("CMPQ %d(AX), $0", runAcc)
		f.i("JEQ %sZero", half)
		f.blockMemory(f.tileLoad, rows)
		f.i("JMP %sGo", half)
		f.p("%sZero:", half)
		for t := range 2 * rows {
			f.tileZero(t)
		}
		f.p("%sGo:", half)
		f.i("MOVQ DX, R13")
		switch {
		case f.finish:
			f.i("MOVQ %d(AX), R13", runOutAt)
		case f.gate:
			f.i("MOVQ %d(AX), R13", runUp)
		}
		f.i("PCALIGN $32")
		f.p("%sStep:", half)
		f.left(4, regBX, regR10, 0)
		f.panels(6, regR12, regR11, 0)
		f.tileDot(k, 0, 4, 6)
		f.fetches(0, f.fetch/2)
		if f.gate {
			f.panels(7, regR13, regR11, 0)
			f.i("ADDQ $2048, R13")
		} else {
			f.panels(7, regR12, regR11, 64)
		}
		f.tileDot(k, 1, 4, 7)
		f.fetches(f.fetch/2, f.fetch)
		f.i("ADDQ $%d, R14", 64*f.fetch)
		if both {
			f.left(5, regBX, regR10, 1024)
			f.tileDot(k, 2, 5, 6)
			f.tileDot(k, 3, 5, 7)
		}
		for range f.rows {
			f.raw("prefetchw (r13)", 0x41, 0x0f, 0x0d, 0x4d, 0)
			f.raw("prefetchw 64(r13)", 0x41, 0x0f, 0x0d, 0x4d, 64)
			f.i("ADDQ R9, R13")
		}
		f.i("ADDQ R8, BX")
		f.i("ADDQ $2048, R12")
		f.i("DECQ CX")
		f.i("JNZ %sStep", half)
		f.blockMemory(f.tileStore, rows)
		if both {
			f.i("JMP stored")
		}
	}
	f.p("stored:")
	if f.finish {
		f.finishBlock()
	}
	if f.gate {
		f.gateBlock()
	}
	f.i("ADDQ %d(AX), SI", runAStep)
	f.i("ADDQ %d(AX), DI", runBStep)
	f.i("ADDQ %d(AX), DX", runCStep)
	f.i("DECQ R15")
	f.i("JNZ block")
	f.tileRelease()
	f.i("VZEROUPPER")
	f.i("RET")
}

// blockMemory loads or stores the accumulators of one block: DX is its place, R9 the distance of rows.
func (f *file) blockMemory(op func(t, base, index, disp int), rows int) {
	op(0, regDX, regR9, 0)
	op(1, regDX, regR9, 64)
	if rows == 1 {
		return
	}
	f.i("MOVQ R9, R13")
	f.i("SHLQ $4, R13")
	f.i("ADDQ DX, R13")
	op(2, regR13, regR9, 0)
	op(3, regR13, regR9, 64)
}

// finishBlock turns the i32 sums at DX into numbers at out: (sum - sums)*units[r]*w + bias. out and units advance.
func (f *file) finishBlock() {
	f.i("CMPQ %d(AX), $0", runOutAt)
	f.i("JEQ next")
	f.i("MOVQ %d(AX), R12", runWeights)
	f.i("MOVQ %d(AX), R13", runSums)
	f.i("MOVQ %d(AX), BX", runBias)
	f.i("MOVQ %d(AX), CX", runWAt)
	for half := range 2 {
		f.i("VMOVUPS %d(R12)(CX*1), Z%d", 64*half, 2+half)
		f.i("VMOVUPS %d(R13)(CX*1), Z%d", 64*half, 4+half)
		f.i("VMOVUPS %d(BX)(CX*1), Z%d", 64*half, 6+half)
	}
	f.i("ADDQ %d(AX), CX", runWStep)
	f.i("MOVQ CX, %d(AX)", runWAt)
	f.i("MOVQ %d(AX), BX", runOutAt)
	f.i("MOVQ %d(AX), R12", runUnitsAt)
	f.i("MOVQ %d(AX), CX", runOutAdd)
	f.i("NEGQ CX")
	f.i("KMOVW CX, K1")
	f.i("MOVQ %d(AX), CX", runRows)
	f.i("MOVQ DX, R13")
	f.p("row:")
	f.i("VBROADCASTSS (R12), Z8")
	for half := range 2 {
		f.i("VMOVDQU32 %d(R13), Z%d", 64*half, half)
		f.i("VPSUBD Z%d, Z%d, Z%d", 4+half, half, half)
		f.i("VCVTDQ2PS Z%d, Z%d", half, half)
		f.i("VMULPS Z8, Z%d, Z%d", half, half)
		f.i("VFMADD213PS Z%d, Z%d, Z%d", 6+half, 2+half, half)
		f.i("VMOVUPS.Z %d(BX), K1, Z9", 64*half)
		f.i("VADDPS Z9, Z%d, Z%d", half, half)
		f.i("VMOVUPS Z%d, %d(BX)", half, 64*half)
	}
	f.i("ADDQ $4, R12")
	f.i("ADDQ R9, R13")
	f.i("ADDQ %d(AX), BX", runOutLDC)
	f.i("DECQ CX")
	f.i("JNZ row")
	f.i("MOVQ %d(AX), R12", runUStep)
	f.i("ADDQ R12, %d(AX)", runUnitsAt)
	f.i("MOVQ %d(AX), R12", runOutAt)
	f.i("ADDQ %d(AX), R12", runOutStep)
	f.i("MOVQ R12, %d(AX)", runOutAt)
	f.p("next:")
}

func (f matrixProduct) row() rowFunc { return rowFunc{f.file, sets[0]} }

// gateBlock writes silu(gate)*up of the block at DX, gate and up side by side, as half a chunk of bf16 a row at out.
func (f matrixProduct) gateBlock() {
	f.i("CMPQ %d(AX), $0", runOutAt)
	f.i("JEQ next")
	f.i("MOVQ %d(AX), BX", runOutAt)
	f.i("MOVQ %d(AX), CX", runRows)
	f.i("MOVQ DX, R13")
	f.p("row:")
	f.i("VMOVUPS (R13), Z0")
	f.i("VMULPS 64(R13), Z0, Z1")
	f.i("VMULPS Z26, Z0, Z2")
	f.row().quickExp(2, 3, 4)
	f.i("VADDPS Z25, Z2, Z2")
	f.i("VRCP14PS Z2, Z2") // 14 bits are enough for a result of 8
	f.i("VMULPS Z2, Z1, Z0")
	f.i("%s // vcvtneps2bf16 y0, z0", evex(0x72, ppF3, 0, 0, 0))
	f.i("VMOVDQU Y0, (BX)")
	f.i("ADDQ $64, BX")
	f.i("ADDQ R9, R13")
	f.i("DECQ CX")
	f.i("JNZ row")
	f.i("MOVQ %d(AX), R12", runOutAt)
	f.i("ADDQ %d(AX), R12", runOutStep)
	f.i("MOVQ R12, %d(AX)", runOutAt)
	f.p("next:")
}
