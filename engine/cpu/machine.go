package cpu

import (
	"os"
	"runtime"
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
