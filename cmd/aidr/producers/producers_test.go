package producers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// TestProducers runs one subtest for each producer, then the engine over all that they logged. They share the broker; each has a
// topic of its own.
func TestProducers(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a broker and servers")
	}
	k := &shipping{broker: conntest.StartKafka(t).Addr}
	t.Run("logs", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *shipping){
			"nginx": testNGINX, "caddy": testCaddy, "haproxy": testHAProxy, "envoy": testEnvoy, "litellm": testLiteLLM,
			"otel-go": testOTelGo, "otel-python": testOTelPython,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t, k) })
		}
	})
	t.Run("findings", func(t *testing.T) { testFindings(t, k) })
}

// shipping is the broker, and the topics that the tests have filled.
type shipping struct {
	broker string
	mu     sync.Mutex
	topics []string
}

// shipped returns the topics so far, sorted.
func (k *shipping) shipped() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(slices.Values(k.topics))
}

// through ships the records of a log through a topic and returns the events that a running aidr makes of them. The topic ends
// with a record of the test's own, so that its end is known.
func through(t *testing.T, k *shipping, topic string, records []string) []event {
	t.Helper()
	if dir := os.Getenv("AIDR_PRODUCERS_KEEP"); dir != "" {
		write(t, dir, topic+".log", strings.Join(records, "\n")+"\n")
	}
	conntest.CreateTopic(t, k.broker, topic, 1)
	const last = "end of the test"
	records = append(slices.Clip(records), `{"time":"2026-01-01T00:00:00Z","event.dataset":"x.test","event.class":"api","event.action":"`+last+`"}`)
	conntest.Produce(t, k.broker, topic, 0, conntest.Messages(records...), nil)
	k.mu.Lock()
	k.topics = append(k.topics, topic)
	k.mu.Unlock()

	ended := errors.New("the last record is read")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var events []event
	err := pipeline.Tap(ctx, recommended(t, k.broker, topic), pipeline.TapOptions{
		From: "first", Log: slog.New(slog.DiscardHandler),
		Dead: func(_, reason string) { t.Errorf("dead letter: %s", reason) },
		Event: func(_ string, e *schema.Event) error {
			if e.Text(schema.EventAction) == last {
				return ended
			}
			events = append(events, newEvent(t, e))
			return nil
		},
	})
	if !errors.Is(err, ended) {
		t.Fatalf("tap: %v", err)
	}
	return events
}

// recommended returns the smallest configuration of the README, which reads the topics. It may also read the format aidr, for
// the record at the end.
func recommended(t *testing.T, broker string, topics ...string) *config.Config {
	t.Helper()
	text := documented(t, readmePage, "brokers: [")
	for old, now := range map[string]string{
		`["127.0.0.1:9092"]`: `["` + broker + `"]`, "topics: [cloudtrail, litellm]}": "topics: [" + strings.Join(topics, ", ") + "]}\n    format: [auto, aidr]",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("%s: the configuration has no %q any more", readmePage, old)
		}
		text = strings.ReplaceAll(text, old, now)
	}
	cfg, problems := config.Parse(readmePage, []byte(text), func(string) (string, bool) { return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true })
	if cfg == nil {
		t.Fatalf("%s: the configuration does not load: %v", readmePage, problems)
	}
	return cfg
}

// event is an event as aidr decode prints it.
type event map[string]any

func newEvent(t *testing.T, e *schema.Event) event {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(formats.AppendEvent(nil, e, false)))
	d.UseNumber()
	var out event
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (e event) text(field schema.Field) string {
	switch v := e[field.String()].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// want compares fields with what they must be. nil means absent.
func (e event) want(t *testing.T, name string, fields map[string]any) {
	t.Helper()
	same := true
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if got, want := asJSON(t, e[field]), asJSON(t, fields[field]); got != want {
			t.Errorf("%s: %s: got %s, want %s", name, field, got, want)
			same = false
		}
	}
	if !same {
		t.Logf("%s: the event is %s", name, asJSON(t, e))
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// during checks that the event's time and latency are those of a call. The producer rounds times to the given unit, and its
// clock is the test's.
func (e event) during(t *testing.T, name string, began, ended time.Time, unit, atLeast time.Duration) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, e.text(schema.Time))
	if err != nil {
		t.Errorf("%s: time %q: %v", name, e.text(schema.Time), err)
		return
	}
	if at.Before(began.Add(-unit)) || at.After(ended.Add(unit)) {
		t.Errorf("%s: time: got %v, want %v to %v", name, at, began, ended)
	}
	n, ok := e[schema.EventDuration.String()].(json.Number)
	if !ok {
		t.Errorf("%s: no duration", name)
		return
	}
	ns, err := n.Int64()
	if took := time.Duration(ns); err != nil || took < atLeast-unit || took > ended.Sub(began)+unit {
		t.Errorf("%s: duration: got %v, want %v to %v", name, n, atLeast, ended.Sub(began))
	}
}

