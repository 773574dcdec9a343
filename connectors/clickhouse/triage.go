package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// columnOf is a column of a table whose rows are Ts.
type columnOf[T any] struct {
	name  string
	value func(*T) any
}

// triageColumns lists the columns of the table triage. It is not changed at run time. A test compares it with the table that
// the migrations create.
var triageColumns = [...]columnOf[schema.Triage]{
	{"finding_id", func(t *schema.Triage) any { return uuid.UUID(t.FindingID) }},
	{"version", func(t *schema.Triage) any { return t.Version }},
	{"status", func(t *schema.Triage) any { return string(t.Status) }},
	{"verdict", func(t *schema.Triage) any { return string(t.Verdict) }},
	{"owner", func(t *schema.Triage) any { return t.Owner }},
	{"note", func(t *schema.Triage) any { return t.Note }},
	{"by", func(t *schema.Triage) any { return t.By }},
	{"time", func(t *schema.Triage) any { return timeOf(t.Time) }},
	{"rule_id", func(t *schema.Triage) any { return t.RuleID }},
	{"tenant", func(t *schema.Triage) any { return t.Tenant }},
	{"agent_uid", func(t *schema.Triage) any { return t.AgentUID }},
	{"group_start", func(t *schema.Triage) any { return timeOf(t.Group) }},
	{"revision", func(t *schema.Triage) any { return t.Revision }},
	{"count", func(t *schema.Triage) any { return t.Count }},
	{"history.time", stepOf(func(c *schema.TriageChange) time.Time { return timeOf(c.Time) })},
	{"history.action", stepOf(func(c *schema.TriageChange) string { return c.Action })},
	{"history.by", stepOf(func(c *schema.TriageChange) string { return c.By })},
	{"history.status", stepOf(func(c *schema.TriageChange) string { return string(c.Status) })},
	{"history.verdict", stepOf(func(c *schema.TriageChange) string { return string(c.Verdict) })},
	{"history.owner", stepOf(func(c *schema.TriageChange) string { return c.Owner })},
	{"history.note", stepOf(func(c *schema.TriageChange) string { return c.Note })},
}

func stepOf[T any](field func(*schema.TriageChange) T) func(*schema.Triage) any {
	return func(t *schema.Triage) any { return each(t.History, field) }
}

// auditColumns lists the columns of the table audit, like triageColumns.
var auditColumns = [...]columnOf[schema.AuditEntry]{
	{"time", func(a *schema.AuditEntry) any { return timeOf(a.Time) }},
	{"seq", func(a *schema.AuditEntry) any { return a.Seq }},
	{"prev", func(a *schema.AuditEntry) any { return a.Prev }},
	{"who", func(a *schema.AuditEntry) any { return a.Who }},
	{"action", func(a *schema.AuditEntry) any { return a.Action }},
	{"class", func(a *schema.AuditEntry) any { return string(a.Class) }},
	{"object", func(a *schema.AuditEntry) any { return a.Object }},
	{"rule_id", func(a *schema.AuditEntry) any { return a.Rule }},
	{"key", func(a *schema.AuditEntry) any { return a.Key }},
	{"reason", func(a *schema.AuditEntry) any { return a.Reason }},
	{"tenant", func(a *schema.AuditEntry) any { return a.Tenant }},
	{"token", func(a *schema.AuditEntry) any { return a.Token }},
	{"before", func(a *schema.AuditEntry) any { return string(a.Before) }},
	{"after", func(a *schema.AuditEntry) any { return string(a.After) }},
	{"detail", func(a *schema.AuditEntry) any { return string(a.Detail) }},
	{"checkpoint", func(a *schema.AuditEntry) any { return a.Checkpoint }},
}

// insertColumns returns the statement that inserts rows of a table.
func insertColumns[T any](d dialect, table string, columns []columnOf[T]) string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].name
	}
	return d.insertInto(table, names)
}

// recordRowsOf converts the entries of which content returns something into rows. Entries that can never be a row are
// returned as poison.
func recordRowsOf[T any](entries []connectors.Entry, columns []columnOf[T], content func(*connectors.Entry) *T, check func(*T) error) (
	out []row, poison []connectors.Undelivered,
) {
	for i := range entries {
		e := &entries[i]
		x := content(e)
		if x == nil {
			continue
		}
		body, err := json.Marshal(x)
		if err == nil {
			err = check(x)
		}
		if err != nil {
			poison = append(poison, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: connectors.ReasonOutOfRange, Detail: err.Error()})
			continue
		}
		values := make([]any, len(columns))
		for k := range columns {
			values[k] = columns[k].value(x)
		}
		out = append(out, row{e, values, sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, e.Seq), body...))})
	}
	return out, poison
}

// writeRecords stores the triage and the audit among the entries, and returns those that were not stored.
func (s *Sink) writeRecords(ctx context.Context, entries []connectors.Entry) (failed []connectors.Undelivered, err error) {
	triages, failed := recordRowsOf(entries, triageColumns[:], func(e *connectors.Entry) *schema.Triage { return e.Triage },
		func(t *schema.Triage) error {
			if err := checkTime("group_start", t.Group); err != nil {
				return err
			}
			return checkTime("time", t.Time)
		})
	audits, poison := recordRowsOf(entries, auditColumns[:], func(e *connectors.Entry) *schema.AuditEntry { return e.Audit },
		func(a *schema.AuditEntry) error { return checkTime("time", a.Time) })
	failed = append(failed, poison...)
	refused, err := s.writeRows(ctx, insertColumns(s.dialect, "triage", triageColumns[:]), triages)
	if err != nil {
		return nil, err
	}
	failed = append(failed, refused...)
	refused, err = s.writeRows(ctx, insertColumns(s.dialect, "audit", auditColumns[:]), audits)
	return append(failed, refused...), err
}
