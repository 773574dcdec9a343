package engine

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges returns the series of the gauges that are of partitions and rules, as name/label.
func gauges(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetGauge() == nil {
				continue
			}
			for _, l := range m.GetLabel() {
				if l.GetName() == "partition" || l.GetName() == "rule" {
					out = append(out, strings.TrimPrefix(f.GetName(), "aidr_")+"/"+l.GetValue())
				}
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// A revoked partition and a removed rule have no gauges, also after further checkpoints; they have them again when they
// return.
func TestGaugesAreDeleted(t *testing.T) {
	r := prometheus.NewRegistry()
	m := NewMetrics(r)
	b := newMeasured(t, nil, 2, lateRules, m)
	f := func(what, want string) {
		t.Helper()
		b.checkpoint()
		if got := gauges(t, r); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	both := "rule_watermark_seconds/count rule_watermark_seconds/plain " +
		"source_lag_records/0 source_lag_records/1 watermark_seconds/0 watermark_seconds/1"
	b.reach(0, 0)
	b.reach(1, 1)
	m.lag(b.partition(0), 3)
	m.lag(b.partition(1), 3)
	f("at first", both)
	if err := b.e.Revoked(context.Background(), b.partition(1)); err != nil {
		t.Fatal(err)
	}
	b.reach(0, 2)
	m.lag(b.partition(1), 3) // the partition is revoked: no gauge
	f("one revoked", strings.NewReplacer(" source_lag_records/1", "", " watermark_seconds/1", "").Replace(both))
	b.e.Assigned(b.partition(1))
	m.lag(b.partition(1), 3)
	f("assigned again", both)
	b.stop()

	b = newMeasured(t, nil, 1, map[string]string{"plain": lateRules["plain"]}, m)
	if got := gauges(t, r); strings.Contains(got, "count") {
		t.Errorf("a rule removed: got %s", got)
	}
	b.read(0, false, event{"litellm", 3, 3, "y"})
	defer b.stop()
	for n := range int32(2) { // the other partition was assigned to the first engine when that ended
		b.e.Assigned(b.partition(n))
		if err := b.e.Revoked(context.Background(), b.partition(n)); err != nil {
			t.Fatal(err)
		}
	}
	f("nothing is read here", "")
}
