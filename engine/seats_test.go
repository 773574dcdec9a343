package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/schema/decode"
)

// No more workers and shards are busy than Options.Cores, however many there are.
func TestCores(t *testing.T) {
	const partitions = 4
	for _, cores := range []int{1, 2} {
		var busy, most atomic.Int32
		var input []memory.Partition
		b := bench{}
		for n := range int32(partitions) {
			p := memory.Partition{Partition: b.partition(n)}
			for i := range 400 {
				p.Records = append(p.Records, fmt.Sprintf(
					`{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":"x","ai_agent.uid":"agent-%d"}`,
					benchStart.UTC().Format("2006-01-02T15:04:05Z"), i))
			}
			input = append(input, p)
		}
		e, err := New(Options{
			Set: loadRules(t, lateRules), Cores: cores, Workers: partitions, Shards: 3,
			Inputs: []Input{{
				Source: &memory.Source{Named: "s", Partitions: input, BatchSize: 50}, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"},
			}},
			Redact: func(s string) string { // a worker is busy here
				n := busy.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				runtime.Gosched()
				busy.Add(-1)
				return s
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := RunSources(context.Background(), e, e.opts.Inputs); err != nil {
			t.Fatal(err)
		}
		if err := e.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := most.Load(); got < 1 || got > int32(cores) {
			t.Errorf("with %d cores, %d workers were busy at the same time", cores, got)
		}
		if n := len(e.shards[0].seats); n != 0 {
			t.Errorf("%d seats are still taken after the end", n)
		}
	}
}
