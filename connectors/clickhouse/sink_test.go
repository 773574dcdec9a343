package clickhouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/schema"
)

func TestMain(m *testing.M) { os.Exit(host.Test(m.Run)) }

// newSink returns a sink on a new database, which the first Write or Migrate fills with the schema.
func newSink(t testing.TB, change func(*Config)) *Sink {
	t.Helper()
	return sinkOn(t, host.ForTest(t), change)
}

// sinkOn returns a sink on the database of dsn. It is closed at the end of the test; on a server that is shared, the
// database is dropped first.
func sinkOn(t testing.TB, dsn string, change func(*Config)) *Sink {
	t.Helper()
	c := Config{DSN: dsn, Migrate: true}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if os.Getenv(host.EnvServer) != "" {
			conn, err := s.connection()
			if err == nil {
				_ = conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+quoteName(s.dialect.database))
			}
		}
		s.Close()
	})
	return s
}

// query returns the only value of the only row of a query, in which "DB." means the sink's database.
func query[T any](t *testing.T, s *Sink, format string, args ...any) (out T) {
	t.Helper()
	conn, err := s.connection()
	if err != nil {
		t.Fatal(err)
	}
	q := strings.ReplaceAll(fmt.Sprintf(format, args...), "DB.", quoteName(s.dialect.database)+".")
	if err := conn.QueryRow(context.Background(), q).Scan(&out); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return out
}

// run runs a statement, in which "DB." means the sink's database.
func run(t *testing.T, s *Sink, format string, args ...any) {
	t.Helper()
	conn, err := s.connection()
	if err != nil {
		t.Fatal(err)
	}
	q := strings.ReplaceAll(fmt.Sprintf(format, args...), "DB.", quoteName(s.dialect.database)+".")
	if err := conn.Exec(context.Background(), q); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}

