package capture_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

func TestCaptureItem(t *testing.T) {
	r := capturetest.Rule(rules.KindNone)
	r.Key = rules.FieldOperands(schema.AIAgentUID, schema.SessionID)
	r.Roles[0].Key = r.Key
	e := capturetest.Event(t, map[string]schema.Value{
		"session.id": schema.StringValue("s1"), "event.id": schema.StringValue("e1"), "event.duration": schema.IntValue(2e9),
	})
	items, missing := capturetest.Take(t, r, e, 1)
	if len(items) != 1 || missing != 0 {
		t.Fatalf("got %d items, %d missing", len(items), missing)
	}
	it := items[0]
	if it.Rule != 4 || it.Time != 7e9 || it.Role != 0 || it.Roles != 1 || !it.Counted || it.ID != e.Identity() {
		t.Errorf("got %+v", it)
	}
	if want := "a1\x00\x01s1\x00\x01"; it.Key != want {
		t.Errorf("key: got %q, want %q", it.Key, want)
	}
	if want := "a1\x00\x01"; it.Group != want {
		t.Errorf("group: got %q, want %q", it.Group, want)
	}
}

func TestCaptureMissing(t *testing.T) {
	f := func(r *rules.Rule, clear schema.Field, wantItems, wantMissing int) {
		t.Helper()
		e := capturetest.Event(t, map[string]schema.Value{"gen_ai.tool.name": schema.StringValue("shell")})
		e.Clear(clear)
		items, missing := capturetest.Take(t, r, e, 1)
		if len(items) != wantItems || missing != wantMissing {
			t.Errorf("without %s: got %d items, %d missing, want %d, %d", clear, len(items), missing, wantItems, wantMissing)
		}
	}
	distinct := capturetest.Rule(rules.KindDistinct)
	distinct.Distinct = &rules.Distinct{Of: rules.FieldOperands(schema.GenAIToolName), Count: 2, Within: time.Minute}
	optional := capturetest.Rule(rules.KindNone)
	optional.KeyOptional = true
	f(capturetest.Rule(rules.KindNone), schema.Time, 0, 1)
	f(capturetest.Rule(rules.KindNone), schema.AIAgentUID, 0, 1)
	f(capturetest.Rule(rules.KindNone), schema.GenAIToolName, 1, 0)
	f(distinct, schema.GenAIToolName, 0, 1)
	f(distinct, schema.SessionID, 1, 0)
	f(optional, schema.AIAgentUID, 1, 0)
}

func TestCaptureKeys(t *testing.T) {
	f := func(field string, v schema.Value, want string) {
		t.Helper()
		r := capturetest.Rule(rules.KindNone)
		key, _ := schema.FieldByName(field)
		r.Key = rules.FieldOperands(key)
		r.Roles[0].Key = r.Key
		items, _ := capturetest.Take(t, r, capturetest.Event(t, map[string]schema.Value{field: v}), 1)
		if len(items) != 1 || items[0].Key != want+"\x00\x01" || items[0].Group != items[0].Key {
			t.Errorf("%s: got %+v, want the key %q", field, items, want)
		}
	}
	f("session.id", schema.StringValue("a\x00b"), "a\x00\xffb")
	f("http.response.status_code", schema.IntValue(403), "403")
	f("gen_ai.usage.cost", schema.DoubleValue(0.25), "0.25")
	f("time", schema.TimestampValue(0), "1970-01-01T00:00:00Z")
	f("gen_ai.response.finish_reasons", schema.ListValue(`["stop","length"]`), `["stop","length"]`)
	f("gen_ai.tool.call.arguments", schema.JSONValue(`{"b": 1, "a": [2.0, "<"]}`), `{"a":[2.0,"<"],"b":1}`)
	f("session.id", schema.StringValue("my secret"), "my [redacted]~b9d1d013f600ec1bf16bae6a3634cad1")
	long := strings.Repeat("\u00e9", 1000)
	items, _ := capturetest.Take(t, func() *rules.Rule {
		r := capturetest.Rule(rules.KindNone)
		r.Key = rules.FieldOperands(schema.SessionID)
		r.Roles[0].Key = r.Key
		return r
	}(), capturetest.Event(t, map[string]schema.Value{"session.id": schema.StringValue(long)}), 1)
	if n := len(items[0].Key); n > 1026 || !strings.HasPrefix(items[0].Key, long[:900]) {
		t.Errorf("the key of a text of %d bytes has %d bytes", len(long), n)
	}
}

