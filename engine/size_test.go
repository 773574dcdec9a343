package engine

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema/decode"
)

// sizeRules are one rule of each kind, in the order of the table in benchmarks/README.md.
var sizeRules = []struct{ name, clause string }{
	{"none", "group: {for: 10s, by: [ai_agent.uid]}"},
	{"threshold, ring", "threshold: {count: 30, within: 24h, by: [ai_agent.uid]}"},
	{"threshold, panes", "threshold: {count: 300, within: 24h, by: [ai_agent.uid]}"},
	{"distinct", "distinct: {of: [gen_ai.tool.name], count: 30, within: 24h, by: [ai_agent.uid]}"},
	{"new_value", "new_value: {of: [gen_ai.tool.name], learn: 7d, by: [ai_agent.uid]}"},
	{"sequence", "sequence:\n  within: 24h\n  by: [ai_agent.uid]\n  steps:\n" +
		"    - {id: p, when: 'event.action == \"a\"'}\n    - {id: q, when: 'event.action == \"b\"'}"},
	{"absence", "absence: {after: {when: 'event.action == \"a\"'}, expect: {when: 'event.action == \"b\"'}, within: 24h, by: [ai_agent.uid]}"},
	{"absence, silent", "absence: {silent: {for: 24h}, by: [ai_agent.uid]}"},
	{"baseline", "baseline: {of: count, bucket: 1h, by: [ai_agent.uid]}"},
	{"rarity", "rarity: {of: [gen_ai.tool.name], share: 0.01, min_samples: 20, history: 7d, by: [ai_agent.uid]}"},
	{"flow", "flow: {labels: {a: 'event.action == \"a\"', b: 'event.action == \"b\"'}, within: 24h, by: [ai_agent.uid]}"},
	{"provenance", "provenance:\n  within: 24h\n  by: [ai_agent.uid]\n  known: {when: 'event.action == \"k\"', text: gen_ai.tool.name}\n" +
		"  from: {when: 'event.action == \"a\"', text: gen_ai.tool.name}\n  into: {when: 'event.action == \"b\"', text: gen_ai.tool.name}"},
}

// TestBytesPerKey measures the memory and the bytes in the store of one key of each kind of rule, after one event and after
// 20: while an item is pending, and at rest. It logs the table of benchmarks/README.md:
//
//	go test ./engine -run TestBytesPerKey -v
//
// A key at rest of the kinds that every agent has (threshold, new_value, baseline) takes at most 300 bytes, and the
// estimates, on which the budget rests, are not below the truth by more than a tenth, nor above it by more than a fifth.
func TestBytesPerKey(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector takes memory of its own")
	}
	t.Logf("| %-16s | events | pending | estimate | at rest | estimate | disk |", "kind")
	for _, rule := range sizeRules {
		for _, events := range []int{1, 20} {
			got := measureSize(t, rule.clause, events)
			t.Logf("| %-16s | %6d | %7d | %8d | %7d | %8d | %4d |", rule.name, events, got.hot, got.hotEstimate, got.rest, got.restEstimate, got.disk)
			if !isNear(got.hotEstimate, got.hot) || got.restEstimate > 0 && !isNear(got.restEstimate, got.rest) {
				t.Errorf("%s, %d events: the estimate is wrong", rule.name, events)
			}
			if isCommon := rule.name == "threshold, ring" || rule.name == "new_value" || rule.name == "baseline"; isCommon && events == 1 && got.rest > 300 {
				t.Errorf("%s: a key at rest takes %d bytes", rule.name, got.rest)
			}
		}
	}
}

// isNear reports whether an estimate of bytes is near enough to the truth for a budget.
func isNear(estimate, truth int64) bool { return estimate*10 >= truth*9 && estimate*10 <= truth*12 }

// keySize is the size of one key in bytes.
type keySize struct {
	hot, hotEstimate   int64 // in memory, with a pending item
	rest, restEstimate int64 // in memory, without
	disk               int64 // keys and values in the store
}

func measureSize(t *testing.T, clause string, events int) (size keySize) {
	size.hot, size.hotEstimate, _ = weigh(t, clause, events, budget.Hot)
	size.rest, size.restEstimate, size.disk = weigh(t, clause, events, budget.Cold)
	return size
}

// weigh gives each of many agents a number of events, an hour apart, and returns the bytes of a key: in memory, of the cells
// that the part counts, their estimate, and in the store.
func weigh(t *testing.T, clause string, events int, part budget.Part) (heap, estimate, disk int64) {
	t.Helper()
	const agents = 1000
	st, err := store.Open(t.TempDir(), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var records []string
	at := propertyStart
	add := func(agent, tool string) {
		records = append(records, fmt.Sprintf(`{"event.dataset":"litellm","event.class":"tool","time":%q,"event.action":"a","ai_agent.uid":%q,`+
			`"gen_ai.tool.name":%q,"http.request.id":"%d"}`, at.Format(time.RFC3339Nano), agent, tool, len(records)))
	}
	for n := range events {
		for i := range agents {
			add(fmt.Sprintf("agent-%d", i), fmt.Sprintf("tool-%d", n%5))
		}
		at = at.Add(time.Hour)
	}
	if part == budget.Cold {
		at = at.Add(-time.Hour + time.Minute)
		for range 2 * maxRank {
			add("clock", "tool-0")
		}
	}
	p := memory.Partition{Partition: connectors.Partition{Source: "s", Topic: "t"}, Records: records, Live: true}
	src := &memory.Source{Named: "s", Partitions: []memory.Partition{p}, BatchSize: agents}
	e, err := New(Options{
		Set: loadRules(t, map[string]string{"r.size": "confidence: 50\nwhen: event.class == \"tool\"\n" + clause + "\n"}), Store: st, Shards: 1,
		Clock: stillClock(), MaxAhead: 10_000 * time.Hour, CacheCells: 2 * agents,
		Inputs: []Input{{Source: src, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := e.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	size := func(k, v []byte) bool { disk += int64(len(k) + len(v)); return true }
	if err := st.Cells(nil, size); err != nil {
		t.Fatal(err)
	}
	if err := st.Timers(nil, []byte{0xff}, func(k []byte) bool { return size(k, nil) }); err != nil {
		t.Fatal(err)
	}
	estimate = e.budget.Used(part)
	done := make(chan bool)
	e.shards[0].in <- message{call: func(s *shard) {
		before := heapSize()
		if part == budget.Hot {
			s.hot = map[cellKey]*cachedCell{}
		} else {
			s.shelf = newShelf()
		}
		heap = before - heapSize()
		close(done)
	}}
	<-done
	if err := e.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	return heap / agents, estimate / agents, disk / agents
}

func heapSize() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
