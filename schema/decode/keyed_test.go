package decode

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// FuzzKeyed checks that a line of keys and values becomes valid JSON, and that no other text is taken for one.
func FuzzKeyed(f *testing.F) {
	for _, line := range []string{
		"2026-09-21T10:00:05Z\tinfo\trequest gateway=g listener=l src.addr=10.0.0.1:1 http.status=200 duration=69ms",
		`2026-09-21T10:00:05Z info request src.addr=1 error="a \"b\" c" x="\u0000" y="\q" z=" duration=1ms`,
		`2026-09-21T10:00:05Z info src.addr=1 duration=1ms a=b=c =d ` + "\xff=\xfe \x00=\x01",
		"2026-09-21T10:00:05Z info src.addr=1 duration=1ms\nsecond", "2026-09-21T10:00:05Z", "", "1",
	} {
		f.Add(line)
	}
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		record, ok := d.keyed(line)
		if !ok {
			return
		}
		var flat map[string]string
		if err := json.Unmarshal([]byte(record), &flat); err != nil {
			t.Fatalf("%q gives %q: %v", line, record, err)
		}
		if !strings.Contains(line, " src.addr=") || !strings.Contains(line, " duration=") {
			t.Fatalf("%q is no line of agentgateway", line)
		}
		d.Decode(line, Meta{Time: 1}, &Handler{Event: func(e *schema.Event) {
			if !e.Has(schema.Time) {
				t.Fatalf("%q gives an event without a time", line)
			}
		}})
	})
}
