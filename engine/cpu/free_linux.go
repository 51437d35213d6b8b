package cpu

import (
	"bytes"
	"os"
	"strconv"
)

// freeMemory is the memory that the system can give without swapping, or the container's limit leaves, bytes; 0 where
// neither is told.
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
	free := kb << 10
	limit, ok1 := readNumber("/sys/fs/cgroup/memory.max", "")
	used, ok2 := readNumber("/sys/fs/cgroup/memory.current", "")
	cached, ok3 := readNumber("/sys/fs/cgroup/memory.stat", "file ") // given back when it is asked for
	if ok1 && ok2 && ok3 {
		free = min(free, max(1, limit-used+cached))
	}
	return free
}

// readNumber reads the number after key at the start of a line of a file; "max" is none.
func readNumber(path, key string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(key)); ok {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
