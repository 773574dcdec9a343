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

// floodRules find something for every agent of a flood, and settle long after it.
var floodRules = map[string]string{
	"r.each":  "confidence: 50\nwhen: event.action == \"a\"\ngroup: {for: 10s}\n",
	"r.twice": "confidence: 50\nwhen: event.action == \"a\"\nthreshold: {count: 2, within: 5m, by: [ai_agent.uid]}\n",
}

// flood is a file with two events of each agent, all within the delay, so that every item is pending until the end.
func flood(agents int) (p memory.Partition) {
	p.Partition = connectors.Partition{Source: "s", Topic: "t"}
	for i := range 2 * agents {
		at := propertyStart.Add(time.Duration(i) * 20 * time.Second / time.Duration(2*agents))
		p.Records = append(p.Records, fmt.Sprintf(`{"event.dataset":"litellm","event.class":"tool","time":%q,"event.action":"a",`+
			`"ai_agent.uid":"agent-%d","http.request.id":"%d"}`, at.Format(time.RFC3339Nano), i%agents, i))
	}
	return p
}

// floodRun runs the flood on a store; after stopAt batches the engine is killed, and disk is the store with the state
// that survives. peak is the highest estimate of the parts that the budget bounds.
func floodRun(t *testing.T, st *store.Store, limit int64, p memory.Partition, stopAt int) (disk *store.Store, peak int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var e *Engine
	batches := 0
	src := &memory.Source{Named: "s", Partitions: []memory.Partition{p}, BatchSize: 50}
	src.Turn = func(open []int) int {
		if batches++; batches == stopAt {
			if err := e.Checkpoint(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
		return open[0]
	}
	opts := Options{
		Set: loadRules(t, floodRules), Store: st, Shards: 2, Workers: 2, Memory: limit, Clock: stillClock(), MaxAhead: 1000 * time.Hour,
		Inputs: []Input{{Source: src, Decode: decode.Options{Format: "aidr"}}},
		Committed: func([]connectors.Entry) {
			sum := int64(0)
			e.budget.Each(func(_ budget.Part, n int64) { sum += n })
			peak = max(peak, sum)
		},
	}
	var err error
	if e, err = New(opts); err != nil {
		t.Fatal(err)
	}
	if hot := e.budget.Used(budget.Hot); limit > 0 && hot > limit/4 {
		t.Errorf("hot cells after the restart: got %d bytes of a budget of %d", hot, limit)
	}
	if err := src.Run(ctx, unrevoked{e}); err != nil {
		t.Fatal(err)
	}
	if stopAt > 0 {
		disk, err := st.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		return disk, peak
	}
	if err := e.Finish(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	return st, peak
}

// TestFloodStaysWithinTheBudget checks that a flood of agents, all of whose items are pending at once, takes no more memory
// than the budget, also when the engine is killed and restored in the middle, and gives the findings of a run without
// pressure.
func TestFloodStaysWithinTheBudget(t *testing.T) {
	const limit = 8 << 20
	p := flood(1500)
	open := func() *store.Store {
		st, err := store.Open("", store.Options{Memory: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	findings := func(st *store.Store) string {
		fs, err := current(st)
		if err != nil {
			t.Fatal(err)
		}
		if len(fs) != 4500 {
			t.Errorf("got %d findings, want 4500", len(fs))
		}
		return render(fs)
	}
	free, unbounded := floodRun(t, open(), 0, p, 0)
	want := findings(free)
	if unbounded < limit {
		t.Fatalf("the flood takes only %d bytes: the test shows nothing", unbounded)
	}
	st, before := floodRun(t, open(), limit, p, 40)
	t.Cleanup(func() { st.Close() })
	st, after := floodRun(t, st, limit, p, 0)
	if peak := max(before, after); peak > limit {
		t.Errorf("peak: got %d bytes of a budget of %d (%d without pressure)", peak, limit, unbounded)
	}
	if got := findings(st); got != want {
		t.Error("the findings differ from those without pressure")
	}
}

// TestDeadLettersOfARecord checks that the bodies of a record's dead letters are bounded together, and that the letters
// after the bound keep their place and the size of their body.
func TestDeadLettersOfARecord(t *testing.T) {
	w := &worker{metrics: NewMetrics(nil), redact: func(s string) string { return s }, out: newResult(1, nil, nil)}
	w.job = &job{batch: &connectors.Batch{Records: []connectors.Record{{}}}}
	body := string(make([]byte, MaxDeadBody))
	const letters = 3 * MaxRecordBodies / MaxDeadBody
	for i := range letters {
		w.dead(decode.Dead{Reason: decode.ReasonSize, Body: body, Index: i})
	}
	kept := 0
	for i, l := range w.out.dead {
		kept += len(l.Body)
		if l.Index != i || len(l.Body)+l.Omitted != len(body) {
			t.Fatalf("letter %d: index %d, body of %d bytes, %d omitted", i, l.Index, len(l.Body), l.Omitted)
		}
	}
	if len(w.out.dead) != letters || kept != MaxRecordBodies {
		t.Errorf("got %d letters with %d bytes, want %d with %d", len(w.out.dead), kept, letters, MaxRecordBodies)
	}
}
