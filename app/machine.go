package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
)

// cpuFeatures names the instruction sets of the processor that matter for products.
func cpuFeatures() string {
	var f []string
	add := func(has bool, name string) {
		if has {
			f = append(f, name)
		}
	}
	switch runtime.GOARCH {
	case "amd64":
		x := &cpu.X86
		add(x.HasAVX2 && x.HasFMA, "AVX2")
		add(x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL, "AVX-512")
		add(x.HasAVX512BF16, "AVX-512 BF16")
		add(x.HasAVX512VNNI, "VNNI")
		add(x.HasAMXBF16, "AMX")
	case "arm64":
		add(cpu.ARM64.HasASIMD, "NEON")
		add(cpu.ARM64.HasASIMDDP, "DOTPROD")
		add(cpu.ARM64.HasSVE, "SVE")
	}
	if len(f) == 0 {
		return "no vector instructions known here"
	}
	return strings.Join(f, ", ")
}

// loadAverage is how many tasks the machine ran or kept waiting in the last minute, 0 where the system does not say.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}
