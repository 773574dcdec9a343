package clickhouse

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/schema"
)

// migrationNames returns the names of the migrations after the first ones.
func migrationNames(t *testing.T, after int) (names []string) {
	t.Helper()
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all[after:] {
		names = append(names, fmt.Sprintf("%04d_%s", m.version, m.name))
	}
	return names
}

func TestMigrateTwice(t *testing.T) {
	s := newSink(t, nil)
	first, err := s.Migrate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := migrationNames(t, 0); !slices.Equal(first, want) {
		t.Errorf("the first Migrate applied %q, want %q", first, want)
	}
	write(t, s, entriesOf(1, 3, 1))
	second, err := s.Migrate(t.Context())
	if err != nil || len(second) > 0 {
		t.Errorf("got %q, %v; want nothing to be applied", second, err)
	}
	run(t, s, "TRUNCATE TABLE DB.schema_migrations") // as if the process was killed before it recorded the migration
	third, err := s.Migrate(t.Context())
	if err != nil || !slices.Equal(third, first) {
		t.Errorf("got %q, %v; want %q", third, err, first)
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 3 {
		t.Errorf("got %d findings, want 3", n)
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.schema_migrations FINAL"); n != uint64(len(first)) {
		t.Errorf("%d migrations are recorded, want %d", n, len(first))
	}
}

// TestMigrateEvidence migrates a table of the first version that holds findings: their events are shown as before, without
// the columns that were added, next to those of new findings. A part that is rewritten by a merge stays readable.
func TestMigrateEvidence(t *testing.T) {
	s := newSink(t, func(c *Config) { c.Migrate = false })
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.connection()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.createMigrationsTable(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	statements, err := s.dialect.statements(all[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range statements {
		run(t, s, "%s", q)
	}
	run(t, s, "INSERT INTO DB.schema_migrations (version, name) VALUES (1, 'findings')")
	const event = "now64(9), generateUUIDv4(), ['e1', 'e2', 'e3'], ['s3:GetObject', 'a', 'b'], [now64(9), now64(9), now64(9)]"
	run(t, s, "INSERT INTO DB.findings (detected_at, id, evidence.event_id, evidence.action, evidence.time, evidence.identity, "+
		"evidence.topic, evidence.partition, evidence.offset, evidence.index, evidence.dataset, evidence.resource, evidence.outcome, "+
		"evidence.step, evidence.fields) "+
		"SELECT "+event+", [generateUUIDv4(), generateUUIDv4(), generateUUIDv4()], ['t', 't', 't'], [0, 0, 0], [0, 1, 2], [0, 0, 0], "+
		"['d', 'd', 'd'], ['', '', ''], ['', '', ''], ['', '', ''], [map(), map(), map()]")

	applied, err := s.Migrate(t.Context())
	if err != nil || !slices.Equal(applied, migrationNames(t, 1)) {
		t.Fatalf("got %q, %v; want the later migrations", applied, err)
	}
	entries := entriesOf(1, 1, 1)
	entries[0].Finding.Evidence[0].Tool = "shell"
	entries[0].Finding.Baseline, entries[0].Finding.Provenance = json.RawMessage(`{"known":3}`), &schema.Provenance{Value: "v", Source: "read_mail"}
	entries[0].Finding.GroupStart = 0 // in the same partition as the old finding
	write(t, s, entries)
	for _, state := range []string{"in two parts", "merged"} {
		got := query[[]string](t, s, "SELECT arraySort(groupArray(action || '/' || class || '/' || tool)) FROM DB.v_finding_events")
		if want := []string{"//shell", "a//", "b//", "s3:GetObject//"}; !slices.Equal(got, want) {
			t.Errorf("%s: got events %q, want %q", state, got, want)
		}
		if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings WHERE length(evidence.target) = length(evidence.time)"); n != 2 {
			t.Errorf("%s: got %d findings with arrays of one length, want 2", state, n)
		}
		run(t, s, "OPTIMIZE TABLE DB.findings FINAL")
	}
	if got := query[[]string](t, s, "SELECT arraySort(groupArray(summary)) FROM DB.v_findings"); !slices.Equal(got, []string{"", entries[0].Finding.Summary}) {
		t.Errorf("got summaries %q, want none for the old finding", got)
	}
	const provenance = "arraySort(groupArray(provenance_value || '/' || provenance_argument || '/' || provenance_source || '/' || baseline))"
	for view, want := range map[string][]string{
		"v_findings": {"///", `v//read_mail/{"known":3}`}, "v_finding_events": {"///", "///", "///", `v//read_mail/{"known":3}`},
	} {
		if got := query[[]string](t, s, "SELECT %s FROM DB.%s", provenance, view); !slices.Equal(got, want) {
			t.Errorf("%s: got provenances %q, want %q", view, got, want)
		}
	}
	const about = "credential_uid || '/' || source_ip || '/' || tool || '/' || target || '/' || workflow"
	if got := query[[]string](t, s, "SELECT arraySort(groupArray(%s)) FROM DB.v_findings", about); !slices.Equal(got, []string{"////", "//shell//"}) {
		t.Errorf("findings are about %q, want the old one to have empty texts", got)
	}
	const uncommented = "SELECT groupArray(table || '.' || name) FROM system.columns WHERE database = '%s' AND comment = ''"
	if got := query[[]string](t, s, uncommented, s.dialect.database); len(got) > 0 {
		t.Errorf("columns without a comment: %q", got)
	}
}

// TestDropped checks that a dropped table is created again by the Write that follows the failed Write.
func TestDropped(t *testing.T) {
	s := newSink(t, nil)
	write(t, s, entriesOf(1, 3, 1))
	run(t, s, "DROP TABLE DB.findings SYNC")
	if err := s.Write(t.Context(), entriesOf(4, 6, 1)); err == nil || !strings.Contains(err.Error(), "aidr migrate") {
		t.Fatalf("got %v, want an error with the command to run", err)
	}
	write(t, s, entriesOf(4, 6, 1))
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 3 {
		t.Errorf("got %d findings, want 3", n)
	}
}

func TestNotMigrated(t *testing.T) {
	s := newSink(t, func(c *Config) { c.Migrate = false })
	err := s.Write(t.Context(), entriesOf(1, 1, 1))
	if err == nil || !strings.Contains(err.Error(), "run `aidr migrate`") {
		t.Errorf("got %v, want an error with the command to run", err)
	}
	if h := s.Health(); !h.Degraded || !strings.Contains(h.Reason, "aidr migrate") {
		t.Errorf("got %+v, want it degraded, with the command to run", h)
	}
}

func TestTTLFollowsTheConfiguration(t *testing.T) {
	dsn := host.ForTest(t)
	f := func(ttl time.Duration, clause string, want bool) {
		t.Helper()
		s := sinkOn(t, dsn, func(c *Config) { c.TTL = ttl })
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if changes, err := s.ttlChanges(t.Context(), s.conn); err != nil || len(changes) > 0 {
			t.Errorf("TTL %v: got %q, %v; want nothing left to change", ttl, changes, err)
		}
		const q = "SELECT engine_full FROM system.tables WHERE database = '%s' AND name = 'findings'"
		engine := query[string](t, s, q, s.dialect.database)
		if strings.Contains(engine, clause) != want {
			t.Errorf("TTL %v: the engine is %s, want %q in it: %t", ttl, engine, clause, want)
		}
	}
	f(0, "TTL toDateTime(detected_at) + toIntervalDay(400)", true)
	f(48*time.Hour, "TTL toDateTime(detected_at) + toIntervalDay(2)", true)
	f(48*time.Hour, "TTL toDateTime(detected_at) + toIntervalDay(2)", true)
	f(-1, "TTL", false)
	f(90*24*time.Hour, "TTL toDateTime(detected_at) + toIntervalDay(90)", true)
}

// TestMissingGrant checks that the error holds the statement that an administrator has to run.
func TestMissingGrant(t *testing.T) {
	e := host.StartForTest(t, host.Options{Database: "elsewhere"})
	s, err := New(Config{DSN: strings.TrimSuffix(e.DSN, "elsewhere") + "aidr"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Migrate(t.Context())
	const want = `migrate database "aidr": user "aidr" lacks a grant: ask an administrator to run: ` +
		"GRANT CREATE DATABASE ON aidr.* TO aidr"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s...", err, want)
	}
	wrong, err := New(Config{DSN: strings.Replace(e.DSN, e.Password, "secret-word", 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	_, err = wrong.Migrate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "check user and password") || strings.Contains(err.Error(), "secret-word") {
		t.Errorf("got %v, want an error about the password that does not contain it", err)
	}
}

// TestClusterText checks the text of the statements for a cluster, which needs no cluster and no Keeper: each of them runs
// on the whole cluster, and every table is replicated.
func TestClusterText(t *testing.T) {
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	d := dialect{database: "db", cluster: "main", ttl: DefaultTTL}
	single := dialect{database: "db", ttl: DefaultTTL}
	for _, m := range all {
		statements, err := d.statements(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range append(statements, d.migrationsDDL()) {
			if !strings.Contains(q, "ON CLUSTER `main`") {
				t.Errorf("migration %d: the statement does not run on the cluster: %s", m.version, q)
			}
			if strings.Contains(q, "ENGINE = ") && !strings.Contains(q, "ENGINE = Replicated") {
				t.Errorf("migration %d: the table is not replicated: %s", m.version, q)
			}
			if strings.Contains(q, "non_replicated") {
				t.Errorf("migration %d: the deduplication window is that of a table without replication: %s", m.version, q)
			}
		}
		if statements, err = single.statements(m); err != nil {
			t.Fatal(err)
		}
		for _, q := range statements {
			if strings.Contains(q, "CLUSTER") || strings.Contains(q, "{{") || strings.Contains(q, "ENGINE = Replicated") {
				t.Errorf("migration %d: the statement is not one for a single server: %s", m.version, q)
			}
		}
	}
}

// TestLeastRights checks that SELECT and INSERT are enough once an administrator has migrated, although Config.Migrate is
// set. A change of the TTL needs another grant, which the error names.
func TestLeastRights(t *testing.T) {
	o := host.Options{Dir: t.TempDir(), Password: "known to both", Database: "aidr"}
	first := host.StartForTest(t, o)
	admin := sinkOn(t, first.DSN, nil)
	if _, err := admin.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin.Close()
	first.Kill()
	o.Grants = []string{"SELECT, INSERT ON aidr.*"}
	second := host.StartForTest(t, o)
	s := sinkOn(t, second.DSN, nil)
	write(t, s, entriesOf(1, 3, 1))
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 3 {
		t.Errorf("got %d findings, want 3", n)
	}
	changed := sinkOn(t, second.DSN, func(c *Config) { c.TTL = 24 * time.Hour })
	if _, err := changed.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "GRANT ALTER") {
		t.Errorf("got %v, want the grant that a change of the TTL needs", err)
	}
}

// TestMigrateAtOnce checks that several processes may migrate at the same time.
func TestMigrateAtOnce(t *testing.T) {
	dsn := host.ForTest(t)
	errs := make(chan error)
	const processes = 4
	for range processes {
		s := sinkOn(t, dsn, nil)
		go func() {
			_, err := s.Migrate(t.Context())
			errs <- err
		}()
	}
	for range processes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	s := sinkOn(t, dsn, nil)
	write(t, s, entriesOf(1, 3, 1))
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 3 {
		t.Errorf("got %d findings, want 3", n)
	}
}