// twoSources returns a sequence rule whose steps take the key from different fields.
func twoSources() *rules.Rule {
	r := capturetest.Rule(rules.KindSequence)
	r.Sequence = &rules.Sequence{Steps: []rules.Step{{ID: "use", Times: 1}, {ID: "call", Times: 1}}, Within: time.Minute, Unless: true}
	r.Roles = []rules.Role{
		{Name: "use", Order: 1, Key: rules.FieldOperands(schema.AIAgentUID)},
		{Name: "call", Order: 2, Key: rules.FieldOperands(schema.CredentialUID)},
		{Name: "unless", Order: 0, Key: rules.FieldOperands(schema.AIAgentUID)},
	}
	return r
}

func TestCaptureJoinsRolesOfOneKey(t *testing.T) {
	f := func(credential string, roles uint32, want string, wantMissing int) {
		t.Helper()
		e := capturetest.Event(t, map[string]schema.Value{"credential.uid": schema.StringValue(credential)})
		items, missing := capturetest.Take(t, twoSources(), e, roles)
		got := ""
		for _, it := range items {
			got += fmt.Sprintf("%s:%b:%d ", strings.TrimSuffix(it.Key, "\x00\x01"), it.Roles, it.Role)
		}
		if got != want || missing != wantMissing {
			t.Errorf("credential %q, roles %b: got %q, %d missing, want %q, %d", credential, roles, got, missing, want, wantMissing)
		}
	}
	f("a1", 0b011, "a1:11:1 ", 0)
	f("a1", 0b111, "a1:111:0 ", 0)
	f("c9", 0b011, "a1:1:1 c9:10:2 ", 0)
	f("c9", 0b111, "a1:101:0 c9:10:2 ", 0)
	f("", 0b111, "a1:101:0 ", 1)
	f("", 0b010, "", 1)
	f("a1", 1<<31|1, "a1:1:1 ", 0) // the rule has no role 31
}

// mentions makes the findings of a rule show the fields, and returns the rule.
func mentions(r *rules.Rule, fields ...schema.Field) *rules.Rule {
	for _, f := range fields {
		r.Mentions = append(r.Mentions, predicate.Mention{Name: f.String(), Field: f, Raw: -1})
	}
	return r
}

func TestCaptureEvidence(t *testing.T) {
	r := mentions(capturetest.Rule(rules.KindNone), schema.HTTPResponseStatusCode, schema.GenAIToolCallArguments, schema.SessionID,
		schema.MessageContextPromptText, schema.GenAIUsageCost, schema.EventTruncated, schema.Time)
	r.Mentions = append(r.Mentions, predicate.Mention{Name: "raw.x", Raw: 0}, predicate.Mention{Name: "raw.y", Raw: 1})
	e := capturetest.Event(t, map[string]schema.Value{
		"event.id": schema.StringValue("e1"), "event.action": schema.StringValue("tools/call"), "event.outcome": schema.StringValue("failure"),
		"resource.name": schema.StringValue("bucket"), "ai_agent.name": schema.StringValue("Ann"), "session.id": schema.StringValue("s1"),
		"http.response.status_code":   schema.IntValue(403),
		"gen_ai.tool.call.arguments":  schema.JSONValue(`{"key":"secret","n":1}`),
		"message_context.prompt_text": schema.StringValue(strings.Repeat("\u00e9", 600)),
		"gen_ai.usage.cost":           schema.DoubleValue(0.5), "event.truncated": schema.BoolValue(true),
		"event.class": schema.StringValue("tool"), "gen_ai.tool.name": schema.StringValue("fetch"), "mcp.server.name": schema.StringValue("web"),
		"url.domain": schema.StringValue("api.example"), "url.path": schema.StringValue("/v1/secret"), "credential.uid": schema.StringValue("key-7"),
	})
	e.Raws, e.Tenant = []schema.Value{schema.StringValue("\xff\x1b[2J")}, "acme"
	items, _ := capturetest.Take(t, r, e, 1)
	f := fold.Late(fold.NewProgram(r), &items[0])
	if f.Tenant != "acme" || f.AgentUID != "a1" || f.AgentName != "Ann" || f.SessionID != "s1" {
		t.Errorf("subject: got %q %q %q %q", f.Tenant, f.AgentUID, f.AgentName, f.SessionID)
	}
	want := schema.Evidence{
		EventID: "e1", Identity: e.Identity(), Time: 5e9, Topic: "logs", Partition: 2, Offset: 77, Index: 1,
		Dataset: "litellm", Class: "tool", Action: "tools/call", Tool: "fetch", ToolServer: "web", Target: "api.example/v1/[redacted]",
		Resource: "bucket", Outcome: "failure", CredentialUID: "key-7",
	}
	got := f.Evidence[0]
	fields := got.Fields
	got.Fields = nil
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for name, want := range map[string]string{
		"http.response.status_code": "403", "gen_ai.tool.call.arguments": `{"key":"[redacted]","n":1}`, "session.id": "s1",
		"message_context.prompt_text": strings.Repeat("\u00e9", 512), "gen_ai.usage.cost": "0.5", "event.truncated": "true",
		"time": "1970-01-01T00:00:05Z", "raw.x": "\uFFFD\x1b[2J", "raw.y": "<nil>",
	} {
		if text := fmt.Sprintf("%v", fields[name]); text != want && fmt.Sprintf("%s", fields[name]) != want {
			t.Errorf("%s: got %s, want %s", name, text, want)
		}
	}
	if _, ok := fields["raw.y"]; ok {
		t.Error("an absent value is shown")
	}
	other := fold.Late(fold.NewProgram(mentions(capturetest.Rule(rules.KindNone), schema.SessionID)), &items[0])
	if other.Evidence[0].Fields != nil || other.Evidence[0].Action != "tools/call" {
		t.Errorf("evidence captured for other mentions shows %v", other.Evidence[0].Fields)
	}
}

