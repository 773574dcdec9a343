package engine

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/aidr-engine/aidr/engine/store"
)

// TestRevokedHoldsNobody: a dead letter that is handed in again at a partition that was revoked makes it hold nobody back.
func TestRevokedHoldsNobody(t *testing.T) {
	b := newBench(t, nil, 2, lateRules)
	defer b.stop()
	b.read(0, false, event{"litellm", 0, 0, "y"})
	b.read(1, false, event{"litellm", 0, 0, "y"})
	if err := b.e.Revoked(context.Background(), b.partition(1)); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"time": benchStart, "event.dataset": "litellm", "event.class": "tool", "event.action": "z"})
	if err != nil {
		t.Fatal(err)
	}
	p := b.partition(1)
	if _, err := b.e.ReplayRecord(context.Background(), &store.DeadLetter{Source: p.Source, Topic: p.Topic, Partition: p.Number, Body: string(body)}); err != nil {
		t.Fatal(err)
	}
	b.read(0, false, event{"litellm", 1000, 1000, "y"})
	b.cut()
	b.e.gate.mu.Lock()
	defer b.e.gate.mu.Unlock()
	if b.e.gate.tooFar(b.partition(0)) {
		t.Error("partition 0 waits for a partition that nobody reads here")
	}
}
