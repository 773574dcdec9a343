package rules_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// trialRule is a rule without problems. Each mistake of a trial changes one text of it.
const trialRule = `id: trial.burst
version: 1
title: Many calls of a tool
severity: medium
confidence: 60
status: stable
datasets: [aws.cloudtrail, litellm]
tags: [owasp.asi02-2026]
when: event.class == "tool" && gen_ai.tool.called
threshold: {count: 3, within: 1m, by: [ai_agent.uid]}
group: {for: 1h}
exceptions:
  - {when: 'ai_agent.name == "nightly"', until: 2027-03-31, reason: load test, owner: ml}
tests:
  - name: three calls
    events: [{repeat: 3, every: 1s, set: {event.dataset: litellm, event.class: tool, gen_ai.tool.called: true, ai_agent.uid: a}}]
    findings: [{by: {ai_agent.uid: a}, count: 3}]
  - name: two calls
    events: [{repeat: 2, every: 1s, set: {event.dataset: litellm, event.class: tool, gen_ai.tool.called: true, ai_agent.uid: a}}]
    findings: []
`

// mistake replaces the first old text of trialRule by the new one.
type mistake struct{ old, new string }

// trials are the mistakes of authors: typos, values of a wrong type, traps of YAML, values outside of closed sets,
// contradictions, and tests that prove nothing.
var trials = map[string][]mistake{
	"typo": {
		{"title:", "titel:"},
		{"severity:", "severty:"},
		{"threshold:", "treshold:"},
		{"within: 1m", "withn: 1m"},
		{"when: event.class ==", "when: event.clas =="},
		{"gen_ai.tool.called\n", "gen_ai.tool.caled\n"},
		{"by: [ai_agent.uid]", "by: [ai_agent.id]"},
		{"owasp.asi02-2026", "owasp.asi20-2026"},
		{"status: stable", "status: stabel"},
		{"exceptions:", "exception:"},
		{"until: 2027", "untill: 2027"},
		{"findings: [{by: {ai_agent.uid: a}, count: 3}]", "findings: [{by: {ai_agent.uid: a}, cuont: 3}]"},
		{"repeat: 3", "repaet: 3"},
		{"datasets: [aws.cloudtrail", "datasets: [aws.cloudtrial"},
	},
	"type": {
		{"count: 3, within", "count: three, within"},
		{"count: 3, within", "count: 2.5, within"},
		{"confidence: 60", "confidence: high"},
		{"confidence: 60", "confidence: 160"},
		{"version: 1", "version: one"},
		{"within: 1m", "within: 60"},
		{"within: 1m", "within: 1 minute"},
		{"by: [ai_agent.uid]", "by: {ai_agent.uid: a}"},
		{`event.class == "tool"`, `event.class == 3`},
		{"&& gen_ai.tool.called", `&& gen_ai.tool.called == "true"`},
		{"&& gen_ai.tool.called", "&& gen_ai.usage.input_tokens"},
		{"&& gen_ai.tool.called", "&& gen_ai.tool.name.contains(3)"},
		{"until: 2027-03-31", "until: soon"},
		{"tags: [owasp.asi02-2026]", "tags: {owasp: asi02}"},
	},
	"yaml": {
		{`when: event.class == "tool" && gen_ai.tool.called`, `when: "event.class" == "tool"`},
		{"title: Many calls of a tool", "title: Many calls: of a tool"},
		{"title: Many calls of a tool", "title: true"},
		{"title: Many calls of a tool", "title: 2026"},
		{"version: 1", "version: 1.0"},
		{"version: 1", "version: \"1\""},
		{"severity: medium", "severity: medium\nseverity: low"},
		{"severity: medium", "\tseverity: medium"},
		{"status: stable", "status: &s stable"},
		{"status: stable", "status: *s"},
		{"when: event", "when: >\n  // of the agent\n  event"},
		{"datasets: [aws.cloudtrail, litellm]", "datasets: [aws.cloudtrail, litellm"},
		{"tags: [owasp.asi02-2026]", "tags:"},
		{"reason: load test", "reason: 'load test"},
	},
	"closed set": {
		{"severity: medium", "severity: moderate"},
		{"severity: medium", "severity: High"},
		{"status: stable", "status: enabled"},
		{`event.class == "tool"`, `event.class == "tools"`},
		{`event.class == "tool" && gen_ai.tool.called`, `event.outcome == "failed"`},
		{`event.class == "tool" && gen_ai.tool.called`, `event.class in ["tool", "adit"]`},
		{"owasp.asi02-2026", "OWASP.asi02-2026"},
		{"owasp.asi02-2026", "mitre.t1078"},
		{"litellm]", "llm]"},
		{"litellm]", `"@lm"]`},
	},
	"contradiction": {
		{"&& gen_ai.tool.called", `&& event.class == "llm"`},
		{"&& gen_ai.tool.called", `|| event.class != "tool"`},
		{"&& gen_ai.tool.called", `&& event.dataset == "kong.http_log"`},
		{"by: [ai_agent.uid]", "by: [time]"},
		{"by: [ai_agent.uid]}", "by: [ai_agent.uid, ai_agent.uid]}"},
		{"by: [ai_agent.uid]}", "by: []}"},
		{"count: 3, within", "count: 3, sum: {of: gen_ai.usage.cost, at_least: 1}, within"},
		{"group: {for: 1h}", "group: {for: 1h, by: [session.id]}"},
		{"group: {for: 1h}", "distinct: {of: [source.ip], count: 2, within: 1m, by: [ai_agent.uid]}"},
		{"datasets: [aws.cloudtrail, litellm]\ntags: [owasp.asi02-2026]\nwhen: event.class == \"tool\" && gen_ai.tool.called", "datasets: [aws.cloudtrail]\nwhen: event.action == \"PutBucketPolicy\""},
		{"&& gen_ai.tool.called", `&& cidr("10.0.0.1/8").contains(source.ip)`},
		{"until: 2027-03-31", "until: 2025-03-31"},
		{"count: 3, within", "count: 0, within"},
		{"within: 1m", "within: 0s"},
	},
	"vacuous test": {
		{"  - name: two calls\n", "  - name: three calls\n"},
		{"findings: [{by: {ai_agent.uid: a}, count: 3}]", "findings: []"},
		{"    findings: []\n", ""},
		{"events: [{repeat: 2, every: 1s, set: {event.dataset: litellm, event.class: tool, gen_ai.tool.called: true, ai_agent.uid: a}}]", "events: []"},
		{"set: {event.dataset: litellm, event.class: tool, gen_ai.tool.called: true, ai_agent.uid: a}", "set: {event.dataset: litellm, event.clas: tool}"},
		{"gen_ai.tool.called: true", "gen_ai.tool.called: maybe"},
		{"set: {event.dataset: litellm, ", "raw: '{}', set: {event.dataset: litellm, "},
		{trialRule[strings.Index(trialRule, "tests:"):], ""},
	},
}

