package metrics

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Registry is a registry that remembers the descriptions of its metrics, even of metrics without a series.
type Registry struct {
	*prometheus.Registry

	mu    sync.Mutex
	descs []Description
}

// Description describes one metric.
type Description struct {
	Name, Type, Help string
	Labels           []string
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{Registry: prometheus.NewRegistry()} }

// Register implements prometheus.Registerer.
func (r *Registry) Register(c prometheus.Collector) error {
	if err := r.Registry.Register(c); err != nil {
		return err
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		c.Describe(descs)
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	for d := range descs {
		if x, ours := describe(d); ours {
			x.Type = typeOf(c, x.Name)
			r.descs = append(r.descs, x)
		}
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (r *Registry) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic("BUG: " + err.Error())
		}
	}
}

// Descriptions returns the metrics of aidr that were registered, by name. Those of Go and of the process are not among them.
func (r *Registry) Descriptions() []Description {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.descs)
	slices.SortFunc(out, func(a, b Description) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

var descForm = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: (".*"), constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

// describe reads a Desc, which offers its content as text only. ours reports whether the metric is one of aidr's.
func describe(d *prometheus.Desc) (x Description, ours bool) {
	m := descForm.FindStringSubmatch(d.String())
	if m == nil || !strings.HasPrefix(m[1], "aidr_") {
		return x, false
	}
	x = Description{Name: m[1], Help: strings.Trim(m[2], `"`)}
	fmt.Sscanf(m[2], "%q", &x.Help)
	if m[3] != "" {
		x.Labels = strings.Split(m[3], ",")
	}
	return x, true
}

// typeOf returns the type of a metric. Collectors of our own have only counters, whose names end in _total, and gauges.
func typeOf(c prometheus.Collector, name string) string {
	switch c.(type) {
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	}
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}

// Unit returns the unit of a metric, which its name ends in.
func (d Description) Unit() string {
	name := strings.TrimSuffix(d.Name, "_total")
	switch {
	case strings.Contains(d.Help, "Deprecated"), strings.HasSuffix(name, "_timestamp_seconds"):
		return "Unix time in seconds"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	case strings.HasSuffix(name, "_success"), strings.HasSuffix(name, "_info"):
		return "1 or 0"
	}
	return "number"
}

// Page returns METRICS.md.
func Page(all []Description) string {
	var b strings.Builder
	b.WriteString(`# Metrics

aidr serves these metrics at /metrics of ` + "`http.listen`" + `, besides those of Go (go_...) and of the process (process_...).
Names, labels and units are a contract. Instants are Unix times in seconds; durations are in seconds, sizes in bytes.
Counters begin at 0 with each process, and those of the outbox with each opening of the state directory.

The values of labels that come from logs are bounded. Samples beyond the limit have the value ` + "`other`" + `, and
aidr_metric_label_overflow_total counts them.

This page is generated from the code: ` + "`go test ./cmd/aidr/pipeline -run TestMetricsPage -update`" + `.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
`)
	for _, d := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", d.Name, d.Type, d.Unit(), strings.Join(d.Labels, ", "), strings.ReplaceAll(d.Help, "|", `\|`))
	}
	return b.String()
}
