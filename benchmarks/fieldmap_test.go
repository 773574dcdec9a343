package benchmarks

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

// envoyMap is a field map of Envoy's access log with the same fields as the built-in decoder, so that the two can be
// compared.
const envoyMap = `
name: envoy_map
dataset: envoy.access
class: api
keys: [start_time, response_flags]
absent: ["-"]
fields:
  time: start_time
  event.duration: {path: duration, unit: ms}
  http.request.method: [method, ':method', request_method]
  url.path: [path, ':path', x-envoy-original-path, x-envoy-origin-path, x_envoy_original_path]
  url.domain: [authority, ':authority', host]
  http.route: route_name
  service.target.name: upstream_cluster
  http.request.bytes: bytes_received
  http.response.bytes: bytes_sent
  http.response.status_code: [response_code, status]
  http.request.id: [request_id, x-request-id, x_request_id]
  trace.id: [trace_id, traceID, x-b3-traceid]
  user_agent.original: [user_agent, user-agent]
  source.ip: {path: downstream_remote_address, forwarded: [x_forwarded_for, x-forwarded-for]}
  session.id: ['session\.id', 'mcp\.session\.id']
  ai_agent.name: ['gen_ai\.agent\.name', agent_name]
  user.id: ['user\.id', user_id, x-user-id]
  gen_ai.provider.name: 'gen_ai\.provider\.name'
  gen_ai.request.model: 'gen_ai\.request\.model'
  gen_ai.response.model: 'gen_ai\.response\.model'
  gen_ai.usage.input_tokens: 'gen_ai\.usage\.input_tokens'
  gen_ai.usage.output_tokens: 'gen_ai\.usage\.output_tokens'
  gen_ai.tool.name: ['mcp\.tool\.name', 'gen_ai\.tool\.name']
  mcp.method.name: 'mcp\.method\.name'
  mcp.session.id: 'mcp\.session\.id'
  mcp.server.name: ['mcp\.provider\.name', 'mcp\.server\.name']
identity: ['gen_ai\.agent\.id', agent_id, x-agent-id, downstream_peer_uri_san, downstream_peer_subject, jwt_client_id, client_id, jwt_sub]
`

// decoders returns the built-in decoder of Envoy's access log, the decoder of envoyMap, and a record.
func decoders(tb testing.TB) (builtIn, mapped *decode.Decoder, record string) {
	tb.Helper()
	text, err := os.ReadFile("../testdata/cases/decode/plain/envoy_access_log.json")
	if err != nil {
		tb.Fatal(err)
	}
	file, problems := maps.Parse("envoy_map", []byte(envoyMap))
	if file == nil {
		tb.Fatalf("the map does not load: %v", problems)
	}
	wanted := schema.Wanted{Fields: schema.AllFields()}
	wanted.Fields.Remove(schema.AIAgentWorkflow) // of the built-in decoder, only the routes of models have one
	if builtIn, err = decode.New(decode.Options{Format: "envoy_access_log", Wanted: wanted}); err != nil {
		tb.Fatal(err)
	}
	if mapped, err = decode.New(decode.Options{Format: "envoy_map", Maps: []*decode.Map{file.Map}, Wanted: wanted}); err != nil {
		tb.Fatal(err)
	}
	return builtIn, mapped, string(text)
}

// event returns the printed event of a record.
func event(d *decode.Decoder, record string) (line string) {
	d.Decode(record, decode.Meta{}, &decode.Handler{Event: func(e *schema.Event) { line += string(formats.AppendEvent(nil, e, false)) }})
	return line
}

// A field map decodes at least half as fast as a handwritten decoder of the same fields of the same record. The two take
// turns, and the best turn of each counts, so that other load on the machine affects both alike.
func TestFieldMapSpeed(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures time")
	}
	builtIn, mapped, record := decoders(t)
	if want, got := event(builtIn, record), event(mapped, record); got != want {
		t.Fatalf("they read differently: the map gives\n%s\nthe built-in decoder\n%s", got, want)
	}
	h := &decode.Handler{Event: func(*schema.Event) {}}
	turn := func(d *decode.Decoder) time.Duration {
		const each = 2000
		began := time.Now()
		for range each {
			d.Decode(record, decode.Meta{}, h)
		}
		return time.Since(began) / each
	}
	var hand, byMap []time.Duration
	for range 25 {
		hand, byMap = append(hand, turn(builtIn)), append(byMap, turn(mapped))
	}
	ratio := float64(slices.Min(hand)) / float64(slices.Min(byMap))
	t.Logf("built in: %v a record, map: %v, which is %.2f of its speed", slices.Min(hand), slices.Min(byMap), ratio)
	if ratio < 0.5 {
		t.Errorf("the map reads at %.2f of the speed of the built-in decoder, want at least half", ratio)
	}
}

func BenchmarkFieldMap(b *testing.B) {
	builtIn, mapped, record := decoders(b)
	for name, d := range map[string]*decode.Decoder{"built-in": builtIn, "map": mapped} {
		b.Run(name, func(b *testing.B) {
			h := &decode.Handler{Event: func(*schema.Event) {}}
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				d.Decode(record, decode.Meta{}, h)
			}
		})
	}
}
