package pipeline

import "github.com/prometheus/client_golang/prometheus"

// componentCollector shows on /metrics what /readyz says of each component, so that an alert needs no other address.
type componentCollector struct{ p *Pipeline }

func componentDesc() *prometheus.Desc {
	return prometheus.NewDesc("aidr_component_health", "How a component is: 0 ok, 1 degraded, 2 down; the reason is at /readyz.", []string{"component"}, nil)
}

// Describe implements prometheus.Collector.
func (c componentCollector) Describe(to chan<- *prometheus.Desc) { to <- componentDesc() }

// Collect implements prometheus.Collector.
func (c componentCollector) Collect(to chan<- prometheus.Metric) {
	desc := componentDesc()
	for name, part := range c.p.Status().Components {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(rank(part.Status)), name)
	}
}

// rank orders states from the best to the worst.
func rank(status string) int {
	switch status {
	case ok:
		return 0
	case degraded:
		return 1
	}
	return 2
}
