package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
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
		"rule_watermark_timestamp_seconds/count rule_watermark_timestamp_seconds/plain " +
		"source_lag_records/0 source_lag_records/1 watermark_seconds/0 watermark_seconds/1 " +
		"watermark_timestamp_seconds/0 watermark_timestamp_seconds/1"
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
	f("one revoked", strings.NewReplacer(" source_lag_records/1", "", " watermark_seconds/1", "", " watermark_timestamp_seconds/1", "").Replace(both))
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

// TestBoundedLabels checks that an input which names 30,000 datasets, fields, topics and reasons creates only as many series
// as the limits allow, that the rest is counted under the value other, and that datasets of formats keep their series.
func TestBoundedLabels(t *testing.T) {
	r := prometheus.NewRegistry()
	m := NewMetrics(r)
	m.reads([]Input{{Datasets: []string{"configured"}}})
	const n = 30_000
	for i := range n {
		name := fmt.Sprint("forged-", i, "\n")
		p := connectors.Partition{Source: "logs", Topic: name, Number: int32(i)}
		m.assigned(p)
		m.read(p, 1, 1)
		m.lag(p, 1)
		m.watermark(p, 1)
		m.late(name, belowWatermark)
		m.ruleLate("rule", name)
		m.Dead(schema.DeadDelivery, name)
		res := newResult(1, nil, nil)
		res.datasets = []string{name}
		res.events = []eventRef{{dataset: 0}}
		res.skipped[skippedOf{name, "not_an_activity"}] = 1
		res.fieldErrors[fieldOf{name, name}] = 1
		m.decoded(nil, res)
	}
	for _, dataset := range []string{"configured", "aws.cloudtrail"} {
		m.late(dataset, belowWatermark)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		total, known := 0.0, 0
		for _, x := range f.GetMetric() {
			total += x.GetCounter().GetValue()
			for _, l := range x.GetLabel() {
				if l.GetValue() == "configured" || l.GetValue() == "aws.cloudtrail" {
					known++
				}
			}
		}
		if most := maxPartitions + 1; len(f.GetMetric()) > most {
			t.Errorf("%s has %d series, want at most %d", f.GetName(), len(f.GetMetric()), most)
		}
		switch f.GetName() {
		case "aidr_late_events_total":
			if total != n+2 || known != 2 || len(f.GetMetric()) != maxDatasets+3 {
				t.Errorf("%s: got %v in %d series, %d of known datasets", f.GetName(), total, len(f.GetMetric()), known)
			}
		case "aidr_events_total", "aidr_source_records_total", "aidr_dead_letters_total", "aidr_field_errors_total":
			if total != n {
				t.Errorf("%s: got %v, want %d", f.GetName(), total, n)
			}
		case "aidr_metric_label_overflow_total":
			if total == 0 {
				t.Error("the overflow is not counted")
			}
		}
	}
}