// TestTrial checks that each mistake of an author is reported with its position, its cause and a remedy. The golden file
// holds the reports.
func TestTrial(t *testing.T) {
	if got := problemsOf(t, "trial.yaml", trialRule); got != "" {
		t.Fatalf("the rule without a mistake has problems:\n%s", got)
	}
	var b strings.Builder
	n := 0
	for _, class := range []string{"typo", "type", "yaml", "closed set", "contradiction", "vacuous test"} {
		for i, m := range trials[class] {
			if !strings.Contains(trialRule, m.old) {
				t.Fatalf("%s %d: %q is not in the rule", class, i, m.old)
			}
			n++
			got := problemsOf(t, "trial.yaml", strings.Replace(trialRule, m.old, m.new, 1))
			fmt.Fprintf(&b, "# %s %d: %q instead of %q\n%s\n", class, i+1, m.new, m.old, got)
			first, _, _ := strings.Cut(strings.TrimPrefix(got, wantPrefix), "\n")
			if got == "" {
				t.Errorf("%s %d: %q is not reported", class, i+1, m.new)
			} else if !strings.Contains(first, ": ") || len(first) < 30 {
				t.Errorf("%s %d: no cause and remedy: %s", class, i+1, first)
			}
		}
	}
	if n < 60 {
		t.Errorf("got %d mistakes, want at least 60", n)
	}
	const golden = "../testdata/trial.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want, err := os.ReadFile(golden); err != nil || string(want) != b.String() {
		t.Errorf("%v: the reports differ from %s: see what changed with -update", err, golden)
	}
}
