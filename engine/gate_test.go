package engine

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/aidr-engine/aidr/engine/store"
)

// A dead letter that is handed in again at a revoked partition does not make that partition hold others back.
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
	l := &store.DeadLetter{Source: p.Source, Topic: p.Topic, Partition: p.Number, Body: string(body)}
	if _, err := b.e.ReplayRecord(context.Background(), l); err != nil {
		t.Fatal(err)
	}
	b.read(0, false, event{"litellm", 1000, 1000, "y"})
	b.checkpoint()
	if b.e.gate.Holds(b.partition(0)) {
		t.Error("partition 0 waits for a partition that is not read here")
	}
}
