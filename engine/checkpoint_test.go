package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/gate"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// A checkpoint that could not be written holds findings and State that exist nowhere else: no later checkpoint may move the
// positions past them, or they are lost. Stopping with such a checkpoint is an error, and its input is read again.
func TestNothingIsCommittedAfterAFailedCheckpoint(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b := newBench(t, st, 1, lateRules)
	b.read(0, false, event{"litellm", 0, 0, "y"})
	b.checkpoint()
	seq, before, _, err := st.Last()
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	calls := make(chan int, 8)
	n := 0
	b.e.checkpoints.write = func(c *store.Checkpoint) error {
		if n++; n <= 2 { // the first attempt and the last one
			calls <- n
			return full
		}
		calls <- n
		return st.Commit(c)
	}
	b.read(0, false, event{"litellm", 1, 1, "x"})
	made := make(chan error, 1)
	go func() { made <- b.e.Checkpoint(context.Background()) }()
	<-calls // the first attempt has failed
	if err := b.e.Stop(context.Background()); !errors.Is(err, full) {
		t.Errorf("stop: %v, want %v", err, full)
	}
	if err := <-made; !errors.Is(err, full) {
		t.Errorf("checkpoint: %v, want %v", err, full)
	}
	if again, after, _, err := st.Last(); err != nil || again != seq || string(after) != string(before) {
		t.Errorf("the store is at checkpoint %d (%v), want %d as it was: %s", again, err, seq, after)
	}
}

// A partition may be revoked while the state directory cannot be written. That is no reason for the process to end: the
// failure is in the log and holds reading back, and the next reader reads the records again.
func TestRevokedWhileTheDiskIsFull(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b := newBench(t, st, 1, lateRules)
	full := errors.New("the disk is full")
	failed, n := make(chan struct{}), 0
	b.e.checkpoints.write = func(*store.Checkpoint) error {
		if n++; n == 1 {
			close(failed)
		}
		return full
	}
	b.read(0, false, event{"litellm", 1, 1, "x"})
	go b.e.Checkpoint(context.Background())
	<-failed
	if err := b.e.Revoked(context.Background(), b.partition(0)); err != nil {
		t.Errorf("revoked: %v, want nil", err)
	}
	if err := b.e.Err(); err != nil {
		t.Errorf("the engine has failed: %v", err)
	}
	if err := b.e.Stop(context.Background()); !errors.Is(err, full) {
		t.Errorf("stop: %v, want %v", err, full)
	}
}

// A state directory that cannot be written for a while is one line in the log for each reason, and one when it works again.
func TestFailingCheckpointsAreLoggedOnce(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	full, denied := errors.New("the disk is full"), errors.New("permission denied")
	outcomes := []error{full, full, full, denied, denied, nil}
	tick := make(chan time.Time, 1)
	var lines bytes.Buffer
	c := &checkpointer{
		store: st, gate: gate.New(time.Minute), budget: budget.New(1<<30, time.Now, func() {}), log: slog.New(slog.NewTextHandler(&lines, nil)),
		clock: clock.Clock{Now: time.Now, Tick: func(time.Duration) (<-chan time.Time, func()) {
			tick <- benchStart
			return tick, func() {}
		}},
		write: func(*store.Checkpoint) error {
			err := outcomes[0]
			outcomes = outcomes[1:]
			return err
		},
	}
	if err := c.commit(context.Background(), nil); err != nil || len(outcomes) > 0 {
		t.Fatalf("commit: %v with %d attempts left", err, len(outcomes))
	}
	got := strings.Split(strings.TrimSpace(lines.String()), "\n")
	wants := []string{full.Error(), denied.Error(), "level=INFO"}
	if len(got) != len(wants) {
		t.Fatalf("got %d lines, want %d: %q", len(got), len(wants), got)
	}
	for i, want := range wants {
		if !strings.Contains(got[i], want) {
			t.Errorf("line %d: got %q, want %q in it", i, got[i], want)
		}
	}
}

// An urgent request soon after a checkpoint is postponed until UrgentAfter has passed since then. It is not dropped: the
// next regular checkpoint may be ten times as far away.
func TestAnUrgentCheckpointIsPostponedNotDropped(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	dir := t.TempDir()
	rule := "id: c\ntitle: t\nseverity: critical\nwhen: event.action == \"x\"\n"
	if err := os.WriteFile(filepath.Join(dir, "c.yaml"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	b := &bench{t: t, offset: map[int32]int64{}}
	waits, due, found := make(chan time.Duration, 8), make(chan time.Time), make(chan schema.ID, 8)
	var passed atomic.Int64
	now := func() time.Time { return benchStart.Add(time.Duration(passed.Load())) }
	wall := clock.Clock{Now: now, Tick: func(d time.Duration) (<-chan time.Time, func()) {
		if d == DefaultCheckpointEvery {
			return nil, func() {}
		}
		waits <- d
		return due, func() {}
	}}
	b.e, err = New(Options{
		Set: set, Store: st, Shards: 1, Clock: wall,
		Inputs:    []Input{{Source: &memory.Source{Named: "s"}, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
		Committed: func(entries []connectors.Entry) { found <- entries[0].Finding.ID },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.e.Assigned(b.partition(0))
	b.read(0, false, event{"litellm", 1, 1, "x"})
	first := <-found // long after the last checkpoint, so at once
	passed.Add(int64(10 * time.Millisecond))
	b.read(0, false, event{"litellm", 2, 2, "y"}, event{"litellm", 7200, 7200, "x"})
	if d := <-waits; d != UrgentAfter-10*time.Millisecond {
		t.Errorf("postponed by %v, want %v", d, UrgentAfter-10*time.Millisecond)
	}
	due <- now()
	if second := <-found; second == first {
		t.Errorf("got finding %s twice", first)
	}
	b.stop()
}
