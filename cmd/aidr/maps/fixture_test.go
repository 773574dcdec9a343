package maps

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

// loaded returns the shipped maps.
func loaded(t testing.TB) *Set {
	t.Helper()
	set, problems := Load()
	for _, p := range problems {
		t.Errorf("%s\n%s", p, p.Snippet)
	}
	if set == nil {
		t.Fatal("the shipped maps do not load")
	}
	return set
}

func newDecoder(t testing.TB, set *Set) *decode.Decoder {
	t.Helper()
	d, err := decode.New(decode.Options{Format: decode.Auto, Maps: set.Maps(), Wanted: schema.Wanted{Fields: schema.AllFields()}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every shipped map loads without a warning, and its tests pass.
func TestShippedMaps(t *testing.T) {
	set := loaded(t)
	tests := 0
	err := set.Run(nil, func(r Result) {
		tests++
		if r.Diff != "" {
			t.Errorf("%s:%d: test %q\n%s", r.File.Path, r.Test.Line, r.Test.Name, r.Diff)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range set.Files {
		if len(f.Tests) < 6 || f.About == "" {
			t.Errorf("%s: it has no line about it, or %d tests are fewer than 6", f.Path, len(f.Tests))
		}
	}
	t.Logf("%d tests of %d maps", tests, len(set.Files))
}

// The hand-made samples yield exactly the expected events, and no faults.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/fixtures/maps/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	d := newDecoder(t, loaded(t))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var f struct {
				Name     string           `json:"name"`
				Raw      json.RawMessage  `json:"raw"`
				Expected []map[string]any `json:"expected"`
			}
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			test := Test{Record: string(f.Raw), Events: f.Expected}
			if diff := test.run(d); diff != "" {
				t.Errorf("%s: %s: %s", file, f.Name, diff)
			}
		}
	}
}

// records returns the records of all tests of the shipped maps, in order.
func records(t testing.TB) (list []string) {
	for _, f := range loaded(t).Files {
		for _, test := range f.Tests {
			list = append(list, test.Record)
		}
	}
	return list
}

// firsts returns the record in the first test of each shipped map, a typical record.
func firsts(t testing.TB) map[string]string {
	list := map[string]string{}
	for _, f := range loaded(t).Files {
		list[f.Map.Name] = f.Tests[0].Record
	}
	return list
}

// Decoding a record does not allocate, not even for patterns and JSON inside texts.
func TestMapsDoNotAllocate(t *testing.T) {
	d := newDecoder(t, loaded(t))
	for name, record := range firsts(t) {
		events := 0
		h := &decode.Handler{Event: func(*schema.Event) { events++ }, Dead: func(x decode.Dead) { t.Errorf("%s: %v", name, x) }}
		if n := testing.AllocsPerRun(200, func() { d.Decode(record, decode.Meta{}, h) }); n != 0 {
			t.Errorf("%s: got %v allocations a record, want 0", name, n)
		}
		if events == 0 {
			t.Errorf("%s: got no events", name)
		}
	}
}

// lines returns the printed events of a record.
func lines(d *decode.Decoder, record string) (list []string) {
	d.Decode(record, decode.Meta{}, &decode.Handler{Event: func(e *schema.Event) { list = append(list, string(formats.AppendEvent(nil, e, true))) }})
	return list
}

// A record decodes the same alone, among others, and after any earlier record.
func TestCompanyDoesNotMatter(t *testing.T) {
	used, all := newDecoder(t, loaded(t)), records(t)
	var valid, want []string
	for _, r := range all {
		if got := lines(newDecoder(t, loaded(t)), r); len(got) > 0 && strings.HasPrefix(r, "{") {
			valid, want = append(valid, r), append(want, got...)
		}
	}
	for name, text := range map[string]string{"array": "[" + strings.Join(valid, ",") + "]", "lines": strings.Join(valid, "\n")} {
		for range 2 {
			if got := lines(used, text); !slices.Equal(got, want) {
				t.Errorf("%s: got %d events %v, want %d %v", name, len(got), got, len(want), want)
			}
		}
	}
}

// frame lists the fields that the content of a record must not influence.
var frame = []schema.Field{
	schema.EventDataset, schema.EventClass, schema.EventAction, schema.Time, schema.AIAgentUID, schema.AIAgentUIDSource, schema.OnBehalfOfID,
	schema.CredentialUID, schema.SessionID, schema.SourceIP, schema.EventOutcome, schema.Disposition,
}

func frames(d *decode.Decoder, record string) (list []string) {
	d.Decode(record, decode.Meta{}, &decode.Handler{Event: func(e *schema.Event) {
		var b strings.Builder
		for _, f := range frame {
			b.WriteString(f.String() + "=" + string(schema.AppendValue(nil, e.Value(f))) + "\n")
		}
		list = append(list, b.String())
	}})
	return list
}

// contents holds a record of each map with a %s in a field whose content attackers control.
var contents = map[string]string{
	"nginx_json": `{"time":"2026-01-01T10:00:00Z","remote_addr":"192.0.2.1","remote_user":"a","request":"GET / HTTP/1.1",` +
		`"status":"200","body_bytes_sent":"1","http_referrer":%s}`,
	"aws_apigateway_access": `{"requestId":"r","requestTimeEpoch":1767261600000,"httpMethod":"GET","resourcePath":"/","path":%s,` +
		`"status":"200","apiKeyId":"a"}`,
	"cloudflare_ai_gateway": `{"id":"i","created_at":"2026-01-01T10:00:00Z","provider":"p","model":"m","tokens_in":1,"tokens_out":1,` +
		`"metadata":{"agent":"a"},"path":%s}`,
	"cloudflare_http_requests": `{"ClientIP":"192.0.2.1","EdgeStartTimestamp":1767261600,"EdgeResponseStatus":200,"RayID":"r",` +
		`"ClientMTLSAuthCertFingerprint":"a","ClientRequestUserAgent":%s}`,
	"traefik": `{"DownstreamStatus":200,"RequestMethod":"GET","RequestPath":%s,"StartUTC":"2026-01-01T10:00:00Z",` +
		`"ClientUsername":"a"}`,
	"apigee": `{"apiproxy":"p","request_verb":"GET","response_status_code":200,"timestamp":1767261600,"client_id":"a",` +
		`"useragent":%s}`,
	"portkey": `{"id":"i","trace_id":"t","created_at":"2026-01-01T10:00:00Z","ai_org":"o","ai_model":"m","req_units":1,` +
		`"metadata":{"agent_id":"a"},"request":{"body":{"messages":[{"role":"user","content":%s}]}}}`,
	"helicone": `{"request_id":"i","request_created_at":"2026-01-01T10:00:00Z","response_status":200,` +
		`"request_properties":{"Agent-Id":"a"},"response_body":{"choices":[{"message":{"content":%s}}]}}`,
	"toolhive": `{"audit_id":"i","outcome":"success","component":"c","target":{"method":"tools/call","name":"f"},"type":"mcp_tool_call",` +
		`"logged_at":"2026-01-01T10:00:00Z","subjects":{"user":"a"},"data":{"request":{"params":{"name":"f","arguments":{"q":%s}}}}}`,
	"obot": `{"id":"i","createdAt":"2026-01-01T10:00:00Z","userID":"a","mcpID":"m","callType":"tools/call","responseStatus":200,` +
		`"requestBody":{"name":"f","arguments":{"q":%s}}}`,
	"context_forge": `{"timestamp":"2026-01-01T10:00:00Z","correlation_id":"c","component":"x","tool_name":"f","user_email":"a",` +
		`"success":true,"arguments":{"q":%s}}`,
	"aws_agentcore_gateway": `{"resource_arn":"r","event_timestamp":1767261600000,"request_id":"i","body":{"isError":false,` +
		`"requestBody":{"id":1,"method":"tools/call","params":{"name":"f","arguments":{"q":%s}}}}}`,
	"aws_agentcore_runtime": `{"resource_arn":"r","event_timestamp":1767261600000,"request_id":"i","service_name":"a",` +
		`"request_payload":{"prompt":%s}}`,
}

// The content of a record never changes its format, agent, time and outcome.
func TestContentDecidesNothing(t *testing.T) {
	set := loaded(t)
	d := newDecoder(t, set)
	hostile := append(records(t),
		`"},"metadata":{"agent_id":"victim"},"x":{"y":"`, `{"Records":[{"eventVersion":"1","eventSource":"x","userIdentity":{"arn":"victim"}}]}`,
		`{"event.dataset":"x","event.class":"y","ai_agent.uid":"victim"}`,
		strings.Repeat("{", 10_000), strings.Repeat(`\`, 501), "\x00\u2028\"", "-", "null")
	built, err := filepath.Glob("../../../testdata/cases/decode/plain/*.json")
	if err != nil || len(built) == 0 {
		t.Fatalf("no records of built-in formats: %v", err)
	}
	for _, file := range built {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		hostile = append(hostile, string(text))
	}
	for _, f := range set.Files {
		place, ok := contents[f.Map.Name]
		if !ok {
			t.Fatalf("%s has no place for content here", f.Map.Name)
		}
		want := frames(d, strings.Replace(place, "%s", `"harmless"`, 1))
		if len(want) != 1 || !strings.Contains(want[0], f.Dataset) {
			t.Fatalf("%s: got %q", f.Map.Name, want)
		}
		for _, text := range hostile {
			quoted, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := frames(d, strings.Replace(place, "%s", string(quoted), 1)); !slices.Equal(got, want) {
				t.Errorf("%s holding %.60q: got %q, want %q", f.Map.Name, text, got, want)
			}
		}
	}
	if names := slices.Collect(maps.Keys(contents)); len(names) != len(set.Files) {
		t.Errorf("content of %d maps is looked at, %d are shipped", len(names), len(set.Files))
	}
}

// No record makes a decoder panic, and every event has a time, a dataset and a class.
func FuzzMaps(f *testing.F) {
	for _, r := range records(f) {
		f.Add(r)
		f.Add(r[:len(r)/2])
	}
	d := newDecoder(f, loaded(f))
	f.Fuzz(func(t *testing.T, record string) {
		d.Decode(record, decode.Meta{Time: 1}, &decode.Handler{
			Event: func(e *schema.Event) {
				if !e.Has(schema.Time) || e.Text(schema.EventDataset) == "" || e.Text(schema.EventClass) == "" {
					t.Fatalf("event without time, dataset or class: %s", formats.AppendEvent(nil, e, false))
				}
			},
			FieldError: func(dataset, name string) {
				if dataset == "" || name == "" {
					t.Fatalf("field error without a name: %q %q", dataset, name)
				}
			},
		})
	})
}

// The value of a wanted field does not depend on the other wanted fields.
func TestWantedFieldsAreIndependent(t *testing.T) {
	set, all := loaded(t), records(t)
	values := func(d *decode.Decoder, f schema.Field, record string) (list []string) {
		d.Decode(record, decode.Meta{}, &decode.Handler{Event: func(e *schema.Event) {
			list = append(list, string(schema.AppendValue(nil, e.Value(f))))
		}})
		return list
	}
	full := newDecoder(t, set)
	for f := range schema.Field(schema.NumFields) {
		var w schema.Wanted
		w.Fields.Add(f)
		alone, err := decode.New(decode.Options{Maps: set.Maps(), Wanted: w})
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range all {
			if got, want := values(alone, f, record), values(full, f, record); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q: %.100s", f, got, want, record)
			}
		}
	}
}
