package sidecar

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/decision"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

var _ decision.Table = (*Sidecar)(nil)

const token = "token-of-the-sidecar-0123456789"

var person = contain.Actor{Name: "test"}

// newTable returns a complete containment table.
func newTable(t *testing.T) *contain.Table {
	t.Helper()
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	table, err := contain.New(s, contain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seq := uint64(0)
	table.SetCommit(func(context.Context) error {
		seq++
		c := &store.Checkpoint{Seq: seq, State: []byte("state")}
		table.Take(c)
		if err := s.Commit(c); err != nil {
			return err
		}
		table.Saved()
		return nil
	})
	if _, err := table.Confirm(person, "test"); err != nil {
		t.Fatal(err)
	}
	return table
}

// serve serves a table until the test or the returned function ends it, and returns the URL.
func serve(t *testing.T, table decision.Table) (url string, stop func()) {
	t.Helper()
	server, err := decision.New(decision.Options{
		Table: func() decision.Table { return table }, Points: []decision.Point{{Name: "side", Token: token}}, Beat: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := server.Listen(decision.Addresses{HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "http://" + l.HTTP.String(), func() { l.Close() }
}

// follow runs a sidecar until the test or the returned function ends it.
func follow(t *testing.T, opts Options) (*Sidecar, func()) {
	t.Helper()
	opts.Token, opts.Client = token, http.DefaultClient
	s := New(opts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop := func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return s, stop
}

// await waits until a question is answered with a verdict.
func await(t *testing.T, s *Sidecar, q schema.Question, want schema.Verdict) schema.Decision {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		changed := s.Changed()
		d := s.Decide(q)
		if d.Verdict == want {
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, want %s", d, want)
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestOutage checks that a sidecar learns of containments, answers with a growing age while the other process is away, also
// after a restart of its own, and reports what it has answered.
func TestOutage(t *testing.T) {
	table := newTable(t)
	url, stopServer := serve(t, table)
	opts := Options{URL: url, Cache: filepath.Join(t.TempDir(), "kept.json"), Beat: 50 * time.Millisecond}
	s, stop := follow(t, opts)
	q := schema.Question{Agent: "a", Point: "gate"}
	await(t, s, q, schema.VerdictAllow)
	rec, _, err := table.Contain(contain.Request{Scope: schema.ScopeAgent, Target: schema.Target{Agent: "a"}, Reason: "test"}, person)
	if err != nil {
		t.Fatal(err)
	}
	if d := await(t, s, q, schema.VerdictDeny); d.ContainmentID != rec.ID || d.AgeMS > 10_000 {
		t.Errorf("got %+v, want the containment %s", d, rec.ID)
	}
	s.reportOnce(t.Context())
	if got, _, err := table.Response(rec.ID); err != nil || len(got.Receipts) != 1 || got.Receipts[0].Point != "side/gate" || got.Receipts[0].Refused < 1 {
		t.Errorf("receipts %+v, error %v, want one of side/gate", got, err)
	}
	stopServer()
	if d := s.Decide(q); d.Verdict != schema.VerdictDeny {
		t.Errorf("during an outage: %+v, want deny", d)
	}
	stop()
	again, _ := follow(t, opts)
	if d := again.Decide(q); d.Verdict != schema.VerdictDeny || d.ContainmentID != rec.ID {
		t.Errorf("after a restart during the outage: %+v, want deny", d)
	}
	if d := again.Decide(schema.Question{Agent: "b"}); d.Verdict != schema.VerdictAllow {
		t.Errorf("another agent: %+v, want allow", d)
	}
	blank, _ := follow(t, Options{URL: url})
	if d := blank.Decide(q); d.Verdict != schema.VerdictUnknown || blank.Health() == "" {
		t.Errorf("without any table: %+v and health %q, want unknown", d, blank.Health())
	}
}

// TestHeldCalls checks that a held call is asked about at the other process, which knows whether its approval was used.
func TestHeldCalls(t *testing.T) {
	table := newTable(t)
	url, _ := serve(t, table)
	s, _ := follow(t, Options{URL: url, Beat: 50 * time.Millisecond})
	q := schema.Question{Agent: "a", Tool: "pay", Arguments: "00", Point: "gate"}
	await(t, s, q, schema.VerdictAllow)
	if _, _, err := table.Contain(contain.Request{Scope: schema.ScopeAgent, Target: schema.Target{Agent: "a"}, State: schema.StateHold, Reason: "test"}, person); err != nil {
		t.Fatal(err)
	}
	d := await(t, s, q, schema.VerdictHold)
	for deadline := time.Now().Add(20 * time.Second); d.ApprovalID.IsZero() && time.Now().Before(deadline); {
		d = s.Decide(q) // an answer that took longer than askTime has no approval yet
	}
	if _, _, err := table.Approve(d.ApprovalID, person, "fine"); err != nil {
		t.Fatal(err)
	}
	await(t, s, q, schema.VerdictAllow)
	if d := s.Decide(q); d.Verdict != schema.VerdictHold {
		t.Errorf("the second call after one approval: %+v, want hold", d)
	}
}
