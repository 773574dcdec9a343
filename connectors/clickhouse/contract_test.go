package clickhouse

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// TestContract runs the suite that every sink passes.
func TestContract(t *testing.T) {
	conntest.TestSink(t, func(t *testing.T) conntest.SinkTarget {
		gate, dsn := newGate(t, host.ForTest(t))
		return conntest.SinkTarget{
			New: func(t *testing.T) connectors.Sink {
				s, err := New(Config{DSN: dsn, Migrate: true})
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Stored: func(t *testing.T) map[schema.ID]uint64 { return storedIn(t, dsn) },
			Poison: func(f *schema.Finding) { f.Severity = "unknown" },
			TakeDown: func(t *testing.T) (bringBack func()) {
				gate.shut()
				return func() { gate.open(t) }
			},
		}
	})
}

// storedIn returns the revision of every finding in the database of dsn.
func storedIn(t *testing.T, dsn string) map[schema.ID]uint64 {
	t.Helper()
	s := sinkOn(t, dsn, nil)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := s.connection()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(context.Background(), "SELECT id, revision FROM "+s.dialect.Table("v_findings"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[schema.ID]uint64{}
	for rows.Next() {
		var id uuid.UUID
		var revision uint64
		if err := rows.Scan(&id, &revision); err != nil {
			t.Fatal(err)
		}
		stored[schema.ID(id)] = revision
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return stored
}
