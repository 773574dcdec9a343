package decode

import (
	"errors"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// overrideOf returns an override for one dataset that reads one raw path.
func overrideOf(dataset string, path []string, eval func(*schema.Event) (string, error)) *Override {
	return &Override{
		Wanted: schema.Wanted{Raw: [][]string{path}},
		Open: func() map[string]func(*schema.Event) (string, error) {
			return map[string]func(*schema.Event) (string, error){dataset: eval}
		},
	}
}

const kongRecord = `{"latencies":{"request":1},"request":{"method":"GET","uri":"/a","headers":{"x-agent":"invoice-bot","x-team":"billing"}},` +
	`"response":{"status":200},"service":{"name":"s"},"consumer":{"id":"c-1","username":"bot"},"client_ip":"192.0.2.7","started_at":1767225600000}`

func TestOverrideNamesTheAgent(t *testing.T) {
	byHeader := func(e *schema.Event) (string, error) {
		if len(e.Raws) != 1 {
			t.Errorf("got %d raw values, want the override's own", len(e.Raws))
		}
		return e.Raws[0].Text, nil
	}
	f := func(o Options, record, uid, source string) {
		t.Helper()
		o.Wanted = schema.Wanted{Raw: [][]string{{"request", "headers", "x-team"}}}
		d, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		events, faults := 0, []string{}
		h := &Handler{
			Event: func(e *schema.Event) {
				events++
				if got := e.Text(schema.AIAgentUID); got != uid {
					t.Errorf("ai_agent.uid: got %q, want %q", got, uid)
				}
				if got := e.Text(schema.AIAgentUIDSource); got != source {
					t.Errorf("ai_agent.uid_source: got %q, want %q", got, source)
				}
				if len(e.Raws) != 1 || e.Raws[0].Text != "billing" {
					t.Errorf("the rules' raw values: got %v", e.Raws)
				}
			},
			FieldError: func(dataset, name string) { faults = append(faults, dataset+" "+name) },
		}
		d.Decode(record, Meta{}, h)
		if events != 1 || len(faults) > 0 {
			t.Errorf("got %d events and faults %v, want 1 and none", events, faults)
		}
		silent := &Handler{Event: func(*schema.Event) {}}
		if n := testing.AllocsPerRun(50, func() { d.Decode(record, Meta{}, silent) }); n != 0 {
			t.Errorf("got %v allocations per record, want 0", n)
		}
	}
	header := []string{"request", "headers", "x-agent"}
	f(Options{}, kongRecord, "c-1", "consumer.id")
	f(Options{Override: overrideOf("kong.http_log", header, byHeader)}, kongRecord, "invoice-bot", OverrideRung)
	f(Options{Override: overrideOf("kong.http_log", header, byHeader)}, strings.Replace(kongRecord, "x-agent", "x-other", 1), "c-1", "consumer.id")
	f(Options{Override: overrideOf("litellm", header, byHeader)}, kongRecord, "c-1", "consumer.id")

	registry := func(dataset, uid string) string {
		if dataset == "kong.http_log" && (uid == "invoice-bot" || uid == "c-1") {
			return "agent-1"
		}
		return ""
	}
	f(Options{Aliases: registry}, kongRecord, "agent-1", "consumer.id")
	f(Options{Aliases: registry, Override: overrideOf("kong.http_log", header, byHeader)}, kongRecord, "agent-1", OverrideRung)
}

// A declared id refines the principal's id only if the registry lists it under the principal or the source is trusted.
func TestDeclaredIDRefinesOnlyIfKnown(t *testing.T) {
	const record = `{"id":"r","call_type":"acompletion","status":"success","custom_llm_provider":"openai","startTime":1767225600,` +
		`"agent_id":"runner","metadata":{"user_api_key_hash":"key"}}`
	names := func(m map[string]string) func(_, uid string) string {
		return func(_, uid string) string { return m[uid] }
	}
	cases := []struct {
		name          string
		o             Options
		uid, declared string
	}{
		{"no registry", Options{}, "key", "runner"},
		{"an agent of that name elsewhere", Options{
			Aliases: names(map[string]string{"runner": "victim", "x\x00runner": "victim", "key/runner": "victim"}),
		}, "key", "runner"},
		{"listed under the principal", Options{Aliases: names(map[string]string{"key\x00runner": "key/runner"})}, "key/runner", ""},
		{"an alias", Options{Aliases: names(map[string]string{"key\x00runner": "night-run"})}, "night-run", ""},
		{"under the principal's name in the registry", Options{
			Aliases: names(map[string]string{"key": "billing", "billing\x00runner": "billing/runner"}),
		}, "billing/runner", ""},
		{"under the principal's name in the log", Options{
			Aliases: names(map[string]string{"key": "billing", "key\x00runner": "night-run"}),
		}, "night-run", ""},
		{"trusted", Options{TrustDeclared: true}, "key/runner", ""},
		{"trusted, with the principal's name in the registry", Options{TrustDeclared: true, Aliases: names(map[string]string{"key": "billing"})},
			"billing/runner", ""},
		{"the site's expression", Options{TrustDeclared: true, Override: overrideOf("litellm", []string{"id"},
			func(*schema.Event) (string, error) { return "site", nil })}, "site", "runner"},
	}
	for _, c := range cases {
		c.o.Wanted = everything()
		res := decodeAll(t, c.o, record, Meta{})
		if len(res.events) == 0 {
			t.Fatalf("%s: no events", c.name)
		}
		declared, _ := res.events[0]["ai_agent.declared_uid"].(string)
		if res.events[0]["ai_agent.uid"] != c.uid || declared != c.declared {
			t.Errorf("%s: got %v and %q, want %q and %q", c.name, res.events[0]["ai_agent.uid"], declared, c.uid, c.declared)
		}
		d, err := New(c.o)
		if err != nil {
			t.Fatal(err)
		}
		silent := &Handler{Event: func(*schema.Event) {}}
		if n := testing.AllocsPerRun(50, func() { d.Decode(record, Meta{}, silent) }); n != 0 {
			t.Errorf("%s: got %v allocations per record, want 0", c.name, n)
		}
	}
}

// If an override fails, the error is reported and the ladder's own rung counts.
func TestOverrideFails(t *testing.T) {
	o := Options{Wanted: everything(), Override: overrideOf("kong.http_log", []string{"a"}, func(*schema.Event) (string,
		error) {
		return "x", errors.New("no")
	})}
	res := decodeAll(t, o, kongRecord, Meta{})
	if len(res.events) != 1 || res.events[0]["ai_agent.uid"] != "c-1" {
		t.Errorf("got %v", res.events)
	}
	if got := strings.Join(res.faults, ","); got != "kong.http_log identity.uid" {
		t.Errorf("field errors: got %q", got)
	}
}

// Each event of a record is finished from the fields that its reader set, never from those added to the previous event.
func TestEventsAreFinishedOnce(t *testing.T) {
	again := func(e *schema.Event) (string, error) { return e.Text(schema.AIAgentUID) + "+", nil }
	registry := func(_, uid string) string { return "agent/" + uid }
	plain := Options{Wanted: everything()}
	many := 0
	for _, file := range []string{"litellm.jsonl", "kong_http_log.jsonl"} {
		for _, f := range readFixtures(t, "../../testdata/fixtures/"+file) {
			before := decodeAll(t, plain, f.record(t), Meta{})
			o := plain
			o.Aliases = registry
			o.Override = &Override{Open: func() map[string]func(*schema.Event) (string, error) {
				return map[string]func(*schema.Event) (string, error){"litellm": again, "kong.http_log": again}
			}}
			o.Enrich = func() func(*schema.Event) {
				return func(e *schema.Event) { e.SetInt(schema.SourceASNumber, e.Int(schema.SourceASNumber)+1) }
			}
			after := decodeAll(t, o, f.record(t), Meta{})
			if len(before.events) != len(after.events) {
				t.Fatalf("%s: got %d events, want %d", f.Name, len(after.events), len(before.events))
			}
			for i, e := range before.events {
				uid, _ := e["ai_agent.uid"].(string)
				if got := after.events[i]["ai_agent.uid"]; got != "agent/"+uid+"+" {
					t.Errorf("%s: event %d: got %v, want agent/%s+", f.Name, i, got, uid)
				}
				if got := after.events[i]["source.as.number"]; got != 1.0 {
					t.Errorf("%s: event %d: got AS %v, want 1", f.Name, i, got)
				}
			}
			if len(before.events) > 1 {
				many++
			}
		}
	}
	if many == 0 {
		t.Errorf("no record gives more than one event: the test shows nothing")
	}
}
