package config

import (
	"net/url"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
)

const (
	// DefaultTelemetryEvery is the time between two exports of metrics.
	DefaultTelemetryEvery = 30 * time.Second
	// DefaultTraces is the share of batches, checkpoints, deliveries and decisions that become traces. A busy process makes thousands
	// of them a second.
	DefaultTraces = 0.01
)

// Telemetry configures the export of the metrics and traces of this process by OTLP over HTTP. Without an address nothing is sent.
type Telemetry struct {
	At Place
	// Address of an OpenTelemetry collector for OTLP over HTTP, such as http://127.0.0.1:4318; /v1/metrics and /v1/traces are added.
	Endpoint string `key:"endpoint" secret:"url"`
	// Headers of each request, by name, such as an API key.
	Headers map[string]string `key:"headers" type:"mapping of texts" secret:"all"`
	// TLS to the collector.
	TLS *TLS `key:"tls"`
	// Time between two exports of the metrics, which are those of /metrics.
	Every time.Duration `key:"every"`
	// Share of the batches, checkpoints, deliveries and decisions that become traces, from 0 to 1.
	Traces float64 `key:"traces"`
}

// telemetry reads the section.
func (r *reader) telemetry(n *doc.Node) Telemetry {
	f := n.Fields()
	t := Telemetry{
		At: placeOf(r.origin, n), Endpoint: r.text(f.Get("endpoint")), Every: duration(f.Get("every"), DefaultTelemetryEvery, time.Second, time.Hour),
		Traces: DefaultTraces,
	}
	if u, err := url.Parse(t.Endpoint); t.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		f.Get("endpoint").Fail("is not an http or https URL, such as http://127.0.0.1:4318")
	}
	f.Get("headers").Each(func(name, value *doc.Node) {
		if t.Headers == nil {
			t.Headers = map[string]string{}
		}
		t.Headers[name.String()] = r.text(value)
	})
	if s := f.Get("tls"); s != nil {
		t.TLS = r.tls(s)
	}
	if s := f.Get("traces"); s != nil {
		if t.Traces = s.Float(); t.Traces < 0 || t.Traces > 1 {
			s.Fail("%v is not a share: write a number from 0 to 1, such as 0.01", t.Traces)
		}
	}
	if n != nil && t.Endpoint == "" && f.Get("endpoint") == nil {
		n.Fail("has no endpoint: name that of a collector, such as http://127.0.0.1:4318")
	}
	f.Done()
	return t
}
