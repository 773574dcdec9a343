package clickhouse

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

func TestErase(t *testing.T) {
	s := newSink(t, nil)
	const secret = `it's "a" text with 'quotes' and \ ü`
	sum := sha256.Sum256([]byte(secret))
	hash := hex.EncodeToString(sum[:])
	var entries []connectors.Entry
	for i, agent := range []string{"a' OR 1=1 --", "b", "b", "b"} {
		f := finding(i+1, 1)
		f.AgentUID, f.Tenant = agent, ""
		f.Evidence = append(f.Evidence, schema.Evidence{})
		switch i {
		case 1:
			f.Evidence[0].Fields = map[string]any{"message_context.prompt_text": secret}
		case 2:
			f.Evidence[0].Fields = map[string]any{"message_context.prompt_text": "sha256:" + hash}
		}
		entries = append(entries, connectors.Entry{Seq: uint64(i + 1), Finding: f})
	}
	if err := s.Write(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	f := func(e Erasure, want, left uint64) {
		t.Helper()
		for _, dry := range []bool{true, false} {
			got, err := s.Erase(t.Context(), e, dry)
			if err != nil || len(got) == 0 || got[0].Table != "findings" || got[0].Rows != want {
				t.Fatalf("%+v: got %+v, %v; want %d rows", e, got, err, want)
			}
		}
		if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != left {
			t.Errorf("%d findings are left, want %d", n, left)
		}
	}
	f(Erasure{Agent: "nobody"}, 0, 4)
	f(Erasure{Agent: "a' OR 1=1 --"}, 1, 3)
	f(Erasure{TextHash: hash}, 2, 1)
}
