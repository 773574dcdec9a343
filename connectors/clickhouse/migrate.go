package clickhouse

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Migrations are numbered files of statements; each may be run again, since ClickHouse has no transactions and a
// process may be killed between any two of them. A file that is released is never changed. They are run here and not
// by goose, whose ClickHouse tables know neither ON CLUSTER nor replication.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	migrationsTable = "schema_migrations"

	// DefaultTTL is how long findings are kept after they were detected: a year, to compare with, and a month.
	DefaultTTL = 400 * 24 * time.Hour

	// deduplicationWindow is how many of the last blocks a table knows again by their token.
	deduplicationWindow = 100
)

type migration struct {
	version uint32
	name    string
	text    string // a template
}

// migrations returns the embedded ones in order: NNNN_name.sql.
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
			return nil, fmt.Errorf("read migration %q: its number is not the next one: %w", n, err)
		}
		text, err := migrationFiles.ReadFile(n)
		if err != nil {
			return nil, err
		}
		out = append(out, migration{uint32(v), name, string(text)})
	}
	return out, nil
}

// dialect is how statements are said for one configuration.
type dialect struct {
	database string
	cluster  string // "" for a single server
	ttl      time.Duration
}

// Table is a table's full name.
func (d dialect) Table(name string) string { return quoteName(d.database) + "." + quoteName(name) }

// OnCluster makes a statement hold for all servers of the cluster.
func (d dialect) OnCluster() string {
	if d.cluster == "" {
		return ""
	}
	return "ON CLUSTER " + quoteName(d.cluster)
}

// Engine is the table engine, replicated on a cluster: path and replica are the server's own defaults.
func (d dialect) Engine(plain string) string {
	if d.cluster == "" {
		return plain
	}
	return "Replicated" + plain
}

// Deduplicate turns the memory for tokens on: on a plain table it is 0 blocks by default.
func (d dialect) Deduplicate() string {
	if d.cluster == "" {
		return fmt.Sprintf("non_replicated_deduplication_window = %d", deduplicationWindow)
	}
	return fmt.Sprintf("replicated_deduplication_window = %d", deduplicationWindow)
}

// TTL is a table's clause, nothing where rows are kept for ever.
func (d dialect) TTL(column string) string {
	if d.ttl < 0 {
		return ""
	}
	return "TTL toDateTime(" + column + ") + " + d.interval()
}

// interval is written as ClickHouse shows it again.
func (d dialect) interval() string { return fmt.Sprintf("toIntervalDay(%d)", d.days()) }

func (d dialect) days() int64 { return max(1, int64(d.ttl/(24*time.Hour))) }

func quoteName(name string) string { return "`" + name + "`" }

// statements renders a migration and parts it: a statement ends with a semicolon at the end of a line.
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

// Migrate brings the schema up to date and returns what it applied. It asks for no right that it does not need: where
// all is up to date, reading is enough.
func (s *Sink) Migrate(ctx context.Context) (applied []string, err error) {
	conn, err := s.connection()
	if err != nil {
		return nil, err
	}
	done, err := s.migrated(ctx, conn)
	if err == nil {
		applied, err = s.apply(ctx, conn, done)
	}
	if err == nil && len(applied) > 0 {
		err = s.describeViews(ctx, conn)
	}
	if err == nil {
		err = s.keepFor(ctx, conn)
	}
	if err != nil {
		return applied, fmt.Errorf("migrate database %q: %w", s.dialect.database, explain(err, s.options.Auth.Username))
	}
	return applied, nil
}

// migrated returns the versions that are recorded, none where the table of findings is missing: then somebody dropped
// it and all is applied again.
func (s *Sink) migrated(ctx context.Context, conn clickhouse.Conn) (map[uint32]bool, error) {
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
			if err := s.prepare(ctx, conn); err != nil {
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
		if err := conn.Exec(ctx, record, clickhouse.Named("version", strconv.Itoa(int(m.version))), clickhouse.Named("name", m.name)); err != nil {
			return applied, fmt.Errorf("record migration %d %s: %w", m.version, m.name, err)
		}
		applied = append(applied, fmt.Sprintf("%04d_%s", m.version, m.name))
	}
	return applied, nil
}

// prepare makes the database, where it is missing, and the table that records migrations.
func (s *Sink) prepare(ctx context.Context, conn clickhouse.Conn) error {
	var n uint64
	err := conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = {name:String}", clickhouse.Named("name", s.dialect.database)).Scan(&n)
	if err != nil {
		return err
	}
	if n == 0 {
		if err := conn.Exec(ctx, strings.TrimSpace("CREATE DATABASE IF NOT EXISTS "+quoteName(s.dialect.database)+" "+s.dialect.OnCluster())); err != nil {
			return err
		}
	}
	return conn.Exec(ctx, s.dialect.migrationsDDL())
}

func (d dialect) migrationsDDL() string {
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s %s
(
    version    UInt32 COMMENT 'The number of the migration',
    name       String COMMENT 'Its name',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was applied'
)
ENGINE = %s
ORDER BY version
COMMENT 'The migrations of the schema that are applied'`, d.Table(migrationsTable), d.OnCluster(), d.Engine("ReplacingMergeTree(applied_at)"))
}

// keepFor brings the table's TTL to what is configured, if it is another.
func (s *Sink) keepFor(ctx context.Context, conn clickhouse.Conn) error {
	var engine string
	err := conn.QueryRow(ctx, "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = 'findings'",
		clickhouse.Named("database", s.dialect.database)).Scan(&engine)
	if err != nil {
		return err
	}
	table, has := "ALTER TABLE "+s.dialect.Table("findings")+" "+s.dialect.OnCluster(), strings.Contains(engine, " TTL ")
	switch {
	case s.dialect.ttl < 0 && has:
		return conn.Exec(ctx, table+" REMOVE TTL")
	case s.dialect.ttl >= 0 && !strings.Contains(engine, s.dialect.interval()):
		return conn.Exec(ctx, table+" MODIFY "+s.dialect.TTL("detected_at"))
	}
	return nil
}
