package telemetry

import (
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/aidr-engine/aidr/connectors"
)

// collector receives OTLP over HTTP.
type collector struct {
	mu      sync.Mutex
	keys    map[string]bool // values of the header X-Key
	metrics map[string]float64
	spans   map[string]int
	failed  []string // messages of spans
	took    time.Duration
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[r.Header.Get("X-Key")] = true
	var m metricspb.ExportMetricsServiceRequest
	var t tracepb.ExportTraceServiceRequest
	switch r.URL.Path {
	case "/base/v1/metrics":
		err = proto.Unmarshal(b, &m)
	case "/base/v1/traces":
		err = proto.Unmarshal(b, &t)
	default:
		err = errors.New("path " + r.URL.Path)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, rm := range m.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, x := range sm.Metrics {
				for _, p := range x.GetSum().GetDataPoints() {
					c.metrics[x.Name] = p.GetAsDouble()
				}
				for _, p := range x.GetHistogram().GetDataPoints() {
					c.metrics[x.Name] = float64(p.GetCount())
				}
			}
		}
	}
	for _, rs := range t.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans[s.Name]++
				c.took = time.Duration(s.EndTimeUnixNano - s.StartTimeUnixNano)
				if s.Status.GetMessage() != "" {
					c.failed = append(c.failed, s.Status.Message)
				}
			}
		}
	}
}

// registry returns a registry with a counter of 3 and a histogram of one observation.
func registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	n := prometheus.NewCounter(prometheus.CounterOpts{Name: "aidr_events_total"})
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "aidr_checkpoint_seconds", Buckets: []float64{1}})
	r.MustRegister(n, h)
	n.Add(3)
	h.Observe(0.5)
	return r
}

// TestExport sends metrics and a sample of the spans to a collector.
func TestExport(t *testing.T) {
	c := &collector{keys: map[string]bool{}, metrics: map[string]float64{}, spans: map[string]int{}}
	s := httptest.NewServer(c)
	defer s.Close()
	x, err := New(Options{
		Endpoint: s.URL + "/base", Headers: map[string]string{"X-Key": "k"}, Every: time.Hour, Traces: 0.1, Gatherer: registry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1_800_000_000, 0)
	for range 100 {
		x.Trace(connectors.Span{Name: connectors.SpanBatch, Subject: "logs", Start: start, Took: 3 * time.Millisecond, Size: 10})
	}
	x.Trace(connectors.Span{Name: connectors.SpanDelivery, Subject: "soc", Start: start, Took: 3 * time.Millisecond,
		Err: errors.New("refused: Authorization: Bearer sk-ant-api03-" + strings.Repeat("a1B2", 20))})
	x.Trace(connectors.Span{Name: connectors.SpanCheckpoint, Start: start, Took: 3 * time.Millisecond})
	x.Trace(connectors.Span{Name: connectors.SpanDecision, Start: start, Took: 3 * time.Millisecond})
	x.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.metrics["aidr_events_total"] != 3 || c.metrics["aidr_checkpoint_seconds"] != 1 {
		t.Errorf("metrics: got %v", c.metrics)
	}
	if c.spans["batch"] != 10 || c.spans["delivery"] != 1 || c.spans["checkpoint"] != 1 || c.spans["decision"] != 1 || c.took != 3*time.Millisecond {
		t.Errorf("spans: got %v, the last of %v", c.spans, c.took)
	}
	if len(c.failed) != 1 || !strings.HasPrefix(c.failed[0], "refused") || strings.Contains(c.failed[0], "a1B2a1B2") {
		t.Errorf("failed spans: got %q", c.failed)
	}
	if !c.keys["k"] || len(c.keys) != 1 {
		t.Errorf("headers: got %v", c.keys)
	}
}

// TestTraceAllocatesNothing checks that a span that is not in the sample costs no allocation, and that a nil Telemetry can be closed.
func TestTraceAllocatesNothing(t *testing.T) {
	x := &Telemetry{every: 1 << 60}
	x.seen[kindDecision].Add(1)
	var trace connectors.Trace = x.Trace
	s := connectors.Span{Name: connectors.SpanDecision, Subject: "p", Start: time.Unix(1, 0), Took: time.Millisecond}
	if n := testing.AllocsPerRun(1000, func() { trace(s) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
	(*Telemetry)(nil).Close()
}

// TestCollectorAway checks that nothing waits for a collector that is away.
func TestCollectorAway(t *testing.T) {
	x, err := New(Options{Endpoint: "http://127.0.0.1:1", Every: time.Hour, Traces: 1, Gatherer: registry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 10_000 { // more than the queue holds
		x.Trace(connectors.Span{Name: connectors.SpanBatch, Start: start})
	}
	x.Close()
	if took := time.Since(start); took > closeTime+5*time.Second {
		t.Errorf("it took %v", took)
	}
}
