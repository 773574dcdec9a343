package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
)

// isTechnique reports whether a tag is a technique of ATT&CK or ATLAS, or a sub-technique.
func isTechnique(tag string) bool {
	return tactic(tag) == "" && (strings.HasPrefix(tag, "attack.t") || strings.HasPrefix(tag, "atlas.aml-t"))
}

// tactic returns the tag if it is a tactic, else "".
func tactic(tag string) string {
	if strings.HasPrefix(tag, "attack.ta") || strings.HasPrefix(tag, "atlas.aml-ta") {
		return tag
	}
	return ""
}

// Every technique has tactics, each of them a tag of the same publisher, and no other tag has any.
func TestTechniquesHaveTactics(t *testing.T) {
	known := map[string]bool{}
	for _, tag := range rules.Tags() {
		known[tag.ID] = true
	}
	techniques := 0
	for _, tag := range rules.Tags() {
		if !isTechnique(tag.ID) {
			if len(tag.Tactics) > 0 {
				t.Errorf("%s has tactics %q: only techniques have", tag.ID, tag.Tactics)
			}
			continue
		}
		techniques++
		if len(tag.Tactics) == 0 || !slices.IsSorted(tag.Tactics) || len(slices.Compact(slices.Clone(tag.Tactics))) < len(tag.Tactics) {
			t.Errorf("%s has tactics %q: want at least one, sorted, each once", tag.ID, tag.Tactics)
		}
		publisher, _, _ := strings.Cut(tag.ID, ".")
		for _, of := range tag.Tactics {
			if !known[of] || tactic(of) == "" || !strings.HasPrefix(of, publisher+".") {
				t.Errorf("%s has the tactic %q, which is none of %s", tag.ID, of, publisher)
			}
		}
	}
	if techniques < 850 {
		t.Errorf("got %d techniques, want at least 850", techniques)
	}
}

// The tactics of some techniques, as attack.mitre.org and atlas.mitre.org show them.
func TestTacticsOfTechniques(t *testing.T) {
	tactics := map[string]string{}
	for _, tag := range rules.Tags() {
		tactics[tag.ID] = strings.Join(tag.Tactics, " ")
	}
	f := func(tag, want string) {
		t.Helper()
		if got := tactics[tag]; got != want {
			t.Errorf("%s: got %q, want %q", tag, got, want)
		}
	}
	f("attack.t1003", "attack.ta0006")     // OS Credential Dumping: Credential Access
	f("attack.t1059", "attack.ta0002")     // Command and Scripting Interpreter: Execution
	f("attack.t1566", "attack.ta0001")     // Phishing: Initial Access
	f("attack.t1048", "attack.ta0010")     // Exfiltration Over Alternative Protocol: Exfiltration
	f("attack.t1496", "attack.ta0040")     // Resource Hijacking: Impact
	f("attack.t1552.005", "attack.ta0006") // Cloud Instance Metadata API: Credential Access
	f("attack.t1595", "attack.ta0043")     // Active Scanning: Reconnaissance
	f("attack.t1588.007", "attack.ta0042") // Artificial Intelligence: Resource Development
	f("attack.t1021", "attack.ta0008")     // Remote Services: Lateral Movement
	f("attack.t1046", "attack.ta0007")     // Network Service Discovery: Discovery
	f("attack.t1098", "attack.ta0003 attack.ta0004")
	f("attack.t1078.004", "attack.ta0001 attack.ta0003 attack.ta0004 attack.ta0005") // Cloud Accounts
	f("atlas.aml-t0051", "atlas.aml-ta0005")                                         // LLM Prompt Injection: Execution
	f("atlas.aml-t0051.001", "atlas.aml-ta0005")                                     // Indirect, as its technique
	f("atlas.aml-t0054", "atlas.aml-ta0007 atlas.aml-ta0012")                        // LLM Jailbreak
	f("atlas.aml-t0086", "atlas.aml-ta0010")                                         // Exfiltration via AI Agent Tool Invocation
	f("atlas.aml-t0080", "atlas.aml-ta0006")                                         // AI Agent Context Poisoning: Persistence
	f("attack.ta0006", "")                                                           // a tactic
	f("owasp.asi01-2026", "")
}

// The tactics of a rule are those of its techniques and the tactics among its tags, each once.
func TestTacticsOfRule(t *testing.T) {
	set, problems := rules.Load(rules.Options{}, write(t, map[string]string{"a.yaml": rule("a.one",
		"tags: [owasp.asi01-2026, attack.t1098, attack.ta0003, atlas.aml-t0051, x.mine]\nwhen: event.class == \"tool\"")}))
	if set == nil {
		t.Fatal(problems)
	}
	if got, want := set.Rules[0].Tactics(), []string{"atlas.aml-ta0005", "attack.ta0003", "attack.ta0004"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
