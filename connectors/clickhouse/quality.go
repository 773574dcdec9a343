package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// The columns of the tables about rules, sources, deliveries and events, in the order of their migration. They are not changed at
// run time. A test compares them with the tables.
var (
	statsColumns = []inventoryColumn[schema.RuleStats]{
		{"rule_id", func(s *schema.RuleStats) any { return s.RuleID }},
		{"minute", func(s *schema.RuleStats) any { return clampDate(s.Minute) }},
		{"part", func(s *schema.RuleStats) any { return s.Part }},
		{"matched", func(s *schema.RuleStats) any { return uint64(s.Matched) }},
		{"triggers", func(s *schema.RuleStats) any { return uint64(s.Triggers) }},
		{"findings", func(s *schema.RuleStats) any { return uint64(s.Findings) }},
		{"withdrawn", func(s *schema.RuleStats) any { return uint64(s.Withdrawn) }},
		{"excepted", func(s *schema.RuleStats) any { return uint64(s.Excepted) }},
		{"held", func(s *schema.RuleStats) any { return uint64(s.Held) }},
		{"late", func(s *schema.RuleStats) any { return uint64(s.Late) }},
		{"unkeyed", func(s *schema.RuleStats) any { return uint64(s.Unkeyed) }},
		{"errors", func(s *schema.RuleStats) any { return uint64(s.Errors) }},
		{"pos", func(s *schema.RuleStats) any { return s.Pos }},
	}

	qualityColumns = []inventoryColumn[schema.SourceQuality]{
		{"source", func(q *schema.SourceQuality) any { return q.Source }},
		{"dataset", func(q *schema.SourceQuality) any { return q.Dataset }},
		{"hour", func(q *schema.SourceQuality) any { return clampDate(q.Hour) }},
		{"part", func(q *schema.SourceQuality) any { return q.Part }},
		{"events", func(q *schema.SourceQuality) any { return uint64(q.Events) }},
		{"without_agent", lacks(schema.NeedAgent)},
		{"without_session", lacks(schema.NeedSession)},
		{"without_tool", lacks(schema.NeedTool)},
		{"calls", func(q *schema.SourceQuality) any { return uint64(q.Should[schema.NeedArguments]) }},
		{"without_arguments", lacks(schema.NeedArguments)},
		{"results", func(q *schema.SourceQuality) any { return uint64(q.Should[schema.NeedResult]) }},
		{"without_result", lacks(schema.NeedResult)},
		{"without_outcome", lacks(schema.NeedOutcome)},
		{"pos", func(q *schema.SourceQuality) any { return q.Pos }},
	}

	ruleColumns = []inventoryColumn[schema.RuleInfo]{
		{"rule_id", func(r *schema.RuleInfo) any { return r.RuleID }},
		{"version", func(r *schema.RuleInfo) any { return int32(r.Version) }},
		{"title", func(r *schema.RuleInfo) any { return r.Title }},
		{"description", func(r *schema.RuleInfo) any { return r.Description }},
		{"why", func(r *schema.RuleInfo) any { return r.Why }},
		{"what_to_do", func(r *schema.RuleInfo) any { return r.WhatToDo }},
		{"false_positives", func(r *schema.RuleInfo) any { return r.FalsePositives }},
		{"references", func(r *schema.RuleInfo) any { return r.References }},
		{"kind", func(r *schema.RuleInfo) any { return r.Kind }},
		{"stage", func(r *schema.RuleInfo) any { return r.Stage }},
		{"severity", func(r *schema.RuleInfo) any { return string(r.Severity) }},
		{"confidence", func(r *schema.RuleInfo) any { return uint8(min(max(r.Confidence, 0), 100)) }},
		{"tags", func(r *schema.RuleInfo) any { return r.Tags }},
		{"datasets", func(r *schema.RuleInfo) any { return r.Datasets }},
		{"file", func(r *schema.RuleInfo) any { return r.File }},
		{"since", func(r *schema.RuleInfo) any { return clamp(r.Since) }},
	}

	attemptColumns = []inventoryColumn[schema.Attempt]{
		{"endpoint", func(a *schema.Attempt) any { return a.Endpoint }},
		{"time", func(a *schema.Attempt) any { return clamp(a.Time) }},
		{"webhook_id", func(a *schema.Attempt) any { return a.WebhookID }},
		{"attempt", func(a *schema.Attempt) any { return uint32(a.Number) }},
		{"type", func(a *schema.Attempt) any { return a.Type }},
		{"id", func(a *schema.Attempt) any { return uuid.UUID(a.ID) }},
		{"version", func(a *schema.Attempt) any { return a.Version }},
		{"status", func(a *schema.Attempt) any { return a.Status }},
		{"delivered", func(a *schema.Attempt) any { return a.Delivered }},
		{"latency", func(a *schema.Attempt) any { return time.Duration(a.Took).Seconds() }},
		{"error", func(a *schema.Attempt) any { return a.Error }},
	}

	deadColumns = []inventoryColumn[schema.DeadLetterRow]{
		{"time", func(d *schema.DeadLetterRow) any { return clamp(d.Time) }},
		{"seq", func(d *schema.DeadLetterRow) any { return d.Seq }},
		{"kind", func(d *schema.DeadLetterRow) any { return string(d.Kind) }},
		{"reason", func(d *schema.DeadLetterRow) any { return d.Reason }},
		{"detail", func(d *schema.DeadLetterRow) any { return d.Detail }},
		{"source", func(d *schema.DeadLetterRow) any { return d.Source }},
		{"topic", func(d *schema.DeadLetterRow) any { return d.Topic }},
		{"partition", func(d *schema.DeadLetterRow) any { return d.Partition }},
		{"offset", func(d *schema.DeadLetterRow) any { return d.Offset }},
		{"index", func(d *schema.DeadLetterRow) any { return int64(d.Index) }},
		{"sink", func(d *schema.DeadLetterRow) any { return d.Sink }},
		{"type", func(d *schema.DeadLetterRow) any { return d.Type }},
		{"attempts", func(d *schema.DeadLetterRow) any { return uint32(d.Attempts) }},
		{"omitted", func(d *schema.DeadLetterRow) any { return uint64(d.Omitted) }},
		{"body", func(d *schema.DeadLetterRow) any { return d.Body }},
	}

	eventColumns = []inventoryColumn[schema.ArchivedEvent]{
		{"dataset", func(e *schema.ArchivedEvent) any { return e.Dataset }},
		{"agent_uid", archived(schema.AIAgentUID)},
		{"time", func(e *schema.ArchivedEvent) any { return clamp(e.Time) }},
		{"source", func(e *schema.ArchivedEvent) any { return e.Source }},
		{"topic", func(e *schema.ArchivedEvent) any { return e.Pos.Topic }},
		{"partition", func(e *schema.ArchivedEvent) any { return e.Pos.Partition }},
		{"offset", func(e *schema.ArchivedEvent) any { return e.Pos.Offset }},
		{"index", func(e *schema.ArchivedEvent) any { return int64(e.Pos.Index) }},
		{"number", func(e *schema.ArchivedEvent) any { return uint32(e.Number) }},
		{"tenant", func(e *schema.ArchivedEvent) any { return e.Tenant }},
		{"session_id", archived(schema.SessionID)},
		{"class", archived(schema.EventClass)},
		{"action", archived(schema.EventAction)},
		{"outcome", archived(schema.EventOutcome)},
		{"credential_uid", archived(schema.CredentialUID)},
		{"tool", archived(schema.GenAIToolName)},
		{"rules", func(e *schema.ArchivedEvent) any { return e.Rules }},
		{"fields", func(e *schema.ArchivedEvent) any { return otherFields(e) }},
		{"pos", func(e *schema.ArchivedEvent) any { return e.Seq }},
	}
)

