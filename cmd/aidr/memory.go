package main

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/engine/budget"
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

// softLimit makes the garbage collector work harder as the heap approaches a size in bytes, unless GOMEMLIMIT is set.
func softLimit(bytes int64) {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(bytes)
	}
}

// outsideHeap is the memory in bytes that Go's limit does not cover: the store's block cache and memory tables, which its
// library allocates itself, and the program's code.
const outsideHeap = 192 << 20

// containerShare is the part of a container's memory that aidr uses by default. The rest is for the kernel's buffers, which
// count against the container, and for the time between two estimates.
const containerShare = 0.9

// limitMemory fills in the memory budget: the configured one, or GOMEMLIMIT, or containerShare of the container's limit, or
// the default. Unless GOMEMLIMIT is set, the garbage collector works harder as the heap approaches the budget.
func limitMemory(cfg *config.Config) {
	limit := debug.SetMemoryLimit(-1)
	if cfg.Memory == 0 && limit != math.MaxInt64 {
		cfg.Memory = limit
	}
	if cfg.Memory == 0 {
		cfg.Memory = budget.Default
		if container, err := memlimit.FromCgroup(); err == nil && container > 0 && container < math.MaxInt64 {
			cfg.Memory = int64(containerShare * float64(container))
		}
	}
	if limit == math.MaxInt64 {
		debug.SetMemoryLimit(max(cfg.Memory-outsideHeap, cfg.Memory/2))
	}
}
