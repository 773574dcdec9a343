package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema/decode"
)

// restRules have a cell for each agent, which rests until its window is over.
var restRules = map[string]string{
	"r.rest": "confidence: 50\nwhen: event.action == \"a\"\nthreshold: {count: 3, within: 1h, by: [ai_agent.uid]}\n",
}

// restRecord is one event of an agent.
func restRecord(agent string, at time.Time) string {
	return fmt.Sprintf(`{"event.dataset":"litellm","event.class":"tool","time":%q,"event.action":"a","ai_agent.uid":%q}`,
		at.Format(time.RFC3339Nano), agent)
}

// route waits until everything that was read of a partition is with the shards.
func route(t *testing.T, e *Engine, p connectors.Partition) {
	t.Helper()
	j := &job{lane: e.lanes.get(p), done: make(chan struct{})}
	if err := e.submit(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	<-j.done
}

// rest reads records, stops the engine, and returns the highest estimate of the memory of timers.
func rest(t *testing.T, st *store.Store, records []string) (timers int64) {
	t.Helper()
	p := memory.Partition{Partition: connectors.Partition{Source: "s", Topic: "t"}, Records: records, Live: true}
	src := &memory.Source{Named: "s", Partitions: []memory.Partition{p}, BatchSize: 50}
	e, err := New(Options{
		Set: loadRules(t, restRules), Store: st, Shards: 2, Clock: stillClock(), MaxAhead: 1000 * time.Hour, timerPage: 10,
		CacheCells: 10, Inputs: []Input{{Source: src, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	src.Turn = func(open []int) int {
		route(t, e, p.Partition) // when a cell looks for what expired depends on the watermark of the checkpoint that held its item first
		if err := e.Checkpoint(t.Context()); err != nil {
			t.Error(err)
		}
		timers = max(timers, e.budget.Used(budget.Timers))
		return open[0]
	}
	if err := src.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := e.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	timers = max(timers, e.budget.Used(budget.Timers))
	if err := e.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	return timers
}

// TestTimersRestInTheStore checks that the timers of cells at rest take no memory and outlive a restart: they are read when
// their time comes, and leave the store with their cells.
func TestTimersRestInTheStore(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	count := func(what string, least, most int) {
		t.Helper()
		cells, timers := 0, 0
		err := st.Cells(nil, func(_, _ []byte) bool { cells++; return true })
		if err == nil {
			err = st.Timers(timerKey("r.rest", never, 0, ""), []byte("r.rest\x01"), func([]byte) bool { timers++; return true })
		}
		if err != nil || cells != timers || cells < least || cells > most {
			t.Errorf("%s: the store has %d cells and %d timers, want %d to %d of each (error: %v)", what, cells, timers, least, most, err)
		}
	}
	const agents = 2000
	var records []string
	at := propertyStart
	for i := range agents {
		at = at.Add(100 * time.Millisecond)
		records = append(records, restRecord(fmt.Sprintf("agent-%d", i), at))
	}
	// Later than the delay: all items are in base, but no window is over. With each batch some items are pending.
	at = at.Add(time.Minute)
	for range 2 * maxRank {
		records = append(records, restRecord("clock", at))
	}
	used := rest(t, st, records)
	count("at rest", agents, agents+1)
	all := int64(agents * (timerSize + len("agent-1000")))
	if used > all/2 {
		t.Errorf("timers took %d bytes, those of all cells would take %d", used, all)
	}
	// After a restart, nothing is read until its time comes. A watermark in the middle wakes half of the cells.
	middle := propertyStart.Add(time.Hour + agents/2*100*time.Millisecond + 30*time.Second)
	for range 2 * maxRank {
		records = append(records, restRecord("clock", middle))
	}
	if used := rest(t, st, records); used > all/10 {
		t.Errorf("after a restart timers took %d bytes", used)
	}
	count("half of the windows are over", agents/2-100, agents/2+100)
	end := at.Add(3 * time.Hour)
	for i := range 4 * maxRank {
		records = append(records, restRecord("end", end.Add(time.Duration(i)*time.Hour)))
	}
	rest(t, st, records)
	count("all windows are over", 1, 2)
}
