package main

import (
	"runtime"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// A process that answers gateways has threads to spare, and the engine no more cores than before.
func TestReserveThreads(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	f := func(d config.Decisions, want int) {
		t.Helper()
		runtime.GOMAXPROCS(before)
		if cores := reserveThreads(&d); cores != before {
			t.Errorf("the engine may use %d cores, want %d", cores, before)
		}
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("%+v: %d threads, want %d", d, got, want)
		}
	}
	f(config.Decisions{}, before)
	f(config.Decisions{Listen: "127.0.0.1:1"}, before+decisionThreads)
	f(config.Decisions{GRPC: "127.0.0.1:1"}, before+decisionThreads)
}
