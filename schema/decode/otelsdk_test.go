package decode

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/aidr-engine/aidr/schema"
)

// exported returns the bodies that OpenTelemetry's own SDK sends to a collector for the spans that record makes.
func exported(t *testing.T, record func(trace.Tracer)) (bodies []string) {
	t.Helper()
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies = append(bodies, string(body))
	}))
	defer collector.Close()
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(collector.URL+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	about := resource.NewSchemaless(attribute.String("service.name", "invoice-agent"), attribute.String("service.version", "1.4.0"))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	record(provider.Tracer("opentelemetry.instrumentation.openai_v2"))
	if err := provider.Shutdown(context.Background()); err != nil { // sends the batch
		t.Fatal(err)
	}
	return bodies
}

// TestOpenTelemetrySDK reads what OpenTelemetry's SDK for Go exports for a run of an agent: a trace of three spans in one
// request of protobuf.
func TestOpenTelemetrySDK(t *testing.T) {
	bodies := exported(t, func(tracer trace.Tracer) {
		ctx, run := tracer.Start(context.Background(), "invoke_agent billing", trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "invoke_agent"), attribute.String("gen_ai.agent.name", "billing"),
			attribute.String("gen_ai.conversation.id", "conv-1")))
		_, chat := tracer.Start(ctx, "chat gpt-4.1", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.provider.name", "openai"),
			attribute.String("gen_ai.request.model", "gpt-4.1"), attribute.Int("gen_ai.usage.input_tokens", 812),
			attribute.StringSlice("gen_ai.response.finish_reasons", []string{"tool_calls"}),
			attribute.String("gen_ai.input.messages", `[{"role":"user","parts":[{"type":"text","content":"pay it"}]}]`)))
		chat.End()
		_, tool := tracer.Start(ctx, "execute_tool pay", trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "execute_tool"), attribute.String("gen_ai.tool.name", "pay"),
			attribute.String("gen_ai.tool.call.id", "call_1"), attribute.String("gen_ai.tool.call.arguments", `{"amount":5}`),
			attribute.String("gen_ai.tool.call.result", `"paid"`)))
		tool.End()
		run.End()
	})
	if len(bodies) == 0 {
		t.Fatal("the SDK exported nothing")
	}
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, body := range bodies {
		d.Decode(body, Meta{}, &Handler{
			Dead: func(dead Dead) { t.Errorf("dead letter %s: %s", dead.Reason, dead.Detail) },
			Event: func(e *schema.Event) {
				seen[e.Text(schema.EventAction)]++
				for field, want := range map[schema.Field]string{
					schema.EventDataset: "otel.gen_ai", schema.AIAgentUID: "invoice-agent/billing", schema.SessionID: "conv-1",
					schema.EventOutcome: "success",
				} {
					if got := e.Text(field); got != want {
						t.Errorf("%s: %v: got %q, want %q", e.Text(schema.EventAction), field, got, want)
					}
				}
				switch e.Text(schema.EventAction) {
				case "chat":
					if e.Text(schema.MessageContextPromptText) != "pay it" || e.Int(schema.GenAIUsageInputTokens) != 812 {
						t.Errorf("chat: got prompt %q and %d tokens", e.Text(schema.MessageContextPromptText), e.Int(schema.GenAIUsageInputTokens))
					}
				case "execute_tool":
					if e.Text(schema.GenAIToolName) != "pay" || !e.Has(schema.GenAIToolCallArguments) || !e.Has(schema.GenAIToolCallResult) {
						t.Errorf("execute_tool: got tool %q", e.Text(schema.GenAIToolName))
					}
				}
			},
		})
	}
	if seen["chat"] != 1 || seen["execute_tool"] != 1 || seen["invoke_agent"] != 1 {
		t.Errorf("got the actions %v, want each of chat, execute_tool and invoke_agent once", seen)
	}
}
