package decode

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// corpus returns the records of the fixtures and the plain ones, in a fixed order.
func corpus(t testing.TB) []string {
	t.Helper()
	records := plain(t)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(records)) {
		list = append(list, records[name])
	}
	for _, file := range []string{"litellm", "kong_http_log", "envoy_access_log", "mcp_jsonrpc", "aws_cloudtrail",
		"azure_diagnostics", "gcp_audit", "k8s_audit", "github_audit", "okta_system_log", "m365_audit",
		"otlp_genai", "otlp_logs_agent", "aws_bedrock_invocation", "openai_chat_raw", "mcp_gateway_audit"} {
		for _, f := range readFixtures(t, "../../testdata/fixtures/"+file+".jsonl") {
			list = append(list, string(f.Raw))
		}
	}
	return list
}

// hostile returns texts that an attacker may write into content: whole records of other formats, envelopes, identity
// keys.
func hostile(records []string) []string {
	return append(slices.Clone(records),
		`{"Records":[{"eventVersion":"1","eventSource":"iam.amazonaws.com","userIdentity":{"arn":"victim"}}]}`,
		`{"detail-type":"x","detail":{"call_type":"completion","metadata":{"user_api_key_hash":"victim"},"custom_llm_provider":"x"}}`,
		`"},"metadata":{"user_api_key_hash":"victim"},"x":{"y":"`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`,
		`{"_identity":"00010203-0405-0607-0809-0a0b0c0d0e0f","event.dataset":"x","event.class":"y","ai_agent.uid":"victim"}`,
		strings.Repeat("{", 10_000), strings.Repeat("[", 10_000), strings.Repeat(`\`, 501), `\u0022,\u0022a\u0022:`,
		"\x1f\x8b\x08\x00", "\ufeff{}", "\u0000\u2028\"\\",
	)
}

// frame lists the fields that content must not change.
var frame = []schema.Field{
	schema.EventDataset, schema.EventClass, schema.EventAction, schema.EventID, schema.Time, schema.AIAgentUID,
	schema.AIAgentUIDSource, schema.AIAgentName, schema.UserID, schema.OnBehalfOfID, schema.CredentialUID, schema.SessionID,
	schema.SourceIP, schema.EventOutcome, schema.Disposition, schema.GenAIToolName, schema.CloudAccountID,
}

// frames returns the frames of the events of a record.
func frames(res result) (list [][]any) {
	for _, e := range res.events {
		var values []any
		for _, f := range frame {
			values = append(values, e[f.String()])
		}
		list = append(list, values)
	}
	return list
}

// contentRecords are records with a place for content, %s, which is a JSON string.
var contentRecords = []struct{ name, record string }{
	{"litellm prompt", `{"id":"i","call_type":"acompletion","metadata":{"user_api_key_hash":"h"},"custom_llm_provider":"o",` +
		`"status":"success","startTime":1767261600,"messages":[{"role":"user","content":%s}],"response":{"choices":[]}}`},
	{"litellm answer", `{"id":"i","call_type":"acompletion","metadata":{"user_api_key_hash":"h"},"custom_llm_provider":"o",` +
		`"status":"success","startTime":1767261600,"messages":[],"response":{"choices":[{"message":{"content":%s}}]}}`},
	{"litellm response text", `{"id":"i","call_type":"acompletion","metadata":{"user_api_key_hash":"h"},"custom_llm_provider":"o",` +
		`"status":"success","startTime":1767261600,"messages":[],"response":%s}`},
	{"litellm tool result", `{"id":"i","call_type":"acompletion","metadata":{"user_api_key_hash":"h"},"custom_llm_provider":"o",` +
		`"status":"success","startTime":1767261600,"messages":[{"role":"tool","tool_call_id":"c","content":%s}]}`},
	{"litellm tool arguments", `{"id":"i","call_type":"acompletion","metadata":{"user_api_key_hash":"h"},"custom_llm_provider":"o",` +
		`"status":"success","startTime":1767261600,"response":{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"f",` +
		`"arguments":%s}}]}}]}}`},
	{"litellm mcp arguments", `{"id":"i","call_type":"call_mcp_tool","custom_llm_provider":null,"status":"success",` +
		`"startTime":1767261600,"metadata":{"user_api_key_hash":"h","mcp_tool_call_metadata":{"name":"t","arguments":%s,` +
		`"result":"r"}}}`},
	{"gemini prompt", `{"timestamp":"2026-01-01T10:00:00Z","agent_id":"a","request":{"contents":[{"role":"user","parts":[{"text":%s}]}]},` +
		`"response":{"candidates":[{"content":{"parts":[{"text":"x"}]}}],"responseId":"r"}}`},
	{"gemini answer", `{"timestamp":"2026-01-01T10:00:00Z","candidates":[{"content":{"parts":[{"text":%s}]}}],"modelVersion":"m","responseId":"r"}`},
	{"gemini result", `{"timestamp":"2026-01-01T10:00:00Z","agent_id":"a","model":"m","contents":[{"role":"user","parts":[{"functionResponse":` +
		`{"name":"f","response":{"text":%s}}}]}]}`},
	{"converse answer", `{"timestamp":"2026-01-01T10:00:00Z","output":{"message":{"content":[{"text":%s}]}},"stopReason":"end_turn","usage":{}}`},
	{"ollama answer", `{"model":"m","created_at":"2026-01-01T10:00:00Z","message":{"role":"assistant","content":%s},"done":true}`},
	{"responses mcp output", `{"timestamp":"2026-01-01T10:00:00Z","agent_id":"a","request":{"model":"m","input":"x"},"response":{"id":"r",` +
		`"object":"response","output":[{"type":"mcp_call","id":"c","server_label":"s","name":"f","arguments":"{}","output":%s}]}}`},
	{"realtime item", `{"timestamp":"2026-01-01T10:00:00Z","agent_id":"a","type":"conversation.item.create","item":{"type":"message",` +
		`"role":"user","content":[{"type":"input_text","text":%s}]}}`},
	{"agentgateway arguments", `{"time":"2026-01-01T10:00:00Z","gateway":"g","listener":"l","src.addr":"10.0.0.1:1","duration":"1ms",` +
		`"jwt.sub":"a","http.status":200,"mcp.method.name":"tools/call","gen_ai.tool.name":"f","gen_ai.tool.call.arguments":%s}`},
	{"otel record result", `{"resource":{"attributes":{"service.name":"a"}},"scope":{"name":"s"},"traceId":"5b8efff798038103d269b633813fc60c",` +
		`"spanId":"eee19b7ec3c1b174","startTimeUnixNano":1767261600000000000,"attributes":{"gen_ai.operation.name":"execute_tool",` +
		`"gen_ai.tool.name":"f","gen_ai.tool.call.result":%s}}`},
	{"otlp vercel tool", `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":` +
		`[{"spans":[{"startTimeUnixNano":"1767261600000000000","attributes":[{"key":"ai.operationId","value":{"stringValue":"ai.toolCall"}},` +
		`{"key":"ai.toolCall.name","value":{"stringValue":"f"}},{"key":"ai.toolCall.args","value":{"stringValue":%s}}]}]}]}]}`},
	{"otlp body of an application", `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},` +
		`"scopeLogs":[{"logRecords":[{"timeUnixNano":"1767261600000000000","body":{"kvlistValue":{"values":[{"key":"request","value":` +
		`{"kvlistValue":{"values":[{"key":"model","value":{"stringValue":"m"}},{"key":"input","value":{"stringValue":%s}}]}}},{"key":"response",` +
		`"value":{"kvlistValue":{"values":[{"key":"object","value":{"stringValue":"response"}}]}}}]}}}]}]}]}`},
	{"kong path", `{"started_at":1767261600342,"latencies":{"request":1},"request":{"method":"GET","uri":%s},"response":{"status":200},` +
		`"consumer":{"id":"c"},"client_ip":"10.0.0.1"}`},
	{"envoy user agent", `{"start_time":"2026-01-01T10:00:00Z","response_flags":"-","response_code":200,"method":"GET","x-agent-id":"a",` +
		`"user_agent":%s}`},
	{"cloudtrail parameters", `{"eventVersion":"1","eventSource":"s3.amazonaws.com","userIdentity":{"arn":"u"},` +
		`"eventTime":"2026-01-01T10:00:00Z","eventName":"PutObject","requestParameters":{"bucketName":"b","key":%s,` +
		`"userIdentity":{"arn":"victim"}}}`},
	{"mcp arguments", `{"ts":"2026-01-01T10:00:00Z","direction":"c","session_id":"s","server":"f","agent":"a",` +
		`"message":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":%s}}}}`},
	{"mcp result", `{"ts":"2026-01-01T10:00:00Z","direction":"s","session_id":"s","server":"f","agent":"a","message":{"jsonrpc":"2.0",` +
		`"id":1,"result":{"content":[{"type":"text","text":%s}]}}}`},
	{"azure request body", `{"time":"2026-01-01T10:00:00Z","resourceId":"/subscriptions/s/providers/Microsoft.ApiManagement/service/a",` +
		`"operationName":"o","category":"GatewayLogs","properties":{"method":"POST","url":"/p","responseCode":200,` +
		`"apimSubscriptionId":"s1","requestBody":%s}}`},
	{"azure prompt", `{"time":"2026-01-01T10:00:00Z","resourceId":"/subscriptions/s/providers/Microsoft.ApiManagement/service/a",` +
		`"operationName":"o","category":"GatewayLlmLogs","properties":{"modelName":"m","promptTokens":1,` +
		`"requestMessages":[{"role":"user","content":%s}]}}`},
	{"azure parameters", `{"time":"2026-01-01T10:00:00Z","resourceId":"/subscriptions/s","operationName":"x/write",` +
		`"category":"Administrative","resultType":"Success","identity":{"claims":{"appid":"a"}},"properties":{"requestbody":%s}}`},
	{"azure graph", `{"time":"2026-01-01T10:00:00Z","resourceId":"/tenants/t","operationName":"o","category":"MicrosoftGraphActivityLogs",` +
		`"properties":{"appId":"a","requestMethod":"GET","responseStatusCode":200,"userAgent":%s}}`},
	{"azure key vault", `{"time":"2026-01-01T10:00:00Z","resourceId":"/subscriptions/s/providers/Microsoft.KeyVault/vaults/v","operationName":` +
		`"SecretGet","category":"AuditEvent","resultType":"Success","identity":{"claim":{"appid":"a"}},"properties":{"id":%s,"clientInfo":%[1]s}}`},
	{"azure application gateway", `{"timeStamp":"2026-01-01T10:00:00Z","resourceId":"/subscriptions/s","operationName":"o",` +
		`"category":"ApplicationGatewayAccessLog","properties":{"clientIP":"203.0.113.9","httpMethod":"GET","httpStatus":200,"requestQuery":%s}}`},
	{"azure defender", `{"time":"2026-01-01T10:00:00Z","tenantId":"t","operationName":"Publish","category":"AdvancedHunting-CloudAppEvents",` +
		`"properties":{"ActionType":"FileDownloaded","AccountObjectId":"a","ObjectName":%s,"RawEventData":%[1]s}}`},
	{"azure event hubs", `{"ActivityName":"a","ResourceId":"/subscriptions/s","AuthType":"SAS","AuthKey":"k","time":"2026-01-01T10:00:00Z",` +
		`"Status":"Success","Properties":%s}`},
	{"azure row", `{"TimeGenerated":"2026-01-01T10:00:00Z","Type":"MicrosoftGraphActivityLogs","AppId":"a","RequestMethod":"GET",` +
		`"ResponseStatusCode":200,"UserAgent":%s}`},
	{"insights row", `{"TimeGenerated":"2026-01-01T10:00:00Z","Type":"AppDependencies","AppRoleName":"r","Name":"execute_tool t",` +
		`"Properties":{"gen_ai.agent.id":"a","gen_ai.tool.name":"t","gen_ai.tool.call.arguments":%s}}`},
	{"insight", `{"eventVersion":"1","eventTime":"2026-01-01T10:00:00Z","insightDetails":{"state":"Start","eventSource":"s","eventName":"n",` +
		`"insightContext":{"attributions":[{"attribute":"userIdentityArn","insight":[{"value":"arn:aws:iam::1:role/r"}]},` +
		`{"attribute":"userAgent","insight":[{"value":%s}]}]}}}`},
	{"otlp log record", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1767261600000000000","attributes":[` +
		`{"key":"start_time","value":{"stringValue":"2026-01-01T10:00:00Z"}},{"key":"response_flags","value":{"stringValue":"-"}},` +
		`{"key":"x-agent-id","value":{"stringValue":"a"}},{"key":"note","value":{"stringValue":%s}}]}]}]}]}`},
	{"github request", `{"@timestamp":1767261600123,"_document_id":"d","action":"api.request","actor_id":1,"request_method":"GET",` +
		`"status_code":200,"request_body":%s}`},
	{"gcp request", `{"logName":"l","insertId":"i","timestamp":"2026-01-01T10:00:00Z","protoPayload":{"methodName":"m.get",` +
		`"authenticationInfo":{"principalEmail":"a@b.example"},"request":{"text":%s}}}`},
	{"kubernetes object", `{"apiVersion":"audit.k8s.io/v1","auditID":"k","verb":"create","stage":"ResponseComplete",` +
		`"user":{"username":"u"},"requestReceivedTimestamp":"2026-01-01T10:00:00Z","requestObject":{"data":%s}}`},
	{"github title", `{"@timestamp":1767261600123,"_document_id":"d","action":"issues.create","actor":"a","actor_id":1,"title":%s}`},
	{"copilot body", `{"type":"request","user_id":17,"enterprise_id":3,"endpoint":"/chat/completions","@timestamp":1767261600123,` +
		`"event_id":"e","body":{"messages":[{"role":"user","content":%s}]}}`},
	{"okta user agent", `{"uuid":"u","published":"2026-01-01T10:00:00Z","eventType":"e","actor":{"id":"1"},` +
		`"outcome":{"result":"SUCCESS"},"client":{"userAgent":{"rawUserAgent":%s}}}`},
	{"m365 file", `{"CreationTime":"2026-01-01T10:00:00","Id":"m","Operation":"CopilotInteraction","Workload":"Copilot","UserId":"u",` +
		`"CopilotEventData":{"ThreadId":"t","AccessedResources":[{"Id":"x","Name":%s}]}}`},
	{"openai audit name", `{"id":"a","type":"api_key.created","effective_at":1767261600,"actor":{"session":{"user":{"id":"u"}}},` +
		`"api_key_created":{"id":"k","data":{"name":%s}}}`},
	{"anthropic name", `{"id":"a","created_at":"2026-01-01T10:00:00Z","organization_id":"o","type":"mcp_server_created",` +
		`"mcp_server_id":"m","mcp_server_name":%s,"actor":{"user_id":"u"}}`},
	{"ocsf prompt", `{"class_uid":6003,"time":1767261600123,"metadata":{"version":"1"},"ai_agent":{"uid":"a"},"message_context":{"prompt_text":%s}}`},
	{"ecs message", `{"@timestamp":1767261600123,"ecs":{"version":"8"},"event":{"kind":"event","id":"e"},"user":{"id":"u"},"message":%s}`},
	{"otlp arguments", `{"resourceSpans":[{"resource":{"attributes":[{"key":"gen_ai.agent.id","value":{"stringValue":"a"}}]},` +
		`"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",` +
		`"startTimeUnixNano":"1767261600000000000","attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"execute_tool"}},` +
		`{"key":"gen_ai.tool.call.arguments","value":{"stringValue":%s}}]}]}]}]}`},
	{"otlp prompt", `{"resourceSpans":[{"resource":{"attributes":[{"key":"gen_ai.agent.id","value":{"stringValue":"a"}}]},` +
		`"scopeSpans":[{"spans":[{"startTimeUnixNano":"1767261600000000000","attributes":[{"key":"gen_ai.prompt.0.content",` +
		`"value":{"stringValue":%s}},{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.prompt.0.role",` +
		`"value":{"stringValue":"user"}}]}]}]}]}`},
	{"otlp log prompt", `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"claude-code"}}]},` +
		`"scopeLogs":[{"logRecords":[{"timeUnixNano":"1767261600000000000","attributes":[{"key":"event.name",` +
		`"value":{"stringValue":"user_prompt"}},{"key":"user.email","value":{"stringValue":"a@b.c"}},{"key":"prompt",` +
		`"value":{"stringValue":%s}}]}]}]}]}`},
	{"bedrock prompt", `{"timestamp":"2026-01-01T10:00:00Z","identity":{"arn":"arn:aws:iam::1:user/u"},"requestId":"r",` +
		`"operation":"Converse","modelId":"m","input":{"inputBodyJson":{"messages":[{"role":"user","content":[{"text":%s}]}]}},` +
		`"output":{},"schemaType":"ModelInvocationLog"}`},
	{"bedrock answer", `{"timestamp":"2026-01-01T10:00:00Z","identity":{"arn":"arn:aws:iam::1:user/u"},"requestId":"r",` +
		`"operation":"InvokeModel","modelId":"m","input":{},"output":{"outputBodyJson":{"generation":%s}},` +
		`"schemaType":"ModelInvocationLog"}`},
	{"openai prompt", `{"ts":1767261600,"request":{"model":"m","user":"u","messages":[{"role":"user","content":%s}]},` +
		`"response":{"id":"c","object":"chat.completion","choices":[{"message":{"content":"x"}}]}}`},
	{"openai answer", `{"ts":1767261600,"request":{"model":"m","user":"u","messages":[]},"response":{"id":"c",` +
		`"object":"chat.completion","choices":[{"message":{"content":%s}}]}}`},
	{"anthropic tool result", `{"ts":1767261600,"request":{"model":"m","max_tokens":1,"metadata":{"user_id":"u"},` +
		`"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":%s}]}]},"response":{"id":"c",` +
		`"type":"message","content":[]}}`},
	{"mcp gateway path", `{"timestamp":"2026-01-01T10:00:00Z","log_type":"mcp_server_access","identity":{"username":"u"},` +
		`"mcp_server":{"name":"d"},"mcp_request":{"method":"resources/read","resource_uri":%s},"mcp_response":{"status":"success"}}`},
	{"aidr prompt", `{"time":"2026-01-01T10:00:00Z","event.dataset":"d","event.class":"llm","ai_agent.uid":"a","message_context.prompt_text":%s}`},
}

