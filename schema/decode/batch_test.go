package decode

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
)

// otlpSpan returns a span of the given operation. With operation "", the span is not about an agent.
func otlpSpan(id int, operation, padding string) string {
	return fmt.Sprintf(`{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"%016x","startTimeUnixNano":"1767261600000000000","attributes":[`+
		`{"key":"gen_ai.operation.name","value":{"stringValue":"%s"}},{"key":"x","value":{"stringValue":"%s"}}]}`, id+1, operation, padding)
}

func otlpBatch(service string, spans ...string) string {
	return `{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"` + service + `"}}]},"scopeSpans":[{"spans":[` +
		strings.Join(spans, ",") + `]}]}`
}

func otlpRequest(batches ...string) string {
	return `{"resourceSpans":[` + strings.Join(batches, ",") + `]}`
}

// An element that is not an activity of an agent gives neither an event nor a dead letter, and is reported to Skipped.
func TestElementsWithoutActivityAreSkipped(t *testing.T) {
	d, err := New(Options{Format: Auto})
	if err != nil {
		t.Fatal(err)
	}
	stage := `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"RequestReceived",` +
		`"requestURI":"/","verb":"get","user":{"username":"u"},"requestReceivedTimestamp":"2026-01-01T10:00:00Z"}`
	spans := otlpRequest(otlpBatch("s", otlpSpan(0, "", ""), otlpSpan(1, "chat", ""), otlpSpan(2, "", "")))
	for record, want := range map[string]string{
		spans: "[event 1 skipped otel.gen_ai not_an_activity 2]",
		stage: "[skipped kubernetes.audit earlier_stage 1]",
		small: "[event 0]",
		"{}":  "[dead 0]",
	} {
		var got []string
		skipped := map[string]int{}
		d.Decode(record, Meta{}, &Handler{
			Event:   func(e *schema.Event) { got = append(got, fmt.Sprintf("event %d", e.Pos.Index)) },
			Dead:    func(dead Dead) { got = append(got, fmt.Sprintf("dead %d", dead.Index)) },
			Skipped: func(dataset, reason string) { skipped[dataset+" "+reason]++ },
		})
		for what, n := range skipped {
			got = append(got, fmt.Sprintf("skipped %s %d", what, n))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s: %.100s", got, want, record)
		}
	}
}

// The caps are those of elements: a batch may be larger than an element, a span may not.
func TestCapsOfABatch(t *testing.T) {
	large := otlpSpan(0, "chat", strings.Repeat("a", MaxElement))
	third := otlpSpan(1, "chat", strings.Repeat("a", MaxElement/3))
	cases := []struct {
		name, record string
		events       int
		dead         []string
	}{
		{"a span over the cap among others", otlpRequest(otlpBatch("s", third, large, third)), 2, []string{ReasonSize}},
		{"a batch over the cap of an element", otlpRequest(otlpBatch("s", third, third), otlpBatch("s", third, third, third)), 5, nil},
		{"too many spans", otlpRequest(otlpBatch("s", repeat(otlpSpan(1, "chat", ""), 6000)...)), 5000, []string{ReasonFanOut}},
		{"spans of another kind", `{"resourceSpans":[{"scopeSpans":[{"spans":[5,null,"x",[]]},7]},"y"]}`, 0, nil},
		{"no batch at all", `{"resourceSpans":5,"resourceLogs":{}}`, 0, nil},
	}
	for _, c := range cases {
		res := decodeAll(t, Options{Format: Auto, Wanted: everything()}, c.record, Meta{})
		var dead []string
		for _, d := range res.dead {
			dead = append(dead, d.Reason)
		}
		if len(res.events) != c.events || !slices.Equal(dead, c.dead) {
			t.Errorf("%s: got %d events and dead letters %v, want %d and %v", c.name, len(res.events), dead, c.events, c.dead)
		}
	}
}

// A span gives the same events and identities alone and in any batch of any resources.
func TestBatchesDoNotMatter(t *testing.T) {
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(rt, "spans")
		var batches, together, alone []string
		var current []string
		service := "a"
		flush := func() {
			batches = append(batches, otlpBatch(service, current...))
			current = nil
		}
		for i := range n {
			span := otlpSpan(i, rapid.SampledFrom([]string{"chat", "execute_tool", "invoke_agent", ""}).Draw(rt, "operation"), "p")
			current = append(current, span)
			res := d.all(t, otlpRequest(otlpBatch(service, span)), Meta{})
			alone = append(alone, res.lines...)
			if rapid.Bool().Draw(rt, "next resource") {
				flush()
				service = rapid.SampledFrom([]string{"a", "b", "unknown_service"}).Draw(rt, "service")
			}
		}
		flush()
		together = d.all(t, otlpRequest(batches...), Meta{}).lines
		if !slices.Equal(together, alone) {
			rt.Fatalf("together %v, alone %v", together, alone)
		}
	})
}
