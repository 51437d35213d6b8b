package cpu

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

// hasAMX reports whether the processor has a matrix unit for bf16 and bytes and the system lets this process use it. The
// state of the unit is large, so Linux gives it on request only (Documentation/arch/x86/xstate.rst); it refuses where a
// thread's signal stack would be too small for it.
var hasAMX = sync.OnceValue(func() bool {
	const (
		archGetPermission = 0x1022
		archAskPermission = 0x1023
		tileData          = 18
	)
	x := &cpu.X86
	if !x.HasAMXTile || !x.HasAMXInt8 || !x.HasAMXBF16 {
		return false
	}
	if _, _, e := unix.RawSyscall(unix.SYS_ARCH_PRCTL, archAskPermission, tileData, 0); e != 0 {
		return false
	}
	var have uint64
	_, _, e := unix.RawSyscall(unix.SYS_ARCH_PRCTL, archGetPermission, uintptr(unsafe.Pointer(&have)), 0)
	return e == 0 && have>>tileData&1 == 1
})
