package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
)

const toolCall = `when: event.class == "tool"`

// problemsIn loads files, one a rule, and returns the Set and the problems, one a line, without those about missing
// tests.
func problemsIn(t *testing.T, texts ...string) (set *rules.Set, problems string) {
	t.Helper()
	files := map[string]string{}
	for i, text := range texts {
		name := fmt.Sprintf("%c.yaml", 'a'+i%26)
		files[strings.Repeat("z/", i/26)+name] = text
	}
	dir := write(t, files)
	set, ps := rules.Load(rules.Options{Drafts: true}, dir)
	var lines []string
	for _, p := range ps {
		if strings.HasPrefix(p.Cause, "the rule has no test") {
			continue
		}
		line := strings.TrimPrefix(p.String(), dir+"/")
		if p.Warning {
			line += " (warning)"
		}
		lines = append(lines, line)
	}
	return set, strings.Join(lines, "\n")
}

// The names in `over` and in the steps of a sequence are those of rules that feed the rule.
func TestNamesInOver(t *testing.T) {
	f := func(want string, texts ...string) {
		t.Helper()
		set, got := problemsIn(t, texts...)
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if (set == nil) != (want != "" && !strings.HasSuffix(want, "(warning)")) {
			t.Errorf("set %v with problems %q", set, got)
		}
	}
	one := rule("llm.one", "tags: [x.a]", toolCall)
	f("", one, rule("o.id", "over: [llm.one]"), rule("o.glob", `over: ["*.o?e"]`), rule("o.tag", "over: [x.a]"), rule("o.over", "over: [o.id]"))

	f(`b.yaml:4:8: rule "o.id": over[0]: no rule has the id "llm.onne": did you mean llm.one?`, one, rule("o.id", "over: [llm.onne]"))
	f(`b.yaml:4:8: rule "o.id": over[0]: no rule has the id "gateway": load the rule too, or remove the name`, one, rule("o.id", "over: [gateway]"))
	f(`b.yaml:4:17: rule "o.id": over[1]: "aidr.flood" is the id of a built-in rule, which feeds no rule: remove it`,
		one, rule("o.id", "over: [llm.one, aidr.flood]"))

	f(`b.yaml:4:17: rule "o.glob": over[1]: no rule has an id like "gateway.*": load the rules that it means, or remove it (warning)`,
		one, rule("o.glob", "over: [llm.one, 'gateway.*']"))
	f(`b.yaml:4:8: rule "o.tag": over[0]: no rule has the tag "x.b": load the rules that it means, or remove it (warning)`,
		one, rule("o.tag", "over: [x.b]"))
	f(`c.yaml:4:8: rule "o.glob": over[0]: no rule has an id like "o.*": load the rules that it means, or remove it (warning)`,
		one, rule("o.id", "over: [llm.one]"), rule("o.glob", "over: ['o.*']")) // a glob names no rule with over

	f(`a.yaml:4:8: rule "o.self": over[0]: the rules feed each other in a circle: o.self -> o.self: remove one of the names`,
		rule("o.self", "over: [o.self]"))
	f(`a.yaml:4:8: rule "o.a": over[0]: the rules feed each other in a circle: o.a -> o.b -> o.c -> o.a: remove one of the names`,
		rule("o.a", "over: [o.b]"), rule("o.b", "over: [o.c, llm.one]"), rule("o.c", "over: [o.a]"), one)

	const seq = "sequence: {within: 1h, by: [ai_agent.uid], steps: [{id: p, rule: llm.one}, {id: q, rule: '%s'}]}"
	f("", one, rule("o.seq", "over: ['*']", fmt.Sprintf(seq, "l*")))
	f("", one, rule("o.seq", "over: ['*']", fmt.Sprintf(seq, "x.a")))
	f(`b.yaml:5:90: rule "o.seq": sequence.steps[1].rule: "llm.two" names no rule of over, so the step never matches: `+
		`add it to over, or name one that over names (warning)`, one, rule("o.seq", "over: [llm.one]", fmt.Sprintf(seq, "llm.two")), rule("llm.two", toolCall))
}

// A rule is a level above the rules that feed it, in time that does not grow with the number of ways between them.
func TestLevels(t *testing.T) {
	texts := []string{rule("r.zero", toolCall)}
	below := "r.zero"
	for level := range 40 {
		a, b := fmt.Sprintf("r.a%d", level), fmt.Sprintf("r.b%d", level)
		texts = append(texts, rule(a, "over: ["+below+"]"), rule(b, "over: ["+below+"]"))
		below = a + ", " + b
	}
	set, problems := problemsIn(t, texts...)
	if set == nil {
		t.Fatal(problems)
	}
	for _, r := range set.Rules {
		want := 0
		if n, err := fmt.Sscanf(strings.NewReplacer("r.a", "", "r.b", "").Replace(r.ID), "%d", &want); n == 1 && err == nil {
			want++
		}
		if r.Level != want {
			t.Errorf("%s is on level %d, want %d", r.ID, r.Level, want)
		}
	}
}

// A rule that is not in production feeds no rule that is, and a rule over others is idle if no active rule feeds it.
func TestActivitiesOver(t *testing.T) {
	const seq = "sequence: {within: 1h, by: [ai_agent.uid], steps: [{id: p, rule: a.one}, {id: q, rule: %s}]}"
	set, problems := problemsIn(t,
		rule("a.one", toolCall), rule("a.block", "status: block", toolCall), rule("a.shadow", "status: shadow", toolCall),
		rule("a.draft", "status: draft", "tags: [x.draft]", toolCall), rule("a.idle", "datasets: [aws.cloudtrail]", toolCall),
		rule("a.off", "status: disabled", toolCall),
		rule("o.all", `over: ["*"]`),
		rule("o.block", "over: [a.block]"),
		rule("o.draft", "over: [a.off, x.draft]"),
		rule("o.empty", `over: ["nothing.*"]`),
		rule("o.idle", "over: [a.idle, a.draft]"),
		rule("o.many", `over: [a.shadow, a.draft, a.idle, a.off, o.shadow-of-shadow]`),
		rule("o.over-idle", "over: [o.idle]"),
		rule("o.over-over", "over: [o.block]"),
		rule("o.shadow", "over: [a.shadow]"),
		rule("o.shadow-of-shadow", "status: shadow", "over: [a.shadow]"),
		rule("o.step", "over: ['*']", fmt.Sprintf(seq, "a.shadow")),
		rule("o.steps", "over: ['*']", fmt.Sprintf(seq, "'a.b*'")),
	)
	if set == nil {
		t.Fatal(problems)
	}
	var got []string
	for _, a := range set.RuleActivities(func(dataset string) bool { return dataset == "litellm" }) {
		if a.Rule.Over != nil {
			got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %s: %s: %s", a.Rule.ID, a.Activity, a.Reason, a.Remedy), ": : "))
		}
	}
	const none = " idle: no active rule feeds the rule: "
	want := []string{
		"o.all active",
		"o.block active",
		"o.draft" + none + "set the status of a rule that over names to stable or block: a.draft or a.off",
		"o.empty" + none + "load the rules that over names",
		"o.idle" + none + "make one of the rules that over names active: a.draft or a.idle",
		"o.many" + none + "make one of the rules that over names active: a.draft, a.idle, a.off or 2 more",
		"o.over-idle" + none + "make one of the rules that over names active: o.idle",
		"o.over-over active",
		"o.shadow" + none + "set the status of a rule that over names to stable or block: a.shadow",
		"o.shadow-of-shadow shadow",
		"o.step idle: no active rule feeds the step q: set the status of a rule that over names to stable or block: a.shadow",
		"o.steps active",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
