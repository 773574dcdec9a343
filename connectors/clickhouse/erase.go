package clickhouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Erasure selects the rows that Erase deletes: those of an agent, or the findings whose evidence holds a text. Exactly one of the
// two is set.
type Erasure struct {
	Tenant, Agent string
	TextHash      string // lower-case hex SHA-256 of a whole text
}

// eraseByAgent are the tables whose rows are about one agent. Responses and the audit are the record of what was done, and stay.
var eraseByAgent = []string{"findings", "agents", "agent_activity_1m"}

const (
	ofAgent = "tenant = {tenant:String} AND agent_uid = {agent:String}"
	// ofText finds a text in the evidence, or its hash in the place of it.
	ofText = "arrayExists(m -> arrayExists(v -> lower(hex(SHA256(v))) = {hash:String} OR v = concat('sha256:', {hash:String}), mapValues(m)), `evidence.fields`)"
)

// ErasedRows is the number of rows of one table.
type ErasedRows struct {
	Table string `json:"table"`
	Rows  uint64 `json:"rows"` // revisions of a finding count each
}

// Erase deletes rows, and waits until they are gone; with dry it only counts them. Rows that a sink writes later are not deleted: erase
// first where findings are made.
func (s *Sink) Erase(ctx context.Context, e Erasure, dry bool) (out []ErasedRows, err error) {
	tables, where := eraseByAgent, ofAgent
	if e.Agent == "" {
		tables, where = []string{"findings"}, ofText
	}
	conn, err := s.connection()
	if err != nil {
		return nil, err
	}
	parameters := clickhouse.Parameters{"tenant": e.Tenant, "agent": e.Agent, "hash": e.TextHash}
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(parameters), clickhouse.WithSettings(clickhouse.Settings{"mutations_sync": 2}))
	for _, table := range slices.Clone(tables) {
		rows := ErasedRows{Table: table}
		name := s.dialect.Table(table)
		if err := conn.QueryRow(ctx, "SELECT count() FROM "+name+" WHERE "+where).Scan(&rows.Rows); err != nil {
			return out, fmt.Errorf("count the rows of %s in %v: %w", table, s, err)
		}
		if !dry && rows.Rows > 0 {
			if err := conn.Exec(ctx, "ALTER TABLE "+name+" "+s.dialect.OnCluster()+" DELETE WHERE "+where); err != nil {
				return out, fmt.Errorf("delete the rows of %s in %v: %w: the user needs ALTER DELETE on the table", table, s, err)
			}
		}
		out = append(out, rows)
	}
	return out, nil
}
