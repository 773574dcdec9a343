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

// TestAnyHistory: entries that are cut and sent again in any way, as over crashes, leave each finding in the highest
// revision that was sent, with that revision's content and events.
func TestAnyHistory(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // each costs 50 ms: more by -rapid.checks
		if err := f.Value.Set("25"); err != nil {
			t.Fatal(err)
		}
		defer f.Value.Set(f.DefValue)
	}
	s := newSink(t, func(c *Config) { c.Rows = 7 })
	cases := 0
	rapid.Check(t, func(r *rapid.T) {
		cases++
		tenant := fmt.Sprint("case ", cases) // one database for all cases
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
		for id, n := range query[map[string]uint64](t, s, "SELECT CAST((groupArray(toString(id)), groupArray(revision)), 'Map(String, UInt64)') FROM DB.v_findings WHERE tenant = '%s' AND count = revision", tenant) {
			parsed, err := schema.ParseID(id)
			if err != nil {
				r.Fatal(err)
			}
			got[parsed] = n
		}
		if !maps.Equal(got, want) {
			r.Fatalf("got %v, want %v", got, want)
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

// history is an outbox: changes of a few findings, the revisions of each one growing.
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
