package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// inventoryColumn is one column of a table of the inventory.
type inventoryColumn[T any] struct {
	name  string
	value func(*T) any
}

// latestValue is the value of a column with the latest of something and its time.
func latestValue(at schema.Instant, value string) []any { return []any{clamp(at), value} }

// agentColumns, credentialColumns, toolColumns and activityColumns list the columns of the tables, in the order of their
// migration. They are not changed at run time. A test compares them with the tables.
var (
	agentColumns = slices.Concat([]inventoryColumn[schema.Agent]{
		{"tenant", func(a *schema.Agent) any { return a.Tenant }},
		{"agent_uid", func(a *schema.Agent) any { return a.AgentUID }},
		{"part", func(a *schema.Agent) any { return a.Part }},
		{"first_seen", func(a *schema.Agent) any { return clamp(a.FirstSeen) }},
		{"last_seen", func(a *schema.Agent) any { return clamp(a.LastSeen) }},
		{"newest_use", func(a *schema.Agent) any { return clamp(a.NewestUse) }},
		{"pos", func(a *schema.Agent) any { return a.Pos }},
		{"latest_name", func(a *schema.Agent) any { return latestValue(a.LastSeen, a.AgentName) }},
		{"latest_uid_source", func(a *schema.Agent) any { return latestValue(a.LastSeen, a.AgentSource) }},
		{"registration", func(a *schema.Agent) any { return []any{clamp(a.LastSeen), a.Registered, a.Owner} }},
	}, totalColumns(func(a *schema.Agent) *schema.Totals { return &a.Totals }),
		useColumns(func(a *schema.Agent) (*schema.Uses, *schema.Omitted) { return &a.Uses, &a.Omitted }, agentUses))

	credentialColumns = slices.Concat([]inventoryColumn[schema.Credential]{
		{"tenant", func(c *schema.Credential) any { return c.Tenant }},
		{"credential_uid", func(c *schema.Credential) any { return c.CredentialUID }},
		{"part", func(c *schema.Credential) any { return c.Part }},
		{"first_seen", func(c *schema.Credential) any { return clamp(c.FirstSeen) }},
		{"last_seen", func(c *schema.Credential) any { return clamp(c.LastSeen) }},
		{"newest_use", func(c *schema.Credential) any { return clamp(c.NewestUse) }},
		{"pos", func(c *schema.Credential) any { return c.Pos }},
		{"latest_type", func(c *schema.Credential) any { return latestValue(c.LastSeen, c.CredentialType) }},
	}, totalColumns(func(c *schema.Credential) *schema.Totals { return &c.Totals }),
		useColumns(func(c *schema.Credential) (*schema.Uses, *schema.Omitted) { return &c.Uses, &c.Omitted }, credentialUses))

	toolColumns = slices.Concat([]inventoryColumn[schema.Tool]{
		{"tenant", func(t *schema.Tool) any { return t.Tenant }},
		{"type", func(t *schema.Tool) any { return string(t.Type) }},
		{"name", func(t *schema.Tool) any { return t.Name }},
		{"part", func(t *schema.Tool) any { return t.Part }},
		{"first_seen", func(t *schema.Tool) any { return clamp(t.FirstSeen) }},
		{"last_seen", func(t *schema.Tool) any { return clamp(t.LastSeen) }},
		{"newest_use", func(t *schema.Tool) any { return clamp(t.NewestUse) }},
		{"pos", func(t *schema.Tool) any { return t.Pos }},
	}, totalColumns(func(t *schema.Tool) *schema.Totals { return &t.Totals }),
		useColumns(func(t *schema.Tool) (*schema.Uses, *schema.Omitted) { return &t.Uses, &t.Omitted }, toolUses))

	activityColumns = slices.Concat([]inventoryColumn[schema.Activity]{
		{"tenant", func(a *schema.Activity) any { return a.Tenant }},
		{"agent_uid", func(a *schema.Activity) any { return a.AgentUID }},
		{"class", func(a *schema.Activity) any { return a.Class }},
		{"action", func(a *schema.Activity) any { return a.Action }},
		{"minute", func(a *schema.Activity) any { return minuteOf(a) }},
		{"part", func(a *schema.Activity) any { return a.Part }},
	}, totalColumns(func(a *schema.Activity) *schema.Totals { return &a.Totals }), []inventoryColumn[schema.Activity]{
		{"pos", func(a *schema.Activity) any { return a.Pos }},
	})
)

// The kinds of values that have a column in each table.
var (
	agentUses = []schema.UseKind{
		schema.UseName, schema.UseSource, schema.UseDeclared, schema.UseWorkflow, schema.UseFramework, schema.UseDataset,
		schema.UseCredential, schema.UseCredentialType, schema.UseUser, schema.UseOnBehalfOf, schema.UseClientApp, schema.UseTool,
		schema.UseServer, schema.UseModel, schema.UseProvider, schema.UseDestination, schema.UseRoute, schema.UseCloudAction,
		schema.UseResourceType, schema.UseAccount, schema.UseNetwork,
	}
	credentialUses = []schema.UseKind{
		schema.UseDataset, schema.UseAgent, schema.UseCredentialType, schema.UseUser, schema.UseOnBehalfOf, schema.UseClientApp,
		schema.UseTool, schema.UseServer, schema.UseModel, schema.UseDestination, schema.UseRoute, schema.UseCloudAction,
		schema.UseResourceType, schema.UseAccount, schema.UseNetwork,
	}
	toolUses = []schema.UseKind{
		schema.UseDataset, schema.UseAgent, schema.UseCredential, schema.UseTool, schema.UseServer, schema.UseDestination, schema.UseProvider,
	}
)

