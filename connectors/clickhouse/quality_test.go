package clickhouse

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// TestAbout checks the values that a finding is about: those of its key, else those of the last event that has one.
func TestAbout(t *testing.T) {
	f := &schema.Finding{
		Key: map[string]string{"source.ip": "10.0.0.1", "url.domain": "api.example"},
		Evidence: []schema.Evidence{
			{Tool: "read", CredentialUID: "key-1", SourceIP: "10.0.0.2", Workflow: "invoices"},
			{Tool: "send", Target: "mail.example/send"},
			{CredentialUID: ""},
		},
	}
	values := map[string]any{}
	for _, c := range findingColumns {
		values[c.name] = c.value(f)
	}
	for name, want := range map[string]string{
		"credential_uid": "key-1", "source_ip": "10.0.0.1", "tool": "send", "target": "mail.example/send", "workflow": "invoices",
	} {
		if values[name] != want {
			t.Errorf("%s: got %v, want %s", name, values[name], want)
		}
	}
	f.Evidence = nil
	for _, c := range findingColumns {
		if c.name == "target" && c.value(f) != "api.example" {
			t.Errorf("target: got %v, want the host of the key", c.value(f))
		}
	}
}

// TestQualityRows writes rows about rules, sources, deliveries, dead letters and events, in several months and again, and reads them
// through the views before and after a merge: each counts once, with the values of the highest checkpoint.
func TestQualityRows(t *testing.T) {
	s := newSink(t, nil)
	start := schema.InstantOf(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	block := func(pos uint64, n int64) *connectors.RowBlock {
		b := &connectors.RowBlock{Pos: pos}
		for month := range 3 {
			at := schema.InstantOf(time.Date(2026, time.Month(month+1), 1, 12, 0, 0, 0, time.UTC))
			b.Stats = append(b.Stats, &schema.RuleStats{RuleID: "r", Minute: at, Matched: n, Triggers: n - 1, Findings: 1, Errors: 2, Pos: pos})
			q := &schema.SourceQuality{Source: "k", Dataset: "kong", Hour: at, Events: 4 * n, Pos: pos}
			q.Lacks[schema.NeedAgent], q.Should[schema.NeedArguments], q.Lacks[schema.NeedArguments] = n, 2*n, n
			b.Quality = append(b.Quality, q)
		}
		return b
	}
	first, second := block(1, 10), block(2, 20)
	second.Rules = []*schema.RuleInfo{{RuleID: "r", Title: "A title", WhatToDo: []string{"look"}, Severity: schema.SeverityHigh, Since: start}}
	second.Attempts = []*schema.Attempt{{Endpoint: "soar", Time: start, WebhookID: "w", Number: 1, Status: "503", Took: int64(time.Second / 2)}}
	second.Dead = []*schema.DeadLetterRow{{Seq: 7, Time: start, Kind: schema.DeadRecord, Reason: "syntax", Body: "{"}}
	for i := range 60 { // of more days than one block may touch partitions
		at := start.Add(time.Duration(i) * 24 * time.Hour)
		second.Events = append(second.Events, &schema.ArchivedEvent{
			Pos: schema.Position{Topic: "t", Offset: int64(i)}, Time: at, Source: "k", Dataset: "kong", Seq: 2, Rules: []string{"r"},
			Fields: map[string]string{"ai_agent.uid": "bot", "url.domain": "api.example", "event.dataset": "kong"},
		})
	}
	for _, b := range []*connectors.RowBlock{second, first, second} {
		if err := s.writeInventory(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, state := range []string{"in parts", "merged"} {
		f := func(q, want string) {
			t.Helper()
			answer, err := s.Ask(t.Context(), q, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, row := range answer.Rows {
				got = append(got, strings.Join(row, " "))
			}
			if text := strings.Join(got, "; "); text != want {
				t.Errorf("%s: %s: got %s, want %s", state, q, text, want)
			}
		}
		f("SELECT sum(matched), sum(triggers), sum(findings), sum(errors) FROM v_rule_stats_1m", "60 57 3 6")
		f("SELECT rule_id, day, number, matched, triggers, errors FROM v_rule_quality ORDER BY day LIMIT 1", "r 2026-01-01T00:00:00Z 0 20 19 2")
		f("SELECT source, events, share_without_agent, share_without_arguments, isNull(share_without_result) FROM v_source_quality LIMIT 1", "k 80 0.25 0.5 1")
		f("SELECT rule_id, title, severity, what_to_do FROM v_rules", "r A title high look")
		f("SELECT endpoint, status, latency, delivered FROM v_deliveries", "soar 503 0.5 false")
		f("SELECT seq, reason, body FROM v_dead_letters", "7 syntax {")
		f("SELECT count(), uniqExact(time), any(agent_uid), any(fields) FROM v_events", "60 60 bot map[url.domain:api.example]")
		for _, table := range []string{"rule_stats_1m", "source_quality_1h", "rules", "deliveries", "dead_letters", "events"} {
			run(t, s, "OPTIMIZE TABLE DB.%s FINAL", table)
		}
	}
}

// TestViews checks that the views exist that the documentation names, and that each of their columns has a comment.
func TestViews(t *testing.T) {
	s := newSink(t, nil)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	views := query[[]string](t, s, "SELECT groupArray(name) FROM system.tables WHERE database = '%s' AND engine = 'View'", s.dialect.database)
	for view := range viewTables {
		if !slices.Contains(views, view) {
			t.Errorf("there is no view %s", view)
		}
	}
	for _, view := range views {
		if viewTables[view] == nil {
			t.Errorf("the columns of view %s get no comments", view)
		}
	}
	const uncommented = "SELECT groupArray(table || '.' || name) FROM system.columns WHERE database = '%s' AND comment = ''"
	if got := query[[]string](t, s, uncommented, s.dialect.database); len(got) > 0 {
		t.Errorf("columns without a comment: %q", got)
	}
}