func write(t *testing.T, s *Sink, entries []connectors.Entry) {
	t.Helper()
	if err := s.Write(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

func instant(s string) schema.Instant {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return schema.Instant(at.UnixNano())
}

// finding returns the n-th of many small, valid findings.
func finding(n int, revision uint64) *schema.Finding {
	at := instant("2026-01-02T03:04:05.000000001Z") + schema.Instant(n)*1e9
	detected := schema.Instant(time.Now().UnixNano())
	id := schema.ID{1: byte(n >> 16), 2: byte(n >> 8), 3: byte(n), 15: 1}
	return &schema.Finding{
		ID: id, Revision: revision, Status: schema.StatusOpen, RuleID: "llm.burst", RuleVersion: 1, Title: fmt.Sprint("finding ", n),
		Severity: schema.SeverityHigh, Confidence: 70, AgentUID: fmt.Sprint("a", n%7), Key: map[string]string{"ai_agent.uid": fmt.Sprint("a", n%7)},
		GroupStart: at, FirstSeen: at, LastSeen: at, DetectedAt: &detected, Count: int64(revision),
		Evidence: []schema.Evidence{{Identity: id, Time: at, Topic: "litellm", Offset: int64(n)}},
	}
}

// entriesOf returns entries first to last, which hold findings of the same numbers in the given revision.
func entriesOf(first, last int, revision uint64) (out []connectors.Entry) {
	for n := first; n <= last; n++ {
		out = append(out, connectors.Entry{Seq: uint64(n), Type: connectors.FindingOpened, Finding: finding(n, revision)})
	}
	return out
}

// full returns a finding in which every field is set, each to a different value.
func full() *schema.Finding {
	detected, warming := instant("2026-11-01T00:00:00.123456789Z"), instant("2026-01-03T00:00:00.000000009Z")
	return &schema.Finding{
		ID: schema.ID{0xde, 0xad, 15: 0xef}, Revision: 1<<64 - 1, Status: schema.StatusWithdrawn,
		RuleID: "cloud.new-region", RuleVersion: 7, Kind: "new_value", Title: "title \x00 'quoted' \u20ac",
		Severity: schema.SeverityCritical, Confidence: 100, Tags: []string{"owasp.asi08-2026", "x.a"}, Shadow: true,
		Tenant: "acme", AgentUID: "uid", AgentName: "name", AgentSource: "credential.uid", SessionID: "s1",
		Key:        map[string]string{"ai_agent.uid": "uid", "session.id": "s1"},
		GroupStart: instant("1999-12-31T23:59:59.999999999Z"),
		FirstSeen:  instant("2026-01-01T00:00:00.000000001Z"), LastSeen: instant("2026-01-02T00:00:00Z"),
		DetectedAt: &detected, Count: 1<<63 - 1, Value: "12345678901234567890.123456789", Threshold: "-0.5",
		Baseline: json.RawMessage(`{"median":1.5}`), Provenance: &schema.Provenance{Value: "it's\n\u20ac", Argument: "iban", Source: "read_mail"},
		Late: true, WarmingUntil: &warming, Explanation: "because", Reasons: []string{"r1", "r2"},
		Evidence: []schema.Evidence{
			{
				EventID: "e1", Identity: schema.ID{1}, Time: instant("2026-01-01T00:00:00.000000001Z"),
				Topic: "cloudtrail", Partition: 5, Offset: 1 << 40, Index: 3,
				Dataset: "aws.cloudtrail", Action: "RunInstances", Resource: "i-1", Outcome: "failure", Step: "b",
				Class: "api", Tool: "shell", ToolServer: "files", Target: "api.example/v1", CredentialUID: "AKIA1",
				Fields: map[string]any{"text": "as it is", "number": json.Number("9007199254740993"), "list": []any{"<a>", true}, "none": nil},
			},
			{Identity: schema.ID{2}, Time: instant("2026-01-02T00:00:00Z")},
		},
		Response: []schema.Response{
			{Action: "contain", Target: "session", State: "deny", Mode: "monitor", TTL: "15m", Result: "recorded"},
			{Action: "notify", Target: "soc"},
		},
	}
}

// TestRoundTrip reads every column of a finding whose fields are all set, and of one whose optional fields are not.
func TestRoundTrip(t *testing.T) {
	s := newSink(t, nil)
	bare := finding(1, 1)
	bare.Key, bare.Evidence = nil, nil
	for i, f := range []*schema.Finding{full(), bare} {
		write(t, s, []connectors.Entry{{Seq: uint64(i + 1), Finding: f}})
		conn, err := s.connection()
		if err != nil {
			t.Fatal(err)
		}
		want := make([]any, len(findingColumns))
		got := make([]any, len(findingColumns))
		names := make([]string, len(findingColumns))
		for i, c := range findingColumns {
			want[i] = c.value(f)
			got[i] = reflect.New(reflect.TypeOf(want[i])).Interface()
			names[i] = quoteName(c.name)
		}
		q := "SELECT " + strings.Join(names, ", ") + " FROM " + s.dialect.Table("v_findings") + " WHERE id = ?"
		if err := conn.QueryRow(t.Context(), q, uuid.UUID(f.ID)).Scan(got...); err != nil {
			t.Fatal(err)
		}
		for i, c := range findingColumns {
			if g := reflect.ValueOf(got[i]).Elem().Interface(); !same(g, want[i]) {
				t.Errorf("%s: got %#v, want %#v", c.name, g, want[i])
			}
		}
	}
	fields := query[map[string]string](t, s, "SELECT fields FROM DB.v_finding_events WHERE event_id = 'e1'")
	want := map[string]string{"text": "as it is", "number": "9007199254740993", "list": `["<a>",true]`, "none": "null"}
	if !reflect.DeepEqual(fields, want) {
		t.Errorf("fields: got %v, want %v", fields, want)
	}
}

// same is reflect.DeepEqual, except that it compares decimals by value and does not distinguish nil from an empty list or
// map, because the driver does not keep these differences.
func same(got, want any) bool {
	if g, ok := got.(*decimal.Decimal); ok {
		w := want.(*decimal.Decimal)
		return g == nil && w == nil || g != nil && w != nil && g.Equal(*w)
	}
	v := reflect.ValueOf(want)
	if k := v.Kind(); (k == reflect.Slice || k == reflect.Map) && v.Len() == 0 {
		return reflect.ValueOf(got).Len() == 0
	}
	return reflect.DeepEqual(got, want)
}

// TestSchemaIsDocumented checks that the table has exactly the columns of a row, and that every column has a comment.
func TestSchemaIsDocumented(t *testing.T) {
	s := newSink(t, nil)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const columns = "SELECT groupArray(name) FROM (SELECT name FROM system.columns " +
		"WHERE database = '%s' AND table = 'findings' ORDER BY position)"
	names := query[[]string](t, s, columns, s.dialect.database)
	var want []string
	for _, c := range findingColumns {
		want = append(want, c.name)
	}
	if !slices.Equal(names, want) {
		t.Errorf("got columns %q, want %q", names, want)
	}
	const uncommented = "SELECT groupArray(table || '.' || name) FROM system.columns WHERE database = '%s' AND comment = ''"
	if got := query[[]string](t, s, uncommented, s.dialect.database); len(got) > 0 {
		t.Errorf("columns without a comment: %q", got)
	}
}

// TestRepeated checks that each finding is stored once, in its latest revision, whatever entries are repeated and however
// they are split into blocks.
func TestRepeated(t *testing.T) {
	s := newSink(t, nil)
	one := entriesOf(1, 500, 1)
	write(t, s, one)
	write(t, s, one)
	if n := query[uint64](t, s, "SELECT count() FROM DB.findings"); n != 500 {
		t.Errorf("the same block twice: got %d rows, want 500, because the token is the same", n)
	}
	write(t, s, entriesOf(250, 750, 1)) // other blocks
	write(t, s, entriesOf(1, 100, 3))
	write(t, s, entriesOf(1, 50, 2)) // an old revision after a new one
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 750 {
		t.Errorf("got %d findings, want 750", n)
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings WHERE revision = 3 AND count = 3"); n != 100 {
		t.Errorf("got %d findings of revision 3, want 100", n)
	}
	if n := query[uint64](t, s, "SELECT sum(revision) FROM DB.v_findings"); n != 100*3+650 {
		t.Errorf("got sum of revisions %d, want %d", n, 100*3+650)
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_finding_events"); n != 750 {
		t.Errorf("got %d events, want 750, one for each finding", n)
	}
}

// TestNewOutbox checks that the entries of a new state directory, which counts from 1 again, are not taken for those of the
// old one.
func TestNewOutbox(t *testing.T) {
	s := newSink(t, nil)
	write(t, s, entriesOf(1, 10, 1))
	other := entriesOf(1, 10, 1)
	for i := range other {
		other[i].Finding = finding(1000+i, 1)
	}
	write(t, s, other)
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 20 {
		t.Errorf("got %d findings, want 20", n)
	}
}

func TestFindingEvents(t *testing.T) {
	s := newSink(t, nil)
	f := full()
	f.Revision = 1
	write(t, s, []connectors.Entry{{Seq: 1, Finding: f}})
	f2 := *f
	f2.Revision, f2.Evidence = 2, append(slices.Clone(f.Evidence), schema.Evidence{EventID: "e3", Time: f.LastSeen})
	write(t, s, []connectors.Entry{{Seq: 2, Finding: &f2}})
	const q = "SELECT groupArray(toString(number) || event_id) FROM " +
		"(SELECT * FROM DB.v_finding_events WHERE finding_id = '%s' ORDER BY number)"
	got := query[[]string](t, s, q, f.ID)
	if want := []string{"1e1", "2", "3e3"}; !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
}

// TestPoison checks that bad rows are named, whether this package or the server refuses them, and that all others are
// stored.
func TestPoison(t *testing.T) {
	s := newSink(t, nil)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, s, "ALTER TABLE DB.findings ADD CONSTRAINT good CHECK title NOT LIKE 'bad%%'")
	entries := entriesOf(1, 1000, 1)
	for _, n := range []int{17, 500, 501, 1000} {
		entries[n-1].Finding.Title = "bad"
	}
	entries[1].Finding.Severity = "unknown"
	entries[2].Finding.GroupStart = instant("1850-01-01T00:00:00Z")
	entries[3].Finding.Status = ""
	var p *connectors.Partial
	if err := s.Write(t.Context(), entries); !errors.As(err, &p) {
		t.Fatalf("got %v, want a Partial", err)
	}
	got := map[uint64]string{}
	for _, u := range p.Entries {
		if !u.Poison {
			t.Errorf("entry %d is not poison", u.Seq)
		}
		got[u.Seq] = u.Reason
	}
	const refusedHere, refusedThere = connectors.ReasonOutOfRange, connectors.ReasonViolatedConstraint
	want := map[uint64]string{
		2: refusedHere, 3: refusedHere, 4: refusedHere,
		17: refusedThere, 500: refusedThere, 501: refusedThere, 1000: refusedThere,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got reasons %v, want %v", got, want)
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 993 {
		t.Errorf("got %d findings, want 993", n)
	}
	if h := s.Health(); h.Degraded {
		t.Errorf("got %+v, want good health, because the server accepts good rows", h)
	}
}

// TestAllPoison checks that one Write does a bounded amount of work if every row is bad, and that it separates some of them.
func TestAllPoison(t *testing.T) {
	s := newSink(t, nil)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, s, "ALTER TABLE DB.findings ADD CONSTRAINT none CHECK false")
	var p *connectors.Partial
	if err := s.Write(t.Context(), entriesOf(1, 1000, 1)); !errors.As(err, &p) {
		t.Fatalf("got %v, want a Partial", err)
	}
	poison := 0
	for _, u := range p.Entries {
		if u.Poison {
			poison++
		} else if u.After <= 0 {
			t.Fatalf("entry %d is neither poison nor to be tried again", u.Seq)
		}
	}
	if len(p.Entries) != 1000 || poison < 100 || poison == 1000 {
		t.Errorf("%d entries were not delivered, %d of them poison; want 1000, and some of them poison", len(p.Entries), poison)
	}
}

// TestUnknownColumn checks that every row of a block is poison if the table lacks a column that the statement names.
func TestUnknownColumn(t *testing.T) {
	s := newSink(t, nil)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, s, "ALTER TABLE DB.findings DROP COLUMN explanation")
	var p *connectors.Partial
	if err := s.Write(t.Context(), entriesOf(1, 3, 1)); !errors.As(err, &p) {
		t.Fatalf("got %v, want a Partial", err)
	}
	for _, u := range p.Entries {
		if !u.Poison || u.Reason != connectors.ReasonUnknownColumn {
			t.Errorf("got %+v, want poison because of unknown_column", u)
		}
	}
	if len(p.Entries) != 3 {
		t.Errorf("%d entries were not delivered, want 3", len(p.Entries))
	}
}

