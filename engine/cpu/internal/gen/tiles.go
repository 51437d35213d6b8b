package main

import (
	"fmt"
	"strings"
)

// tileKind is one element type on one instruction set. A step multiplies one word of each of r rows with a row of the
// panel, which fills two registers.
type tileKind struct {
	name   string
	reg    string // register name without number
	bytes  int    // of a register
	rows   int    // the most rows that registers allow
	doc    string
	splat  string // broadcast of a word
	bBytes int    // bytes of half a panel row
	// load puts half a panel row at mem into register d; odd is true for the second of two steps.
	load func(f *file, mem string, d int, odd bool)
	// paired is true when a row of the panel serves two steps.
	paired bool
	// fma adds rows a times panel b to d; t is the broadcast register.
	fma func(f *file, d, a, b int)
}

func tiles(f *file) {
	f.p("")
	for i := range 8 {
		f.p("DATA tileHigh<>+%d(SB)/8, $0xffff0000ffff0000", 8*i)
	}
	f.p("GLOBL tileHigh<>(SB), RODATA|NOPTR, $64")
	plain := func(reg string) func(*file, string, int, bool) {
		return func(f *file, mem string, d int, _ bool) { f.i("VMOVUPS %s, %s%d", mem, reg, d) }
	}
	// A bf16 is the upper half of an f32; the first of a pair is the lower half of a word.
	wide := func(reg, and string) func(*file, string, int, bool) {
		return func(f *file, mem string, d int, odd bool) {
			f.i("VMOVUPS %s, %s%d", mem, reg, d)
			if odd {
				f.i("%s tileHigh<>(SB), %s%d, %s%d", and, reg, d, reg, d)
			} else {
				f.i("VPSLLD $16, %s%d, %s%d", reg, d, reg, d)
			}
		}
	}
	fma := func(reg string) func(*file, int, int, int) {
		return func(f *file, d, a, b int) { f.i("VFMADD231PS %s%d, %s%d, %s%d", reg, b, reg, a, reg, d) }
	}
	integer := func(reg string) func(*file, string, int, bool) {
		return func(f *file, mem string, d int, _ bool) {
			f.i("VPMOVSXBD %s, %s%d", mem, reg, d)
			f.i("VCVTDQ2PS %s%d, %s%d", reg, d, reg, d)
		}
	}
	dot := func(f *file, d, a, b int) { f.i("VPDPBUSD Z%d, Z%d, Z%d", b, a, d) }
	for _, k := range []tileKind{
		{"F32AVX512", "Z", 64, 14, "f32 by f32", "VBROADCASTSS", 64, plain("Z"), false, fma("Z")},
		{"WideAVX512", "Z", 64, 14, "f32 by bf16, widened", "VBROADCASTSS", 64, wide("Z", "VPANDD"), true, fma("Z")},
		{"BF16AVX512", "Z", 64, 14, "pairs of bf16", "VPBROADCASTD", 64, plain("Z"), false, dpbf16},
		{"I8AVX512", "Z", 64, 14, "words of four i8 to i32", "VPBROADCASTD", 64, plain("Z"), false, dot},
		{"ByteAVX512", "Z", 64, 14, "f32 by i8, widened", "VBROADCASTSS", 16, integer("Z"), false, fma("Z")},
		{"F32AVX2", "Y", 32, 6, "f32 by f32", "VBROADCASTSS", 32, plain("Y"), false, fma("Y")},
		{"WideAVX2", "Y", 32, 6, "f32 by bf16, widened", "VBROADCASTSS", 32, wide("Y", "VPAND"), true, fma("Y")},
		{"ByteAVX2", "Y", 32, 6, "f32 by i8, widened", "VBROADCASTSS", 8, integer("Y"), false, fma("Y")},
	} {
		for r := 1; r <= k.rows; r++ {
			k.tile(f, r)
		}
		k.table(f)
	}
}