// abilities is what the log of a gateway can show, with the settings of its page.
type abilities struct {
	dataset   string
	unit      time.Duration // of its times
	hash      bool          // credential.uid is the hash of the key
	arguments bool          // of MCP tools
	session   bool
	// shown returns a text of a request as the log shows it; nil: bytes that are not UTF-8 are Latin-1.
	shown func(string) string
}

// asLatin1 returns a text whose bytes that are not UTF-8 are read as Latin-1.
func asLatin1(text string) string { return strings.ReplaceAll(text, "\xe4\xf6", "äö") }

// checkCalls compares the events of a gateway's log with the calls that were sent, one by one.
func checkCalls(t *testing.T, a abilities, sent []*call, events []event) {
	t.Helper()
	if a.shown == nil {
		a.shown = asLatin1
	}
	byPath := map[string]event{}
	for _, e := range withoutNoise(t, events) {
		if path := e.text(schema.URLPath); byPath[path] != nil {
			t.Errorf("two events of one call: %v and %v", byPath[path], e)
		} else {
			byPath[path] = e
		}
	}
	if len(byPath) != len(sent) {
		t.Errorf("got events of %d calls, want %d", len(byPath), len(sent))
	}
	for _, c := range sent {
		path, _, _ := strings.Cut(c.path, "?")
		e := byPath[path]
		if e == nil {
			t.Errorf("%s of %s has no event", c.path, c.agent.name)
			continue
		}
		e.want(t, path, a.wanted(c))
		atLeast := time.Duration(0)
		if c.resource == "/v1/slow" {
			atLeast = hold
		}
		e.during(t, path, c.began, c.ended, a.unit, atLeast)
	}
}

// withoutNoise returns the events of the calls. What is no HTTP gives events with the status 400, which name nobody.
func withoutNoise(t *testing.T, events []event) (calls []event) {
	t.Helper()
	for _, e := range events {
		if e.text(schema.HTTPResponseStatusCode) != "400" {
			calls = append(calls, e)
			continue
		}
		e.want(t, "noise", map[string]any{
			"ai_agent.uid_source": formats.UIDSourceAddress, "event.outcome": "failure", "credential.uid": nil, "session.id": nil,
		})
	}
	return calls
}

// wanted returns the fields that the event of a call must have.
func (a abilities) wanted(c *call) map[string]any {
	want := map[string]any{
		"event.dataset": a.dataset, "http.request.method": c.method, "http.response.status_code": c.status,
		"event.outcome": "success", "disposition": nil, "source.ip": "127.0.0.1", "url.domain": apiHost,
		"user_agent.original": a.shown(c.userAgent),
	}
	switch {
	case c.status == http.StatusUnauthorized || c.status == http.StatusForbidden:
		want["event.outcome"], want["disposition"] = "failure", "blocked"
	case c.status >= 400:
		want["event.outcome"] = "failure"
	}
	if c.agent.name != "" {
		want["ai_agent.uid"] = c.agent.name
		switch {
		case c.tls != nil:
			want["credential.uid"], want["credential.type"] = c.agent.name, "mtls"
		case a.hash:
			want["credential.uid"], want["credential.type"] = c.agent.hash(), "api_key"
		}
	} else {
		want["ai_agent.uid_source"], want["credential.uid"] = formats.UIDSourceAddress, nil
	}
	if a.session && c.session != "" {
		want["session.id"] = a.shown(c.session)
	}
	want["event.class"], want["event.action"], want["gen_ai.tool.name"] = "api", c.method, nil
	if c.mcp != "" && a.arguments {
		want["event.class"], want["event.action"], want["mcp.method.name"] = "tool", c.mcp, c.mcp
	}
	if c.tool != "" && a.arguments {
		want["gen_ai.tool.name"], want["gen_ai.tool.call.arguments"], want["gen_ai.tool.called"] = c.tool, c.arguments, true
	}
	return want
}
