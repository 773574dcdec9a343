package store

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

var _ connectors.Notes = (*Notes)(nil)

// TestNotes checks that notes are durable, belong to one sink, and are deleted with their finding.
func TestNotes(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	opts := Options{Now: func() time.Time { return now }}
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	a, b := schema.ID{1}, schema.ID{2}
	for i, id := range []schema.ID{a, b} {
		f := &schema.Finding{ID: id, RuleID: "r", Status: schema.StatusSettled}
		mustCommit(t, s, &Checkpoint{Seq: uint64(i + 1), State: []byte("state"), Outbox: []connectors.Entry{{Finding: f}}})
	}
	for _, err := range []error{
		s.Notes("chat").SetNote(a, "1.5"), s.Notes("chat").SetNote(b, "2.5"), s.Notes("other").SetNote(a, "x"), s.Notes("other").SetNote(a, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Notes("chat").SetNote(a, strings.Repeat("x", maxNote+1)); err == nil {
		t.Error("a note of any length is stored")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, opts); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check := func(sink string, id schema.ID, want string) {
		t.Helper()
		if got, err := s.Notes(sink).Note(id); err != nil || got != want {
			t.Errorf("%s, %v: got %q, error %v, want %q", sink, id, got, err, want)
		}
	}
	check("chat", a, "1.5")
	check("chat", b, "2.5")
	check("other", a, "")
	now = now.Add(2 * DefaultFindingsKeep)
	for seq := range uint64(3) {
		now = now.Add(2 * sweepEvery)
		mustCommit(t, s, &Checkpoint{Seq: 3 + seq, State: []byte("state")})
	}
	check("chat", a, "")
	check("chat", b, "")
}
