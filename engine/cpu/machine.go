package cpu

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// processorName is the model name that the system gives, or the architecture.
var processorName = sync.OnceValue(func() string {
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
})

// freeMemory is the memory that the system can give without swapping, bytes; 0 where it does not say.
func freeMemory() int64 {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(info, []byte("MemAvailable:"))
	if !ok {
		return 0
	}
	field, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
	kb, err := strconv.ParseInt(string(field), 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}
