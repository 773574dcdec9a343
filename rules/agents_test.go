package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// The rule language and the registry, which do not import each other, have the same names.
func TestAgentNamesAreThoseOfTheRegistry(t *testing.T) {
	var want []string
	for _, a := range site.Attributes() {
		want = append(want, "agent."+a.Name)
	}
	for _, k := range site.Kinds() {
		want = append(want, "agent.allows_"+k.String())
	}
	want = append(want, "agent.allows")
	got := expr.AgentNames()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the rule language has\n%v\nthe registry\n%v", got, want)
	}
	env, err := expr.NewEnv(expr.Site{Agents: new(site.Agents)})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range site.Attributes() {
		text := map[schema.Type]string{
			schema.TypeBool: " == true", schema.TypeString: ` == "x"`, schema.TypeTimestamp: " > time", schema.TypeList: ` == ["x"]`,
		}[a.Type]
		if _, issues := env.Compile("agent." + a.Name + text); issues != nil {
			t.Errorf("%s: %v", a.Name, issues)
		}
	}
}

// A rule that reads agent.registry works without a registry; one that reads agent.* alone is idle there.
func TestRegistryIsOptional(t *testing.T) {
	rule := func(id, when string) string {
		return "id: " + id + "\ntitle: T\nseverity: low\nwhen: " + when + "\n"
	}
	files := map[string]string{
		"a.yaml": rule("x.optional", "'!(agent.registry && agent.allows_tool(gen_ai.tool.name))'"),
		"b.yaml": rule("x.idle", "'!agent.registered'"),
		"c.yaml": rule("x.other-name", "'!agent.registered && event.action == \"agent.registry\"'"),
		"d.yaml": rule("x.key", "'true'") + "threshold: {count: 2, within: 1m, by: [{as: owner, is: 'agent.registry ? agent.owner : user.email'}]}\n",
	}
	set, problems := rules.Load(rules.Options{}, write(t, files))
	if set == nil {
		t.Fatal(problems)
	}
	var active []string
	for _, r := range set.Rules {
		active = append(active, r.ID)
	}
	if want := []string{"x.key", "x.optional"}; !slices.Equal(active, want) {
		t.Errorf("without a registry: got %q, want %q", active, want)
	}
}

// The index names the registry's part of a condition as an author writes it.
func TestWitnessOfGrants(t *testing.T) {
	files := map[string]string{
		"a.yaml":      "id: x\ntitle: T\nseverity: low\nwhen: '!agent.allows(\"tool\", gen_ai.tool.name) && agent.registered'\n",
		"agents.yaml": "agents: [{uid: a, owner: o, tools: [t]}]\n",
	}
	set, problems := rules.Load(rules.Options{}, write(t, files))
	if set == nil {
		t.Fatal(problems)
	}
	got := set.Witness(0, 0)
	if !strings.Contains(got, "agent.registered is true") && !strings.Contains(got, "agent.allows_tool(gen_ai.tool.name) is false") {
		t.Errorf("got %q", got)
	}
}
