package pipeline

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/aidr-engine/aidr/cmd/api"
	"github.com/aidr-engine/aidr/connectors"
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

// gather returns the metrics of the engine and, while it is open, those of the outbox.
func (p *Pipeline) gather() ([]*dto.MetricFamily, error) {
	p.mu.RLock()
	all := prometheus.Gatherers{p.registry}
	if p.engine != nil {
		all = append(all, p.outbox)
	}
	p.mu.RUnlock()
	return all.Gather()
}

// Status says how everything is.
func (p *Pipeline) Status() api.Status {
	s := api.Status{Status: ok, Running: true, Since: p.started, Version: p.o.Version, Components: map[string]api.Component{}}
	for _, in := range p.inputs {
		s.Components["source."+in.Source.Name()] = component(in.Source.Health())
	}
	for _, k := range p.sinks {
		s.Components["sink."+k.Name()] = component(k.Health())
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	s.Rules = len(p.set.Rules)
	rules := api.Component{Status: ok, Since: p.rules.since}
	if p.rules.err != nil {
		rules.Status, rules.Reason = degraded, p.rules.err.Error()
	}
	s.Components["rules"] = rules
	s.Components["engine"] = p.engineHealth(&s)
	for _, c := range s.Components {
		s.Status = worse(s.Status, c.Status)
	}
	return s
}

// engineHealth says how the engine is and fills what only it knows. mu is held.
func (p *Pipeline) engineHealth(s *api.Status) api.Component {
	c := api.Component{Status: ok, Since: p.started}
	switch {
	case p.lost != nil:
		return api.Component{Status: down, Reason: p.lost.Error()}
	case p.stopping:
		return api.Component{Status: down, Reason: "stopping"}
	case p.engine == nil && len(p.waiting) > 7 && p.waiting[:7] == "standby":
		return api.Component{Status: degraded, Reason: p.waiting}
	case p.engine == nil:
		return api.Component{Status: down, Reason: p.waiting}
	}
	st := p.engine.Status()
	switch {
	case p.engine.Err() != nil:
		c.Status, c.Reason = down, p.engine.Err().Error()
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
	s.DeadLetters, s.Entries = p.store.DeadStats().Count, p.store.End()-1
	for _, k := range p.deliverer.Status() {
		s.Sinks = append(s.Sinks, api.Sink{Name: k.Name, Entries: k.Entries, Bytes: k.Bytes, Oldest: k.Oldest.Seconds(), State: k.State, Error: k.LastError})
		if k.State == "retrying" || k.State == degraded {
			was := s.Components["sink."+k.Name]
			if was.Status == ok {
				s.Components["sink."+k.Name] = api.Component{Status: degraded, Reason: k.Reason, Since: k.Since}
			}
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
	rank := map[string]int{ok: 0, degraded: 1, down: 2}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// runtime is what the control API asks of the running process. mu is held while it is made, not while it is asked.
func (p *Pipeline) runtime() api.Runtime {
	return api.Runtime{
		Status: p.Status,
		State: func(ctx context.Context, rule string, key map[string]string) (any, error) {
			p.mu.RLock()
			defer p.mu.RUnlock()
			if p.engine == nil {
				return nil, api.ErrNoProcess
			}
			return p.engine.State(ctx, rule, key)
		},
		ReplayDead: func(ctx context.Context, l *store.DeadLetter) (string, error) {
			p.mu.RLock()
			defer p.mu.RUnlock()
			if p.engine == nil {
				return "", api.ErrNoProcess
			}
			if l.Kind != store.DeadRecord {
				if err := p.deliverer.Requeue(l.Seq); err != nil {
					return "", err
				}
				return "handed to " + l.Sink + " again", nil
			}
			done, err := p.engine.ReplayRecord(ctx, l)
			if err != nil {
				return "", err
			}
			_, err = p.store.DropDeadLetters(l.Seq)
			return done, err
		},
	}
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
