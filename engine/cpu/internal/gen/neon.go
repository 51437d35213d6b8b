package main

import "fmt"

// Tiles of arm64: 6 rows by 4 registers of 4 columns. The Go assembler has no multiply-add by element, so those are
// encoded here. Registers: V0 to V23 sums, V24 and V25 the panel, V26 to V31 two words of each row.

const (
	neonRows  = 6
	neonPanel = 24
	neonLeft  = 26
)

func neonTiles(f *file) {
	for _, k := range []struct {
		name, doc string
		wide      bool
	}{{"F32NEON", "f32 by f32", false}, {"WideNEON", "f32 by bf16, widened", true}} {
		for r := 1; r <= neonRows; r++ {
			f.neonTile(k.name, k.doc, r, k.wide)
		}
		tileKind{name: k.name, doc: k.doc, rows: neonRows}.table(f)
	}
}

// size: one instruction a line.
func (f *file) neonTile(name, doc string, r int, wide bool) {
	f.text(fmt.Sprintf("tile%s%d", name, r), "(steps int, a, b, c unsafe.Pointer, ldc int, acc bool)",
		fmt.Sprintf("multiplies %d rows, %s.", r, doc), 41)
	f.i("MOVD steps+0(FP), R0")
	f.i("MOVD a+8(FP), R1")
	f.i("MOVD b+16(FP), R2")
	f.i("MOVD c+24(FP), R3")
	f.i("MOVD ldc+32(FP), R4")
	f.i("LSL $2, R4, R4")
	f.i("MOVBU acc+40(FP), R5")
	f.i("CBZ R5, zero")
	f.i("MOVD R3, R6")
	for i := range r {
		f.i("VLD1 (R6), [V%d.S4, V%d.S4, V%d.S4, V%d.S4]", 4*i, 4*i+1, 4*i+2, 4*i+3)
		f.i("ADD R4, R6, R6")
	}
	f.i("B chunk")
	f.p("zero:")
	for i := range 4 * r {
		f.i("VEOR V%d.B16, V%d.B16, V%d.B16", i, i, i)
	}
	f.p("chunk:")
	f.i("MOVD $16, R7")
	f.i("CMP R7, R0")
	f.i("CSEL LT, R0, R7, R7")
	f.i("SUB R7, R0, R0")
	f.p("step:")
	for i := range r {
		f.i("FMOVD %d(R1), F%d", 64*i, neonLeft+i)
	}
	for u := range 2 {
		for half := range 2 {
			for j := range 2 {
				v, off := neonPanel+j, 64*u+32*half+16*j
				if wide {
					off = 32*half + 16*j
				}
				f.i("FMOVQ %d(R2), F%d", off, v)
				if wide && u == 1 {
					f.i("VUSHR $16, V%d.S4, V%d.S4", v, v)
				}
				if wide {
					f.i("VSHL $16, V%d.S4, V%d.S4", v, v)
				}
			}
			for i := range r {
				for j := range 2 {
					d, n, m := 4*i+2*half+j, neonPanel+j, neonLeft+i
					f.i("WORD $0x%08x // fmla v%d.4s, v%d.4s, v%d.s[%d]", fmla(d, n, m, u), d, n, m, u)
				}
			}
		}
	}
	f.i("ADD $8, R1, R1")
	if wide {
		f.i("ADD $64, R2, R2")
	} else {
		f.i("ADD $128, R2, R2")
	}
	f.i("SUBS $2, R7, R7")
	f.i("BNE step")
	if r > 1 {
		f.i("ADD $%d, R1, R1", 64*(r-1))
	}
	f.i("CBNZ R0, chunk")
	for i := range r {
		f.i("VST1 [V%d.S4, V%d.S4, V%d.S4, V%d.S4], (R3)", 4*i, 4*i+1, 4*i+2, 4*i+3)
		f.i("ADD R4, R3, R3")
	}
	f.i("RET")
}

// fmla encodes FMLA Vd.4S, Vn.4S, Vm.S[idx] for idx 0 or 1.
func fmla(d, n, m, idx int) int {
	return 0x4f801000 | idx<<21 | m<<16 | n<<5 | d
}
