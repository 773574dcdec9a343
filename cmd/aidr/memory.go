package main

import (
	"os"
	"runtime/debug"
)

// The growth of the heap between two collections, in percent of the live heap. Most allocations of the engine are
// short-lived, and its live heap is small compared with the memory of a machine. Go's default of 100 % makes collection a
// large part of a replay: 104 MB of CloudTrail took 0.88 s of CPU at 100 % and 0.61 s at 400 % (one run each, on a loaded
// machine).
const (
	replayGrowth = 400
	runGrowth    = 200
)

// growth sets the growth, unless GOGC is set in the environment.
func growth(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
