package cases

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// run writes rules, runs their tests and returns the results.
func run(t *testing.T, texts ...string) []Result {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("r%d.yaml", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
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

// TestRun checks that a test passes exactly if its findings are the expected ones.
func TestRun(t *testing.T) {
	const (
		set   = `set: {event.action: x, ai_agent.uid: a}`
		two   = `[{repeat: 2, every: 1s, ` + set + `}]`
		event = `"event.dataset":"d","event.class":"api","event.action":"x","ai_agent.uid":"a"}`
		raw   = `[{format: aidr, raw: '{"time":"2026-01-01T00:00:00Z",` + event + `'}, ` +
			`{format: aidr, at: 5s, raw: '{"time":"2026-01-01T00:00:05Z",` + event + `'}]`
	)
	for name, c := range map[string]struct{ events, findings, want string }{
		"right":        {two, `[{by: {ai_agent.uid: a}, count: 2}]`, ""},
		"wrong count":  {two, `[{by: {ai_agent.uid: a}, count: 3}]`, "count: expected 3, actual 2"},
		"missing":      {`[{` + set + `}]`, `[{by: {ai_agent.uid: a}}]`, "missing"},
		"unexpected":   {two, `[]`, "unexpected"},
		"too far":      {`[{` + set + `}, {at: 60s, ` + set + `}]`, `[]`, ""},
		"out of order": {`[{at: 30s, ` + set + `}, {at: 0s, ` + set + `}]`, `[{count: 2}]`, ""},
		"raw record":   {raw, `[{count: 2}]`, ""},
	} {
		got := run(t, rule+"  - {name: n, events: "+c.events+", findings: "+c.findings+"}\n")
		if len(got) != 1 {
			t.Errorf("%s: %d results, want 1", name, len(got))
			continue
		}
		if c.want == "" && got[0].Diff != "" || !strings.Contains(got[0].Diff, c.want) {
			t.Errorf("%s: got the difference %q, want %q", name, got[0].Diff, c.want)
		}
	}
}

// TestDiffAssigns checks that each finding is assigned to one expectation, in a way that leaves findings for the others.
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

// A test has a registry of its own: its grants, its owners and its aliases count, in conditions and in keys.
func TestRegistryOfATest(t *testing.T) {
	const text = `id: r
title: t
severity: low
when: |
  agent.registered && !agent.allows("tool", gen_ai.tool.name) && agent.allows_tool("f" + "ree") || has(agent.owner_left) && agent.owner_left <= time
threshold: {count: 1, within: 1m, by: [{as: owner, is: agent.owner}]}
tests:
  - name: a tool that is not allowed, of an alias
    agents: [{uid: a, owner: ann, tools: [free], aliases: [b]}]
    events: [{set: {ai_agent.uid: b, gen_ai.tool.name: dear}}, {set: {ai_agent.uid: b, gen_ai.tool.name: free}}]
    findings: [{by: {owner: ann}, count: 1}]
  - name: another registry
    agents: [{uid: a, owner: ann, tools: [dear, free]}]
    events: [{set: {ai_agent.uid: a, gen_ai.tool.name: dear}}]
    findings: []
  - name: an owner that left
    agents: [{uid: a, owner: ann}]
    owners: [{id: Ann, left: 2025-12-30}]
    events: [{set: {ai_agent.uid: a, gen_ai.tool.name: dear}}]
    findings: [{by: {owner: ann}, count: 1}]
  - name: no registry
    events: [{set: {ai_agent.uid: a, gen_ai.tool.name: dear}}]
    findings: []
`
	got := run(t, text)
	if len(got) != 4 {
		t.Fatalf("got %d results", len(got))
	}
	for _, r := range got {
		if r.Diff != "" {
			t.Errorf("%s: %s", r.Test, r.Diff)
		}
	}
}
