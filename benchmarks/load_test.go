//go:build unix

package benchmarks

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/decode"
)

// BenchmarkLoad loads generated rule sets from a folder, as `aidr run` does; B/rule is the live heap that a Set and the
// compiled rules for the next load occupy.
//
//	go test ./benchmarks -run xxx -bench 'Load$' -cpu 2 -benchtime 1x
func BenchmarkLoad(b *testing.B) {
	for _, n := range ruleSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			files := pipeline.RuleFiles{Paths: []string{writeRules(b, n)}}
			pipeline.LoadRules(pipeline.RuleFiles{}) // the program's own tables are not part of the set
			before := liveHeap()
			cpu := cpuTime(b)
			for b.Loop() {
				files.Kept = new(rules.Kept)
				if set, problems := pipeline.LoadRules(files); set == nil {
					b.Fatal(problems[0])
				}
			}
			b.ReportMetric((cpuTime(b)-cpu).Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(liveHeap()-before)/float64(n), "B/rule")
			runtime.KeepAlive(files)
		})
	}
}

// BenchmarkLoadChanged changes ten rules of a loaded set and loads it again.
//
//	go test ./benchmarks -run xxx -bench LoadChanged -cpu 2 -benchtime 20x
func BenchmarkLoadChanged(b *testing.B) {
	for _, n := range ruleSizes[2:] {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := writeRules(b, n)
			files := pipeline.RuleFiles{Paths: []string{dir}, Kept: new(rules.Kept)}
			load := func() *rules.Set {
				set, problems := pipeline.LoadRules(files)
				if set == nil {
					b.Fatal(problems[0])
				}
				return set
			}
			files.Families = decode.Families() // a reload knows them, too
			load()
			runtime.GC()
			cpu := time.Duration(0)
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				files.Changed = nil
				for i := range 10 {
					id := fmt.Sprintf("gen.r%05d", (n*10+i)*7%1000)
					path := filepath.Join(dir, id+".yaml")
					if err := os.WriteFile(path, []byte(ruleFile(id, fmt.Sprintf("event.action == \"changed-%d-%d\"", n, i))), 0o666); err != nil {
						b.Fatal(err)
					}
					files.Changed = append(files.Changed, path)
				}
				before := cpuTime(b)
				b.StartTimer()
				load()
				cpu += cpuTime(b) - before
			}
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// writeRules writes a rule set of size n into a folder.
func writeRules(tb testing.TB, n int) (dir string) {
	dir = tb.TempDir()
	for name, text := range ruleFiles(cloudTrailRules(tb, n, false)) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
