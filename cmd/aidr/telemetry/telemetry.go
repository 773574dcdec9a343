// Package telemetry sends the metrics and traces of this process by OTLP over HTTP, with the SDK of OpenTelemetry.
//
// The metrics are those of /metrics, read from the same registry, so there is one definition. Traces are a sample of the batches,
// checkpoints, deliveries and decisions: every n-th of each kind, counted, so that rare kinds are not drowned by frequent ones. What is
// not in the sample costs one addition. If the collector is away, spans are dropped and detection goes on.
package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema/content"
)

const (
	// closeTime bounds the last export at the end of the process.
	closeTime = 5 * time.Second
	// warnEvery is the time between two warnings that the collector is away.
	warnEvery = 10 * time.Minute
)

// Options configure a Telemetry.
type Options struct {
	Endpoint string // http or https
	Headers  map[string]string
	TLS      *tls.Config // nil: the authorities of the system
	Every    time.Duration
	Traces   float64 // share of the spans, from 0 to 1
	Version  string
	Gatherer prometheus.Gatherer
	Log      *slog.Logger
}

// Telemetry exports metrics and traces until Close. A nil Telemetry is off.
type Telemetry struct {
	metrics *metric.MeterProvider
	traces  *sdk.TracerProvider
	tracer  trace.Tracer
	every   uint64                       // 0: no traces
	seen    [kindOther + 1]atomic.Uint64 // by kind
	log     *slog.Logger
	warned  atomic.Int64 // Unix time of the last warning
}

// The kinds of spans, each sampled on its own.
const (
	kindBatch = iota
	kindCheckpoint
	kindDelivery
	kindDecision
	kindOther
)

func kindOf(name string) int {
	switch name {
	case connectors.SpanBatch:
		return kindBatch
	case connectors.SpanCheckpoint:
		return kindCheckpoint
	case connectors.SpanDelivery:
		return kindDelivery
	case connectors.SpanDecision:
		return kindDecision
	}
	return kindOther
}

// New begins the export. It does not wait for the collector.
func New(o Options) (*Telemetry, error) {
	base, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, errors.New("the endpoint is not an address") // err holds it, and it may hold a secret
	}
	ctx := context.Background()
	t := &Telemetry{log: o.Log}
	if o.Traces > 0 {
		t.every = uint64(math.Round(1 / o.Traces))
	}
	mo := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpointURL(base.JoinPath("v1", "metrics").String()), otlpmetrichttp.WithHeaders(o.Headers)}
	to := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(base.JoinPath("v1", "traces").String()), otlptracehttp.WithHeaders(o.Headers)}
	if o.TLS != nil {
		mo, to = append(mo, otlpmetrichttp.WithTLSClientConfig(o.TLS)), append(to, otlptracehttp.WithTLSClientConfig(o.TLS))
	}
	metrics, err := otlpmetrichttp.New(ctx, mo...)
	if err != nil {
		return nil, err
	}
	traces, err := otlptracehttp.New(ctx, to...)
	if err != nil {
		return nil, errors.Join(err, metrics.Shutdown(ctx))
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(t.failed))
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	about := resource.NewSchemaless(attribute.String("service.name", "aidr"), attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", host))
	reader := metric.NewPeriodicReader(metrics, metric.WithInterval(o.Every), metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(o.Gatherer))))
	t.metrics = metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(about))
	t.traces = sdk.NewTracerProvider(sdk.WithBatcher(traces), sdk.WithResource(about), sdk.WithSampler(sdk.AlwaysSample()))
	t.tracer = t.traces.Tracer("github.com/aidr-engine/aidr")
	return t, nil
}

// Trace is a connectors.Trace.
func (t *Telemetry) Trace(s connectors.Span) {
	if t.every == 0 || (t.seen[kindOf(s.Name)].Add(1)-1)%t.every != 0 {
		return
	}
	_, span := t.tracer.Start(context.Background(), s.Name, trace.WithTimestamp(s.Start),
		trace.WithAttributes(attribute.String("aidr.subject", s.Subject), attribute.Int64("aidr.size", s.Size)))
	if s.Err != nil {
		span.SetStatus(codes.Error, content.Redact(s.Err.Error()))
	}
	span.End(trace.WithTimestamp(s.Start.Add(s.Took)))
}

// failed logs, from time to time, that an export failed.
func (t *Telemetry) failed(err error) {
	now := time.Now().Unix()
	if last := t.warned.Load(); now-last >= int64(warnEvery/time.Second) && t.warned.CompareAndSwap(last, now) {
		t.log.Warn("telemetry is not delivered; detection goes on", "error", content.Redact(err.Error()))
	}
}

// Close exports what is left, for a few seconds at most.
func (t *Telemetry) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := errors.Join(t.metrics.Shutdown(ctx), t.traces.Shutdown(ctx)); err != nil {
		t.failed(err)
	}
}
