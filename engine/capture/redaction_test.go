package capture_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// TestCaptureRedaction checks that a dropped or hashed value is nowhere in the item: not in the key, the data or the
// evidence.
func TestCaptureRedaction(t *testing.T) {
	const prompt, email, arguments, body = "the plan of the coup", "ann@example.com", `{"path":"/plans/ann"}`, "raw body text"
	f := func(x schema.Exposure, wantKey, wantPrompt, wantRaw any) {
		t.Helper()
		r := mentions(capturetest.Rule(rules.KindNewValue),
			schema.MessageContextPromptText, schema.UserEmail, schema.GenAIToolCallArguments, schema.HTTPResponseStatusCode)
		r.Mentions = append(r.Mentions, predicate.Mention{Name: "raw.body", Raw: 0}, predicate.Mention{Name: "raw.other", Raw: 1})
		r.Key = rules.FieldOperands(schema.UserEmail)
		r.Roles[0].Key = r.Key
		r.NewValue = &rules.NewValue{Of: rules.FieldOperands(schema.GenAIToolCallArguments), Learn: time.Second, Forget: time.Hour, MaxValues: 9}
		e := capturetest.Event(t, map[string]schema.Value{
			"message_context.prompt_text": schema.StringValue(prompt), "user.email": schema.StringValue(email),
			"gen_ai.tool.call.arguments": schema.JSONValue(arguments), "http.response.status_code": schema.IntValue(403),
		})
		e.Raws = []schema.Value{schema.StringValue(body), schema.StringValue("other")}
		how := &schema.Redaction{}
		for _, field := range []schema.Field{schema.MessageContextPromptText, schema.UserEmail, schema.GenAIToolCallArguments} {
			how.SetField(field, x)
		}
		redact := func(s string) string { return strings.ReplaceAll(s, "coup", "***") }
		c := capture.Capturer{Redaction: how, Raws: []schema.Exposure{x}, Redact: redact}
		var items []item.Item
		c.Capture(capture.NewPlan(r), 0, e, 1, &rules.Scratch{Predicate: predicate.NewScratch()}, func(it *item.Item) { items = append(items, *it) })
		if len(items) != 1 {
			t.Fatalf("got %d items, want 1", len(items))
		}
		if x >= schema.Hashed {
			whole := items[0].Key + items[0].Group + items[0].Data + items[0].Evidence
			for _, text := range []string{"coup", "ann", body} {
				if strings.Contains(whole, text) {
					t.Errorf("exposure %d: %q is in the item: %q", x, text, whole)
				}
			}
		}
		fields := fold.Late(fold.NewProgram(r), &items[0]).Evidence[0].Fields
		if items[0].Key != wantKey.(string)+"\x00\x01" || fields["message_context.prompt_text"] != wantPrompt || fields["raw.body"] != wantRaw {
			t.Errorf("exposure %d: got key %q, fields %v", x, items[0].Key, fields)
		}
		if fields["http.response.status_code"] != int64(403) || fields["raw.other"] != "other" {
			t.Errorf("exposure %d of other fields: got %v", x, fields)
		}
	}
	f(schema.Redacted, email, "the plan of the ***", body)
	f(schema.Kept, email, prompt, body)
	f(schema.Hashed, schema.HashText(email), schema.HashText(prompt), schema.HashText(body))
	f(schema.Dropped, schema.HashText(email), nil, nil)
}

// TestCoreRedaction checks that the core of evidence, which shows fields that no rule mentions, exposes no more of them
// than is configured.
func TestCoreRedaction(t *testing.T) {
	const text = "open-sesame"
	fields := []schema.Field{
		schema.EventClass, schema.EventAction, schema.EventOutcome, schema.GenAIToolName, schema.MCPServerName, schema.URLDomain, schema.URLPath,
		schema.ServiceTargetName, schema.ResourceID, schema.ResourceName, schema.CredentialUID,
	}
	f := func(x schema.Exposure, isShown bool) {
		t.Helper()
		for _, skipped := range []schema.Field{0, schema.URLDomain, schema.URLPath, schema.ResourceID} { // time, or a field that hides another
			redaction, e := &schema.Redaction{}, capturetest.Event(t, nil)
			for _, field := range fields {
				redaction.SetField(field, x)
				if field != skipped {
					e.SetText(field, text)
				}
			}
			c := capture.Capturer{Redaction: redaction, Redact: func(s string) string { return strings.ReplaceAll(s, "sesame", "***") }}
			r := capturetest.Rule(rules.KindNone)
			c.Capture(capture.NewPlan(r), 0, e, 1, &rules.Scratch{Predicate: predicate.NewScratch()}, func(it *item.Item) {
				if got := strings.Contains(it.Evidence, "sesame"); got != isShown {
					t.Errorf("exposure %d without %s: the text is in the evidence: %t, want %t", x, skipped, got, isShown)
				}
			})
		}
	}
	f(schema.Redacted, false)
	f(schema.Kept, true)
	f(schema.Hashed, false)
	f(schema.Dropped, false)
}

// TestCaptureRedactionJoins checks that a sequence's `where` still joins on hashed and dropped values.
func TestCaptureRedactionJoins(t *testing.T) {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		t.Fatal(err)
	}
	where, issues := env.CompileWhere(`a.user.email == b.user.email`, []string{"a", "b"})
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	r := capturetest.Rule(rules.KindSequence)
	r.Sequence = &rules.Sequence{Steps: []rules.Step{{ID: "a", Times: 1}, {ID: "b", Times: 1}}, Within: time.Hour, Where: where}
	r.Roles = []rules.Role{{Name: "a", Order: 1, Key: r.Key}, {Name: "b", Order: 2, Key: r.Key}}
	how := &schema.Redaction{}
	how.SetField(schema.UserEmail, schema.Dropped)
	data := func(email string) string {
		c := capture.Capturer{Redaction: how}
		var items []item.Item
		e := capturetest.Event(t, map[string]schema.Value{"user.email": schema.StringValue(email)})
		c.Capture(capture.NewPlan(r), 0, e, 1, &rules.Scratch{Predicate: predicate.NewScratch()}, func(it *item.Item) { items = append(items, *it) })
		return items[0].Data
	}
	if a, b := data("ann@example.com"), data("ann@example.com"); a != b || a == "" || strings.Contains(a, "ann") {
		t.Errorf("got %q and %q, want one hash", a, b)
	}
	if data("ann@example.com") == data("bob@example.com") {
		t.Errorf("two addresses have the same data")
	}
}
