package clickhouse

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aidr-engine/aidr/connectors"
)

// migrationFiles holds the migrations: numbered files of statements. A process may be killed between any two statements and
// ClickHouse lacks transactions, so every statement can be run again. A released file is never changed.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	migrationsTable = "schema_migrations"

	// DefaultTTL is the time for which findings are kept after their detection: a month more than a year, so that they can
	// be compared with those of a year ago.
	DefaultTTL = 400 * 24 * time.Hour

	// DefaultEventsTTL is the time for which archived events are kept: long enough to look into what
	// led to a finding.
	DefaultEventsTTL = 30 * 24 * time.Hour

	// deduplicationWindow is the number of the latest blocks that a table recognises by their token.
	deduplicationWindow = 100
)

// migration is one numbered file. Migrations are run here and not by a library, because goose's own page on ClickHouse
// calls its migrator not well suited to clusters with Replicated tables or ON CLUSTER, and golang-migrate's driver does not
// officially support cluster mode. Both also work through database/sql, whereas this package has the native driver and
// renders DDL from templates, for a single server or a cluster; the DDL is idempotent, as both libraries demand.
type migration struct {
	version uint32
	name    string
	text    string // a template that is executed with a dialect
}

// migrations returns the embedded migrations in order of their version. The files are named NNNN_name.sql.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var out []migration
	for _, n := range names {
		number, name, _ := strings.Cut(strings.TrimSuffix(path.Base(n), ".sql"), "_")
		v, err := strconv.ParseUint(number, 10, 32)
		if err != nil || len(out) > 0 && uint32(v) <= out[len(out)-1].version {
			return nil, fmt.Errorf("read migration %q: the number is malformed or not above the previous one: %w", n, err)
		}
		text, err := migrationFiles.ReadFile(n)
		if err != nil {
			return nil, err
		}
		out = append(out, migration{uint32(v), name, string(text)})
	}
	return out, nil
}

// dialect renders statements for one configuration. Its exported methods are called by the templates of migrations.
type dialect struct {
	database string
	cluster  string        // "" for a single server
	ttl      time.Duration // negative: rows are never deleted

	eventsTTL time.Duration // of the archive of events; 0: DefaultEventsTTL
}

// Table returns the full name of a table, quoted.
func (d dialect) Table(name string) string { return quoteName(d.database) + "." + quoteName(name) }

// OnCluster returns the clause that runs a statement on all servers of the cluster; "" for a single server.
func (d dialect) OnCluster() string {
	if d.cluster == "" {
		return ""
	}
	return "ON CLUSTER " + quoteName(d.cluster)
}

// Engine returns the table engine: plain on a single server, its replicated variant on a cluster. Path and replica are the
// defaults of the server.
func (d dialect) Engine(plain string) string {
	if d.cluster == "" {
		return plain
	}
	return "Replicated" + plain
}

// Deduplicate returns the setting that makes a table recognise tokens. On a table that is not replicated the default
// window is 0 blocks.
func (d dialect) Deduplicate() string {
	if d.cluster == "" {
		return fmt.Sprintf("non_replicated_deduplication_window = %d", deduplicationWindow)
	}
	return fmt.Sprintf("replicated_deduplication_window = %d", deduplicationWindow)
}

// TTL returns the TTL clause of a table; "" if rows are never deleted.
func (d dialect) TTL(column string) string {
	if d.ttl < 0 {
		return ""
	}
	return "TTL toDateTime(" + column + ") + " + interval(d.ttl)
}

// EventsTTL returns the TTL clause of the archive of events.
func (d dialect) EventsTTL() string {
	return "TTL archived_at + " + interval(cmp.Or(d.eventsTTL, DefaultEventsTTL))
}

// interval returns a TTL in the form in which system.tables shows it, so that the two can be compared.
func interval(ttl time.Duration) string {
	return fmt.Sprintf("toIntervalDay(%d)", max(1, int64(ttl/(24*time.Hour))))
}

// ttlColumns are the columns from which the TTL of a table counts.
var ttlColumns = map[string]string{
	"findings": "detected_at", "responses": "since", "agent_activity_1m": "minute", "rule_stats_1m": "minute",
	"source_quality_1h": "hour", "deliveries": "time", "dead_letters": "time",
}

func quoteName(name string) string { return "`" + name + "`" }

