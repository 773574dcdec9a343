package clickhouse

import (
	"flag"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// TestAnyHistory writes random ranges of an outbox, as they are repeated after crashes. In the end each finding has the
// highest revision that was written, with the content and the events of that revision.
func TestAnyHistory(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // a check takes 50 ms; -rapid.checks sets more of them
		if err := f.Value.Set("25"); err != nil {
			t.Fatal(err)
		}
		defer f.Value.Set(f.DefValue)
	}
	s := newSink(t, func(c *Config) { c.Rows = 7 })
	cases := 0
	rapid.Check(t, func(r *rapid.T) {
		cases++
		tenant := fmt.Sprint("case ", cases) // all cases share one database
		log := history(r, tenant)
		want := map[schema.ID]uint64{}
		for range rapid.IntRange(1, 8).Draw(r, "writes") {
			from := rapid.IntRange(0, len(log)-1).Draw(r, "from")
			to := rapid.IntRange(from+1, len(log)).Draw(r, "to")
			if err := s.Write(t.Context(), log[from:to]); err != nil {
				r.Fatal(err)
			}
			for _, e := range log[from:to] {
				want[e.Finding.ID] = max(want[e.Finding.ID], e.Finding.Revision)
			}
		}
		if rapid.Bool().Draw(r, "merge") {
			run(t, s, "OPTIMIZE TABLE DB.findings FINAL")
		}
		got := map[schema.ID]uint64{}
		const q = "SELECT CAST((groupArray(toString(id)), groupArray(revision)), 'Map(String, UInt64)') FROM DB.v_findings " +
			"WHERE tenant = '%s' AND count = revision"
		for id, n := range query[map[string]uint64](t, s, q, tenant) {
			parsed, err := schema.ParseID(id)
			if err != nil {
				r.Fatal(err)
			}
			got[parsed] = n
		}
		if !maps.Equal(got, want) {
			r.Fatalf("revisions by finding: got %v, want %v", got, want)
		}
		events, sum := query[uint64](t, s, "SELECT count() FROM DB.v_finding_events WHERE tenant = '%s'", tenant), uint64(0)
		for _, revision := range want {
			sum += revision%3 + 1
		}
		if events != sum {
			r.Fatalf("got %d events, want %d", events, sum)
		}
	})
}

// history returns the entries of an outbox: changes of a few findings, each with growing revisions.
func history(r *rapid.T, tenant string) (log []connectors.Entry) {
	revisions := map[int]uint64{}
	for seq := range rapid.IntRange(1, 40).Draw(r, "entries") {
		n := rapid.IntRange(1, 6).Draw(r, "finding")
		revisions[n]++
		f := finding(n, revisions[n])
		f.Tenant = tenant
		for len(f.Evidence) < int(f.Revision%3)+1 {
			f.Evidence = append(f.Evidence, f.Evidence[0])
		}
		log = append(log, connectors.Entry{Seq: uint64(seq + 1), Finding: f})
	}
	return log
}
