package pipeline

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/registry"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Health states of a component and of the whole process.
const (
	ok       = api.OK
	degraded = api.Degraded // something is unreachable, but nothing is lost
	down     = api.Down     // nothing can be processed
)

// health is the state of one component: err is nil if it is healthy, and since is the time of the last change.
type health struct {
	err   error
	since time.Time
}

func (h *health) set(err error) {
	if (err == nil) != (h.err == nil) || h.since.IsZero() {
		h.since = now()
	}
	h.err = err
}

// handler serves /metrics, /healthz, /readyz and, if configured, /debug/pprof.
func (p *Pipeline) handler() http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /metrics", p.metricsHandler())
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		s := p.Status()
		w.Header().Set("Content-Type", "application/json")
		if s.Status == down {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(struct {
			Status     string                   `json:"status"`
			Components map[string]api.Component `json:"components"`
		}{s.Status, s.Components})
	})
	if p.cfg.HTTP.Pprof {
		m.HandleFunc("GET /debug/pprof/", pprof.Index)
		m.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		m.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		m.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return m
}

// loadTLS returns the TLS settings of the listener for metrics and health, or nil if t is nil.
func loadTLS(t *config.ServerTLS, log *slog.Logger) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c, err := api.LoadTLS(api.CertificateFiles{Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA}, log)
	if err != nil {
		return nil, fmt.Errorf("%shttp.tls: %w", t.At, err)
	}
	return c, nil
}

// listen opens the listener for metrics and health, if one is configured.
func (p *Pipeline) listen() (*api.Server, error) {
	s := api.NewServer(p.handler(), api.ServerOptions{Log: p.log, WriteTime: writeTime, TLS: p.serverTLS, Refused: p.registry.Refused("http")})
	if p.cfg.HTTP.Listen == "" {
		return s, nil
	}
	l, err := net.Listen("tcp", p.cfg.HTTP.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the listener for metrics and health (http.listen): %w", err)
	}
	p.log.Info("serving metrics and health", "address", l.Addr().String(), "tls", p.serverTLS != nil)
	go s.Serve(l, "http")
	return s, nil
}

// metricsHandler serves the metrics in the formats of Prometheus.
func (p *Pipeline) metricsHandler() http.Handler {
	return promhttp.HandlerFor(prometheus.GathererFunc(p.gather), promhttp.HandlerOpts{})
}

// gather returns the metrics of the engine and, while the state directory is open, those of the outbox.
func (p *Pipeline) gather() ([]*dto.MetricFamily, error) {
	all := prometheus.Gatherers{p.registry}
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o != nil && !stuck(o.store) {
		all = append(all, o.outbox)
	}
	return all.Gather()
}

// stuck reports whether the disk of the store has failed. Reading the outbox would then block until the disk is back.
func stuck(s *store.Store) bool {
	err := s.Err()
	return err != nil && !errors.Is(err, store.ErrDiskFull)
}

// Status returns the health of every component. It never waits while the engine is opened, replaced or closed.
func (p *Pipeline) Status() api.Status {
	s := api.Status{Status: ok, Running: true, Since: p.started, Version: p.opts.Version, Components: map[string]api.Component{}}
	p.mu.Lock()
	inputs := p.inputs
	p.mu.Unlock()
	for _, in := range inputs {
		s.Components["source."+in.Source.Name()] = component(in.Source.Health())
	}
	for _, sink := range p.sinks {
		s.Components["sink."+sink.Name()] = component(sink.Health())
	}
	p.mu.Lock()
	e, o := p.engine, p.opened
	s.Rules, s.RuleStates, s.Idle = p.set.NumActive(), countActivities(p.activities), GroupIdle(p.activities)
	rules := api.Component{Status: ok, Since: p.rules.since}
	if p.rules.err != nil {
		rules.Status, rules.Reason = degraded, "the old rules keep running: "+p.rules.err.Error()
	}
	s.Components["config"], s.Restart = p.configComponent(), p.restart
	c := p.engineComponent()
	p.mu.Unlock()
	s.Components["rules"] = rules
	if e != nil {
		h := engineHealth(e, o, &s)
		if h.Since = p.started; c.Status == ok || h.Status == down {
			c = h
		}
	}
	s.Components["engine"] = c
	for _, c := range s.Components {
		s.Status = worse(s.Status, c.Status)
	}
	return s
}

// engineComponent reports whether the engine is open and, if not, why. Its caller holds mu.
func (p *Pipeline) engineComponent() api.Component {
	switch {
	case p.failure != nil:
		return api.Component{Status: down, Reason: p.failure.Error()}
	case p.stopping:
		return api.Component{Status: down, Reason: "stopping"}
	case p.engine != nil && !p.idle:
		return api.Component{Status: ok}
	case len(p.standby) > 0:
		source := slices.Min(slices.Collect(maps.Keys(p.standby)))
		return api.Component{Status: degraded, Reason: "standby: " + p.standby[source]}
	}
	if p.wasOpen { // the brokers are unreachable, or another process reads: no record is lost
		return api.Component{Status: degraded, Reason: p.waiting}
	}
	return api.Component{Status: down, Reason: p.waiting}
}