// ownColumn are the fields of an archived event that have a column of their own.
var ownColumn = schema.Fields(schema.AIAgentUID, schema.SessionID, schema.EventClass, schema.EventAction, schema.EventOutcome,
	schema.CredentialUID, schema.GenAIToolName, schema.EventDataset)

func lacks(n schema.Need) func(*schema.SourceQuality) any {
	return func(q *schema.SourceQuality) any { return uint64(q.Lacks[n]) }
}

func archived(f schema.Field) func(*schema.ArchivedEvent) any {
	name := f.String()
	return func(e *schema.ArchivedEvent) any { return e.Fields[name] }
}

func otherFields(e *schema.ArchivedEvent) map[string]string {
	out := make(map[string]string, len(e.Fields))
	for name, text := range e.Fields {
		if f, ok := schema.FieldByName(name); !ok || !ownColumn.Has(f) {
			out[name] = text
		}
	}
	return out
}

// insertQuality stores the rows of a block about rules, sources, deliveries and events.
func (s *Sink) insertQuality(ctx context.Context, conn clickhouse.Conn, b *connectors.RowBlock) error {
	for _, rows := range byPeriods(b.Stats, func(r *schema.RuleStats) int { return monthOf(clampDate(r.Minute)) }) {
		if err := insertRows(ctx, conn, s.dialect.Table("rule_stats_1m"), statsColumns, rows); err != nil {
			return err
		}
	}
	for _, rows := range byPeriods(b.Quality, func(q *schema.SourceQuality) int { return monthOf(clampDate(q.Hour)) }) {
		if err := insertRows(ctx, conn, s.dialect.Table("source_quality_1h"), qualityColumns, rows); err != nil {
			return err
		}
	}
	if err := insertRows(ctx, conn, s.dialect.Table("rules"), ruleColumns, b.Rules); err != nil {
		return err
	}
	for _, rows := range byPeriods(b.Attempts, func(a *schema.Attempt) int { return monthOf(clamp(a.Time)) }) {
		if err := insertRows(ctx, conn, s.dialect.Table("deliveries"), attemptColumns, rows); err != nil {
			return err
		}
	}
	for _, rows := range byPeriods(b.Dead, func(d *schema.DeadLetterRow) int { return monthOf(clamp(d.Time)) }) {
		if err := insertRows(ctx, conn, s.dialect.Table("dead_letters"), deadColumns, rows); err != nil {
			return err
		}
	}
	return s.insertEvents(ctx, conn, b)
}

