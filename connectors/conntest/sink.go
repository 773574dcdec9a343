package conntest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// SinkTarget is one empty destination together with the operations on it that the suite needs.
type SinkTarget struct {
	// New returns a sink for the destination. Each call returns another sink for the same destination. The suite closes
	// it.
	New func(t *testing.T) connectors.Sink
	// Stored returns the findings in the destination, each with its highest revision.
	Stored func(t *testing.T) map[schema.ID]uint64
	// Poison changes a finding so that the destination never accepts it. nil: the destination accepts every finding.
	Poison func(f *schema.Finding)
	// TakeDown makes the destination unreachable until bringBack is called. nil: it is always reachable.
	TakeDown func(t *testing.T) (bringBack func())
}

const (
	// promptly is the time limit of operations that do not wait for anything; it is generous, for loaded machines.
	promptly = 15 * time.Second
	// outage is the time in which a connector has to work again after the system that it connects to is back. It is
	// longer than a connector's pause between two attempts.
	outage = 60 * time.Second
)

// TestSink runs the suite of the contract of connectors.Sink. It calls open once for each case.
func TestSink(t *testing.T, open func(t *testing.T) SinkTarget) {
	cases := []struct {
		name string
		run  func(t *testing.T, target SinkTarget)
	}{
		{"the Profile is valid and does not change", sinkProfile},
		{"Watch returns when its context ends", sinkWatch},
		{"entries are stored when Write returns", sinkDurable},
		{"Write without entries succeeds", sinkEmpty},
		{"the same entries again change nothing", sinkRepeated},
		{"an old revision that is repeated does not replace a new one", sinkOldRevision},
		{"the last revision of a finding remains", sinkOrder},
		{"a second sink goes on after the first one stopped", sinkReopened},
		{"the entries belong to the caller", sinkOwnership},
		{"a canceled Write returns promptly and can be repeated", sinkCanceled},
		{"an unreachable destination is an error, does not poison entries, and shows in Health", sinkUnreachable},
		{"a refused entry is poison, and its neighbours are delivered", sinkPoison},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// Entries returns n consecutive entries, starting with seq, that are the first revisions of n findings. Calls with the
// same seq return the same entries.
func Entries(seq uint64, n int) []connectors.Entry {
	entries := make([]connectors.Entry, n)
	for i := range entries {
		entries[i] = connectors.Entry{Seq: seq + uint64(i), Type: connectors.FindingOpened, Finding: finding(seq + uint64(i))}
	}
	return entries
}

// finding returns the first revision of the n-th of many findings.
func finding(n uint64) *schema.Finding {
	at := schema.Instant(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano() + int64(n)*int64(time.Second))
	f := &schema.Finding{
		Revision: 1, Status: schema.StatusOpen, RuleID: "conntest", RuleVersion: 1, Kind: "threshold",
		Title: fmt.Sprintf("Case %d", n), Severity: schema.SeverityHigh, Confidence: 80, Tags: []string{"owasp.llm01"},
		AgentUID: fmt.Sprintf("agent-%d", n), Key: map[string]string{"agent.uid": fmt.Sprintf("agent-%d", n)},
		GroupStart: at, FirstSeen: at, LastSeen: at, DetectedAt: &at, Count: 3, Value: "3", Threshold: "2",
		Summary:     "agent called \"t\"",
		Explanation: "3 of 2, said \"often\" & <quickly>",
		Evidence:    []schema.Evidence{{EventID: "e", Time: at, Topic: "t", Offset: int64(n), Dataset: "aws.cloudtrail"}},
	}
	f.ID[0], f.ID[15] = byte(n>>8), byte(n)
	return f
}

// next returns an entry with the next revision of e's finding.
func next(e connectors.Entry, seq uint64, status schema.Status) connectors.Entry {
	f := *e.Finding
	f.Revision++
	f.Count++
	f.Status = status
	return connectors.Entry{Seq: seq, Type: connectors.EntryTypeOf(&f), Finding: &f}
}

// openSink returns a new sink that is closed at the end of the test.
func openSink(t *testing.T, target SinkTarget) connectors.Sink {
	t.Helper()
	s := target.New(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if s.Name() == "" {
		t.Error("the sink has no name")
	}
	return s
}

// write fails the test if the entries cannot be written promptly.
func write(t *testing.T, s connectors.Sink, entries []connectors.Entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), promptly)
	defer cancel()
	if err := s.Write(ctx, entries); err != nil {
		t.Fatalf("write %d entries: %v", len(entries), err)
	}
}

// checkStored reports an error if the destination does not hold exactly the findings of the entries, each in its last
// revision.
func checkStored(t *testing.T, target SinkTarget, entries []connectors.Entry) {
	t.Helper()
	want := map[schema.ID]uint64{}
	for _, e := range entries {
		want[e.Finding.ID] = max(want[e.Finding.ID], e.Finding.Revision)
	}
	got := target.Stored(t)
	for id, revision := range want {
		if got[id] != revision {
			t.Errorf("finding %v is stored with revision %d, want %d", id, got[id], revision)
		}
	}
	for id, revision := range got {
		if want[id] == 0 {
			t.Errorf("finding %v is stored with revision %d, but was not written", id, revision)
		}
	}
}

func sinkProfile(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	p := s.Profile()
	if p.Dead != "" && p.Dead != schema.DeadRow && p.Dead != schema.DeadDelivery {
		t.Errorf("Dead is %q, want %q or %q", p.Dead, schema.DeadRow, schema.DeadDelivery)
	}
	if p.MaxEntries < 0 || p.MaxBytes < 0 || p.Linger < 0 || p.OutboxCap < 0 || p.UpdateEvery < 0 {
		t.Errorf("profile %+v has a negative limit", p)
	}
	entries := Entries(1, 1)
	for i, status := range []schema.Status{schema.StatusOpen, schema.StatusSettled, schema.StatusWithdrawn} {
		entries = append(entries, next(entries[i], uint64(i+2), status)) // one entry of each type
	}
	for _, e := range entries {
		if p.Wants != nil && !p.Wants(e) {
			t.Errorf("the sink does not want an entry of type %s", e.Type)
		}
	}
	write(t, s, entries)
	again := s.Profile()
	if (p.Wants == nil) != (again.Wants == nil) || (p.Watch == nil) != (again.Watch == nil) || (p.Enable == nil) != (again.Enable == nil) ||
		(p.Keep == nil) != (again.Keep == nil) || (p.Rows == nil) != (again.Rows == nil) {
		t.Error("Wants, Watch, Keep, Rows or Enable changed after a Write")
	}
	for _, x := range []*connectors.Profile{&p, &again} {
		x.Wants, x.Watch, x.Enable, x.Keep, x.Rows = nil, nil, nil, nil, nil // functions cannot be compared
	}
	if !reflect.DeepEqual(p, again) {
		t.Errorf("profile changed after a Write\nfrom %+v\nto   %+v", p, again)
	}
}

func sinkWatch(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	watch := s.Profile().Watch
	if watch == nil {
		t.Skip("this sink has no Watch")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		watch(ctx)
	}()
	write(t, s, Entries(1, 1)) // Write and Watch run at the same time
	select {
	case <-done:
		t.Error("Watch returned before its context ended")
	default:
	}
	cancel()
	select {
	case <-done:
	case <-time.After(promptly):
		t.Fatalf("Watch still runs %v after its context ended", promptly)
	}
	if h := s.Health(); h.Degraded {
		t.Errorf("health is degraded because Watch ended: %s", h.Reason)
	}
}

func sinkDurable(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 7)
	write(t, s, entries[:1])
	checkStored(t, target, entries[:1])
	write(t, s, entries[1:])
	checkStored(t, target, entries)
	if h := s.Health(); h.Degraded {
		t.Errorf("health is degraded after a successful Write: %s", h.Reason)
	}
}

