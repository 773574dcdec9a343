package conntest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// SinkTarget is one empty destination of a kind, and what the suite has to do with it.
type SinkTarget struct {
	// New returns a sink to the destination; called again, it returns another one to the same destination. The suite
	// closes it.
	New func(t *testing.T) connectors.Sink
	// Held returns the findings that the destination holds, each with its highest revision.
	Held func(t *testing.T) map[schema.ID]uint64
	// Poison changes a finding so that this destination refuses it for good. nil: it refuses nothing.
	Poison func(f *schema.Finding)
	// Away makes the destination unreachable until back is called. nil: it cannot be.
	Away func(t *testing.T) (back func())
}

const (
	// promptly is how soon something has to happen that waits for nobody: generous, for loaded machines.
	promptly = 15 * time.Second
	// outage is how long a sink may take to work again once its destination is back: longer than its pause between
	// two attempts.
	outage = 60 * time.Second
)

// TestSink runs the contract of connectors.Sink. open is called once for each case.
func TestSink(t *testing.T, open func(t *testing.T) SinkTarget) {
	cases := []struct {
		name string
		run  func(t *testing.T, target SinkTarget)
	}{
		{"what Write took is there when it returns", sinkDurable},
		{"nothing to write is no error", sinkEmpty},
		{"the same entries again change nothing", sinkAgain},
		{"an old revision sent again does not replace a new one", sinkOldAgain},
		{"the last revision of a finding stands", sinkOrder},
		{"another sink goes on where this one stopped", sinkReopened},
		{"the entries stay the caller's", sinkOwnership},
		{"a canceled Write returns promptly and can be repeated", sinkCanceled},
		{"a destination that is away is an error, poisons nothing, and shows in Health", sinkAway},
		{"what is refused for good is poison, its neighbours are delivered", sinkPoison},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// Entries returns n findings' first revisions as consecutive entries from seq on. The same seq gives the same entries.
func Entries(seq uint64, n int) []connectors.Entry {
	entries := make([]connectors.Entry, n)
	for i := range entries {
		entries[i] = connectors.Entry{Seq: seq + uint64(i), Type: connectors.FindingOpened, Finding: finding(seq + uint64(i))}
	}
	return entries
}

func finding(n uint64) *schema.Finding {
	at := schema.Instant(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano() + int64(n)*int64(time.Second))
	f := &schema.Finding{
		Revision: 1, Status: schema.StatusOpen, RuleID: "conntest", RuleVersion: 1, Kind: "threshold",
		Title: fmt.Sprintf("Case %d", n), Severity: "high", Confidence: 80, Tags: []string{"owasp.llm01"},
		AgentUID: fmt.Sprintf("agent-%d", n), Key: map[string]string{"agent.uid": fmt.Sprintf("agent-%d", n)},
		GroupStart: at, FirstSeen: at, LastSeen: at, DetectedAt: &at, Count: 3, Value: "3", Threshold: "2",
		Explanation: "3 of 2, said \"often\" & <quickly>",
		Evidence:    []schema.Evidence{{EventID: "e", Time: at, Topic: "t", Offset: int64(n), Dataset: "aws.cloudtrail"}},
	}
	f.ID[0], f.ID[15] = byte(n>>8), byte(n)
	return f
}

// next is entry's finding one revision later.
func next(e connectors.Entry, seq uint64, status schema.Status) connectors.Entry {
	f := *e.Finding
	f.Revision++
	f.Count++
	f.Status = status
	return connectors.Entry{Seq: seq, Type: connectors.EntryTypeOf(&f), Finding: &f}
}

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

func write(t *testing.T, s connectors.Sink, entries []connectors.Entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), promptly)
	defer cancel()
	if err := s.Write(ctx, entries); err != nil {
		t.Fatalf("write %d entries: %v", len(entries), err)
	}
}

// holds fails where the destination does not hold exactly the entries' findings, each in its last revision.
func holds(t *testing.T, target SinkTarget, entries []connectors.Entry) {
	t.Helper()
	want := map[schema.ID]uint64{}
	for _, e := range entries {
		want[e.Finding.ID] = max(want[e.Finding.ID], e.Finding.Revision)
	}
	got := target.Held(t)
	for id, revision := range want {
		if got[id] != revision {
			t.Errorf("finding %v: revision %d is there, want %d", id, got[id], revision)
		}
	}
	for id, revision := range got {
		if want[id] == 0 {
			t.Errorf("finding %v revision %d is there and was not written", id, revision)
		}
	}
}

func sinkDurable(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 7)
	write(t, s, entries[:1])
	holds(t, target, entries[:1])
	write(t, s, entries[1:])
	holds(t, target, entries)
	if h := s.Health(); h.Degraded {
		t.Errorf("health is degraded after a good write: %s", h.Reason)
	}
}

func sinkEmpty(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	write(t, s, nil)
	holds(t, target, nil)
}

func sinkAgain(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 6)
	write(t, s, entries)
	write(t, s, entries)
	write(t, s, entries[2:4]) // cut otherwise, as after a crash
	holds(t, target, entries)
}

