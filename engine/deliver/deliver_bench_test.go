package deliver

import (
	"context"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// BenchmarkDeliver delivers one entry from the outbox on the disk to a table that takes blocks of 10,000.
//
//	go test ./engine/deliver -run '^$' -bench Deliver -benchtime 50000x
func BenchmarkDeliver(b *testing.B) {
	s, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	d, err := New(Options{Store: s, Sinks: []connectors.Sink{&countSink{}}})
	if err != nil {
		b.Fatal(err)
	}
	c := &store.Checkpoint{Seq: 1}
	for n := range b.N {
		f := &schema.Finding{
			ID: schema.ID{0: byte(n >> 16), 1: byte(n >> 8), 2: byte(n)}, RuleID: "llm.tool-call-burst",
			Key: map[string]string{"ai_agent.uid": "a1"}, Explanation: "101 tool calls in 1m, at least 100 were needed",
			Evidence: make([]schema.Evidence, 8),
		}
		c.Outbox = append(c.Outbox, connectors.Entry{Type: connectors.FindingOpened, Finding: f})
	}
	if err := s.Commit(c); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	d.Start()
	if err := d.Drain(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if w, err := s.Waiting("count"); err != nil || w.Entries != 0 {
		b.Fatalf("waiting at the end: %+v, %v", w, err)
	}
}

// countSink is a table that takes everything.
type countSink struct{ testSink }

func (s *countSink) Name() string { return "count" }
func (s *countSink) Profile() connectors.Profile {
	return connectors.Profile{Dead: schema.DeadRow, MaxEntries: 10_000, MaxBytes: 64 << 20, Linger: time.Second}
}
func (s *countSink) Write(_ context.Context, entries []connectors.Entry) error { return nil }