func TestCaptureEvidenceIsBounded(t *testing.T) {
	r := capturetest.Rule(rules.KindNone)
	e := capturetest.Event(t, nil)
	for f := range schema.Field(schema.NumFields) {
		mentions(r, f)
		if f.Info().Type == schema.TypeString {
			e.SetText(f, strings.Repeat("x", 100_000))
		}
	}
	items, _ := capturetest.Take(t, r, e, 1)
	const subject, rest = 5 << 10, 8 << 10
	if n := len(items[0].Evidence); n < rest/2 || n > subject+rest+128 {
		t.Errorf("the evidence of a large event has %d bytes", n)
	}
	if ev := fold.Late(fold.NewProgram(r), &items[0]).Evidence[0]; len(ev.Tool) != 256 || len(ev.Target) != 256 || len(ev.Fields) == 0 {
		t.Errorf("got a tool of %d bytes, a target of %d and %d fields", len(ev.Tool), len(ev.Target), len(ev.Fields))
	}
}

// TestCaptureTarget captures the targets of events one after another with one Capturer.
func TestCaptureTarget(t *testing.T) {
	redaction := &schema.Redaction{}
	redaction.SetField(schema.ServiceTargetName, schema.Dropped)
	redact := func(s string) string {
		s = strings.ReplaceAll(s, "hooks.example/services/T1", "hooks.example/[redacted]") // known by its host
		return strings.ReplaceAll(s, "secret", "[redacted]")
	}
	c := capture.Capturer{Redact: redact, Redaction: redaction}
	r, s := capturetest.Rule(rules.KindNone), &rules.Scratch{Predicate: predicate.NewScratch()}
	p, program := capture.NewPlan(r), fold.NewProgram(r)
	f := func(domain, path, service, want string) {
		t.Helper()
		e := capturetest.Event(t, nil)
		e.SetText(schema.URLDomain, domain)
		e.SetText(schema.URLPath, path)
		e.SetText(schema.ServiceTargetName, service)
		c.BeginEvent()
		c.Capture(p, 0, e, 1, s, func(it *item.Item) {
			if got := fold.Late(program, it).Evidence[0].Target; got != want {
				t.Errorf("%q, %q, %q: got %q, want %q", domain, path, service, got, want)
			}
		})
	}
	f("", "", "", "")
	f("api.example", "", "", "api.example")
	f("api.example", "/v1", "", "api.example/v1")
	f("api.example", "/v1", "other", "api.example/v1")
	f("api.example", "v1", "", "api.example/v1")
	f("", "/v1", "", "/v1")
	f("api.example", "/secret", "", "api.example/[redacted]")
	f("hooks.example", "/services/T1", "", "hooks.example/[redacted]")
	f("", "/v1", "api.example", "/v1") // the same texts as above, in a field that is dropped
	f("", "", "api.example", "")
	redaction.SetField(schema.URLDomain, schema.Hashed)
	c = capture.Capturer{Redact: redact, Redaction: redaction}
	f("api.example", "/v1", "", schema.HashText("api.example")+"/v1")
}

