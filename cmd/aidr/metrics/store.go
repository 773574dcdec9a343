package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/engine/store"
)

// storeCollector exports the sizes of an open state directory.
type storeCollector struct {
	store                      *store.Store
	used, free, lost, deadSize *prometheus.Desc
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
		deadSize: prometheus.NewDesc("aidr_dead_letters_bytes", "Size of all dead letters in the state directory.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.used, c.free, c.lost, c.deadSize} {
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
	to <- prometheus.MustNewConstMetric(c.deadSize, prometheus.GaugeValue, float64(stats.Bytes))
}

// Held returns the counter of deliveries that snoozes held back.
func Held(count func() int64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "aidr_deliveries_snoozed_total", Help: "Deliveries to endpoints that a snooze held back (aidr findings snoozes).",
	}, func() float64 { return float64(count()) })
}
