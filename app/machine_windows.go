package main

import (
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// freeSpace is what the user may still write on the disk of dir, bytes.
func freeSpace(dir string) (int64, bool) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(p, &free, nil, nil) != nil {
		return 0, false
	}
	return int64(free), true
}

// cpuTime is not read on Windows.
func cpuTime() time.Duration { return 0 }

// peakMemory is not read on Windows.
func peakMemory() (int64, bool) { return 0, false }

// childPeak is not read on Windows.
func childPeak(*os.ProcessState) int64 { return 0 }