// TestManyMonths checks that findings of more months than one block may touch are stored.
func TestManyMonths(t *testing.T) {
	s := newSink(t, nil)
	var entries []connectors.Entry
	for n := range 120 {
		f := finding(n, 1)
		f.GroupStart = schema.Instant(time.Date(1970, time.Month(1+n), 1, 0, 0, 0, 0, time.UTC).UnixNano())
		entries = append(entries, connectors.Entry{Seq: uint64(n + 1), Finding: f})
	}
	write(t, s, entries)
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 120 {
		t.Errorf("got %d findings, want 120", n)
	}
}

// TestKill kills the engine twice in the middle of a Write, and repeats the entries that were not acknowledged.
func TestKill(t *testing.T) {
	o := host.Options{Dir: t.TempDir(), Password: "known to all"}
	engine := host.StartForTest(t, o)
	database := host.TestDatabase()
	s := sinkOn(t, engine.DSN+"/"+database, nil)
	const blocks, size = 40, 50
	for i := range blocks {
		first := 1 + i*size
		entries := entriesOf(first, first+size-1, 1)
		if i == blocks/3 || i == 2*blocks/3 {
			done := make(chan error, 1)
			go func() { done <- s.Write(t.Context(), entries) }()
			engine.Kill()
			if err := <-done; err == nil {
				t.Log("the block was stored before the kill")
			} else if c, _ := classify(err); c != classRetry {
				t.Fatalf("got %v, want an error after which the entries are tried again", err)
			} else if !s.Health().Degraded || s.Health().Since.IsZero() {
				t.Errorf("got health %+v, want degraded", s.Health())
			}
			s.Close()
			engine = host.StartForTest(t, o) // on another port
			s = sinkOn(t, engine.DSN+"/"+database, nil)
		}
		write(t, s, entries) // in some cases for the second time
	}
	if h := s.Health(); h.Degraded {
		t.Errorf("got %+v, want good health", h)
	}
	got := query[[]uint64](t, s, "SELECT [count(), uniqExact(id), sum(revision)] FROM DB.v_findings")
	if want := []uint64{blocks * size, blocks * size, blocks * size}; !slices.Equal(got, want) {
		t.Errorf("got rows, findings and sum of revisions %v, want %v", got, want)
	}
}

