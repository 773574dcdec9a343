package clickhouse

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// TestTriageAndAudit writes the triage of findings and the audit, again and in another order: the latest counts, once, and
// the quality of rules has the verdicts.
func TestTriageAndAudit(t *testing.T) {
	s := newSink(t, nil)
	f := finding(1, 1)
	step := func(seq, version uint64, status schema.TriageStatus, verdict schema.TriageVerdict) connectors.Entry {
		x := &schema.Triage{
			FindingID: f.ID, Version: version, Status: status, Verdict: verdict, Owner: "ann", By: "token:soar", Time: f.FirstSeen, RuleID: f.RuleID,
			Tenant: f.Tenant, AgentUID: f.AgentUID, Group: f.GroupStart, Revision: 1, Count: f.Count,
		}
		x.Add(schema.TriageChange{Time: f.FirstSeen, Action: "ack", By: "ann", Status: status, Verdict: verdict, Note: "n"})
		return connectors.Entry{Seq: seq, Type: connectors.TriageChanged, Triage: x}
	}
	audit := connectors.Entry{Seq: 5, Type: connectors.AuditAdded, Audit: &schema.AuditEntry{
		Seq: 7, Prev: "ab", Time: f.FirstSeen, Who: "uid 1", Action: "token.create", Class: schema.AuditToken, Object: "x",
		Key: map[string]string{"a": "b"}, After: json.RawMessage(`{"name":"soar"}`),
	}}
	entries := []connectors.Entry{
		{Seq: 1, Finding: f}, step(2, 1, schema.TriageAcknowledged, ""), step(3, 2, schema.TriageClosed, schema.FalsePositive), {Seq: 4, Finding: finding(2, 1)}, audit,
	}
	for _, block := range [][]connectors.Entry{entries, entries, entries[1:2]} {
		if err := s.Write(t.Context(), block); err != nil {
			t.Fatal(err)
		}
	}
	if got := query[string](t, s, "SELECT concat(toString(count()), ' ', any(status), ' ', any(verdict), ' ', any(owner), ' ', any(history.note[1])) FROM DB.v_triage"); got !=
		"1 closed false_positive ann n" {
		t.Errorf("v_triage: %s", got)
	}
	if got := query[string](t, s, "SELECT concat(toString(count()), ' ', any(who), ' ', any(action), ' ', any(key['a']), ' ', any(after)) FROM DB.v_audit"); got !=
		`1 uid 1 token.create b {"name":"soar"}` {
		t.Errorf("v_audit: %s", got)
	}
	if got := query[string](t, s, "SELECT concat(toString(sum(number)), ' ', toString(sum(closed_number)), ' ', toString(sum(false_positive_number)), ' ', "+
		"toString(sum(true_positive_number)), ' ', toString(sum(acknowledged_number))) FROM DB.v_rule_quality"); got != "2 1 1 0 0" {
		t.Errorf("v_rule_quality: %s", got)
	}
	for table, want := range map[string][]string{"triage": namesOf(triageColumns[:]), "audit": namesOf(auditColumns[:])} {
		got := query[[]string](t, s, "SELECT groupArray(name) FROM (SELECT name FROM system.columns WHERE database = '%s' AND table = '%s' ORDER BY position)",
			s.dialect.database, table)
		if !slices.Equal(got, want) {
			t.Errorf("the table %s has the columns\n%v\nwant\n%v", table, got, want)
		}
	}
	const uncommented = "SELECT groupArray(table || '.' || name) FROM system.columns WHERE database = '%s' AND comment = ''"
	if got := query[[]string](t, s, uncommented, s.dialect.database); len(got) > 0 {
		t.Errorf("columns without a comment: %q", got)
	}
	bad := step(9, 3, schema.TriageNew, "")
	bad.Triage.Group = schema.MaxInstant
	var partial *connectors.Partial
	if err := s.Write(t.Context(), []connectors.Entry{bad}); !asPartial(err, &partial) || !partial.Entries[0].Poison {
		t.Errorf("a time out of range: %v", err)
	}
}

func namesOf[T any](columns []columnOf[T]) (names []string) {
	for i := range columns {
		names = append(names, columns[i].name)
	}
	return names
}

func asPartial(err error, to **connectors.Partial) bool {
	p, ok := err.(*connectors.Partial)
	*to = p
	return ok && len(p.Entries) == 1
}
