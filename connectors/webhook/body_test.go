package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// sample returns a finding with the fields that most findings have.
func sample() *schema.Finding {
	detected := schema.Instant(1767225600123456789)
	return &schema.Finding{
		ID: schema.ID{0xab, 15: 1}, Revision: 2, Status: schema.StatusOpen,
		RuleID: "llm.tool-call-burst", RuleVersion: 2, Kind: "threshold", Title: "Agent makes more than 100 tool calls a minute",
		Severity: schema.SeverityHigh, Confidence: 70,
		AgentUID: "a1", Key: map[string]string{"ai_agent.uid": "a1"},
		GroupStart: 1767225540000000000, FirstSeen: 1767225500000000000, LastSeen: 1767225541500000000, DetectedAt: &detected,
		Count: 101, Value: "101", Threshold: "100", Summary: `"a1" called "shell" 101 times`, Explanation: "101 < 200 & so on",
		Evidence: []schema.Evidence{{
			Identity: schema.ID{1}, Time: 1767225500000000000, Topic: "litellm", Offset: 7, Fields: map[string]any{"b": 1, "a": "x"},
		}},
	}
}

func entry(f *schema.Finding) *connectors.Entry {
	return &connectors.Entry{Seq: 1, Type: connectors.FindingOpened, Finding: f}
}

// ExampleBody shows the message that a receiver gets.
func ExampleBody() {
	body, err := Body(entry(sample()))
	if err != nil {
		panic(err)
	}
	var indented bytes.Buffer // only to be readable: the body itself is one line without white space
	if err := json.Indent(&indented, body, "", "  "); err != nil {
		panic(err)
	}
	fmt.Println(indented.String())
	// Output:
	// {
	//   "type": "finding.opened",
	//   "timestamp": "2026-01-01T00:00:00.123456789Z",
	//   "data": {
	//     "id": "ab000000-0000-0000-0000-000000000001",
	//     "revision": 2,
	//     "status": "open",
	//     "rule_id": "llm.tool-call-burst",
	//     "rule_version": 2,
	//     "kind": "threshold",
	//     "title": "Agent makes more than 100 tool calls a minute",
	//     "severity": "high",
	//     "confidence": 70,
	//     "agent_uid": "a1",
	//     "key": {
	//       "ai_agent.uid": "a1"
	//     },
	//     "group_start": "2025-12-31T23:59:00Z",
	//     "first_seen": "2025-12-31T23:58:20Z",
	//     "last_seen": "2025-12-31T23:59:01.5Z",
	//     "detected_at": "2026-01-01T00:00:00.123456789Z",
	//     "count": 101,
	//     "value": 101,
	//     "threshold": 100,
	//     "summary": "\"a1\" called \"shell\" 101 times",
	//     "explanation": "101 < 200 & so on",
	//     "evidence": [
	//       {
	//         "identity": "01000000-0000-0000-0000-000000000000",
	//         "time": "2025-12-31T23:58:20Z",
	//         "topic": "litellm",
	//         "partition": 0,
	//         "offset": 7,
	//         "index": 0,
	//         "fields": {
	//           "a": "x",
	//           "b": 1
	//         }
	//       }
	//     ]
	//   }
	// }
}

// grown returns sample with n events whose texts have size bytes.
func grown(n, size int) *schema.Finding {
	f := sample()
	f.Evidence = nil
	for i := range n {
		f.Evidence = append(f.Evidence, schema.Evidence{
			EventID: fmt.Sprint("e", i), Resource: strings.Repeat("r", size),
			Fields: map[string]any{"text": strings.Repeat("\u20ac", size/3), "deep": map[string]any{"list": []any{strings.Repeat("l", size), 7}}},
		})
	}
	return f
}

func parsed(t testing.TB, body []byte) (m struct {
	Type string
	Data struct {
		schema.Finding
		Omitted *Omitted `json:"cut"`
	}
}) {
	t.Helper()
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("body is not JSON: %v: %s", err, body)
	}
	return m
}