// statements renders a migration and splits it into statements, which end with a semicolon at the end of a line.
func (d dialect) statements(m migration) ([]string, error) {
	t, err := template.New(m.name).Parse(m.text)
	if err != nil {
		return nil, fmt.Errorf("read migration %d %s: %w", m.version, m.name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, d); err != nil {
		return nil, fmt.Errorf("read migration %d %s: %w", m.version, m.name, err)
	}
	var out []string
	for s := range strings.SplitSeq(b.String(), ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out, nil
}

// Migrate brings the schema up to date and returns the names of the migrations that it applied. It needs only the grants
// of the statements that it runs: if the schema is up to date, SELECT is enough.
func (s *Sink) Migrate(ctx context.Context) (applied []string, err error) {
	conn, err := s.connection()
	if err != nil {
		return nil, err
	}
	pauses := connectors.Backoff{Min: 50 * time.Millisecond, Max: time.Second}
	for attempt := 1; ; attempt++ {
		applied, err = s.migrateOnce(ctx, conn)
		if err == nil {
			return applied, nil
		}
		if !concurrent(err) || attempt == migrateAttempts || !sleep(ctx, pauses.Next()) {
			return applied, fmt.Errorf("migrate database %q: %w", s.dialect.database, withAdvice(err, s.options.Auth.Username))
		}
	}
}

// migrateAttempts is the number of attempts of a migration that meets the migration of another process. Every statement
// is idempotent, so an attempt starts from the beginning.
const migrateAttempts = 10

func (s *Sink) migrateOnce(ctx context.Context, conn clickhouse.Conn) (applied []string, err error) {
	done, err := s.appliedVersions(ctx, conn)
	if err == nil {
		applied, err = s.apply(ctx, conn, done)
	}
	if err == nil && len(applied) > 0 {
		err = s.describeViews(ctx, conn)
	}
	if err == nil {
		err = s.updateTTL(ctx, conn)
	}
	return applied, err
}

// concurrent reports whether the error is that of a statement that met a change of the same table by another process.
func concurrent(err error) bool {
	var e *clickhouse.Exception
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case 57, // TABLE_ALREADY_EXISTS: a view that is being replaced
		60,  // UNKNOWN_TABLE: the same
		218, // TABLE_IS_DROPPED: the same
		473, // DEADLOCK_AVOIDED
		517: // CANNOT_ASSIGN_ALTER: the table was renamed or altered at the same time
		return true
	}
	return false
}

// sleep waits for d and reports whether ctx is still valid.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// appliedVersions returns the versions that are recorded as applied. If the table findings is missing, it was dropped, and
// the result is empty, so that every migration is applied again.
func (s *Sink) appliedVersions(ctx context.Context, conn clickhouse.Conn) (map[uint32]bool, error) {
	done := map[uint32]bool{}
	for _, table := range []string{migrationsTable, "findings"} {
		var n uint64
		err := conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = {database:String} AND name = {name:String}",
			clickhouse.Named("database", s.dialect.database), clickhouse.Named("name", table)).Scan(&n)
		if err != nil || n == 0 {
			return done, err
		}
	}
	var versions []uint32
	err := conn.QueryRow(ctx, "SELECT groupUniqArray(version) FROM "+s.dialect.Table(migrationsTable)).Scan(&versions)
	for _, v := range versions {
		done[v] = true
	}
	return done, err
}

// apply runs the migrations that are not in done and records each of them.
func (s *Sink) apply(ctx context.Context, conn clickhouse.Conn, done map[uint32]bool) (applied []string, err error) {
	all, err := migrations()
	if err != nil {
		return nil, err
	}
	prepared := false
	for _, m := range all {
		if done[m.version] {
			continue
		}
		if !prepared {
			if err := s.createMigrationsTable(ctx, conn); err != nil {
				return applied, err
			}
			prepared = true
		}
		statements, err := s.dialect.statements(m)
		if err != nil {
			return applied, err
		}
		for _, q := range statements {
			if err := conn.Exec(ctx, q); err != nil {
				return applied, fmt.Errorf("migration %d %s: %w", m.version, m.name, err)
			}
		}
		record := "INSERT INTO " + s.dialect.Table(migrationsTable) + " (version, name) VALUES ({version:UInt32}, {name:String})"
		err = conn.Exec(ctx, record, clickhouse.Named("version", strconv.Itoa(int(m.version))), clickhouse.Named("name", m.name))
		if err != nil {
			return applied, fmt.Errorf("record migration %d %s: %w", m.version, m.name, err)
		}
		applied = append(applied, m.String())
	}
	return applied, nil
}

// createMigrationsTable creates the database, if it is missing, and the table that records migrations.
func (s *Sink) createMigrationsTable(ctx context.Context, conn clickhouse.Conn) error {
	statements, err := s.prerequisites(ctx, conn)
	if err != nil {
		return err
	}
	for _, q := range statements {
		if err := conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (d dialect) migrationsDDL() string {
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s %s
(
    version    UInt32 COMMENT 'Number of the migration',
    name       String COMMENT 'Name of the migration',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Time at which the migration was applied'
)
ENGINE = %s
ORDER BY version
COMMENT 'The migrations of the schema that were applied'`, d.Table(migrationsTable), d.OnCluster(), d.Engine("ReplacingMergeTree(applied_at)"))
}

// updateTTL changes the TTL of each table whose TTL differs from the configured one.
func (s *Sink) updateTTL(ctx context.Context, conn clickhouse.Conn) error {
	changes, err := s.ttlChanges(ctx, conn)
	if err != nil {
		return err
	}
	for _, q := range changes {
		if err := conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// ttlChanges returns the statements that bring the TTL of each table to the configured one.
func (s *Sink) ttlChanges(ctx context.Context, conn clickhouse.Conn) (changes []string, err error) {
	var engines map[string]string
	err = conn.QueryRow(ctx, "SELECT CAST((groupArray(name), groupArray(engine_full)), 'Map(String, String)') FROM system.tables "+
		"WHERE database = {database:String}", clickhouse.Named("database", s.dialect.database)).Scan(&engines)
	if err != nil {
		return nil, err
	}
	for _, table := range slices.Sorted(maps.Keys(engines)) {
		wanted, known := "", table == "events"
		if known {
			wanted = s.dialect.EventsTTL()
		} else if column, ok := ttlColumns[table]; ok {
			known, wanted = true, s.dialect.TTL(column)
		}
		_, now, has := strings.Cut(engines[table], " TTL ")
		alter := strings.TrimSpace("ALTER TABLE " + s.dialect.Table(table) + " " + s.dialect.OnCluster())
		switch {
		case !known:
		case wanted == "" && has:
			changes = append(changes, alter+" REMOVE TTL")
		case wanted != "" && !strings.HasPrefix(now+" ", strings.TrimPrefix(wanted, "TTL ")+" "):
			changes = append(changes, alter+" MODIFY "+wanted)
		}
	}
	return changes, nil
}
