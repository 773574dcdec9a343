package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/engine/cases"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// planted lists the incidents in the story: rules that must have findings, and their agents.
var planted = []string{
	"aws.secrets-fan-out research-bot", "cross.several-rules research-bot", "demo.hijack-across-sources research-bot",
	"flow.new-use-of-any-value payables-bot", "flow.new-use-of-read-value payables-bot", "flow.orders-obeyed research-bot",
	"flow.trifecta-new-value payables-bot",
	"gateway.denied-then-allowed research-bot", "identity.shared-credential night-batch",
	"identity.unregistered-agent shadow-7", "llm.override-in-tool-result research-bot", "llm.override-then-send research-bot",
	"llm.sensitive-path research-bot", "llm.tool-argument-egress research-bot",
}

// once plays the story as `aidr demo --once --json` does. It returns the summary and the output without the state directory.
func once(t *testing.T, kafka string) (Summary, string) {
	t.Helper()
	var out, log bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Run(ctx, Options{Once: true, JSON: true, Kafka: kafka, State: t.TempDir(), Out: &out, Err: &log}); err != nil {
		t.Fatalf("demo: %v\n%s", err, &log)
	}
	var s Summary
	text := regexp.MustCompile(`"state":"[^"]*"`).ReplaceAllString(out.String(), "")
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil || dec.More() {
		t.Fatalf("the summary: %v, more: %t", err, dec.More())
	}
	if log.Len() > 0 && kafka == "" { // a new real broker logs that it has no coordinator yet
		t.Errorf("it complains: %s", &log)
	}
	return s, text
}

// TestOnce checks that exactly the planted incidents are found, that every delivery is verified, that the story ends with a
// finding over the three sources, and that a second run prints the same.
func TestOnce(t *testing.T) {
	first := ""
	for range 2 {
		s, text := once(t, "")
		var got []string
		for _, f := range s.Findings {
			got = append(got, f.Rule+" "+f.Agent)
		}
		slices.Sort(got)
		if !slices.Equal(got, planted) {
			t.Errorf("found %q, want %q", got, planted)
		}
		if first != "" && text != first {
			t.Errorf("the second time: got\n%s\nwant\n%s", text, first)
		}
		first = text
		for _, f := range s.Findings {
			if f.Rule == hijackID && !slices.Equal(f.Datasets, []string{"litellm", "kong.http_log", "aws.cloudtrail"}) {
				t.Errorf("%s: got evidence from %q, want the three sources", f.Rule, f.Datasets)
			}
		}
		d := s.Deliveries
		if d.Received < len(planted) || d.Verified != d.Received || d.Rejected != 0 || d.Repeated != 0 {
			t.Errorf("deliveries: got %+v, want at least %d, all verified", d, len(planted))
		}
		if want := len(story(time.Now())); s.Records != want || s.Events < want || s.Agents != 7 {
			t.Errorf("got %d records, %d events, %d agents, want %d records, at least as many events, 7 agents", s.Records, s.Events, s.Agents, want)
		}
	}
}

// TestRealKafka checks that the story yields the same findings through a real broker.
func TestRealKafka(t *testing.T) {
	if !conntest.Required("kafka") {
		t.Skip("a real broker takes 20 s here, and cmd/aidr runs on one too: set AIDR_TEST_REQUIRE=kafka")
	}
	s, _ := once(t, conntest.StartKafka(t).Addr)
	var got []string
	for _, f := range s.Findings {
		got = append(got, f.Rule+" "+f.Agent)
	}
	slices.Sort(got)
	if !slices.Equal(got, planted) {
		t.Errorf("found %q, want %q", got, planted)
	}
}

// TestStory checks that the story depends only on its start, is in order of time, begins with the history and lasts for length.
func TestStory(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a, b := story(start), story(start)
	if !slices.Equal(a, b) {
		t.Error("two stories of one start differ")
	}
	last := -history * 24 * time.Hour
	for _, l := range a {
		if l.at < last || l.at > length || !json.Valid([]byte(l.body)) || l.topic == "" || l.key == "" {
			t.Errorf("got %+v after %v", l, last)
		}
		last = l.at
	}
	if last < length*9/10 {
		t.Errorf("it is over after %v of %v", last, length)
	}
}

// TestInterrupted checks that an interrupt ends the demo without an error and with a summary, whenever it comes.
func TestInterrupted(t *testing.T) {
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond} {
		var out, log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), after)
		if err := Run(ctx, Options{JSON: true, State: t.TempDir(), Out: &out, Err: &log}); err != nil {
			t.Errorf("after %v: %v", after, err)
		}
		cancel()
		if !json.Valid(out.Bytes()) {
			t.Errorf("after %v: got %q", after, &out)
		}
	}
}

