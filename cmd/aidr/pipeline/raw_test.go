package pipeline

import (
	"os"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// TestRawRecord reads a record of a file again: redacted, as an event, without its text for people of one tenant, and with the reason if
// it is not kept.
func TestRawRecord(t *testing.T) {
	p := trialPipeline(t, "")
	path := p.cfg.Sources[0].File.Paths[0]
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Replace(strings.SplitAfter(string(body), "\n")[3], `"call"`, `"call `+secret+`"`, 1)
	if err := os.WriteFile(path, append(body, line...), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &schema.Evidence{Topic: path, Offset: int64(len(body)), Dataset: "litellm"}
	r, err := p.rawRecord(t.Context(), e, true)
	if err != nil || !r.Kept || r.Source != "s" || !strings.Contains(r.Text, `"gen_ai.tool.name":"t0"`) || strings.Contains(r.Text, secret) || r.Bytes < 100 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if r, err = p.rawRecord(t.Context(), e, false); err != nil || r.Text != "" || !strings.Contains(r.Missing, "one tenant") {
		t.Errorf("for people of one tenant: got %+v, %v", r, err)
	}
	e.Offset = 1 << 40
	if r, err = p.rawRecord(t.Context(), e, true); err != nil || r.Kept || !strings.Contains(r.Missing, "does not keep") {
		t.Errorf("a record that is gone: got %+v, %v", r, err)
	}
	e.Topic = "other"
	if r, err = p.rawRecord(t.Context(), e, true); err != nil || r.Kept || !strings.Contains(r.Missing, "no source") {
		t.Errorf("of a source that is gone: got %+v, %v", r, err)
	}
}
