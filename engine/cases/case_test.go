package cases

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// run writes a rule, runs its tests and returns their results.
func run(t *testing.T, text string) []Result {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems := rules.Load(rules.Options{Drafts: true}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	var out []Result
	if err := Run(context.Background(), set, func(r Result) { out = append(out, r) }); err != nil {
		t.Fatal(err)
	}
	return out
}

const rule = `id: r
title: t
severity: low
when: event.action == "x"
threshold: {count: 2, within: 1m, by: [ai_agent.uid]}
tests:
`

// A test passes where the findings are those that it expects, and only then.
func TestRun(t *testing.T) {
	for name, c := range map[string]struct{ test, want string }{
		"right":       {`  - {name: n, events: [{repeat: 2, every: 1s, set: {event.action: x, ai_agent.uid: a}}], findings: [{by: {ai_agent.uid: a}, count: 2}]}`, ""},
		"wrong count": {`  - {name: n, events: [{repeat: 2, every: 1s, set: {event.action: x, ai_agent.uid: a}}], findings: [{by: {ai_agent.uid: a}, count: 3}]}`, "count is 2, want 3"},
		"missing":     {`  - {name: n, events: [{set: {event.action: x, ai_agent.uid: a}}], findings: [{by: {ai_agent.uid: a}}]}`, "missing"},
		"unexpected":  {`  - {name: n, events: [{repeat: 2, every: 1s, set: {event.action: x, ai_agent.uid: a}}], findings: []}`, "unexpected"},
		"too far":     {`  - {name: n, events: [{set: {event.action: x, ai_agent.uid: a}}, {at: 60s, set: {event.action: x, ai_agent.uid: a}}], findings: []}`, ""},
		"out of order": {`  - {name: n, events: [{at: 30s, set: {event.action: x, ai_agent.uid: a}}, {at: 0s, set: {event.action: x, ai_agent.uid: a}}], findings: [{count: 2}]}`,
			""},
		"raw record": {`  - {name: n, events: [{format: aidr, raw: '{"time":"2026-01-01T00:00:00Z","event.dataset":"d","event.class":"api","event.action":"x","ai_agent.uid":"a"}'}, {format: aidr, at: 5s, raw: '{"time":"2026-01-01T00:00:05Z","event.dataset":"d","event.class":"api","event.action":"x","ai_agent.uid":"a"}'}], findings: [{count: 2}]}`,
			""},
	} {
		got := run(t, rule+c.test+"\n")
		if len(got) != 1 {
			t.Errorf("%s: %d results, want 1", name, len(got))
			continue
		}
		if c.want == "" && got[0].Diff != "" || !strings.Contains(got[0].Diff, c.want) {
			t.Errorf("%s: the difference is %q, want %q", name, got[0].Diff, c.want)
		}
	}
}

// Each finding serves one expectation, and each expectation gets one that leaves the others theirs.
func TestDiffAssigns(t *testing.T) {
	got := []*schema.Finding{{Count: 1, Key: map[string]string{"k": "a"}}, {Count: 1, Key: map[string]string{"k": "b"}}}
	want := []map[string]any{{"count": int64(1)}, {"by": map[string]any{"k": "a"}}}
	if d := Diff(want, got); d != "" {
		t.Errorf("the first expectation fits both findings and took the only one of the second: %s", d)
	}
	if d := Diff(want, got[:1]); !strings.Contains(d, "missing") {
		t.Errorf("two expectations and one finding differ by %q", d)
	}
}
