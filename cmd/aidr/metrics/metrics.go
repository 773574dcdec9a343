// Package metrics holds the metrics of the process: those that belong to no engine. METRICS.md lists all metrics of aidr.
package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/aidr-engine/aidr/engine/label"
)

// maxStatuses is the maximum number of statuses of one endpoint that have a series of their own. The endpoint chooses them.
const maxStatuses = 40

// Loaded is a part of the setup that is loaded at the start and again by a reload.
type Loaded string

// The parts that are loaded.
const (
	Config Loaded = "config" // the configuration file
	Rules  Loaded = "rules"  // rules, lists, registry of agents, field maps
)

// Process holds the metrics of the process. Their names are a contract.
type Process struct {
	*Registry

	reloads  *prometheus.CounterVec
	success  map[Loaded]prometheus.Gauge
	loadedAt map[Loaded]prometheus.Gauge

	refused  *prometheus.CounterVec
	denied   *prometheus.CounterVec
	attempts *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	statuses map[string]*label.Limit // by endpoint; read-only
}

// New returns the metrics of a process of a version, with those endpoints, that starts now.
func New(version string, endpoints []string, now time.Time) *Process {
	p := &Process{
		Registry: NewRegistry(), success: map[Loaded]prometheus.Gauge{}, loadedAt: map[Loaded]prometheus.Gauge{},
		statuses: map[string]*label.Limit{},
	}
	p.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := p.gaugeVec("aidr_build_info", "Always 1; the labels name the version of aidr and of Go.", "version", "go_version")
	build.WithLabelValues(version, runtime.Version()).Set(1)
	p.reloads = p.counterVec("aidr_rules_reloads_total",
		"Reloads of the rules by result: ok, or failed, which leaves the old rules running (see /readyz).", "result")
	for _, result := range []string{"ok", "failed"} {
		p.reloads.WithLabelValues(result) // creates the series, so that a query sees the first failure as an increase
	}
	for _, x := range []struct {
		what Loaded
		text string
	}{{Config, "configuration"}, {Rules, "rules"}} {
		p.success[x.what] = p.gauge("aidr_"+string(x.what)+"_last_reload_success",
			"Whether the last attempt to load the "+x.text+" succeeded: 1, or 0 while an older version keeps running.")
		p.loadedAt[x.what] = p.gauge("aidr_"+string(x.what)+"_last_reload_success_timestamp_seconds",
			"When the "+x.text+" in use came into effect, as a Unix time.")
		p.success[x.what].Set(1)
		p.loadedAt[x.what].Set(seconds(now))
	}
	p.refused = p.counterVec("aidr_http_refused_connections_total",
		"Connections closed because too many were open, by listener: http (http.listen) or control (the socket in the state directory, and control.listen).", "listener")
	p.denied = p.counterVec("aidr_control_refused_total",
		"Requests to the control API that were refused and changed nothing, by reason: unauthenticated, host, origin, scope, tenant, "+
			"invalid, callback (a call-back that is not valid), or closed (no state directory is open). All but closed are in the audit.", "reason")
	p.attempts = p.counterVec("aidr_webhook_attempts_total",
		"Requests to webhook endpoints, by the HTTP status of the answer, or by the reason if there was none: network, dns, timeout, denied_address.",
		"sink", "status")
	p.latency = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "aidr_webhook_attempt_seconds", Help: "Duration of a request to a webhook endpoint, answered or not.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60},
	}, []string{"sink"})
	p.MustRegister(p.latency)
	overflow := p.counterVec("aidr_webhook_status_overflow_total",
		"Requests counted under the status other because the endpoint answered with too many different ones.", "sink")
	for _, e := range endpoints {
		p.statuses[e] = label.NewLimit(maxStatuses, overflow.WithLabelValues(e).Inc)
		p.latency.WithLabelValues(e)
	}
	return p
}

// Reloaded records a reload: of the rules alone, or of the configuration, which loads the rules too.
func (p *Process) Reloaded(what Loaded, now time.Time, err error) {
	result, success := "ok", 1.0
	if err != nil {
		result, success = "failed", 0
	}
	if what == Rules {
		p.reloads.WithLabelValues(result).Inc()
	}
	p.success[what].Set(success)
	if err == nil {
		p.loadedAt[what].Set(seconds(now))
	}
}

// Refused returns the function that counts a refused connection of a listener.
func (p *Process) Refused(listener string) func() { return p.refused.WithLabelValues(listener).Inc }

// ControlRefused counts a refused request to the control API.
func (p *Process) ControlRefused(reason string) { p.denied.WithLabelValues(reason).Inc() }

// WebhookAttempt records a request to an endpoint of New.
func (p *Process) WebhookAttempt(endpoint, status string, took time.Duration) {
	p.attempts.WithLabelValues(endpoint, p.statuses[endpoint].Value(status)).Inc()
	p.latency.WithLabelValues(endpoint).Observe(took.Seconds())
}

func (p *Process) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	p.MustRegister(c)
	return c
}

func (p *Process) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	p.MustRegister(g)
	return g
}

func (p *Process) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	p.MustRegister(g)
	return g
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
