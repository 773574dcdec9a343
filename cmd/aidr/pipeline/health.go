package pipeline

import (
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
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// States of a component and of the whole.
const (
	ok       = "ok"
	degraded = "degraded" // something is away and nothing is lost
	down     = "down"     // nothing can be processed
)

// health is how one thing is, and since when.
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

// handler answers /metrics, /healthz, /readyz and, where it is asked for, /debug/pprof.
func (p *Pipeline) handler() http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /metrics", promhttp.HandlerFor(prometheus.GathererFunc(p.gather), promhttp.HandlerOpts{}))
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

// listen opens the listener of metrics and health, where one is configured.
func (p *Pipeline) listen() (*http.Server, error) {
	s := &http.Server{Handler: p.handler(), ReadHeaderTimeout: headerTime}
	if p.cfg.HTTP.Listen == "" {
		return s, nil
	}
	l, err := net.Listen("tcp", p.cfg.HTTP.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the listener of metrics and health (http.listen): %w", err)
	}
	p.log.Info("metrics and health are served", "address", l.Addr().String())
	go serve(p.log, s, l, "http")
	return s, nil
}

func serve(log *slog.Logger, s *http.Server, l net.Listener, name string) {
	if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("a listener failed", "listener", name, "error", err)
	}
}

// gather returns the metrics of the engine and, while it is open, those of the outbox.
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

// stuck says that the disk has failed: asking for the outbox would wait until it is back.
func stuck(s *store.Store) bool {
	err := s.Err()
	return err != nil && !errors.Is(err, store.ErrDiskFull)
}

// Status says how everything is. It never waits for the engine to be opened, replaced or closed.
func (p *Pipeline) Status() api.Status {
	s := api.Status{Status: ok, Running: true, Since: p.started, Version: p.o.Version, Components: map[string]api.Component{}}
	p.mu.Lock()
	inputs := p.inputs
	p.mu.Unlock()
	for _, in := range inputs {
		s.Components["source."+in.Source.Name()] = component(in.Source.Health())
	}
	for _, k := range p.sinks {
		s.Components["sink."+k.Name()] = component(k.Health())
	}
	p.mu.Lock()
	e, o := p.engine, p.opened
	s.Rules = len(p.set.Rules)
	rules := api.Component{Status: ok, Since: p.rules.since}
	if p.rules.err != nil {
		rules.Status, rules.Reason = degraded, "the old rules keep running: "+p.rules.err.Error()
	}
	c := p.place()
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

// place says whether the engine is there, and why not. mu is held.
func (p *Pipeline) place() api.Component {
	switch {
	case p.lost != nil:
		return api.Component{Status: down, Reason: p.lost.Error()}
	case p.stopping:
		return api.Component{Status: down, Reason: "stopping"}
	case p.engine != nil && !p.idle:
		return api.Component{Status: ok}
	case len(p.standby) > 0:
		source := slices.Min(slices.Collect(maps.Keys(p.standby)))
		return api.Component{Status: degraded, Reason: "standby: " + p.standby[source]}
	}
	if p.worked { // the brokers are away, or others take their turn: what there is to read is read later
		return api.Component{Status: degraded, Reason: p.waiting}
	}
	return api.Component{Status: down, Reason: p.waiting}
}

// engineHealth says how the engine is and fills in what only it and its store know.
func engineHealth(e *engine.Engine, o *opened, s *api.Status) api.Component {
	c := api.Component{Status: ok}
	st := e.Status()
	switch {
	case e.Err() != nil:
		c.Status, c.Reason = down, e.Err().Error()
	case st.CutError != nil:
		c.Status, c.Reason = down, st.CutError.Error()
	case st.Held != "":
		c.Status, c.Reason = degraded, st.Held
	}
	for _, x := range st.Partitions {
		part := api.Partition{Source: x.Partition.Source, Topic: x.Partition.Topic, Number: x.Partition.Number, Next: x.Next, Lag: x.Lag, AtEnd: x.AtEnd}
		if x.Known {
			at := schema.Instant(x.Watermark)
			part.Watermark = &at
		}
		s.Partitions = append(s.Partitions, part)
	}
	s.DeadLetters, s.Entries = o.store.DeadStats().Count, o.store.End()-1
	if stuck(o.store) {
		return c
	}
	for _, k := range o.deliverer.Status() {
		s.Sinks = append(s.Sinks, api.Sink{Name: k.Name, Entries: k.Entries, Bytes: k.Bytes, Oldest: k.Oldest.Seconds(), State: k.State, Error: k.LastError})
		was := s.Components["sink."+k.Name]
		if was.Status == ok && (k.State == deliver.SinkRetrying || k.State == deliver.SinkDegraded) {
			s.Components["sink."+k.Name] = api.Component{Status: degraded, Reason: k.Reason, Since: k.Since}
		}
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

// Total returns a counter's sum over its labels.
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
