package clickhouse

import (
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Severities are ordered in SQL too, by their rank: as texts, critical would be less than high, and info greater.
func TestSeverityIsOrdered(t *testing.T) {
	s := newSink(t, nil)
	var entries []connectors.Entry
	for i, severity := range schema.Severities() {
		f := finding(i+1, 1)
		f.Severity = severity
		entries = append(entries, connectors.Entry{Seq: uint64(i + 1), Type: connectors.FindingOpened, Finding: f})
	}
	write(t, s, entries)
	for _, table := range []string{"findings", "v_findings", "v_finding_events"} {
		for condition, want := range map[string][]string{
			"severity >= 'high'":                                      {"high", "critical"},
			"severity < 'medium'":                                     {"info", "low"},
			"severity > 'low'":                                        {"medium", "high", "critical"},
			"severity BETWEEN 'low' AND 'high'":                       {"low", "medium", "high"},
			"severity IN ('info', 'critical')":                        {"info", "critical"},
			"severity = (SELECT max(severity) FROM DB." + table + ")": {"critical"},
		} {
			const q = "SELECT groupArray(toString(severity)) FROM (SELECT severity FROM DB.%s WHERE %s ORDER BY severity)"
			got := query[[]string](t, s, q, table, condition)
			if !slices.Equal(got, want) {
				t.Errorf("%s WHERE %s: got %q, want %q", table, condition, got, want)
			}
		}
	}
}