func sinkOldAgain(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 2)
	entries = append(entries, next(entries[0], 3, schema.StatusSettled))
	write(t, s, entries[:2])
	write(t, s, entries[2:])
	write(t, s, entries[:2])
	holds(t, target, entries)
}

func sinkOrder(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 3)
	entries = append(entries, next(entries[1], 4, schema.StatusOpen))
	entries = append(entries, next(entries[0], 5, schema.StatusWithdrawn), next(entries[3], 6, schema.StatusSettled))
	write(t, s, entries)
	holds(t, target, entries)
}

func sinkReopened(t *testing.T, target SinkTarget) {
	entries := Entries(1, 6)
	first := target.New(t)
	write(t, first, entries[:4])
	if err := first.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	second := openSink(t, target)
	write(t, second, entries[2:]) // the cursor was not yet durable when the first one was killed
	holds(t, target, entries)
	if first.Name() != second.Name() {
		t.Errorf("the name changed from %q to %q: cursors hang on it", first.Name(), second.Name())
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
		t.Errorf("entries changed\nfrom %s\nto   %s", before, after)
	}
	held := target.Held(t)
	for i := range entries { // a sink that kept them would write this later
		entries[i].Finding.Revision, entries[i].Seq = 99, math.MaxUint64
	}
	more := Entries(5, 1)
	write(t, s, more)
	for id, revision := range held {
		if got := target.Held(t)[id]; got != revision {
			t.Errorf("finding %v: revision %d after the caller changed its entry, want %d", id, got, revision)
		}
	}
}

func sinkCanceled(t *testing.T, target SinkTarget) {
	s := openSink(t, target)
	entries := Entries(1, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	err := s.Write(ctx, entries)
	if err == nil {
		t.Error("a canceled Write says that the entries are durable")
	}
	for _, u := range undelivered(t, err, entries) {
		if u.Poison {
			t.Errorf("entry %d is poison because Write was canceled: %s", u.Seq, u.Reason)
		}
	}
	if d := time.Since(begun); d > promptly {
		t.Errorf("a canceled Write took %v", d)
	}
	write(t, s, entries)
	holds(t, target, entries)
}

// undelivered returns what a Partial names, after checking that it names entries of this Write; nil for other errors.
func undelivered(t *testing.T, err error, entries []connectors.Entry) []connectors.Undelivered {
	t.Helper()
	var partial *connectors.Partial
	if !errors.As(err, &partial) {
		return nil
	}
	if len(partial.Entries) == 0 {
		t.Error("a Partial that names nothing")
	}
	written := map[uint64]bool{}
	for _, e := range entries {
		written[e.Seq] = true
	}
	for _, u := range partial.Entries {
		if !written[u.Seq] {
			t.Errorf("a Partial names entry %d twice, or it was not written", u.Seq)
		}
		delete(written, u.Seq)
		if u.Reason == "" {
			t.Errorf("entry %d is not delivered for no reason", u.Seq)
		}
		if u.After < 0 {
			t.Errorf("entry %d is to be tried again after %v", u.Seq, u.After)
		}
	}
	return partial.Entries
}

func sinkAway(t *testing.T, target SinkTarget) {
	if target.Away == nil {
		t.Skip("this destination cannot be away")
	}
	s := openSink(t, target)
	entries := Entries(1, 4)
	write(t, s, entries[:2])
	back := target.Away(t)
	ctx, cancel := context.WithTimeout(t.Context(), promptly)
	defer cancel()
	err := s.Write(ctx, entries[2:])
	if err == nil {
		t.Error("a Write to a destination that is away says that the entries are durable")
	}
	for _, u := range undelivered(t, err, entries[2:]) {
		if u.Poison {
			t.Errorf("entry %d is poison because the destination is away: %s", u.Seq, u.Reason)
		}
	}
	if h := s.Health(); !h.Degraded || h.Reason == "" || h.Since.IsZero() {
		t.Errorf("health while the destination is away: %+v, want degraded with reason and since", h)
	}
	back()
	writeUntil(t, s, entries[2:], time.Now().Add(outage))
	holds(t, target, entries)
	if h := s.Health(); h.Degraded {
		t.Errorf("health is degraded after the destination is back: %s", h.Reason)
	}
}

// writeUntil repeats a Write as a deliverer does, until it succeeds.
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
			t.Fatalf("the destination is back and Write still fails: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func sinkPoison(t *testing.T, target SinkTarget) {
	if target.Poison == nil {
		t.Skip("this destination refuses nothing")
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
		t.Fatalf("write with %d poison entries: error %v, want a *Partial", len(bad), err)
	}
	for _, u := range undelivered(t, err, entries) {
		if !u.Poison || !bad[u.Seq] {
			t.Errorf("entry %d: poison %t (%s), want %t", u.Seq, u.Poison, u.Reason, bad[u.Seq])
		}
		delete(bad, u.Seq)
	}
	for seq := range bad {
		t.Errorf("entry %d is poison and not named", seq)
	}
	holds(t, target, good)
}
