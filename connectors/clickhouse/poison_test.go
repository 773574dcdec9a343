package clickhouse

import (
	"errors"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// TestPoisonAmongMany: one row that the server refuses, among 100,000, becomes a dead letter; all others are stored, in less than
// three times the time.
func TestPoisonAmongMany(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes 200,000 rows")
	}
	const n, block, bad = 100_000, 10_000, 54_321
	write := func(poison bool) (took time.Duration) {
		t.Helper()
		s := newSink(t, func(c *Config) { c.Rows = block })
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, s, "ALTER TABLE DB.findings ADD CONSTRAINT good CHECK title NOT LIKE 'bad%%'")
		var dead []connectors.Undelivered
		for from := 1; from <= n; from += block {
			entries := entriesOf(from, from+block-1, 1)
			if poison && from <= bad && bad < from+block {
				entries[bad-from].Finding.Title = "bad"
			}
			began := time.Now()
			err := s.Write(t.Context(), entries)
			took += time.Since(began)
			var p *connectors.Partial
			if errors.As(err, &p) {
				dead = append(dead, p.Entries...)
			} else if err != nil {
				t.Fatal(err)
			}
		}
		want := uint64(n)
		if poison {
			want--
			if len(dead) != 1 || !dead[0].Poison || dead[0].Reason != connectors.ReasonViolatedConstraint {
				t.Errorf("dead letters: %+v, want one", dead)
			}
		} else if len(dead) > 0 {
			t.Errorf("dead letters: %+v, want none", dead)
		}
		if got := query[uint64](t, s, "SELECT count() FROM DB.v_findings"); got != want {
			t.Errorf("%d findings, want %d", got, want)
		}
		return took
	}
	clean, poisoned := write(false), write(true)
	t.Logf("%d rows in %v, with a poison row in %v", n, clean.Round(time.Millisecond), poisoned.Round(time.Millisecond))
	if poisoned > 3*clean {
		t.Errorf("%v with a poison row, want less than three times %v", poisoned, clean)
	}
}
