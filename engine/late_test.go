package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// handClock is a clock that a test moves. It never ticks: a test makes the checkpoints.
type handClock struct{ now time.Time }

func (c *handClock) clock() clock.Clock {
	return clock.Clock{
		Now:  func() time.Time { return c.now },
		Tick: func(time.Duration) (<-chan time.Time, func()) { return nil, func() {} },
	}
}

// bench is an engine with one live source whose batches a test hands in.
type bench struct {
	t      *testing.T
	e      *Engine
	clock  *handClock
	latest map[schema.ID]*schema.Finding
	offset map[int32]int64
}

var benchStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newBench(t *testing.T, st *store.Store, partitions int32, rules map[string]string) *bench {
	t.Helper()
	return newMeasured(t, st, partitions, rules, nil)
}

// newMeasured is newBench with the metrics m.
func newMeasured(t *testing.T, st *store.Store, partitions int32, rules map[string]string, m *Metrics) *bench {
	t.Helper()
	b := &bench{t: t, clock: &handClock{now: benchStart}, latest: map[schema.ID]*schema.Finding{}, offset: map[int32]int64{}}
	var err error
	b.e, err = New(Options{
		Set: loadRules(t, rules), Store: st, Shards: 2, Clock: b.clock.clock(), Metrics: m,
		Inputs: []Input{{
			Source: &memory.Source{Named: "s"}, Decode: decode.Options{Format: "aidr"},
			Datasets: []string{"litellm", "aws.cloudtrail"},
		}},
		Committed: func(entries []connectors.Entry) {
			for _, e := range entries {
				b.latest[e.Finding.ID] = e.Finding
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range partitions {
		b.e.Assigned(b.partition(n))
	}
	return b
}

func loadRules(t *testing.T, files map[string]string) *rules.Set {
	t.Helper()
	dir := t.TempDir()
	for id, body := range files {
		text := fmt.Sprintf("id: %s\ntitle: t\nseverity: low\n%s", id, body)
		if err := os.WriteFile(filepath.Join(dir, id+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	return set
}

func (b *bench) partition(n int32) connectors.Partition {
	return connectors.Partition{Source: "s", Topic: "t", Number: n}
}

// event is one record: its dataset, its time and its record time (offsets from the start in seconds), and its action.
type event struct {
	dataset    string
	at, record int
	action     string
}

// read hands in the events as one batch; atEnd marks the partition as read to its end.
func (b *bench) read(partition int32, atEnd bool, events ...event) {
	b.t.Helper()
	batch := &connectors.Batch{Partition: b.partition(partition), HighWater: -1, AtEnd: atEnd}
	for _, e := range events {
		line, err := json.Marshal(map[string]any{
			"time": benchStart.Add(time.Duration(e.at) * time.Second), "event.dataset": e.dataset, "event.class": "tool",
			"event.action": e.action, "ai_agent.uid": "a", "http.request.id": fmt.Sprint(b.offset[partition]),
		})
		if err != nil {
			b.t.Fatal(err)
		}
		at := schema.InstantOf(benchStart.Add(time.Duration(e.record) * time.Second))
		rec := connectors.Record{Start: len(batch.Raw), Offset: b.offset[partition], Time: at}
		batch.Raw += string(line)
		rec.End = len(batch.Raw)
		batch.Records = append(batch.Records, rec)
		b.offset[partition]++
	}
	batch.Next = b.offset[partition]
	b.offset[partition] = batch.Next // also for an empty batch: checkpoint waits for the lanes named here
	if err := b.e.Read(context.Background(), batch); err != nil {
		b.t.Fatal(err)
	}
}

// reach hands in as many records of one second as a partition needs for a watermark.
func (b *bench) reach(partition int32, second int) {
	b.t.Helper()
	for range minRank {
		b.read(partition, false, event{"litellm", second, second, "y"})
	}
}

// checkpoint makes a checkpoint of everything that was handed in. Lanes route in goroutines of their own, so a fence goes
// through each lane first.
func (b *bench) checkpoint() {
	b.t.Helper()
	for n := range b.offset {
		j := &job{lane: b.e.lanes.get(b.partition(n)), done: make(chan struct{})}
		if err := b.e.submit(context.Background(), j); err != nil {
			b.t.Fatal(err)
		}
		<-j.done
	}
	if err := b.e.Checkpoint(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) stop() {
	b.t.Helper()
	if err := b.e.Stop(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// by returns the findings of a rule and status.
func (b *bench) by(rule string, status schema.Status) (out []*schema.Finding) {
	for _, f := range b.latest {
		if f.RuleID == rule && f.Status == status {
			out = append(out, f)
		}
	}
	return out
}

var lateRules = map[string]string{
	"plain": "when: event.action == \"x\"\ngroup: {for: 10s}\n",
	"count": "when: event.action == \"x\"\nthreshold: {count: 1, within: 1m, by: [ai_agent.uid]}\ngroup: {for: 10s}\n",
}

// A late event becomes a finding of its own under a rule without a stateful clause, and is counted under the others.
func TestLateEvents(t *testing.T) {
	b := newBench(t, nil, 1, lateRules)
	defer b.stop()
	b.reach(0, 100)
	b.read(0, false, event{"litellm", 69, 101, "x"}) // 31 s too old: late
	b.read(0, false, event{"litellm", 71, 102, "x"}) // 29 s old: in time
	b.checkpoint()
	late := 0
	for _, f := range b.by("plain", schema.StatusSettled) {
		if f.Late && f.GroupStart == schema.Instant(benchStart.Add(69*time.Second).UnixNano()) {
			late++
		}
	}
	if late != 1 {
		t.Errorf("the late event gave %d findings of its own, want 1: %v", late, b.latest)
	}
	if got := len(b.by("count", schema.StatusOpen)); got != 1 {
		t.Errorf("the rule that counts has %d open findings, want 1: the late event is not an item of it", got)
	}
}

// A late copy of a record gives one late finding, however often it comes.
func TestLateCopiesAreOneFinding(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b := newBench(t, st, 1, lateRules)
	defer b.stop()
	seen := 0
	committed := b.e.checkpoints.committed
	b.e.checkpoints.committed = func(entries []connectors.Entry) {
		for _, e := range entries {
			if e.Finding.Late {
				seen++
			}
		}
		committed(entries)
	}
	b.reach(0, 100)
	for range 3 {
		b.offset[0] = 7 // the same bytes
		b.read(0, false, event{"litellm", 10, 101, "x"})
		b.checkpoint()
	}
	if seen != 1 {
		t.Errorf("three copies of a late event gave %d changes of findings, want 1", seen)
	}
}

// One forged date must not blind the rules: the watermark does not move, and the event is counted as late.
func TestFutureDatedEvents(t *testing.T) {
	b := newBench(t, nil, 1, lateRules)
	defer b.stop()
	b.reach(0, 0)
	b.read(0, false, event{"litellm", 5000, 1, "x"}) // more than 5 min past its record
	b.read(0, false, event{"litellm", 2, 2, "x"})
	b.reach(0, 2)
	b.checkpoint()
	if got := len(b.by("count", schema.StatusOpen)); got != 1 {
		t.Errorf("after a forged date %d findings, want 1", got)
	}
	if high := b.e.lanes.get(b.partition(0)).progress.high(); high != schema.InstantOf(benchStart.Add(2*time.Second)) {
		t.Errorf("the partition's high is %v: the forged date moved it", high)
	}
}

// An event before its record's time is judged by its own dataset's delay, also if the partition carries other datasets.
func TestDelayIsTheDatasets(t *testing.T) {
	b := newBench(t, nil, 1, lateRules)
	defer b.stop()
	b.reach(0, 1000)
	b.read(0, false, event{"aws.cloudtrail", 10, 1001, "x"}) // 16.5 min old: in time for an audit trail
	b.read(0, false, event{"litellm", 900, 1002, "x"})       // late for a gateway
	b.checkpoint()
	open, late := b.by("plain", schema.StatusOpen), 0
	for _, f := range b.by("plain", schema.StatusSettled) {
		if f.Late {
			late++
		}
	}
	if len(open) != 1 || late != 1 {
		t.Errorf("%d open and %d late findings, want 1 and 1", len(open), late)
	}
}

// A partition without a first record holds the watermark back; a silent one that is read to its end follows the clock.
func TestIdlePartitionsFollowTheClock(t *testing.T) {
	b := newBench(t, nil, 2, map[string]string{"plain": "when: event.action == \"x\"\ngroup: {for: 10s}\ndatasets: [litellm]\n"})
	defer b.stop()
	b.read(0, true, event{"litellm", 0, 0, "x"})
	b.read(1, true)
	b.checkpoint()
	if got := len(b.by("plain", schema.StatusOpen)); got != 1 {
		t.Fatalf("%d open findings, want 1, at once", got)
	}
	b.clock.now = benchStart.Add(DefaultIdle - time.Second)
	b.checkpoint()
	if got := len(b.by("plain", schema.StatusSettled)); got != 0 {
		t.Errorf("%d findings settled before the partitions were idle", got)
	}
	b.clock.now = benchStart.Add(DefaultIdle + time.Second)
	b.checkpoint() // high is now; the watermark is 30 s less
	b.clock.now = benchStart.Add(DefaultIdle + 11*time.Second)
	b.checkpoint()
	if got := len(b.by("plain", schema.StatusSettled)); got != 1 {
		t.Errorf("%d findings settled after both partitions were idle, want 1", got)
	}
}

// The watermark of an idle partition follows the clock until its end was last confirmed: records may have come since.
func TestIdlePartitionsWaitForTheNextAnswer(t *testing.T) {
	b := newBench(t, nil, 1, map[string]string{"plain": "when: event.action == \"x\"\ngroup: {for: 10s}\ndatasets: [litellm]\n"})
	defer b.stop()
	b.read(0, true, event{"litellm", 0, 0, "x"})
	b.checkpoint()
	confirm := func(seen time.Time) {
		batch := &connectors.Batch{Partition: b.partition(0), Next: b.offset[0], HighWater: -1, AtEnd: true, Seen: seen}
		if err := b.e.Read(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		b.checkpoint()
	}
	b.clock.now = benchStart.Add(DefaultIdle + time.Minute)
	confirm(benchStart.Add(DefaultIdle))
	if got := len(b.by("plain", schema.StatusSettled)); got != 0 {
		t.Errorf("%d findings settled by a watermark beyond the last answer of the broker", got)
	}
	confirm(benchStart.Add(DefaultIdle + 12*time.Second))
	if got := len(b.by("plain", schema.StatusSettled)); got != 1 {
		t.Errorf("%d findings settled after the answer, want 1", got)
	}
}

// A partition with a backlog that runs ahead of another waits for it.
func TestAlignment(t *testing.T) {
	b := newBench(t, nil, 2, lateRules)
	defer b.stop()
	b.reach(1, 0)
	b.reach(0, 1000)
	b.checkpoint()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- b.e.Read(ctx, &connectors.Batch{Partition: b.partition(0), Next: 1, HighWater: -1})
	}()
	select {
	case err := <-done:
		t.Fatalf("the partition that is 1,000 s ahead was not held back: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	b.read(1, true, event{"litellm", 10, 10, "y"}) // read to its end: it holds no other partition back
	if err := <-done; err != nil {
		t.Error(err)
	}
	cancel()
}

// The State of a rule whose shape changed starts empty, and its findings carry warming_until; State of the same shape
// is kept.
func TestWarming(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	rule := func(within string) map[string]string {
		return map[string]string{
			"count": "when: event.action == \"x\"\nthreshold: {count: 2, within: " + within + ", by: [ai_agent.uid]}\n",
			"same":  "when: event.action == \"x\"\nthreshold: {count: 2, within: 1m, by: [ai_agent.uid]}\n",
		}
	}
	b := newBench(t, st, 1, rule("1m"))
	b.read(0, false, event{"litellm", 0, 0, "x"}, event{"litellm", 100, 100, "y"})
	b.checkpoint()
	b.stop()
	b = newBench(t, st, 1, rule("2m"))
	defer b.stop()
	b.offset[0] = 2
	b.read(0, false, event{"litellm", 101, 101, "x"}, event{"litellm", 102, 102, "x"})
	b.checkpoint()
	warm, same := b.by("count", schema.StatusOpen), b.by("same", schema.StatusOpen)
	if len(warm) != 1 || warm[0].WarmingUntil == nil {
		t.Errorf("the rule of another shape found %v, want one finding with warming_until", warm)
	}
	if len(same) != 1 || same[0].WarmingUntil != nil {
		t.Errorf("the rule of the same shape found %v, want one finding without warming_until", same)
	}
}

// If the State is lost and the source continues from a position of its own, findings carry warming_until. That includes
// those of a rule without a window: its open groups are lost too.
func TestLostStateIsReported(t *testing.T) {
	b := newBench(t, nil, 1, lateRules)
	defer b.stop()
	b.e.StateLost(b.partition(0))
	b.read(0, false, event{"litellm", 0, 0, "x"}, event{"litellm", 120, 120, "x"})
	b.checkpoint()
	for _, rule := range []string{"plain", "count"} {
		warm := b.by(rule, schema.StatusOpen)
		if len(warm) == 0 {
			t.Fatalf("%s: nothing was found", rule)
		}
		for _, f := range warm {
			if f.WarmingUntil == nil {
				t.Errorf("%s: the finding of %v has no warming_until", rule, f.GroupStart)
			}
		}
	}
	if s := b.e.Status(); s.WarmingRules != 2 || s.WarmingUntil != schema.InstantOf(benchStart.Add(190*time.Second)) {
		t.Errorf("status: %d rules are warming until %v, want 2 until 190 s: window and group after the last event", s.WarmingRules, s.WarmingUntil)
	}
}

// A loss is remembered until an event is read: over a restart, over records without events, and over an earlier event
// time, because the time at which reading goes on does not follow from it.
func TestLossIsRememberedUntilAnEvent(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b := newBench(t, st, 1, lateRules)
	b.read(0, false, event{"litellm", 0, 0, "y"})
	b.checkpoint()
	b.e.StateLost(b.partition(0))
	b.checkpoint()
	b.stop()
	b = newBench(t, st, 1, lateRules)
	defer b.stop()
	b.offset[0] = 1
	b.checkpoint()
	if got := b.e.Status().WarmingRules; got != 0 {
		t.Errorf("%d rules are warming before an event was read", got)
	}
	b.read(0, false, event{"litellm", 3600, 3600, "x"})
	b.checkpoint()
	warm := b.by("count", schema.StatusOpen)
	if len(warm) != 1 || warm[0].WarmingUntil == nil {
		t.Errorf("after a loss, a restart and an event: found %v, want one finding with warming_until", warm)
	}
}

// TestTakeOverWarms takes over from a random event of a random stream without the State of the events before it. Every
// finding that the undisturbed run does not have as it is carries warming_until if its group starts within the rule's
// window and group length after the first event; later findings do not carry it.
func TestTakeOverWarms(t *testing.T) {
	files := map[string]string{
		"plain":    "when: event.action == \"x\"\ngroup: {for: 20s}\n",
		"each":     "when: event.action == \"x\"\ngroup: {for: 0s}\n",
		"count":    "when: event.action == \"x\"\nthreshold: {count: 3, within: 30s, by: [ai_agent.uid]}\ngroup: {for: 10s}\n",
		"distinct": "when: event.class == \"tool\"\ndistinct: {of: event.action, count: 3, within: 40s, by: [ai_agent.uid]}\ngroup: {for: 0s}\n",
		"chain": "sequence:\n  within: 40s\n  by: [ai_agent.uid]\n  steps:\n    - {id: one, when: event.action == \"x\"}\n" +
			"    - {id: two, when: event.action == \"y\"}\n",
	}
	set := loadRules(t, files)
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 4))
		var stream []event
		for at := 0; len(stream) < 60; at += 1 + random.IntN(8) {
			stream = append(stream, event{"litellm", at, at, string("xyz"[random.IntN(3)])})
		}
		whole := newBench(t, nil, 1, files)
		whole.read(0, false, stream...)
		whole.checkpoint()
		whole.stop()
		from := random.IntN(len(stream))
		b := newBench(t, nil, 1, files)
		b.e.StateLost(b.partition(0))
		b.offset[0] = int64(from)
		b.read(0, false, stream[from])
		b.checkpoint()
		b.read(0, false, stream[from+1:]...)
		b.checkpoint()
		b.stop()
		start := schema.InstantOf(benchStart.Add(time.Duration(stream[from].at) * time.Second))
		for _, r := range set.Rules {
			until := start.Add(r.Lookback() + r.GroupFor)
			for id, f := range b.latest {
				if f.RuleID != r.ID {
					continue
				}
				if w := f.WarmingUntil; (w != nil) != (f.GroupStart < until) || w != nil && *w != until {
					t.Errorf("seed %d: %s of %v, taken over at %v: warming until %v, want until %v", seed, r.ID, f.GroupStart, start, w, until)
				}
				if f.WarmingUntil == nil && r.GroupFor == 0 && (whole.latest[id] == nil || whole.latest[id].Count != f.Count) {
					t.Errorf("seed %d: %s of %v differs from the undisturbed run's but carries no warming_until", seed, r.ID, f.GroupStart)
				}
			}
		}
	}
}
