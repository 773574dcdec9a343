package deliver

import "github.com/prometheus/client_golang/prometheus"

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
		prometheus.NewDesc("aidr_outbox_bytes", "Size of these changes in the state directory.", sink, nil),
		prometheus.NewDesc("aidr_outbox_oldest_seconds", "Age of the oldest of these changes.", sink, nil),
		prometheus.NewDesc("aidr_deliveries_total", "Results of the delivery of changes of findings: delivered, "+
			"retry (failed, tried again), dead (dead letter), skipped (not wanted by the sink), "+
			"coalesced (replaced by a later update), error (Writes that failed as a whole).", []string{"sink", "result"}, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	entries, bytes, oldest, deliveries := outboxDescs()
	for _, d := range []*prometheus.Desc{entries, bytes, oldest, deliveries} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	entries, bytes, oldest, deliveries := outboxDescs()
	now := c.d.opts.Clock.Now()
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
