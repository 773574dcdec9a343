package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
)

// A rule that can find nothing at a site is idle, with the reason and the remedy, whatever it is that the site lacks.
func TestActivities(t *testing.T) {
	rule := func(id, more string) string {
		return "id: " + id + "\nversion: 1\ntitle: T\nseverity: low\nconfidence: 50\n" + more + "\n"
	}
	const tool = `when: event.class == "tool"`
	const step = "sequence:\n  within: 5m\n  by: [ai_agent.uid]\n  steps:\n    - {id: a, when: 'event.action == \"x\"'}\n"
	files := map[string]string{
		"lists/none.yaml": "values: []\n", "lists/some.yaml": "values: [a]\n",
		"a.yaml": rule("x.active", tool),
		"b.yaml": rule("x.shadow", "status: shadow\n"+tool),
		"c.yaml": rule("x.draft", "status: draft\n"+tool),
		"d.yaml": rule("x.disabled", "status: disabled\ndatasets: [nowhere]\n"+tool),
		"e.yaml": rule("x.agent", "when: '!agent.registered'"),
		"f.yaml": rule("x.list", "status: shadow\nwhen: url.domain in lists.none"),
		"g.yaml": rule("x.notlist", "when: '!(url.domain in lists.none) && url.domain in lists.some'"),
		"h.yaml": rule("x.step", step+"    - {id: b, when: 'url.domain in lists.none'}"),
		"i.yaml": rule("x.unless", step+"    - {id: b, when: 'event.action == \"y\"'}\n  unless: {when: 'url.domain in lists.none'}"),
		"j.yaml": rule("x.ratio", tool+"\nthreshold:\n  by: [ai_agent.uid]\n  within: 5m\n"+
			"  ratio: {of: 'url.domain in lists.none', at_least: 0.5, min: 10}"),
		"k.yaml": rule("x.dataset", "datasets: [aws.cloudtrail, gcp.audit]\n"+tool),
		"l.yaml": rule("x.carried", "datasets: [gcp.audit, litellm]\n"+tool),
		"m.yaml": rule("x.compares", `when: event.dataset == "aws.cloudtrail" && event.class == "audit"`),
		"n.yaml": rule("x.steps", strings.Replace(step, `event.action == "x"`, `event.dataset == "litellm"`, 1)+
			`    - {id: b, when: 'event.dataset in ["aws.cloudtrail", "gcp.audit"]'}`),
		"o.yaml": rule("x.both", "datasets: [litellm, aws.cloudtrail]\nwhen: event.dataset == \"aws.cloudtrail\""),
		"p.yaml": rule("x.agent-dataset", "datasets: [aws.cloudtrail]\nwhen: agent.registered"),
	}
	dir := write(t, files)
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	var got []string
	for _, s := range set.RuleActivities(func(dataset string) bool { return dataset == "litellm" }) {
		got = append(got, strings.ReplaceAll(fmt.Sprintf("%s %s: %s: %s %v", s.Rule.ID, s.Activity, s.Reason, s.Remedy, s.Datasets), dir, "DIR"))
	}
	const (
		registry = "the rule reads agent.*, and there is no registry of agents: write the agents of your site into agents.yaml in " +
			"the folder of rules, or name the file in `agents`"
		empty   = "the rule needs an element of the list none, which is empty: add values to the list"
		missing = "no source carries aws.cloudtrail"
	)
	want := []string{
		"x.active active: :  []",
		"x.agent idle: " + registry + " []",
		"x.agent-dataset idle: no source carries aws.cloudtrail:  [aws.cloudtrail]",
		"x.both idle: " + missing + ":  [aws.cloudtrail]",
		"x.carried active: :  []",
		"x.compares idle: " + missing + ":  [aws.cloudtrail]",
		"x.dataset idle: " + missing + " or gcp.audit:  [aws.cloudtrail gcp.audit]",
		"x.disabled disabled: :  []",
		"x.draft draft: :  []",
		"x.list idle: " + empty + " []",
		"x.notlist active: :  []",
		"x.ratio idle: " + empty + " []",
		"x.shadow shadow: :  []",
		"x.step idle: " + empty + " []",
		"x.steps idle: " + missing + " or gcp.audit:  [aws.cloudtrail gcp.audit]",
		"x.unless active: :  []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// With a registry, without knowledge of the sources.
	files["agents.yaml"] = "agents: []\n"
	set, problems = rules.Load(rules.Options{}, write(t, files))
	if set == nil {
		t.Fatal(problems)
	}
	var idle []string
	for _, s := range set.RuleActivities(nil) {
		if s.Activity == rules.Idle {
			idle = append(idle, s.Rule.ID)
		}
	}
	if want := []string{"x.list", "x.ratio", "x.step"}; !slices.Equal(idle, want) {
		t.Errorf("idle: got %q, want %q", idle, want)
	}
}