// TestBodyIsReduced checks the order of reductions: texts in the evidence first, then events from the middle, then the
// rest. The body itself describes the reduction.
func TestBodyIsReduced(t *testing.T) {
	f := func(in *schema.Finding, want *Omitted, events string) {
		t.Helper()
		before, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body, err := Body(entry(in))
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > MaxBody {
			t.Errorf("body has %d bytes, want at most %d", len(body), MaxBody)
		}
		m := parsed(t, body)
		if !reflect.DeepEqual(m.Data.Omitted, want) {
			t.Errorf("omitted: got %+v, want %+v", m.Data.Omitted, want)
		}
		var ids []string
		for _, e := range m.Data.Evidence {
			ids = append(ids, e.EventID)
		}
		if got := strings.Join(ids, " "); got != events {
			t.Errorf("events: got %s, want %s", got, events)
		}
		if m.Data.ID != in.ID || m.Data.Revision != in.Revision || m.Data.Count != in.Count {
			t.Errorf("finding is %s revision %d, want %s revision %d", m.Data.ID, m.Data.Revision, in.ID, in.Revision)
		}
		if after, _ := json.Marshal(in); !bytes.Equal(before, after) {
			t.Error("Body changed the finding")
		}
	}
	all := "e0 e1 e2 e3 e4 e5 e6 e7"
	f(grown(8, 100), nil, all)
	f(grown(8, 1000), &Omitted{TextBytes: 512}, all)
	f(grown(8, 100_000), &Omitted{TextBytes: 512}, all)
	many := grown(8, 100)
	for i := range many.Evidence {
		for n := range 60 {
			many.Evidence[i].Fields[fmt.Sprint("field", n)] = strings.Repeat("x", 100)
		}
	}
	f(many, &Omitted{TextBytes: 64, Events: 5}, "e0 e1 e7")
	big := grown(8, 100)
	big.Explanation = strings.Repeat("long ", 10_000)
	f(big, &Omitted{TextBytes: 64, Events: 8, Others: 256, Fields: []string{"baseline"}}, "")
	for n := range 200 {
		big.Key[strings.Repeat("\x01", n)] = strings.Repeat("\xff", 1000)
		big.Tags = append(big.Tags, strings.Repeat("\x02", 1000))
		big.Reasons = append(big.Reasons, strings.Repeat("\x03", 1000))
		big.Response = append(big.Response, schema.Response{Result: strings.Repeat("\x04", 1000)})
	}
	big.Value = json.Number(strings.Repeat("9", 50_000))
	f(big, &Omitted{TextBytes: 64, Events: 8, Others: 48, Fields: []string{"baseline", "guide", "response", "threshold", "value"}}, "")
}

func TestBodyWithoutJSON(t *testing.T) {
	f := sample()
	f.Baseline = json.RawMessage("{")
	if _, err := Body(entry(f)); err == nil {
		t.Error("no error for a finding that has no JSON form")
	}
}

func TestTruncate(t *testing.T) {
	f := func(s string, n int, want string) {
		t.Helper()
		if got := truncate(s, n); got != want {
			t.Errorf("%q, %d: got %q, want %q", s, n, got, want)
		}
	}
	f("", 3, "")
	f("abc", 3, "abc")
	f("abcd", 3, "abc...")
	f("ab\u20ac", 3, "ab...")
	f("ab\u20acd", 5, "ab\u20ac...")
	f(strings.Repeat("\x80", 100), 10, strings.Repeat("\x80", 10)+"...")
}

// TestTruncateEvidence checks that every text of an event is truncated, also one that is added later.
func TestTruncateEvidence(t *testing.T) {
	var e schema.Evidence
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String {
			v.Field(i).SetString(strings.Repeat("x", 100))
		}
	}
	e = truncateEvidence(e, 10)
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String && v.Field(i).Len() > 10+len(ellipsis) {
			t.Errorf("%s has %d bytes, want at most %d", v.Type().Field(i).Name, v.Field(i).Len(), 10+len(ellipsis))
		}
	}
}

// FuzzBody checks that any finding has a body within the limit, that the body is the same each time and one line, and that
// it identifies the finding.
func FuzzBody(f *testing.F) {
	f.Add("title", "value", 3, 10, uint64(1))
	f.Add("\xff\x00\u2028", strings.Repeat("\x01", 300), 60, 120, uint64(9))
	f.Fuzz(func(t *testing.T, a, b string, n, repeat int, revision uint64) {
		n, repeat = n&0x3f, repeat&0xff
		long := strings.Repeat(b, repeat)
		in := sample()
		in.Revision, in.Title, in.Explanation, in.RuleID = revision, a, long, a
		for i := range n {
			in.Key[fmt.Sprint(a, i)] = b
			in.Tags, in.Reasons = append(in.Tags, a), append(in.Reasons, b)
			in.Evidence = append(in.Evidence, schema.Evidence{EventID: a, Tool: long, Target: b, Fields: map[string]any{a: b, b: []any{long, a}}})
		}
		if (len(a)+len(b)+len(long))*n > 1<<18 {
			t.Skip("the finding is larger than the test needs")
		}
		first, err := Body(entry(in))
		if err != nil {
			t.Fatal(err)
		}
		if len(first) > MaxBody {
			t.Fatalf("body has %d bytes, want at most %d", len(first), MaxBody)
		}
		again, err := Body(entry(in))
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("the second body differs, error %v:\n%s\n%s", err, first, again)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, first); err != nil || compact.String() != string(first) {
			t.Fatalf("the body is not compact, error %v:\n%s", err, first)
		}
		m := parsed(t, first)
		if m.Type != string(connectors.FindingOpened) || m.Data.ID != in.ID || m.Data.Revision != revision || m.Data.Status != in.Status {
			t.Fatalf("got %+v, want the type, ID, revision and status of %+v", m, in)
		}
	})
}
