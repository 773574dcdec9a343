package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// MigrationStatus is one migration and whether the server has it.
type MigrationStatus struct {
	Name    string    // NNNN_name
	Applied time.Time // zero if it is pending
	Unknown bool      // the server has it and this version does not: a later version migrated
}

// Status returns all migrations in the order of their versions, with those that the server has and this version does not. It changes
// nothing.
func (s *Sink) Status(ctx context.Context) (all []MigrationStatus, err error) {
	conn, err := s.connection()
	if err != nil {
		return nil, err
	}
	done, err := s.appliedVersions(ctx, conn)
	if err != nil {
		return nil, s.asked(err)
	}
	known, err := migrations()
	if err != nil {
		return nil, err
	}
	names, times := map[uint32]string{}, map[uint32]time.Time{}
	if len(done) > 0 {
		rows, err := conn.Query(ctx, "SELECT version, name, applied_at FROM "+s.dialect.Table(migrationsTable)+" FINAL ORDER BY version")
		if err != nil {
			return nil, s.asked(err)
		}
		defer rows.Close()
		for rows.Next() {
			var version uint32
			var name string
			var at time.Time
			if err := rows.Scan(&version, &name, &at); err != nil {
				return nil, s.asked(err)
			}
			names[version], times[version] = name, at
		}
		if err := rows.Err(); err != nil {
			return nil, s.asked(err)
		}
	}
	for _, m := range known {
		all = append(all, MigrationStatus{Name: m.String(), Applied: times[m.version]})
		delete(names, m.version)
	}
	for version, name := range names {
		m := migration{version: version, name: name}
		all = append(all, MigrationStatus{Name: m.String(), Applied: times[version], Unknown: true})
	}
	return all, nil
}

func (m migration) String() string { return fmt.Sprintf("%04d_%s", m.version, m.name) }

// asked adds the database and advice to an error of the server.
func (s *Sink) asked(err error) error {
	return fmt.Errorf("look up the schema of database %q: %w", s.dialect.database, withAdvice(err, s.options.Auth.Username))
}

// Plan returns the statements that Migrate would run now, in their order, without those that describe the columns of views and that
// record what was applied. It changes nothing.
func (s *Sink) Plan(ctx context.Context) (statements []string, err error) {
	conn, err := s.connection()
	if err != nil {
		return nil, err
	}
	done, err := s.appliedVersions(ctx, conn)
	if err != nil {
		return nil, s.asked(err)
	}
	known, err := migrations()
	if err != nil {
		return nil, err
	}
	for _, m := range known {
		if done[m.version] {
			continue
		}
		if len(statements) == 0 {
			first, err := s.prerequisites(ctx, conn)
			if err != nil {
				return nil, s.asked(err)
			}
			statements = append(statements, first...)
		}
		list, err := s.dialect.statements(m)
		if err != nil {
			return nil, err
		}
		statements = append(statements, list...)
	}
	changes, err := s.ttlChanges(ctx, conn)
	if err != nil {
		return nil, s.asked(err)
	}
	return append(statements, changes...), nil
}

// prerequisites returns the statements that create the database, if it is missing, and the table that records migrations.
func (s *Sink) prerequisites(ctx context.Context, conn clickhouse.Conn) (statements []string, err error) {
	var n uint64
	err = conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = {name:String}",
		clickhouse.Named("name", s.dialect.database)).Scan(&n)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		create := "CREATE DATABASE IF NOT EXISTS " + quoteName(s.dialect.database) + " " + s.dialect.OnCluster()
		statements = append(statements, strings.TrimSpace(create))
	}
	return append(statements, s.dialect.migrationsDDL()), nil
}

// Role is a user of the database with the rights that it needs, for the least rights.
type Role struct {
	Name   string // reader, writer or migrator
	About  string
	Grants []string // each follows GRANT and precedes TO
}

// Roles returns the users that a site needs: analysts, aidr run with migrate: false, and aidr migrate.
func (s *Sink) Roles() []Role {
	db := quoteName(s.dialect.database) + ".*"
	replicated := ""
	if s.dialect.cluster != "" {
		replicated = "Replicated"
	}
	migrator := []string{
		"SELECT, INSERT, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER ON " + db,
		"TABLE ENGINE ON " + replicated + "MergeTree", "TABLE ENGINE ON " + replicated + "ReplacingMergeTree",
		"TABLE ENGINE ON " + replicated + "AggregatingMergeTree", "TABLE ENGINE ON View",
	}
	if s.dialect.cluster != "" {
		migrator = append(migrator, "CLUSTER ON *.*")
	}
	return []Role{
		{"reader", "analysts and aidr sql: they read everything in the database and change nothing", []string{"SELECT ON " + db}},
		{"writer", "aidr run with sinks.clickhouse.migrate: false", []string{"SELECT, INSERT ON " + db}},
		{"migrator", "aidr migrate, and aidr run with sinks.clickhouse.migrate: true", migrator},
	}
}

// Recipe returns the statements that create the users of Roles, and the section of users.xml with the same rights for servers without
// SQL-driven access control. Passwords are for the administrator to fill in.
func (s *Sink) Recipe() string {
	var b strings.Builder
	cluster := s.dialect.OnCluster()
	if cluster != "" {
		cluster = " " + cluster
	}
	for _, r := range s.Roles() {
		user := "aidr_" + r.Name
		fmt.Fprintf(&b, "-- %s\nCREATE USER IF NOT EXISTS %s%s IDENTIFIED WITH sha256_password BY '...'", r.About, user, cluster)
		if r.Name == "reader" {
			b.WriteString(" SETTINGS readonly = 2")
		}
		b.WriteString(";\n")
		for _, g := range r.Grants {
			fmt.Fprintf(&b, "GRANT%s %s TO %s;\n", cluster, g, user)
		}
		b.WriteString("\n")
	}
	b.WriteString("-- The same in users.xml:\n<clickhouse><users>\n")
	for _, r := range s.Roles() {
		fmt.Fprintf(&b, "  <aidr_%s> <!-- %s -->\n    <password_sha256_hex>...</password_sha256_hex>\n    <grants>\n", r.Name, r.About)
		for _, g := range r.Grants {
			fmt.Fprintf(&b, "      <query>GRANT %s</query>\n", g)
		}
		fmt.Fprintf(&b, "    </grants>\n  </aidr_%s>\n", r.Name)
	}
	b.WriteString("</users></clickhouse>\n")
	return b.String()
}