// insertEvents stores archived events. The parts of a block are the same whenever it is written, so each has a token by which the
// server skips one that it has.
func (s *Sink) insertEvents(ctx context.Context, conn clickhouse.Conn, b *connectors.RowBlock) error {
	parts := byPeriods(b.Events, func(e *schema.ArchivedEvent) int { return int(clamp(e.Time).Unix() / (24 * 60 * 60)) })
	for i, rows := range parts {
		first := &rows[0].Pos
		token := fmt.Sprintf("aidr-events-%d-%d-%d-%s-%d-%d-%d", b.Pos, b.Part, i, first.Topic, first.Partition, first.Offset, len(rows))
		ctx := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
			"async_insert": 0, "insert_deduplicate": 1, "insert_deduplication_token": token,
		}))
		if err := insertRows(ctx, conn, s.dialect.Table("events"), eventColumns, rows); err != nil {
			return err
		}
	}
	return nil
}

func monthOf(t time.Time) int { return t.Year()*12 + int(t.Month()) }

// byPeriods splits rows into lists of at most maxPartitions partitions each, none of them empty. period returns the partition of a
// row. Rows keep their order, so the lists of the same rows are the same.
func byPeriods[T any](rows []*T, period func(*T) int) (out [][]*T) {
	start, periods := 0, map[int]bool{}
	for i, row := range rows {
		p := period(row)
		if len(periods) == maxPartitions && !periods[p] {
			out, start = append(out, rows[start:i]), i
			clear(periods)
		}
		periods[p] = true
	}
	if start < len(rows) {
		out = append(out, rows[start:])
	}
	return slices.Clip(out)
}
