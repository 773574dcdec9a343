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
	"aws_waf": `{"timestamp":1777629600134,"formatVersion":1,"webaclId":"arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/w/1","te` +
		`rminatingRuleId":"Default_Action","terminatingRuleType":"REGULAR","action":"ALLOW","terminatingRuleMatchDetails":[],"h` +
		`ttpSourceName":"ALB","httpSourceId":"111122223333-app/web/1","httpRequest":{"clientIp":"203.0.113.9","country":"GR","h` +
		`eaders":[{"name":"Host","value":"api.example.org"},{"name":"user-agent","value":"agent-sdk/2"}],"uri":%s,"args":"a=1",` +
		`"httpVersion":"HTTP/2.0","httpMethod":"POST","requestId":"1-5ff"}}`,
	"gcp_load_balancer": `{"insertId":"i","jsonPayload":{"@type":"type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry","sta` +
		`tusDetails":"response_sent_by_backend","enforcedSecurityPolicy":{"name":"p","outcome":"ACCEPT"}},"httpRequest":{"reque` +
		`stMethod":"POST","requestUrl":"https://api.example.org/v1/x?a=1","requestSize":"10","status":200,"userAgent":"agent/1"` +
		`,"remoteIp":"203.0.113.9","latency":"0.01s","referer":%s},"resource":{"type":"http_load_balancer","labels":{"project_i` +
		`d":"p","backend_service_name":"pay"}},"timestamp":"2026-05-01T10:00:00Z","severity":"INFO","logName":"projects/p/logs/` +
		`requests","trace":"projects/p/traces/aa","spanId":"bb"}`,
	"confluent_audit": `{"specversion":"1.0","type":"io.confluent.kafka.server/authorization","source":"crn://confluent.cloud/kafka=lkc-1","id` +
		`":"ce-1","time":"2026-05-01T10:00:00.163Z","subject":"crn://confluent.cloud/kafka=lkc-1/topic=pay","datacontenttype":"` +
		`application/json","data":{"serviceName":"crn://confluent.cloud/kafka=lkc-1","methodName":"kafka.DeleteTopics","resourc` +
		`eName":"crn://confluent.cloud/kafka=lkc-1/topic=pay","authenticationInfo":{"principal":"User:sa-5","metadata":{"mechan` +
		`ism":"SASL_SSL/PLAIN","identifier":"key-5"}},"authorizationInfo":{"granted":true,"operation":"Delete","resourceType":"` +
		`Topic","resourceName":"pay","patternType":"LITERAL"},"request":{"correlation_id":"1","client_id":%s},"clientAddress":[` +
		`{"ip":"203.0.113.9"}]}}`,
	"aws_alb": `{"type":"https","time":"2026-05-01T10:00:01.123Z","elb":"app/web/1","client_ip":"203.0.113.9","client_port":4242,"targ` +
		`et_ip":"10.0.0.1","request_processing_time":0.0,"target_processing_time":0.045,"response_processing_time":0.0,"elb_sta` +
		`tus_code":"200","target_status_code":"200","received_bytes":34,"sent_bytes":366,"request_verb":"GET","request_url":"ht` +
		`tps://api.example.org:443/v1/x?a=1","request_proto":"HTTP/2.0","user_agent":"agent-sdk/2","target_group_arn":"arn:tg",` +
		`"trace_id":"Root=1-aa","domain_name":"api.example.org","request_creation_time":"2026-05-01T10:00:01.000Z","actions_exe` +
		`cuted":"forward","redirect_url":%s}`,
	"aws_vpc_lattice": `{"startTime":"2026-05-01T10:00:00Z","serviceNetworkArn":"arn:aws:vpc-lattice:eu-west-1:111122223333:servicenetwork/sn-` +
		`1","serviceArn":"arn:aws:vpc-lattice:eu-west-1:111122223333:service/svc-1","requestMethod":"GET","requestPath":"/v1/x?` +
		`a=1","protocol":"HTTP/1.1","responseCode":200,"bytesReceived":42,"bytesSent":43,"duration":375,"sourceIpPort":"10.0.17` +
		`8.75:80","userAgent":%s,"hostHeader":"pay.example.org","callerPrincipal":"arn:aws:iam::111122223333:role/ops-agent","a` +
		`uthDeniedReason":"-"}`,
	"apisix": `{"client_ip":"203.0.113.9","route_id":"1","route_name":"items","service_id":"s1","start_time":1777629600123,"latency":` +
		`45.5,"upstream_latency":40,"apisix_latency":5.5,"upstream":"10.0.0.1:80","server":{"hostname":"h","version":"3.9.0"},"` +
		`request":{"method":"GET","uri":"/v1/items?x=1","url":"http://api.example.org:9080/v1/items?x=1","size":85,"headers":{"` +
		`user-agent":"agent-sdk/2","x-note":%s},"querystring":{"x":"1"}},"response":{"status":200,"size":118,"headers":{}},"con` +
		`sumer":{"username":"agent-5"}}`,
	"tyk": `{"method":"GET","host":"api.example.org","path":"/items/","raw_path":"/items/7","content_length":0,"user_agent":%s,"re` +
		`sponse_code":200,"api_key":"eyJvcmciOiI1In0-4242","timestamp":"2026-05-01T10:00:00.123Z","api_version":"v1","api_name"` +
		`:"Items","api_id":"a1","org_id":"o1","oauth_id":"","request_time":45,"ip_address":"203.0.113.9","alias":"agent-5"}`,
	"gravitee": `{"timestamp":1777629600123,"requestId":"r-1","transactionId":"t-1","apiId":"api-1","apiType":"proxy","planId":"p-1","a` +
		`pplicationId":"app-5","subscriptionId":"s-1","httpMethod":"GET","remoteAddress":"203.0.113.9","host":"api.example.org"` +
		`,"uri":"/v1/items?x=1","userAgent":%s,"status":200,"responseContentLength":118,"gatewayResponseTimeMs":45,"securityTyp` +
		`e":"API_KEY"}`,
	"caddy": `{"level":"info","ts":1777629600.5,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"203.` +
		`0.113.9","remote_port":"41342","client_ip":"203.0.113.9","proto":"HTTP/2.0","method":"GET","host":"api.example.org","u` +
		`ri":"/v1/items?x=1","headers":{"User-Agent":["agent-sdk/2"],"X-Request-Id":["q-1"],"X-Note":%s}},"bytes_read":0,"user_` +
		`id":"agent-5","duration":0.5,"size":10900,"status":200,"resp_headers":{"Server":["Caddy"]}}`,
	"haproxy_json": `{"client_ip":"203.0.113.9","client_port":4242,"request_date":"01/May/2026:10:00:00.123","fe_name":"https","be_name":"p` +
		`ay","server_name":"s1","time_active":45,"status_code":200,"bytes_read":1024,"term_state":"----","http_method":"GET","h` +
		`ttp_uri":"/v1/items?x=1","http_version":"HTTP/2.0","user_agent":%s,"host":"api.example.org","user":"agent-5"}`,
	"databricks_audit": `{"version":"2.0","timestamp":1777629600123,"workspaceId":"w-1","sourceIPAddress":"203.0.113.9","userAgent":"agent-sdk/` +
		`2","sessionId":"s-1","userIdentity":{"email":"5f6e0b0a-aaaa-bbbb-cccc-000000000001"},"serviceName":"secrets","actionNa` +
		`me":"getSecret","requestId":"r-1","requestParams":{"scope":"prod","key":"db","commandText":%s},"response":{"statusCode` +
		`":200,"errorMessage":null,"result":null},"auditLevel":"WORKSPACE_LEVEL","accountId":"a-1"}`,
	"snowflake": `{"QUERY_ID":"q-1","QUERY_TYPE":"SELECT","USER_NAME":"AGENT_5","QUERY_TEXT":%s,"DATABASE_NAME":"PAY","SCHEMA_NAME":"PUB` +
		`LIC","SESSION_ID":42,"ROLE_NAME":"AGENT","WAREHOUSE_NAME":"WH","EXECUTION_STATUS":"SUCCESS","ERROR_CODE":null,"START_T` +
		`IME":"2026-05-01 10:00:00.123 +0000","TOTAL_ELAPSED_TIME":45,"BYTES_WRITTEN_TO_RESULT":100}`,
	"vault_audit": `{"time":"2026-05-01T10:00:00.123456789Z","type":"response","auth":{"client_token":"hmac-sha256:aa","accessor":"hmac-sh` +
		`a256:bb","display_name":"approle","policies":["agent"],"metadata":{"role_name":"agent-5"},"entity_id":"e-5","token_typ` +
		`e":"service"},"request":{"id":"r-1","operation":"read","mount_type":"kv","mount_point":"secret/","path":"secret/data/d` +
		`b","remote_address":"203.0.113.9","namespace":{"id":"root"}},"response":{"mount_type":"kv","data":{"x":"hmac-sha256:cc` +
		`","note":%s}}}`,
	"slack_audit": `{"id":"a-1","date_create":1777629600,"action":"file_downloaded","actor":{"type":"app","app":{"id":"A5","name":"agent-5` +
		`"}},"entity":{"type":"file","file":{"id":"F1","name":"q1.csv","title":%s}},"context":{"location":{"type":"workspace","` +
		`id":"T1","name":"acme","domain":"acme"},"ua":"agent-sdk/2","session_id":42,"ip_address":"203.0.113.9"}}`,
	"google_workspace": `{"kind":"admin#reports#activity","id":{"time":"2026-05-01T10:00:00.123Z","uniqueQualifier":"-123","applicationName":"d` +
		`rive","customerId":"C1"},"etag":%s,"actor":{"callerType":"USER","email":"agent-5@example.org","profileId":"p-5"},"ipAd` +
		`dress":"203.0.113.9","events":[{"type":"access","name":"download","parameters":[{"name":"doc_title","value":"q1"}]}]}`,
	"falco": `{"hostname":"node-1","output":"10:00:00.123: Notice A shell was spawned","priority":"Notice","rule":"Terminal shell in` +
		` container","source":"syscall","tags":["T1059","container"],"time":"2026-05-01T10:00:00.123456789Z","uuid":"u-1","outp` +
		`ut_fields":{"container.id":"c1","container.name":"agent-5","container.image.repository":"acme/agent","k8s.ns.name":"ag` +
		`ents","k8s.pod.name":"agent-5-x","proc.cmdline":%s,"user.name":"root"}}`,
	"litellm_spend_logs": `{"request_id":"r1","call_type":"acompletion","api_key":"88dc28d0f030c55ed4ab77ed8faf0981","spend":0.1,"startTime":"2026-05-` +
		`01T10:00:00Z","endTime":"2026-05-01T10:00:01Z","model":"gpt-5","user":"u","metadata":{"user_api_key_alias":"bot"},"mess` +
		`ages":[{"role":"user","content":%s}],"response":null,"session_id":"s1","status":"success"}`,
	"coding_agent_hooks": `{"hook_event_name":"PreToolUse","session_id":"s1","tool_name":"Bash","tool_input":{"command":%s},"tool_use_id":"t1","user_` +
		`email":"a@b.example","timestamp":"2026-05-01T10:00:00Z"}`,
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
