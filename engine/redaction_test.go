package engine

import (
	"context"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// A dead letter holds as much of its record as the configuration allows, and is handed in again only if that is all of it.
func TestDeadLettersAreExposedAsConfigured(t *testing.T) {
	const record = `{"no":"format","note":"my secret"}`
	f := func(x schema.Exposure, want, refusal string) {
		t.Helper()
		st, err := store.Open("", store.Options{Memory: true})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		how := &schema.Redaction{}
		how.SetDeadLetters(x)
		source := &memory.Source{Named: "s"}
		e, err := New(Options{
			Set: loadRules(t, map[string]string{"a": "when: event.action == \"x\"\n"}), Store: st, Shards: 1, Redaction: how,
			Clock: (&handClock{now: benchStart}).clock(), Inputs: []Input{{Source: source}},
			Redact: func(s string) string { return strings.ReplaceAll(s, "secret", "[redacted:secret:00000000]") },
		})
		if err != nil {
			t.Fatal(err)
		}
		p := connectors.Partition{Source: "s", Topic: "t"}
		e.Assigned(p)
		b := &bench{t: t, e: e, offset: map[int32]int64{0: 0}}
		batch := &connectors.Batch{Partition: p, Raw: record, Records: []connectors.Record{{End: len(record), Time: 1}}, Next: 1, HighWater: -1}
		if err := e.Read(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		b.checkpoint()
		var letters []store.DeadLetter
		if err := st.DeadLetters(store.DeadFilter{}, func(l *store.DeadLetter) bool { letters = append(letters, *l); return true }); err != nil {
			t.Fatal(err)
		}
		if len(letters) != 1 || letters[0].Body != want {
			t.Fatalf("exposure %d: got %+v, want the body %q", x, letters, want)
		}
		if _, err := e.ReplayRecord(context.Background(), &letters[0]); err == nil || !strings.Contains(err.Error(), refusal) {
			t.Errorf("exposure %d: again: got %v, want %q", x, err, refusal)
		}
		b.stop()
	}
	f(schema.Redacted, `{"no":"format","note":"my [redacted:secret:00000000]"}`, "was redacted")
	f(schema.Kept, record, "still cannot be decoded")
	f(schema.Hashed, schema.HashText(record), "redact.dead_letters")
	f(schema.Dropped, "", "redact.dead_letters")
}
