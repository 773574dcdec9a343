package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/gate"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// frailSource is a source whose connection a test breaks.
type frailSource struct {
	memory.Source
	failure atomic.Pointer[string]
}

func (s *frailSource) Health() connectors.Health {
	if why := s.failure.Load(); why != nil {
		return connectors.Health{Degraded: true, Reason: *why}
	}
	return connectors.Health{}
}

// watch is a bench with a frail source that records the changes of operational findings.
type watch struct {
	*bench
	source  *frailSource
	store   *store.Store
	changes []string // status, rule, key, group_start
	found   []*schema.Finding
}

const silentAfter = 20 * time.Minute

func newWatch(t *testing.T) *watch {
	t.Helper()
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := &watch{store: st, source: &frailSource{Source: memory.Source{Named: "s"}}}
	w.bench = &bench{t: t, clock: &handClock{now: benchStart}, latest: map[schema.ID]*schema.Finding{}, offset: map[int32]int64{}}
	w.start()
	return w
}

// start starts an engine from the store.
func (w *watch) start() {
	w.t.Helper()
	var err error
	w.e, err = New(Options{
		Set: loadRules(w.t, lateRules), Store: w.store, Shards: 2, Clock: w.clock.clock(),
		Inputs: []Input{{
			Source: w.source, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"},
			Silence: Silence{After: silentAfter, ByTopic: true},
		}},
		Committed: func(entries []connectors.Entry) {
			for _, e := range entries {
				if f := e.Finding; f.Operational {
					w.changes = append(w.changes, fmt.Sprintf("%s %s %v %s", f.Status, f.RuleID, f.Key, f.GroupStart))
					w.found = append(w.found, f)
				}
			}
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.e.Assigned(w.partition(0))
}

// restart stops the engine and starts another one.
func (w *watch) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// read hands in a batch and waits until it is durable, so that its records are read by the present time of the clock.
func (w *watch) read(partition int32, atEnd bool, events ...event) {
	w.t.Helper()
	w.bench.read(partition, atEnd, events...)
	w.checkpoint()
}

// after moves the clock, makes a checkpoint, and checks the changes of operational findings that it brings.
func (w *watch) after(d time.Duration, want ...string) {
	w.t.Helper()
	w.clock.now = w.clock.now.Add(d)
	w.changes = nil
	w.checkpoint()
	if !slices.Equal(w.changes, want) {
		w.t.Errorf("at %s: got changes\n%s\nwant\n%s", w.clock.now.Format(time.TimeOnly), strings.Join(w.changes, "\n"), strings.Join(want, "\n"))
	}
}

// A topic without records is one finding an hour, also after restarts, until the next record.
func TestSourceSilent(t *testing.T) {
	w := newWatch(t)
	w.read(0, true, event{"litellm", 0, 0, "y"})
	w.after(0)
	w.after(silentAfter - time.Second)
	w.after(time.Second, "open aidr.source-silent map[source:s topic:t] 2026-03-01T12:00:00Z")
	f := w.found[0]
	if f.Severity != schema.SeverityMedium || f.FirstSeen != schema.InstantOf(benchStart) || !strings.Contains(f.Summary, `topic "t" of source "s"`) {
		t.Errorf("got severity %s, first_seen %v, summary %q", f.Severity, f.FirstSeen, f.Summary)
	}
	w.after(10 * time.Minute)
	w.restart()
	w.after(5 * time.Minute) // the source is not read to its end
	if open := w.e.Status().Operational; len(open) != 1 || open[0].ID != f.ID {
		t.Errorf("the status has %v, want the open finding", open)
	}
	w.read(0, true)
	w.after(time.Minute)
	w.after(30*time.Minute, "settled aidr.source-silent map[source:s topic:t] 2026-03-01T12:00:00Z",
		"open aidr.source-silent map[source:s topic:t] 2026-03-01T13:00:00Z")
	w.read(0, true, event{"litellm", 9, 9, "y"})
	w.after(time.Second)
	w.after(calmAfter, "settled aidr.source-silent map[source:s topic:t] 2026-03-01T13:00:00Z")
	last := w.found[len(w.found)-1]
	if last.Revision != 2 || last.ID == f.ID || last.Count != 1 || len(w.e.Status().Operational) != 0 {
		t.Errorf("got revision %d of %s, open %v", last.Revision, last.ID, w.e.Status().Operational)
	}
	w.after(silentAfter, "open aidr.source-silent map[source:s topic:t] 2026-03-01T13:27:00Z") // again in this hour
	w.stop()
	if stored, ok, err := w.store.Finding(f.ID); err != nil || !ok || stored.Status != schema.StatusSettled || !stored.Operational {
		t.Errorf("the store has %+v, %v, %v", stored, ok, err)
	}
}

// A source that never had a record, has records left, or is not connected, is not silent.
func TestSourceNotSilent(t *testing.T) {
	w := newWatch(t)
	defer func() { w.stop() }()
	w.read(0, true)
	w.after(2 * silentAfter)
	w.read(0, false, event{"litellm", 0, 0, "y"})
	w.after(2 * silentAfter)
	w.source.failure.Store(new("refused"))
	w.read(0, true)
	w.after(time.Second)
	if len(w.found) != 0 {
		t.Errorf("got %v, want no findings", w.found)
	}
}

// A connection that fails for minutes is a finding of its own.
func TestSourceUnreadable(t *testing.T) {
	w := newWatch(t)
	w.read(0, true, event{"litellm", 0, 0, "y"})
	w.source.failure.Store(new("connection refused"))
	w.after(time.Second)
	w.after(unreadableAfter - time.Second)
	w.after(time.Second, "open aidr.source-unreadable map[source:s] 2026-03-01T12:00:00Z")
	if f := w.found[0]; f.Severity != schema.SeverityHigh || !strings.Contains(f.Explanation, "connection refused") {
		t.Errorf("got severity %s, explanation %q", f.Severity, f.Explanation)
	}
	w.restart()
	w.after(time.Minute)
	w.source.failure.Store(nil)
	w.after(time.Second)
	w.after(calmAfter, "settled aidr.source-unreadable map[source:s] 2026-03-01T12:00:00Z")
	w.stop()
}

// A source that leaves the configuration has no condition any more: its finding settles when its hour is over.
func TestOperationalSettlesUnjudged(t *testing.T) {
	o := newOperational(func(s string) string { return s })
	gone := condition{rule: rules.SourceUnreadable, key: map[string]string{"source": "gone"}, verdict: holding, since: benchStart, text: "x"}
	o.update(benchStart, []condition{gone})
	o.take()
	if o.update(benchStart.Add(59*time.Minute), nil); len(o.take()) != 0 {
		t.Error("a condition that is not judged is not over")
	}
	o.update(benchStart.Add(time.Hour), nil)
	if got := o.take(); len(got) != 1 || got[0].Finding.Status != schema.StatusSettled || len(o.entries) != 0 {
		t.Errorf("got %v, want one that settled", got)
	}
}

// The disk was full for more than a minute: that is a finding once the disk can be written.
func TestCheckpointFailing(t *testing.T) {
	w := newWatch(t)
	defer func() { w.stop() }()
	fail := func(d time.Duration) {
		c := w.e.checkpoints
		f := &checkpointFailure{since: w.clock.now, err: errors.New("no space left on device")}
		w.clock.now = w.clock.now.Add(d)
		c.noteFailure(f)
	}
	fail(checkpointFailingAfter - time.Second)
	w.after(time.Second)
	fail(checkpointFailingAfter)
	w.after(time.Second, "open aidr.checkpoint-failing map[] 2026-03-01T12:00:00Z")
	if f := w.found[0]; f.Severity != schema.SeverityHigh || !strings.Contains(f.Summary, "no space left on device") || f.FirstSeen >= f.LastSeen {
		t.Errorf("got %s, %q, from %v to %v", f.Severity, f.Summary, f.FirstSeen, f.LastSeen)
	}
	w.after(calmAfter, "settled aidr.checkpoint-failing map[] 2026-03-01T12:00:00Z")
}

// A failing write reaches the observer through commit.
func TestCommitNotesItsFailure(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	hand, tick, n := &handClock{now: benchStart}, make(chan time.Time, 1), 0
	c := &checkpointer{
		store: st, gate: gate.New(time.Minute), budget: budget.New(1<<30, time.Now, func() {}), log: slog.New(slog.DiscardHandler),
		observer: &observer{}, clock: hand.clock(),
		write: func(*store.Checkpoint) error {
			if n++; n == 1 {
				return errors.New("no space left on device")
			}
			return nil
		},
	}
	c.clock.Tick = func(time.Duration) (<-chan time.Time, func()) {
		hand.now = hand.now.Add(2 * time.Minute)
		tick <- hand.now
		return tick, func() {}
	}
	if err := c.commit(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if f := c.observer.failed; f == nil || f.until.Sub(f.since) != 2*time.Minute || f.err == nil {
		t.Errorf("got %+v, want a failure of two minutes", f)
	}
}

func TestOutboxFullFinding(t *testing.T) {
	w := newWatch(t)
	full := atomic.Bool{}
	w.e.checkpoints.observer.full = full.Load
	w.after(time.Second)
	full.Store(true)
	w.after(time.Second, "open aidr.outbox-full map[] 2026-03-01T12:00:00Z")
	full.Store(false)
	w.after(calmAfter - time.Second)
	full.Store(true) // it drains by a block, and is full again: one finding
	w.after(time.Second)
	w.restart()
	w.e.checkpoints.observer.full = full.Load
	w.after(time.Second)
	full.Store(false)
	w.after(calmAfter, "settled aidr.outbox-full map[] 2026-03-01T12:00:00Z")
	w.stop()
}

// The conditions of a rule fail on a large part of its events.
func TestRuleFailing(t *testing.T) {
	w := newWatch(t)
	m := &w.e.meter.rules[place(w.e, "plain")]
	w.after(0)
	m.failed.Add(maxFailures)
	w.after(judgeRulesEvery)
	m.failed.Add(maxFailures + 1)
	m.hits.Add(9 * (maxFailures + 1)) // a tenth
	w.after(judgeRulesEvery)
	m.failed.Add(maxFailures + 1)
	m.hits.Add(9*(maxFailures+1) - 1)
	w.after(judgeRulesEvery - time.Second)
	w.after(time.Second, "open aidr.rule-failing map[rule_id:plain] 2026-03-01T12:00:00Z")
	if f := w.found[0]; f.Severity != schema.SeverityMedium || !strings.Contains(f.Summary, "51 events within 5m0s, and held on 458") {
		t.Errorf("got %s, %q", f.Severity, f.Summary)
	}
	w.restart()
	w.after(2 * time.Minute) // not judged yet
	w.after(judgeRulesEvery, "settled aidr.rule-failing map[rule_id:plain] 2026-03-01T12:00:00Z")
	w.stop()
}

// Conditions that fail are counted on their way from the worker to the meter.
func TestMeterCountsFailures(t *testing.T) {
	b := newBench(t, nil, 1, map[string]string{"bad": "when: int(event.action) > 5\n"})
	defer b.stop()
	b.read(0, false, event{"litellm", 0, 0, "x"}, event{"litellm", 0, 0, "7"}, event{"litellm", 0, 0, "3"})
	b.checkpoint()
	m := &b.e.meter.rules[0]
	if failed, hits := m.failed.Load(), m.hits.Load(); failed != 1 || hits != 1 {
		t.Errorf("got %d failures and %d hits, want 1 and 1", failed, hits)
	}
}

// A rule that takes most of the time is slow if the engine is busy and the rule takes long for an event.
func TestRuleSlow(t *testing.T) {
	w := newWatch(t)
	p := place(w.e, "count")
	spend := func(events int64, busy, rule time.Duration) {
		w.e.meter.events.Add(events)
		w.e.meter.busy.Add(int64(busy))
		w.e.meter.rules[p].fold.Add(int64(rule))
	}
	w.after(0)
	spend(1000, slowBusy-1, slowBusy-1) // the engine is idle
	w.after(judgeRulesEvery)
	spend(1000, 100*time.Second, 24*time.Second) // a small share
	w.after(judgeRulesEvery)
	spend(10e6, 100*time.Second, 99*time.Second) // little for each event
	w.after(judgeRulesEvery)
	spend(1e6, 100*time.Second, 26*time.Second)
	w.after(judgeRulesEvery, "open aidr.rule-slow map[rule_id:count] 2026-03-01T12:00:00Z")
	if f := w.found[0]; !strings.Contains(f.Summary, "26 %") || !strings.Contains(f.Summary, "26µs for each event") {
		t.Errorf("got %q", f.Summary)
	}
	w.restart()
	w.after(judgeRulesEvery)
	w.after(judgeRulesEvery, "settled aidr.rule-slow map[rule_id:count] 2026-03-01T12:00:00Z")
	w.stop()
}

// place returns the place of a rule in the Set.
func place(e *Engine, rule string) int {
	return slices.IndexFunc(e.rules.set.Rules, func(r *rules.Rule) bool { return r.ID == rule })
}

// A replay has no operational findings, also with a source that fails, and an engine without a store has none either.
func TestNoOperationalFindingInAReplay(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, kept := range []*store.Store{nil, st} {
		source := &frailSource{Source: memory.Source{Named: "s"}}
		source.failure.Store(new("refused"))
		now := benchStart
		hand := handClock{}
		c := hand.clock()
		var calls atomic.Int64
		c.Now = func() time.Time { return now.Add(time.Duration(calls.Add(1)) * 10 * time.Minute) } // every reading is later
		found, err := Replay(context.Background(), Options{Set: loadRules(t, lateRules), Store: kept, Clock: c, Inputs: []Input{{
			Source: source, Decode: decode.Options{Format: "aidr"}, Silence: Silence{After: time.Second},
		}}}, 0)
		if err != nil || len(found) != 0 {
			t.Errorf("got %v, %v, want no findings", found, err)
		}
	}
}
