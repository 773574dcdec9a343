package main

import (
	"runtime"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// decisionThreads is the number of threads beyond the cores that may run Go code while gateways ask: for the collector, the
// sources, the lanes and a checkpoint, and one that is then left to wait for questions. The runtime looks for network events
// only when a thread has nothing else to run, and otherwise every 10 ms, after which the goroutine of the question waits
// behind all that are busy. With two cores and a full engine, 99 % of the answers took 400 to 1,000 ms without these threads,
// and 30 to 150 ms with them and engine.Options.Cores (TestDecisionSpeedUnderLoad).
const decisionThreads = 4

// reserveThreads makes threads available for answers to gateways, if any ask, and returns the number of cores that the
// engine may keep busy.
func reserveThreads(d *config.Decisions) (cores int) {
	cores = runtime.GOMAXPROCS(0)
	if d.Asked() {
		runtime.GOMAXPROCS(cores + decisionThreads)
	}
	return cores
}
