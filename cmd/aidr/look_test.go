package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

// TestStatusText checks what `aidr status` prints for a degraded process: the start of the process is not shown as the start
// of the trouble, the problems of several rule files are separated, and a lag that is not known is not a number.
func TestStatusText(t *testing.T) {
	var b strings.Builder
	err := printStatus(&b, api.Status{
		Running: true, Status: "degraded", Since: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Components:  map[string]api.Component{"rules": {Status: "degraded", Reason: "a.yaml:1:1: no title\nb.yaml:2:1: no id"}},
		Operational: []api.Operational{{Rule: "aidr.source-silent", Severity: "medium", Summary: "source \"x\" has\nno record"}},
		Partitions:  []api.Partition{{Source: "logs", Topic: "x", Next: 3, Lag: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"degraded, running since 2026-01-31T12:00:00Z,", "a.yaml:1:1: no title; b.yaml:2:1: no id", "logs/x/0 3 - -",
		`operational findings: aidr.source-silent medium since 1970-01-01T00:00:00Z source "x" has; no record`} {
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
			t.Errorf("status: got\n%s\nwant %q in it", b.String(), want)
		}
	}
}
