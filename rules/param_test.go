package rules_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
)

const withParams = `id: a.b
title: A rule with parameters
severity: low
datasets: [litellm]
params:
  count: 20
  window: 5m
  tools: [drop, "wipe"]
  least: 3
when: gen_ai.tool.name in params.tools && gen_ai.usage.input_tokens > params.least && user.name != "params.x"
threshold: {count: $count, within: $window, by: [ai_agent.uid]}
tests:
  - {name: x, events: [{set: {event.class: tool}}], findings: []}
  - {name: y, events: [{repeat: 20, every: 1s, set: {gen_ai.tool.name: drop, ai_agent.uid: a, gen_ai.usage.input_tokens: 4}}], findings: [{}]}
`

func loadWithParams(t *testing.T, rule, params string) (*rules.Set, string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", rule)
	if params != "" {
		write("params.yaml", params)
	}
	set, problems := rules.LoadFS(rules.Options{}, os.DirFS(dir), "site")
	var out []string
	for _, p := range problems {
		out = append(out, p.String())
	}
	return set, strings.Join(out, "\n")
}

func TestParams(t *testing.T) {
	set, problems := loadWithParams(t, withParams, "")
	if problems != "" {
		t.Fatal(problems)
	}
	r := set.Rules[0]
	if r.Threshold.Count != 20 || r.Threshold.Within.Minutes() != 5 || !strings.Contains(r.Roles[0].Cond.Text(), `in ["drop", "wipe"] && gen_ai.usage.input_tokens > 3`) {
		t.Errorf("got %+v, %s", r.Threshold, r.Roles[0].Cond.Text())
	}
	set, problems = loadWithParams(t, withParams, "params:\n  a.b: {count: 50, tools: [erase]}\n")
	if problems != "" {
		t.Fatal(problems)
	}
	changed := set.Rules[0]
	if changed.Threshold.Count != 50 || !strings.Contains(changed.Roles[0].Cond.Text(), `in ["erase"]`) {
		t.Errorf("got %+v, %s", changed.Threshold, changed.Roles[0].Cond.Text())
	}
	if changed.Shape == r.Shape {
		t.Error("another count has the same shape")
	}
	if only := set.Only(changed); only.Rules[0].Threshold.Count != 20 {
		t.Error("the tests of the file do not run with its defaults")
	}
}

func TestParamProblems(t *testing.T) {
	for _, tt := range []struct{ rule, params, want string }{
		{withParams, "params:\n  a.b: {cont: 50}\n", `site/params.yaml:2:9: params.a.b.cont: the rule has no such parameter: did you mean count?`},
		{withParams, "params:\n  a.c: {count: 50}\n", `site/params.yaml:2:3: params.a.c: there is no rule with this id: did you mean a.b?`},
		{withParams, "params:\n  a.b: {count: many}\n", `site/params.yaml:2:16: params.a.b.count: is text, and the rule has a whole number`},
		{withParams, "params:\n  a.b: {window: 5x}\n", `site/params.yaml:2:17: params.a.b.window: `},
		{withParams, "params:\n  a.b: 5\n", `is not a mapping`},
		{withParams, "rules: {}\n", `unknown key`},
		{strings.Replace(withParams, "$count", "$cunt", 1), "", `the parameter cunt is not declared: did you mean count?`},
		{strings.Replace(withParams, "params.least", "params.last", 1), "", `the parameter last is not declared: did you mean least?`},
		{strings.Replace(withParams, "params.least", "3", 1), "", `the parameter least is not used`},
		{strings.Replace(withParams, "least: 3", "Least: 3", 1), "", `"Least" may hold only`},
		{strings.Replace(withParams, "least: 3", "least: {a: 1}", 1), "", `a parameter is a text`},
	} {
		if _, problems := loadWithParams(t, tt.rule, tt.params); !strings.Contains(problems, tt.want) {
			t.Errorf("%q: got %s\nwant %s", tt.params, problems, tt.want)
		}
	}
}
