package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// TestLossIsReported checks that the commands which inspect a state directory report a flipped bit in its write-ahead log,
// with exit code 1, instead of an empty list.
func TestLossIsReported(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &schema.Finding{ID: schema.ID{15: 1}, RuleID: "r", Severity: "high", Status: schema.StatusOpen}
	if err := s.Commit(&store.Checkpoint{Seq: 1, Outbox: []connectors.Entry{{Finding: f}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if o := aidr(t, "findings", "ls", "--state", dir); o.code != exitOK {
		t.Fatalf("undamaged: got %d %s%s", o.code, o.stdout, o.stderr)
	}
	s, err = store.Open(dir, store.Options{}) // once more, so that the last log has a checkpoint
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(&store.Checkpoint{Seq: 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "store", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	last := logs[len(logs)-1]
	b, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	b[30] ^= 4
	if err := os.WriteFile(last, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"findings", "ls"}, {"dlq", "ls"}, {"status"}, {"findings", "ls"}} {
		o := aidr(t, append(args, "--state", dir)...)
		if o.code != exitFailed || !strings.Contains(o.stderr, "1 checkpoints are lost, made after ") {
			t.Errorf("%v: got exit code %d, %s%s", args, o.code, o.stdout, o.stderr)
		}
	}
}