// TestReconnects checks that a sink connects again after its server was restarted on the same port.
func TestReconnects(t *testing.T) {
	o := host.Options{Dir: t.TempDir(), Password: "known to both"}
	engine := host.StartForTest(t, o)
	s := sinkOn(t, engine.DSN+"/"+host.TestDatabase(), nil)
	write(t, s, entriesOf(1, 10, 1))
	engine.Kill()
	err := s.Write(t.Context(), entriesOf(11, 20, 1))
	if err == nil || strings.Contains(err.Error(), "known") {
		t.Fatalf("got %v, want an error without the password", err)
	}
	if h := s.Health(); !h.Degraded || strings.Contains(h.Reason, "known") {
		t.Errorf("got %+v, want it degraded, without the password", h)
	}
	if _, err := fmt.Sscanf(engine.Addr, "127.0.0.1:%d", &o.Port); err != nil {
		t.Fatal(err)
	}
	host.StartForTest(t, o)
	for range 3 { // each broken connection of the pool costs one failed call
		if err = s.Write(t.Context(), entriesOf(11, 20, 1)); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 20 || s.Health().Degraded {
		t.Errorf("got %d findings, health %+v; want 20, good", n, s.Health())
	}
}

// TestWatch checks that Watch creates the schema and keeps Health up to date while there is nothing to write.
func TestWatch(t *testing.T) {
	gate, dsn := newGate(t, host.ForTest(t))
	s := sinkOn(t, dsn, nil)
	watchUntil := func(degraded bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.watch(ctx)
		}()
		deadline := time.Now().Add(30 * time.Second)
		for s.Health().Degraded != degraded && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		<-done
		if h := s.Health(); h.Degraded != degraded || degraded && (h.Reason == "" || h.Since.IsZero()) {
			t.Errorf("got %+v, want degraded %t", h, degraded)
		}
	}
	if err := s.ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); n != 0 {
		t.Errorf("got %d findings in the new schema, want 0", n)
	}
	gate.shut()
	watchUntil(true)
	gate.open(t)
	watchUntil(false)
}

