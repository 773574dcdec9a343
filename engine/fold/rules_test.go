package fold_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// event returns an event with some fields and those given by name.
func event(t testing.TB, fields map[string]schema.Value) *schema.Event {
	t.Helper()
	e := &schema.Event{Record: `{"a":1}`, Pos: schema.Position{Topic: "logs", Partition: 2, Offset: 77, Index: 1}}
	e.SetTime(schema.Time, 5e9)
	e.SetText(schema.EventDataset, "litellm")
	e.SetText(schema.AIAgentUID, "a1")
	for name, v := range fields {
		f, ok := schema.FieldByName(name)
		if !ok {
			t.Fatalf("no field %q", name)
		}
		e.Set(f, v)
	}
	return e
}

// take captures an event for the roles of a rule.
func take(t testing.TB, r *rules.Rule, e *schema.Event, roles uint32) (items []item.Item, missing int) {
	t.Helper()
	c := capture.Capturer{Redact: func(s string) string { return strings.ReplaceAll(s, "secret", "[redacted]") }}
	scratch := &rules.Scratch{Predicate: predicate.NewScratch()}
	missing = c.Capture(capture.NewPlan(r), 4, e, roles, scratch, func(it *item.Item) { items = append(items, *it) })
	return items, missing
}

// twoSources returns a sequence rule whose steps take the key from different fields.
func twoSources() *rules.Rule {
	r := rule(rules.KindSequence)
	r.Sequence = &rules.Sequence{Steps: []rules.Step{{ID: "use", Times: 1}, {ID: "call", Times: 1}}, Within: time.Minute, Unless: true}
	r.Roles = []rules.Role{
		{Name: "use", Order: 1, Key: []schema.Field{schema.AIAgentUID}},
		{Name: "call", Order: 2, Key: []schema.Field{schema.CredentialUID}},
		{Name: "unless", Order: 0, Key: []schema.Field{schema.AIAgentUID}},
	}
	return r
}

// mentions makes the findings of a rule show the fields, and returns the rule.
func mentions(r *rules.Rule, fields ...schema.Field) *rules.Rule {
	for _, f := range fields {
		r.Mentions = append(r.Mentions, predicate.Mention{Name: f.String(), Field: f, Raw: -1})
	}
	return r
}
