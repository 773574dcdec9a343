package deliver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
)

// latencies holds the histograms of all sinks. Their names are a contract.
type latencies struct{ delivery, write *prometheus.HistogramVec }

func newLatencies() latencies {
	histogram := func(name, help string, buckets ...float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"sink"})
	}
	return latencies{
		delivery: histogram("aidr_finding_delivery_seconds",
			"Time from the detection of a finding (detected_at) until the sink has it, once for each finding. "+
				"It includes outages of the sink.",
			.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6*3600, 24*3600),
		write: histogram("aidr_sink_write_seconds",
			"Duration of a Write to the sink, which delivers several changes of findings, whatever its result.",
			.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60),
	}
}

// collectors returns the histograms for a registry.
func (l latencies) collectors() []prometheus.Collector {
	return []prometheus.Collector{l.delivery, l.write}
}

// observeDelivery records the latency of an entry that begins a finding. Later changes of the finding would count the age
// of the finding.
func (o *outlet) observeDelivery(e store.Outgoing, now time.Time) {
	if e.Type != connectors.FindingOpened {
		return
	}
	if at := e.Finding.DetectedAt; at != nil {
		o.delivery.Observe(max(now.Sub(time.Unix(0, int64(*at))), 0).Seconds())
	}
}

// counts holds the results of one sink's entries since the start.
type counts struct {
	delivered, retried, dead, skipped, coalesced uint64
	failed                                       uint64 // Writes that failed as a whole
}

func (n *counts) add(by counts) {
	n.delivered += by.delivered
	n.retried += by.retried
	n.dead += by.dead
	n.skipped += by.skipped
	n.coalesced += by.coalesced
	n.failed += by.failed
}

// collector exports the metrics of the outbox and of the deliveries. It computes them when it is scraped.
type collector struct{ d *Deliverer }

// outboxDescs returns the metrics of the collector. Their names are a contract.
func outboxDescs() (entries, bytes, oldest, deliveries *prometheus.Desc) {
	sink := []string{"sink"}
	return prometheus.NewDesc("aidr_outbox_entries", "Changes of findings that the sink does not have yet.", sink, nil),
		prometheus.NewDesc("aidr_outbox_bytes", "Size in the state directory of the changes of findings that the sink does not have yet.", sink, nil),
		prometheus.NewDesc("aidr_outbox_oldest_seconds",
			"Age of the oldest change of a finding that the sink does not have yet; 0 if it has all.", sink, nil),
		prometheus.NewDesc("aidr_deliveries_total", "Results of the delivery of changes of findings: delivered, "+
			"retry (failed, tried again), dead (dead letter), skipped (not wanted by the sink), "+
			"coalesced (replaced by a later update), error (Writes that failed as a whole).", []string{"sink", "result"}, nil)
}

// deadDescs returns the metrics of the dead letters. Each share, records or deliveries (which includes rows), has a part of
// the space for itself.
func deadDescs() (waiting, givenUp *prometheus.Desc) {
	share := []string{"share"}
	return prometheus.NewDesc("aidr_dead_letters_waiting", "Dead letters in the state directory.", share, nil),
		prometheus.NewDesc("aidr_dead_letters_given_up_total",
			"Dead letters that were deleted because their share of the space was full.", share, nil)
}

// uncopiedDesc returns the metric of the dead letters that a sink of them does not have.
func uncopiedDesc() *prometheus.Desc {
	return prometheus.NewDesc("aidr_dead_letters_uncopied", "Dead letters since the last one that the sink of dead letters has; "+
		"those dropped since count too.", []string{"sink"}, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	entries, bytes, oldest, deliveries := outboxDescs()
	waiting, givenUp := deadDescs()
	for _, d := range []*prometheus.Desc{entries, bytes, oldest, deliveries, waiting, givenUp, uncopiedDesc()} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	entries, bytes, oldest, deliveries := outboxDescs()
	now := c.d.opts.Clock.Now()
	dead := c.d.opts.Store.DeadStats()
	waiting, givenUp := deadDescs()
	for _, x := range []struct {
		share string
		n     store.DeadCount
	}{
		{"records", store.DeadCount{Count: dead.Count - dead.Deliveries.Count, Dropped: dead.Dropped - dead.Deliveries.Dropped}},
		{"deliveries", dead.Deliveries},
	} {
		out <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(x.n.Count), x.share)
		out <- prometheus.MustNewConstMetric(givenUp, prometheus.CounterValue, float64(x.n.Dropped), x.share)
	}
	for _, o := range c.d.dead {
		if cursor, err := o.store.DeadCursor(o.name); err == nil {
			n := max(o.store.NextDeadLetter(), 1) - 1 - cursor
			out <- prometheus.MustNewConstMetric(uncopiedDesc(), prometheus.GaugeValue, float64(n), o.name)
		}
	}
	for _, o := range c.d.outlets {
		s := o.status(now)
		o.mu.Lock()
		n := o.counts
		o.mu.Unlock()
		out <- prometheus.MustNewConstMetric(entries, prometheus.GaugeValue, float64(s.Entries), o.name)
		out <- prometheus.MustNewConstMetric(bytes, prometheus.GaugeValue, float64(s.Bytes), o.name)
		out <- prometheus.MustNewConstMetric(oldest, prometheus.GaugeValue, s.Oldest.Seconds(), o.name)
		for _, r := range []struct {
			result string
			n      uint64
		}{
			{"delivered", n.delivered},
			{"retry", n.retried},
			{"dead", n.dead},
			{"skipped", n.skipped},
			{"coalesced", n.coalesced},
			{"error", n.failed},
		} {
			out <- prometheus.MustNewConstMetric(deliveries, prometheus.CounterValue, float64(r.n), o.name, r.result)
		}
	}
}
