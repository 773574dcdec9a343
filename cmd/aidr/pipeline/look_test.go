package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// secret is a token of GitHub, in parts so that no scanner takes it for a real one.
const secret = "ghp_" + "R7mK2xQ9vT4nB8wL3jH6yC1zD5fG0sA2eP4u"

// sampleEvent returns an event of a dataset.
func sampleEvent(dataset, agent, tenant, prompt string) *schema.Event {
	var e schema.Event
	e.Set(schema.EventDataset, schema.Value{Kind: schema.KindString, Text: dataset})
	e.Set(schema.EventClass, schema.Value{Kind: schema.KindString, Text: "tool"})
	if agent != "" {
		e.Set(schema.AIAgentUID, schema.Value{Kind: schema.KindString, Text: agent})
	}
	e.Set(schema.GenAIToolCallArguments, schema.Value{Kind: schema.KindString, Text: prompt})
	e.Tenant = tenant
	return &e
}

// TestTailEvents checks that a tail has the events of its tenants that its filter selects, redacted before the filter sees them, that
// the newest win, and which filters are refused.
func TestTailEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newEvents(func(out, e *schema.Event) { Expose(out, e, nil) })
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var calls []api.EventTail
		take := func() []api.EventTail { // what came since the last call
			mu.Lock()
			defer mu.Unlock()
			defer func() { calls = nil }()
			return calls
		}
		ended := make(chan error)
		go func() {
			ended <- s.follow(ctx, `ai_agent.uid == "a" || gen_ai.tool.call.arguments.contains("ghp_R7")`, func(tenant string) bool { return tenant == "t1" },
				func(x api.EventTail) bool {
					mu.Lock()
					defer mu.Unlock()
					calls = append(calls, x)
					return true
				})
		}()
		synctest.Wait()
		s.event("s", sampleEvent("d", "a", "t1", "key "+secret))
		s.event("s", sampleEvent("d", "a", "t2", "of another tenant"))
		s.event("s", sampleEvent("d", "b", "t1", "a secret that a filter looks for: "+secret))
		time.Sleep(2 * tailPace)
		synctest.Wait()
		got := take()
		var lines []api.EventLine
		for _, x := range got {
			lines = append(lines, x.Events...)
		}
		if len(lines) != 1 || lines[0].Source != "s" || lines[0].Dataset != "d" || strings.Contains(lines[0].Event, "ghp_R7") || got[len(got)-1].Looked != 3 {
			t.Errorf("got %+v", got)
		}
		for n := range 3 * tailEvents {
			s.event("s", sampleEvent("d", "a", "t1", fmt.Sprint("number ", n)))
		}
		time.Sleep(tailPace)
		synctest.Wait()
		got = take()
		if len(got) == 0 || len(got[0].Events) != tailEvents || !strings.Contains(got[0].Events[tailEvents-1].Event, fmt.Sprint("number ", 3*tailEvents-1)) {
			t.Errorf("the newest do not win: %d events", len(got[0].Events))
		}
		cancel()
		if err := <-ended; err != nil || len(s.tails) != 0 {
			t.Errorf("the end: %v, %d tails", err, len(s.tails))
		}
		for filter, want := range map[string]string{"ai_agent.uidd == 1": "filter:1:", `raw.x == "1"`: "raw paths"} {
			if err := s.follow(ctx, filter, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v", filter, err)
			}
		}
	})
}

// TestCoverage checks cells that can fire, that cannot for a missing field, and that no rule reads.
func TestCoverage(t *testing.T) {
	set, problems := LoadRules(RuleFiles{Paths: []string{writeRules(t, map[string]string{
		"agent":   "datasets: [litellm]\ntags: [owasp.asi02-2026]\nwhen: event.class == \"tool\"\nthreshold: {count: 3, within: 1m, by: [ai_agent.uid]}\n",
		"session": "tags: [owasp.asi02-2026, x.mine]\nwhen: event.class == \"tool\"\nthreshold: {count: 3, within: 1m, by: [session.id]}\n",
		"over":    "over: [session]\ntags: [atlas.aml-t0051]\ndistinct: {of: rule.id, count: 2, within: 1h, by: [session.id]}\n",
		"draft":   "status: draft\ntags: [owasp.asi01-2026]\nwhen: event.class == \"tool\"\n",
	})}})
	if set == nil {
		t.Fatal(problems)
	}
	s := newEvents(func(out, e *schema.Event) { *out = *e })
	for range 30 {
		s.event("s", sampleEvent("litellm", "a", "", "x"))
		s.event("s", sampleEvent("other", "", "", "x"))
	}
	columns, more := s.columns(nil)
	if len(columns) != 2 || more != 0 || columns[0].Dataset != "litellm" || columns[0].Events != 30 {
		t.Fatalf("columns: %+v", columns)
	}
	rows := rules.Coverage(set.RuleActivities(nil), columns)
	got := map[string][]rules.CoverageCell{}
	for _, r := range rows {
		got[r.Tag] = r.Cells
	}
	if c := got["owasp.asi02-2026"]; len(c) != 2 || c[0].Rules != 1 || c[0].Off != 1 || c[0].Missing != nil || c[1].Rules != 0 || !slices.Equal(c[1].Missing, []string{"session.id"}) {
		t.Errorf("owasp.asi02-2026: got %+v", c)
	}
	if c := got["atlas.aml-t0051"]; len(c) != 2 || c[0].Rules != 0 || !slices.Contains(c[0].Missing, "session.id") {
		t.Errorf("a rule over others: got %+v", c)
	}
	if _, ok := got["owasp.asi01-2026"]; ok && got["owasp.asi01-2026"][0].Rules != 0 {
		t.Error("a draft covers")
	}
	if _, ok := got["x.mine"]; !ok {
		t.Error("a tag of the site is missing")
	}
}

// writeRules writes rule files and returns their folder.
func writeRules(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte("id: "+name+"\ntitle: T\nseverity: low\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
