package capture_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// BenchmarkCapture measures the capture of one event for one rule:
//
//	go test ./engine/capture -run '^$' -bench Capture -count 6
func BenchmarkCapture(b *testing.B) {
	r := mentions(capturetest.Rule(rules.KindDistinct), schema.GenAIToolName, schema.EventAction, schema.SessionID, schema.HTTPResponseStatusCode)
	r.Distinct = &rules.Distinct{Of: rules.FieldOperands(schema.GenAIToolName), Count: 2}
	events := make([]*schema.Event, 64)
	for i := range events {
		events[i] = capturetest.Event(b, map[string]schema.Value{
			"event.id": schema.StringValue("event-" + strconv.Itoa(i)), "session.id": schema.StringValue("session-1"),
			"gen_ai.tool.name": schema.StringValue("tool-" + strconv.Itoa(i%5)), "event.action": schema.StringValue("tools/call"),
			"http.response.status_code": schema.IntValue(200),
		})
	}
	p, s := capture.NewPlan(r), &rules.Scratch{Predicate: predicate.NewScratch()}
	c := capture.Capturer{Redact: func(s string) string { return strings.ReplaceAll(s, "secret", "[redacted]") }}
	n := 0
	emit := func(it *item.Item) { n += len(it.Evidence) }
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.BeginEvent()
		c.Capture(p, 0, events[i%len(events)], 1, s, emit)
	}
}
