package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// storeCollector exports the sizes of an open state directory.
type storeCollector struct {
	store                                   *store.Store
	used, free, lost, dead, deadSize, drops *prometheus.Desc
}

// OfStore returns the metrics of an open store.
func OfStore(s *store.Store) prometheus.Collector {
	return storeCollector{
		store: s,
		used:  prometheus.NewDesc("aidr_state_bytes", "Size of the state directory's database on disk.", nil, nil),
		free: prometheus.NewDesc("aidr_state_disk_free_bytes",
			"Free space of the disk that holds the state directory. Checkpoints stop before it is used up.", nil, nil),
		lost: prometheus.NewDesc("aidr_state_lost_checkpoints",
			"Checkpoints that were durable but are lost, because the state directory was damaged when this process opened it.", nil, nil),
		dead: prometheus.NewDesc("aidr_dead_letters_waiting",
			"Dead letters in the state directory, by kind: record (could not be decoded), row and delivery (a sink refused them). See aidr dlq.",
			[]string{"kind"}, nil),
		deadSize: prometheus.NewDesc("aidr_dead_letters_bytes", "Size of all dead letters in the state directory.", nil, nil),
		drops: prometheus.NewDesc("aidr_dead_letters_displaced_total",
			"Dead letters that newer ones displaced, since the state directory was created.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.used, c.free, c.lost, c.dead, c.deadSize, c.drops} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c storeCollector) Collect(to chan<- prometheus.Metric) {
	used, free, known := c.store.Usage()
	to <- prometheus.MustNewConstMetric(c.used, prometheus.GaugeValue, float64(used))
	if known {
		to <- prometheus.MustNewConstMetric(c.free, prometheus.GaugeValue, float64(free))
	}
	lost := uint64(0)
	if loss := c.store.Loss(); loss != nil {
		lost = loss.Checkpoints
	}
	to <- prometheus.MustNewConstMetric(c.lost, prometheus.GaugeValue, float64(lost))
	stats := c.store.DeadStats()
	for _, kind := range schema.DeadKinds() {
		to <- prometheus.MustNewConstMetric(c.dead, prometheus.GaugeValue, float64(stats.Of(kind)), string(kind))
	}
	to <- prometheus.MustNewConstMetric(c.deadSize, prometheus.GaugeValue, float64(stats.Bytes))
	to <- prometheus.MustNewConstMetric(c.drops, prometheus.CounterValue, float64(stats.Dropped))
}
