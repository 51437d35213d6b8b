package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a large page of amd64 and of arm64 with 4 KiB pages.
const hugePage = 2 << 20

// adviseHuge asks for large pages under the aligned part of s: large operands otherwise walk the page table for every
// few rows. It is advice; nothing depends on the answer.
func adviseHuge(s []float32) {
	if len(s)*4 < 2*hugePage {
		return
	}
	start := uintptr(unsafe.Pointer(&s[0]))
	lo := (start + hugePage - 1) &^ (hugePage - 1)
	hi := (start + uintptr(len(s))*4) &^ (hugePage - 1)
	if lo < hi {
		_ = unix.Madvise(unsafe.Slice((*byte)(unsafe.Pointer(&s[(lo-start)/4])), hi-lo), unix.MADV_HUGEPAGE)
	}
}
