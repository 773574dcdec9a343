package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/engine/store"
)

// TestLostCheckpoints checks that a process which opens a damaged state directory reports the loss as a degraded component
// and as a metric, until the next process.
func TestLostCheckpoints(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(3) {
		if err := s.Commit(&store.Checkpoint{Seq: seq + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "store", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	b, err := os.ReadFile(logs[len(logs)-1])
	if err != nil {
		t.Fatal(err)
	}
	b[20] ^= 1
	if err := os.WriteFile(logs[len(logs)-1], b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []bool{true, false} {
		p, err := New(&config.Config{State: config.State{Dir: dir}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		p.life.Lock()
		if err := p.open(); err != nil {
			t.Fatal(err)
		}
		if err := p.engine.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		status := p.Status()
		c, found := status.Components["state"]
		if found != lost || lost && (c.Status != degraded || status.Status == ok || !strings.Contains(c.Reason, "3 checkpoints are lost")) {
			t.Errorf("lost %t: got %s: %+v", lost, status.Status, c)
		}
		families, err := p.gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "aidr_state_lost_checkpoints" && (f.GetMetric()[0].GetGauge().GetValue() == 3) != lost {
				t.Errorf("lost %t: got %v", lost, f)
			}
		}
		if err := p.close(0); err != nil {
			t.Error(err)
		}
		p.life.Unlock()
	}
}
