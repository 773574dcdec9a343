package clickhouse

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/schema"
)

// TestPlan checks that Status and Plan change nothing, and that the statements of Plan alone make the schema.
func TestPlan(t *testing.T) {
	s := newSink(t, nil)
	status := func() (pending, unknown int) {
		t.Helper()
		all, err := s.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			switch {
			case m.Unknown:
				unknown++
			case m.Applied.IsZero():
				pending++
			}
		}
		return pending, unknown
	}
	if pending, unknown := status(); pending != len(migrationNames(t, 0)) || unknown != 0 {
		t.Errorf("an empty database: %d migrations are pending, %d unknown", pending, unknown)
	}
	plan, err := s.Plan(t.Context())
	if err != nil || !strings.Contains(strings.Join(plan, "\n"), "v_rule_quality") {
		t.Fatalf("got a plan of %d statements, %v", len(plan), err)
	}
	if n := query[uint64](t, s, "SELECT count() FROM system.tables WHERE database = '%s'", s.dialect.database); n != 0 {
		t.Errorf("the plan made %d tables", n)
	}
	for _, q := range plan {
		run(t, s, "%s", q)
	}
	made := query[[]string](t, s, "SELECT arraySort(groupArray(name)) FROM system.tables WHERE database = '%s'", s.dialect.database)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := query[[]string](t, s, "SELECT arraySort(groupArray(name)) FROM system.tables WHERE database = '%s'", s.dialect.database); strings.Join(all, " ") != strings.Join(made, " ") {
		t.Errorf("the plan made %q, Migrate %q", made, all)
	}
	if plan, err := s.Plan(t.Context()); err != nil || len(plan) > 0 {
		t.Errorf("after Migrate: got the plan %q, %v", plan, err)
	}
	run(t, s, "INSERT INTO DB.schema_migrations (version, name) VALUES (9999, 'later')")
	if pending, unknown := status(); pending != 0 || unknown != 1 {
		t.Errorf("after Migrate: %d migrations are pending, %d unknown, want 0 and 1", pending, unknown)
	}
}

// TestRoles gives a user the rights of each role through users.xml, in one data directory: the migrator migrates, the writer writes
// with them, and the reader runs every shipped query and changes nothing.
func TestRoles(t *testing.T) {
	o := host.Options{Dir: t.TempDir(), Password: "known to all", Database: "aidr"}
	as := func(role string) (*Sink, *host.Engine) {
		t.Helper()
		p := o
		s, err := New(Config{DSN: "clickhouse://h:1/aidr"})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Roles() {
			if r.Name == role {
				p.Grants = r.Grants
			}
		}
		e := host.StartForTest(t, p)
		return sinkOn(t, e.DSN, func(c *Config) { c.Migrate = false }), e
	}
	admin, e := as("migrator")
	if _, err := admin.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin.Close()
	e.Kill()
	writer, e := as("writer")
	now := schema.InstantOf(time.Now().Truncate(time.Minute))
	writeStory(t, writer, now)
	if err := writer.conn.Exec(t.Context(), "DROP TABLE aidr.findings"); err == nil {
		t.Error("the writer may drop a table")
	}
	rights := func(migrate bool) connectors.Answer {
		t.Helper()
		a := sinkOn(t, e.DSN, func(c *Config) { c.Migrate = migrate }).Probe(t.Context())
		if len(a) != 3 || a[0].Failed {
			t.Fatalf("probe of the writer: got %+v", a)
		}
		return a[2]
	}
	if a := rights(false); a.Warning || !strings.Contains(a.Text, "all rights of the role writer") {
		t.Errorf("the writer: got %+v", a)
	}
	if a := rights(true); !a.Warning || !strings.Contains(a.Text, "lacks rights of the role migrator") || !strings.Contains(a.Text, "GRANT DROP TABLE ON `aidr`.*") ||
		strings.Contains(a.Text, "GRANT INSERT") {
		t.Errorf("the writer as migrator: got %+v", a)
	}
	writer.Close()
	e.Kill()
	reader, _ := as("reader")
	for _, q := range Queries() {
		answerOf(t, reader, q)
	}
	conn, err := reader.connection()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"INSERT INTO aidr.schema_migrations (version, name) VALUES (1, 'x')", "CREATE TABLE aidr.x (a Int8) ENGINE = MergeTree ORDER BY a",
		"ALTER TABLE aidr.findings DELETE WHERE 1", "DROP VIEW aidr.v_findings", "SELECT * FROM file('/etc/passwd', 'LineAsString')",
	} {
		if err := conn.Exec(t.Context(), q); err == nil {
			t.Errorf("the reader may %s", q)
		}
	}
	for _, want := range []string{"CREATE USER IF NOT EXISTS aidr_reader", "GRANT SELECT ON `aidr`.* TO aidr_reader;", "<query>GRANT SELECT, INSERT ON `aidr`.*</query>"} {
		if !strings.Contains(reader.Recipe(), want) {
			t.Errorf("the recipe lacks %s:\n%s", want, reader.Recipe())
		}
	}
}

// TestAskChangesNothing asks with statements that would change something, as a user that may do so.
func TestAskChangesNothing(t *testing.T) {
	s := newSink(t, nil)
	write(t, s, entriesOf(1, 3, 1))
	for _, q := range []string{"DROP TABLE findings", "TRUNCATE TABLE findings", "INSERT INTO schema_migrations (version, name) VALUES (77, 'x')"} {
		if _, err := s.Ask(t.Context(), q, nil); err == nil {
			t.Errorf("%s is run", q)
		}
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 3 {
		t.Errorf("got %d findings, want 3", n)
	}
}

// TestClusterRecipe checks the text of the recipe for a cluster, which needs no cluster and no Keeper.
func TestClusterRecipe(t *testing.T) {
	s, err := New(Config{DSN: "clickhouse://h:1/db", Cluster: "main"})
	if err != nil {
		t.Fatal(err)
	}
	recipe := s.Recipe()
	for line := range strings.SplitSeq(recipe, "\n") {
		if (strings.HasPrefix(line, "CREATE USER") || strings.HasPrefix(line, "GRANT")) && !strings.Contains(line, "ON CLUSTER `main`") {
			t.Errorf("the statement does not run on the cluster: %s", line)
		}
	}
	for _, want := range []string{"TABLE ENGINE ON ReplicatedReplacingMergeTree", "CLUSTER ON *.*"} {
		if !strings.Contains(recipe, want) {
			t.Errorf("the recipe lacks %s", want)
		}
	}
}