// tile writes the tile of r rows by two registers of columns. Registers: two a row of sums, two of the panel (last),
// two of broadcasts before them.
//
// size: one instruction a line.
func (k tileKind) tile(f *file, r int) {
	count := map[string]int{"Z": 32, "Y": 16}[k.reg]
	b0, b1, s0 := count-2, count-1, count-4
	reg := func(n int) string { return fmt.Sprintf("%s%d", k.reg, n) }
	mem := func(off int, base string) string {
		if off == 0 {
			return "(" + base + ")"
		}
		return fmt.Sprintf("%d(%s)", off, base)
	}
	f.text(fmt.Sprintf("tile%s%d", k.name, r), "(steps int, a, b, c unsafe.Pointer, ldc int, acc bool)",
		fmt.Sprintf("multiplies %d rows, %s.", r, k.doc), 41)
	f.i("MOVQ steps+0(FP), CX")
	f.i("MOVQ a+8(FP), SI")
	f.i("MOVQ b+16(FP), DI")
	f.i("MOVQ c+24(FP), DX")
	f.i("MOVQ ldc+32(FP), R8")
	f.i("SHLQ $2, R8")
	f.i("MOVBLZX acc+40(FP), R9")
	f.i("TESTL R9, R9")
	f.i("JZ zero")
	f.i("MOVQ DX, R10")
	for i := range r {
		f.i("VMOVUPS (R10), %s", reg(2*i))
		f.i("VMOVUPS %d(R10), %s", k.bytes, reg(2*i+1))
		if i < r-1 {
			f.i("ADDQ R8, R10")
		}
	}
	f.i("JMP chunk")
	f.p("zero:")
	for i := range 2 * r {
		f.i("VXORPS %s, %s, %s", reg(i), reg(i), reg(i))
	}
	f.p("chunk:")
	// Up to 16 words of a row lie together; the next row's are 64 bytes on.
	f.i("MOVQ $16, BX")
	f.i("CMPQ CX, BX")
	f.i("CMOVQLT CX, BX")
	f.i("SUBQ BX, CX")
	f.i("SHRQ $1, BX")
	f.i("PCALIGN $32")
	f.p("step:")
	for u := range 2 {
		row := 2 * u * k.bBytes
		if k.paired {
			row = 0
		}
		k.load(f, mem(row, "DI"), b0, u == 1)
		k.load(f, mem(row+k.bBytes, "DI"), b1, u == 1)
		if u == 0 || k.bBytes == 64 && !k.paired {
			f.i("PREFETCHT0 %d(DI)", 2048+row)
		}
		if k.bBytes == 64 && (u == 0 || !k.paired) {
			f.i("PREFETCHT0 %d(DI)", 2048+row+64)
		}
		for i := range r {
			t := s0 + i%2
			f.i("%s %s, %s", k.splat, mem(64*i+4*u, "SI"), reg(t))
			k.fma(f, 2*i, t, b0)
			k.fma(f, 2*i+1, t, b1)
		}
	}
	f.i("ADDQ $8, SI")
	if k.paired {
		f.i("ADDQ $%d, DI", 2*k.bBytes)
	} else {
		f.i("ADDQ $%d, DI", 4*k.bBytes)
	}
	f.i("DECQ BX")
	f.i("JNZ step")
	if r > 1 {
		f.i("ADDQ $%d, SI", 64*(r-1))
	}
	f.i("TESTQ CX, CX")
	f.i("JNZ chunk")
	for i := range r {
		f.i("VMOVUPS %s, (DX)", reg(2*i))
		f.i("VMOVUPS %s, %d(DX)", reg(2*i+1), k.bytes)
		if i < r-1 {
			f.i("ADDQ R8, DX")
		}
	}
	f.i("VZEROUPPER")
	f.i("RET")
}

// table declares the tileFunc that picks the tile by its number of rows.
func (k tileKind) table(f *file) {
	var names []string
	for r := 1; r <= k.rows; r++ {
		names = append(names, fmt.Sprintf("tile%s%d", k.name, r))
	}
	fmt.Fprintf(&f.decl, "\nvar tiles%s = [...]func(steps int, a, b, c unsafe.Pointer, ldc int, acc bool){\n\tnil, %s,\n}\n",
		k.name, strings.Join(names, ", "))
	fmt.Fprintf(&f.decl, "\n// tile%s is a tileFunc, %s.\nfunc tile%s(rows, steps int, a, b, c unsafe.Pointer, ldc int, acc bool) {\n\ttiles%s[rows](steps, a, b, c, ldc, acc)\n}\n",
		k.name, k.doc, k.name, k.name)
}

// dpbf16 writes VDPBF16PS, which the Go assembler does not know: EVEX.512.F3.0F38.W0 52 /r.
func dpbf16(f *file, d, a, b int) {
	f.i("%s // vdpbf16ps z%d, z%d, z%d", evex(0x52, ppF3, d, a, b), d, a, b)
}

// The mandatory prefixes in an EVEX encoding.
const (
	ppF3 = 2
	ppF2 = 3
)

// evex encodes a 512-bit instruction of map 0F38 with W0 on three registers: d = op(a, b).
func evex(opcode, pp, d, a, b int) string {
	inv := func(v, bit int) int { return (^v >> bit) & 1 }
	p0 := inv(d, 3)<<7 | inv(b, 4)<<6 | inv(b, 3)<<5 | inv(d, 4)<<4 | 2
	p1 := (^a&15)<<3 | 1<<2 | pp
	p2 := 0x40 | inv(a, 4)<<3
	modrm := 0xc0 | (d&7)<<3 | b&7
	return fmt.Sprintf("LONG $0x%02x%02x%02x62; WORD $0x%02x%02x", p2, p1, p0, modrm, opcode)
}
