package main

import (
	"os"
	"runtime/debug"
)

// How much the heap may grow between two collections, in percent of what is live. Most of what the engine allocates
// lives for a moment, and what is live is small beside what a machine has: collecting at Go's 100 % costs a good
// part of a replay (one run each, on a loaded machine: 0.88 s of CPU at 100 % and 0.61 s at 400 % for 104 MB of CloudTrail).
const (
	replayGrowth = 400
	runGrowth    = 200
)

// growth sets it, unless the environment says otherwise with GOGC.
func growth(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
