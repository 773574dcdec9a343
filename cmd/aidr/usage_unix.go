//go:build unix

package main

import (
	"runtime"
	"syscall"
	"time"
)

// processUsage returns the time that this process has spent on a CPU, and the largest memory that it had, in bytes.
func processUsage() (cpu time.Duration, peak int64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	peak = int64(u.Maxrss)
	if runtime.GOOS != "darwin" { // the others count in KiB
		peak <<= 10
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), peak
}
