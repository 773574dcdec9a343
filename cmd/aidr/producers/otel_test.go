package producers

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/aidr-engine/aidr/schema"
)

// collected returns the requests of the exporters as the collector's Kafka exporter writes them, in each of its encodings.
func collected(t *testing.T, requests []posted) (proto, json []string) {
	t.Helper()
	add := func(p, j []byte, err1, err2 error) {
		if err1 != nil || err2 != nil {
			t.Fatalf("encode: %v, %v", err1, err2)
		}
		proto, json = append(proto, string(p)), append(json, string(j))
	}
	for _, r := range requests {
		switch r.path {
		case "/v1/traces":
			request := ptraceotlp.NewExportRequest()
			if err := request.UnmarshalProto([]byte(r.body)); err != nil {
				t.Fatal(err)
			}
			p, err1 := (&ptrace.ProtoMarshaler{}).MarshalTraces(request.Traces())
			j, err2 := (&ptrace.JSONMarshaler{}).MarshalTraces(request.Traces())
			add(p, j, err1, err2)
		case "/v1/logs":
			request := plogotlp.NewExportRequest()
			if err := request.UnmarshalProto([]byte(r.body)); err != nil {
				t.Fatal(err)
			}
			p, err1 := (&plog.ProtoMarshaler{}).MarshalLogs(request.Logs())
			j, err2 := (&plog.JSONMarshaler{}).MarshalLogs(request.Logs())
			add(p, j, err1, err2)
		default:
			t.Errorf("a request to %s", r.path)
		}
	}
	return proto, json
}

// throughBoth ships the requests in both encodings and returns the events, which must be the same.
func throughBoth(t *testing.T, k *shipping, topic string, requests []posted) []event {
	t.Helper()
	proto, json := collected(t, requests)
	events := through(t, k, topic+"-proto", proto)
	other := through(t, k, topic+"-json", json)
	if a, b := asJSON(t, events), asJSON(t, other); a != b {
		t.Errorf("otlp_json gives other events than otlp_proto:\n%s\n%s", b, a)
	}
	return events
}

// testOTelGo runs an agent with OpenTelemetry's SDK for Go.
func testOTelGo(t *testing.T, k *shipping) {
	b := newBridge(t)
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(b.URL+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	about := resource.NewSchemaless(attribute.String("service.name", "invoices"), attribute.String("service.instance.id", "pod-7"))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	t.Logf("version: opentelemetry-go %s", otel.Version())
	began := time.Now()
	runAgent(t, provider.Tracer("agent"))
	ended := time.Now()
	if err := provider.Shutdown(context.Background()); err != nil { // sends the batch
		t.Fatal(err)
	}
	events := throughBoth(t, k, "otel-go", b.requests())
	wants := map[string]map[string]any{
		"invoke_agent": {"event.class": "llm", "event.outcome": "success"},
		"chat": {
			"event.class": "llm", "event.outcome": "failure", "error.type": "429", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4.1",
			"gen_ai.usage.input_tokens": 812, "message_context.prompt_text": breakOut, "gen_ai.response.finish_reasons": []string{"error"},
		},
		"execute_tool": {
			"event.class": "tool", "event.outcome": "success", "gen_ai.tool.name": "pay_invoice", "gen_ai.tool.call.id": "call_9",
			"gen_ai.tool.call.arguments": map[string]any{"note": forgedRecord}, "gen_ai.tool.call.result": "paid",
			"gen_ai.tool.called": true, "gen_ai.tool.returned": true,
		},
	}
	if len(events) != len(wants) {
		t.Errorf("got %d events, want %d: %v", len(events), len(wants), events)
	}
	for _, e := range events {
		action := e.text(schema.EventAction)
		e.want(t, action, with(wants[action], map[string]any{
			"event.dataset": "otel.gen_ai", "ai_agent.uid": "invoices/billing", "ai_agent.instance_uid": "pod-7", "session.id": "conv-1",
		}))
		e.during(t, action, began, ended, 0, 0)
	}
}

// runAgent records one run of an agent, with hostile texts.
func runAgent(t *testing.T, tracer trace.Tracer) {
	messages := asJSON(t, []any{map[string]any{"role": "user", "parts": []any{map[string]any{"type": "text", "content": breakOut}}}})
	arguments := asJSON(t, map[string]any{"note": forgedRecord})
	ctx, run := tracer.Start(context.Background(), "invoke_agent billing", trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "invoke_agent"), attribute.String("gen_ai.agent.name", "billing"),
		attribute.String("gen_ai.conversation.id", "conv-1")))
	_, chat := tracer.Start(ctx, "chat gpt-4.1", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.provider.name", "openai"),
		attribute.String("gen_ai.request.model", "gpt-4.1"), attribute.Int("gen_ai.usage.input_tokens", 812),
		attribute.StringSlice("gen_ai.response.finish_reasons", []string{"error"}), attribute.String("error.type", "429"),
		attribute.String("gen_ai.input.messages", messages)))
	chat.SetStatus(codes.Error, "busy")
	chat.End()
	_, tool := tracer.Start(ctx, "execute_tool pay_invoice", trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "execute_tool"), attribute.String("gen_ai.tool.name", "pay_invoice"),
		attribute.String("gen_ai.tool.call.id", "call_9"), attribute.String("gen_ai.tool.call.arguments", arguments),
		attribute.String("gen_ai.tool.call.result", "paid")))
	tool.End()
	run.End()
}