// engineHealth returns the health of an open engine and adds the partitions, sinks and counts of the engine and its
// store to s.
func engineHealth(e *engine.Engine, o *opened, s *api.Status) api.Component {
	c := api.Component{Status: ok}
	status := e.Status()
	switch {
	case e.Err() != nil:
		c.Status, c.Reason = down, e.Err().Error()
	case status.CheckpointError != nil:
		c.Status, c.Reason = down, status.CheckpointError.Error()
	case status.Held != "":
		c.Status, c.Reason = degraded, status.Held
	case status.WarmingRules > 0:
		c.Reason = fmt.Sprintf("%d rules are warming until %v: they do not know all of their window, and their findings carry warming_until",
			status.WarmingRules, status.WarmingUntil)
	}
	s.Memory, s.Budget = status.Memory, status.Budget
	for _, f := range status.Operational {
		s.Operational = append(s.Operational, api.Operational{
			ID: f.ID, Rule: f.RuleID, Severity: f.Severity, FirstSeen: f.FirstSeen, Summary: f.Summary,
		})
	}
	for _, x := range status.Partitions {
		part := api.Partition{
			Source: x.Partition.Source, Topic: x.Partition.Topic, Number: x.Partition.Number,
			Next: x.Next, Lag: x.Lag, AtEnd: x.AtEnd,
		}
		if x.Known {
			at := schema.Instant(x.Watermark)
			part.Watermark = &at
		}
		s.Partitions = append(s.Partitions, part)
	}
	if loss := o.store.Loss(); loss != nil {
		s.Components["state"] = api.Component{Status: degraded, Reason: loss.Error(), Since: s.Since}
	}
	dead := o.store.DeadStats()
	s.DeadLetters, s.DeadDeliveries, s.Entries = dead.Count, dead.Deliveries.Count, o.store.End()-1
	s.Components["dead-letters"] = deadComponent(dead.Deliveries)
	if stuck(o.store) {
		return c
	}
	for _, k := range o.deliverer.Status() {
		s.Sinks = append(s.Sinks, api.Sink{
			Name: k.Name, Entries: k.Entries, Bytes: k.Bytes, Oldest: k.Oldest.Seconds(),
			State: k.State, Error: k.Reason, Next: k.Next,
		})
		was := s.Components["sink."+k.Name]
		failing := k.State == deliver.SinkRetrying || k.State == deliver.SinkDegraded
		if k.State == deliver.SinkDisabled || failing && was.Status == ok {
			s.Components["sink."+k.Name] = api.Component{Status: degraded, Reason: k.Reason, Since: k.Since}
		}
	}
	return c
}

// deadComponent reports whether findings that a sink does not have wait as dead letters. Nothing delivers them until an
// operator replays or drops them.
func deadComponent(n store.DeadCount) api.Component {
	c := api.Component{Status: ok}
	if n.Count == 0 {
		return c
	}
	c.Status, c.Reason = degraded, fmt.Sprintf("%d rows and deliveries wait as dead letters: see `aidr dlq ls`, then replay or drop them", n.Count)
	if n.Dropped > 0 {
		c.Reason += fmt.Sprintf("; %d older ones were given up for lack of space", n.Dropped)
	}
	return c
}

func component(h connectors.Health) api.Component {
	if h.Degraded {
		return api.Component{Status: degraded, Reason: h.Reason, Since: h.Since}
	}
	return api.Component{Status: ok, Since: h.Since}
}

func worse(a, b string) string {
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// Total returns the sum of a counter over all its labels, or 0 for an unknown name.
func (p *Pipeline) Total(name string) (sum float64) {
	families, err := p.gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// componentCollector exports the health of each component, which /readyz shows too, so that alerts need only /metrics.
type componentCollector struct{ p *Pipeline }

func componentDesc() *prometheus.Desc {
	const help = "Health of each component: 0 ok, 1 degraded, 2 down; /readyz has the reason."
	return prometheus.NewDesc("aidr_component_health", help, []string{"component"}, nil)
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

// registryCollector exports the counts of the records with the frame of a schema registry.
type registryCollector struct{ p *Pipeline }

func registryDesc() *prometheus.Desc {
	const help = "Records in the frame of a schema registry by result: converted, or as dead letters unknown (no usable schema) and invalid."
	return prometheus.NewDesc("aidr_registry_records_total", help, []string{"source", "result"}, nil)
}

// Describe implements prometheus.Collector.
func (c registryCollector) Describe(to chan<- *prometheus.Desc) { to <- registryDesc() }

// Collect implements prometheus.Collector.
func (c registryCollector) Collect(to chan<- prometheus.Metric) {
	c.p.mu.Lock()
	inputs := c.p.inputs
	c.p.mu.Unlock()
	desc := registryDesc()
	for _, in := range inputs {
		s, ok := in.Source.(*registry.Source)
		if !ok {
			continue
		}
		n := s.Counts()
		for result, count := range map[string]uint64{"converted": n.Converted, "unknown": n.Unknown, "invalid": n.Invalid} {
			to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(count), in.Source.Name(), result)
		}
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
