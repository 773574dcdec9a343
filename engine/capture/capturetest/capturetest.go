// Package capturetest makes rules, events and items for the tests of packages capture and fold.
package capturetest

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

// Rule returns a rule with one role and one key field, whose kind has no clause yet.
func Rule(kind rules.Kind) *rules.Rule {
	return &rules.Rule{
		ID: "test.rule", Version: 3, Title: "Test", Severity: "high", Stage: rules.StageStable, Kind: kind,
		Key: rules.FieldOperands(schema.AIAgentUID), GroupBy: []int{0}, GroupFor: time.Hour,
		Roles: []rules.Role{{Key: rules.FieldOperands(schema.AIAgentUID)}},
	}
}

// Event returns an event with some fields and those given by name.
func Event(t testing.TB, fields map[string]schema.Value) *schema.Event {
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

// Take captures an event for the roles of a rule.
func Take(t testing.TB, r *rules.Rule, e *schema.Event, roles uint32) (items []item.Item, missing int) {
	t.Helper()
	c := capture.Capturer{Redact: func(s string) string { return strings.ReplaceAll(s, "secret", "[redacted]") }}
	scratch := &rules.Scratch{Predicate: predicate.NewScratch()}
	missing = c.Capture(capture.NewPlan(r), 4, e, roles, scratch, func(it *item.Item) { items = append(items, *it) })
	return items, missing
}