// testOTelPython runs an agent with OpenTelemetry's SDK for Python and its instrumentation of OpenAI's client, with the
// settings of the format's page and with the older conventions.
func testOTelPython(t *testing.T, k *shipping) {
	path := program(t, "otel", "AIDR_OTEL_PYTHON", "aidr-otel-python")
	version(t, path, "-c", `import importlib.metadata as m; print(*(n + " " + m.version(n) for n in ("opentelemetry-sdk", "opentelemetry-instrumentation-openai-v2")))`)
	model := "http://" + startModel(t) + "/v1"
	settings := environment(documented(t, otlpPage, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"))
	older := append(slices.Clone(settings), "OTEL_SEMCONV_STABILITY_OPT_IN=", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true")

	events, began, ended := runPython(t, k, "otel-python", path, model, settings)
	prompts := map[string]map[string]any{
		"pay it": {"event.outcome": "success", "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3, "gen_ai.response.finish_reasons": []string{"tool_calls"}},
		"busy":   {"event.outcome": "failure", "error.type": "RateLimitError"},
	}
	if len(events) != len(prompts)+2 { // invoke_agent and execute_tool
		t.Errorf("got %d events, want %d: %v", len(events), len(prompts)+2, events)
	}
	for _, e := range events {
		name := e.text(schema.EventAction)
		if prompt := e.text(schema.MessageContextPromptText); name == "chat" {
			if prompts[prompt] == nil {
				t.Errorf("a chat with the prompt %q", prompt)
			}
			e.want(t, name, prompts[prompt])
		}
		e.want(t, name, map[string]any{"session.id": "conv-1"})
		e.during(t, name, began, ended, 0, 0)
	}

	events, _, _ = runPython(t, k, "otel-python-older", path, model, older)
	seen := map[string]int{}
	for _, e := range events {
		seen[e.text(schema.EventAction)+" "+e.text(schema.MessageContextPromptText)+e.text(schema.GenAIToolName)]++
	}
	for _, want := range []string{"chat ", "user_message pay it", "user_message busy", "tool_call pay_invoice", "execute_tool pay_invoice"} {
		if seen[want] == 0 {
			t.Errorf("the older conventions: no event is %q: %v", want, seen)
		}
	}
}

// runPython runs the agent and returns its events, which all are those of the agent that the settings name.
func runPython(t *testing.T, k *shipping, topic, path, model string, settings []string) (events []event, began, ended time.Time) {
	t.Helper()
	b := newBridge(t)
	cmd := exec.CommandContext(t.Context(), path, "testdata/otel_agent.py", model, b.URL)
	cmd.Env = append(cmd.Environ(), settings...)
	began = time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ended = time.Now()
	events = throughBoth(t, k, topic, b.requests())
	for _, e := range events {
		e.want(t, e.text(schema.EventAction), map[string]any{
			"event.dataset": "otel.gen_ai", "ai_agent.uid": "invoice-agent", "ai_agent.uid_source": "gen_ai.agent.id", "ai_agent.instance_uid": "pod-7",
		})
		if e.text(schema.EventAction) == "execute_tool" {
			e.want(t, "execute_tool", map[string]any{
				"gen_ai.tool.name": "pay_invoice", "gen_ai.tool.call.arguments": map[string]any{"invoice": "INV-7"}, "gen_ai.tool.call.result": "paid",
				"gen_ai.tool.called": true, "gen_ai.tool.returned": true,
			})
		}
	}
	return events, began, ended
}

// environment returns the variables that a block of export commands sets.
func environment(block string) (set []string) {
	for line := range strings.Lines(block) {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == "export" {
			set = append(set, words[1])
		}
	}
	return set
}