func totalColumns[T any](of func(*T) *schema.Totals) []inventoryColumn[T] {
	count := func(name string, n func(*schema.Totals) int64) inventoryColumn[T] {
		return inventoryColumn[T]{name, func(row *T) any { return uint64(n(of(row))) }}
	}
	return []inventoryColumn[T]{
		count("events", func(t *schema.Totals) int64 { return t.Events }),
		count("success", func(t *schema.Totals) int64 { return t.Success }),
		count("failure", func(t *schema.Totals) int64 { return t.Failure }),
		count("blocked", func(t *schema.Totals) int64 { return t.Blocked }),
		count("input_tokens", func(t *schema.Totals) int64 { return t.InputTokens }),
		count("output_tokens", func(t *schema.Totals) int64 { return t.OutputTokens }),
		{"cost", func(row *T) any { return decimal.New(int64(of(row).Cost), -9) }},
	}
}

func useColumns[T any](of func(*T) (*schema.Uses, *schema.Omitted), kinds []schema.UseKind) (out []inventoryColumn[T]) {
	for _, kind := range kinds {
		out = append(out, inventoryColumn[T]{kind.String(), func(row *T) any {
			uses, _ := of(row)
			m := make(map[string]uint64, len(uses[kind]))
			for _, u := range uses[kind] {
				m[u.Name] = uint64(u.Count)
			}
			return m
		}})
	}
	return append(out, inventoryColumn[T]{"first_uses", func(row *T) any {
		uses, _ := of(row)
		m := map[string]time.Time{}
		for _, kind := range kinds {
			for _, u := range uses[kind] {
				m[kind.String()+"/"+u.Name] = clampDate(u.FirstSeen)
			}
		}
		return m
	}}, inventoryColumn[T]{"omitted", func(row *T) any {
		_, omitted := of(row)
		m := map[string]uint64{}
		for kind, n := range omitted {
			if n > 0 {
				m[schema.UseKind(kind).String()] = uint64(n)
			}
		}
		return m
	}})
}

// clamp returns a time in the range of DateTime64(9). Times come from logs, and one that is out of range must not keep the
// row of its agent away.
func clamp(t schema.Instant) time.Time { return timeOf(min(max(t, minInstant), maxInstant)) }

// maxDate is the last second of DateTime, in 2106.
const maxDate schema.Instant = (1<<32 - 1) * 1e9

// clampDate returns a time in the range of DateTime.
func clampDate(t schema.Instant) time.Time { return timeOf(min(max(t, 0), maxDate)) }

// minuteOf returns the minute of an activity in the range of DateTime.
func minuteOf(a *schema.Activity) time.Time { return clampDate(a.Minute).Truncate(time.Minute) }

// writeInventory stores a block of the inventory; see connectors.Profile.Rows.
func (s *Sink) writeInventory(ctx context.Context, b *connectors.RowBlock) error {
	err := s.insertInventory(ctx, b)
	s.updateHealth(ctx, &s.rowHealth, err)
	if err != nil {
		if c, _ := classify(err); c == classSchema {
			s.forgetSchema() // a table was dropped or never created: the next block migrates
		}
		return fmt.Errorf("write rows to %v: %w", s, withAdvice(err, s.options.Auth.Username))
	}
	return nil
}

func (s *Sink) insertInventory(ctx context.Context, b *connectors.RowBlock) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0}))
	conn, err := s.connection()
	if err != nil {
		return err
	}
	if err := s.ensureSchema(ctx); err != nil {
		return err
	}
	if err := insertRows(ctx, conn, s.dialect.Table("agents"), agentColumns, b.Agents); err != nil {
		return err
	}
	if err := insertRows(ctx, conn, s.dialect.Table("credentials"), credentialColumns, b.Credentials); err != nil {
		return err
	}
	if err := insertRows(ctx, conn, s.dialect.Table("tools"), toolColumns, b.Tools); err != nil {
		return err
	}
	for _, rows := range byPeriods(b.Activity, func(a *schema.Activity) int { return monthOf(minuteOf(a)) }) {
		if err := insertRows(ctx, conn, s.dialect.Table("agent_activity_1m"), activityColumns, rows); err != nil {
			return err
		}
	}
	return s.insertQuality(ctx, conn, b)
}

// insertRows inserts rows into a table: all of them or none.
func insertRows[T any](ctx context.Context, conn clickhouse.Conn, table string, columns []inventoryColumn[T], rows []*T) error {
	if len(rows) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = quoteName(columns[i].name)
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return fmt.Errorf("prepare rows of %s: %w", table, err)
	}
	defer batch.Close()
	values := make([]any, len(columns))
	for _, row := range rows {
		for i := range columns {
			values[i] = columns[i].value(row)
		}
		if err := batch.Append(values...); err != nil {
			return fmt.Errorf("append row of %s: %w", table, err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("send %d rows of %s: %w", len(rows), table, err)
	}
	return nil
}