// TestSilentServer checks that a server that accepts connections and sends nothing delays a Write by at most dial_timeout.
// The client's handshake observes this timeout and ignores its context.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := New(Config{DSN: "clickhouse://u:p@" + l.Addr().String() + "/db?dial_timeout=500ms", Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := s.Write(ctx, entriesOf(1, 1, 1)); err == nil {
		t.Error("Write to a silent server returned no error")
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("Write took %v, want at most 3 s", d)
	}
}

func TestCanceled(t *testing.T) {
	s := newSink(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Write(ctx, entriesOf(1, 1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if h := s.Health(); h.Degraded {
		t.Errorf("got %+v, want good health: the caller ended the Write", h)
	}
	s.Close()
	if err := s.Write(t.Context(), entriesOf(1, 1, 1)); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
	if err := s.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}

var _ connectors.Sink = (*Sink)(nil)

// TestHTTP checks that the DSN may name the HTTP port.
func TestHTTP(t *testing.T) {
	e := host.StartForTest(t, host.Options{HTTP: true})
	s := sinkOn(t, "http://"+host.DefaultUser+":"+e.Password+"@"+e.HTTPAddr+"/"+host.TestDatabase(), nil)
	repeated := entriesOf(1, 100, 1)
	write(t, s, repeated)
	write(t, s, repeated)
	if n := query[uint64](t, s, "SELECT count() FROM DB.findings"); n != 100 {
		t.Errorf("got %d rows, want 100, because the token is sent over HTTP as well", n)
	}
	run(t, s, "ALTER TABLE DB.findings ADD CONSTRAINT good CHECK title NOT LIKE 'bad%%'")
	entries := entriesOf(101, 103, 1)
	entries[1].Finding.Title = "bad"
	var p *connectors.Partial
	if err := s.Write(t.Context(), entries); !errors.As(err, &p) || len(p.Entries) != 1 || p.Entries[0].Seq != 102 {
		t.Errorf("got %v, want entry 102 as poison", err)
	}
}