func sinkEmpty(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	write(t, s, nil)
	checkStored(t, target, nil)
}

func sinkRepeated(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 6)
	write(t, s, entries)
	write(t, s, entries)
	write(t, s, entries[2:4]) // other blocks, as after a crash
	checkStored(t, target, entries)
}

func sinkOldRevision(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 2)
	entries = append(entries, next(entries[0], 3, schema.StatusSettled))
	write(t, s, entries[:2])
	write(t, s, entries[2:])
	write(t, s, entries[:2])
	checkStored(t, target, entries)
}

func sinkOrder(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 3)
	entries = append(entries, next(entries[1], 4, schema.StatusOpen))
	entries = append(entries, next(entries[0], 5, schema.StatusWithdrawn), next(entries[3], 6, schema.StatusSettled))
	write(t, s, entries)
	checkStored(t, target, entries)
}

func sinkReopened(t *testing.T, target SinkTarget) {
	entries := Entries(1, 6)
	first := target.New(t)
	write(t, first, entries[:4])
	if err := first.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	second := openSink(t, target)
	write(t, second, entries[2:]) // two entries again, as after a crash before the cursor was stored
	checkStored(t, target, entries)
	if first.Name() != second.Name() {
		t.Errorf("the name changed from %q to %q: it identifies the sink's cursor", first.Name(), second.Name())
	}
}