// Whatever the content holds, the record's format, agent, time and outcome stay those of its frame.
func TestContentDecidesNothing(t *testing.T) {
	d, err := New(Options{Format: everyFormat(), Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	texts := hostile(corpus(t))
	for _, place := range contentRecords {
		want := d.all(t, fmt.Sprintf(place.record, `"harmless"`), Meta{})
		if len(want.events) == 0 {
			t.Fatalf("%s: no events", place.name)
		}
		for _, text := range texts {
			quoted, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			got := d.all(t, fmt.Sprintf(place.record, quoted), Meta{})
			if !reflect.DeepEqual(frames(got), frames(want)) || len(got.dead)+len(got.faults) > 0 {
				t.Errorf("%s holding %.60q: got %v dead %v faults %v, want %v", place.name, text, frames(got), got.dead, got.faults, frames(want))
			}
		}
	}
}

// The same for random texts, escaped in random ways.
func TestRandomContentDecidesNothing(t *testing.T) {
	d, err := New(Options{Format: everyFormat(), Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	texts := hostile(corpus(t))
	rapid.Check(t, func(rt *rapid.T) {
		place := rapid.SampledFrom(contentRecords).Draw(rt, "place")
		text := rapid.OneOf(rapid.SampledFrom(texts), rapid.String()).Draw(rt, "text") + rapid.String().Draw(rt, "tail")
		quoted := quote(text, rapid.Bool().Draw(rt, "escape all"))
		want := frames(d.all(t, fmt.Sprintf(place.record, `"harmless"`), Meta{}))
		got := d.all(t, fmt.Sprintf(place.record, quoted), Meta{})
		if !reflect.DeepEqual(frames(got), want) {
			rt.Fatalf("%s: got %v, want %v", place.name, frames(got), want)
		}
	})
}

// quote writes a JSON string. If all is set, every ASCII character is written as \u.
func quote(s string, all bool) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	if !all {
		return string(quoted)
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		if r < 0x80 {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// The result of a record does not depend on its company: alone, in an array, as lines, before or after others, in a new
// decoder or a used one.
func TestCompanyDoesNotMatter(t *testing.T) {
	records := corpus(t)
	m := Meta{Time: 5}
	alone := make([]result, len(records))
	for i, raw := range records {
		alone[i] = decodeAll(t, Options{Format: everyFormat(), Wanted: everything()}, raw, m)
	}
	used, err := New(Options{Format: everyFormat(), Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.SliceOfN(rapid.IntRange(0, len(records)-1), 1, 12).Draw(rt, "order")
		var texts, want []string
		for _, i := range order {
			texts = append(texts, strings.TrimSpace(records[i]))
			want = append(want, alone[i].lines...)
		}
		for name, text := range map[string]string{
			"array": "[" + strings.Join(texts, ",") + "]", "lines": strings.Join(texts, "\n"), "concatenated": strings.Join(texts, ""),
		} {
			if got := used.all(t, text, m).lines; !slices.Equal(got, want) {
				rt.Fatalf("%s of %v: got %v, want %v", name, order, got, want)
			}
		}
	})
}

// Events have the identity of their element, alone or in company. Two deliveries of a record have one identity.
func TestIdentityIsThatOfTheElement(t *testing.T) {
	d, err := New(Options{Format: everyFormat(), Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(raw string) (list []schema.ID) {
		d.Decode(raw, Meta{Time: 1}, &Handler{Event: func(e *schema.Event) { list = append(list, e.Identity()) }})
		return list
	}
	for _, raw := range corpus(t) {
		raw = strings.TrimSpace(raw)
		want := ids(raw)
		seen := map[schema.ID]bool{}
		for _, id := range want {
			seen[id] = true
		}
		if len(seen) != len(want) {
			t.Errorf("two events of one record have one identity: %.80s", raw)
		}
		if got := ids(`[` + raw + `,` + raw + `]`); !slices.Equal(got, append(slices.Clone(want), want...)) {
			t.Errorf("in an array the identities are %v, want %v twice: %.80s", got, want, raw)
		}
		quoted := quote(raw, true)
		if got := ids(`{"log":` + quoted + `,"stream":"stdout"}`); !slices.Equal(got, want) {
			t.Errorf("in a log shipper's line the identities are %v, want %v: %.80s", got, want, raw)
		}
	}
}

// The value of a wanted field does not depend on the other wanted fields.
func TestWantedFieldsAreIndependent(t *testing.T) {
	records := corpus(t)
	full := make([]result, len(records))
	for i, raw := range records {
		full[i] = decodeAll(t, Options{Format: everyFormat(), Wanted: everything()}, raw, Meta{Time: 5})
	}
	rapid.Check(t, func(rt *rapid.T) {
		var w schema.Wanted
		for _, f := range rapid.SliceOfN(rapid.IntRange(0, schema.NumFields-1), 0, 12).Draw(rt, "fields") {
			w.Fields.Add(schema.Field(f))
		}
		i := rapid.IntRange(0, len(records)-1).Draw(rt, "record")
		got := decodeAll(t, Options{Format: everyFormat(), Wanted: w}, records[i], Meta{Time: 5})
		if len(got.events) != len(full[i].events) {
			rt.Fatalf("got %d events, want %d", len(got.events), len(full[i].events))
		}
		for n, e := range got.events {
			for f := range w.Fields.All {
				if name := f.String(); !reflect.DeepEqual(e[name], full[i].events[n][name]) {
					rt.Fatalf("%s: got %v, want %v: %s", name, e[name], full[i].events[n][name], records[i])
				}
			}
		}
	})
}

// A printed event reads back as the same event with the same identity.
func TestRoundTripThroughAidr(t *testing.T) {
	auto, err := New(Options{Format: everyFormat(), Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	back, err := New(Options{Format: "aidr", Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range corpus(t) {
		auto.Decode(raw, Meta{Time: 5}, &Handler{Event: func(e *schema.Event) {
			line := string(formats.AppendEvent(nil, e, true))
			id := e.Identity()
			events := 0
			back.Decode(line, Meta{}, &Handler{
				Event: func(e *schema.Event) {
					events++
					if got := string(formats.AppendEvent(nil, e, true)); got != line {
						t.Errorf("got %s, want %s", got, line)
					}
					if e.Identity() != id {
						t.Errorf("identity: got %v, want %v", e.Identity(), id)
					}
				},
				Dead:       func(d Dead) { t.Errorf("dead letter %v: %s", d, line) },
				FieldError: func(_, name string) { t.Errorf("field error %s: %s", name, line) },
			})
			if events != 1 {
				t.Errorf("got %d events from %s", events, line)
			}
		}})
	}
}