// hostile is a finding with very long texts that contain control sequences of terminals.
func hostile() *schema.Finding {
	bad := "\x1b]0;owned\a\x1b[2J\u202eevil\u009b31m " + strings.Repeat("long ", 300) + strings.Repeat("x", 3000)
	return &schema.Finding{
		RuleID: "test.rule", Severity: "high", Title: bad, AgentUID: bad, Explanation: bad, Status: schema.StatusOpen,
		Provenance: &schema.Provenance{Value: bad, Argument: bad, Source: bad},
		Evidence:   []schema.Evidence{{Dataset: "d", Action: bad, Resource: bad, Fields: map[string]any{"a\x1b[1m": bad, "b": 1}}},
	}
}

// TestDisplay checks that lines fit the terminal and that logs cannot control it, and that other outputs get no escapes.
func TestDisplay(t *testing.T) {
	ours := regexp.MustCompile("\x1b\\[(31|1;31|33|36|0)?m|\r\x1b\\[K")
	for _, width := range []int{40, 80, 200, 0} {
		var out bytes.Buffer
		d := newDisplay(Options{Out: &out, Terminal: width > 0, Width: func() int { return width }})
		d.finding(connectors.Entry{Finding: hostile()})
		d.print(hostile().Explanation, "    ")
		limit := width
		if width == 0 {
			limit = fileWidth
		}
		d.last(&Summary{Findings: []FindingSummary{{Agent: hostile().AgentUID, Explanation: hostile().Explanation, Rule: "r"}}}, &demo{})
		text, _, _ := strings.Cut(out.String(), "\nTry next")
		if width > 0 {
			if !strings.Contains(text, "\x1b[31mhigh") {
				t.Errorf("width %d: it has no colour: %q", width, text)
			}
			text = ours.ReplaceAllString(text, "")
		}
		for _, l := range strings.Split(text, "\n") {
			if n := utf8.RuneCountInString(l); n > limit {
				t.Errorf("width %d: a line has %d characters: %q", width, n, l)
			}
			if strings.ContainsAny(l, "\x1b\a\r\u202e\u009b") {
				t.Errorf("width %d: it steers: %q", width, l)
			}
		}
		if lines := strings.Count(text, "\n"); lines > 20 {
			t.Errorf("width %d: a log made %d lines", width, lines)
		}
	}
}

func TestFold(t *testing.T) {
	for _, x := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"a b", []string{"a b"}},
		{"aaaaaaaaa bbbbbbbbb cc", []string{"aaaaaaaaa bbbbbbbbb", "cc"}},
		{strings.Repeat("x", 45), []string{strings.Repeat("x", 20), strings.Repeat("x", 20), "xxxxx"}},
		{"ab " + strings.Repeat("x", 20), []string{"ab", strings.Repeat("x", 20)}},
	} {
		if got := fold(x.text, 20); !slices.Equal(got, x.want) {
			t.Errorf("%q: got %q, want %q", x.text, got, x.want)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, x := range []struct {
		text  string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"abcdef", 5, "ab..."}, {"abcdef", 3, "abc"}, {"abc", 0, ""}, {"abc", -1, ""}, {"a\x1bb\u202ec\xff", 9, "a b c "}} {
		if got := plain(x.text, x.limit); got != x.want {
			t.Errorf("%q, %d: got %q, want %q", x.text, x.limit, got, x.want)
		}
	}
}

// TestOneAgent checks that each source names research-bot differently, and that the registry makes the names one: no finding
// and no evidence has another id for the agent.
func TestOneAgent(t *testing.T) {
	names := map[string]bool{}
	for _, l := range story(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		for _, name := range []string{hash("key-research"), researchConsumer, researchRole} {
			if l.key == "research-bot" && strings.Contains(l.body, name) {
				names[l.topic] = true
			}
		}
	}
	if len(names) != 3 {
		t.Errorf("got names in %v, want one in each of the three topics", names)
	}
	dir := t.TempDir()
	var out, log bytes.Buffer
	if err := Run(t.Context(), Options{Once: true, JSON: true, State: dir, Out: &out, Err: &log}); err != nil {
		t.Fatalf("demo: %v\n%s", err, &log)
	}
	s, err := store.Open(filepath.Join(dir, "state"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Findings(store.FindingFilter{}, func(f *schema.Finding) bool {
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{researchConsumer, researchRole} {
			if f.AgentUID == name || strings.Contains(string(text), `"ai_agent.uid":"`+name+`"`) {
				t.Errorf("%s: an agent %s", f.RuleID, name)
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRule runs the tests of the rule that the demo adds.
func TestRule(t *testing.T) {
	dir := t.TempDir()
	if err := writeRules(dir); err != nil {
		t.Fatal(err)
	}
	set, problems := rules.Load(rules.Options{}, filepath.Join(dir, "demo"))
	if set == nil || len(problems) > 0 {
		t.Fatalf("got problems %v", problems)
	}
	if err := cases.Run(t.Context(), set, func(r cases.Result) {
		if r.Diff != "" {
			t.Errorf("%s: %s", r.Test, r.Diff)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
