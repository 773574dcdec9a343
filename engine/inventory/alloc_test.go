package inventory

import (
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// TestAddAllocates checks that Batch.Add allocates nothing once the batch has its storage: neither for an event that is like an earlier
// one, nor for one of an agent that the batch has not seen.
func TestAddAllocates(t *testing.T) {
	events := make([]schema.Event, 64)
	for i := range events {
		e := &events[i]
		e.SetText(schema.AIAgentUID, "agent-"+string(rune('a'+i%26)))
		e.SetText(schema.CredentialUID, "key-"+string(rune('a'+i%7)))
		e.SetText(schema.GenAIToolName, "tool-"+string(rune('a'+i%5)))
		e.SetText(schema.SourceIP, "10.20.0.18")
		e.SetText(schema.EventOutcome, "success")
	}
	b := NewBatch(nil)
	n := testing.AllocsPerRun(100, func() {
		b.Reset()
		for i := range events {
			b.Add(&events[i], schema.Instant(i)*1e9)
		}
	})
	if n > 0 {
		t.Errorf("64 events take %v allocations", n)
	}
}