func sinkOwnership(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 4)
	before, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, entries)
	after, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("Write changed its entries\nfrom %s\nto   %s", before, after)
	}
	stored := target.Stored(t)
	for i := range entries { // a sink that kept them would write these values later
		entries[i].Finding.Revision, entries[i].Seq = 99, math.MaxUint64
	}
	more := Entries(5, 1)
	write(t, s, more)
	for id, revision := range stored {
		if got := target.Stored(t)[id]; got != revision {
			t.Errorf("finding %v is stored with revision %d after the caller changed its entry, want %d", id, got, revision)
		}
	}
}

func sinkCanceled(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	err := s.Write(ctx, entries)
	if err == nil {
		t.Error("a canceled Write returned no error")
	}
	for _, u := range undelivered(t, err, entries) {
		if u.Poison {
			t.Errorf("entry %d is poison after a canceled Write: %s", u.Seq, u.Reason)
		}
	}
	if d := time.Since(start); d > promptly {
		t.Errorf("a canceled Write took %v, want at most %v", d, promptly)
	}
	write(t, s, entries)
	checkStored(t, target, entries)
}

// undelivered checks that a Partial names only entries of this Write, each once and with a reason, and returns them. It
// returns nil for other errors.
func undelivered(t *testing.T, err error, entries []connectors.Entry) []connectors.Undelivered {
	t.Helper()
	var partial *connectors.Partial
	if !errors.As(err, &partial) {
		return nil
	}
	if len(partial.Entries) == 0 {
		t.Error("the Partial names no entry")
	}
	written := map[uint64]bool{}
	for _, e := range entries {
		written[e.Seq] = true
	}
	for _, u := range partial.Entries {
		if !written[u.Seq] {
			t.Errorf("the Partial names entry %d twice, or although it was not written", u.Seq)
		}
		delete(written, u.Seq)
		if u.Reason == "" {
			t.Errorf("the Partial names entry %d without a reason", u.Seq)
		}
		if u.After < 0 {
			t.Errorf("entry %d is to be tried again after %v, want at least 0", u.Seq, u.After)
		}
	}
	return partial.Entries
}

func sinkUnreachable(t *testing.T, target SinkTarget) {
	if target.TakeDown == nil {
		t.Skip("this destination is always reachable")
	}
	s := openSink(t, target)
	entries := Entries(1, 4)
	write(t, s, entries[:2])
	bringBack := target.TakeDown(t)
	ctx, cancel := context.WithTimeout(t.Context(), promptly)
	defer cancel()
	err := s.Write(ctx, entries[2:])
	if err == nil {
		t.Error("Write to an unreachable destination returned no error")
	}
	for _, u := range undelivered(t, err, entries[2:]) {
		if u.Poison {
			t.Errorf("entry %d is poison although the destination is unreachable: %s", u.Seq, u.Reason)
		}
	}
	if h := s.Health(); !h.Degraded || h.Reason == "" || h.Since.IsZero() {
		t.Errorf("health while the destination is unreachable is %+v, want it degraded with a reason and a time", h)
	}
	bringBack()
	writeUntil(t, s, entries[2:], time.Now().Add(outage))
	checkStored(t, target, entries)
	if h := s.Health(); h.Degraded {
		t.Errorf("health is still degraded after the destination came back: %s", h.Reason)
	}
}

// writeUntil repeats a Write until it succeeds, as a deliverer does.
func writeUntil(t *testing.T, s connectors.Sink, entries []connectors.Entry, deadline time.Time) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	for {
		err := s.Write(ctx, entries)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("Write still fails after the destination came back: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func sinkPoison(t *testing.T, target SinkTarget) {
	if target.Poison == nil {
		t.Skip("this destination accepts every finding")
	}
	s := openSink(t, target)
	entries := Entries(1, 9)
	bad := map[uint64]bool{2: true, 3: true, 9: true}
	var good []connectors.Entry
	for _, e := range entries {
		if bad[e.Seq] {
			target.Poison(e.Finding)
		} else {
			good = append(good, e)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), promptly)
	defer cancel()
	err := s.Write(ctx, entries)
	var partial *connectors.Partial
	if !errors.As(err, &partial) {
		t.Fatalf("error of a Write with %d poison entries is %v, want a *Partial", len(bad), err)
	}
	for _, u := range undelivered(t, err, entries) {
		if !u.Poison || !bad[u.Seq] {
			t.Errorf("entry %d is poison: %t (%s), want %t", u.Seq, u.Poison, u.Reason, bad[u.Seq])
		}
		delete(bad, u.Seq)
	}
	for seq := range bad {
		t.Errorf("the Partial does not name entry %d, which is poison", seq)
	}
	checkStored(t, target, good)
}
