package clickhouse

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

// TestProbe checks the answer before and after the tables exist, and that a probe leaves nothing behind.
func TestProbe(t *testing.T) {
	dsn := host.ForTest(t)
	s := sinkOn(t, dsn, nil)
	f := func(s *Sink, failed bool, want string) {
		t.Helper()
		a := s.Probe(t.Context())
		if len(a) == 0 || a[0].Failed != failed || a[0].Warning || !strings.Contains(a[0].Text, want) || strings.Contains(a[0].Text, "\n") {
			t.Errorf("got %+v, want %q, failed: %t", a, want, failed)
		}
	}
	f(s, false, "has no table of findings yet: aidr run creates it")
	f(sinkOn(t, dsn, func(c *Config) { c.Migrate = false }), true, "run aidr migrate")
	if n := query[uint64](t, s, "SELECT count() FROM system.tables WHERE database = '%s'", s.dialect.database); n != 0 {
		t.Errorf("the probe made %d tables", n)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f(s, false, "is writable")
	if n := query[uint64](t, s, "SELECT count() FROM DB.findings"); n != 0 {
		t.Errorf("the probe wrote %d rows", n)
	}
	a := s.Probe(t.Context())
	if len(a) != 3 || a[1].Subject != "clock" || a[1].Warning || a[2].Subject != "rights" || a[2].Warning || !strings.Contains(a[2].Text, "has all rights") {
		t.Errorf("clock and rights: got %+v", a)
	}
	f(sinkOn(t, "clickhouse://u:tell-nobody@127.0.0.1:1/x", nil), true, "connection refused")
}
