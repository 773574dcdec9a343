//go:build unix

package benchmarks

import (
	"fmt"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/aidr-engine/aidr/rules"
)

// BenchmarkLoad loads generated rule sets; B/rule is the live heap that a Set occupies, its sources included.
//
//	go test ./benchmarks -run xxx -bench 'Load$' -cpu 2 -benchtime 1x
func BenchmarkLoad(b *testing.B) {
	for _, n := range ruleSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			fsys := fstest.MapFS{}
			for name, text := range ruleFiles(cloudTrailRules(b, n, false)) {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			before := liveHeap()
			var set *rules.Set
			cpu := cpuTime(b)
			for b.Loop() {
				set, _ = rules.LoadFS(rules.Options{}, fsys, "generated")
			}
			b.ReportMetric((cpuTime(b)-cpu).Seconds()/float64(b.N), "cpu-s/op")
			if set == nil {
				b.Fatal("the rules do not load")
			}
			b.ReportMetric(float64(liveHeap()-before)/float64(n), "B/rule")
			runtime.KeepAlive(set)
		})
	}
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
