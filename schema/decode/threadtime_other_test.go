//go:build !linux

package decode

import "time"

var processStart = time.Now()

// threadTime returns the time that has passed: only Linux has a clock for a thread in package syscall.
func threadTime() time.Duration { return time.Since(processStart) }
