package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// testdata/olddir holds a state directory that an earlier version of `aidr run` wrote. It must stay readable, so never
// regenerate it to fix a test. The version read 10 lines of calls.jsonl with a delay of 5 min, stopped, and read nothing
// further in a second run without the rule olddir.removed:
//
//	line   time           agent  session
//	1-3    09:00:00 to 2  a      r0 to r2
//	4      not JSON
//	5-8    11:00:00 to 3  b      r0 to r3
//	9, 10  11:00:10, 11   a      r0, r1
//
// The watermark is 10:55:11, so the finding of line 3 is settled, the items of lines 5 to 10 are pending, and the
// findings of agent b are open. The endpoint of the sink "soc" was down all the time.
const oldDir = "testdata/olddir"

// oldTime is shortly after the directory was written: the store deletes settled findings after some time.
var oldTime = time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC)

// oldPartition is the file that was read; its number was computed from the beginning of the file.
var oldPartition = connectors.Partition{Source: "files", Topic: "calls.jsonl", Number: 519185803}

// oldNext is the position after line 10, in bytes.
const oldNext = 1348

// openOldDir opens a copy of the old directory.
func openOldDir(t *testing.T) *store.Store {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "store"), os.DirFS(filepath.Join(oldDir, "store"))); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir, store.Options{Now: func() time.Time { return oldTime }, Logf: t.Logf})
	if err != nil {
		t.Fatalf("open a directory of an earlier version: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// lines collects lines of text for a comparison.
type lines []string

func (l *lines) addf(format string, args ...any) bool {
	*l = append(*l, fmt.Sprintf(format, args...))
	return true
}

func (l *lines) compare(t *testing.T, name string, err error, want ...string) {
	t.Helper()
	if err != nil || !slices.Equal(*l, want) {
		t.Errorf("%s: got (error: %v)\n%s\nwant\n%s", name, err, strings.Join(*l, "\n"), strings.Join(want, "\n"))
	}
	*l = nil
}

func (l *lines) addFindings(s *store.Store) error {
	return s.Findings(store.FindingFilter{}, func(f *schema.Finding) bool {
		return l.addf("%s %s %s revision %d count %d, %d events", f.RuleID, f.AgentUID, f.Status, f.Revision, f.Count, len(f.Evidence))
	})
}

// The store reads all tables of a directory that an earlier version wrote.
func TestOldDirectoryStore(t *testing.T) {
	s := openOldDir(t)
	var got lines

	seq, state, ok, err := s.Last()
	got.addf("%d %t %t", seq, ok, strings.Contains(string(state), fmt.Sprintf(`"next":%d`, oldNext)))
	got.compare(t, "last checkpoint", err, "5 true true")

	// The keys are a hash of 8 bytes, the rule, 0, and the group key.
	err = s.Cells(nil, func(key, value []byte) bool {
		rule, group, _ := strings.Cut(string(key[8:]), "\x00")
		return got.addf("%s %s, %d bytes", rule, group[:1], len(value))
	})
	got.compare(t, "cells", err,
		"olddir.removed b, 37 bytes", "olddir.burst b, 500 bytes", "olddir.spread b, 516 bytes",
		"olddir.removed a, 37 bytes", "olddir.burst a, 37 bytes", "olddir.spread a, 37 bytes")

	err = s.Items(func(seq uint64, items []byte) bool { return got.addf("checkpoint %d: %d bytes", seq, len(items)) })
	got.compare(t, "pending items", err, "checkpoint 1: 1806 bytes")

	err = s.Retired(func(rule string, _ []byte) bool { return got.addf("%s", rule) })
	got.compare(t, "retired rules", err, "olddir.removed")

	err = got.addFindings(s)
	got.compare(t, "findings", err,
		"olddir.spread b open revision 1 count 4, 4 events",
		"olddir.burst b open revision 1 count 4, 4 events",
		"olddir.burst a settled revision 1 count 3, 3 events")

	entries, err := s.Outbox(1, 10, 1<<20)
	for _, e := range entries {
		got.addf("%d %s %s %s, %d bytes", e.Seq, e.Type, e.Finding.RuleID, e.Finding.AgentUID, e.Size)
	}
	got.compare(t, "outbox", err,
		"1 finding.opened olddir.burst a, 1317 bytes",
		"2 finding.opened olddir.spread b, 1651 bytes",
		"3 finding.opened olddir.burst b, 1620 bytes")

	sink, _ := s.Sink("soc")
	got.addf("step %d, cursor %d, block %d, end %d", sink.Number, sink.Cursor, sink.Block, s.End())
	for _, r := range sink.Retries {
		got.addf("retry %d attempts %d, %d bytes", r.Seq, r.Attempts, r.Size)
	}
	w, err := s.Waiting("soc")
	got.addf("%d entries of %d bytes wait", w.Entries, w.Bytes)
	got.compare(t, "sink", err, "step 7, cursor 4, block 0, end 4",
		"retry 1 attempts 3, 1317 bytes", "retry 2 attempts 3, 1651 bytes", "retry 3 attempts 3, 1620 bytes",
		"3 entries of 4588 bytes wait")

	err = s.DeadLetters(store.DeadFilter{}, func(l *store.DeadLetter) bool {
		return got.addf("%d %s %s %s/%d %q", l.Seq, l.Kind, l.Reason, l.Topic, l.Offset, l.Body)
	})
	got.compare(t, "dead letters", err, `1 record malformed_json calls.jsonl/441 "{\"time\": this is not JSON"`)
}

// The engine continues from a directory that an earlier version wrote, with its positions, State and pending items.
func TestOldDirectoryEngine(t *testing.T) {
	s := openOldDir(t)
	set, problems := rules.Load(rules.Options{}, filepath.Join(oldDir, "rules"))
	if set == nil {
		t.Fatal(problems)
	}
	e, err := engine.New(engine.Options{
		Set: set, Store: s, Shards: 2,
		Inputs: []engine.Input{{
			Source: &memory.Source{Named: oldPartition.Source}, Decode: decode.Options{Format: "aidr"},
			Datasets: []string{"x.test"}, Delays: map[string]time.Duration{"x.test": 5 * time.Minute},
		}},
		Clock: clock.Clock{ // the last checkpoint of Stop is the only one
			Now:  func() time.Time { return oldTime },
			Tick: func(time.Duration) (<-chan time.Time, func()) { return nil, func() {} },
		},
	})
	if err != nil {
		t.Fatalf("start with a directory of an earlier version: %v", err)
	}
	var got lines

	from, known := e.Assigned(oldPartition)
	got.addf("from %d %t", from, known)
	for _, p := range e.Status().Partitions {
		got.addf("next %d watermark %s", p.Next, schema.Instant(p.Watermark))
	}
	got.compare(t, "partitions", nil, "from 1348 true", "next 1348 watermark 2026-01-31T10:55:11Z")

	for _, rule := range []string{"olddir.burst", "olddir.spread"} {
		for _, agent := range []string{"a", "b"} {
			v, err := e.State(context.Background(), rule, map[string]string{"ai_agent.uid": agent})
			if err != nil {
				t.Errorf("state of %s for agent %s: %v", rule, agent, err)
				continue
			}
			got.addf("%s %s: %d pending, %d open findings", rule, agent, v.Pending, len(v.Findings))
		}
	}
	got.compare(t, "state", nil,
		"olddir.burst a: 2 pending, 0 open findings", "olddir.burst b: 4 pending, 1 open findings",
		"olddir.spread a: 2 pending, 0 open findings", "olddir.spread b: 4 pending, 1 open findings")

	// With the pending items, the third call of agent a makes a finding, and the fifth one of agent b makes new revisions.
	// The earlier version found the same.
	batch := &connectors.Batch{Partition: oldPartition, HighWater: -1}
	for _, text := range []string{
		`{"time":"2026-01-31T11:00:12Z","event.dataset":"x.test","event.class":"api","event.action":"call","ai_agent.uid":"a","session.id":"r2"}`,
		`{"time":"2026-01-31T11:00:04Z","event.dataset":"x.test","event.class":"api","event.action":"call","ai_agent.uid":"b","session.id":"r3"}`,
	} {
		start := len(batch.Raw)
		batch.Raw += text
		batch.Records = append(batch.Records, connectors.Record{Start: start, End: len(batch.Raw), Offset: oldNext + int64(start)})
	}
	batch.Next = oldNext + int64(len(batch.Raw))
	if err := e.Read(context.Background(), batch); err != nil {
		t.Fatalf("read: %v", err)
	}
	if err := e.Stop(context.Background()); err != nil {
		t.Fatalf("stop: %v", err)
	}
	err = got.addFindings(s)
	got.compare(t, "findings after two more records", err,
		"olddir.burst a open revision 1 count 3, 3 events",
		"olddir.spread b open revision 2 count 5, 5 events",
		"olddir.burst b open revision 2 count 5, 5 events",
		"olddir.burst a settled revision 1 count 3, 3 events")

	// Evidence of the old directory is shown as it was captured, next to that of the new records.
	err = s.Findings(store.FindingFilter{}, func(f *schema.Finding) bool {
		if f.RuleID != "olddir.burst" || f.AgentUID != "b" {
			return true
		}
		for _, e := range f.Evidence {
			got.addf("%s %s %q %v", e.Dataset, e.Action, e.Class, e.Fields)
		}
		return got.addf("%s", f.Explanation)
	})
	got.compare(t, "evidence", err,
		`x.test call "" map[ai_agent.uid:b event.action:call]`,
		`x.test call "" map[ai_agent.uid:b event.action:call]`,
		`x.test call "" map[ai_agent.uid:b event.action:call]`,
		`x.test call "" map[ai_agent.uid:b event.action:call]`,
		`x.test call "api" map[ai_agent.uid:b event.action:call]`,
		`Agent "b" did "call": 5 events within 1m, the limit is 3; 5 events in all, from 2026-01-31T11:00:00Z to 2026-01-31T11:00:04Z.`)
}