// TestCaptureBranches checks that evidence names the branch of each condition that held, and that a changed rule does not
// read the branches of another condition.
func TestCaptureBranches(t *testing.T) {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		t.Fatal(err)
	}
	compile := func(text string) *predicate.Cond {
		cond, issues := env.Compile(text)
		if len(issues) > 0 {
			t.Fatal(issues)
		}
		return cond
	}
	r := capturetest.Rule(rules.KindNone)
	r.Roles[0].Cond = compile(`event.dataset == "litellm" && (event.action == "a" || event.action in ["b", "c"])`)
	e := capturetest.Event(t, map[string]schema.Value{"event.action": schema.StringValue("c")})
	items, _ := capturetest.Take(t, r, e, 1)
	reasons := func(want ...string) {
		t.Helper()
		if got := fold.Late(fold.NewProgram(r), &items[0]).Reasons; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	reasons(`event.dataset == "litellm"`, `event.action == "c"`)
	r.Roles[0].Cond = compile(`event.action == "x" || event.action in ["c", "d"]`)
	reasons(`event.action == "x" || event.action in ["c", "d"]`)
}

func TestCaptureData(t *testing.T) {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		t.Fatal(err)
	}
	failed, issues := env.Compile(`event.outcome == "failure"`)
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	f := func(set func(r *rules.Rule), kind rules.Kind, want string) {
		t.Helper()
		r := capturetest.Rule(kind)
		set(r)
		e := capturetest.Event(t, map[string]schema.Value{
			"gen_ai.usage.cost": schema.DoubleValue(1.5), "event.outcome": schema.StringValue("failure"),
			"gen_ai.tool.name": schema.StringValue("secret tool"),
		})
		e.Raws = []schema.Value{schema.DoubleValue(0.25)}
		items, _ := capturetest.Take(t, r, e, 1)
		if len(items) != 1 || items[0].Data != want {
			t.Errorf("got %q, want %q", items[0].Data, want)
		}
	}
	f(func(*rules.Rule) {}, rules.KindNone, "")
	f(func(r *rules.Rule) { r.Threshold = &rules.Threshold{Count: 3, Within: time.Minute} }, rules.KindThreshold, "")
	f(func(r *rules.Rule) {
		r.Threshold = &rules.Threshold{Sum: &rules.Sum{Of: rules.FieldOperand(schema.GenAIUsageCost)}, Within: time.Minute}
	}, rules.KindThreshold, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x59\x68\x2f\x00")
	f(func(r *rules.Rule) {
		r.Threshold = &rules.Threshold{Ratio: &rules.Ratio{Of: failed}, Within: time.Minute}
	}, rules.KindThreshold, "\x01")
	f(func(r *rules.Rule) {
		r.Threshold = &rules.Threshold{Sum: &rules.Sum{Of: rules.Operand{Name: "raw.cost", Raw: 0}}, Within: time.Minute}
	}, rules.KindThreshold, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0e\xe6\xb2\x80")
	f(func(r *rules.Rule) { r.Baseline = &rules.Baseline{Of: rules.BaselineCount} }, rules.KindBaseline, "")
	f(func(r *rules.Rule) {
		r.Baseline = &rules.Baseline{Of: rules.BaselineSum, Sum: rules.FieldOperand(schema.GenAIUsageCost)}
	}, rules.KindBaseline, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x59\x68\x2f\x00")
	f(func(r *rules.Rule) { r.Baseline = &rules.Baseline{Of: rules.BaselineRatio, Ratio: failed} }, rules.KindBaseline, "\x01")
	f(func(r *rules.Rule) {
		r.Baseline = &rules.Baseline{Of: rules.BaselineDistinct, Distinct: rules.FieldOperands(schema.GenAIToolName, schema.EventOutcome)}
	}, rules.KindBaseline, "\xe6\xee\x4d\x6f\xfe\x6c\x5e\xc8")
	f(func(r *rules.Rule) {
		r.Rarity = &rules.Rarity{Of: rules.FieldOperands(schema.GenAIToolName, schema.EventOutcome)}
	}, rules.KindRarity, "\xe6\xee\x4d\x6f\xfe\x6c\x5e\xc8[redacted] tool, failure")
	f(func(r *rules.Rule) {
		r.NewValue = &rules.NewValue{Of: rules.FieldOperands(schema.GenAIToolName, schema.EventOutcome)}
	}, rules.KindNewValue, "\xe6\xee\x4d\x6f\xfe\x6c\x5e\xc8[redacted] tool, failure")
}

// branching returns a condition with branches.
func branching(t *testing.T) *predicate.Cond {
	t.Helper()
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		t.Fatal(err)
	}
	cond, issues := env.Compile(`event.dataset in ["a", "litellm"] && (event.action == "a" || gen_ai.tool.name == "shell")`)
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	return cond
}

func TestCaptureAllocates(t *testing.T) {
	const captures = 100
	f := func(name string, r *rules.Rule, roles uint32) {
		t.Helper()
		e := capturetest.Event(t, map[string]schema.Value{
			"event.id": schema.StringValue("e1"), "session.id": schema.StringValue("s1"), "gen_ai.tool.name": schema.StringValue("shell"),
			"credential.uid": schema.StringValue("c1"), "http.response.status_code": schema.IntValue(403),
			"url.domain": schema.StringValue("api.example"), "url.path": schema.StringValue("/v1"),
		})
		p, c, s := capture.NewPlan(r), capture.Capturer{Redact: func(s string) string { return s }}, &rules.Scratch{Predicate: predicate.NewScratch()}
		n := 0
		emit := func(it *item.Item) { n += len(it.Key) }
		got := testing.AllocsPerRun(10, func() {
			for range captures {
				c.BeginEvent()
				c.Capture(p, 0, e, roles, s, emit)
			}
		})
		if got > captures/20 {
			t.Errorf("%s: %v allocations in %d captures, want one per many items", name, got, captures)
		}
	}
	none := mentions(capturetest.Rule(rules.KindNone), schema.GenAIToolName, schema.HTTPResponseStatusCode)
	none.Roles[0].Cond = branching(t)
	f("none", none, 1)
	newValue := capturetest.Rule(rules.KindNewValue)
	newValue.NewValue = &rules.NewValue{Of: rules.FieldOperands(schema.GenAIToolName, schema.HTTPResponseStatusCode)}
	f("new_value", newValue, 1)
	baseline := capturetest.Rule(rules.KindBaseline)
	baseline.Baseline = &rules.Baseline{Of: rules.BaselineDistinct, Distinct: newValue.NewValue.Of}
	f("baseline", baseline, 1)
	f("sequence of two keys", twoSources(), 0b111)
}

// TestBeginEventResets checks that the evidence of an event does not have fields of the event before.
func TestBeginEventResets(t *testing.T) {
	r := &rules.Rule{ID: "r", Version: 1, Kind: rules.KindNone, Roles: []rules.Role{{}}, Key: rules.FieldOperands(schema.AIAgentUID), KeyOptional: true,
		GroupBy: []int{0}, Mentions: []predicate.Mention{{Name: "gen_ai.tool.name", Field: schema.GenAIToolName, Raw: -1}}}
	p := capture.NewPlan(r)
	var shared capture.Capturer
	for _, tool := range []string{"one", "two"} {
		var e schema.Event
		e.SetTime(schema.Time, 1)
		e.SetText(schema.AIAgentUID, "agent of "+tool)
		e.SetText(schema.GenAIToolName, tool)
		var alone capture.Capturer
		var got, want item.Item
		shared.BeginEvent()
		shared.Capture(p, 0, &e, 1, nil, func(it *item.Item) { got = *it })
		alone.Capture(p, 0, &e, 1, nil, func(it *item.Item) { want = *it })
		if got != want {
			t.Errorf("%q after another event is captured as %q, alone as %q", tool, got.Evidence, want.Evidence)
		}
	}
}

// TestCaptureDependsOnTheEventAlone compares a Capturer that has captured other events, of all types and in repetition,
// with a new one.
func TestCaptureDependsOnTheEventAlone(t *testing.T) {
	r := mentions(capturetest.Rule(rules.KindDistinct), schema.GenAIToolName, schema.GenAIToolCallArguments)
	r.Distinct = &rules.Distinct{Of: rules.FieldOperands(schema.SessionID), Count: 2, Within: time.Hour}
	p, s := capture.NewPlan(r), &rules.Scratch{Predicate: predicate.NewScratch()}
	redact := func(s string) string { return strings.ReplaceAll(s, "secret", "[redacted]") }
	text, object := schema.StringValue, schema.JSONValue
	values := []schema.Value{
		text("a"), text("a"), object("a"), text("a"), {}, text(""), {}, text("secret"), text("secret"), schema.IntValue(7), text("7"),
		object(`{"k":"secret"}`), text(`{"k":"secret"}`), object(`{"k":"secret"}`), text(strings.Repeat("x", 200)), text("a"),
	}
	rapid.Check(t, func(rt *rapid.T) {
		shared := capture.Capturer{Redact: redact}
		for range rapid.IntRange(1, 30).Draw(rt, "events") {
			if rapid.IntRange(0, 4).Draw(rt, "batch") == 0 {
				shared.BeginBatch()
			}
			e := capturetest.Event(t, nil)
			for _, f := range []schema.Field{schema.GenAIToolName, schema.GenAIToolCallArguments} {
				e.Set(f, rapid.SampledFrom(values).Draw(rt, "value"))
			}
			e.SetText(schema.SessionID, rapid.SampledFrom([]string{"s1", "s2", strings.Repeat("s", 200)}).Draw(rt, "session"))
			alone := capture.Capturer{Redact: redact}
			var got, want item.Item
			shared.BeginEvent()
			shared.Capture(p, 0, e, 1, s, func(it *item.Item) { got = *it })
			alone.Capture(p, 0, e, 1, s, func(it *item.Item) { want = *it })
			if got != want || got.Data == "" {
				rt.Fatalf("after other events the item is %+v, alone %+v", got, want)
			}
		}
	})
}

// TestItemsKeepTheirBytes checks that later items do not overwrite the strings of earlier ones in the arena.
func TestItemsKeepTheirBytes(t *testing.T) {
	r := mentions(capturetest.Rule(rules.KindNone), schema.GenAIToolName)
	p, c, s := capture.NewPlan(r), capture.Capturer{}, &rules.Scratch{Predicate: predicate.NewScratch()}
	var items []item.Item
	tool := func(i int) string { return strings.Repeat("x", i%3000) + strconv.Itoa(i) }
	for i := range 500 {
		if i%100 == 0 {
			c.BeginBatch()
		}
		c.BeginEvent()
		e := capturetest.Event(t, map[string]schema.Value{"gen_ai.tool.name": schema.StringValue(tool(i))})
		c.Capture(p, 0, e, 1, s, func(it *item.Item) { items = append(items, *it) })
	}
	for i, it := range items {
		if want := tool(i); !strings.Contains(it.Evidence, want[:min(len(want), 1000)]) || len(want) < 1000 && !strings.HasSuffix(it.Evidence, want) {
			t.Fatalf("item %d lost the name of its tool: %q", i, it.Evidence)
		}
	}
}

// TestRedactionIsMemoised checks that the memo of clean texts saves calls of Redact and changes no result.
func TestRedactionIsMemoised(t *testing.T) {
	r := mentions(capturetest.Rule(rules.KindNone), schema.GenAIToolName)
	p, s := capture.NewPlan(r), &rules.Scratch{Predicate: predicate.NewScratch()}
	calls := 0
	c := capture.Capturer{Redact: func(s string) string {
		calls++
		return strings.ReplaceAll(s, "secret", "[redacted]")
	}}
	tool := func(i int) string {
		if i%7 == 0 {
			return "secret" + strconv.Itoa(i)
		}
		return strings.Repeat("t", i%200) + strconv.Itoa(i)
	}
	for i := range 4000 {
		c.BeginEvent()
		name := tool(i % 1000)
		e := capturetest.Event(t, map[string]schema.Value{"gen_ai.tool.name": schema.StringValue(name)})
		c.Capture(p, 0, e, 1, s, func(it *item.Item) {
			if want := strings.ReplaceAll(name, "secret", "[redacted]"); !strings.HasSuffix(it.Evidence, want) {
				t.Fatalf("event %d shows %q, want %q at its end", i, it.Evidence, want)
			}
		})
	}
	if calls > 4000*2 { // each event has three texts
		t.Errorf("Redact was called %d times, want at most 2 per event", calls)
	}
}
